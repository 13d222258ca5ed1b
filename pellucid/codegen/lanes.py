"""Lanes along the last outer axis: pointwise formulas, gathers, folds down the columns, scans."""

from __future__ import annotations

from pellucid.codegen.cpu import CpuKernel, block_loop
from pellucid.codegen.emit import Emitter
from pellucid.codegen.place import Accumulator
from pellucid.codegen.reads import Value
from pellucid.formula.expr import Expr
from pellucid.formula.formula import Fold, Formula


class LaneLoops:
    """Lanes along the last outer axis: pointwise formulas, gathers, folds down the columns, scans."""

    def __init__(self, kernel: CpuKernel, formula: Formula) -> None:
        self.k, self.formula, self.w = kernel, formula, kernel.writer

    def write_cells(self) -> None:
        """``begin`` and ``end`` count cells; a row is cut where they say so."""
        k, w, lane = self.k, self.w, self.k.nest.lane
        n = k.size(lane)
        loops = [a for a in range(k.nest.outer) if a != lane]
        cell = w.slot("i64", "%begin")
        some = w.let("icmp slt i64 %begin, %end")
        with w.when(some):
            if not loops:
                self.write_row("%begin", "%end")
                return
            row = w.let(f"udiv i64 %begin, {n}")
            offset = w.slot("i64", w.let(f"urem i64 %begin, {n}"))
            with k.odometer(loops, row) as advance:
                head, done = w.label(), w.label()
                w.jump(head)
                w.begin(head)
                k.reload()
                start, at = w.read("i64", offset), w.read("i64", cell)
                left_over = w.let(f"add i64 {start}, {w.let(f'sub i64 %end, {at}')}")
                end = k.smaller(n, left_over)
                self.write_row(start, end)
                w.write("i64", "0", offset)
                following = w.let(f"add i64 {at}, {w.let(f'sub i64 {end}, {start}')}")
                w.write("i64", following, cell)
                advance()
                w.branch(w.let(f"icmp slt i64 {following}, %end"), head, done)
                w.begin(done)

    def write_row(self, start: str, end: str) -> None:
        k = self.k
        outer = Emitter(k)
        if not self.formula.stages:
            probe = Emitter(k, k.width, k.nest.lane, outer=outer)
            for output in self.formula.outputs:
                probe.hoist(output.value)
        k.lanes(start, end, lambda count, mask: self.write_lanes(count, mask, outer))

    def write_lanes(self, count: int, mask: str | None, outer: Emitter) -> None:
        if not self.formula.stages:
            self.write_outputs(self.k.emitters(count, mask, outer), over_row=False)
            return
        states: list[dict[Expr, Value]] = [{} for _ in range(count)]
        for stage in self.formula.stages:
            last = stage is self.formula.stages[-1]
            self.write_fold(stage, mask, states, scan=last and self.formula.scan)
        if any(o.over_row for o in self.formula.outputs) and not self.formula.scan:
            with self.k.row_loops(self.k.row_axes()):
                self.write_outputs(self.bound(mask, states), over_row=True)
        self.write_outputs(self.bound(mask, states), over_row=False)

    def bound(self, mask: str | None, states: list[dict[Expr, Value]]) -> list[Emitter]:
        """Emitters at this place that know the states so far."""
        emitters = self.k.emitters(len(states), mask, Emitter(self.k))
        for emitter, known in zip(emitters, states, strict=True):
            for e, value in known.items():
                emitter.bind(e, value)
        return emitters

    def write_outputs(self, emitters: list[Emitter], over_row: bool) -> None:
        outputs = [(i, o) for i, o in enumerate(self.formula.outputs) if o.over_row == over_row]
        values = [[emitter.value(o.value) for emitter in emitters] for _, o in outputs]
        for (i, _), row in zip(outputs, values, strict=True):
            for emitter, value in zip(emitters, row, strict=True):
                self.k.store(i, value, emitter)

    def write_fold(self, stage: Fold, mask: str | None, states: list[dict[Expr, Value]], scan: bool) -> None:
        """Merge the row's elements into accumulators, one set per vector of lanes."""
        k, w = self.k, self.w
        count = len(states)
        totals = [Accumulator(k, stage.reducer, k.width) for _ in range(count)]
        rows = self.k.row_axes()
        blocked = stage.reducer.blocked and not scan
        parts = [Accumulator(k, stage.reducer, k.width) for _ in range(count)] if blocked else totals
        with k.row_loops(rows[:-1]):
            start, end = k.row_bounds(rows[-1])
            with block_loop(w, k, start, end, blocked) as (first, last):
                if blocked:
                    for part in parts:
                        part.reset()
                with w.loop(first, last, "1") as i:
                    k.counters[rows[-1]] = i
                    emitters = self.bound(mask, states)
                    elements = [[e.value(x) for x in stage.elements] for e in emitters]
                    for part, own in zip(parts, elements, strict=True):
                        part.merge(own)
                    if scan:
                        running = [{**s, **p.states(stage)} for s, p in zip(states, parts, strict=True)]
                        self.write_outputs(self.bound(mask, running), over_row=True)
                if blocked:
                    for total, part in zip(totals, parts, strict=True):
                        total.merge(part.values())
        for known, total in zip(states, totals, strict=True):
            known.update(total.states(stage))
