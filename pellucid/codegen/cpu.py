"""The processor's loops: rows walked by counters, lanes along a row in vectors, the rest of a row under a mask.

Kernel: ``i64 kernel(ptr operands, ptr params, i64 begin, i64 end)``; it visits the cells ``begin <= cell < end`` of
the outer loops (of all of them, the lane's included, unless lanes run along the row) and returns status bits.
``lanes.py``, ``rows.py``, ``tiles.py`` and ``scatters.py`` hold the four ways of walking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pellucid.codegen.emit import Emitter
from pellucid.codegen.ir import Writer, memory_type, suffix, vector
from pellucid.codegen.place import KernelPlace
from pellucid.codegen.reads import Value
from pellucid.codegen.schedule import TILE, Nest, Slot
from pellucid.dtypes import DType, bool_
from pellucid.formula.expr import Expr, walk
from pellucid.formula.formula import Formula
from pellucid.formula.lowering import expand_all

HEAD = "define i64 @kernel(ptr noalias %operands, ptr noalias %params, i64 %begin, i64 %end) #0"
ATTRIBUTES = 'attributes #0 = { nounwind "prefer-vector-width"="512" }\n!0 = !{i32 1}\n'
BLOCK = 64  # steps of a blocked fold between two merges into the total


class CpuKernel(KernelPlace):
    """Writes one kernel; it is the ``Place`` that emitters ask for counters, addresses and parameters."""

    def __init__(self, nest: Nest, vector_bytes: int) -> None:
        super().__init__(nest)
        self.width, self.unroll = self._lanes(vector_bytes)
        self.status = self.writer.slot("i64", "0")

    def _lanes(self, vector_bytes: int) -> tuple[int, int]:
        """Lanes by the widest element that differs between them; fewer vectors at a time the longer the expression
        is."""
        widest = max(s.dtype.to_real().itemsize for s in self._varying_slots() or self.nest.slots)
        memo: dict[Expr, Expr] = {}
        nodes = sum(1 for _ in walk(*(expand_all(e, memo) for e in self.nest.formula.expressions())))
        unroll = 8 if nodes < 8 and self.nest.horizontal else 4 if nodes < 32 else 2 if nodes < 160 else 1
        width = max(vector_bytes // widest, 4)
        if self._scans_scattered():
            return 1, unroll
        if self.nest.short:
            unroll = 1
        return min(width, TILE) if self.nest.tile >= 0 else width, unroll

    def _varying_slots(self) -> list[Slot]:
        """Slots whose cells may differ between lanes: an index that is the same for a whole row is not one."""
        formula, lane = self.nest.formula, self.nest.lane
        computed = {e.data[0] for e in walk(*formula.expressions()) if e.op == "access" and e.args}
        return [s for i, s in enumerate(self.nest.slots) if s.pattern[lane] != "0" or i in computed]

    def _scans_scattered(self) -> bool:
        """A scan whose lanes would be written far apart: a few rows at a time, cell by cell, are faster."""
        formula, lane = self.nest.formula, self.nest.lane
        return isinstance(formula, Formula) and formula.scan and self.nest.slots[0].pattern[lane] != "c"

    # -- what emitters ask --------------------------------------------------------------------------------------------

    def moves_with(self, loop: int) -> bool:
        return loop != self.nest.lane

    def lane_step(self, slot: int) -> str:
        s = self.nest.slots[slot]
        letter = s.pattern[self.nest.lane]
        if letter == "s":
            return self.param(("stride", slot, self.nest.lane))
        return str(s.dtype.itemsize) if letter == "c" else "0"

    def flag(self, condition: str, status: int) -> None:
        bit = self.writer.let(f"select i1 {condition}, i64 {status}, i64 0")
        old = self.writer.read("i64", self.status)
        self.writer.write("i64", self.writer.let(f"or i64 {old}, {bit}"), self.status)

    def finish(self) -> str:
        """The text of the kernel whose loops have been written."""
        w = self.writer
        if self.nest.nontemporal:
            w.do("fence seq_cst")
        w.do(f"ret i64 {w.read('i64', self.status)}")
        return f"{w.function(HEAD)}\n{ATTRIBUTES}"

    def emitters(self, count: int, mask: str | None, outer: Emitter) -> list[Emitter]:
        """Emitters of ``count`` neighbouring vectors of lanes."""
        result = []
        for u in range(count):
            emitter = Emitter(self, self.width, self.nest.lane, mask, outer)
            emitter.shift = str(u * self.width) if u else "0"
            result.append(emitter)
        return result

    @contextmanager
    def odometer(
        self, loops: list[int], start: str, sizes: dict[int, str] | None = None
    ) -> Iterator[Callable[[], None]]:
        """Counters of ``loops`` set to the row number ``start``; what is yielded moves them on by one row."""
        w = self.writer
        extents = {a: (sizes or {}).get(a) or self.size(a) for a in loops}
        slots = {a: w.slot("i64") for a in loops}
        rest = start
        for k, a in enumerate(reversed(loops)):
            if k == len(loops) - 1:
                w.write("i64", rest, slots[a])
            else:
                w.write("i64", w.let(f"urem i64 {rest}, {extents[a]}"), slots[a])
                rest = w.let(f"udiv i64 {rest}, {extents[a]}")

        def load() -> None:
            self.counters.update({a: w.read("i64", s) for a, s in slots.items()})

        def advance() -> None:
            done = w.label()
            for a in reversed(loops):
                following = w.let(f"add i64 {w.read('i64', slots[a])}, 1")
                w.write("i64", following, slots[a])
                carry = w.label()
                w.branch(w.let(f"icmp slt i64 {following}, {extents[a]}"), done, carry)
                w.begin(carry)
                w.write("i64", "0", slots[a])
            w.jump(done)
            w.begin(done)

        self.reload = load
        yield advance

    def lane_mask(self, at: str, end: str) -> str:
        """Lanes whose cell lies before ``end``."""
        w, whole = self.writer, vector("i64", self.width)
        left_over = w.let(f"sub i64 {end}, {at}")
        numbers = ", ".join(f"i64 {i}" for i in range(self.width))
        first = w.let(f"insertelement {whole} poison, i64 {left_over}, i64 0")
        zeros = f"<{self.width} x i32> zeroinitializer"
        spread = w.let(f"shufflevector {whole} {first}, {whole} poison, {zeros}")
        return w.let(f"icmp ult {whole} <{numbers}>, {spread}")

    def lanes(self, start: str, end: str, body: Callable[[int, str | None], None]) -> None:
        """The lane loop: ``body(vectors, mask)`` for several whole vectors at a time, then for one under a mask."""
        w, lane = self.writer, self.nest.lane
        step = self.width * self.unroll
        whole = w.let(f"sub i64 {end}, {start}")
        rounded = w.let(f"sub i64 {whole}, {w.let(f'urem i64 {whole}, {step}')}")
        middle = w.let(f"add i64 {start}, {rounded}")
        with w.loop(start, middle, str(step)) as i:
            self.counters[lane] = i
            body(self.unroll, None)
        with w.loop(middle, end, str(self.width)) as i:
            self.counters[lane] = i
            body(1, None if self.width == 1 else self.lane_mask(i, end))

    # -- writing results ----------------------------------------------------------------------------------------------

    def store(self, slot: int, value: Value, emitter: Emitter) -> None:
        """Write the lanes' values to the slot's cells."""
        w, s = self.writer, self.nest.slots[slot]
        address = self.address(slot)
        step = self.lane_step(slot) if emitter.lane_axis is not None else "0"
        if step != "0":
            at = self.counters[self.nest.lane]
            if emitter.shift != "0":
                at = w.let(f"add i64 {at}, {emitter.shift}")
            address = w.let(f"add i64 {address}, {w.let(f'mul i64 {at}, {step}')}")
        self.store_at(address, step, value, s.dtype, emitter)

    def store_at(self, address: str, step: str, value: Value, dtype: DType, emitter: Emitter) -> None:
        w = self.writer
        if isinstance(value, tuple):
            part = dtype.to_real()
            self.store_at(address, step, value[0], part, emitter)
            self.store_at(w.let(f"add i64 {address}, {part.itemsize}"), step, value[1], part, emitter)
            return
        raw, type_ = emitter.to_memory(value, dtype), memory_type(dtype)
        whole, pointer = vector(type_, emitter.width), w.let(f"inttoptr i64 {address} to ptr")
        if emitter.width == 1:
            w.do(f"store {type_} {raw}, ptr {pointer}, align {dtype.itemsize}")
        elif step != str(dtype.itemsize):
            self._store_lanes(address, step, raw, type_, dtype, emitter)
        elif emitter.mask is not None:
            name = f"llvm.masked.store.{suffix(type_, emitter.width)}.p0"
            mask = f"{vector('i1', emitter.width)} {emitter.mask}"
            w.call("void", name, f"{whole} {raw}", f"ptr align {dtype.itemsize} {pointer}", mask)
        elif self.nest.nontemporal:
            align = min(64, emitter.width * dtype.itemsize)
            w.do(f"store {whole} {raw}, ptr {pointer}, align {align}, !nontemporal !0")
        else:
            w.do(f"store {whole} {raw}, ptr {pointer}, align {dtype.itemsize}")

    def _store_lanes(self, address: str, step: str, raw: str, type_: str, dtype: DType, emitter: Emitter) -> None:
        w, width = self.writer, emitter.width
        whole = vector("i64", width)
        numbers = ", ".join(f"i64 {i}" for i in range(width))
        steps = w.let(f"mul {whole} {emitter.splat(step, 'i64')}, <{numbers}>")
        lanes = w.let(f"add {whole} {emitter.splat(address, 'i64')}, {steps}")
        pointers = w.let(f"inttoptr {whole} {lanes} to {vector('ptr', width)}")
        w.call(
            "void",
            f"llvm.masked.scatter.{suffix(type_, width)}.v{width}p0",
            f"{vector(type_, width)} {raw}",
            f"{vector('ptr', width)} align {dtype.itemsize} {pointers}",
            f"{vector('i1', width)} {emitter.mask or emitter.constant(True, bool_)}",
        )


@contextmanager
def block_loop(
    w: Writer, k: CpuKernel, start: str, end: str, blocked: bool, step: int = BLOCK
) -> Iterator[tuple[str, str]]:
    """The whole interval, or blocks of it one after the other."""
    if not blocked:
        yield start, end
        return
    with w.loop(start, end, str(step)) as first:
        yield first, k.smaller(w.let(f"add i64 {first}, {step}"), end)
