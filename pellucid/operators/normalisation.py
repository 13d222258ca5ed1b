"""Rows brought to a common scale: softmax and its logarithm, and the normalisations of networks.

    softmax       m[i] = max_j x[i,j];  s[i] = sum_j exp(x[i,j] - m[i]);  out[i,j] = exp(x[i,j] - m[i]) / s[i]
    layer_norm    m[i] = mean_j x[i,j]; v[i] = mean_j (x[i,j] - m[i])^2
                  out[i,j] = (x[i,j] - m[i]) / sqrt(v[i] + eps) * weight[j] + bias[j]

Each is one staged formula: a row is read from memory once and stays in the cache for the later stages.
"""

from __future__ import annotations

from typing import Any

from pellucid.autograd.derived import differentiable_plan
from pellucid.autograd.graph import recorder
from pellucid.dtypes import DType, require_dtype
from pellucid.formula.expr import Expr, unary
from pellucid.formula.formula import Fold, Formula, Output, folding
from pellucid.layout import Layout, dense
from pellucid.operators.define import both, deliver, wrap_dim
from pellucid.operators.rows import WrittenRule, accumulator, is_inexact, not_tensor, walk_over
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.tensor import Tensor


def places(coords: tuple[Expr, ...]) -> tuple[int, ...]:
    """The axis that each dimension runs over."""
    return tuple(c.data for c in coords)


# -- softmax ----------------------------------------------------------------------------------------------------------


def _softmax_plan(name: str, x: Layout, dim: int, dtype: DType | None) -> Plan:
    d = wrap_dim(name, dim, x.ndim)
    result = x.dtype if dtype is None else require_dtype(dtype, name)
    if not result.is_floating_point:
        raise NotImplementedError(
            f"\"{name}\" not implemented for '{result.scalar_name}': give floating-point cells, or dtype=torch.float32"
        )
    walk = walk_over(x, (d,) if x.ndim else (), True)
    element = walk.element(x.dtype).cast(result).cast(accumulator(result))
    inner = element.dtype
    top = Fold(folding("max", inner), (element,), 0, constant=True)
    below = element - top.states[0]
    power = unary("exp", below)
    total = Fold(folding("sum", inner), (power,), 1)
    s = total.states[0]
    # The sum is at least 1, so its reciprocal is exact to half an ulp: one division a row instead of one a cell.
    value = power * (1.0 / s) if name == "softmax" else below - unary("log", s)
    out = Output(value.cast(result), True, places(walk.coords))
    formula = Formula(name, walk.rank, (out,), walk.row, (top, total))
    results = [dense(x.shape, result)]
    record = None
    if is_inexact(x.dtype):
        gradient = lambda grad, y: _softmax_gradients[name, grad.layout, y.layout, d, x.dtype](grad, y)  # noqa: E731
        record = recorder(WrittenRule(name, (0,), gradient), results, (x,))
    return kernel_plan(formula, (x,), walk.sizes, results, record=record)


_softmaxes = PlanTable(_softmax_plan)


def _softmax_gradient_plan(name: str, grad: Layout, y: Layout, d: int, dtype: DType) -> Plan:
    """softmax: ``(g - sum(g y)) y``; log_softmax: ``g - exp(y) sum(g)``."""
    walk = walk_over(y, (d,) if y.ndim else (), True)
    inner = accumulator(y.dtype)
    g, out = walk.element(grad.dtype, 0).cast(inner), walk.element(y.dtype, 1).cast(inner)
    total = Fold(folding("sum", inner), (g * out if name == "softmax" else g,), 0)
    s = total.states[0]
    value = (g - s) * out if name == "softmax" else g - unary("exp", out) * s
    output = Output(value.cast(dtype), True, places(walk.coords))
    formula = Formula(f"{name}_backward", walk.rank, (output,), walk.row, (total,))
    return differentiable_plan(formula, (grad, y), walk.sizes, [dense(y.shape, dtype)])


_softmax_gradients = PlanTable(_softmax_gradient_plan)


@both
def softmax(
    input: Tensor, dim: Any = None, dtype: DType | None = None, *, out: Tensor | None = None, axis: Any = None
) -> Tensor:
    """``exp(x) / sum(exp(x))`` along ``dim``: positive, and 1 in total. ``dtype`` converts the input first.

    Raises:
        IndexError: there is no such dimension.
        NotImplementedError: the cells are integers.
    """
    dim = dim if axis is None else axis
    if not isinstance(input, Tensor):
        not_tensor("softmax", input)
    result = _softmaxes["softmax", input.layout, dim, dtype](input)
    return result if out is None else deliver(result, out, "softmax")


@both
def log_softmax(
    input: Tensor, dim: Any = None, dtype: DType | None = None, *, out: Tensor | None = None, axis: Any = None
) -> Tensor:
    """``log(softmax(x))`` along ``dim``, computed as ``x - max - log(sum(exp(x - max)))``.

    Raises:
        IndexError: there is no such dimension.
        NotImplementedError: the cells are integers.
    """
    dim = dim if axis is None else axis
    if not isinstance(input, Tensor):
        not_tensor("log_softmax", input)
    result = _softmaxes["log_softmax", input.layout, dim, dtype](input)
    return result if out is None else deliver(result, out, "log_softmax")


def softmin(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    """``softmax(-x)`` along ``dim``."""
    return softmax(-input, dim, dtype)  # type: ignore[operator]
