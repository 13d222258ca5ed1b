"""New tensors that the walk back needs itself: ones, zeros, copies. They are not recorded."""

from __future__ import annotations

from typing import Any

from pellucid.errors import shape_text
from pellucid.formula.expr import const, load
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout
from pellucid.plan import Plan, PlanTable, kernel_plan


def _filling(value: int) -> PlanTable:
    def build(result: Layout) -> Plan:
        formula = Formula("zeros" if value == 0 else "ones", result.ndim, (Output(const(value, result.dtype)),))
        return kernel_plan(formula, (), tuple(result.shape), [result])

    return PlanTable(build)


def _copying(source: Layout, result: Layout) -> Plan:
    if source.shape != result.shape:
        raise RuntimeError(
            f"a gradient of shape {shape_text(source.shape)} arrived at a tensor that is {shape_text(result.shape)} by "
            "now: its data was exchanged after the computation. Run backward() before."
        )
    formula = Formula("copy", result.ndim, (Output(load(0, source.dtype).cast(result.dtype)),))
    return kernel_plan(formula, [source], tuple(result.shape), [result])


_zeros, _ones = _filling(0), _filling(1)
_copies = PlanTable(_copying)


def zeros(layout: Layout) -> Any:
    return _zeros[layout]()


def ones(layout: Layout) -> Any:
    return _ones[layout]()


def copied(x: Any, layout: Layout) -> Any:
    """The values of ``x`` in new memory of this layout."""
    return _copies[x.layout, layout](x)
