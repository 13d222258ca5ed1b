"""The loss of classes by their logarithms: the one that was given to the right class.

    nll_loss         out[n] = - w[t] input[n, t]                      t = target[n]

The mean is divided by the weights of the classes that were met; ``ignore_index`` counts for nothing.
"""

from __future__ import annotations

from typing import Any, NoReturn

from pellucid.autograd.derived import differentiable_plan
from pellucid.autograd.graph import Node, recorder
from pellucid.dtypes import int64, uint8
from pellucid.errors import shape_text
from pellucid.formula.expr import Expr, axis, const, given, load, select
from pellucid.formula.formula import Fold, Formula, Output
from pellucid.layout import Layout, dense
from pellucid.operators.losses import wanted_reduction
from pellucid.operators.rows import accumulator, not_tensor
from pellucid.operators.standardising import sums
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.tensor import Tensor, array_of

IGNORED = -100


class ClassLoss:
    """``nll_loss`` for given layouts. Dimension ``d`` of the input counts classes: 0 without a batch, else 1."""

    name = "NllLossBackward0"

    def __init__(self, x: Layout, target: Layout, weight: Layout | None, ignore: int, reduction: str) -> None:
        self.x, self.target, self.weight, self.reduction = x, target, weight, reduction
        self.ignore = ignore
        self.d = 0 if x.ndim == 1 else 1
        self.inner = accumulator(x.dtype)
        self.gradients = PlanTable(self.gradient_plan)

    @property
    def given(self) -> dict[str, int | float]:
        return {"ignore": self.ignore}

    def check(self) -> None:
        x, target = self.x, self.target
        if x.ndim < 1:
            raise ValueError("nll_loss(): Expected 1 or more dimensions (got 0): the input holds a number per class")
        if x.ndim == 1:
            if target.ndim and tuple(target.shape) != (1,):
                raise ValueError(
                    f"nll_loss(): For 1D input, 1D target must have size 1, but got target {shape_text(target.shape)}: a "
                    "vector of classes is one sample"
                )
        elif tuple(target.shape) != tuple(n for k, n in enumerate(x.shape) if k != self.d):
            self._refuse_shapes()
        if target.dtype not in (int64, uint8):
            raise RuntimeError(
                f"nll_loss(): expected scalar type Long or Byte but found {target.dtype.scalar_name}; use target.long()"
            )
        if self.weight is not None and tuple(self.weight.shape) != (x.shape[self.d],):
            raise RuntimeError(
                f"nll_loss(): weight tensor should be defined either for all or no classes: {x.shape[self.d]} classes, "
                f"weight {shape_text(self.weight.shape)}"
            )

    def _refuse_shapes(self) -> None:
        x, target = self.x, self.target
        batch = target.shape[0] if target.ndim else 0
        if batch != x.shape[0]:
            raise ValueError(
                f"nll_loss(): Expected input batch_size ({x.shape[0]}) to match target batch_size ({batch}): input "
                f"{shape_text(x.shape)}, target {shape_text(target.shape)}"
            )
        wanted = tuple(n for k, n in enumerate(x.shape) if k != self.d)
        raise RuntimeError(
            f"nll_loss(): size mismatch (got input: {shape_text(x.shape)}, target: {shape_text(target.shape)}): the "
            f"target must have shape {shape_text(wanted)}, one class per cell"
            + ("; squeeze() drops dimensions of size 1" if 1 in target.shape[1:] else "")
        )

    def cells(self) -> tuple[Expr, Expr]:
        """The loss and the weight at the cell of the target whose coordinates are the axes."""
        here = tuple(axis(k) for k in range(self.target.ndim))
        t = load(1, self.target.dtype, here).cast(int64)
        ignored = t.equals(given("ignore"))
        safe = select(ignored, 0, t)
        coords = list(here if self.x.ndim > 1 else ())
        coords.insert(self.d, safe)
        value = -load(0, self.x.dtype, tuple(coords)).cast(self.inner)
        weight = const(1.0, self.inner)
        if self.weight is not None:
            weight = load(2, self.weight.dtype, (safe,)).cast(self.inner)
        return select(ignored, 0.0, value * weight), select(ignored, 0.0, weight)

    def plan(self) -> Plan:
        self.check()
        value, weight = self.cells()
        rank, dtype = self.target.ndim, self.x.dtype
        operands = (self.x, self.target, *([] if self.weight is None else [self.weight]))
        sizes = tuple(self.target.shape)
        if self.reduction == "none":
            formula = Formula("nll_loss", rank, (Output(value.cast(dtype)), Output(weight)))
            results = [dense(sizes, dtype), dense(sizes, self.inner)]
        else:
            fold = Fold(sums(2, self.inner), (value, weight), 0)
            total, weights = fold.states
            result = total / weights if self.reduction == "mean" else total
            formula = Formula("nll_loss", 0, (Output(result.cast(dtype)), Output(weights)), rank, (fold,))
            results = [dense((), dtype), dense((), self.inner)]
        record = recorder(self, results, operands)
        return kernel_plan(formula, operands, sizes, results, record=record, fail=self.fail, given=self.given)

    def fail(self, status: int, x: Tensor, target: Tensor, *weight: Tensor) -> NoReturn:
        found = array_of(target)
        bad = found[(found != self.ignore) & ((found < 0) | (found >= self.x.shape[self.d]))]
        raise IndexError(
            f"nll_loss(): Target {int(bad.flat[0])} is out of bounds: there are {self.x.shape[self.d]} classes "
            f"(dimension {self.d} of the input), and only ignore_index={self.ignore} is left out"
        )

    # -- derivative ---------------------------------------------------------------------------------------------------

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return (1, 3) if self.weight is None else (1, 3, 4)

    def backward(self, node: Node, grads: list[Any]) -> Any:
        saved = node.unpack()
        weights, target = saved[1], saved[3]
        operands = [grads[0], target, weights, *([] if self.weight is None else [saved[4]])]
        gradient = self.gradients[grads[0].layout](*operands)
        return (gradient, *[None] * (len(node.edges) - 1))

    def gradient_plan(self, grad: Layout) -> Plan:
        """``-w[c] grad`` (divided by the sum of weights for a mean) where class c is the target, else 0."""
        x, target, inner = self.x, self.target, self.inner
        here = tuple(axis(k) for k in range(x.ndim))
        at = tuple(a for k, a in enumerate(here) if k != self.d)
        place = at if x.ndim > 1 else (const(0, int64),) * target.ndim
        t = load(1, target.dtype, place).cast(int64)
        hit = t.equals(here[self.d]) & t.differs(given("ignore"))
        g = load(0, grad.dtype, place if grad.ndim else ()).cast(inner)
        statistic = dense(() if self.reduction != "none" else tuple(target.shape), inner)
        value = -g
        if self.weight is not None:
            value = value * load(3, self.weight.dtype, (here[self.d],)).cast(inner)
        if self.reduction == "mean":
            value = value / load(2, inner, ())
        formula = Formula("nll_loss_backward", x.ndim, (Output(select(hit, value, 0.0).cast(x.dtype)),))
        operands = (grad, target, statistic, *([] if self.weight is None else [self.weight]))
        return differentiable_plan(
            formula, operands, tuple(x.shape), [dense(x.shape, x.dtype)], given=self.given
        )


def _plan(x: Layout, target: Layout, weight: Layout | None, ignore: int, reduction: str) -> Plan:
    return ClassLoss(x, target, weight, ignore, reduction).plan()


_plans = PlanTable(_plan)


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    ignore_index: int = IGNORED, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``-w[t] input[n, t]`` with ``t = target[n]``: classes in dimension 1 of ``input``, which holds logarithms.

    Raises:
        IndexError: a target that is no class.
        RuntimeError, ValueError: shapes or dtypes that do not fit.
    """
    if not isinstance(input, Tensor):
        not_tensor("nll_loss", input)
    reduction = wanted_reduction("nll_loss", size_average, reduce, reduction)
    if weight is None:
        return _plans[input.layout, target.layout, None, ignore_index, reduction](input, target)[0]
    plan = _plans[input.layout, target.layout, weight.layout, ignore_index, reduction]
    return plan(input, target, weight)[0]
