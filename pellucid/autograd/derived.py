"""Derivatives that nobody wrote: they come from the formula of the call."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pellucid.autograd.fresh import zeros
from pellucid.autograd.graph import Node, Pattern, recorder
from pellucid.dtypes import int64
from pellucid.errors import tensor_text
from pellucid.formula.derivative import Pullback, pullback
from pellucid.formula.expr import Expr, node, rewrite, walk
from pellucid.formula.formula import Formula, Scatter
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
    given: Mapping[str, int | float] | None = None,
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
    given: Mapping[str, int | float] | None,
) -> Plan:
    """Zeros, then the scatter into them."""
    scatter = kernel_plan(formula, operands, sizes, [result], fail=fail, in_place=True, given=given)

    def plan(*tensors: Any) -> Any:
        out = zeros(result)
        scatter(out, *tensors)
        if record is not None and native.recorded(*tensors):
            record(out, *tensors)
        return out

    return plan


def grad_fn_name(formula_name: str, form: int = 0) -> str:
    """``index_select`` -> ``IndexSelectBackward0``, ``log1p`` -> ``Log1PBackward0``; ``form`` is the number at the end."""
    return re.sub(r"(?:^|_|(?<=\d))([a-z])|_", lambda m: (m[1] or "").upper(), formula_name) + f"Backward{form}"


Pull = Callable[[Any, tuple[Any, ...]], Any]  # (gradient of the result, what was saved) -> gradient of an operand


@dataclass(frozen=True)
class Step:
    """One pullback made ready: which of (gradient, result, operands...) it reads, and its plans by their layouts.

    ``same`` says that the gradient passes unchanged.
    """

    used: tuple[int, ...]
    plans: PlanTable
    reduce: tuple[int, ...]
    shape: tuple[int, ...]
    same: bool

    def run(self, values: dict[int, Any]) -> Any:
        if self.same:
            return values[0]
        chosen = [values[i] for i in self.used]
        return self._shaped(self.plans[tuple([_key(t) for t in chosen])](*chosen))

    def _shaped(self, result: Any) -> Any:
        if self.reduce:
            result = result.sum(self.reduce)
        return result if result.layout.shape == self.shape else result.reshape(self.shape)

    def pull(self, kept: tuple[int, ...], operands: Sequence[Operand]) -> Pull:
        """``run`` for nodes that save the values numbered ``kept``, without what is known from that."""
        if self.same:
            return lambda g, saved: g
        plans, shape = self.plans, self.shape
        places = [kept.index(i - 1) for i in self.used if i > 0]
        tensors = all(i < 2 or isinstance(operands[i - 2], Layout) for i in self.used)
        if self.used[0] == 0 and tensors and not self.reduce and len(places) < 3:
            if not places:

                def alone(g: Any, saved: tuple[Any, ...]) -> Any:
                    result = plans[g.layout,](g)
                    return result if result.layout.shape == shape else result.reshape(shape)

                return alone
            first, last = places[0], places[-1]

            def with_one(g: Any, saved: tuple[Any, ...]) -> Any:
                a = saved[first]
                result = plans[g.layout, a.layout](g, a)
                return result if result.layout.shape == shape else result.reshape(shape)

            def with_two(g: Any, saved: tuple[Any, ...]) -> Any:
                a, b = saved[first], saved[last]
                result = plans[g.layout, a.layout, b.layout](g, a, b)
                return result if result.layout.shape == shape else result.reshape(shape)

            return with_one if first == last else with_two
        numbers = [0, *(i + 1 for i in kept)]
        return lambda g, saved: self.run(dict(zip(numbers, (g, *saved), strict=True)))


def _key(value: Any) -> Layout | type:
    kind = type(value)
    return kind if kind is float or kind is int or kind is bool else value.layout


class DerivedRule:
    """The rule of a formula: its pullbacks, made when they are first needed."""

    def __init__(
        self,
        formula: Formula | Scatter,
        operands: tuple[Operand, ...],
        sizes: tuple[int, ...],
        given: Mapping[str, int | float] | None,
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
            self._steps[k] = found = [self._step(p, shape) for p in self.pullbacks(k, shapes)]
        return found

    def pullbacks(self, k: int, shapes: tuple[tuple[int, ...] | None, ...]) -> list[Pullback]:
        return pullback(self.formula, self.sizes, k, shapes)

    def _step(self, pulled: Pullback, shape: tuple[int, ...]) -> Step:
        formula, used = compact(pulled.formula)
        result = pulled.shape

        def build(*operands: Operand) -> Plan:
            self._check(used, operands)
            layouts = [x for x in operands if isinstance(x, Layout)]
            dtype = formula.value.dtype if isinstance(formula, Scatter) else formula.outputs[0].value.dtype
            same = not isinstance(formula, Scatter) and all(x.shape == result for x in layouts) and layouts
            target = elementwise(result, layouts, dtype) if same else dense(result, dtype)
            return differentiable_plan(formula, operands, pulled.sizes, [target], given=self.given)

        same = not pulled.reduce and shape == result == pulled.sizes and _passes(formula)
        return Step(used, PlanTable(lambda *key: build(*key)), pulled.reduce, shape, same)

    def _check(self, used: tuple[int, ...], values: Sequence[Operand]) -> None:
        """A saved tensor's data may have been exchanged (``x.data = ...``) for some of another shape."""
        for i, x in zip(used, values, strict=True):
            was = self.operands[i - 2] if i > 1 else None
            if isinstance(was, Layout) and (not isinstance(x, Layout) or x.shape != was.shape):
                got = tensor_text(x.dtype, x.shape) if isinstance(x, Layout) else x.__name__
                raise RuntimeError(
                    f"{self.name}: operand {i - 2} was {tensor_text(was.dtype, was.shape)} in the computation and is "
                    f"{got} now: its data was exchanged. Run backward() before."
                )

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        used = {i for k, asked in enumerate(needed) if asked for step in self.steps(k) for i in step.used}
        return tuple(sorted(i - 1 for i in used if i > 0))

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        g = grads[0]
        if g is None:
            return (None,) * len(node.edges)
        pattern = node.pattern
        pulls = pattern.pulls
        if pulls is None:
            pattern.pulls = pulls = tuple([self._pull(k, e is not None, pattern) for k, e in enumerate(node.edges)])
        saved: tuple[Any, ...] = ()
        if pattern.kept:
            saved = node.values()
            if pattern.kept[0] == 0 and native.grad_enabled():
                saved = (_tracked_result(saved[0], node), *saved[1:])
        if len(pulls) == 2:  # a comprehension would cost as much as the rest
            return pulls[0](g, saved), pulls[1](g, saved)
        if len(pulls) == 1:
            return (pulls[0](g, saved),)
        return [pull(g, saved) for pull in pulls]

    def _pull(self, k: int, needed: bool, pattern: Pattern) -> Pull:
        """What gives operand ``k`` its gradient: the sum of its steps, for nodes of this pattern."""
        if not needed:
            return lambda g, saved: None
        operand = self.operands[k]
        assert isinstance(operand, Layout), "a number has no gradient"
        pulls = [step.pull(pattern.kept, self.operands) for step in self.steps(k)]
        if not pulls:  # the result depends on it in steps only (a rounding)
            nothing = dense(operand.shape, operand.dtype)
            return lambda g, saved: zeros(nothing)
        if len(pulls) == 1:
            return pulls[0]

        def total(g: Any, saved: tuple[Any, ...]) -> Any:
            result = pulls[0](g, saved)
            for pull in pulls[1:]:
                result = result + pull(g, saved)
            return result

        return total


class StatedRule(DerivedRule):
    """The rule of a pointwise formula of one tensor, ``back`` being said by hand; further derivatives come from that."""

    def __init__(
        self, formula: Formula, back: Formula, operands: tuple[Operand, ...], sizes: tuple[int, ...], name: str | None
    ) -> None:
        super().__init__(formula, operands, sizes, None, name)
        self.back = back

    def pullbacks(self, k: int, shapes: tuple[tuple[int, ...] | None, ...]) -> list[Pullback]:
        assert k == 0, "the first operand alone has a gradient"
        return [Pullback(self.back, self.sizes, self.sizes)]


def _passes(formula: Formula | Scatter) -> bool:
    """Whether every cell of the result is the gradient's cell at the same place."""
    if isinstance(formula, Scatter) or formula.stages:
        return False
    (output,) = formula.outputs
    value, places = output.value, tuple(range(formula.rank))
    elsewhere = output.axes not in (None, places) or len(value.args) != formula.rank
    if value.op != "load" or value.data[0] != 0 or elsewhere:
        return False
    return all(c.op == "axis" and c.data == d for d, c in zip(places, value.args, strict=True))


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
    swap: Callable[[Expr], Expr] = lambda e: rewrite(e, leaf, memo)  # noqa: E731
    if isinstance(formula, Scatter):
        return replace(formula, target=tuple(map(swap, formula.target)), value=swap(formula.value)), tuple(used)
    stages = tuple(replace(s, elements=tuple(map(swap, s.elements))) for s in formula.stages)
    outputs = tuple(replace(o, value=swap(o.value)) for o in formula.outputs)
    return replace(formula, stages=stages, outputs=outputs), tuple(used)


def _operand(e: Expr) -> int:
    return int(e.data if e.op == "scalar" else e.data[0])
