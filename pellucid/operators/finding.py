"""Cells that meet a condition: where they are, and what they hold. How many there are is known only afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.dtypes import bfloat16, bool_, int64
from pellucid.errors import shape_text
from pellucid.layout import broadcast_shapes, layout_of
from pellucid.operators.arguments import require_tensor
from pellucid.operators.define import both
from pellucid.operators.indexing import deliver_same, take
from pellucid.operators.nested import from_cells
from pellucid.tensor import Tensor, array_of, empty_like_layout

Array = np.ndarray[Any, Any]


def _true_cells(x: Tensor) -> Array:
    cells = array_of(x)
    return cells != 0 if x.layout.dtype is bfloat16 else cells


def places_of(mask: Tensor) -> Tensor:
    """The numbers of the true cells in row-major order."""
    return from_cells(np.flatnonzero(_true_cells(mask)), int64)


def _coordinates(x: Tensor) -> Tensor:
    """A row of coordinates per cell that is not zero; columns lie side by side in memory."""
    cells = _true_cells(x)
    if cells.ndim == 0:
        return empty_like_layout(layout_of((int(bool(cells)), 0), (1, int(bool(cells))), int64))
    columns = np.nonzero(cells)
    n = len(columns[0])
    result = empty_like_layout(layout_of((n, len(columns)), (1, n), int64))
    if n:
        rows = array_of(result)
        for k, column in enumerate(columns):
            rows[:, k] = column
    return result


@both
def nonzero(input: Tensor, *, as_tuple: bool = False, out: Tensor | None = None) -> Any:
    """Where cells differ from zero: a row of coordinates for each, in row-major order.

    Args:
        as_tuple: a tensor per dimension instead, as an index takes them: ``input[input.nonzero(as_tuple=True)]``.

    Raises:
        RuntimeError: ``out`` together with ``as_tuple``.
    """
    require_tensor("nonzero", input)
    if out is not None:
        require_tensor("nonzero", out, "out")
    if as_tuple:
        if out is not None:
            raise RuntimeError(
                "nonzero(): does not support the out kwarg when as_tuple is True: it gives a tensor per dimension; "
                "leave out= away"
            )
        x: Any = input if input.layout.ndim else input.reshape(1)
        return _coordinates(x).unbind(1)
    result = _coordinates(input)
    if out is None:
        return result
    given: Any = out
    if given.layout.dtype is int64 and given.layout.shape != result.layout.shape:
        given.resize_(result.layout.shape[::-1]).t_()  # columns side by side, as in a result of our own
    return deliver_same(result, given, "nonzero", input)


@both
def argwhere(input: Tensor) -> Tensor:
    """Where cells differ from zero: see `nonzero`."""
    require_tensor("argwhere", input)
    return _coordinates(input)


@both
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1, out: Tensor | None = None) -> Tensor:
    """The first ``size`` rows of `nonzero`; rows of ``fill_value`` follow if there are not as many.

    Raises:
        RuntimeError: a negative size.
    """
    require_tensor("nonzero_static", input)
    if size < 0:
        raise RuntimeError(f"nonzero_static: 'size' must be an non-negative integer, but got {size}")
    found = array_of(_coordinates(input))[:size]
    rows = np.full((size, input.layout.ndim), fill_value, np.int64)
    rows[: len(found)] = found
    result = from_cells(rows, int64)
    return result if out is None else deliver_same(result, out, "nonzero_static", input)


# -- what they hold ---------------------------------------------------------------------------------------------------


@both
def masked_select(input: Tensor, mask: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The cells of ``input`` where ``mask`` is true, as a vector in row-major order; both broadcast.

    Raises:
        RuntimeError: a mask that is not boolean, or shapes that do not broadcast.
    """
    x: Any = require_tensor("masked_select", input)
    m: Any = require_tensor("masked_select", mask, "mask", 2)
    if m.layout.dtype is not bool_:
        raise RuntimeError(f"masked_select: expected BoolTensor for mask, but got {m.layout.dtype}; compare first: mask != 0")
    shape = broadcast_shapes(x.layout.shape, m.layout.shape)
    if shape is None:
        raise RuntimeError(
            f"masked_select(): The size of tensor a must match the size of tensor b at non-singleton dimensions: input "
            f"{shape_text(x.layout.shape)} and mask {shape_text(m.layout.shape)} do not broadcast"
        )
    if out is not None and require_tensor("masked_select", out, "out").layout.dtype is not x.layout.dtype:
        raise RuntimeError(
            f"masked_select(): self and result must have the same scalar type, but got {x.layout.dtype} and {out.layout.dtype}"
        )
    result = take(x.expand(shape), places_of(m.expand(shape)))
    return result if out is None else deliver_same(result, out, "masked_select", input, mask)
