"""Scatters: read, merge, write, in ascending order of the source's cells."""

from __future__ import annotations

from contextlib import ExitStack

from pellucid.codegen.cpu import CpuKernel
from pellucid.codegen.emit import Emitter
from pellucid.codegen.ir import vector
from pellucid.codegen.place import merge
from pellucid.codegen.reads import INDEX_ERROR, Value
from pellucid.codegen.schedule import OWNERS, Slot
from pellucid.dtypes import DType
from pellucid.formula.formula import Scatter


class ScatterLoops:
    """Read, merge, write, cell by cell; in vectors where neighbours go to neighbours."""

    def __init__(self, kernel: CpuKernel, formula: Scatter) -> None:
        self.k, self.formula, self.w = kernel, formula, kernel.writer

    def write(self) -> None:
        k, w, nest = self.k, self.w, self.k.nest
        with w.when(w.let("icmp slt i64 %begin, %end")), ExitStack() as stack:
            for a in range(nest.lane):
                k.counters[a] = stack.enter_context(w.loop(*self.bounds(a), "1"))
            start, end = self.bounds(nest.lane)
            if nest.slots[0].pattern[nest.lane] != "c":
                self.write_singly(start, end)
            elif self.neighbours_stay():
                outer = Emitter(k)
                ats = self.coordinates(outer)
                if nest.part == OWNERS:
                    stack.enter_context(w.when(self.own(ats[0])))
                Emitter(k, k.width, nest.lane, outer=outer).hoist(self.formula.value)
                k.lanes(start, end, lambda count, mask: self.write_lanes(count, mask, outer, ats))
            else:
                self.write_together(start, end)

    def bounds(self, loop: int) -> tuple[str, str]:
        return ("%begin", "%end") if loop == self.k.nest.part else ("0", self.k.size(loop))

    def coordinates(self, emitter: Emitter) -> list[str]:
        return [emitter.scalar(coord) for coord in self.formula.target]

    def own(self, at: str) -> str:
        """Whether the first computed coordinate lies in this part; the parts also have those outside."""
        w = self.w
        mine = w.let(f"and i1 {w.let(f'icmp sge i64 {at}, %begin')}, {w.let(f'icmp slt i64 {at}, %end')}")
        outside = w.let(f"icmp uge i64 {at}, {self.k.param(('extent', 0, 0))}")
        return w.let(f"or i1 {mine}, {outside}")

    def neighbours_stay(self) -> bool:
        """Whether neighbours along the lane go to neighbours."""
        nest = self.k.nest
        lanes = Emitter(self.k, self.k.width, nest.lane)
        return nest.slots[0].pattern[nest.lane] == "c" and not any(lanes.varies(c) for c in self.formula.target)

    def write_lanes(self, count: int, mask: str | None, outer: Emitter, ats: list[str]) -> None:
        for emitter in self.k.emitters(count, mask, outer):
            self.write_cell(emitter, ats)

    def write_singly(self, start: str, end: str) -> None:
        """Cell by cell."""
        lane = self.k.nest.lane
        with self.w.loop(start, end, "1") as i:
            self.k.counters[lane] = i
            emitter = Emitter(self.k, 1, lane)
            self.write_cell(emitter, self.coordinates(emitter))

    def write_together(self, start: str, end: str) -> None:
        """Vectors of cells that never meet: as one if they go to neighbours (indexes are often repeated along rows),
        else cell by cell."""
        k, w, lane, width = self.k, self.w, self.k.nest.lane, self.k.width
        length = w.let(f"sub i64 {end}, {start}")
        middle = w.let(f"sub i64 {end}, {w.let(f'urem i64 {length}, {width}')}")
        with w.loop(start, middle, str(width)) as i:
            k.counters[lane] = i
            emitter = Emitter(k, width, lane, outer=Emitter(k))
            whole, apart, ats = vector("i64", width), "false", []
            for coord in self.formula.target:
                at = emitter.scalar(coord)
                ats.append(w.let(f"extractelement {whole} {at}, i64 0"))
                differs = w.let(f"icmp ne {whole} {at}, {emitter.splat(ats[-1], 'i64')}")
                apart = w.let(f"or i1 {apart}, {emitter.any(differs)}")
            with w.when(w.let(f"xor i1 {apart}, true")):
                self.write_cell(emitter, ats)
            with w.when(apart):
                self.write_singly(i, w.let(f"add i64 {i}, {width}"))
        self.write_singly(middle, end)

    def write_cell(self, emitter: Emitter, ats: list[str]) -> None:
        """One cell, or one vector of neighbours: outside the result nothing is written and the status says so."""
        k, w = self.k, self.w
        slot: Slot = k.nest.slots[0]
        address, inside = k.address(0), None
        for d, at in enumerate(ats):
            ok = w.let(f"icmp ult i64 {at}, {k.param(('extent', 0, d))}")
            inside = ok if inside is None else w.let(f"and i1 {inside}, {ok}")
            address = w.let(f"add i64 {address}, {w.let(f'mul i64 {at}, {k.dynamic_step(0, d)}')}")
        if inside is not None:
            k.flag(w.let(f"xor i1 {inside}, true"), INDEX_ERROR)
        with w.when(inside or "true"):
            step = k.lane_step(0)
            own = k.counters[k.nest.lane]
            if emitter.shift != "0":
                own = w.let(f"add i64 {own}, {emitter.shift}")
            address = w.let(f"add i64 {address}, {w.let(f'mul i64 {own}, {step}')}")
            value = emitter.value(self.formula.value)
            if self.formula.reducer is not None:
                old = self._old(address, slot.dtype, emitter)
                (value,) = merge(k, self.formula.reducer, emitter.width, [old], [value])
            k.store_at(address, str(slot.dtype.itemsize), value, slot.dtype, emitter)

    def _old(self, address: str, dtype: DType, emitter: Emitter) -> Value:
        return emitter.read_run(address, dtype) if emitter.width > 1 else emitter.read_one(address, dtype)
