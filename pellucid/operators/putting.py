"""Writing cells by their number in row-major order.

    put               out = x;  out.flatten()[index[p]] = source[p]
    masked_scatter    out = x;  the true cells of the mask take the cells of the source in turn
"""

from __future__ import annotations

from typing import Any

from pellucid.dtypes import bool_
from pellucid.errors import shape_text
from pellucid.formula.expr import load
from pellucid.formula.formula import Scatter
from pellucid.layout import Layout, broadcast_shapes, dense, like, overlaps_itself
from pellucid.operators.arguments import require_tensor
from pellucid.operators.copying import clone
from pellucid.operators.define import both, key_of, method
from pellucid.operators.finding import places_of
from pellucid.operators.indexing import Bounds, flat_coordinates, require_apart, require_long
from pellucid.operators.writing import Write, WriteRule, merging, number_expr
from pellucid.plan import Operand, PlanTable
from pellucid.tensor import Tensor

# -- put --------------------------------------------------------------------------------------------------------------


class Numbered:
    """Each value goes to the cell whose number the index names; negative ones count from the end."""

    def pick(self, t: Any, index: Any) -> Any:
        return t.take(index)

    def write(self, t: Any, index: Any, value: Any, op: str | None) -> Any:
        return _writes[op, t.layout, index.layout, key_of(value)].fresh(t, index, value)


def _plan(op: str | None, x: Layout, index: Layout, source: Operand) -> Any:
    coords, numbers = flat_coordinates(load(1, index.dtype), tuple(x.shape) or (1,))
    value = load(0, source.dtype) if isinstance(source, Layout) else number_expr(source, x.dtype)
    formula = Scatter("put", index.ndim, coords if x.ndim else (), value, merging(op, x.dtype))
    bounds = Bounds("put_", 0, x.numel, IndexError, from_end=True)
    rule = WriteRule("PutBackward0", Numbered(), op, source)
    result = like(x) if x.ndim else dense((), x.dtype)
    return Write(bounds, x, index, source, formula, tuple(index.shape), rule, result=result, given=numbers)


_writes: dict[Any, Any] = PlanTable(_plan)


def _prepared(operator: str, x: Any, index: Any, source: Any, accumulate: bool) -> tuple[Any, Any]:
    """The write, and the source in the shape of the index."""
    require_tensor(operator, x)
    require_tensor(operator, index, "index", 2)
    require_tensor(operator, source, "source", 3)
    if source.layout.dtype is not x.layout.dtype:
        raise RuntimeError(
            f"{operator}(): self and source expected to have the same dtype, but got self.dtype = "
            f"{x.layout.dtype.scalar_name} and source.dtype = {source.layout.dtype.scalar_name}"
        )
    require_long(operator, index.layout)
    if source.layout.numel != index.layout.numel:
        raise IndexError(
            f"{operator}(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{source.layout.numel}, index.numel() = {index.layout.numel}"
        )
    if x.layout.numel == 0 and index.layout.numel:
        raise IndexError(f"{operator}(): Tried to put elements into an empty tensor of shape {shape_text(x.layout.shape)}")
    if source.layout.shape != index.layout.shape:
        source = source.reshape(index.layout.shape)
    op = "sum" if accumulate else None
    return _writes[op, x.layout, index.layout, source.layout], source


@both
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of ``input`` with ``out.flatten()[index[p]] = source[p]``, or ``+=`` with ``accumulate``; a negative
    index counts from the end, and of several writes to a cell the last one stays.

    Raises:
        IndexError: an index outside of the tensor, or not as many as cells of the source.
        RuntimeError: an index that is not int64, or a source of another dtype.
    """
    write, source = _prepared("put", input, index, source, accumulate)
    return write.fresh(input, index, source)


@method
def put_(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """In-place form of `put`; nothing is written if an index is outside."""
    write, source = _prepared("put_", input, index, source, accumulate)
    return write.into(input, index, source)


# -- masked_scatter ---------------------------------------------------------------------------------------------------


def _masked_places(operator: str, x: Any, mask: Any, source: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """The numbers of the cells that are written, and what goes there."""
    if mask.layout.dtype is not bool_:
        raise RuntimeError(
            f"{operator}(): masked_scatter_ only supports boolean masks, but got mask with dtype "
            f"{mask.layout.dtype.scalar_name}; compare first: mask != 0"
        )
    if source.layout.dtype is not x.layout.dtype:
        raise RuntimeError(
            f"{operator}(): expected self and source to have same dtypes but got {x.layout.dtype.scalar_name} and "
            f"{source.layout.dtype.scalar_name}"
        )
    places: Any = places_of(mask.expand(shape))
    n = places.layout.numel
    if source.layout.numel < n:
        raise RuntimeError(
            f"{operator}(): Number of elements of source < number of ones in mask: {source.layout.numel} < {n}"
        )
    return places, source.reshape(-1)[:n]


def _require_tensors(operator: str, *tensors: Any) -> None:
    for k, name in enumerate(("input", "mask", "source")):
        require_tensor(operator, tensors[k], name, k + 1)


@both
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy of ``input`` in which the true cells of ``mask`` (row-major order) take the cells of ``source`` in turn.

    Raises:
        RuntimeError: a mask that is not boolean, a source of another dtype or with too few cells.
    """
    _require_tensors("masked_scatter", input, mask, source)
    shape = broadcast_shapes(input.layout.shape, mask.layout.shape)
    if shape is None:
        raise RuntimeError(
            "masked_scatter(): The size of tensor a must match the size of tensor b at non-singleton dimensions: input "
            f"{shape_text(input.layout.shape)} and mask {shape_text(mask.layout.shape)} do not broadcast"
        )
    x: Any = input
    places, cells = _masked_places("masked_scatter", x, mask, source, shape)
    return put_(clone(x.expand(shape)) if x.layout.shape != shape else clone(x), places, cells)


@method
def masked_scatter_(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """In-place form of `masked_scatter`; the mask must broadcast to the tensor's shape."""
    _require_tensors("masked_scatter_", input, mask, source)
    if overlaps_itself(input.layout):
        require_apart("masked_scatter_", input, ())
    shape = tuple(input.layout.shape)
    if broadcast_shapes(shape, mask.layout.shape) != shape:
        raise RuntimeError(
            f"masked_scatter_(): the mask {shape_text(mask.layout.shape)} cannot be expanded to the tensor's shape "
            f"{shape_text(shape)}: the number of sizes provided must be greater or equal to the number of dimensions"
        )
    places, cells = _masked_places("masked_scatter_", input, mask, source, shape)
    return put_(input, places, cells)
