"""What the reference documents ask for, row by row: small programs that give the same in PyTorch and in Pellucid.

A program takes the library and returns values; values, shapes, strides and dtypes are compared. A program that fails
must fail in both, with the same class of error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import pellucid
import pellucid.nn
import pellucid.optim

Program = Callable[[Any], Any]


def described(value: Any) -> Any:
    """A value of either library in terms that can be compared."""
    if isinstance(value, torch.Tensor | pellucid.Tensor):
        cells = value.detach()
        if str(cells.dtype) == "torch.bfloat16":
            cells = cells.float()
        return (str(value.dtype), tuple(value.shape), tuple(value.stride()), cells.numpy())
    if isinstance(value, dict):
        return {k: described(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [described(v) for v in value]
    return value


def assert_same(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, tuple) and len(theirs) == 4 and isinstance(theirs[3], np.ndarray):
        assert ours[:3] == theirs[:3]
        np.testing.assert_allclose(ours[3], theirs[3], rtol=2e-6, atol=1e-6)
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_same(a, b)
    elif isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for k in theirs:
            assert_same(ours[k], theirs[k])
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=1e-6, nan_ok=True)
    else:
        assert ours == theirs


def both(program: Program) -> None:
    torch.manual_seed(3)
    pellucid.manual_seed(3)
    try:
        theirs = described(program(torch))
    except Exception as error:
        with pytest.raises(type(error)) as caught:
            program(pellucid)
        assert len(str(caught.value)) > 15, "the error does not say what is wrong"
        return
    assert_same(described(program(pellucid)), theirs)


def grid(T: Any, *shape: int, dtype: str = "float32") -> Any:
    n = int(np.prod(shape))
    return (T.arange(n, dtype=T.float32).reshape(shape) * 0.7 - 2).to(getattr(T, dtype))


def views(T: Any, *shape: int, dtype: str = "float32") -> list[Any]:
    """The same cells in several arrangements."""
    x = grid(T, *shape, dtype=dtype)
    backwards = tuple(reversed(range(len(shape))))
    turned = x.permute(backwards).contiguous().permute(backwards)
    wide = T.zeros(*shape[:-1], 2 * shape[-1], dtype=x.dtype)
    wide[..., ::2] = x
    return [x, turned, wide[..., ::2]]


SECTIONS: dict[str, list[Program]] = {}


def section(name: str, *programs: Program) -> None:
    SECTIONS[name] = list(programs)


section(
    "1 index_select",
    *[
        lambda T, d=d, s=s, t=t: [x.index_select(d, T.tensor([1, 0, 1], dtype=getattr(T, t))) for x in views(T, *s)]
        for s in [(2, 3), (5, 7), (3, 2, 4)] for d in range(-2, 2) for t in ("int64", "int32")
    ],
    lambda T: T.index_select(T.randn(16, 64, 1024), 1, T.tensor([3, 60])),
    lambda T: grid(T, 4, 5).index_select(0, T.tensor([], dtype=T.int64)),
    lambda T: T.zeros(3, 0).index_select(0, T.tensor([2, 2])),
    lambda T: grid(T, 4, 5).index_select(0, T.tensor([4])),
    lambda T: grid(T, 4, 5).index_select(0, T.tensor([-1])),
    lambda T: grid(T, 4, 5).index_select(0, T.tensor([0.5])),
    lambda T: grid(T, 4, 5).index_select(2, T.tensor([0])),
    lambda T: grid(T, 4, 5).index_select(0, T.tensor([[0]])),
    lambda T: T.tensor(5.0).index_select(0, T.tensor([0])),
)  # fmt: skip

section(
    "1 gather",
    *[
        lambda T, d=d, t=t: [T.gather(x, d, T.tensor([[[0, 1], [1, 0]], [[1, 1], [0, 0]]])) for x in views(T, 3, 4, 5, dtype=t)]
        for d in (-3, -1, 0, 1, 2) for t in ("float32", "float64", "int64", "int32", "uint8", "bool", "bfloat16")
    ],
    lambda T: T.gather(T.randn(16, 64, 1024), 1, T.randint(0, 64, (16, 5, 1024))),
    lambda T: grid(T, 3, 4).gather(1, T.zeros(0, 4, dtype=T.int64)),
    lambda T: grid(T, 3, 4).gather(1, T.tensor([[0, 3], [1, 1]]).t()),
    lambda T: grid(T, 3, 4).gather(1, T.tensor([[4]])),
    lambda T: grid(T, 3, 4).gather(1, T.tensor([[-1]])),
    lambda T: grid(T, 3, 4).gather(1, T.tensor([[0.0]])),
    lambda T: grid(T, 3, 4).gather(1, T.tensor([0])),
    lambda T: grid(T, 3, 4).gather(0, T.zeros(2, 5, dtype=T.int64)),
    lambda T: grid(T, 3, 4).gather(5, T.tensor([[0]])),
    lambda T: T.tensor(3.0).gather(0, T.tensor(0)),
)  # fmt: skip

section(
    "1 take",
    *[lambda T, s=s: [T.take(x, T.tensor([[0, 5, 2], [3, 3, 1]])) for x in views(T, *s)] for s in [(2, 3), (4, 2, 3)]],
    lambda T: T.take(grid(T, 4, 5), T.randint(0, 20, (2, 5, 3))),
    lambda T: grid(T, 3, 4).take(T.tensor([-1, -12])),
    lambda T: grid(T, 3, 4).take(T.tensor([], dtype=T.int64)),
    lambda T: grid(T, 3, 4).take(T.tensor([12])),
    lambda T: grid(T, 3, 4).take(T.tensor([-13])),
    lambda T: grid(T, 3, 4).take(T.tensor([1.0])),
)

section(
    "2 making tensors",
    lambda T: [T.zeros(2, 3), T.ones((2, 3)), T.full((2, 2), 7), T.full((2,), 1.5), T.arange(12), T.arange(1, 10, 2.5)],
    lambda T: [T.rand(5), T.randn(20), T.rand(2, 3, dtype=T.float64), T.randn((3, 4)), T.randint(0, 10, (4,)), T.randperm(9)],
    lambda T: [T.tensor([[1, 2], [3, 4]]), T.tensor([1.5, 2]), T.tensor(True), T.tensor([]), T.tensor([[1, 2.5], [3, 4]])],
    lambda T: [T.arange(12, dtype=T.float32), T.arange(3, dtype=T.long), T.zeros(2, dtype=T.double), T.ones(2, dtype=T.float64)],
    lambda T: [f(T.ones(2, 3, dtype=T.float64).t()) for f in (T.zeros_like, T.ones_like, T.rand_like, T.randn_like)],
    lambda T: [T.full_like(T.ones(2, 3), 4), T.empty_like(T.ones(2, 3)).shape, tuple(T.empty(3, 4).shape)],
    lambda T: [T.from_numpy(np.arange(6).reshape(2, 3)), T.from_numpy(np.arange(6.0).reshape(2, 3).T)],
    lambda T: [T.zeros(0), T.zeros(2, 0), T.zeros(()), T.rand(0), T.arange(0)],
    lambda T: T.tensor([[1, 2], [3]]),
    lambda T: T.zeros(-1, 2),
    lambda T: T.arange(5, 0),
    lambda T: T.from_numpy([1, 2]),
    lambda T: T.zeros(2, device="cuda"),
    lambda T: T.zeros(2).cuda(),
    lambda T: T.zeros(2).to("cuda:1"),
    lambda T: str(T.zeros(2).cpu().to("cpu").device),
    lambda T: T.zeros(2, device="nowhere"),
)

section(
    "3 arithmetic and broadcasting",
    *[
        lambda T, f=f: [f(T, x, y) for x in views(T, 3, 4) for y in (grid(T, 3, 4) + 5, grid(T, 4) + 9, grid(T, 3, 1) + 7, 2, 2.5)]
        for f in (
            lambda T, a, b: a + b, lambda T, a, b: a - b, lambda T, a, b: a * b, lambda T, a, b: a / b,
            lambda T, a, b: (a.abs() + 1) ** b, lambda T, a, b: a == b, lambda T, a, b: a < b, lambda T, a, b: a > b,
            lambda T, a, b: b - a, lambda T, a, b: b * a, lambda T, a, b: T.add(a, b, alpha=2), lambda T, a, b: T.sub(a, b),
        )
    ],
    *[
        lambda T, a=a, b=b: grid(T, 2, 3, dtype=a) + grid(T, 3, dtype=b)
        for a in ("float32", "float64", "int64", "int32", "uint8", "bool") for b in ("float32", "int64", "uint8", "bool")
    ],
    lambda T: [T.exp(grid(T, 3, 4)), grid(T, 3, 4).exp().sum(), grid(T, 3, 4).sum(), T.ones(3, dtype=T.bool).sum()],
    lambda T: grid(T, 3, 1) + grid(T, 1, 2),
    lambda T: grid(T, 3, 4) + grid(T, 5, 4),
    lambda T: grid(T, 2, 3) * grid(T, 2),
    lambda T: [T.mm(a, b) for a in views(T, 3, 4) for b in views(T, 4, 5)],
    lambda T: [T.bmm(a, b) for a in views(T, 2, 3, 4) for b in views(T, 2, 4, 3)],
    lambda T: [T.matmul(grid(T, 2, 1, 3, 4), grid(T, 5, 4, 3)), grid(T, 3) @ grid(T, 3), grid(T, 2, 3) @ grid(T, 3)],
    lambda T: [grid(T, 3, 4).T, T.zeros(0, 3) @ T.zeros(3, 2), T.zeros(2, 0) @ T.zeros(0, 3)],
    lambda T: T.mm(grid(T, 3, 4), grid(T, 5, 4)),
    lambda T: T.mm(grid(T, 3, 4), grid(T, 4)),
    lambda T: T.bmm(grid(T, 2, 3, 4), grid(T, 3, 4, 3)),
    lambda T: grid(T, 2, 3) @ grid(T, 3, 2, dtype="float64"),
    lambda T: [grid(T, 1).item(), float(T.tensor([2.5])), int(T.tensor(3.7)), bool(T.tensor([0]))],
    lambda T: grid(T, 2).item(),
    lambda T: float(grid(T, 2)),
    lambda T: bool(grid(T, 2)),
    lambda T: T.tensor([1, 2]) // T.tensor([0, 1]),
)  # fmt: skip

section(
    "4 shape, joining, slicing, assignment",
    lambda T: [grid(T, 3, 4).numel(), list(grid(T, 3, 4).shape), grid(T, 3, 4).reshape(3, -1), grid(T, 3, 4).view(-1)],
    lambda T: [T.cat((x, y), d) for d in (0, 1) for x in views(T, 3, 4) for y in views(T, 3, 4)],
    lambda T: [grid(T, 3, 4).unsqueeze(1), grid(T, 3).repeat(2, 2), grid(T, 3, 1).expand(3, 4), grid(T, 3, 4).narrow(1, 1, 2)],
    lambda T: [grid(T, 2, 3, 4).permute(2, 0, 1), grid(T, 2, 3, 4).transpose(0, 2), grid(T, 2, 3, 1).repeat(1, 1, 5)],
    lambda T: [grid(T, 3, 4)[1, 2], grid(T, 3, 4)[0:2], grid(T, 3, 4)[-1], grid(T, 3, 4)[1:3], grid(T, 3, 4)[:, :, None]],
    lambda T: [grid(T, 3, 4)[..., 1], grid(T, 3, 4)[::2, 1::2], grid(T, 3, 4)[1:1], grid(T, 3, 4)[[0, 2]]],
    lambda T: assigned(T, lambda x: x.__setitem__((1, 2), 17)),
    lambda T: assigned(T, lambda x: x.__setitem__((slice(None, 2), slice(None)), 12)),
    lambda T: assigned(T, lambda x: x.__setitem__((slice(None), slice(None, 2)), 0)),
    lambda T: assigned(T, lambda x: x.__setitem__(x > 1, -1.0)),
    lambda T: assigned(T, lambda x: x.__setitem__(0, T.ones(4))),
    lambda T: assigned(T, lambda x: x.__setitem__(0, T.ones(3))),
    lambda T: assigned(T, lambda x: x.__setitem__((3, 0), 1)),
    *[
        lambda T, a=a: [T.roll(x, *a) for x in views(T, 3, 4)]
        for a in [(1, 0), (-1, 1), ((1, -2), (0, 1)), (5,), (-3,), (7, 0), ((2, 1), (1, 1))]
    ],
    lambda T: [x.masked_fill(T.tensor([True, False, False, True]), -9.0) for x in views(T, 3, 4)],
    lambda T: grid(T, 3, 4).masked_fill(T.ones(5, dtype=T.bool), 0.0),
    lambda T: grid(T, 3, 4).masked_fill(T.ones(4), 0.0),
    lambda T: [m for i in ("ij", "xy") for m in T.meshgrid(T.arange(2), T.arange(3), T.arange(4), indexing=i)],
    lambda T: [T.argsort(x, dim=d) for d in (0, 1, -1) for x in (T.tensor([[3.0, 1, 2], [0, 5, 4]]), T.randn(7, 5))],
    lambda T: grid(T, 3, 4)[5],
    lambda T: grid(T, 3, 4)[0, 0, 0],
    lambda T: grid(T, 3, 4).reshape(5, -1),
    lambda T: T.cat((grid(T, 3, 4), grid(T, 3, 5)), 0),
    lambda T: grid(T, 3, 4).expand(3, 5),
    lambda T: grid(T, 3, 4).narrow(0, 2, 2),
    lambda T: grid(T, 3, 4).permute(0, 0),
    lambda T: T.roll(grid(T, 3, 4), (1, 2), (0,)),
)  # fmt: skip


def assigned(T: Any, write: Callable[[Any], None]) -> list[Any]:
    result = views(T, 3, 4)
    for x in result:
        write(x)
    return result


def shares(a: Any, b: Any) -> bool:
    return bool(a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr())


def identity(T: Any, step: Callable[[Any, Any], Any]) -> list[Any]:
    """Whether ``step(X, Y)`` keeps Y's object and memory."""
    X, Y = grid(T, 2, 3), grid(T, 2, 3)
    before, place = id(Y), Y.data_ptr()
    result = step(X, Y)
    return [id(result) == before, result.data_ptr() == place, result]


def numpy_shares(T: Any) -> list[Any]:
    array = np.zeros((2, 3), np.float32)
    x = T.from_numpy(array)
    array[0, 1] = 5
    x[1, 2] = 7
    y = T.zeros(2, 3)
    back = y.numpy()
    back[0, 0] = 3
    y[1, 1] = 4
    return [x, array.tolist(), y, back.tolist()]


section(
    "5 memory",
    *[
        lambda T, f=f: sharing(T, f)
        for f in (
            lambda x: x.narrow(0, 1, 2), lambda x: x.view(4, 3), lambda x: x[:, None].expand(3, 2, 4), lambda x: x.t(),
            lambda x: x.permute(1, 0), lambda x: x[1], lambda x: x[:, 1:3], lambda x: x.detach(), lambda x: x.contiguous(),
            lambda x: x.t().contiguous(), lambda x: x.reshape(2, 6), lambda x: x.t().reshape(12), lambda x: x.clone(),
        )
    ],
    lambda T: grid(T, 3, 4).t().view(12),
    lambda T: grid(T, 3, 4)[:, ::2].view(-1),
    lambda T: identity(T, lambda X, Y: Y + X),
    lambda T: identity(T, lambda X, Y: (Y.__setitem__(slice(None), X + Y), Y)[1]),
    lambda T: identity(T, lambda X, Y: Y.__iadd__(X)),
    lambda T: identity(T, lambda X, Y: Y.add_(X)),
    numpy_shares,
    lambda T: changed_after_detach(T),
)  # fmt: skip


def sharing(T: Any, f: Callable[[Any], Any]) -> list[Any]:
    x = grid(T, 3, 4)
    y = f(x)
    shared = shares(x, y)
    if shared:
        y.fill_(9)
    return [shared, x, y, tuple(y.stride()), y.storage_offset()]


def changed_after_detach(T: Any) -> Any:
    x = grid(T, 3).requires_grad_()
    y = x.exp()
    y.detach().zero_()
    y.sum().backward()
    return x.grad


def gradients(T: Any, f: Callable[..., Any], *shapes: tuple[int, ...]) -> list[Any]:
    operands = [(grid(T, *s, dtype="float64") / 5 + 1.1).requires_grad_() for s in shapes]
    (f(*operands) * 1.5).sin().sum().backward()
    return [x.grad for x in operands]


def two_networks(T: Any) -> list[Any]:
    A, B = T.nn.Linear(4, 3), T.nn.Linear(3, 2)
    y = A(grid(T, 5, 4))
    z = B(y.detach())
    z.pow(2).sum().backward()
    return [A.weight.grad is None, B.weight.grad, B.bias.grad]


section(
    "6 gradients",
    *[
        lambda T, f=f, s=s: gradients(T, lambda *x: f(T, *x), *s)
        for f, s in [
            (lambda T, x: x.gather(1, T.tensor([[0, 0], [2, 1]])), [(2, 3)]),
            (lambda T, x: x.index_select(0, T.tensor([1, 1, 0])), [(2, 3)]),
            (lambda T, x: x.take(T.tensor([0, 0, 5])), [(2, 3)]),
            (lambda T, x: x.roll((1, -1), (0, 1)), [(2, 3)]),
            (lambda T, x, y: T.cat([x, y, x]), [(2, 3), (1, 3)]),
            (lambda T, x: x.t()[1:, ::2].reshape(-1), [(2, 3)]),
            (lambda T, x, y: x * y + x / y - y**x, [(2, 3), (3,)]),
            (lambda T, x, y: x @ y, [(2, 3), (3, 4)]),
            (lambda T, x, y: T.bmm(x, y), [(2, 3, 4), (2, 4, 3)]),
            (lambda T, x, y: T.matmul(x, y), [(2, 1, 3, 4), (5, 4, 3)]),
            (lambda T, x: x.masked_fill(x > 1.5, 0.0), [(2, 3)]),
            (lambda T, x: x.expand(4, 2, 3).permute(2, 0, 1), [(2, 3)]),
            (lambda T, x: x.repeat(2, 2).narrow(1, 1, 3), [(2, 3)]),
            (lambda T, x: x.exp().softmax(-1).log(), [(2, 3)]),
            (lambda T, x: T.nn.functional.layer_norm(x, (3,)), [(2, 3)]),
        ]
    ],
    two_networks,
    lambda T: grid(T, 3).requires_grad_().exp().backward(),
    lambda T: twice(T),
    lambda T: overwritten(T),
    lambda T: grid(T, 3).sum().backward(),
    lambda T: T.tensor([1, 2], requires_grad=True),
    lambda T: in_place_on_leaf(T),
)  # fmt: skip


def twice(T: Any) -> None:
    x = grid(T, 3).requires_grad_()
    y = x.exp().sum()
    y.backward()
    y.backward()


def overwritten(T: Any) -> None:
    x = grid(T, 3).requires_grad_()
    y = x.exp()
    y.add_(1)
    y.sum().backward()


def in_place_on_leaf(T: Any) -> None:
    grid(T, 3).requires_grad_().add_(1)


def module_state(T: Any) -> list[Any]:
    class Net(T.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.token = T.nn.Parameter(T.zeros(1, 1, 4))
            self.register_buffer("index", T.arange(3))
            self.norm, self.skip = T.nn.LayerNorm(4), T.nn.Identity()

    net = Net()
    names = [n for n, _ in net.named_parameters()], list(net.state_dict()), [p.requires_grad for p in net.parameters()]
    return [*names, repr(net), net.skip(grid(T, 2))]


def drop_path(T: Any) -> list[Any]:
    x, p = grid(T, 6, 4), 0.4
    keep = T.rand(x.shape[0], 1) >= p
    return [x + (x * 2) * keep / (1 - p), keep]


def random_masking(T: Any, n: int, length: int, d: int, ratio: float = 0.75) -> list[Any]:
    x = grid(T, n, length, d)
    kept = int(length * (1 - ratio))
    noise = T.rand(n, length)
    shuffle = T.argsort(noise, dim=1)
    restore = T.argsort(shuffle, dim=1)
    ids = shuffle[:, :kept]
    picked = T.gather(x, dim=1, index=ids.unsqueeze(-1).repeat(1, 1, d))
    mask = T.ones(n, length)
    mask[:, :kept] = 0
    return [picked, T.gather(mask, dim=1, index=restore), restore]


def relative_position_index(T: Any, height: int, width: int) -> Any:
    coords = T.stack(T.meshgrid(T.arange(height), T.arange(width), indexing="ij")).flatten(1)
    relative = (coords[:, :, None] - coords[:, None, :]).permute(1, 2, 0).contiguous()
    relative[:, :, 0] += height - 1
    relative[:, :, 1] += width - 1
    relative[:, :, 0] *= 2 * width - 1
    return relative.sum(-1)


def shifted_windows(T: Any) -> list[Any]:
    image = T.zeros(1, 8, 8, 1)
    count = 0
    for rows in (slice(0, -4), slice(-4, -2), slice(-2, None)):
        for columns in (slice(0, -4), slice(-4, -2), slice(-2, None)):
            image[:, rows, columns, :] = count
            count += 1
    windows = image.view(1, 2, 4, 2, 4, 1).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, 16)
    difference = windows.unsqueeze(1) - windows.unsqueeze(2)
    mask = difference.masked_fill(difference != 0, -100.0).masked_fill(difference == 0, 0.0)
    return [mask, T.roll(image, shifts=(-2, -2), dims=(1, 2))]


section(
    "7 parts of networks",
    module_state,
    drop_path,
    lambda T: random_masking(T, 1, 16, 4),
    lambda T: random_masking(T, 3, 7, 5, 0.5),
    lambda T: random_masking(T, 256, 196, 768),
    lambda T: [relative_position_index(T, 2, 3), relative_position_index(T, 7, 7)],
    shifted_windows,
)


@pytest.mark.parametrize(
    "program", [pytest.param(p, id=f"{name}-{i}") for name, programs in SECTIONS.items() for i, p in enumerate(programs)]
)
def test_same_as_pytorch(program: Program) -> None:
    both(program)
