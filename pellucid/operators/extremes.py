"""The largest and the smallest: their values, their positions, and both at once.

    values[i] = max_j x[i,j],   indices[i] = the first j with x[i,j] = values[i]

A NaN beats every number. Ties go to the first cell; gradients of ties are shared where no position is named.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pellucid.autograd.derived import differentiable_plan
from pellucid.dtypes import bool_, int64
from pellucid.errors import shape_text
from pellucid.formula.expr import Expr, axis, const, is_nan, load, select, size
from pellucid.formula.formula import Fold, Formula, Output, folding, locating
from pellucid.layout import Layout, dense
from pellucid.operators.define import both, deliver, wrap_dim
from pellucid.operators.rows import (
    Dims,
    Walk,
    WrittenRule,
    accumulator,
    deliver_same,
    delivered_same,
    fold_plan,
    hashable,
    not_tensor,
    numpy_names,
    reduced_dims,
    walk_over,
)
from pellucid.operators.selecting import larger, smaller
from pellucid.plan import Plan, PlanTable
from pellucid.return_types import return_type
from pellucid.tensor import Tensor

# -- what may be compared ---------------------------------------------------------------------------------------------


def require_ordered(operator: str, x: Layout) -> None:
    if x.dtype.is_complex:
        raise NotImplementedError(
            f'"{operator}" not implemented for \'{x.dtype.scalar_name}\': complex numbers have no order; '
            "compare x.abs() or x.real"
        )


def require_cells(operator: str, x: Layout, dims: tuple[int, ...], whole: type[Exception] = RuntimeError) -> None:
    """A fold without a neutral element needs a cell in every row.

    Raises:
        IndexError: a named dimension is empty.
        ``whole``: all dimensions are folded and there is no cell.
    """
    if x.numel or not any(x.shape[d] == 0 for d in dims):
        return
    if len(dims) == x.ndim > 1:
        raise whole(
            f"{operator}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
            f"with the 'dim' argument; input has shape {shape_text(x.shape)}"
        )
    empty = next(d for d in dims if x.shape[d] == 0)
    raise IndexError(
        f"{operator}(): Expected reduction dim {empty} to have non-zero size; input has shape {shape_text(x.shape)}"
    )


def require_any_cell(operator: str, x: Layout, kind: type[Exception]) -> None:
    if x.numel == 0:
        raise kind(
            f"{operator}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
            "with the 'dim' argument."
        )


# -- values -----------------------------------------------------------------------------------------------------------


def _value_plan(name: str, op: str, x: Layout, dim: Dims, keepdim: bool) -> Plan:
    dims = reduced_dims(name, dim, x.ndim)
    require_ordered(name, x)
    if dim is None or dim == ():
        require_any_cell(name, x, RuntimeError)
    require_cells(name, x, dims)

    def formula_of(walk: Walk) -> Formula:
        inner = accumulator(x.dtype)
        fold = Fold(folding(op, inner), (walk.element(x.dtype).cast(inner),), 0)
        return Formula(name, walk.rank, (Output(fold.states[0].cast(x.dtype), False, walk.axes),), walk.row, (fold,))

    form = int(name in ("max", "min"))  # their form 0 is the one along a dimension
    rule = WrittenRule(name, (1, 0), partial(share, dims, keepdim, nan=bool(form)), form=form)
    return fold_plan(formula_of, x, dims, keepdim, rule=rule)


_values = PlanTable(_value_plan)


def share(dims: tuple[int, ...], keepdim: bool, grad: Any, x: Any, result: Any, *, nan: bool = True) -> Any:
    """The gradient of an extreme, in equal shares to all the cells that have its value. ``nan``: NaN is a value, too
    (otherwise all shares are NaN then)."""
    return _shares[grad.layout, x.layout, result.layout, dims, keepdim, nan](grad, x, result)


def _share_plan(grad: Layout, x: Layout, result: Layout, dims: tuple[int, ...], keepdim: bool, nan: bool) -> Plan:
    walk = walk_over(x, dims, keepdim)
    where = tuple(axis(a) if a >= 0 else const(0, int64) for a in walk.axes)
    cell, extreme = walk.element(x.dtype, 1), load(2, x.dtype, where)
    hit = cell.equals(extreme)
    if nan:
        hit = hit | (is_nan(cell) & is_nan(extreme))
    fold = Fold(folding("sum", int64), (hit.cast(int64),), 0, constant=True)
    place = tuple(c.data for c in walk.coords)
    value = Output(select(hit, load(0, grad.dtype, where), 0.0) / fold.states[0].cast(grad.dtype), True, place)
    formula = Formula("share", walk.rank, (value,), walk.row, (fold,))
    return differentiable_plan(formula, (grad, x, result), walk.sizes, [dense(x.shape, x.dtype)])


_shares = PlanTable(_share_plan)


@both
def amax(
    input: Tensor, dim: Dims = (), keepdim: bool = False, *, out: Tensor | None = None, axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """The largest cells over one dimension, several, or all; a NaN wins. Equal cells share the gradient.

    Raises:
        IndexError: a dimension is empty or does not exist.
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    if not isinstance(input, Tensor):
        not_tensor("amax", input)
    result = _values["amax", "max", input.layout, hashable(dim), keepdim](input)
    return result if out is None else deliver_same(result, out, "amax")


@both
def amin(
    input: Tensor, dim: Dims = (), keepdim: bool = False, *, out: Tensor | None = None, axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """The smallest cells over one dimension, several, or all; a NaN wins. Equal cells share the gradient.

    Raises:
        IndexError: a dimension is empty or does not exist.
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    if not isinstance(input, Tensor):
        not_tensor("amin", input)
    result = _values["amin", "min", input.layout, hashable(dim), keepdim](input)
    return result if out is None else deliver_same(result, out, "amin")


aminmax_result = return_type("aminmax", "min", "max")


@both
def aminmax(
    input: Tensor, *, dim: int | None = None, keepdim: bool = False, out: tuple[Tensor, Tensor] | None = None,
    axis: int | None = None, keepdims: bool = False,
) -> Any:  # fmt: skip
    """The smallest and the largest cells, as a pair (min, max)."""
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    dims: Dims = () if dim is None else dim
    low, high = amin(input, dims, keepdim), amax(input, dims, keepdim)
    return aminmax_result(delivered_same((low, high), out, "aminmax"))


# -- values with positions --------------------------------------------------------------------------------------------


def flat_index(walk: Walk) -> Expr:
    """The row-major number of a cell in its row."""
    index = axis(walk.rank)
    for a in range(walk.rank + 1, len(walk.sizes)):
        index = index * size(a) + axis(a)
    return index


def _located(name: str, op: str, x: Layout, with_values: bool, walk: Walk) -> Formula:
    inner = int64 if x.dtype is bool_ else accumulator(x.dtype)
    fold = Fold(locating(op, inner), (walk.element(x.dtype).cast(inner), flat_index(walk)), 0)
    value, index = fold.states
    outputs = (Output(value.cast(x.dtype), False, walk.axes),) if with_values else ()
    return Formula(name, walk.rank, (*outputs, Output(index, False, walk.axes)), walk.row, (fold,))


def _pair_plan(op: str, x: Layout, dim: int, keepdim: bool) -> Plan:
    d = wrap_dim(op, dim, x.ndim)
    require_ordered(op, x)
    if x.shape and x.shape[d] == 0:
        require_cells(op, x, (d,))
    dims = (d,) if x.ndim else ()
    rule = WrittenRule(op, (1,), partial(to_index, x, d, keepdim), results=2)
    return fold_plan(partial(_located, op, op, x, True), x, dims, keepdim, rule=rule, ordered=True)


_pairs = PlanTable(_pair_plan)


def to_index(x: Layout, d: int, keepdim: bool, grad: Any, index: Any) -> Any:
    """The gradient of a picked cell, at its place; zeros elsewhere."""
    if x.ndim == 0:
        return grad
    return _placed[x, d, keepdim, grad.layout, index.layout](grad, index)


def _placed_plan(x: Layout, d: int, keepdim: bool, grad: Layout, index: Layout) -> Plan:
    walk = walk_over(x, (d,), keepdim)
    coords = tuple(axis(k) for k in range(x.ndim))
    where = tuple(const(0, int64) if k == d else c for k, c in enumerate(coords))
    where = where if keepdim else where[:d] + where[d + 1 :]
    here = coords[d].equals(load(1, int64, where))
    value = select(here, load(0, grad.dtype, where), 0.0)
    formula = Formula("place", x.ndim, (Output(value),))
    assert walk.shape == grad.shape
    return differentiable_plan(formula, (grad, index), tuple(x.shape), [dense(x.shape, grad.dtype)])


_placed = PlanTable(_placed_plan)


def _all_plan(op: str, x: Layout) -> Plan:
    require_ordered(f"{op}_all", x)
    require_any_cell(op, x, RuntimeError)
    return _value_plan(op, op, x, None, False)


_whole = PlanTable(_all_plan)

max_result = return_type("max", "values", "indices")
min_result = return_type("min", "values", "indices")


def _extreme(op: str, pair: Any, two: Callable[..., Any], input: Any, dim: Any, keepdim: bool, out: Any) -> Any:
    if not isinstance(input, Tensor):
        not_tensor(op, input)
    if dim is None:
        return deliver(_whole[op, input.layout](input), out, op)
    if isinstance(dim, Tensor):
        return two(input, dim, out=out)
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise TypeError(
            f"{op}() received an invalid combination of arguments: dim must be an int or a tensor, not "
            f"{type(dim).__name__}; use a{op} for several dimensions"
        )
    return pair(delivered_same(_pairs[op, input.layout, dim, keepdim](input), out, op))


@both
def max(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None, out: Any = None,
    axis: Dims = None, keepdims: bool = False,
) -> Any:  # fmt: skip
    """``max(x)``: the largest cell. ``max(x, dim)``: (values, indices) along a dimension, the first of equals.
    ``max(x, other)``: the larger ones, cell by cell.

    Raises:
        IndexError: the dimension is empty or does not exist.
        RuntimeError: there is no cell at all.
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    return _extreme("max", max_result, larger, input, dim if other is None else other, keepdim, out)


@both
def min(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None, out: Any = None,
    axis: Dims = None, keepdims: bool = False,
) -> Any:  # fmt: skip
    """``min(x)``: the smallest cell. ``min(x, dim)``: (values, indices) along a dimension, the first of equals.
    ``min(x, other)``: the smaller ones, cell by cell.

    Raises:
        IndexError: the dimension is empty or does not exist.
        RuntimeError: there is no cell at all.
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    return _extreme("min", min_result, smaller, input, dim if other is None else other, keepdim, out)


def _arg_plan(op: str, x: Layout, dim: int | None, keepdim: bool) -> Plan:
    for bad, what in ((x.dtype.is_complex, "complex"), (x.dtype is bool_, "bool")):
        if bad:
            raise RuntimeError(f"arg{op}(): does not support {what} input; convert it, for example with .int()")
    if dim is None:
        require_any_cell(f"arg{op}", x, IndexError)
        dims = tuple(range(x.ndim))
    else:
        dims = (wrap_dim(f"arg{op}", dim, x.ndim),) if x.ndim else reduced_dims(f"arg{op}", dim, 0)
        require_cells(f"arg{op}", x, dims)
    return fold_plan(partial(_located, f"arg{op}", op, x, False), x, dims, keepdim, ordered=True)


_places = PlanTable(_arg_plan)


@both
def argmax(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Tensor | None = None,
    axis: Dims = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """The position of the largest cell along ``dim`` (of all cells in row-major order without it); the first of
    equals, the first NaN if there is one."""
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    if not isinstance(input, Tensor):
        not_tensor("argmax", input)
    result = _places["max", input.layout, dim, keepdim](input)
    return result if out is None else deliver_same(result, out, "argmax")


@both
def argmin(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Tensor | None = None,
    axis: Dims = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """The position of the smallest cell along ``dim`` (of all cells in row-major order without it); the first of
    equals, the first NaN if there is one."""
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    if not isinstance(input, Tensor):
        not_tensor("argmin", input)
    result = _places["min", input.layout, dim, keepdim](input)
    return result if out is None else deliver_same(result, out, "argmin")
