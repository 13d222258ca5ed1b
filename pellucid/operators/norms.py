"""Lengths of vectors, logarithms of sums of exponentials, and what is made of them.

    vector_norm    out[i] = (sum_j |x[i,j]|^p)^(1/p);   p = inf: the largest |x|;   p = 0: how many differ from 0
    logsumexp      out[i] = log sum_j exp(x[i,j])
"""

from __future__ import annotations

from functools import partial
from math import inf
from typing import Any

from pellucid.autograd.derived import differentiable_plan
from pellucid.dtypes import DType, float64, get_default_dtype, require_dtype, result_dtype
from pellucid.formula.expr import Expr, axis, const, given, load, node, select, unary
from pellucid.formula.formula import Fold, Formula, Output, folding
from pellucid.layout import Layout, elementwise
from pellucid.operators.define import both, deliver, method, public, wrap_dim
from pellucid.operators.expanding import broadcast_tensors
from pellucid.operators.extremes import require_cells
from pellucid.operators.reductions import Change, unchanged
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
    reduced_dims,
    with_dims,
)
from pellucid.plan import Plan, PlanTable
from pellucid.tensor import Tensor

# -- vector_norm ------------------------------------------------------------------------------------------------------


def _size(e: Expr) -> Expr:
    """|x|, real."""
    return unary("abs", e, e.dtype.to_real())


def _norm_formula(name: str, x: Layout, order: float, result: DType, walk: Walk) -> Formula:
    inner = accumulator(result)
    cell = walk.element(x.dtype)
    cell = cell.cast(inner.to_complex() if x.dtype.is_complex else inner)
    size = _size(cell)
    op: str = "sum"
    finish: Change = unchanged
    if order == 0:
        element = select(size.equals(0.0), 0.0, const(1.0, inner))
    elif order == 1:
        element = size
    elif order == 2:
        element = size * size if not cell.dtype.is_complex else _squared(cell)
        finish = lambda e: unary("sqrt", e)  # noqa: E731
    elif order in (inf, -inf):
        op, element = "max" if order > 0 else "min", size
    else:
        p = given("p", float64).cast(inner)
        element = node("pow", (size, p), inner)
        finish = lambda e: node("pow", (e, 1.0 / p), inner)  # noqa: E731
    fold = Fold(folding(op, inner), (element,), 0)
    value = finish(fold.states[0]).cast(result)
    return Formula(name, walk.rank, (Output(value, False, walk.axes),), walk.row, (fold,))


def _squared(e: Expr) -> Expr:
    part = e.dtype.to_real()
    re, im = node("real", (e,), part), node("imag", (e,), part)
    return re * re + im * im


def _norm_plan(x: Layout, order: float, dim: Dims, keepdim: bool, dtype: DType | None) -> Plan:
    name = "linalg_vector_norm"
    dims = reduced_dims(name, dim, x.ndim)
    if not is_inexact(x.dtype):
        raise RuntimeError(
            f"linalg.vector_norm(): Expected a floating point or complex tensor as input. Got {x.dtype.scalar_name}"
        )
    wanted = x.dtype if dtype is None else require_dtype(dtype, name)
    if wanted.is_complex is not x.dtype.is_complex or not is_inexact(wanted):
        raise RuntimeError(f"linalg.vector_norm(): the dtype of the input {x.dtype} should be convertible to {wanted}")
    if order < 0 or order == inf:
        require_cells(name, x, dims)
    result = wanted.to_real()
    rule = WrittenRule(name, (1, 0), partial(_norm_gradient, order, dims, keepdim))
    formula_of = partial(_norm_formula, name, x, order, result)
    return fold_plan(formula_of, x, dims, keepdim, rule=rule, given={"p": float(order)})


_norms = PlanTable(_norm_plan)


def _norm_gradient(order: float, dims: tuple[int, ...], keepdim: bool, grad: Any, x: Any, result: Any) -> Any:
    """The derivative of ``(sum |x|^p)^(1/p)``: ``sign(x) (|x| / norm)^(p-1)``; 0 where the norm is 0."""
    real = x.dtype.to_real()
    if result.dtype is not real:
        grad, result = grad.to(real), result.to(real)
    grad, result = with_dims(grad, dims, keepdim, x.ndim), with_dims(result, dims, keepdim, x.ndim)
    sign = x.sgn()
    if order == 0:
        return None
    if order == 1:
        return sign * grad
    if order == 2:
        return x * (grad / result).masked_fill(result == 0, 0)
    if order in (inf, -inf):
        hit = x.abs() == result
        return sign * (hit / hit.sum(dims, True) * grad)
    if order < 1:
        size = x.abs()
        share = size.masked_fill(size == 0, 1.0) ** (order - 1) * grad * result ** (1 - order)
        return sign * share.masked_fill(size == 0, 0)
    share = (grad / result ** (order - 1)).masked_fill(result == 0, 0)
    if order < 2:
        return sign * x.abs() ** (order - 1) * share
    return x * x.abs() ** (order - 2) * share


def vector_norm(
    x: Tensor,
    ord: float = 2,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """``(sum |x|^ord)^(1/ord)`` over ``dim``; inf and -inf are the largest and the smallest ``|x|``, 0 counts cells.

    Raises:
        RuntimeError: the cells are integers.
        IndexError: there is no such dimension, or an empty one for inf, -inf and negative orders.
    """
    if not isinstance(x, Tensor):
        not_tensor("linalg.vector_norm", x)
    result = _norms[x.layout, float(ord), hashable(dim), keepdim, dtype](x)
    return result if out is None else deliver(result, out, "linalg.vector_norm")


@both
def norm(
    input: Tensor, p: float | str | None = "fro", dim: Dims = None, keepdim: bool = False,
    out: Tensor | None = None, dtype: DType | None = None,
) -> Tensor:  # fmt: skip
    """The length of vectors: ``(sum |x|^p)^(1/p)`` over ``dim``; "fro" is 2."""
    if p == "nuc":
        raise NotImplementedError(
            "norm(): p='nuc' is the sum of singular values, and Pellucid has no singular value decomposition; "
            "p='fro' and numbers work"
        )
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"norm(): Expected p to be a number, 'fro' or 'nuc', got {p!r}")
    order = 2.0 if p is None or p == "fro" else float(p)
    return vector_norm(input, order, dim, keepdim, dtype=dtype, out=out)


@both
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The norm of the difference: ``vector_norm(input - other, p)``."""
    return vector_norm(input - other, p)  # type: ignore[operator]


def normalize(
    input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """``input / max(norm(input), eps)`` along ``dim``."""
    length: Any = vector_norm(input, p, dim, True)
    return deliver(input / length.clamp_min(eps).expand_as(input), out, "normalize")


@public
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """``sum(x1 x2) / (max(norm(x1), eps) max(norm(x2), eps))`` along ``dim``; shapes broadcast."""
    dtype = result_dtype([(x1.dtype, x1.ndim), (x2.dtype, x2.ndim)])
    if not is_inexact(dtype):
        raise RuntimeError(
            f"cosine_similarity(): expected common dtype to be floating point, yet common dtype is {dtype}"
        )
    a, b = broadcast_tensors(x1.to(dtype), x2.to(dtype))
    lengths = [vector_norm(t, 2, dim, True).clamp_min(eps) for t in (a, b)]
    return (a / lengths[0] * (b / lengths[1])).sum(dim)


@public
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """``vector_norm(x1 - x2 + eps, p)`` along the last dimension."""
    return vector_norm(x1 - x2 + eps, p, max(x1.ndim, x2.ndim) - 1, keepdim)  # type: ignore[operator]


@both
def renorm(input: Tensor, p: float, dim: int, maxnorm: float, *, out: Tensor | None = None) -> Tensor:
    """Slices along ``dim`` whose norm is above ``maxnorm`` scaled down to it.

    Raises:
        RuntimeError: fewer than two dimensions, an order that is not positive, a negative ``maxnorm``.
    """
    x: Any = input
    if p <= 0 or maxnorm < 0 or x.ndim < 2:
        raise RuntimeError(
            f"renorm(): needs an input of 2 or more dimensions (got {x.ndim}), a p above 0 (got {p}) and a maxnorm of "
            f"at least 0 (got {maxnorm})"
        )
    d = wrap_dim("renorm", dim, x.ndim)
    length: Any = vector_norm(x, p, tuple(k for k in range(x.ndim) if k != d), True)
    factor = (maxnorm / (length + 1e-7)).masked_fill(length <= maxnorm, 1.0)
    return deliver_same(x * factor, out, "renorm")


@method
def renorm_(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """In-place form of `renorm`."""
    return input.copy_(renorm(input, p, dim, maxnorm))


# -- logsumexp --------------------------------------------------------------------------------------------------------


def _finite(e: Expr) -> Expr:
    """The number to subtract: 0 in place of an infinity."""
    return select(unary("abs", e).equals(inf), 0.0, e)


def _logsumexp_plan(x: Layout, dim: Dims, keepdim: bool) -> Plan:
    dims = reduced_dims("logsumexp", dim, x.ndim)
    result = x.dtype if is_inexact(x.dtype) else get_default_dtype()
    inner = accumulator(result)

    def formula_of(walk: Walk) -> Formula:
        cell = walk.element(x.dtype).cast(inner)
        top = Fold(folding("max", inner), (cell,), 0, constant=True)
        below = _finite(top.states[0])
        total = Fold(folding("sum", inner), (unary("exp", cell - below),), 1)
        value = (unary("log", total.states[0]) + below).cast(result)
        return Formula("logsumexp", walk.rank, (Output(value, False, walk.axes),), walk.row, (top, total))

    def gradient(grad: Any, x: Any, result: Any) -> Any:
        return _logsumexp_gradients[grad.layout, x.layout, result.layout, dims, keepdim](grad, x, result)

    return fold_plan(formula_of, x, dims, keepdim, rule=WrittenRule("logsumexp", (1, 0), gradient))


_logsumexps = PlanTable(_logsumexp_plan)


def _logsumexp_gradient_plan(grad: Layout, x: Layout, result: Layout, dims: tuple[int, ...], keepdim: bool) -> Plan:
    """``grad exp(x - result)``."""
    inner = accumulator(x.dtype)
    here = tuple(axis(d) for d in range(x.ndim))
    place = tuple(const(0, axis(0).dtype) if d in dims else a for d, a in enumerate(here))
    if not keepdim:
        place = tuple(a for d, a in enumerate(here) if d not in dims)
    cell, top = load(1, x.dtype, here).cast(inner), load(2, result.dtype, place).cast(inner)
    value = load(0, grad.dtype, place).cast(inner) * unary("exp", cell - _finite(top))
    formula = Formula("logsumexp_backward", x.ndim, (Output(value.cast(x.dtype)),))
    return differentiable_plan(formula, (grad, x, result), tuple(x.shape), [elementwise(tuple(x.shape), [x], x.dtype)])


_logsumexp_gradients = PlanTable(_logsumexp_gradient_plan)


@both
def logsumexp(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, out: Tensor | None = None, axis: Dims = None
) -> Tensor:
    """``log(sum(exp(x)))`` over ``dim``, without overflow."""
    dim = dim if axis is None else axis
    if dim is None:
        raise TypeError("logsumexp() missing 1 required positional argument: 'dim'")
    if not isinstance(input, Tensor):
        not_tensor("logsumexp", input)
    x: Any = input
    if x.dtype.is_complex:
        top = x.real.detach().amax(() if dim is None else dim, True)
        top = top.masked_fill(top.abs() == inf, 0)
        result = (x - top).exp().sum(dim, True).log() + top
        dims = reduced_dims("logsumexp", dim, x.ndim)
        result = result if keepdim else result.reshape([n for d, n in enumerate(x.shape) if d not in dims])
    else:
        result = _logsumexps[x.layout, hashable(dim), keepdim](x)
    return result if out is None else deliver(result, out, "logsumexp")
