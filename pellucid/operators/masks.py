"""Cells picked, or written, where a mask is true: ``x[mask]``, ``x[:, mask]``, ``x[mask] = values``.

    x = [[1, 2], [3, 4]], mask = [[True, False], [True, True]]:   x[mask] = [1, 3, 4]

How many cells there are is known only when the mask has been read, so there is no plan; NumPy moves the cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from pellucid.autograd.graph import Node, recorder
from pellucid.autograd.inplace import in_place
from pellucid.dtypes import int64
from pellucid.layout import Layout, dense, layout_of
from pellucid.operators.advanced import Picking, Shape, require_fit, summed_to
from pellucid.operators.copying import clone, converted
from pellucid.runtime import native
from pellucid.tensor import Tensor, array_of, empty_like_layout


def _places(mask: Tensor) -> np.ndarray[Any, Any]:
    """The numbers of the cells, counted through the whole mask, that are true."""
    return array_of(mask).ravel().nonzero()[0]


def _merged(array: np.ndarray[Any, Any], dim: int, rank: int) -> np.ndarray[Any, Any]:
    """The array with ``rank`` dimensions from ``dim`` read as one."""
    shape = array.shape
    return array.reshape(*shape[:dim], prod(shape[dim : dim + rank]), *shape[dim + rank :])


@lru_cache(4096)
def _picked_layout(x: Layout, dim: int, rank: int, count: int) -> Layout:
    shape = tuple(x.shape)
    if x is dense(shape, x.dtype, x.device) and x.numel and count:
        return dense((*shape[:dim], count, *shape[dim + rank :]), x.dtype, x.device)
    indices = [layout_of((count,), (rank,), int64)] * rank
    return Picking(x, tuple(range(dim, dim + rank)), indices, 1).result(x, indices)


class TakeMaskedRule:
    """Where the mask is true the gradient is that of the picked cell, elsewhere 0."""

    name = "IndexBackward0"

    def __init__(self, dim: int, x: Layout) -> None:
        self.dim, self.shape = dim, tuple(x.shape)

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return (2,)

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        return spread_masked(grads[0], self.dim, node.unpack()[2], self.shape), None


def take_masked(x: Tensor, dim: int, mask: Tensor) -> Tensor:
    """The cells of ``x`` where the mask, which stands for the dimensions from ``dim`` on, is true."""
    where, rank = _places(mask), mask.layout.ndim
    out = empty_like_layout(_picked_layout(x.layout, dim, rank, len(where)))
    # Places come from the mask, so none needs to be clipped; "raise" would make NumPy work in a buffer.
    array = array_of(x) if rank == 1 else _merged(array_of(x), dim, rank)
    array.take(where, dim, array_of(out), "clip")
    if native.grad_enabled() and x.tracked:
        recorder(TakeMaskedRule(dim, x.layout), [out.layout], [x.layout, mask.layout])(out, x, mask)
    return out


class SpreadMaskedRule:
    """The transpose of a spread picks."""

    name = "IndexBackwardBackward0"

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return (2,)

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        return take_masked(grads[0], self.dim, node.unpack()[2]), None


def spread_masked(g: Tensor, dim: int, mask: Tensor, shape: Shape) -> Tensor:
    """Zeros of ``shape`` with the cells of ``g`` where the mask is true."""
    out = empty_like_layout(dense(shape, g.layout.dtype))
    array = array_of(out)
    array[...] = 0
    _write(array, dim, mask, array_of(g))
    if native.grad_enabled() and g.tracked:
        recorder(SpreadMaskedRule(dim), [out.layout], [g.layout, mask.layout])(out, g, mask)
    return out


def _write(array: np.ndarray[Any, Any], dim: int, mask: Tensor, values: np.ndarray[Any, Any]) -> None:
    index: tuple[Any, ...] = (*[slice(None)] * dim, array_of(mask))
    array[index] = values


class PutMaskedRule:
    """The cells that were overwritten get no gradient; the values get that of their cells."""

    name = "IndexPutBackward0"

    def __init__(self, dim: int, value: Layout) -> None:
        self.dim, self.value = dim, value

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return (3,)

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        mask, (g,) = node.unpack()[3], grads
        to_x = to_value = None
        if node.edges[0] is not None:
            to_x = g.masked_fill(_aligned(mask, self.dim, g.layout), 0)
        if node.edges[1] is not None:
            to_value = summed_to(take_masked(g, self.dim, mask), self.value)
        return to_x, to_value, None


def _aligned(mask: Tensor, dim: int, x: Layout) -> Tensor:
    """The mask with dimensions of size 1 behind it, so that it broadcasts to ``x``."""
    behind = x.ndim - dim - mask.layout.ndim
    return mask.reshape(*mask.layout.shape, *(1,) * behind) if behind else mask


def put_masked(x: Tensor, dim: int, mask: Tensor, value: Any) -> None:
    """``x[mask] = value``: a number, or a tensor that broadcasts to the picked cells; that of one cell counts as a
    number, whatever its dtype.

    Raises:
        RuntimeError: the tensor does not broadcast, or has another dtype.
    """
    if not isinstance(value, Tensor):
        x.masked_fill_(_aligned(mask, dim, x.layout), value)
        return
    if value.layout.numel == 1 and value.layout.dtype is not x.layout.dtype:
        value = converted(value, x.layout.dtype)
    shape = x.layout.shape
    count = int(np.count_nonzero(array_of(mask)))
    require_fit(x.layout, value.layout, (*shape[:dim], count, *shape[dim + mask.layout.ndim :]))
    values = clone(value) if value.storage is x.storage else value

    def write() -> None:
        _write(array_of(x), dim, mask, array_of(values))
        x.storage.version += 1

    record = None
    if x.layout.dtype.is_floating_point or x.layout.dtype.is_complex:
        rule = PutMaskedRule(dim, value.layout)
        record = recorder(rule, [x.layout], [x.layout, value.layout, mask.layout])
    in_place(x, write, record, x, values, mask)
