"""Scatters: read, merge, write, in ascending order of the source's cells."""

from __future__ import annotations

from contextlib import ExitStack

from pellucid.codegen.cpu import CpuKernel
from pellucid.codegen.emit import Emitter
from pellucid.codegen.place import merge
from pellucid.codegen.reads import INDEX_ERROR, Value
from pellucid.codegen.schedule import Slot
from pellucid.dtypes import DType
from pellucid.formula.formula import Scatter


class ScatterLoops:
    """Read, merge, write, cell by cell; in vectors where neighbours go to neighbours."""

    def __init__(self, kernel: CpuKernel, formula: Scatter) -> None:
        self.k, self.formula, self.w = kernel, formula, kernel.writer
        self.split_lane = kernel.nest.slots[0].pattern[0] == "0"  # no axis but the lane's keeps writes apart

    def write(self) -> None:
        k, w, nest = self.k, self.w, self.k.nest
        with w.when(w.let("icmp slt i64 %begin, %end")), ExitStack() as stack:
            for a in range(nest.outer - 1):
                whole = a > 0 or self.split_lane
                start, end = ("0", k.size(a)) if whole else ("%begin", "%end")
                k.counters[a] = stack.enter_context(w.loop(start, end, "1"))
            start, end = ("%begin", "%end") if self.split_lane else ("0", k.size(nest.lane))
            if nest.slots[0].pattern[nest.lane] == "c":
                outer = Emitter(k)
                for coord in self.formula.target:
                    outer.value(coord)
                Emitter(k, k.width, nest.lane, outer=outer).hoist(self.formula.value)
                k.lanes(start, end, lambda count, mask: self.write_lanes(count, mask, outer))
            else:
                with w.loop(start, end, "1") as i:
                    k.counters[nest.lane] = i
                    self.write_one()

    def write_lanes(self, count: int, mask: str | None, outer: Emitter) -> None:
        for emitter in self.k.emitters(count, mask, outer):
            self.write_cell(emitter, outer)

    def write_one(self) -> None:
        emitter = Emitter(self.k)
        self.write_cell(emitter, emitter)

    def write_cell(self, emitter: Emitter, outer: Emitter) -> None:
        """One cell, or one vector of neighbours: outside the result nothing is written and the status says so."""
        k, w = self.k, self.w
        slot: Slot = k.nest.slots[0]
        address, inside = k.address(0), None
        for d, coord in enumerate(self.formula.target):
            at = outer.scalar(coord)
            ok = w.let(f"icmp ult i64 {at}, {k.param(('extent', 0, d))}")
            inside = ok if inside is None else w.let(f"and i1 {inside}, {ok}")
            address = w.let(f"add i64 {address}, {w.let(f'mul i64 {at}, {k.dynamic_step(0, d)}')}")
        if inside is not None:
            k.flag(w.let(f"xor i1 {inside}, true"), INDEX_ERROR)
        with w.when(inside or "true"):
            step = k.lane_step(0)
            at = k.counters[k.nest.lane]
            if emitter.shift != "0":
                at = w.let(f"add i64 {at}, {emitter.shift}")
            address = w.let(f"add i64 {address}, {w.let(f'mul i64 {at}, {step}')}")
            value = emitter.value(self.formula.value)
            if self.formula.reducer is not None:
                old = self._old(address, slot.dtype, emitter)
                (value,) = merge(k, self.formula.reducer, emitter.width, [old], [value])
            k.store_at(address, str(slot.dtype.itemsize), value, slot.dtype, emitter)

    def _old(self, address: str, dtype: DType, emitter: Emitter) -> Value:
        return emitter.read_run(address, dtype) if emitter.width > 1 else emitter.read_one(address, dtype)
