"""Spread: variance and standard deviation, alone or with the mean.

    var    m[i] = mean_j x[i,j];   out[i] = sum_j (x[i,j] - m[i])^2 / (n - correction)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from warnings import warn

from pellucid.dtypes import float64
from pellucid.formula.expr import Expr, given, unary
from pellucid.formula.formula import Fold, Formula, Output, folding
from pellucid.layout import Layout
from pellucid.operators.define import both, deliver
from pellucid.operators.reductions import cells_of
from pellucid.operators.rows import (
    Dims,
    Walk,
    WrittenRule,
    accumulator,
    delivered_same,
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


def _spread_formula(name: str, x: Layout, walk: Walk) -> Formula:
    """``var`` or ``std``; with ``_mean`` in the name the mean is a second result."""
    inner = accumulator(x.dtype)
    element = walk.element(x.dtype).cast(inner)
    total = Fold(folding("sum", inner), (element,), 0)
    mean = total.states[0] / given("n").cast(inner)
    off = element - mean
    square = Fold(folding("sum", inner), (off * off,), 1)
    value: Expr = square.states[0] / given("divisor", float64).cast(inner)
    if name.startswith("std"):
        value = unary("sqrt", value)
    outputs = [Output(e.cast(x.dtype), False, walk.axes) for e in (value, mean)]
    wanted = tuple(outputs if name.endswith("_mean") else outputs[:1])
    return Formula(name, walk.rank, wanted, walk.row, (total, square))


def _spread_plan(name: str, x: Layout, dim: Dims, correction: float, keepdim: bool) -> Plan:
    if not is_inexact(x.dtype):
        raise RuntimeError(
            f"{name}(): {name.removesuffix('_mean')} only support floating point and complex dtypes, got {x.dtype}; "
            "use .float()"
        )
    dims = reduced_dims(name, dim, x.ndim)
    cells = cells_of(x, dims)
    divisor = cells - correction
    if divisor <= 0:
        warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor "
            "(input numel divided by output numel).",
            UserWarning,
            stacklevel=4,
        )
    divisor = float(divisor) if divisor > 0 else 0.0
    gradient = partial(_std_gradient if name.startswith("std") else _var_gradient, dims, keepdim, x.ndim, divisor)
    rule = WrittenRule(name, (1, 0) if name.startswith("std") else (1,), gradient)
    return fold_plan(
        partial(_spread_formula, name, x), x, dims, keepdim, rule=rule, given={"n": cells, "divisor": divisor}
    )


_spreads = PlanTable(_spread_plan)


def _var_gradient(dims: tuple[int, ...], keepdim: bool, ndim: int, divisor: float, grad: Any, x: Any) -> Any:
    """``grad * 2 (x - mean) / divisor``."""
    factor = 2.0 / divisor if divisor else float("inf")
    return with_dims(grad, dims, keepdim, ndim) * factor * (x - x.mean(dims, True))


def _std_gradient(
    dims: tuple[int, ...], keepdim: bool, ndim: int, divisor: float, grad: Any, x: Any, result: Any
) -> Any:
    """That of the variance, divided by ``2 std``; 0 where the deviation is 0."""
    by_variance = (grad / (result * 2)).masked_fill(result == 0, 0)
    return _var_gradient(dims, keepdim, ndim, divisor, by_variance, x)


def _arguments(name: str, dim: Any, unbiased: bool | None, correction: float | None) -> tuple[Any, float]:
    """``var(unbiased)`` and ``var(dim, unbiased)`` are older ways to say ``correction=``."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None:
        if correction is not None:
            raise TypeError(f"{name}(): give unbiased or correction, not both; unbiased=True is correction=1")
        return hashable(dim), 1 if unbiased else 0
    return hashable(dim), 1 if correction is None else correction


def _spread(name: str, input: Any, dim: Any, unbiased: Any, keepdim: bool, correction: Any) -> Any:
    if not isinstance(input, Tensor):
        not_tensor(name, input)
    dim, correction = _arguments(name, dim, unbiased, correction)
    if input.layout.dtype.is_complex:
        return _complex_spread(name, input, dim, correction, keepdim)
    return _spreads[name, input.layout, dim, correction, keepdim](input)


def _complex_spread(name: str, x: Any, dim: Any, correction: float, keepdim: bool) -> Any:
    """The variances of the two parts add."""
    result = _spread("var", x.real, dim, None, keepdim, correction) + _spread(
        "var", x.imag, dim, None, keepdim, correction
    )
    return result.sqrt() if name == "std" else result


@both
def var(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = None, out: Tensor | None = None, axis: Dims = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """Variance over ``dim``: ``sum((x - mean)^2) / (n - correction)``; ``correction`` is 1 unless given.

    Raises:
        RuntimeError: the cells are integers.
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    result = _spread("var", input, dim, unbiased, keepdim, correction)
    return result if out is None else deliver(result, out, "var")


@both
def std(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = None, out: Tensor | None = None, axis: Dims = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """Standard deviation over ``dim``: the square root of ``var``.

    Raises:
        RuntimeError: the cells are integers.
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    result = _spread("std", input, dim, unbiased, keepdim, correction)
    return result if out is None else deliver(result, out, "std")


@both
def var_mean(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = None, out: Sequence[Tensor] | None = None, axis: Dims = None, keepdims: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Variance and mean over ``dim``, as a pair."""
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    pair = _with_mean("var", input, dim, unbiased, keepdim, correction)
    return tuple(delivered_same(pair, out, "var_mean"))


@both
def std_mean(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = None, out: Sequence[Tensor] | None = None, axis: Dims = None, keepdims: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Standard deviation and mean over ``dim``, as a pair."""
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    pair = _with_mean("std", input, dim, unbiased, keepdim, correction)
    return tuple(delivered_same(pair, out, "std_mean"))


def _with_mean(name: str, input: Any, dim: Any, unbiased: Any, keepdim: bool, correction: Any) -> Any:
    """Both at once; where gradients flow, two calls, each with its own derivative."""
    if not isinstance(input, Tensor):
        not_tensor(name, input)
    if input.tracked or input.layout.dtype.is_complex:
        spread = _spread(name, input, dim, unbiased, keepdim, correction)
        dims = None if isinstance(dim, bool) else dim
        return spread, input.mean(dims, keepdim)
    return _spread(f"{name}_mean", input, dim, unbiased, keepdim, correction)
