"""Cross entropy: the logarithm of the probability that a softmax gives to the right class.

    out[n] = w[t] (log sum_j exp(x[n,j]) - x[n,t])            t = target[n]

Probabilities are written to memory neither on the way there nor back: the gradient is ``softmax(x) - onehot(t)``, said
by the saved logarithm of the sum.
"""

from __future__ import annotations

from typing import Any

from pellucid.autograd.derived import differentiable_plan
from pellucid.autograd.graph import Node, recorder
from pellucid.dtypes import int64
from pellucid.formula.expr import Expr, axis, const, given, load, select, unary
from pellucid.formula.formula import Fold, Formula, Output, folding
from pellucid.layout import Layout, dense
from pellucid.operators.class_losses import IGNORED, ClassLoss, nll_loss
from pellucid.operators.losses import wanted_reduction
from pellucid.operators.normalisation import log_softmax
from pellucid.operators.rows import not_tensor, walk_over
from pellucid.operators.standardising import sums
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.runtime import native
from pellucid.tensor import Tensor


class Entropy(ClassLoss):
    """Cross entropy with classes as targets, for given layouts; dimension 1 of the input counts classes."""

    def row_formula(self) -> Formula:
        """Per row: the loss, its weight, the logarithm of the sum of exponentials."""
        x, inner = self.x, self.inner
        walk = walk_over(x, (1,), False)
        here = tuple(axis(a) for a in range(walk.rank))
        t = load(1, self.target.dtype, here).cast(int64)
        ignored = t.equals(given("ignore"))
        safe = select(ignored, 0, t)
        cell = walk.element(x.dtype).cast(inner)
        top = Fold(folding("max", inner), (cell,), 0)
        total = Fold(folding("sum", inner), (unary("exp", cell - top.states[0]),), 1)
        m, s = top.states[0], unary("log", total.states[0])
        own = load(0, x.dtype, (here[0], safe, *here[1:])).cast(inner)
        weight: Expr = const(1.0, inner)
        if self.weight is not None:
            weight = load(2, self.weight.dtype, (safe,)).cast(inner)
        loss = select(ignored, 0.0, (s - (own - m)) * weight)
        loss = loss.cast(x.dtype) if self.reduction == "none" else loss
        outputs = (Output(loss), Output(select(ignored, 0.0, weight)), Output(s + m))
        return Formula("cross_entropy", walk.rank, outputs, 1, (top, total))

    def total_plan(self) -> Plan:
        """(losses, weights) -> (loss, total weight)."""
        cells = dense((self.target.numel,), self.inner)
        fold = Fold(sums(2, self.inner), tuple(load(k, self.inner, (axis(0),)) for k in range(2)), 0)
        total, weights = fold.states
        value = total / weights if self.reduction == "mean" else total
        formula = Formula("cross_entropy_total", 0, (Output(value.cast(self.x.dtype)), Output(weights)), 1, (fold,))
        results = [dense((), self.x.dtype), dense((), self.inner)]
        return kernel_plan(formula, (cells, cells), (self.target.numel,), results)

    def plan(self) -> Plan:
        self.check()
        x, target, rows = self.x, self.target, tuple(self.target.shape)
        operands = (x, target, *([] if self.weight is None else [self.weight]))
        statistic = dense(rows, self.inner)
        formula = self.row_formula()
        layouts = [dense(rows, formula.outputs[0].value.dtype), statistic, statistic]
        sizes = (*rows, x.shape[1])
        by_row = kernel_plan(formula, operands, sizes, layouts, fail=self.fail, given=self.given)
        total = None if self.reduction == "none" else self.total_plan()
        result = dense(rows if total is None else (), x.dtype)
        record = recorder(self, [result, dense((), self.inner), statistic, statistic], operands)

        def plan(*tensors: Any) -> Any:
            losses, weights, logs = by_row(*tensors)
            loss, scale = (losses, losses) if total is None else total(losses, weights)
            if tensors[0].tracked and native.grad_enabled():
                record(loss, scale, weights, logs, *tensors)
            return loss

        return plan

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return (2, 3, 4, 5) if self.reduction != "mean" else (1, 2, 3, 4, 5)

    def backward(self, node: Node, grads: list[Any]) -> Any:
        saved = node.unpack()
        weights, logs, x, target = (saved[k] for k in (2, 3, 4, 5))
        if native.grad_enabled():
            logs = x.logsumexp(1)
        operands = (grads[0], x, logs, weights, target, *([saved[1]] if 1 in saved else []))
        gradient = self.gradients[grads[0].layout, logs.layout](*operands)
        return (gradient, *[None] * (len(node.edges) - 1))

    def gradient_plan(self, grad: Layout, logs: Layout) -> Plan:  # type: ignore[override]
        """``(exp(x - logs) - onehot) weight grad``, divided by the total weight for a mean."""
        x, target, inner = self.x, self.target, self.inner
        here = tuple(axis(k) for k in range(x.ndim))
        row = (here[0], *here[2:])
        statistic, once = dense(tuple(target.shape), inner), dense((), inner)
        hit = load(4, target.dtype, row).cast(int64).equals(here[1])
        share = unary("exp", load(1, x.dtype, here).cast(inner) - load(2, logs.dtype, row).cast(inner))
        value = (share - select(hit, const(1.0, inner), 0.0)) * load(3, inner, row)
        value = value * load(0, grad.dtype, row if grad.ndim else ()).cast(inner)
        operands = [grad, x, logs, statistic, target]
        if self.reduction == "mean":
            operands.append(once)
            value = value / load(5, inner, ())
        formula = Formula("cross_entropy_backward", x.ndim, (Output(value.cast(x.dtype)),))
        return differentiable_plan(formula, operands, tuple(x.shape), [dense(x.shape, x.dtype)])


def _plan(x: Layout, target: Layout, weight: Layout | None, ignore: int, reduction: str) -> Plan:
    return Entropy(x, target, weight, ignore, reduction).plan()


_plans = PlanTable(_plan)


def _of_classes(input: Any, target: Any, weight: Any, ignore: int, reduction: str) -> Any:
    if input.ndim < 2 or not input.dtype.is_floating_point:
        logs = log_softmax(input, 0)
        return nll_loss(logs, target, weight, ignore_index=ignore, reduction=reduction)
    if weight is None:
        return _plans[input.layout, target.layout, None, ignore, reduction](input, target)
    return _plans[input.layout, target.layout, weight.layout, ignore, reduction](input, target, weight)


def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    ignore_index: int = IGNORED, reduce: bool | None = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """``nll_loss(log_softmax(input))``; the target may also hold a probability per class, in the input's shape.

    ``label_smoothing`` mixes the target with the uniform distribution.

    Raises:
        IndexError: a target that is no class.
        RuntimeError, ValueError: shapes, dtypes or a smoothing outside [0, 1] that do not fit.
    """
    if not isinstance(input, Tensor):
        not_tensor("cross_entropy", input)
    reduction = wanted_reduction("cross_entropy", size_average, reduce, reduction)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"cross_entropy(): label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if not input.ndim:
        raise RuntimeError("cross_entropy(): the input holds a number per class, but it has no dimension")
    if input.layout.shape == target.layout.shape:
        logs = log_softmax(input, 0 if input.ndim == 1 else 1)
        return _of_probabilities(logs, target, weight, reduction, label_smoothing)
    loss = _of_classes(input, target, weight, ignore_index, reduction)
    if label_smoothing == 0:
        return loss
    logs = log_softmax(input, 0 if input.ndim == 1 else 1)
    smooth = _uniform(logs, target, weight, ignore_index, reduction)
    classes = logs.shape[0 if logs.ndim == 1 else 1]
    return loss * (1 - label_smoothing) + smooth * (label_smoothing / classes)


def _over_classes(weight: Any, logs: Any) -> Any:
    """The weights of the classes, to be multiplied with logarithms."""
    d = 0 if logs.ndim == 1 else 1
    return weight.reshape([-1 if k == d else 1 for k in range(logs.ndim)])


def _of_probabilities(logs: Any, target: Any, weight: Any, reduction: str, smoothing: float) -> Any:
    if not target.dtype.is_floating_point:
        raise RuntimeError(
            "cross_entropy(): Expected floating point type for target with class probabilities, got "
            f"{target.dtype.scalar_name}"
        )
    d = 0 if logs.ndim == 1 else 1
    if smoothing > 0:
        target = target * (1 - smoothing) + smoothing / logs.shape[d]
    losses = -(logs * target if weight is None else logs * target * _over_classes(weight, logs))
    if reduction == "none":
        return losses.sum(d)
    total = losses.sum()
    return total if reduction == "sum" else total / max(logs.numel() // logs.shape[d], 1)


def _uniform(logs: Any, target: Any, weight: Any, ignore: int, reduction: str) -> Any:
    """The loss of a target that gives every class the same probability, times the number of classes."""
    d = 0 if logs.ndim == 1 else 1
    losses = -(logs if weight is None else logs * _over_classes(weight, logs)).sum(d)
    ignored = target == ignore
    losses = losses.masked_fill(ignored.reshape(losses.shape), 0.0)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if weight is None:
        return losses.sum() / (~ignored).sum()
    return losses.sum() / weight[target.masked_fill(ignored, 0)].masked_fill(ignored, 0.0).sum()
