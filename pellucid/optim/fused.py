"""Updates as one formula: everything an optimiser does to a cell of a parameter, in one pass over memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pellucid.dtypes import DType, bfloat16, float16, float32, float64
from pellucid.errors import shape_text
from pellucid.formula.expr import Expr, load, scalar
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout
from pellucid.operators.reinterpreting import view_as_real
from pellucid.plan import Operand, Plan, PlanTable, kernel_plan


class Update:
    """``rule(tensors, numbers) -> new values of the first tensors``, cell by cell, in place.

    Args:
        name: of the formula.
        rule: takes lists of expressions (all in the parameter's working dtype).
        changed: how many of the tensors are written: the first ones.
        numbers: how many Python floats follow the tensors.
    """

    def __init__(
        self, name: str, rule: Callable[[Sequence[Expr], Sequence[Expr]], Sequence[Expr]], changed: int, numbers: int
    ) -> None:
        self.name, self.rule, self.changed, self.numbers = name, rule, changed, numbers
        self.plans = PlanTable(lambda *layouts: self._plan(layouts))

    def _plan(self, layouts: tuple[Layout, ...]) -> Plan:
        self._check(layouts)
        if layouts[0].dtype.is_complex:
            return self._by_parts(len(layouts))
        work = _working(layouts[0].dtype)
        tensors = [load(k, x.dtype).cast(work) for k, x in enumerate(layouts)]
        numbers = [scalar(len(layouts) + k, float64).cast(work) for k in range(self.numbers)]
        new = self.rule(tensors, numbers)
        outputs = tuple(Output(e.cast(x.dtype)) for e, x in zip(new, layouts, strict=False))
        formula = Formula(self.name, layouts[0].ndim, outputs)
        operands: list[Operand] = [*layouts, *[float] * self.numbers]
        return kernel_plan(formula, operands, tuple(layouts[0].shape), layouts[: self.changed], in_place=True)

    def _check(self, layouts: tuple[Layout, ...]) -> None:
        """A parameter whose data was exchanged, or loaded state, may have another shape than the rest."""
        shapes = [shape_text(x.shape) for x in layouts]
        if len(set(shapes)) > 1:
            raise RuntimeError(
                f"{self.name}: the parameter has shape {shapes[0]}, its state and its gradient "
                f"{', '.join(shapes[1:])}; all have to be of one shape. Was the parameter's data exchanged, or the "
                "state of another model loaded?"
            )

    def _by_parts(self, count: int) -> Plan:
        """Complex numbers are updated as pairs of real ones."""

        def run(*operands: Any) -> None:
            tensors, numbers = operands[self.changed : self.changed + count], operands[self.changed + count :]
            self(*[view_as_real(t) for t in tensors], numbers=numbers)

        return run

    def __call__(self, *tensors: Any, numbers: Sequence[float] = ()) -> None:
        """Write the first ``changed`` tensors. All have one shape."""
        plan = self.plans[tuple([t.layout for t in tensors])]
        plan(*tensors[: self.changed], *tensors, *numbers)


def _working(dtype: DType) -> DType:
    return float32 if dtype in (bfloat16, float16) else dtype


_steps = Update("count", lambda t, n: [t[0] + 1.0], 1, 0)


def count(step: Any) -> None:
    """One more step, in the tensor that counts them."""
    _steps.plans[(step.layout,)](step, step)
