"""Lanes along the row: each row is folded in vectors, whose lanes are merged at its end."""

from __future__ import annotations

from dataclasses import replace

from pellucid.codegen.cpu import BLOCK, CpuKernel, block_loop
from pellucid.codegen.emit import Emitter
from pellucid.codegen.ir import register_type, vector
from pellucid.codegen.place import Accumulator, merge
from pellucid.codegen.reads import Value
from pellucid.codegen.reuse import reused
from pellucid.dtypes import DType
from pellucid.formula.expr import Expr, Number, const, node, rewrite
from pellucid.formula.formula import Fold, Formula, Output, Reducer


class RowLoops:
    """Lanes along the row: each row is folded in vectors, whose lanes are merged at its end."""

    def __init__(self, kernel: CpuKernel, formula: Formula) -> None:
        self.k, self.formula, self.w = kernel, formula, kernel.writer
        found = reused(formula)
        self.reuse = found if found and self._is_dense(found.output) and not kernel.nest.nontemporal else None

    def _is_dense(self, slot: int) -> bool:
        return self.k.nest.slots[slot].pattern[self.k.nest.lane] == "c"

    def write_rows(self) -> None:
        k, w = self.k, self.w
        loops = list(range(k.nest.outer))
        with w.when(w.let("icmp slt i64 %begin, %end")):
            if not loops:
                self.write_row()
                return
            with k.odometer(loops, "%begin") as advance, w.loop("%begin", "%end", "1"):
                k.reload()
                self.write_row()
                advance()

    def write_row(self) -> None:
        k = self.k
        row = Emitter(k)
        for stage in self.formula.stages:
            for e, value in self.write_fold(stage, row).items():
                row.memo[e] = value
        for i, output in enumerate(self.formula.outputs):
            if not output.over_row:
                k.store(i, row.value(output.value), row)
        over_row = [(i, self._again(o)) for i, o in enumerate(self.formula.outputs) if o.over_row]
        if over_row:
            self.write_cells(over_row, row)

    def _again(self, output: Output) -> Output:
        """The result with what the last fold left in its memory read from there."""
        if self.reuse is None:
            return output
        k, _, element = self.reuse
        left_there = node("access", (), element.dtype, (k, k, "aligned", None))
        return replace(output, value=rewrite(output.value, lambda e: left_there if e is element else None))

    def inner(self, row: Emitter) -> Emitter:
        """A one-lane emitter in front of the lane loop that starts from what the row knows."""
        outer = Emitter(self.k)
        outer.memo = dict(row.memo)
        return outer

    def write_fold(self, stage: Fold, row: Emitter) -> dict[Expr, Value]:
        k, w = self.k, self.w
        axes = self.k.row_axes()
        totals = [Accumulator(k, stage.reducer, k.width) for _ in range(k.unroll)]
        blocked = stage.reducer.blocked and not k.nest.short
        parts = [Accumulator(k, stage.reducer, k.width) for _ in range(k.unroll)] if blocked else totals
        with k.row_loops(axes[:-1]):
            outer = self.inner(row)
            probe = Emitter(k, k.width, k.nest.lane, outer=outer)
            for e in stage.elements:
                probe.hoist(e)
            start, end = k.row_bounds(axes[-1])
            step = BLOCK * k.width * k.unroll
            with block_loop(w, k, start, end, blocked, step) as (first, last):
                if blocked:
                    for part in parts:
                        part.reset()
                k.lanes(first, last, lambda count, mask: self.merge_lanes(stage, count, mask, outer, parts))
                if blocked:
                    for total, part in zip(totals, parts, strict=True):
                        total.merge(part.values())
        return dict(zip(stage.states, self.across(stage.reducer, [t.values() for t in totals]), strict=True))

    def merge_lanes(
        self, stage: Fold, count: int, mask: str | None, outer: Emitter, parts: list[Accumulator]
    ) -> None:
        emitters = self.k.emitters(count, mask, outer)
        values = [[e.value(x) for x in stage.elements] for e in emitters]
        for emitter, part, own in zip(emitters, parts[:count], values, strict=True):
            if self.reuse is not None and stage is self.formula.stages[-1]:
                self.k.store(self.reuse.output, own[self.reuse.element], emitter)
            if mask is not None:
                own = [self.masked(emitter, x, i) for x, i in zip(own, stage.reducer.identity, strict=True)]
            part.merge(own)

    def masked(self, emitter: Emitter, value: Value, identity: Expr) -> Value:
        if isinstance(value, tuple):
            real, imaginary = (const(v, identity.dtype.to_real()) for v in _parts(identity.data))
            return self._masked(emitter, value[0], real), self._masked(emitter, value[1], imaginary)
        return self._masked(emitter, value, identity)

    def _masked(self, emitter: Emitter, value: str, identity: Expr) -> str:
        type_ = emitter.type_of(identity.dtype)
        mask = f"{vector('i1', emitter.width)} {emitter.mask}"
        neutral = emitter.constant(identity.data, identity.dtype)
        return self.w.let(f"select {mask}, {type_} {value}, {type_} {neutral}")

    def across(self, reducer: Reducer, states: list[list[Value]]) -> list[Value]:
        """Merge the accumulators in pairs, then the lanes in halves."""
        k = self.k
        while len(states) > 1:
            pairs = zip(states[::2], states[1::2], strict=True)
            states = [merge(k, reducer, k.width, a, b) for a, b in pairs]
        (values,) = states
        width = k.width
        while width > 1:
            half = width // 2
            sides = []
            for first in (0, half):
                picks = ", ".join(f"i32 {first + i}" for i in range(half))
                parts = zip(values, reducer.dtypes, strict=True)
                sides.append([self._shuffle(v, d, width, half, picks) for v, d in parts])
            values, width = merge(k, reducer, half, sides[0], sides[1]), half
        return values

    def _shuffle(self, value: Value, dtype: DType, width: int, half: int, picks: str) -> Value:
        if isinstance(value, tuple):
            real, imaginary = (self._pick(v, dtype.to_real(), width, half, picks) for v in value)
            return real, imaginary
        return self._pick(value, dtype, width, half, picks)

    def _pick(self, value: str, dtype: DType, width: int, half: int, picks: str) -> str:
        type_ = vector(register_type(dtype), width)
        if half == 1:
            return self.w.let(f"extractelement {type_} {value}, i64 {picks.split()[1]}")
        return self.w.let(f"shufflevector {type_} {value}, {type_} poison, <{half} x i32> <{picks}>")

    def write_cells(self, outputs: list[tuple[int, Output]], row: Emitter) -> None:
        k = self.k
        axes = self.k.row_axes()
        with k.row_loops(axes[:-1]):
            outer = self.inner(row)
            probe = Emitter(k, k.width, k.nest.lane, outer=outer)
            for _, output in outputs:
                probe.hoist(output.value)

            def body(count: int, mask: str | None) -> None:
                emitters = self.k.emitters(count, mask, outer)
                values = [[e.value(o.value) for e in emitters] for _, o in outputs]
                for (i, _), own in zip(outputs, values, strict=True):
                    for emitter, value in zip(emitters, own, strict=True):
                        k.store(i, value, emitter)

            k.lanes(*k.row_bounds(axes[-1]), body)


def _parts(value: Number) -> tuple[float, float]:
    number = complex(value)
    return number.real, number.imag
