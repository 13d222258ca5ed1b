"""Running folds: what a fold holds after every step along a dimension.

    cumsum over dim 1    out[i,j] = sum_{k <= j} x[i,k]

Running sums and products of floats are kept one step wider than the cells (float32 in float64), as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from pellucid.autograd.derived import differentiable_plan
from pellucid.autograd.graph import Rule, recorder
from pellucid.dtypes import DType, bfloat16, bool_, finfo, float16, float32, float64, int64, require_dtype
from pellucid.formula.expr import Expr, axis, const, is_nan, load, maximum, minimum, select, unary
from pellucid.formula.formula import Fold, Formula, Output, Reducer, Scatter, folding, highest, left, lowest, right
from pellucid.layout import Layout, dense
from pellucid.operators.define import both, method, wrap_dim
from pellucid.operators.extremes import require_ordered
from pellucid.operators.joining import cat
from pellucid.operators.reductions import folded_as, summed_dtype
from pellucid.operators.rows import Walk, WrittenRule, deliver_same, delivered_same, is_inexact, not_tensor, walk_over
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.return_types import return_type
from pellucid.tensor import Tensor


def running_dtype(dtype: DType) -> DType:
    """What running totals are kept in."""
    if dtype in (float16, bfloat16):
        return float32
    return float64 if dtype is float32 else dtype


def scan_walk(name: str, x: Layout, dim: int) -> Walk:
    d = wrap_dim(name, dim, x.ndim)
    return walk_over(x, (d,) if x.ndim else (), True)


def scan_plan(
    name: str,
    x: Layout,
    walk: Walk,
    reducer: Reducer,
    elements: tuple[Expr, ...],
    values: Callable[[Fold], Sequence[Expr]],
    rule: Rule,
) -> Plan:
    """The plan whose results are ``values`` of the running state."""
    fold = Fold(reducer, elements, 0)
    places = tuple(c.data for c in walk.coords)
    outputs = tuple(Output(e, True, places) for e in values(fold))
    formula = Formula(name, walk.rank, outputs, walk.row, (fold,), scan=True)
    results = [dense(x.shape, o.value.dtype) for o in outputs]
    record = recorder(rule, results, (x,)) if is_inexact(x.dtype) and is_inexact(results[0].dtype) else None
    return kernel_plan(formula, (x,), walk.sizes, results, record=record)


# -- sums and products ------------------------------------------------------------------------------------------------


def _total_plan(name: str, x: Layout, dim: int, dtype: DType | None) -> Plan:
    result = summed_dtype(x, dtype and require_dtype(dtype, name))
    walk = scan_walk(name, x, dim)
    op = "sum" if name == "cumsum" else "prod"
    element = walk.element(x.dtype).cast(result)
    gradient = _cumsum_gradient if op == "sum" else _cumprod_gradient
    rule = WrittenRule(name, () if op == "sum" else (1, 0), partial(gradient, x.dtype, dim))
    inner = running_dtype(result)
    return scan_plan(
        name, x, walk, folding(op, inner), (element.cast(inner),), lambda f: [f.states[0].cast(result)], rule
    )


_totals = PlanTable(_total_plan)


def reversed_cumsum(x: Any, dim: int) -> Any:
    """``out[j] = sum_{k >= j} x[k]``."""
    return x.flip(dim).cumsum(dim).flip(dim) if x.ndim else x


def _cumsum_gradient(dtype: DType, dim: int, grad: Any) -> Any:
    return reversed_cumsum(grad.to(dtype) if grad.dtype is not dtype else grad, dim)


def _cumprod_gradient(dtype: DType, dim: int, grad: Any, x: Any, result: Any) -> Any:
    """``sum_{k >= j} grad[k] result[k] / x[j]``; where a cell is zero, products that leave it out, one by one."""
    if result.dtype is not dtype:
        grad, result = grad.to(dtype), result.to(dtype)
    if dtype.is_complex:
        x, result = x.conj().resolve_conj(), result.conj().resolve_conj()
    if x.ndim == 0:
        return grad
    if not bool((x == 0).any()):
        return reversed_cumsum(grad * result, dim) / x
    n, parts = x.shape[dim], []
    one = x.new_ones([1 if k == dim % x.ndim else m for k, m in enumerate(x.shape)])
    before = one
    for j in range(n):
        after: Any = cat([one, x.narrow(dim, j + 1, n - j - 1)], dim)
        parts.append((grad.narrow(dim, j, n - j) * before * after.cumprod(dim)).sum(dim, True))
        before = before * x.narrow(dim, j, 1)
    return cat(parts, dim)


def _scanned(plans: PlanTable, name: str, input: Any, *arguments: Any) -> Any:
    if not isinstance(input, Tensor):
        not_tensor(name, input)
    return plans[(name, input.layout, *arguments)](input)


@both
def cumsum(
    input: Tensor, dim: Any = None, *, dtype: DType | None = None, out: Tensor | None = None, axis: Any = None
) -> Tensor:
    """Running sums along ``dim``: ``out[i,j] = sum_{k<=j} input[i,k]``. Integers and booleans give int64."""
    dim = dim if axis is None else axis
    dtype = folded_as("cumsum", dtype, out)
    return deliver_same(_scanned(_totals, "cumsum", input, dim, dtype), out, "cumsum")


@both
def cumprod(
    input: Tensor, dim: Any = None, *, dtype: DType | None = None, out: Tensor | None = None, axis: Any = None
) -> Tensor:
    """Running products along ``dim``: ``out[i,j] = prod_{k<=j} input[i,k]``. Integers and booleans give int64."""
    dim = dim if axis is None else axis
    dtype = folded_as("cumprod", dtype, out)
    return deliver_same(_scanned(_totals, "cumprod", input, dim, dtype), out, "cumprod")


@method
def cumsum_(input: Tensor, dim: int, *, dtype: DType | None = None) -> Tensor:
    """In-place form of `cumsum`."""
    return input.copy_(cumsum(input, dim, dtype=dtype or input.dtype))


@method
def cumprod_(input: Tensor, dim: int, *, dtype: DType | None = None) -> Tensor:
    """In-place form of `cumprod`."""
    return input.copy_(cumprod(input, dim, dtype=dtype or input.dtype))


# -- extremes ---------------------------------------------------------------------------------------------------------


def _latest(op: str, dtype: DType) -> Reducer:
    """The extreme so far and its position: the last of equals; a NaN stays."""
    va, vb, ia, ib = left(0, dtype), right(0, dtype), left(1, int64), right(1, int64)
    take = (vb >= va) if op == "cummax" else (vb <= va)
    start = lowest(dtype) if op == "cummax" else highest(dtype)
    if dtype.is_floating_point:
        take = (take & ~is_nan(va)) | is_nan(vb)
    return Reducer(f"latest_{op}", (start, const(0, int64)), (select(take, vb, va), select(take, ib, ia)))


def _extreme_plan(name: str, x: Layout, dim: int) -> Plan:
    require_ordered(name, x)
    walk = scan_walk(name, x, dim)
    d = wrap_dim(name, dim, x.ndim)
    inner = int64 if x.dtype is bool_ else float32 if x.dtype in (float16, bfloat16) else x.dtype
    index = axis(walk.rank) if x.ndim else const(0, int64)
    rule = WrittenRule(name, (1,), lambda grad, index: _added[x, d, grad.layout, index.layout](grad, index), results=2)
    elements = (walk.element(x.dtype).cast(inner), index)
    values: Callable[[Fold], Sequence[Expr]] = lambda f: [f.states[0].cast(x.dtype), f.states[1]]  # noqa: E731
    return scan_plan(name, x, walk, _latest(name, inner), elements, values, rule)


_extremes = PlanTable(_extreme_plan)


def _added_plan(x: Layout, d: int, grad: Layout, index: Layout) -> Plan:
    """Every gradient added where its value came from."""
    here = tuple(axis(k) for k in range(x.ndim))
    target = tuple(load(1, int64, here) if k == d else c for k, c in enumerate(here))
    value = load(0, grad.dtype, here)
    scatter = Scatter("add_at", x.ndim, target, value, folding("sum", grad.dtype))
    return differentiable_plan(scatter, (grad, index), tuple(x.shape), [dense(x.shape, grad.dtype)])


_added = PlanTable(_added_plan)
cummax_result = return_type("cummax", "values", "indices")
cummin_result = return_type("cummin", "values", "indices")


@both
def cummax(input: Tensor, dim: Any = None, *, out: Sequence[Tensor] | None = None, axis: Any = None) -> Any:
    """The largest cell so far along ``dim`` and its position (the last of equals)."""
    dim = dim if axis is None else axis
    return cummax_result(delivered_same(_scanned(_extremes, "cummax", input, dim), out, "cummax"))


@both
def cummin(input: Tensor, dim: Any = None, *, out: Sequence[Tensor] | None = None, axis: Any = None) -> Any:
    """The smallest cell so far along ``dim`` and its position (the last of equals)."""
    dim = dim if axis is None else axis
    return cummin_result(delivered_same(_scanned(_extremes, "cummin", input, dim), out, "cummin"))


# -- logarithms of sums -----------------------------------------------------------------------------------------------


def _log_sum(dtype: DType) -> Reducer:
    """``log(exp(a) + exp(b))``, without overflow; equal infinities stay as they are."""
    a, b = left(0, dtype), right(0, dtype)
    high, low = maximum(a, b), minimum(a, b)
    infinite = a.equals(b) & unary("abs", a).equals(float("inf"))
    merged = select(infinite, a, high + unary("log1p", unary("exp", low - high)))
    return Reducer("log_sum", (const(float("-inf"), dtype),), (merged,))


def _log_plan(name: str, x: Layout, dim: int) -> Plan:
    if not x.dtype.is_floating_point:
        raise NotImplementedError(
            f"\"{name}\" not implemented for '{x.dtype.scalar_name}': it takes real floating-point cells; use .float()"
        )
    walk = scan_walk(name, x, dim)
    inner = float32 if x.dtype in (float16, bfloat16) else x.dtype
    rule = WrittenRule(name, (1, 0), partial(_log_gradient, dim))
    element = walk.element(x.dtype).cast(inner)
    return scan_plan(name, x, walk, _log_sum(inner), (element,), lambda f: [f.states[0].cast(x.dtype)], rule)


_logs = PlanTable(_log_plan)


def _log_gradient(dim: int, grad: Any, x: Any, result: Any) -> Any:
    """``sum_{k >= j} grad[k] exp(x[j] - result[k])``, summed as logarithms, positive and negative parts apart."""
    if x.ndim == 0:
        return grad
    nothing = finfo(x.dtype).min  # not -inf, which would make 0 * inf in derivatives of derivatives
    parts = []
    for sign in (grad, -grad):
        safe = sign.masked_fill(sign <= 0, 1.0)
        logs = safe.log().masked_fill(sign <= 0, nothing) - result
        parts.append((logs.flip(dim).logcumsumexp(dim).flip(dim) + x).exp())
    return parts[0] - parts[1]


@both
def logcumsumexp(input: Tensor, dim: Any = None, *, out: Tensor | None = None, axis: Any = None) -> Tensor:
    """Running ``log(sum(exp(x)))`` along ``dim``, without overflow."""
    dim = dim if axis is None else axis
    return deliver_same(_scanned(_logs, "logcumsumexp", input, dim), out, "logcumsumexp")
