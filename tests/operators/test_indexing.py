"""Picking cells by index, against plain nested loops; what the errors say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pellucid as t
from pellucid.nn.functional import embedding
from pellucid.tensor import array_of


def loop_gather(x: np.ndarray[Any, Any], dim: int, index: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    out = np.empty(index.shape, x.dtype)
    for place in np.ndindex(index.shape):
        source = list(place)
        source[dim] = index[place]
        out[place] = x[tuple(source)]
    return out


def numbers(*shape: int, seed: int = 0) -> Any:
    return t.from_numpy(np.random.default_rng(seed).random(shape))


def places(n: int, *shape: int, seed: int = 0) -> Any:
    return t.from_numpy(np.random.default_rng(seed).integers(0, n, shape))


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
@pytest.mark.parametrize("view", ["x", "x.transpose(0, 2)", "x[:, ::2]", "x[::-1]", "x[:, :, 1:2].expand(4, 6, 9)"])
def test_gather_is_its_loop(dim: int, view: str) -> None:
    x = eval(view, {"x": numbers(4, 6, 9)})
    d = dim % 3
    shape = [max(1, n - 1) for n in x.shape]
    shape[d] = 5
    index = places(x.shape[d], *shape)
    expected = loop_gather(x.numpy(), d, index.numpy())
    np.testing.assert_array_equal(x.gather(dim, index).numpy(), expected)
    np.testing.assert_array_equal(x.gather(dim, index.int()).numpy(), expected)
    turned = index.transpose(0, 1).contiguous().transpose(0, 1)
    np.testing.assert_array_equal(t.gather(x, dim, turned).numpy(), expected)


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_index_select_is_its_loop(dim: int) -> None:
    x, index = numbers(4, 6, 9).transpose(0, 2), [2, 0, 2]
    picked = x.index_select(dim, t.tensor(index)).numpy()
    slices = [np.take(x.numpy(), i, dim) for i in index]
    np.testing.assert_array_equal(picked, np.stack(slices, dim))


@pytest.mark.parametrize("view", ["x", "x.transpose(0, 2)", "x[1:, ::2]", "x[::-1]", "x[0, 0]"])
def test_take_counts_in_row_major_order(view: str) -> None:
    x = eval(view, {"x": numbers(4, 6, 8)})
    index = places(x.numel(), 2, 5, 3) - x.numel() // 2
    np.testing.assert_array_equal(x.take(index).numpy(), x.numpy().reshape(-1)[index.numpy()])


def test_empty_tensors() -> None:
    nothing = t.empty(0, dtype=t.int64)
    assert t.zeros(3, 4).gather(1, t.empty(3, 0, dtype=t.int64)).shape == (3, 0)
    assert t.zeros(3, 4).gather(0, nothing).shape == (0,)
    assert t.zeros(3, 4).index_select(1, nothing).shape == (3, 0)
    assert t.zeros(0, 4).index_select(0, nothing).shape == (0, 4)
    assert t.zeros(0).take(nothing).shape == (0,)
    assert embedding(nothing, t.zeros(3, 4)).shape == (0, 4)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        ("x.gather(1, t.tensor([[0], [7]]))", RuntimeError, ["index 7", "dimension 1", "size 4", "(1, 0)"]),
        ("x.gather(1, t.tensor([[0], [-1]]))", RuntimeError, ["index -1", "add 4"]),
        ("x.gather(1, t.tensor([0]))", RuntimeError, ["same number of dimensions", "(1,)", "(3, 4)"]),
        ("x.gather(0, t.tensor([[0.]]))", RuntimeError, ["int32/int64", "float32", ".long()"]),
        ("x.gather(0, t.zeros(1, 5).long())", RuntimeError, ["dimension 1", "(1, 5)", "(3, 4)"]),
        ("x.gather(2, t.zeros(1, 1).long())", IndexError, ["[-2, 1]", "2"]),
        ("x.gather(0, 1)", TypeError, ["'index'", "int"]),
        ("x.index_select(0, t.tensor([0, 3]))", IndexError, ["index 3", "dimension 0", "size 3", "(1,)"]),
        ("x.index_select(0, t.tensor([[0]]))", IndexError, ["vector", "(1, 1)"]),
        ("x.take(t.tensor([[0, 12]]))", IndexError, ["index 12", "12 elements", "(0, 1)"]),
        ("x.take(t.tensor([0]).int())", RuntimeError, ["long", "Int"]),
        ("x.take_along_dim(t.tensor([[0], [1], [4]]), 1)", RuntimeError, ["index 4", "(2, 0)"]),
        ("embedding(t.tensor([0, 3]), x)", IndexError, ["index 3", "size 3", "(1,)"]),
    ],
)
def test_errors(call: str, kind: type[Exception], words: list[str]) -> None:
    with pytest.raises(kind) as error:
        eval(call, {"t": t, "x": t.zeros(3, 4), "embedding": embedding})
    for word in words:
        assert word in str(error.value)


def test_an_error_is_no_plan() -> None:
    """A refused call is refused again, and the same layouts with good indexes work."""
    x, index = t.zeros(3), t.tensor([1, 5])
    for _ in range(2):
        with pytest.raises(RuntimeError):
            x.gather(0, index)
    assert x.gather(0, t.tensor([1, 2])).shape == (2,)


@pytest.mark.parametrize("dtype", [t.float32, t.bfloat16, t.float16])
def test_gradients_add_up_where_a_cell_is_picked_twice(dtype: Any) -> None:
    x = t.ones(3, 2, dtype=dtype).requires_grad_()
    index = t.tensor([0, 2, 0])
    (x.index_select(0, index).sum() + x.take(t.tensor([-1, 0])).sum() + x.gather(0, t.tensor([[1, 1]])).sum()).backward()
    expected = [[3, 2], [1, 1], [1, 2]]
    np.testing.assert_array_equal(array_of(x.grad).astype(np.float64), expected)


def test_embedding_gradients() -> None:
    index = t.tensor([[0, 2], [2, 2]])
    for options, rows in [({}, [1, 0, 3]), ({"padding_idx": -1}, [1, 0, 0]), ({"scale_grad_by_freq": True}, [1, 0, 1])]:
        table = t.zeros(3, 4).requires_grad_()
        embedding(index, table, **options).sum().backward()
        np.testing.assert_allclose(array_of(table.grad)[:, 0], rows)


def test_embedding_shortens_long_rows_in_the_table() -> None:
    table = t.tensor([[3.0, 4.0], [30.0, 40.0], [0.3, 0.4]])
    embedding(t.tensor([1, 2]), table, max_norm=1.0)
    np.testing.assert_allclose(table.numpy(), [[3, 4], [0.6, 0.8], [0.3, 0.4]], rtol=1e-5)
