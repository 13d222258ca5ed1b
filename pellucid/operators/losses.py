"""Losses: how far a prediction is from its target, per cell, summed, or on average.

    mse_loss     out = mean (input - target)^2
    nll_loss     out = - sum_n w[t_n] input[n, t_n] / sum_n w[t_n]

A loss is one formula: the difference is never written to memory when only its mean is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from warnings import warn

from pellucid.autograd.derived import DerivedRule
from pellucid.autograd.graph import recorder
from pellucid.dtypes import float64, promote_types
from pellucid.formula.expr import Expr, axis, const, given, is_nan, load, maximum, select, unary
from pellucid.formula.formula import Fold, Formula, Output, folding
from pellucid.layout import Layout, broadcast_shapes, broadcast_strides, dense, elementwise
from pellucid.operators.rows import accumulator, is_inexact
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.tensor import Tensor

Expression = Callable[..., Expr]

REDUCTIONS = ("none", "mean", "sum")


def wanted_reduction(operator: str, size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """``reduction``, or what the older pair of flags means.

    Raises:
        ValueError: it is not none, mean or sum.
    """
    if size_average is not None or reduce is not None:
        averaged, reduced = size_average is not False, reduce is not False
        found = "mean" if averaged and reduced else "sum" if reduced else "none"
        warn(
            f"size_average and reduce args will be deprecated, please use reduction='{found}' instead.",
            UserWarning,
            stacklevel=4,
        )
        return found
    if reduction not in REDUCTIONS:
        raise ValueError(f"{operator}(): {reduction} is not a valid value for reduction: take one of {REDUCTIONS}")
    return reduction


class CellLoss:
    """A loss of pairs of cells: its expression, and plans for every layout and reduction."""

    def __init__(self, name: str, expression: Expression) -> None:
        self.name, self.expression = name, expression
        self.plans = PlanTable(self.build)

    def build(self, reduction: str, numbers: tuple[float, ...], *operands: Layout) -> Plan:
        """``numbers`` are the loss's own parameters (a beta, a delta)."""
        dtype = operands[0].dtype
        for x in operands[1:]:
            dtype = promote_types(dtype, x.dtype)
        if not is_inexact(dtype):
            raise NotImplementedError(
                f"\"{self.name}\" not implemented for '{dtype.scalar_name}': losses need floating-point cells"
            )
        shape = broadcast_shapes(*(tuple(x.shape) for x in operands))
        if shape is None:
            listed = " and ".join(str(list(x.shape)) for x in operands)
            raise RuntimeError(f"{self.name}(): shapes {listed} do not broadcast; input and target must be alike")
        constants = {f"p{k}": float(v) for k, v in enumerate(numbers)}
        spread = [x.with_strides(shape, broadcast_strides(x, shape)) for x in operands]
        if reduction == "none":
            result = elementwise(shape, list(operands), dtype)
        else:
            result = dense((), dtype)
            constants["n"] = float(dense(shape, dtype).numel)
        # A gradient that is repeated along a dimension is summed there by the rule, which knows the true shapes.
        rule = DerivedRule(self.formula(reduction, dtype, operands, shape), operands, shape, constants, None)
        flat = reduction != "none" and all(x.contiguous and x.shape == shape for x in operands)
        sizes = (dense(shape, dtype).numel,) if flat else shape
        seen = [dense(sizes, x.dtype) for x in operands] if flat else spread
        formula = self.formula(reduction, dtype, seen, sizes)
        record = recorder(rule, [result], operands)
        return kernel_plan(formula, seen, sizes, [result], record=record, given=constants)

    def formula(self, reduction: str, dtype: Any, operands: Any, shape: tuple[int, ...]) -> Formula:
        inner = accumulator(dtype)
        rank = len(shape)
        cells = []
        for k, x in enumerate(operands):
            missing = rank - x.ndim
            coords = tuple(
                const(0, axis(0).dtype) if n == 1 and shape[missing + d] != 1 else axis(missing + d)
                for d, n in enumerate(x.shape)
            )
            cells.append(load(k, x.dtype, coords).cast(inner))
        value = self.expression(*cells)
        if reduction == "none":
            return Formula(self.name, rank, (Output(value.cast(dtype)),))
        fold = Fold(folding("sum", inner), (value,), 0)
        total = fold.states[0]
        if reduction == "mean":
            total = total / given("n", float64).cast(inner)
        return Formula(self.name, 0, (Output(total.cast(dtype)),), rank, (fold,))

    def __call__(self, reduction: str, numbers: tuple[float, ...], *operands: Any) -> Any:
        return self.plans[(reduction, numbers, *[t.layout for t in operands])](*operands)


def _parameter(k: int, like: Expr) -> Expr:
    return given(f"p{k}", float64).cast(like.dtype)


def _square(a: Expr, b: Expr) -> Expr:
    return (a - b) * (a - b)


def _smooth(a: Expr, b: Expr) -> Expr:
    d, beta = unary("abs", a - b), _parameter(0, a)
    return select(d < beta, d * 0.5 * d / beta, d - beta * 0.5)


def _huber(a: Expr, b: Expr) -> Expr:
    d, delta = unary("abs", a - b), _parameter(0, a)
    return select(d <= delta, d * 0.5 * d, delta * (d - delta * 0.5))


def _binary(a: Expr, b: Expr, weight: Expr | None = None) -> Expr:
    """``-(b log a + (1 - b) log (1 - a))``, each logarithm at least -100."""
    low = const(-100.0, a.dtype)
    yes, no = maximum(unary("log", a), low), maximum(unary("log1p", -a), low)
    value = (b - 1.0) * no - b * yes
    return value if weight is None else value * weight


def _logits(a: Expr, b: Expr) -> Expr:
    """The same of ``a = sigmoid(x)``, without overflow: ``(1 - b) x + log(1 + exp(-x))``."""
    return (1.0 - b) * a + _softplus(-a)


def _softplus(a: Expr) -> Expr:
    """Both terms choose by one comparison, so that derivatives of every order are right at 0."""
    below = a < 0.0
    return select(below, 0.0, a) + unary("log1p", unary("exp", select(below, a, -a)))


def _logits_weighted(a: Expr, b: Expr, positive: Expr) -> Expr:
    return (1.0 - b) * a + (1.0 + (positive - 1.0) * b) * _softplus(-a)


def _divergence(a: Expr, b: Expr) -> Expr:
    """``b (log b - a)``, 0 where b is 0."""
    own = select(b.equals(0.0) & ~is_nan(a), 0.0, b * unary("log", select(b.equals(0.0), 1.0, b)))
    return own - b * a


def _log_divergence(a: Expr, b: Expr) -> Expr:
    return unary("exp", b) * (b - a)


_mse = CellLoss("mse_loss", _square)
_l1 = CellLoss("l1_loss", lambda a, b: unary("abs", a - b))
_smooth_l1 = CellLoss("smooth_l1_loss", _smooth)
_hubers = CellLoss("huber_loss", _huber)
_bce = CellLoss("binary_cross_entropy", _binary)
_bce_logits = CellLoss("binary_cross_entropy_with_logits", _logits)
_bce_logits_weighted = CellLoss("binary_cross_entropy_with_logits", _logits_weighted)
_kl = CellLoss("kl_div", _divergence)
_kl_log = CellLoss("kl_div", _log_divergence)


def _warn_of_shapes(operator: str, input: Tensor, target: Tensor) -> None:
    if input.layout.shape != target.layout.shape:
        warn(
            f"{operator}(): Using a target size ({target.shape}) that is different to the input size ({input.shape}). "
            "This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            UserWarning,
            stacklevel=3,
        )


def _weighted(loss: Any, weight: Tensor | None, reduction: str) -> Any:
    """A loss per cell, times a weight, reduced."""
    loss = loss if weight is None else loss * weight
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def mse_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``(input - target)^2`` per cell; their mean (weighted if there is a weight) or sum."""
    reduction = wanted_reduction("mse_loss", size_average, reduce, reduction)
    _warn_of_shapes("mse_loss", input, target)
    if weight is None:
        return _mse(reduction, (), input, target)
    return _by_weight(_mse("none", (), input, target), weight, reduction)


def _by_weight(loss: Any, weight: Any, reduction: str) -> Any:
    """A weighted mean is divided by the sum of the weights."""
    loss = loss * weight
    if reduction == "mean":
        return loss.sum() / weight.expand(loss.shape).sum()
    return loss.sum() if reduction == "sum" else loss


def l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``|input - target|`` per cell; their mean (weighted if there is a weight) or sum."""
    reduction = wanted_reduction("l1_loss", size_average, reduce, reduction)
    _warn_of_shapes("l1_loss", input, target)
    if input.dtype.is_complex or target.dtype.is_complex:
        return _weighted((input - target).abs(), weight, reduction)  # type: ignore[operator]
    if weight is None:
        return _l1(reduction, (), input, target)
    return _by_weight(_l1("none", (), input, target), weight, reduction)


def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """``d^2 / (2 beta)`` where ``d = |input - target|`` is below ``beta``, else ``d - beta / 2``.

    Raises:
        RuntimeError: a negative ``beta``.
    """
    reduction = wanted_reduction("smooth_l1_loss", size_average, reduce, reduction)
    _warn_of_shapes("smooth_l1_loss", input, target)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss(): smooth_l1_loss does not support negative values for beta, got {beta}")
    if beta == 0:
        return _l1(reduction, (), input, target)
    return _smooth_l1(reduction, (beta,), input, target)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """``d^2 / 2`` where ``d = |input - target|`` is at most ``delta``, else ``delta (d - delta / 2)``.

    Raises:
        RuntimeError: ``delta`` is not positive.
    """
    reduction = wanted_reduction("huber_loss", None, None, reduction)
    _warn_of_shapes("huber_loss", input, target)
    if delta <= 0:
        raise RuntimeError(f"huber_loss(): huber_loss does not support non-positive values for delta, got {delta}")
    if weight is None:
        return _hubers(reduction, (delta,), input, target)
    return _by_weight(_hubers("none", (delta,), input, target), weight, reduction)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``-(target log input + (1 - target) log(1 - input))``; each logarithm is at least -100.

    Raises:
        ValueError: input and target have different shapes.
        RuntimeError: a cell of the input lies outside [0, 1]; a target of another dtype.
    """
    reduction = wanted_reduction("binary_cross_entropy", size_average, reduce, reduction)
    x: Any = input
    if x.layout.shape != target.layout.shape:
        raise ValueError(
            f"binary_cross_entropy(): Using a target size ({target.shape}) that is different to the input size "
            f"({x.shape}) is deprecated. Please ensure they have the same size."
        )
    if target.dtype is not input.dtype:
        raise RuntimeError(
            f"binary_cross_entropy(): Found dtype {target.dtype.scalar_name} but expected {x.dtype.scalar_name}: the "
            f"target holds probabilities; use target.to({x.dtype!r})"
        )
    if not bool(((x.detach() >= 0) & (x.detach() <= 1)).all()):
        raise RuntimeError("all elements of input should be between 0 and 1: apply sigmoid, or use the loss of logits")
    if weight is None:
        return _bce(reduction, (), input, target)
    return _bce(reduction, (), input, target, weight.expand(x.shape))


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """`binary_cross_entropy` of ``sigmoid(input)``, without overflow; positives count ``pos_weight`` times.

    Raises:
        ValueError: input and target have different shapes.
        RuntimeError: the target holds integers.
    """
    reduction = wanted_reduction("binary_cross_entropy_with_logits", size_average, reduce, reduction)
    if input.layout.shape != target.layout.shape:
        raise ValueError(
            f"binary_cross_entropy_with_logits(): Target size ({target.shape}) must be the same as input size "
            f"({input.shape})"
        )
    if is_inexact(input.dtype) and not is_inexact(target.dtype):
        raise RuntimeError(
            f"binary_cross_entropy_with_logits(): result type {input.dtype.scalar_name} can't be cast to the desired output "
            f"type {target.dtype.scalar_name}: the target holds probabilities; use target.to({input.dtype!r})"
        )
    operands = (input, target) if pos_weight is None else (input, target, pos_weight)
    loss = _bce_logits if pos_weight is None else _bce_logits_weighted
    if weight is None:
        return loss(reduction, (), *operands)
    return _weighted(loss("none", (), *operands), weight, reduction)


def kl_div(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", log_target: bool = False,
) -> Tensor:  # fmt: skip
    """``target (log target - input)``, input being a logarithm (and the target too with ``log_target``).

    ``reduction="batchmean"`` divides the sum by the first size, which is the divergence as defined.

    Raises:
        RuntimeError: integers.
    """
    if not (is_inexact(input.dtype) and is_inexact(target.dtype)):
        raise RuntimeError(
            f"kl_div(): Integral inputs not supported: got {input.dtype!r} and {target.dtype!r}; use .float()"
        )
    loss = _kl_log if log_target else _kl
    if reduction == "batchmean":
        total: Any = loss("sum", (), input, target)
        return total / input.shape[0] if input.ndim else total
    reduction = wanted_reduction("kl_div", size_average, reduce, reduction)
    if reduction == "mean":
        warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' divides "
            "only by the batch size, and aligns with the KL div math definition.",
            UserWarning,
            stacklevel=2,
        )
    return loss(reduction, (), input, target)
