"""Reductions, scans and ranks against NumPy."""

from typing import Any

import numpy as np
import pytest

import pellucid
from pellucid import dtypes
from pellucid.tensor import array_of, tensor_on

SHAPES = [(), (1,), (7,), (0,), (3, 0), (2, 3), (33, 17), (4, 1, 65), (3, 5, 2, 6)]


def random_array(shape: tuple[int, ...], dtype: type = np.float64) -> np.ndarray[Any, Any]:
    generator = np.random.default_rng(len(shape) + sum(shape))
    cells = generator.standard_normal(shape) * 3
    return np.asarray(cells.astype(dtype))


def tensor_of(array: np.ndarray[Any, Any]) -> Any:
    return tensor_on(array, dtypes.from_numpy_dtype(array.dtype))


def dims_of(ndim: int) -> list[Any]:
    return [None, *range(-ndim, ndim), *([(0, ndim - 1), tuple(range(ndim))] if ndim > 1 else [])]


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "amin", "any", "all", "std", "var"])
@pytest.mark.parametrize("shape", SHAPES)
def test_folds_are_numpys(name: str, shape: tuple[int, ...]) -> None:
    array = random_array(shape)
    x = tensor_of(array)
    for dim in dims_of(len(shape)):
        if not array.size and name in ("amax", "amin", "mean", "std", "var"):
            continue
        for keepdim in (False, True):
            extra = {"correction": 0} if name in ("std", "var") else {}
            expected = getattr(np, name)(array, axis=dim, keepdims=keepdim)
            whole = () if name in ("amax", "amin") and dim is None else dim
            got = getattr(pellucid, name)(x, whole, keepdim=keepdim, **extra)
            np.testing.assert_allclose(array_of(got), expected, rtol=1e-12, atol=1e-12)
            assert got.shape == expected.shape


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint8, np.bool_])
def test_integers_are_summed_in_int64(dtype: type) -> None:
    array = random_array((40, 30)).astype(dtype)
    x = tensor_of(array)
    assert x.sum().dtype is dtypes.int64
    assert x.sum().item() == int(array.sum(dtype=np.int64))
    np.testing.assert_array_equal(array_of(x.cumsum(1)), array.cumsum(1, dtype=np.int64))
    np.testing.assert_array_equal(array_of(x.sum(0)), array.sum(0, dtype=np.int64))
    np.testing.assert_array_equal(array_of(x.amax(1)), array.max(1))
    np.testing.assert_array_equal(array_of(x.prod(1)), array.prod(1, dtype=np.int64))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_sums_keep_their_digits(dtype: type) -> None:
    """Blocks are summed before they are added up, so that errors grow slowly."""
    array = np.full(1 << 22, 0.1, dtype)
    expected = float(array[0]) * array.size
    assert abs(tensor_of(array).sum().item() - expected) <= 1e-6 * expected
    assert abs(tensor_of(array.reshape(-1, 4)).sum(0).sum().item() - expected) <= 5e-6 * expected


def test_complex_folds() -> None:
    array = random_array((9, 13)) + 1j * random_array((9, 13))[::-1]
    x = tensor_of(np.ascontiguousarray(array))
    for dim in (0, 1):
        np.testing.assert_allclose(array_of(x.sum(dim)), array.sum(dim))
        np.testing.assert_allclose(array_of(x.mean(dim)), array.mean(dim))
        np.testing.assert_allclose(array_of(x.prod(dim)), array.prod(dim))
        np.testing.assert_allclose(array_of(x.cumsum(dim)), array.cumsum(dim))
        np.testing.assert_allclose(array_of(x.cumprod(dim)), array.cumprod(dim))
        np.testing.assert_allclose(array_of(x.var(dim, correction=0)), array.var(dim))


@pytest.mark.parametrize("change", [lambda a: a[::-1], lambda a: a[:, ::-2], lambda a: a.T, lambda a: a[::-1, 1:5].T])
def test_strided_and_backward(change: Any) -> None:
    array = change(random_array((12, 31)))
    x = tensor_of(array)
    for dim in (0, 1):
        np.testing.assert_allclose(array_of(x.sum(dim)), array.sum(dim))
        np.testing.assert_allclose(array_of(x.cumsum(dim)), array.cumsum(dim))
        np.testing.assert_array_equal(array_of(x.argmax(dim)), array.argmax(dim))
        np.testing.assert_array_equal(array_of(x.max(dim).values), array.max(dim))
        np.testing.assert_allclose(array_of(x.softmax(dim)).sum(dim), 1.0)
    assert x.argmin().item() == array.argmin()
    np.testing.assert_allclose(x.sum().item(), array.sum())


def test_first_of_equals() -> None:
    x = tensor_of(np.array([[1.0, 5.0, 5.0], [np.nan, 7.0, np.nan]]))
    assert array_of(x.argmax(1)).tolist() == [1, 0]
    assert array_of(x.max(1).indices).tolist() == [1, 0]
    assert array_of(x.cummax(1).indices).tolist() == [[0, 1, 2], [0, 0, 2]]


def test_names_of_numpy() -> None:
    x = tensor_of(random_array((4, 5)))
    assert x.sum(axis=1, keepdims=True).shape == (4, 1)
    assert x.max(axis=0).values.shape == (5,)
    assert pellucid.mean(x, axis=(0, 1)).shape == ()


def test_ranks() -> None:
    array = random_array((6, 9))
    x = tensor_of(array)
    ranked = np.sort(array, axis=1)
    np.testing.assert_array_equal(array_of(x.median(1).values), ranked[:, 4])
    np.testing.assert_array_equal(array_of(x.kthvalue(3, 1).values), ranked[:, 2])
    places = array_of(x.kthvalue(3, 1).indices)
    np.testing.assert_array_equal(np.take_along_axis(array, places[:, None], 1)[:, 0], ranked[:, 2])
    assert array_of(tensor_of(np.array([3, 1, 1, 2, 3, 1])).mode().values).item() == 1


def test_messages_say_what_to_do() -> None:
    x = tensor_of(random_array((2, 3)))
    with pytest.raises(IndexError, match=r"sum.*range of \[-2, 1\], but got 2"):
        x.sum(2)
    with pytest.raises(RuntimeError, match=r"dim 0 appears multiple times"):
        x.sum((0, -2))
    with pytest.raises(RuntimeError, match=r"mean.*Got: Long.*dtype=torch.float32"):
        tensor_of(np.arange(3)).mean()
    with pytest.raises(TypeError, match=r"sum\(\): argument 'input' must be Tensor, not list"):
        pellucid.sum([1, 2])
    with pytest.raises(IndexError, match=r"argmax.*reduction dim 0 to have non-zero size"):
        tensor_of(np.ones((0, 3))).argmax(0)


def test_results_do_not_depend_on_threads() -> None:
    """Rows are cut by their size alone."""
    from pellucid.runtime import threads

    array = random_array((1 << 20,), np.float32)
    x = tensor_of(array)
    before = threads.get_num_threads()
    found = set()
    try:
        for count in (1, 2, 3):
            threads.set_num_threads(count)
            found.add(x.sum().item())
    finally:
        threads.set_num_threads(before)
    assert len(found) == 1
