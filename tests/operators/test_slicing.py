"""``x[...]`` and ``x[...] = value``: against NumPy, errors that leave the tensor as it was, gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pellucid
from pellucid import dtypes
from pellucid.tensor import Tensor, array_of, tensor_on

A = np.arange(60).reshape(3, 4, 5)


def of(array: Any, dtype: Any = dtypes.float64) -> Tensor:
    return tensor_on(np.array(array, dtype.numpy, order="C"), dtype)


def index_of(array: Any) -> Tensor:
    return of(array, dtypes.int64)


# -- against NumPy ----------------------------------------------------------------------------------------------------


@st.composite
def indexes(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """A random index in which what is advanced stands side by side: there NumPy's and PyTorch's rules agree.
    (Beside index tensors, PyTorch takes integers first, as views; NumPy counts them among the index arrays.)"""
    first = draw(st.integers(0, len(shape)))
    last = draw(st.integers(first, len(shape)))
    together = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    items: list[Any] = []
    for d, n in enumerate(shape):
        if first <= d < last:
            repeated = tuple(draw(st.sampled_from([1, m])) for m in together)
            count = int(np.prod(repeated))
            values = draw(st.lists(st.integers(-n, n - 1), min_size=count, max_size=count))
            items.append(np.array(values, np.int64).reshape(repeated or (1,)))
        elif draw(st.booleans()) and first == last:
            items.append(draw(st.integers(-n, n - 1)))
        else:
            step = draw(st.sampled_from([None, 1, 2, -1, -2]))
            bound = st.none() | st.integers(-n - 1, n + 1)
            items.append(slice(draw(bound), draw(bound), step))
    if first == last:
        items.insert(draw(st.integers(0, len(items))), None)
    return tuple(items)


def as_tensors(index: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(index_of(i) if isinstance(i, np.ndarray) else i for i in index)


@given(st.data())
def test_reading_matches_numpy(data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(3)))
    a = A.transpose(order)
    index = data.draw(indexes(a.shape))
    x = of(A).permute(order)
    got = x[as_tensors(index)]
    np.testing.assert_array_equal(array_of(got), a[index])
    basic = not any(isinstance(i, np.ndarray) for i in index)
    assert (got.storage is x.storage) == basic


@given(st.data())
def test_writing_matches_numpy(data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(3)))
    a = A.astype(np.float64).transpose(order)
    x = of(a)
    index = data.draw(indexes(a.shape))
    shape = a[index].shape
    kept = data.draw(st.integers(0, len(shape)))
    values = np.random.default_rng(0).normal(size=shape[len(shape) - kept :])
    if data.draw(st.booleans()):
        values = np.float64(7)
    # Where places are equal the last value stays; NumPy does not promise that.
    counted = np.zeros(a.shape, int)
    np.add.at(counted, index, 1)
    before = x.storage.version
    x[as_tensors(index)] = float(values) if values.ndim == 0 else of(values)
    a = np.ascontiguousarray(a)
    a[index] = values
    once = counted <= 1
    np.testing.assert_array_equal(array_of(x)[once], a[once])
    assert x.storage.version > before


@pytest.mark.parametrize(
    "index",
    [
        A > 30, (slice(None), A[0, :, 0] > 5), (..., A[0, 0] % 2 == 0), (1, A[1] % 2 == 0), A[:, :, 0] % 2 == 0,
        (slice(None, None, -1), A[0, :, 0] > 5, slice(1, 4)), np.zeros(3, bool), True, False, np.array(True),
        (slice(None), True), (A[:, 0, 0] > -1, np.array([0, 2, 1])), (None, A[:, 0, 0] > 10),
    ],
)  # fmt: skip
def test_masks(index: Any) -> None:
    def tensor(i: Any) -> Any:
        return of(i, dtypes.bool_ if i.dtype == bool else dtypes.int64) if isinstance(i, np.ndarray) else i

    a, x = A.astype(np.float64), of(A)
    key = tuple(map(tensor, index)) if isinstance(index, tuple) else tensor(index)
    got = x[key]
    np.testing.assert_array_equal(array_of(got), a[index])
    assert got.storage is not x.storage
    x[key] = 7.5
    a[index] = 7.5
    np.testing.assert_array_equal(array_of(x), a)
    values = np.arange(a[index].size, dtype=np.float64).reshape(a[index].shape)
    x[key] = of(values)
    a[index] = values
    np.testing.assert_array_equal(array_of(x), a)


def test_lists_arrays_and_numbers_of_numpy() -> None:
    x = of(A)
    for index in (
        [0, 2], [2, -1, 0], np.array([[0, 1], [2, 0]]), np.array([1], np.int32), (0, [1, 3]), ([0, 1], [2, 3]),
        (slice(None), [0, 1], [2, 2]), np.int64(1), (np.int32(-1), slice(np.int64(1), None)), [True, False, True],
        (range(2),), np.array(2),
    ):  # fmt: skip
        np.testing.assert_array_equal(array_of(x[index]), A[index])
    assert x[[]].shape == (0, 4, 5)
    # PyTorch takes an integer first; what is left of the index is then side by side.
    assert x[0, :, [0, 1]].shape == (4, 2)
    assert x[[0, 1], :, [0, 1]].shape == (2, 4)


def test_tensors_without_dimensions_are_integers() -> None:
    x = of(A)
    one = index_of(1)
    assert x[one].storage is x.storage
    np.testing.assert_array_equal(array_of(x[one, :, -one]), A[1, :, -1])
    np.testing.assert_array_equal(array_of(x[one:]), A[1:])


def test_uint8_masks_are_deprecated() -> None:
    x = of(A)
    with pytest.warns(UserWarning, match="use a dtype torch.bool instead"):
        got = x[of([1, 0, 1], dtypes.uint8)]
    np.testing.assert_array_equal(array_of(got), A[[0, 2]])


def test_a_negative_step_is_a_view() -> None:
    """Ours: strides are signed, where PyTorch refuses."""
    x = of(A)
    y = x[::-1, :, ::-2]
    assert y.storage is x.storage
    assert y.stride() == (-20, 5, -2)
    y[0, 0] = 0
    assert array_of(x)[2, 0].tolist() == [0, 41, 0, 43, 0]
    assert x[0:3:-1].shape == (0, 4, 5)


# -- values that are written ------------------------------------------------------------------------------------------


def test_values_are_converted_and_broadcast() -> None:
    x = of(np.zeros((2, 3)), dtypes.int64)
    x[0] = of([1.7, 2.2, -0.5])
    x[1, 1:] = of([[[9.0]]])
    assert array_of(x).tolist() == [[1, 2, 0], [0, 9, 9]]
    x[:] = x + 1
    x[:, :2] = True
    x[[0], [2]] = 4.9
    assert array_of(x).tolist() == [[1, 1, 4], [1, 1, 10]]


def test_an_assignment_may_read_what_it_writes() -> None:
    x = of(np.arange(6))
    x[1:] = x[:-1]
    assert array_of(x).tolist() == [0, 0, 1, 2, 3, 4]
    x[[0, 1, 2]] = x[[2, 1, 0]]
    x[index_of([5, 4])] = x[4:]
    assert array_of(x).tolist() == [1, 0, 0, 2, 4, 3]
    i = index_of([2, 0, 1])
    i[i] = i
    assert array_of(i).tolist() == [0, 1, 2]


def test_index_put() -> None:
    x, i = of(np.zeros(4)), index_of([1, 1, -1])
    y = pellucid.index_put(x, (i,), of([1.0, 2.0, 3.0]), accumulate=True)
    assert array_of(y).tolist() == [0, 3, 0, 3]
    assert array_of(x).tolist() == [0, 0, 0, 0]
    x.index_put_((i,), of([1.0, 2.0, 3.0]))
    assert array_of(x).tolist() == [0, 2, 0, 3]
    flags = of([False, False], dtypes.bool_)
    flags.index_put_((index_of([0, 0]),), of([True, True], dtypes.bool_), accumulate=True)
    assert array_of(flags).view(np.uint8).tolist() == [1, 0]
    m = of(np.zeros((2, 3)))
    m.index_put_((None, index_of([0, 0])), of([1.0, 1.0]), accumulate=True)
    assert array_of(m).tolist() == [[2, 0, 0], [2, 0, 0]]


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "kind", "text"),
    [
        (3, IndexError, r"index 3 is out of bounds for dimension 0 with size 3.*-3 to 2"),
        ((0, -5), IndexError, r"index -5 is out of bounds for dimension 1 with size 4"),
        ((0, 0, 0, 0), IndexError, r"too many indices for tensor of dimension 3.*\(3, 4, 5\)"),
        (([0], 0, 0, None, 0), IndexError, "too many indices"),
        ([0, 1, 3], IndexError, r"index 3 is out of bounds for dimension 0 with size 3 \(found at position \(2,\)"),
        ((slice(None), [[0], [-6]]), IndexError, r"index -6 is out of bounds for dimension 1 .*position \(1, 0\)"),
        (([0, 1], [0, 1, 2]), IndexError, r"shape mismatch: .*\[2\], \[3\]"),
        (np.zeros((3, 5), bool), IndexError, r"shape of the mask \[3, 5\] at index 1 does not match"),
        (1.0, IndexError, "only integers, slices"),
        ([0.5], IndexError, "must be long, int, byte or bool tensors"),
        (np.zeros(2), IndexError, "must be long, int, byte or bool tensors"),
        ("a", TypeError, "invalid index of type str"),
        (slice(0, 1.5), TypeError, "__index__"),
        (slice(None, None, 0), ValueError, "step cannot be zero"),
        ({0}, IndexError, r"got set"),
    ],
)
def test_bad_indexes_teach_and_write_nothing(index: Any, kind: type[Exception], text: str) -> None:
    x = of(A)
    for _ in range(2):
        with pytest.raises(kind, match=text):
            x[index]
        with pytest.raises(kind, match=text):
            x[index] = 7
    version = x.storage.version
    np.testing.assert_array_equal(array_of(x), A)
    assert version == 0


@pytest.mark.parametrize(
    ("index", "value", "kind", "text"),
    [
        (0, np.zeros(3), RuntimeError, "broadcast"),
        ([0, 1], np.zeros(3), RuntimeError, r"shape mismatch: value tensor of shape \[3\].*\[2, 4, 5\]"),
        (A > 57, np.zeros(3), RuntimeError, r"shape mismatch: value tensor of shape \[3\].*\[2\]"),
        ([0], np.zeros(5, np.float32), RuntimeError, "dtypes match, got Double for the destination and Float"),
        (A > 30, np.zeros((A > 30).sum(), np.int64), RuntimeError, "dtypes match, got Double for the destination and Long"),
    ],
)
def test_bad_values_write_nothing(index: Any, value: Any, kind: type[Exception], text: str) -> None:
    x = of(A)
    with pytest.raises(kind, match=text):
        x[index] = of(value, {"f4": dtypes.float32, "f8": dtypes.float64, "i8": dtypes.int64}[value.dtype.str[1:]])
    np.testing.assert_array_equal(array_of(x), A)
    for unfit in ("a", None, [1.0], np.zeros(3)):
        with pytest.raises(TypeError, match="can't assign a"):
            x[index] = unfit
    np.testing.assert_array_equal(array_of(x), A)


def test_a_tensor_without_dimensions() -> None:
    x = of(3.0)
    assert x[()].shape == x[...].shape == ()
    assert x[None].shape == x[True].shape == (1,)
    for index, text in ((0, "0-dim tensor.*item"), (slice(1), "slice.*0-dim"), ((0, 0), "too many indices")):
        with pytest.raises(IndexError, match=text):
            x[index]


# -- gradients --------------------------------------------------------------------------------------------------------

READS: list[Any] = [
    1, (1, 2), (slice(None), 0), (slice(None, None, -1), slice(1, 3)), (..., None, 2), [0, 0, 2], ([0, -1], [1, 1]),
    (slice(None), [3, 0, 3]), ([0, 1], slice(None), [4, 4]), A > 20, (slice(None), A[0] % 2 == 0), (1, [0, 0]), True,
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(READS)))
def test_gradients_of_reading(number: int) -> None:
    index = READS[number]
    x, w = of(A), of(np.random.default_rng(0).normal(size=np.shape(A[index])))
    for t in (x, w):
        t.requires_grad = True
    y = x[index]
    w = w.view(y.shape)
    (g,) = pellucid.autograd.grad(y, x, w, create_graph=True)
    wanted = np.zeros(A.shape)
    np.add.at(wanted, index, array_of(w).reshape(np.shape(A[index])))
    np.testing.assert_allclose(array_of(g), wanted)
    v = of(np.random.default_rng(1).normal(size=A.shape))
    (back,) = pellucid.autograd.grad(g, w, v)
    np.testing.assert_allclose(array_of(back), array_of(v[index]))


@pytest.mark.parametrize("number", range(len(READS)))
@pytest.mark.parametrize("value", ["number", "tensor", "broadcast"])
def test_gradients_of_writing(number: int, value: str) -> None:
    """What is overwritten gets no gradient, what is written gets that of its places."""
    index = READS[number]
    leaf, g = of(A), of(np.random.default_rng(0).normal(size=A.shape))
    leaf.requires_grad = True
    x = leaf * 1
    shape = np.shape(A[index])
    v = of(np.zeros(shape if value == "tensor" else shape[-1:]))
    v.requires_grad = True
    x[index] = 3.0 if value == "number" else v
    x.backward(g)
    wanted = array_of(g).copy()
    wanted[index] = 0
    np.testing.assert_allclose(array_of(leaf.grad), wanted)
    if value != "number":
        own = array_of(g)[index]
        if value == "broadcast":
            own = own.reshape(-1, *own.shape[-1:]).sum(0) if own.ndim else own
        np.testing.assert_allclose(array_of(v.grad).reshape(np.shape(own)), own)


def test_accumulating_adds_to_the_gradient() -> None:
    x, v, i = of(np.zeros(3)), of([1.0, 2.0]), index_of([1, 1])
    x.requires_grad = v.requires_grad = True
    y = x.index_put((i,), v, accumulate=True)
    y.backward(of([1.0, 10.0, 100.0]))
    assert array_of(x.grad).tolist() == [1, 10, 100]
    assert array_of(v.grad).tolist() == [10, 10]


def test_reading_keeps_the_index_only() -> None:
    """The tensor that was read may change before backward."""
    x = of(np.arange(3))
    x.requires_grad = True
    y = x * 1
    z = y[index_of([0, 0, 2])]
    y[0] = 5.0
    z.backward(of([1.0, 1.0, 1.0]))
    assert array_of(x.grad).tolist() == [2, 0, 1]
