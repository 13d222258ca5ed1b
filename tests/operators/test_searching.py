"""Sorting, searching and finding, against NumPy; what the errors say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pellucid as t

DTYPES = [np.float32, np.float64, np.int64, np.int32, np.int8, np.uint8, np.bool_, np.float16]


def rows(dtype: Any, *shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(-3, 4, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 5, 100, 3000])
@pytest.mark.parametrize("dim", [0, 1])
def test_argsort_is_stable(dtype: Any, n: int, dim: int) -> None:
    x = rows(dtype, *((3, n) if dim else (n, 3)))
    values, indices = t.sort(t.from_numpy(x), dim)
    expected = np.argsort(x, axis=dim, kind="stable")
    np.testing.assert_array_equal(indices.numpy(), expected)
    np.testing.assert_array_equal(values.numpy(), np.take_along_axis(x, expected, dim))


def test_extreme_integers_and_long_distances() -> None:
    x = np.array([0, 2**63 - 1, -(2**63), -1, 2**32, -(2**32), 1, 2**62])
    np.testing.assert_array_equal(t.from_numpy(x).argsort().numpy(), np.argsort(x))
    np.testing.assert_array_equal(t.from_numpy(x).topk(3).indices.numpy(), np.argsort(-x.astype(float))[:3])


def test_views_are_sorted_in_their_own_order() -> None:
    x = rows(np.float32, 6, 7)
    for view in (lambda a: a.T, lambda a: a[::2, 1:], lambda a: a[::-1]):
        np.testing.assert_array_equal(view(t.from_numpy(x)).sort(0).values.numpy(), np.sort(view(x), 0))


def test_named_results() -> None:
    found = t.tensor([3.0, 1.0]).sort()
    assert found.values.tolist() == [1, 3]
    assert found.indices.tolist() == [1, 0]
    assert t.tensor([3.0, 1.0]).topk(1).values.tolist() == [3]


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 8, 1000])
def test_searchsorted(right: bool, n: int) -> None:
    rng = np.random.default_rng(n)
    b, v = np.sort(rng.integers(0, 50, n)), rng.integers(-1, 52, (4, 9))
    side = "right" if right else "left"
    expected = np.searchsorted(b, v, side)
    np.testing.assert_array_equal(t.searchsorted(t.from_numpy(b), t.from_numpy(v), right=right).numpy(), expected)
    np.testing.assert_array_equal(t.bucketize(t.from_numpy(v).t(), t.from_numpy(b), right=right).numpy(), expected.T)


def test_searchsorted_in_rows_and_through_a_sorter() -> None:
    b, v = rows(np.float64, 3, 20), rows(np.float64, 3, 5)
    order = np.argsort(b, axis=1)
    found = t.searchsorted(t.from_numpy(b), t.from_numpy(v), sorter=t.from_numpy(order), out_int32=True)
    assert found.dtype is t.int32
    for k in range(3):
        np.testing.assert_array_equal(found[k].numpy(), np.searchsorted(np.sort(b[k]), v[k]))


def test_isin_and_bincount() -> None:
    x = rows(np.int64, 5, 30)
    np.testing.assert_array_equal(t.isin(t.from_numpy(x), t.tensor([2, -1])).numpy(), np.isin(x, [2, -1]))
    np.testing.assert_array_equal(t.isin(t.from_numpy(x), 2, invert=True).numpy(), x != 2)
    flat = x.reshape(-1) + 3
    np.testing.assert_array_equal(t.from_numpy(flat).bincount(minlength=9).numpy(), np.bincount(flat, minlength=9))


def test_nonzero_and_masked_select() -> None:
    x = rows(np.float32, 4, 5, 2)
    mask = t.from_numpy(x).transpose(0, 1) > 0
    expected = np.argwhere(x.transpose(1, 0, 2) > 0)
    np.testing.assert_array_equal(mask.nonzero().numpy(), expected)
    np.testing.assert_array_equal(t.stack(t.where(mask), 1).numpy(), expected)
    picked = t.from_numpy(x).transpose(0, 1).masked_select(mask)
    np.testing.assert_array_equal(picked.numpy(), x.transpose(1, 0, 2)[x.transpose(1, 0, 2) > 0])
    assert t.zeros(3, 0).nonzero().shape == (0, 2)


def test_unique() -> None:
    x = rows(np.int32, 6, 4)
    values, inverse, counts = t.from_numpy(x).unique(return_inverse=True, return_counts=True)
    expected = np.unique(x, return_inverse=True, return_counts=True)
    for ours, wanted in zip((values, inverse, counts), expected, strict=True):
        np.testing.assert_array_equal(ours.numpy(), wanted.reshape(ours.shape))
    doubled = np.concatenate([x, x])
    np.testing.assert_array_equal(t.from_numpy(doubled).unique(dim=0).numpy(), np.unique(x, axis=0))
    runs = t.tensor([1, 1, 2, 1]).unique_consecutive(return_counts=True)
    assert [r.tolist() for r in runs] == [[1, 2, 1], [2, 1, 1]]


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        ("x.sort(2)", IndexError, ["[-2, 1]"]),
        ("x.sort(True)", TypeError, ["dim"]),
        ("(x * 1j).sort()", RuntimeError, ["complex"]),
        ("x.topk(5)", RuntimeError, ["k=5", "(3, 4)"]),
        ("t.searchsorted(x, t.ones(2, 2))", RuntimeError, ["[3, 4]", "[2, 2]"]),
        ("t.searchsorted(x[0], x[0], sorter=t.tensor([0, 1, 2, 9]))", RuntimeError, ["sorter", "index 9", "size 4"]),
        ("t.bucketize(x, x)", RuntimeError, ["1 dimension", "(3, 4)"]),
        ("t.isin(1, 2)", TypeError, ["int"]),
        ("x.masked_select(x)", RuntimeError, ["BoolTensor", "float32"]),
        ("x.masked_select(t.ones(3, 3) > 0)", RuntimeError, ["(3, 4)", "(3, 3)"]),
        ("t.tensor([1, -2]).bincount()", RuntimeError, ["non-negative", "-2"]),
        ("(x * 1j).unique()", NotImplementedError, ["Complex"]),
    ],
)
def test_errors(call: str, kind: type[Exception], words: list[str]) -> None:
    with pytest.raises(kind) as error:
        eval(call, {"t": t, "x": t.zeros(3, 4)})
    for word in words:
        assert word in str(error.value)
