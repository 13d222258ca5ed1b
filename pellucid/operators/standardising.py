"""The normalisations of networks: layer, group, instance, batch and root-mean-square.

They are one formula. Over some dimensions of x, the mean and the mean square deviation are taken; each cell is
shifted and scaled by them, then by a weight and a bias that depend on other dimensions:

    out = (x - mean) / sqrt(variance + eps) * weight + bias

    layer_norm      statistics over the last dimensions, weight over the same
    batch_norm      statistics over all dimensions but 1, weight over dimension 1
    group_norm      x as (N, G, C/G, L): statistics over 2 and 3, weight over 1 and 2
    instance_norm   statistics over all dimensions but 0 and 1, weight over dimension 1
    rms_norm        as layer_norm, with mean = 0 and no bias
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

from pellucid.autograd.graph import Node, recorder
from pellucid.dtypes import DType, float64
from pellucid.errors import shape_text
from pellucid.formula.expr import Expr, axis, const, given, load, unary
from pellucid.formula.formula import Fold, Formula, Output, Reducer, folding, left, right
from pellucid.layout import Layout, dense
from pellucid.operators.define import public
from pellucid.operators.normalisation import places
from pellucid.operators.rows import Walk, accumulator, not_tensor, walk_over
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.runtime import native
from pellucid.tensor import Tensor


@dataclass(frozen=True)
class Standard:
    """One such operator for given layouts: ``dims`` are those of the statistics, ``weight_dims`` those of the weight
    and the bias (in their order)."""

    name: str
    x: Layout
    weight: Layout | None
    bias: Layout | None
    dims: tuple[int, ...]
    weight_dims: tuple[int, ...]
    eps: float
    centred: bool = True

    @cached_property
    def walk(self) -> Walk:
        return walk_over(self.x, self.dims, True)

    @property
    def inner(self) -> DType:
        return accumulator(self.x.dtype)

    @property
    def cells(self) -> int:
        return prod(self.x.shape[d] for d in self.dims)

    @property
    def given(self) -> dict[str, int | float]:
        return {"n": self.cells, "eps": self.eps}

    @property
    def operands(self) -> tuple[Layout, ...]:
        return tuple(x for x in (self.x, self.weight, self.bias) if x is not None)

    def affine(self, layout: Layout, operand: int) -> Expr:
        """The weight or the bias at this cell."""
        return load(operand, layout.dtype, tuple(self.walk.coords[d] for d in self.weight_dims)).cast(self.inner)

    def formula(self) -> Formula:
        """Results: what was asked for, the mean, 1 / sqrt(variance + eps), the variance."""
        inner, walk = self.inner, self.walk
        n = given("n").cast(inner)
        x = walk.element(self.x.dtype).cast(inner)
        stages: list[Fold] = []
        mean: Expr = const(0.0, inner)
        if self.centred:
            stages.append(Fold(folding("sum", inner), (x,), 0))
            mean = stages[0].states[0] / n
            x = x - mean
        stages.append(Fold(folding("sum", inner), (x * x,), len(stages)))
        variance = stages[-1].states[0] / n
        scale = 1.0 / unary("sqrt", variance + given("eps", float64).cast(inner))
        value = x * scale
        if self.weight is not None:
            value = value * self.affine(self.weight, 1)
        if self.bias is not None:
            value = value + self.affine(self.bias, 1 if self.weight is None else 2)
        statistics = tuple(Output(e, False, walk.axes) for e in (mean, scale, variance))
        out = Output(value.cast(self.x.dtype), True, places(walk.coords))
        return Formula(self.name, walk.rank, (out, *statistics), walk.row, tuple(stages))

    def results(self) -> list[Layout]:
        small = dense(self.walk.shape, self.inner)
        return [dense(self.x.shape, self.x.dtype), small, small, small]

    def plan(self) -> Plan:
        """(x, weight, bias) -> (out, mean, scale, variance), recorded."""
        record = recorder(StandardRule(self), self.results(), self.operands)
        return kernel_plan(
            self.formula(), self.operands, self.walk.sizes, self.results(), record=record, given=self.given
        )

    # -- derivatives --------------------------------------------------------------------------------------------------

    @property
    def weighs_rows(self) -> bool:
        """Each row has one weight (batch norm): its gradients are the sums that dx needs anyway."""
        return not set(self.dims) & set(self.weight_dims) and len(self.dims) + len(self.weight_dims) == self.x.ndim

    def gradient_formula(self, grad: Layout) -> Formula:
        """Of (grad, x, mean, scale, weight): with h = (x - mean) scale and w = grad weight,
        dx = scale (w - mean(w) - h mean(w h)); for weights of rows also sum(grad h) and sum(grad)."""
        inner, walk, n = self.inner, self.walk, given("n").cast(self.inner)
        h, scale = self.standardised(walk)
        w = walk.element(grad.dtype).cast(inner)
        if self.weight is not None:
            weight = self.affine(self.weight, 4)
            w, scale = (w, scale * weight) if self.weighs_rows else (w * weight, scale)
        elements = (w * h, w) if self.centred else (w * h,)
        fold = Fold(sums(len(elements), inner), elements, 0)
        value = w - h * (fold.states[0] / n)
        if self.centred:
            value = value - fold.states[1] / n
        outputs = [Output((value * scale).cast(self.x.dtype), True, places(walk.coords))]
        if self.weighs_rows:
            small = zip(fold.states, (self.weight, self.bias), strict=True)
            outputs += [Output(total.cast(own.dtype)) for total, own in small if own is not None]
        return Formula(f"{self.name}_backward", walk.rank, tuple(outputs), walk.row, (fold,))

    def standardised(self, walk: Walk) -> tuple[Expr, Expr]:
        """(x - mean) scale and scale, from operands 1, 2 and 3."""
        inner = self.inner
        where = tuple(const(0, axis(0).dtype) if d in self.dims else c for d, c in enumerate(walk.coords))
        x, mean, scale = walk.element(self.x.dtype, 1).cast(inner), load(2, inner, where), load(3, inner, where)
        return (x - mean if self.centred else x) * scale, scale

    def gradient_plan(self, grad: Layout) -> Plan:
        stat = dense(self.walk.shape, self.inner)
        operands = [grad, self.x, stat, stat, *([self.weight] if self.weight is not None else [])]
        formula = self.gradient_formula(grad)
        results = [dense(self.x.shape, self.x.dtype)]
        if self.weighs_rows:
            results += [dense(own.shape, own.dtype) for own in (self.weight, self.bias) if own is not None]
        return kernel_plan(formula, operands, self.walk.sizes, results, given=self.given)

    def column_plan(self, grad: Layout) -> Plan:
        """(grad, x, mean, scale) -> the gradients of weight and bias (those that are there), in one pass."""
        others = tuple(d for d in range(self.x.ndim) if d not in self.weight_dims)
        order = [*self.weight_dims, *others]
        coords = tuple(axis(order.index(d)) for d in range(self.x.ndim))
        sizes = tuple(self.x.shape[d] for d in order)
        rank = len(self.weight_dims)
        walk = Walk(rank, sizes, coords, tuple(range(rank)), sizes[:rank])
        inner = self.inner
        g = walk.element(grad.dtype).cast(inner)
        elements, results = [], []
        if self.weight is not None:
            elements.append(g * self.standardised(walk)[0])
            results.append(self.weight.dtype)
        if self.bias is not None:
            elements.append(g)
            results.append(self.bias.dtype)
        fold = Fold(sums(len(elements), inner), tuple(elements), 0)
        outputs = tuple(Output(s.cast(t)) for s, t in zip(fold.states, results, strict=True))
        formula = Formula(f"{self.name}_columns", rank, outputs, len(others), (fold,))
        stat = dense(self.walk.shape, inner)
        layouts = [dense(sizes[:rank], t) for t in results]
        return kernel_plan(formula, (grad, self.x, stat, stat), sizes, layouts)


def sums(count: int, dtype: DType) -> Reducer:
    """Several sums in one pass."""
    zero = const(0.0, dtype)
    merged = tuple(left(k, dtype) + right(k, dtype) for k in range(count))
    return Reducer("sum" if count == 1 else f"sums{count}", (zero,) * count, merged, blocked=True)


class StandardRule:
    """Backward by two formulas of their own, from the saved statistics; for derivatives of derivatives everything is
    said by differentiable operators instead."""

    def __init__(self, operator: Standard) -> None:
        self.operator = operator
        self.name = {
            "layer_norm": "NativeLayerNormBackward0",
            "group_norm": "NativeGroupNormBackward0",
            "rms_norm": "FusedRmsNormBackward0",
        }.get(operator.name, "NativeBatchNormBackward0")
        self.gradients = PlanTable(operator.gradient_plan)
        self.columns = PlanTable(operator.column_plan)

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return (1, 2, 4) if self.operator.weight is None else (1, 2, 4, 5)

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        saved = node.unpack()
        mean, scale, x, weight, g = saved[1], saved[2], saved[4], saved.get(5), grads[0]
        if native.grad_enabled():
            return self._composite(g, x, weight)
        result: list[Any] = [None]
        if node.edges[0] is not None:
            operands = (g, x, mean, scale) if weight is None else (g, x, mean, scale, weight)
            found = self.gradients[g.layout](*operands)
            if isinstance(found, tuple):  # those of the weight and the bias as well
                return found
            result[0] = found
        if len(node.edges) > 1:
            columns = self.columns[g.layout](g, x, mean, scale) if any(node.edges[1:]) else (None,) * 2
            result += columns if isinstance(columns, tuple) else (columns,)
        return result[: len(node.edges)]

    def _composite(self, g: Any, x: Any, weight: Any) -> Sequence[Any]:
        operator, dims = self.operator, self.operator.dims
        centred = x - x.mean(dims, True) if operator.centred else x
        scale = ((centred * centred).mean(dims, True) + operator.eps).rsqrt()
        h, w = centred * scale, g
        others = tuple(d for d in range(x.ndim) if d not in operator.weight_dims)
        if weight is not None:
            shape = [n if d in operator.weight_dims else 1 for d, n in enumerate(x.shape)]
            w = g * weight.reshape(shape)
        dx = w - h * (w * h).mean(dims, True)
        if operator.centred:
            dx = dx - w.mean(dims, True)
        result = [dx * scale]
        if weight is not None:
            result.append((g * h).sum(others) if others else g * h)
        if operator.bias is not None:
            result.append(g.sum(others) if others else g)
        return result


# -- layer_norm and rms_norm ------------------------------------------------------------------------------------------


def _layer_plan(
    name: str, x: Layout, shape: tuple[int, ...], weight: Layout | None, bias: Layout | None, eps: float
) -> Plan:
    if not shape:
        raise RuntimeError(f"{name}(): Expected normalized_shape to be at least 1-dimensional, got ()")
    if x.ndim < len(shape) or tuple(x.shape[x.ndim - len(shape) :]) != shape:
        raise RuntimeError(
            f"{name}(): Given normalized_shape={list(shape)}, expected input with shape "
            f"[*, {', '.join(map(str, shape))}], but got input of size {list(x.shape)}: the last sizes must agree"
        )
    for what, own in (("weight", weight), ("bias", bias)):
        if own is not None and tuple(own.shape) != shape:
            raise RuntimeError(
                f"{name}(): Expected {what} to be of same shape as normalized_shape, but got {what} of shape "
                f"{shape_text(own.shape)} and normalized_shape = {list(shape)}"
            )
    if not x.dtype.is_floating_point:
        raise NotImplementedError(f"\"{name}\" not implemented for '{x.dtype.scalar_name}'; use .float()")
    dims = tuple(range(x.ndim - len(shape), x.ndim))
    return Standard(name, x, weight, bias, dims, dims, eps, name == "layer_norm").plan()


layers = PlanTable(_layer_plan)


@public
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Each row of the last dimensions (``normalized_shape``) brought to mean 0 and variance 1, then
    ``* weight + bias``, both of ``normalized_shape``.

    Raises:
        RuntimeError: the last sizes of the input, the weight's or the bias's are not ``normalized_shape``.
    """
    if not isinstance(input, Tensor):
        not_tensor("layer_norm", input)
    w, b = None if weight is None else weight.layout, None if bias is None else bias.layout
    plan = layers["layer_norm", input.layout, tuple(normalized_shape), w, b, eps]
    if weight is None:
        return plan(input)[0] if bias is None else plan(input, bias)[0]
    return plan(input, weight)[0] if bias is None else plan(input, weight, bias)[0]


@public
def native_layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`layer_norm`, with the rows' means and ``1 / sqrt(variance + eps)`` (both constants to derivatives)."""
    if not isinstance(input, Tensor):
        not_tensor("native_layer_norm", input)
    w, b = None if weight is None else weight.layout, None if bias is None else bias.layout
    plan = layers["layer_norm", input.layout, tuple(normalized_shape), w, b, eps]
    result, mean, scale, _ = plan(*[t for t in (input, weight, bias) if t is not None])
    return result, mean, scale
