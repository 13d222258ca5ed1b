"""Joining tensors: along a dimension that they have, or along a new one.

    cat, dim 0       out[i,j] = tensors[k][i - start[k], j]   for start[k] <= i < start[k+1]
    stack, dim 0     out[k,i,j] = tensors[k][i,j]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pellucid.dtypes import DType, result_dtype
from pellucid.errors import shape_text
from pellucid.formula.expr import axis, given
from pellucid.layout import Layout, dense, layout_of, selected, sliced
from pellucid.memory_format import format_of, formatted
from pellucid.operators.assembling import (
    FEW_CELLS,
    FEW_OPERANDS,
    GiveBack,
    Piece,
    assembly_plan,
    picking_plan,
)
from pellucid.operators.creation import empty, filled
from pellucid.operators.define import deliver, public, require_castable, wrap_dim
from pellucid.plan import Plan, PlanTable
from pellucid.tensor import Tensor

# -- along a dimension --------------------------------------------------------------------------------------------


def _is_nothing(x: Layout) -> bool:
    """A tensor of shape (0,), which joins with everything."""
    return x.ndim == 1 and x.numel == 0


def _cat_shape(operands: Sequence[Layout], dim: int) -> tuple[int, tuple[int, ...]]:
    """The dimension from the front, and the joined shape."""
    if not operands:
        raise ValueError("cat(): expected a non-empty list of Tensors")
    for k, x in enumerate(operands):
        if x.ndim == 0:
            raise RuntimeError(
                f"cat(): zero-dimensional tensor (at position {k}) cannot be concatenated; use stack(), or reshape(1)"
            )
    parts = [(k, x) for k, x in enumerate(operands) if not _is_nothing(x)]
    if not parts:
        return 0, (0,)
    first = parts[0][1]
    d = wrap_dim("cat", dim, first.ndim)
    for k, x in parts:
        if x.ndim != first.ndim:
            raise RuntimeError(
                f"cat(): Tensors must have same number of dimensions: got {first.ndim} and {x.ndim} (shapes "
                f"{shape_text(first.shape)} and {shape_text(x.shape)}, the latter at position {k})"
            )
        for e in range(first.ndim):
            if e != d and x.shape[e] != first.shape[e]:
                raise RuntimeError(
                    f"cat(): Sizes of tensors must match except in dimension {d}. Expected size {first.shape[e]} but "
                    f"got size {x.shape[e]} for tensor number {k} in the list: its shape is {shape_text(x.shape)}, "
                    f"that of the first is {shape_text(first.shape)}"
                )
    total = sum(x.shape[d] for _, x in parts)
    return d, (*first.shape[:d], total, *first.shape[d + 1 :])


def _cat_layout(operands: Sequence[Layout], shape: tuple[int, ...], dtype: DType) -> Layout:
    """Contiguous, or channels-last if all operands are."""
    result = dense(shape, dtype, operands[0].device)
    formats = {format_of(x) for x in operands}
    return formatted(result, formats.pop(), "cat") if len(formats) == 1 else result


def _cat_plan(dim: int, *operands: Layout) -> Plan:
    d, shape = _cat_shape(operands, dim)
    result = _cat_layout(operands, shape, result_dtype([(x.dtype, x.ndim) for x in operands]))
    pieces, gives, start = [], [], 0
    for k, x in enumerate(operands):
        length = 0 if _is_nothing(x) else x.shape[d]
        if length:
            pieces.append(Piece(k, (x, 0), sliced(result, d, start, length)))
        gives.append(_narrowing(x, d, start, length))
        start += length
    if 0 < result.numel <= FEW_CELLS and len(pieces) <= FEW_OPERANDS:
        return _small_cat_plan(result, operands, d, [p.operand for p in pieces], gives)
    return assembly_plan("CatBackward0", result, operands, pieces, gives)


def _small_cat_plan(
    result: Layout, operands: Sequence[Layout], d: int, parts: Sequence[int], gives: Sequence[GiveBack]
) -> Plan:
    """``out[i,j] = tensors[k][i - start[k], j]`` for the first k with ``i < start[k + 1]``, in one kernel."""
    here = [axis(e) for e in range(result.ndim)]
    starts: dict[str, int | float] = {}
    choices, start = [], 0
    for k in parts:
        coords = (*here[:d], here[d] - given(f"start{k}"), *here[d + 1 :])
        starts[f"start{k}"] = start
        start += operands[k].shape[d]
        starts[f"end{k}"] = start
        choices.append((k, here[d] < given(f"end{k}"), coords))
    return picking_plan("CatBackward0", result, operands, choices, starts, gives)


def _narrowing(x: Layout, dim: int, start: int, length: int) -> GiveBack:
    def give(g: Any) -> Any:
        part = g.narrow(dim, start, length)
        return (part.reshape(x.shape) if _is_nothing(x) else part).to(x.dtype)

    return give


_cats = PlanTable(_cat_plan)
_LISTS = frozenset({list, tuple})


def _operands(operator: str, tensors: Any) -> Sequence[Tensor]:
    if isinstance(tensors, Tensor) or not isinstance(tensors, tuple | list):
        raise TypeError(
            f"{operator}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}"
        )
    for k, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"{operator}(): expected Tensor as element {k} in argument 0, but got {type(t).__name__}")
    return tensors


@public
def cat(
    tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None, axis: int | None = None
) -> Tensor:
    """Tensors one after the other along ``dim``: they have equal sizes elsewhere. Dtypes are promoted.

    Tensors of shape (0,) are left out.

    Raises:
        RuntimeError: sizes that differ outside ``dim``, tensors without dimensions. ValueError: nothing to join.
    """
    if axis is not None:
        dim = axis
    try:
        if out is None and type(dim) is int and type(tensors) in _LISTS:
            return _cats[(dim, *[t.layout for t in tensors])](*tensors)
    except (AttributeError, TypeError):
        _operands("cat", tensors)
        raise
    if type(dim) is not int:
        raise TypeError(f"cat(): argument 'dim' must be int, not {type(dim).__name__}")
    operands = _operands("cat", tensors)
    if operands and isinstance(out, Tensor):
        _require_room("cat", result_dtype([(t.layout.dtype, t.layout.ndim) for t in operands]), out)
    return deliver(cat(operands, dim), out, "cat")


def _require_room(operator: str, wanted: DType, out: Tensor) -> None:
    """Joining complains about the dtype of ``out`` with TypeError where other operators raise RuntimeError."""
    try:
        require_castable(operator, wanted, out.layout.dtype)
    except RuntimeError as error:
        raise TypeError(str(error)) from None


public(cat, "concat")
public(cat, "concatenate")


# -- along a new dimension ----------------------------------------------------------------------------------------


def _stack_plan(dim: int, *operands: Layout) -> Plan:
    first = operands[0]
    d = wrap_dim("stack", dim, first.ndim + 1)
    for k, x in enumerate(operands):
        if x.shape != first.shape:
            raise RuntimeError(
                f"stack(): stack expects each tensor to be equal size, but got {list(first.shape)} at entry 0 and "
                f"{list(x.shape)} at entry {k}; use cat() for tensors that differ along one dimension"
            )
    dtype = result_dtype([(x.dtype, x.ndim) for x in operands])
    result = dense((*first.shape[:d], len(operands), *first.shape[d:]), dtype, first.device)
    pieces = [Piece(k, (x, 0), selected(result, d, k)) for k, x in enumerate(operands)]
    gives = [_selecting(x, d, k) for k, x in enumerate(operands)]
    if 0 < result.numel <= FEW_CELLS and len(operands) <= FEW_OPERANDS:
        here = [axis(e) for e in range(result.ndim)]
        coords = (*here[:d], *here[d + 1 :])
        choices = [(k, here[d].equals(k), coords) for k in range(len(operands))]
        return picking_plan("StackBackward0", result, operands, choices, {}, gives)
    return assembly_plan("StackBackward0", result, operands, pieces, gives)


def _selecting(x: Layout, dim: int, index: int) -> GiveBack:
    return lambda g: g.select(dim, index).to(x.dtype)


_stacks = PlanTable(_stack_plan)


@public
def stack(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None, axis: Any = None) -> Tensor:
    """Tensors of one shape side by side along a new dimension: ``out[k,i,j] = tensors[k][i,j]`` (here ``dim=0``).

    Raises:
        RuntimeError: shapes that differ, or nothing to stack.
    """
    dim = dim if axis is None else axis
    if type(tensors) not in _LISTS:
        tensors = _operands("stack", tensors)
    try:
        result = _stacks[(dim, *[t.layout for t in tensors])](*tensors)
    except (AttributeError, TypeError):
        _operands("stack", tensors)
        raise
    except IndexError:
        if not len(tensors):
            raise RuntimeError("stack expects a non-empty TensorList") from None
        raise
    if isinstance(out, Tensor):
        _require_room("stack", result.layout.dtype, out)
    return result if out is None else deliver(result, out, "stack")


# -- after a change of shape --------------------------------------------------------------------------------------


def _joined(operator: str, tensors: Any, shaped: Callable[[Tensor], Tensor], dim: int, out: Tensor | None) -> Tensor:
    operands = _operands(operator, tensors)
    if not operands:
        raise RuntimeError(f"{operator} expects a non-empty TensorList")
    return cat([shaped(t) for t in operands], dim, out=out)


def _at_least_2d(t: Any) -> Any:
    return t.reshape(1, -1) if t.layout.ndim < 2 else t


def _at_least_3d(t: Any) -> Any:
    if t.layout.ndim == 2:
        return t.unsqueeze(2)
    return t.reshape(1, -1, 1) if t.layout.ndim < 2 else t


def _as_columns(t: Any) -> Any:
    return t.reshape(-1, 1) if t.layout.ndim < 2 else t


@public
def hstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Side by side: joined along dim 1; tensors of fewer than two dimensions along dim 0."""
    operands = _operands("hstack", tensors)
    flat = bool(operands) and operands[0].layout.ndim < 2
    return _joined("hstack", tensors, lambda t: t.reshape(1) if t.layout.ndim == 0 else t, 0 if flat else 1, out)


@public
def vstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """On top of each other: joined along dim 0; vectors are rows."""
    return _joined("vstack", tensors, _at_least_2d, 0, out)


public(vstack, "row_stack")


@public
def dstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Behind each other: joined along dim 2; vectors have shape (1, n, 1), matrices (m, n, 1)."""
    return _joined("dstack", tensors, _at_least_3d, 2, out)


@public
def column_stack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Side by side: joined along dim 1; vectors are columns."""
    return _joined("column_stack", tensors, _as_columns, 1, out)


# -- blocks along the diagonal ------------------------------------------------------------------------------------


def _block_plan(*operands: Layout) -> Plan:
    sizes = [(1, x.numel) if x.ndim < 2 else tuple(x.shape) for x in operands]
    dtype = result_dtype([(x.dtype, max(x.ndim, 1)) for x in operands])
    result = dense((sum(r for r, _ in sizes), sum(c for _, c in sizes)), dtype, operands[0].device)
    pieces, gives, row, column = [], [], 0, 0
    for k, (x, (rows, columns)) in enumerate(zip(operands, sizes, strict=True)):
        inside, start = sliced(result, 0, row, rows)
        target, further = sliced(inside, 1, column, columns)
        source = x if x.ndim == 2 else layout_of((1, columns), (0, x.strides[0] if x.ndim else 0), x.dtype, x.device)
        pieces.append(Piece(k, (source, 0), (target, start + further)))
        gives.append(_block(x, row, rows, column, columns))
        row, column = row + rows, column + columns
    plan = assembly_plan("BlockDiagBackward0", result, operands, pieces, gives)
    return lambda *tensors: plan(*tensors, out=filled(result, 0))


def _block(x: Layout, row: int, rows: int, column: int, columns: int) -> GiveBack:
    return lambda g: g.narrow(0, row, rows).narrow(1, column, columns).reshape(x.shape).to(x.dtype)


_blocks = PlanTable(_block_plan)


@public
def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with the tensors as blocks along its diagonal, zero elsewhere; vectors are rows.

    Raises:
        RuntimeError: a tensor of more than two dimensions.
    """
    if len(tensors) == 1 and isinstance(tensors[0], tuple | list):
        tensors = tuple(tensors[0])
    if not tensors:
        return empty(1, 0)
    _operands("block_diag", tensors)
    for k, t in enumerate(tensors):
        if t.layout.ndim > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {k} has {t.layout.ndim} "
                f"dimensions (shape {shape_text(t.layout.shape)})"
            )
    return _blocks[tuple([t.layout for t in tensors])](*tensors)
