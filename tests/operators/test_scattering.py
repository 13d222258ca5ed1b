"""Writing cells by index, against plain nested loops; what the errors say; gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pellucid as t
from pellucid.autograd import gradcheck, gradgradcheck
from pellucid.tensor import array_of

MERGES = {None: lambda a, b: b, "sum": lambda a, b: a + b, "prod": lambda a, b: a * b, "amax": max, "amin": min}


def loop_scatter(x: Any, dim: int, index: Any, source: Any, op: str | None) -> np.ndarray[Any, Any]:
    out = x.numpy().copy()
    for place in np.ndindex(tuple(index.shape)):
        target = list(place)
        target[dim] = int(index.numpy()[place])
        out[tuple(target)] = MERGES[op](out[tuple(target)], source.numpy()[place])
    return out


def numbers(*shape: int, seed: int = 0) -> Any:
    return t.from_numpy(np.random.default_rng(seed).random(shape))


@pytest.mark.parametrize("op", [None, "sum", "prod", "amax", "amin"])
@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("turned", [False, True])
def test_scatter_is_its_loop(op: str | None, dim: int, turned: bool) -> None:
    x, source = numbers(4, 5, 6), numbers(5, 6, 7, seed=1)
    if turned:
        x, source = x.transpose(0, 2).contiguous().transpose(0, 2), source[::-1]
    index = t.from_numpy(np.random.default_rng(2).integers(0, x.shape[dim], (4, 5, 6)))
    expected = loop_scatter(x, dim, index, source, op)
    made = x.scatter(dim, index, source) if op is None else x.scatter_reduce(dim, index, source, op)
    np.testing.assert_allclose(made.numpy(), expected)
    written = x.scatter_(dim, index, source) if op is None else x.scatter_reduce_(dim, index, source, op)
    assert written is x
    np.testing.assert_allclose(x.numpy(), expected)


def test_the_last_write_stays_and_sums_are_taken_in_order() -> None:
    index = t.zeros(1000, dtype=t.int64)
    assert t.zeros(1).scatter(0, index, t.arange(1000.0)).item() == 999
    source = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    total = np.float32(0)
    for value in source:
        total += value
    assert t.zeros(1).scatter_add(0, index, t.from_numpy(source)).item() == total


def test_writes_into_views() -> None:
    x = t.zeros(4, 6)
    x[:, ::2].scatter_(1, t.tensor([[0], [1], [2], [0]]), 1.0)
    x.t()[1].index_fill_(0, t.tensor([-1]), 2.0)
    x[::-1].index_add_(0, t.tensor([0]), t.full((1, 6), 3.0))
    expected = np.zeros((4, 6))
    expected[[0, 1, 2, 3], [0, 2, 4, 0]] = 1
    expected[3, 1] = 2
    expected[3] += 3
    np.testing.assert_array_equal(x.numpy(), expected)


def test_put_and_masked_scatter_follow_row_major_order() -> None:
    x = t.zeros(2, 3).t()
    x.put_(t.tensor([0, 1, -1]), t.tensor([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(x.numpy(), [[1, 2], [0, 0], [0, 3]])
    x.masked_scatter_(x == 0, t.arange(10.0) + 5)
    np.testing.assert_array_equal(x.numpy(), [[1, 2], [5, 6], [7, 3]])


WRITES = [
    ("x.scatter_(1, bad, 1.)", RuntimeError),
    ("x.scatter_add_(1, bad, one)", RuntimeError),
    ("x.scatter_reduce_(1, bad, one, 'prod', include_self=False)", RuntimeError),
    ("x.index_add_(0, bad[2], one.t())", RuntimeError),
    ("x.index_copy_(0, bad[2], one.t())", IndexError),
    ("x.index_fill_(0, bad[2], 1)", IndexError),
    ("x.index_reduce_(0, bad[2], one.t(), 'amax')", IndexError),
    ("x.put_(bad, one)", IndexError),
]


@pytest.mark.parametrize(("write", "kind"), WRITES)
def test_nothing_is_written_if_an_index_is_outside(write: str, kind: type[Exception]) -> None:
    x = t.arange(9.0).reshape(3, 3)
    bad, version = t.tensor([[0, 1, 2], [0, 1, 2], [0, 1, 9]]), x._version
    with pytest.raises(kind, match="index 9") as error:
        eval(write, {"x": x, "bad": bad, "one": t.ones(3, 3)})
    assert "size" in str(error.value)
    assert "position" in str(error.value)
    assert x._version == version
    np.testing.assert_array_equal(x.numpy().reshape(-1), range(9))


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        ("x.scatter(0, i, t.ones(1, 2).double())", RuntimeError, ["float32", "float64", ".to("]),
        ("x.scatter(0, i, t.ones(1, 1))", RuntimeError, ["[1, 2]", "[3, 3]", "[1, 1]"]),
        ("x.scatter(0, i.float(), 1.)", RuntimeError, ["int32/int64", "float32"]),
        ("x.scatter(0, i, 1., reduce='mean')", RuntimeError, ["add or multiply", "mean"]),
        ("x.scatter(0, i)", TypeError, ["src", "value"]),
        ("x.scatter_(0, i, x)", RuntimeError, ["single memory location", "clone()"]),
        ("x[:1].expand(3, 3).scatter_(0, i, 1.)", RuntimeError, ["expanded", "clone()"]),
        ("x.index_add(0, t.tensor([0]), t.ones(2, 3))", RuntimeError, ["(1)", "(2)", "dim: 0"]),
        ("x.index_copy(0, t.tensor([0]), t.ones(1, 2))", RuntimeError, ["slice shapes", "(3,)", "(2,)"]),
        ("x.index_fill(0, t.tensor([0]), t.ones(2))", RuntimeError, ["0-dimensional", "index_copy"]),
        ("x.put(t.tensor([0]), t.ones(2))", IndexError, ["numel() = 2", "numel() = 1"]),
        ("x.masked_scatter(x == 0, t.ones(2))", RuntimeError, ["2 < 9"]),
    ],
)
def test_errors(call: str, kind: type[Exception], words: list[str]) -> None:
    with pytest.raises(kind) as error:
        eval(call, {"t": t, "x": t.zeros(3, 3), "i": t.tensor([[1, 1]])})
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    "call",
    [
        "x.scatter(1, t.tensor([[1, 0], [0, 1]]), s)",
        "x.scatter_add(1, i, s)",
        "x.index_add(0, i[0], s, alpha=2)",
        "x.index_copy(0, t.tensor([1, 0]), s)",
        "x.index_fill(1, i[0], 2.)",
        "x.put(i, s, accumulate=True)",
        "x.masked_scatter(x.detach() > 0, s)",
        "x.diagonal_scatter(s[0])",
        *(f"x.scatter_reduce(1, i, s, '{op}', include_self={own})" for op in ("mean", "prod", "amax") for own in (True, False)),
        "x.index_reduce(1, i[0], s, 'prod')",
    ],
)
def test_gradients(call: str) -> None:
    i = t.tensor([[1, 1], [0, 1]])
    x, s = (numbers(2, 2, seed=k).add(0.1).requires_grad_() for k in (3, 4))
    function = eval(f"lambda x, s: {call}", {"t": t, "i": i})
    assert gradcheck(function, (x, s))
    assert gradgradcheck(function, (x, s))


def test_in_place_writes_are_part_of_the_graph() -> None:
    x, s = t.ones(3, requires_grad=True), t.ones(2, requires_grad=True)
    y = x * 2
    y.scatter_(0, t.tensor([0, 1]), s * 3)
    (y * y).sum().backward()
    np.testing.assert_array_equal(array_of(x.grad), [0, 0, 8])
    np.testing.assert_array_equal(array_of(s.grad), [18, 18])
