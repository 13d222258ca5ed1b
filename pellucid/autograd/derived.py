"""Derivatives that nobody wrote: they come from the formula of the call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pellucid.autograd.fresh import zeros
from pellucid.autograd.graph import Node, recorder
from pellucid.dtypes import int64
from pellucid.formula.derivative import Pullback, pullback
from pellucid.formula.expr import Expr, const, node, rewrite, walk
from pellucid.formula.formula import Formula, Output, Scatter
from pellucid.layout import Layout, dense, elementwise
from pellucid.plan import Fail, Operand, Plan, PlanTable, kernel_plan
from pellucid.runtime import native


def differentiable_plan(
    formula: Formula | Scatter,
    operands: Sequence[Operand],
    sizes: tuple[int, ...],
    results: Sequence[Layout],
    *,
    fail: Fail | None = None,
    given: dict[str, int | float] | None = None,
    name: str | None = None,
) -> Plan:
    """A plan whose calls are recorded, if its first result can have a gradient. ``name``: as in ``grad_fn``."""
    record = None
    first = results[0].dtype
    if first.is_floating_point or first.is_complex:
        record = recorder(DerivedRule(formula, tuple(operands), sizes, given, name), results, operands)
    if isinstance(formula, Scatter):
        return _scatter_plan(formula, operands, sizes, results[0], record, fail, given)
    return kernel_plan(formula, operands, sizes, results, record=record, fail=fail, given=given)


def _scatter_plan(
    formula: Scatter,
    operands: Sequence[Operand],
    sizes: tuple[int, ...],
    result: Layout,
    record: Callable[..., None] | None,
    fail: Fail | None,
    given: dict[str, int | float] | None,
) -> Plan:
    """Zeros, then the scatter into them."""
    scatter = kernel_plan(formula, operands, sizes, [result], fail=fail, in_place=True, given=given)

    def plan(*tensors: Any) -> Any:
        out = zeros(result)
        scatter(out, *tensors)
        if record is not None and native.grad_enabled() and any(getattr(t, "tracked", False) for t in tensors):
            record(out, *tensors)
        return out

    return plan


def grad_fn_name(formula_name: str) -> str:
    """``index_select`` -> ``IndexSelectBackward0``."""
    return "".join(part[:1].upper() + part[1:] for part in formula_name.split("_")) + "Backward0"


@dataclass(frozen=True)
class Step:
    """One pullback made ready: which of (gradient, result, operands...) it reads, and its plans by their layouts."""

    used: tuple[int, ...]
    plans: PlanTable
    reduce: tuple[int, ...]
    shape: tuple[int, ...]

    def run(self, values: dict[int, Any]) -> Any:
        chosen = [values[i] for i in self.used]
        key = tuple([t.layout if hasattr(t, "layout") else type(t) for t in chosen])
        result = self.plans[key](*chosen)
        if self.reduce:
            result = result.sum(self.reduce)
        return result if result.layout.shape == self.shape else result.reshape(self.shape)


class DerivedRule:
    """The rule of a formula: its pullbacks, made when they are first needed."""

    def __init__(
        self,
        formula: Formula | Scatter,
        operands: tuple[Operand, ...],
        sizes: tuple[int, ...],
        given: dict[str, int | float] | None,
        name: str | None,
    ) -> None:
        self.formula, self.operands, self.sizes, self.given = formula, operands, sizes, given
        self.name = name or grad_fn_name(formula.name)
        self._steps: dict[int, list[Step]] = {}

    def steps(self, k: int) -> list[Step]:
        """What brings the gradient to operand ``k``."""
        found = self._steps.get(k)
        if found is None:
            shapes = tuple(tuple(x.shape) if isinstance(x, Layout) else None for x in self.operands)
            shape = shapes[k]
            assert shape is not None
            pulled = pullback(self.formula, self.sizes, k, shapes)
            self._steps[k] = found = [self._step(p, shape) for p in pulled]
        return found

    def _step(self, pulled: Pullback, shape: tuple[int, ...]) -> Step:
        formula, used = compact(pulled.formula)
        result = pulled.shape

        def build(*operands: Operand) -> Plan:
            layouts = [x for x in operands if isinstance(x, Layout)]
            dtype = formula.value.dtype if isinstance(formula, Scatter) else formula.outputs[0].value.dtype
            same = not isinstance(formula, Scatter) and all(x.shape == result for x in layouts) and layouts
            target = elementwise(result, layouts, dtype) if same else dense(result, dtype)
            return differentiable_plan(formula, operands, pulled.sizes, [target], given=self.given)

        return Step(used, PlanTable(lambda *key: build(*key)), pulled.reduce, shape)

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        used = {i for k, asked in enumerate(needed) if asked for step in self.steps(k) for i in step.used}
        return tuple(sorted(i - 1 for i in used if i > 0))

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        values = {i + 1: t for i, t in node.unpack().items()}
        values[0] = grads[0]
        if 1 in values and native.grad_enabled():
            values[1] = _tracked_result(values[1], node)
        result: list[Any] = []
        for k, edge in enumerate(node.edges):
            total = None
            for step in self.steps(k) if edge is not None else ():
                own = step.run(values)
                total = own if total is None else total + own
            result.append(self._nothing(k) if total is None and edge is not None else total)
        return result

    def _nothing(self, k: int) -> Any:
        """The gradient of an operand that the result depends on in steps only (a rounding): zeros."""
        operand = self.operands[k]
        assert isinstance(operand, Layout), "a number has no gradient"
        return zeros(dense(operand.shape, operand.dtype))


def _tracked_result(t: Any, node: Node) -> Any:
    """The saved result as a part of the graph again, for derivatives of derivatives."""
    fresh = native.new_tensor(t.layout, t.storage, t.ptr)
    fresh.node, fresh.tracked = node, True
    return fresh


def compact(formula: Formula | Scatter) -> tuple[Formula | Scatter, tuple[int, ...]]:
    """The formula with its operands numbered without gaps, and their former numbers."""
    used = sorted({_operand(e) for e in walk(*formula.expressions()) if e.op in ("load", "scalar", "extent")})
    number = {k: i for i, k in enumerate(used)}

    def leaf(e: Expr) -> Expr | None:
        if e.op == "load":
            args = tuple(rewrite(a, leaf, memo) for a in e.args)
            return node("load", args, e.dtype, (number[e.data[0]], *e.data[1:]))
        if e.op == "scalar":
            return node("scalar", (), e.dtype, number[e.data])
        return node("extent", (), int64, (number[e.data[0]], e.data[1])) if e.op == "extent" else None

    memo: dict[Expr, Expr] = {}
    swap = lambda e: rewrite(e, leaf, memo)  # noqa: E731
    if isinstance(formula, Scatter):
        return replace(formula, target=tuple(map(swap, formula.target)), value=swap(formula.value)), tuple(used)
    stages = tuple(replace(s, elements=tuple(map(swap, s.elements))) for s in formula.stages)
    outputs = tuple(replace(o, value=swap(o.value)) for o in formula.outputs)
    return replace(formula, stages=stages, outputs=outputs), tuple(used)


def _operand(e: Expr) -> int:
    return int(e.data if e.op == "scalar" else e.data[0])
