"""Folds over dimensions: sums, products, means, extremes' values, counts and tests.

    sum over dim 1 of three    out[i,k] = sum_j x[i,j,k]

All of them take one dimension, several or none (all), and ``keepdim``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pellucid.dtypes import DType, bool_, int64, require_dtype, uint8
from pellucid.formula.expr import Expr, given, is_nan, node, select
from pellucid.formula.formula import Fold, Formula, Output, folding
from pellucid.layout import Layout
from pellucid.operators.arguments import require_out_dtype
from pellucid.operators.define import both, deliver
from pellucid.operators.joining import cat
from pellucid.operators.rows import (
    Dims,
    Walk,
    WrittenRule,
    accumulator,
    deliver_same,
    fold_plan,
    hashable,
    is_inexact,
    not_tensor,
    numpy_names,
    reduced_dims,
    with_dims,
)
from pellucid.plan import Plan, PlanTable
from pellucid.tensor import Tensor

Change = Callable[[Expr], Expr]


def folded_as(operator: str, dtype: DType | None, out: Any) -> DType | None:
    """The dtype to fold in: that of ``out``, if there is one.

    Raises:
        RuntimeError: another one was asked for.
    """
    if not isinstance(out, Tensor):
        return dtype
    require_out_dtype(operator, out, dtype and require_dtype(dtype, operator))
    return out.layout.dtype


def unchanged(e: Expr) -> Expr:
    return e


def fold_formula(name: str, op: str, walk: Walk, element: Expr, finish: Change = unchanged) -> Formula:
    """One value per cell of the row, merged by ``op``; ``finish`` makes the result of the total."""
    fold = Fold(folding(op, element.dtype), (element,), 0)
    return Formula(name, walk.rank, (Output(finish(fold.states[0]), False, walk.axes),), walk.row, (fold,))


def cells_of(x: Layout, dims: tuple[int, ...]) -> int:
    """How many cells are merged into one."""
    n = 1
    for d in dims:
        n *= x.shape[d]
    return n


def spread_rule(name: str, x: Layout, dims: tuple[int, ...], keepdim: bool, form: int, cells: int | None = None) -> WrittenRule:
    """The derivative of a sum: every cell gets the gradient of its total, as a view (divided by ``cells``)."""

    def gradient(grad: Any) -> Any:
        if cells is not None:
            grad = grad / cells
        if grad.layout.dtype is not x.dtype:
            grad = grad.to(x.dtype)
        return with_dims(grad, dims, keepdim, x.ndim).expand(x.shape)

    return WrittenRule(name, (), gradient, form=form)


# -- sums and means ---------------------------------------------------------------------------------------------------


def summed_dtype(x: Layout, dtype: DType | None) -> DType:
    """The dtype of a sum: integers and booleans are summed in int64."""
    return dtype or (x.dtype if is_inexact(x.dtype) else int64)


def _sum_plan(x: Layout, dim: Dims, keepdim: bool, dtype: DType | None) -> Plan:
    dims = reduced_dims("sum", dim, x.ndim)
    result = summed_dtype(x, dtype and require_dtype(dtype, "sum"))

    def formula_of(walk: Walk) -> Formula:
        element = walk.element(x.dtype).cast(result).cast(accumulator(result))
        return fold_formula("sum", "sum", walk, element, lambda total: total.cast(result))

    return fold_plan(formula_of, x, dims, keepdim, rule=spread_rule("sum", x, dims, keepdim, int(dim is not None)))


_sums = PlanTable(_sum_plan)


@both
def sum(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None,
    out: Tensor | None = None, axis: Dims = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """Sums: ``out[i] = sum_j input[i,j]`` over ``dim`` (an int, several, or all). Integers and booleans give int64.

    Raises:
        IndexError: there is no such dimension.
        RuntimeError: a dimension is named twice.
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    if type(dim) is list:
        dim = tuple(dim)
    if out is not None:
        dtype = folded_as("sum", dtype, out)
    try:
        result = _sums[input.layout, dim, keepdim, dtype](input)
    except AttributeError:
        if isinstance(input, Tensor):
            raise
        not_tensor("sum", input)
    return result if out is None else deliver(result, out, "sum")


def _mean_plan(x: Layout, dim: Dims, keepdim: bool, dtype: DType | None) -> Plan:
    dims = reduced_dims("mean", dim, x.ndim)
    result = (dtype and require_dtype(dtype, "mean")) or x.dtype
    if not is_inexact(result):
        whose = "Input" if dtype is None else "Optional"
        raise RuntimeError(
            f"mean(): could not infer output dtype. {whose} dtype must be either a floating point or complex dtype. "
            f"Got: {result.scalar_name}. Use mean(dtype=torch.float32)."
        )
    cells = cells_of(x, dims)

    def formula_of(walk: Walk) -> Formula:
        element = walk.element(x.dtype).cast(result).cast(accumulator(result))
        finish: Change = lambda total: (total / given("n").cast(total.dtype)).cast(result)  # noqa: E731
        return fold_formula("mean", "sum", walk, element, finish)

    rule = spread_rule("mean", x, dims, keepdim, int(dim is not None), max(cells, 1))
    return fold_plan(formula_of, x, dims, keepdim, rule=rule, given={"n": cells})


_means = PlanTable(_mean_plan)


@both
def mean(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None,
    out: Tensor | None = None, axis: Dims = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """Means: ``out[i] = sum_j input[i,j] / n`` over ``dim`` (an int, several, or all); NaN if there is no cell.

    Raises:
        RuntimeError: integers and booleans without a ``dtype=`` that can hold a mean.
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    result = _table(_means, "mean", input, hashable(dim), keepdim, dtype)
    return result if out is None else deliver(result, out, "mean")


def _table(plans: PlanTable, operator: str, input: Any, *arguments: Any) -> Any:
    """The plan for this tensor and these static arguments, applied."""
    if not isinstance(input, Tensor):
        not_tensor(operator, input)
    return plans[(input.layout, *arguments)](input)


def _nansum_plan(x: Layout, dim: Dims, keepdim: bool, dtype: DType | None) -> Plan:
    dims = reduced_dims("nansum", dim, x.ndim)
    if x.dtype.is_complex:
        raise RuntimeError(f"nansum(): does not support complex inputs, got {x.dtype}; sum the real and imag parts")
    result = summed_dtype(x, dtype and require_dtype(dtype, "nansum"))

    def formula_of(walk: Walk) -> Formula:
        element = walk.element(x.dtype)
        if x.dtype.is_floating_point:
            element = element.cast(accumulator(x.dtype))
            element = select(is_nan(element), 0.0, element)
        element = element.cast(result).cast(accumulator(result))
        return fold_formula("nansum", "sum", walk, element, lambda total: total.cast(result))

    return fold_plan(formula_of, x, dims, keepdim)


_nansums = PlanTable(_nansum_plan)


@both
def nansum(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None, out: Tensor | None = None,
    axis: Dims = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """Sums in which a NaN counts as 0."""
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    dtype = folded_as("nansum", dtype, out)
    result = _table(_nansums, "nansum", input, hashable(dim), keepdim, dtype)
    return result if out is None else deliver(result, out, "nansum")


@both
def nanmean(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None, out: Tensor | None = None,
    axis: Dims = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """Means of the cells that are not NaN; NaN where there is none.

    Raises:
        RuntimeError: the input is neither floating point nor complex.
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    if not is_inexact(input.layout.dtype):
        raise RuntimeError(f"nanmean(): expected input to have floating point or complex dtype but got {input.dtype}")
    x: Any = input
    counted = (x == x).sum(dim, keepdim)
    result = nansum(input, dim, keepdim, dtype=dtype) / counted
    return result if out is None else deliver(result, out, "nanmean")


# -- products ---------------------------------------------------------------------------------------------------------


def _prod_plan(x: Layout, dim: int | None, keepdim: bool, dtype: DType | None) -> Plan:
    if dim is not None and (isinstance(dim, bool) or not hasattr(dim, "__index__")):
        raise TypeError(f"prod(): argument 'dim' must be int, not {type(dim).__name__}: one dimension at a time")
    dims = reduced_dims("prod", dim, x.ndim)
    result = summed_dtype(x, dtype and require_dtype(dtype, "prod"))

    def formula_of(walk: Walk) -> Formula:
        element = walk.element(x.dtype).cast(result).cast(accumulator(result))
        return fold_formula("prod", "prod", walk, element, lambda total: total.cast(result))

    rule = WrittenRule("prod", (1, 0), partial(_prod_gradient, x, dims, keepdim), form=int(dim is not None))
    return fold_plan(formula_of, x, dims, keepdim, rule=rule)


def _prod_gradient(layout: Layout, dims: tuple[int, ...], keepdim: bool, grad: Any, x: Any, result: Any) -> Any:
    """The product of all the others: by division, or, where there are zeros, of those before and those after."""
    if grad.layout.dtype is not layout.dtype:
        grad, result = grad.to(layout.dtype), result.to(layout.dtype)
    grad, result = (with_dims(t, dims, keepdim, layout.ndim) for t in (grad, result))
    if not bool((x == 0).any()):
        return grad * (result / x).conj() if layout.dtype.is_complex else grad * result / x
    dim = dims[0] if len(dims) == 1 else None
    flat = x.reshape(-1) if dim is None else x
    others = _product_of_others(flat, 0 if dim is None else dim).reshape(layout.shape)
    return grad * (others.conj() if layout.dtype.is_complex else others)


def _product_of_others(x: Any, dim: int) -> Any:
    n = x.shape[dim]
    one = x.new_ones([1 if d == dim else m for d, m in enumerate(x.shape)])
    before: Any = cat([one, x.narrow(dim, 0, n - 1)], dim)
    after: Any = cat([one, x.narrow(dim, 1, n - 1).flip(dim)], dim)
    return before.cumprod(dim) * after.cumprod(dim).flip(dim)


_prods = PlanTable(_prod_plan)


@both
def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: DType | None = None,
    out: Tensor | None = None, axis: Dims = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """Products over one dimension or all: ``out[i] = prod_j input[i,j]``. Integers and booleans give int64."""
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    dtype = folded_as("prod", dtype, out)
    result = _table(_prods, "prod", input, dim, keepdim, dtype)
    return result if out is None else deliver(result, out, "prod")


# -- tests and counts -------------------------------------------------------------------------------------------------


def _test_plan(name: str, x: Layout, dim: Dims, keepdim: bool) -> Plan:
    dims = reduced_dims(name, dim, x.ndim, empty=False)
    result = uint8 if x.dtype is uint8 else bool_

    def formula_of(walk: Walk) -> Formula:
        element = _nonzero(walk.element(x.dtype))
        return fold_formula(name, name, walk, element, lambda found: found.cast(result))

    return fold_plan(formula_of, x, dims, keepdim)


def _nonzero(e: Expr) -> Expr:
    if e.dtype.is_complex:
        part = e.dtype.to_real()
        return node("real", (e,), part).differs(0.0) | node("imag", (e,), part).differs(0.0)
    return e.cast(bool_)


_tests = PlanTable(_test_plan)


def _delivered_test(result: Any, out: Tensor, operator: str) -> Tensor:
    """``out``, which may be boolean or uint8."""
    if isinstance(out, Tensor) and out.layout.dtype in (bool_, uint8):
        result = result.to(out.layout.dtype)
    return deliver_same(result, out, operator)


@both
def all(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, out: Tensor | None = None,
    axis: Dims = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """Whether every cell differs from zero; True where there is none. uint8 gives uint8, as in PyTorch."""
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    if not isinstance(input, Tensor):
        not_tensor("all", input)
    result = _tests["all", input.layout, hashable(dim), keepdim](input)
    return result if out is None else _delivered_test(result, out, "all")


@both
def any(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, out: Tensor | None = None,
    axis: Dims = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """Whether some cell differs from zero; False where there is none. uint8 gives uint8, as in PyTorch."""
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    if not isinstance(input, Tensor):
        not_tensor("any", input)
    result = _tests["any", input.layout, hashable(dim), keepdim](input)
    return result if out is None else _delivered_test(result, out, "any")


def _count_plan(x: Layout, dim: Dims) -> Plan:
    dims = reduced_dims("count_nonzero", dim, x.ndim)

    def formula_of(walk: Walk) -> Formula:
        return fold_formula("count_nonzero", "sum", walk, _nonzero(walk.element(x.dtype)).cast(int64))

    return fold_plan(formula_of, x, dims, False)


_counts = PlanTable(_count_plan)


@both
def count_nonzero(input: Tensor, dim: Dims = None, *, axis: Dims = None) -> Tensor:
    """How many cells differ from zero, as int64."""
    return _table(_counts, "count_nonzero", input, hashable(dim if axis is None else axis))
