"""Views: values, strides and sharing against NumPy; errors; gradients of every order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pellucid
from pellucid import dtypes
from pellucid.tensor import Tensor, array_of, empty_like_layout, tensor_on


def of(array: Any, dtype: Any = dtypes.float32) -> Tensor:
    return tensor_on(np.array(array, dtype.numpy, order="C"), dtype)


def arange(*shape: int, dtype: Any = dtypes.float32) -> Tensor:
    return of(np.arange(int(np.prod(shape))).reshape(shape), dtype)


# -- random chains against NumPy --------------------------------------------------------------------------------------

Both = tuple[Tensor, np.ndarray[Any, Any]]


def permuted(data: st.DataObject, x: Tensor, a: np.ndarray[Any, Any]) -> Both:
    dims = data.draw(st.permutations(range(a.ndim)))
    return x.permute(*dims), a.transpose(dims)


def transposed(data: st.DataObject, x: Tensor, a: np.ndarray[Any, Any]) -> Both:
    if a.ndim == 0:
        return x.T, a.T
    i, j = (data.draw(st.integers(-a.ndim, a.ndim - 1)) for _ in range(2))
    return x.transpose(i, j), a.swapaxes(i, j)


def sliced(data: st.DataObject, x: Tensor, a: np.ndarray[Any, Any]) -> Both:
    steps = st.sampled_from([None, 1, 2, 3, -1, -2])
    index = tuple(
        data.draw(st.builds(slice, st.none() | st.integers(-5, 5), st.none() | st.integers(-5, 5), steps))
        for _ in range(data.draw(st.integers(0, a.ndim)))
    )
    return x[index], a[(*index, ...)]


def selected(data: st.DataObject, x: Tensor, a: np.ndarray[Any, Any]) -> Both:
    dim = data.draw(st.integers(0, max(a.ndim - 1, 0)))
    if a.ndim == 0 or a.shape[dim] == 0:
        return x, a
    i = data.draw(st.integers(-a.shape[dim], a.shape[dim] - 1))
    return x.select(dim, i), a[(slice(None),) * dim + (i, ...)]


def unsqueezed(data: st.DataObject, x: Tensor, a: np.ndarray[Any, Any]) -> Both:
    dim = data.draw(st.integers(-a.ndim - 1, a.ndim))
    return x.unsqueeze(dim), np.expand_dims(a, dim)


def squeezed(data: st.DataObject, x: Tensor, a: np.ndarray[Any, Any]) -> Both:
    return x.squeeze(), a.squeeze()


def expanded(data: st.DataObject, x: Tensor, a: np.ndarray[Any, Any]) -> Both:
    shape = tuple(data.draw(st.integers(1, 3)) if n == 1 else n for n in a.shape)
    shape = (*data.draw(st.lists(st.integers(1, 2), max_size=1)), *shape)
    return x.expand(shape), np.broadcast_to(a, shape)


def diagonal(data: st.DataObject, x: Tensor, a: np.ndarray[Any, Any]) -> Both:
    if a.ndim < 2:
        return x, a
    i, j = data.draw(st.permutations(range(a.ndim)))[:2]
    offset = data.draw(st.integers(-3, 3))
    return x.diagonal(offset, i, j), a.diagonal(offset, i, j)


def windows(data: st.DataObject, x: Tensor, a: np.ndarray[Any, Any]) -> Both:
    dim = data.draw(st.integers(0, max(a.ndim - 1, 0)))
    if a.ndim == 0 or a.ndim > 4 or a.shape[dim] == 0:
        return x, a
    size, step = data.draw(st.integers(1, a.shape[dim])), data.draw(st.integers(1, 2))
    seen = np.lib.stride_tricks.sliding_window_view(a, size, dim)
    return x.unfold(dim, size, step), seen[(slice(None),) * dim + (slice(None, None, step),)]


def merged(data: st.DataObject, x: Tensor, a: np.ndarray[Any, Any]) -> Both:
    """Two neighbours read as one, if their cells follow on each other."""
    for d in range(a.ndim - 1):
        if a.size and a.shape[d] > 1 < a.shape[d + 1] and a.strides[d] == a.shape[d + 1] * a.strides[d + 1]:
            shape = (*a.shape[:d], a.shape[d] * a.shape[d + 1], *a.shape[d + 2 :])
            view = a.view()
            view.shape = shape
            return x.view(shape), view
    return x, a


STEPS: list[Callable[[st.DataObject, Tensor, np.ndarray[Any, Any]], Both]] = [
    permuted, transposed, sliced, selected, unsqueezed, squeezed, expanded, diagonal, windows, merged,
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:The use of `x.T`")
@given(st.data())
def test_chains_of_views_match_numpy(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=3))
    x: Tensor = arange(*shape, dtype=dtypes.int32)
    storage, a = x.storage, array_of(x)
    for _ in range(data.draw(st.integers(1, 6))):
        x, a = data.draw(st.sampled_from(STEPS))(data, x, a)
        assert tuple(x.shape) == a.shape
        assert x.storage is storage
        np.testing.assert_array_equal(array_of(x), a)
        if a.size:
            assert x.data_ptr() == a.__array_interface__["data"][0]
            for n, own, other in zip(a.shape, x.stride(), a.strides, strict=True):
                assert n == 1 or own * 4 == other


@given(st.data())
def test_reshape_is_a_view_exactly_where_numpy_has_one(data: st.DataObject) -> None:
    x: Tensor = arange(2, 3, 4)
    a = array_of(x)
    for _ in range(data.draw(st.integers(0, 3))):
        x, a = data.draw(st.sampled_from([permuted, sliced, unsqueezed, expanded]))(data, x, a)
    factors = [n for n in (2, 2, 2, 3) if a.size and a.size % n == 0]
    size, shape = a.size, []
    for n in data.draw(st.permutations(factors)):
        if size % n == 0:
            shape.append(n)
            size //= n
    shape.append(size)
    y = x.reshape(shape)
    np.testing.assert_array_equal(array_of(y), a.reshape(shape))
    assert (y.storage is x.storage) == (a.size == 0 or np.shares_memory(a, a.reshape(shape)))


# -- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.view(3, 2), lambda x: x.view(-1), lambda x: x.t(), lambda x: x.T, lambda x: x.narrow(1, 1, 2),
        lambda x: x.permute(1, 0), lambda x: x[1], lambda x: x[:, 1:], lambda x: x[::-1],
        lambda x: x.unbind()[1], lambda x: x.split(1)[0], lambda x: x.chunk(2, 1)[1], lambda x: x.flatten(),
        lambda x: x.diagonal(), lambda x: x.unfold(1, 2, 2), lambda x: x.as_strided((2, 2), (1, 2)),
        lambda x: x.tensor_split(2)[1], lambda x: x.movedim(0, 1), lambda x: x.unsqueeze(0).squeeze(0),
    ],
)  # fmt: skip
def test_views_copy_nothing_and_show_writes(view: Callable[[Tensor], Tensor]) -> None:
    x = arange(2, 3)
    y = view(x)
    assert y.storage is x.storage
    array_of(x)[...] = 7
    assert (array_of(y) == 7).all()
    y.fill_(3)  # type: ignore[attr-defined]
    assert (array_of(x) == 3).any()


def test_contiguous_copies_only_when_it_must() -> None:
    x = arange(2, 3)
    assert x.contiguous() is x
    y = x.t().contiguous()
    assert y.storage is not x.storage
    assert y.stride() == (2, 1)
    assert x.T.is_contiguous() is False
    assert x.untyped_storage() == x.t().untyped_storage() != y.untyped_storage()
    assert x.untyped_storage().data_ptr() == x.data_ptr()
    assert x.untyped_storage().nbytes() == 24


def test_flip_and_rot90_are_copies() -> None:
    x = arange(2, 3)
    a = array_of(x)
    for y, b in [
        (x.flip(0), a[::-1]), (x.flip((0, -1)), a[::-1, ::-1]), (x.fliplr(), a[:, ::-1]), (x.flipud(), a[::-1]),
        *((x.rot90(k), np.rot90(a, k)) for k in range(-1, 5)),
    ]:  # fmt: skip
        np.testing.assert_array_equal(array_of(y), b)
        assert y.storage is not x.storage
    np.testing.assert_array_equal(array_of(x.t().flip(0)), a.T[::-1])


def test_another_dtype_on_the_same_bytes() -> None:
    x = arange(2, 4)
    a = array_of(x)
    for dtype in (dtypes.int32, dtypes.int16, dtypes.int64, dtypes.uint8, dtypes.float64):
        y = x.view(dtype)
        assert y.storage is x.storage
        np.testing.assert_array_equal(array_of(y).view(np.uint8), a.view(dtype.numpy).view(np.uint8))
        assert y.shape == a.view(dtype.numpy).shape
    for bad in (x.t(), arange(2, 3), x[:, 1:3]):
        with pytest.raises(RuntimeError, match="must be"):
            bad.view(dtypes.int64)


def test_parts_of_complex_numbers() -> None:
    a = (np.arange(6) + 1j * np.arange(6)[::-1]).reshape(2, 3).astype(np.complex64)
    x = of(a, dtypes.complex64)
    np.testing.assert_array_equal(array_of(x.real), a.real)
    np.testing.assert_array_equal(array_of(x.imag), a.imag)
    pairs = pellucid.view_as_real(x.t())
    assert pairs.shape == (3, 2, 2)
    assert pairs.storage is x.storage
    np.testing.assert_array_equal(array_of(pellucid.view_as_complex(pairs)), a.T)
    x.real = of(np.zeros((2, 3)))  # type: ignore[misc]
    assert (array_of(x).real == 0).all()
    with pytest.raises(RuntimeError, match="non-complex"):
        arange(2).imag  # noqa: B018
    assert (y := arange(2)).real is y


def test_in_place_views_keep_the_memory() -> None:
    x = arange(2, 1, 3)
    where = x.data_ptr()
    assert x.squeeze_().shape == (2, 3)
    assert x.t_().shape == (3, 2)
    assert x.unsqueeze_(0).transpose_(1, 2).shape == (1, 2, 3)
    assert x.data_ptr() == where
    assert x.as_strided_((2,), (3,)).tolist() == [0, 3]


# -- errors -----------------------------------------------------------------------------------------------------------


def test_view_that_would_copy_names_the_dimensions_and_the_fix() -> None:
    x = arange(2, 3, 4).transpose(0, 1)
    with pytest.raises(RuntimeError, match=r"dimensions 0 and 1 cannot be merged.*reshape.*contiguous"):
        x.view(6, 4)
    with pytest.raises(RuntimeError, match=r"dimensions 1 and 2 cannot be merged"):
        arange(2, 3, 4)[:, :, :2].view(2, 6)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda x: x.view(5, -1), RuntimeError, r"shape '\[5, -1\]' is invalid for input of size 6"),
        (lambda x: x.view(-1, -1), RuntimeError, "only one dimension can be inferred"),
        (lambda x: x.view(6 / 2, 2), TypeError, "must be int, not float"),
        (lambda x: x.view(), TypeError, "give the sizes"),
        (lambda x: x.reshape(-2, 3), RuntimeError, "invalid shape dimension -2"),
        (lambda x: x[:0].reshape(0, -1), RuntimeError, "ambiguous"),
        (lambda x: x.permute(0), RuntimeError, r"input.dim\(\) = 2 is not equal to len\(dims\) = 1"),
        (lambda x: x.permute(0, -2), RuntimeError, "duplicate dims"),
        (lambda x: x.transpose(0, 2), IndexError, r"Dimension out of range .* got 2"),
        (lambda x: x.transpose(0.0, 1), TypeError, "must be int, not float"),
        (lambda x: x.expand(3, 3), RuntimeError, r"expanded size of the tensor \(3\) must match .* \(2\)"),
        (lambda x: x.expand(3), RuntimeError, "number of sizes provided"),
        (lambda x: x.expand(-1, 2, 3), RuntimeError, "non-existing dimension 0"),
        (lambda x: x.narrow(1, 2, 2), RuntimeError, r"start \(2\) \+ length \(2\) exceeds dimension size \(3\)"),
        (lambda x: x.narrow(1, 4, 0), IndexError, "start out of range"),
        (lambda x: x.select(1, 3), IndexError, "index 3 out of range"),
        (lambda x: x.split(0), RuntimeError, "split_size can only be 0"),
        (lambda x: x.split([1, 1], 1), RuntimeError, "sum exactly to 3"),
        (lambda x: x.chunk(0), RuntimeError, "greater than 0"),
        (lambda x: x.hsplit(2), RuntimeError, "not divisible"),
        (lambda x: x.flatten(1, 0), RuntimeError, "start_dim cannot come after end_dim"),
        (lambda x: x.unflatten(1, (2, -1)), RuntimeError, "don't multiply up"),
        (lambda x: x.diagonal(0, 1, 1), RuntimeError, "cannot be identical"),
        (lambda x: x.unfold(1, 4, 1), RuntimeError, "maximum size for tensor at dimension 1 is 3"),
        (lambda x: x.as_strided((4, 2), (2, 1)), RuntimeError, "out of bounds for storage of size 24"),
        (lambda x: x.as_strided((2,), (-1,)), RuntimeError, "Negative strides"),
        (lambda x: x.squeeze(2), IndexError, "Dimension out of range"),
        (lambda x: x.movedim((0, 0), (0, 1)), RuntimeError, "repeated dim in `source`"),
        (lambda x: x.flip(0, 0), RuntimeError, "appears multiple times"),
        (lambda x: x.unsqueeze(0).t(), RuntimeError, "<= 2 dimensions"),
        (lambda x: x[0].mT, RuntimeError, "1-D tensor"),
        (lambda x: pellucid.transpose([1], 0, 1), TypeError, "must be Tensor, not list"),
        (lambda x: pellucid.broadcast_shapes((2, 3), (2,)), RuntimeError, "do not broadcast"),
    ],
)  # fmt: skip
def test_errors_teach(call: Callable[[Tensor], Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call(arange(2, 3))


def test_an_error_is_an_error_every_time() -> None:
    x = arange(2, 3)
    assert x.view(3, 2).shape == (3, 2)
    with pytest.raises(TypeError):
        x.view(3.0, 2)


# -- gradients --------------------------------------------------------------------------------------------------------

GRADIENTS: list[Callable[[Tensor], Tensor]] = [
    lambda x: x.view(4, 6), lambda x: x.transpose(0, 1).reshape(6, 4), lambda x: x.permute(2, 0, 1),
    lambda x: x[0].T, lambda x: x.movedim(0, -1), lambda x: x[:, :1].squeeze(), lambda x: x.unsqueeze(1),
    lambda x: x[:, :1].expand(3, 2, 5, 4), lambda x: x.narrow(1, 1, 2), lambda x: x.select(2, -1), lambda x: x[1],
    lambda x: x[:, ::2, ::-1], lambda x: x.unbind(1)[2], lambda x: x.split(2, 2)[1], lambda x: x.diagonal(1, 1, 2),
    lambda x: x.unfold(2, 3, 1), lambda x: x.as_strided((3, 3), (2, 1), 1), lambda x: x.flip(0, 2),
    lambda x: x[:, :1].expand(2, 3, 4).as_strided((2, 3, 2), (12, 0, 1)), lambda x: x.rot90(1, (1, 2)),
    lambda x: x[..., None, 0], lambda x: x.t_() if x.ndim < 2 else x[0].t(), lambda x: x.flatten(1),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(GRADIENTS)))
def test_gradients_of_views(number: int) -> None:
    """The gradient of ``sum(w * view(x))`` is w where x was read: that of the view of a numbered tensor."""
    view = GRADIENTS[number]
    x = arange(2, 3, 4, dtype=dtypes.float64)
    x.requires_grad = True
    y = view(x)
    weights = np.random.default_rng(0).normal(size=tuple(y.shape))
    w = of(weights, dtypes.float64)
    w.requires_grad = True
    (g,) = pellucid.autograd.grad(y, x, w, create_graph=True)
    wanted = np.zeros(24)
    np.add.at(wanted, array_of(y).astype(np.int64).ravel(), weights.ravel())
    if number != 18:  # repeated cells share their gradient
        np.testing.assert_allclose(array_of(g).ravel(), wanted)
    # It is linear in w: the derivative in direction v is the view of v.
    v = of(np.random.default_rng(1).normal(size=(2, 3, 4)), dtypes.float64)
    (gg,) = pellucid.autograd.grad(g, w, v)
    if number != 18:
        np.testing.assert_allclose(array_of(gg), array_of(view(v)))


def test_a_view_keeps_no_memory_for_its_gradient() -> None:
    x = arange(2, 3)
    x.requires_grad = True
    y = x * 1
    z = y.view(6)[1:]
    y.storage.version += 1
    z.backward(of(np.ones(5)))
    assert array_of(x.grad).ravel().tolist() == [0, 1, 1, 1, 1, 1]


def test_empty_tensors_and_none() -> None:
    x = empty_like_layout(arange(0, 3).layout)
    assert x.view(-1, 3).shape == (0, 3)
    assert [y.shape for y in x.split(2)] == [(0, 3)]
    assert [y.shape for y in x.chunk(3)] == [(0, 3)] * 3
    assert x[0:0, ::-1].shape == (0, 3)
    assert pellucid.atleast_3d(of(1.0)).shape == (1, 1, 1)
    assert [y.shape for y in pellucid.broadcast_tensors(arange(2, 1), arange(3))] == [(2, 3), (2, 3)]
    assert pellucid.broadcast_shapes((2, 1), 3) == (2, 3)
