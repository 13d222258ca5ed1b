"""Convolutions, pooling, unfold and fold, against PyTorch."""

import itertools
from typing import Any

import pytest
import torch

import pellucid.nn.functional as ours
from tests.conformance.opdb import check, to_pellucid, to_torch


@pytest.mark.parametrize(
    "name", ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]
)
def test_convolutions(name: str) -> None:
    # Single precision: sums of another order.
    check(f"nn.functional.{name}", ("float32", "float64", "complex64"), scale=8)


@pytest.mark.parametrize("name", ["conv1d", "conv2d"])
def test_convolutions_in_half_precision(name: str) -> None:
    # Rounded once; PyTorch's transposed ones round at every addition and are further from the true sum.
    check(f"nn.functional.{name}", ("bfloat16",))


@pytest.mark.parametrize(
    "name",
    [
        "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d",
        "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
        "adaptive_max_pool3d",
    ],
)  # fmt: skip
def test_pooling(name: str) -> None:
    dtypes = ["float32", "float64", "bfloat16", "int64"]
    if name == "adaptive_avg_pool3d":  # PyTorch's sums are rounded to bfloat16 at every step
        dtypes.remove("bfloat16")
    variants = ["function", "method", "inplace", "out", "gradient", "gradgrad", "error"]
    if name == "avg_pool3d":  # PyTorch writes past the strides of out=
        variants.remove("out")
    check(f"nn.functional.{name}", tuple(dtypes), variants=tuple(variants))


@pytest.mark.parametrize("name", ["max_unpool1d", "max_unpool2d", "max_unpool3d"])
def test_unpooling(name: str) -> None:
    check(f"nn.functional.{name}", ("float32", "float64"))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"stride": 1}, {"ceil_mode": True}])
def test_lp_pooling(rank: int, options: dict[str, Any]) -> None:
    theirs = torch.rand((2, 3, 7, 6, 5)[: 2 + rank], dtype=torch.float64, requires_grad=True)
    mine: Any = to_pellucid(theirs)
    expected = getattr(torch.nn.functional, f"lp_pool{rank}d")(theirs, 3, 2, **options)
    got = getattr(ours, f"lp_pool{rank}d")(mine, 3, 2, **options)
    torch.testing.assert_close(to_torch(got), expected.detach())
    expected.sum().backward()
    got.sum().backward()
    torch.testing.assert_close(to_torch(mine.grad), theirs.grad)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d", "adaptive_max_pool2d", "adaptive_avg_pool2d"])
def test_pooling_keeps_channels_last(name: str) -> None:
    theirs = torch.rand(2, 3, 6, 8).contiguous(memory_format=torch.channels_last)
    mine: Any = to_pellucid(theirs)
    assert getattr(ours, name)(mine, 2).stride() == getattr(torch.nn.functional, name)(theirs, 2).stride()


@pytest.mark.parametrize("indices", [[[[-1]]], [[[4]]], [[[0, 1]]]])
def test_unpooling_to_nowhere_is_refused(indices: Any) -> None:
    import pellucid

    with pytest.raises(RuntimeError):
        ours.max_unpool1d(pellucid.ones(1, 1, 1), pellucid.tensor(indices), 2)


def test_unfold() -> None:
    check("nn.functional.unfold", ("float32", "float64", "bfloat16", "complex64"))


@pytest.mark.parametrize(
    ("stride", "padding", "dilation"), list(itertools.product([1, (2, 1)], [0, (1, 2)], [1, (1, 2)]))
)
def test_fold(stride: Any, padding: Any, dilation: Any) -> None:
    options = {"kernel_size": (2, 3), "stride": stride, "padding": padding, "dilation": dilation}
    columns = torch.nn.functional.unfold(torch.randn(2, 3, 7, 6, dtype=torch.float64), **options)
    theirs = torch.randn_like(columns).requires_grad_()
    mine: Any = to_pellucid(theirs)
    expected, got = torch.nn.functional.fold(theirs, (7, 6), **options), ours.fold(mine, (7, 6), **options)
    torch.testing.assert_close(to_torch(got), expected.detach())
    direction = torch.randn_like(expected)
    expected.backward(direction)
    got.backward(to_pellucid(direction))
    torch.testing.assert_close(to_torch(mine.grad), theirs.grad)


def test_views_as_operands() -> None:
    x, w = torch.randn(2, 6, 9, 4), torch.randn(4, 3, 5, 4)
    for change in (lambda t: t.permute(0, 3, 1, 2), lambda t: t.mT[..., ::2], lambda t: t[:1].expand(t.shape)):
        a, b = change(x), w[:, :, :3, :3].contiguous()[:, :1].expand(4, change(x).shape[1], 3, 3)
        expected = torch.nn.functional.conv2d(a, b, padding=1)
        got = ours.conv2d(to_pellucid(a), to_pellucid(b), padding=1)
        torch.testing.assert_close(to_torch(got), expected, rtol=1e-4, atol=1e-4)
        pooled = ours.max_pool2d(to_pellucid(a), 2, 1)
        torch.testing.assert_close(to_torch(pooled), torch.nn.functional.max_pool2d(a, 2, 1))


def test_error_classes() -> None:
    calls = ["conv2d(x, w, stride=0)", "conv2d(x, w, groups=2)", "conv2d(x, d)", "conv2d(x, w, padding=-1)"]
    calls += ["conv2d(x, w, padding='some')", "conv2d(x, w, padding='same', stride=2)", "conv2d(x[0, 0], w)"]
    calls += ["conv2d(x[..., :1], w)", "conv2d(x, w, b)", "conv1d(x, w)", "conv_transpose2d(x, w)"]
    calls += ["max_pool2d(x, 3, padding=2)", "max_pool2d(x, 9)", "max_pool2d(x, 0)", "max_pool2d(x[0, 0], 2)"]
    calls += ["avg_pool2d(x, 3, padding=2)", "avg_pool2d(x, 9)", "avg_pool2d(x, 2, divisor_override=0)"]
    calls += ["unfold(x, 9)", "fold(x[0], (4, 4), 3)", "unfold(x, 0)"]
    calls += ["adaptive_avg_pool2d(x, (-1, 2))", "adaptive_avg_pool2d(x[0, 0], 2)", "adaptive_avg_pool1d(x, 2)"]

    def outcome(library: Any, call: str, make: Any) -> type | None:
        x, w = make(torch.ones(2, 3, 5, 5)), make(torch.ones(4, 3, 3, 3))
        d, b = make(torch.ones(4, 3, 3, 3, dtype=torch.float64)), make(torch.ones(3))
        try:
            eval(f"F.{call}", {"F": library, "x": x, "w": w, "d": d, "b": b})
        except Exception as error:
            return type(error)
        return None

    for call in calls:
        assert outcome(ours, call, to_pellucid) is outcome(torch.nn.functional, call, lambda t: t), call


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "groups": 2}])
def test_gradients_of_convolutions_alone(rank: int, options: dict[str, Any]) -> None:
    from pellucid.nn import grad

    groups = options.get("groups", 1)
    x, w = torch.randn((2, 4, 7, 6, 5)[: 2 + rank]), torch.randn((6, 4 // groups, 2, 3, 2)[: 2 + rank])
    g = torch.randn_like(getattr(torch.nn.functional, f"conv{rank}d")(x, w, **options))
    for kind, arguments in (("input", (x.shape, w, g)), ("weight", (x, w.shape, g))):
        expected = getattr(torch.nn.grad, f"conv{rank}d_{kind}")(*arguments, **options)
        mine = [to_pellucid(a) if isinstance(a, torch.Tensor) else tuple(a) for a in arguments]
        got = getattr(grad, f"conv{rank}d_{kind}")(*mine, **options)
        torch.testing.assert_close(to_torch(got), expected, rtol=1e-4, atol=1e-4)
