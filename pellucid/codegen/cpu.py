"""The processor's loops: rows walked by counters, lanes along a row in vectors, the rest of a row under a mask.

Kernel: ``i64 kernel(ptr operands, ptr params, i64 begin, i64 end)``; it visits the cells ``begin <= cell < end`` of
the outer loops (of all of them, the lane's included, unless lanes run along the row) and returns status bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from pellucid.codegen.emit import Emitter, Value
from pellucid.codegen.ir import Writer, memory_type, register_type, suffix, vector
from pellucid.codegen.schedule import Nest, ParamName, Slot
from pellucid.dtypes import DType, bool_
from pellucid.formula.expr import Expr, walk
from pellucid.formula.formula import Fold, Formula, Output, Reducer, Scatter, left, right
from pellucid.formula.lowering import expand_all

HEAD = "define i64 @kernel(ptr noalias %operands, ptr noalias %params, i64 %begin, i64 %end) #0"
BLOCK = 256  # steps of a blocked fold between two merges into the total


class CpuKernel:
    """Writes one kernel; it is the ``Place`` that emitters ask for counters, addresses and parameters."""

    def __init__(self, nest: Nest, vector_bytes: int) -> None:
        self.nest = nest
        self.writer = Writer()
        self.counters: dict[int, str] = {}
        self._params: dict[ParamName, str] = {}
        self._operands: dict[int, str] = {}
        self.width, self.unroll = self._lanes(vector_bytes)
        self.status = self.writer.slot("i64")

    def _lanes(self, vector_bytes: int) -> tuple[int, int]:
        """Lanes by the widest element in memory; fewer vectors at a time the longer the expression is."""
        widest = max(s.dtype.to_real().itemsize for s in self.nest.slots)
        memo: dict[Expr, Expr] = {}
        nodes = sum(1 for _ in walk(*(expand_all(e, memo) for e in self.nest.formula.expressions())))
        unroll = 4 if nodes < 32 else 2 if nodes < 160 else 1
        return max(vector_bytes // widest, 4), unroll

    # -- what emitters ask --------------------------------------------------------------------------------------------

    def counter(self, axis: int) -> str:
        return self.counters[axis]

    def param(self, name: ParamName) -> str:
        found = self._params.get(name)
        if found is None:
            entry, i = self.writer.entry, self.nest.params.index(name)
            pointer, found = self.writer.fresh(), self.writer.fresh()
            entry.append(f"  {pointer} = getelementptr i64, ptr %params, i64 {i}")
            entry.append(f"  {found} = load i64, ptr {pointer}")
            self._params[name] = found
        return found

    def operand(self, k: int) -> str:
        found = self._operands.get(k)
        if found is None:
            pointer, found = self.writer.fresh(), self.writer.fresh()
            self.writer.entry.append(f"  {pointer} = getelementptr i64, ptr %operands, i64 {k}")
            self.writer.entry.append(f"  {found} = load i64, ptr {pointer}")
            self._operands[k] = found
        return found

    def address(self, slot: int) -> str:
        """Where the slot's cell lies by all counters but the lane's."""
        s, at = self.nest.slots[slot], None
        for loop, letter in enumerate(s.pattern):
            if letter != "0" and loop != self.nest.lane:
                step = self.writer.let(f"mul i64 {self.counters[loop]}, {self.param(('stride', slot, loop))}")
                at = step if at is None else self.writer.let(f"add i64 {at}, {step}")
        base = self.operand(s.operand)
        return base if at is None else self.writer.let(f"add i64 {base}, {at}")

    def lane_step(self, slot: int) -> str:
        s = self.nest.slots[slot]
        letter = s.pattern[self.nest.lane]
        if letter == "s":
            return self.param(("stride", slot, self.nest.lane))
        return str(s.dtype.itemsize) if letter == "c" else "0"

    def dynamic_step(self, slot: int, d: int) -> str:
        if ("unit", slot, d) in self.nest.params:
            return str(self.nest.slots[slot].dtype.itemsize)
        return self.param(("step", slot, d))

    def flag(self, condition: str, status: int) -> None:
        bit = self.writer.let(f"select i1 {condition}, i64 {status}, i64 0")
        old = self.writer.read("i64", self.status)
        self.writer.write("i64", self.writer.let(f"or i64 {old}, {bit}"), self.status)

    # -- the whole kernel ---------------------------------------------------------------------------------------------

    def text(self) -> str:
        w, formula = self.writer, self.nest.formula
        w.write("i64", "0", self.status)
        if isinstance(formula, Scatter):
            ScatterLoops(self, formula).write()
        elif self.nest.horizontal:
            RowLoops(self, formula).write_rows()
        else:
            LaneLoops(self, formula).write_cells()
        if self.nest.nontemporal:
            w.do("fence seq_cst")
        w.do(f"ret i64 {w.read('i64', self.status)}")
        attributes = 'attributes #0 = { nounwind "prefer-vector-width"="512" }\n!0 = !{i32 1}\n'
        return f"{w.function(HEAD)}\n{attributes}"

    def size(self, loop: int) -> str:
        return self.param(("size", loop))

    @contextmanager
    def odometer(self, loops: list[int], start: str) -> Iterator[Callable[[], None]]:
        """Counters of ``loops`` set to the row number ``start``; what is yielded moves them on by one row."""
        w = self.writer
        slots = {a: w.slot("i64") for a in loops}
        rest = start
        for k, a in enumerate(reversed(loops)):
            if k == len(loops) - 1:
                w.write("i64", rest, slots[a])
            else:
                w.write("i64", w.let(f"urem i64 {rest}, {self.size(a)}"), slots[a])
                rest = w.let(f"udiv i64 {rest}, {self.size(a)}")

        def load() -> None:
            self.counters.update({a: w.read("i64", s) for a, s in slots.items()})

        def advance() -> None:
            done = w.label()
            for a in reversed(loops):
                following = w.let(f"add i64 {w.read('i64', slots[a])}, 1")
                w.write("i64", following, slots[a])
                carry = w.label()
                w.branch(w.let(f"icmp slt i64 {following}, {self.size(a)}"), done, carry)
                w.begin(carry)
                w.write("i64", "0", slots[a])
            w.jump(done)
            w.begin(done)

        self.reload = load
        yield advance

    @contextmanager
    def row_loops(self, loops: list[int]) -> Iterator[None]:
        """Plain nested loops over whole axes."""
        with ExitStack() as stack:
            for a in loops:
                start, end = self.row_bounds(a)
                self.counters[a] = stack.enter_context(self.writer.loop(start, end, "1"))
            yield

    def row_bounds(self, a: int) -> tuple[str, str]:
        """All of a row axis, or this part's share of it."""
        size = self.size(a)
        if not (self.nest.split and a == self.nest.outer):
            return "0", size
        w, length = self.writer, self.param(("split",))
        start = w.let(f"mul i64 {self.counters[0]}, {length}")
        end = w.let(f"add i64 {start}, {length}")
        return start, self.smaller(end, size)

    def smaller(self, a: str, b: str) -> str:
        return self.writer.let(f"select i1 {self.writer.let(f'icmp slt i64 {a}, {b}')}, i64 {a}, i64 {b}")

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
            body(1, self.lane_mask(i, end))

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
        steps = w.let(f"mul {whole} {emitter._splat(step, 'i64')}, <{numbers}>")
        lanes = w.let(f"add {whole} {emitter._splat(address, 'i64')}, {steps}")
        pointers = w.let(f"inttoptr {whole} {lanes} to {vector('ptr', width)}")
        w.call(
            "void",
            f"llvm.masked.scatter.{suffix(type_, width)}.v{width}p0",
            f"{vector(type_, width)} {raw}",
            f"{vector('ptr', width)} align {dtype.itemsize} {pointers}",
            f"{vector('i1', width)} {emitter.mask or emitter.constant(True, bool_)}",
        )


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

    def emitters(self, count: int, mask: str | None, outer: Emitter) -> list[Emitter]:
        result = []
        for u in range(count):
            emitter = Emitter(self.k, self.k.width, self.k.nest.lane, mask, outer)
            emitter.shift = str(u * self.k.width) if u else "0"
            result.append(emitter)
        return result

    def write_lanes(self, count: int, mask: str | None, outer: Emitter) -> None:
        if not self.formula.stages:
            self.write_outputs(self.emitters(count, mask, outer), over_row=False)
            return
        states: list[dict[Expr, Value]] = [{} for _ in range(count)]
        for stage in self.formula.stages:
            last = stage is self.formula.stages[-1]
            self.write_fold(stage, mask, states, scan=last and self.formula.scan)
        if any(o.over_row for o in self.formula.outputs) and not self.formula.scan:
            with self.k.row_loops(self.row_axes()):
                self.write_outputs(self.bound(mask, states), over_row=True)
        self.write_outputs(self.bound(mask, states), over_row=False)

    def row_axes(self) -> list[int]:
        return list(range(self.k.nest.outer, self.k.nest.outer + self.k.nest.row))

    def bound(self, mask: str | None, states: list[dict[Expr, Value]]) -> list[Emitter]:
        """Emitters at this place that know the states so far."""
        emitters = self.emitters(len(states), mask, Emitter(self.k))
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
        rows = self.row_axes()
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


@contextmanager
def block_loop(w: Writer, k: CpuKernel, start: str, end: str, blocked: bool, step: int = BLOCK) -> Iterator[tuple[str, str]]:
    """The whole interval, or blocks of it one after the other."""
    if not blocked:
        yield start, end
        return
    with w.loop(start, end, str(step)) as first:
        yield first, k.smaller(w.let(f"add i64 {first}, {step}"), end)


class Accumulator:
    """The running state of a fold, ``width`` lanes of it, in stack slots."""

    def __init__(self, kernel: CpuKernel, reducer: Reducer, width: int) -> None:
        self.k, self.w, self.reducer, self.width = kernel, kernel.writer, reducer, width
        self.emitter = Emitter(kernel, width)
        self.types = [vector(register_type(d), width) for d in reducer.dtypes]
        self.slots = [self.w.slot(t) for t in self.types]
        self.reset()

    def reset(self) -> None:
        for e, type_, slot in zip(self.reducer.identity, self.types, self.slots, strict=True):
            self.w.write(type_, self.emitter.constant(e.data, e.dtype), slot)

    def values(self) -> list[Value]:
        return [self.w.read(t, s) for t, s in zip(self.types, self.slots, strict=True)]

    def merge(self, other: list[Value]) -> None:
        merged = merge(self.k, self.reducer, self.width, self.values(), other)
        for value, type_, slot in zip(merged, self.types, self.slots, strict=True):
            assert isinstance(value, str)
            self.w.write(type_, value, slot)

    def states(self, stage: Fold) -> dict[Expr, Value]:
        return dict(zip(stage.states, self.values(), strict=True))


def merge(k: CpuKernel, reducer: Reducer, width: int, a: list[Value], b: list[Value]) -> list[Value]:
    """The reducer's rule applied to two states."""
    emitter = Emitter(k, width)
    for i, dtype in enumerate(reducer.dtypes):
        emitter.bind(left(i, dtype), a[i])
        emitter.bind(right(i, dtype), b[i])
    return [emitter.value(e) for e in reducer.merged]


class RowLoops:
    """Lanes along the row: each row is folded in vectors, whose lanes are merged at its end."""

    def __init__(self, kernel: CpuKernel, formula: Formula) -> None:
        self.k, self.formula, self.w = kernel, formula, kernel.writer

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
        over_row = [(i, o) for i, o in enumerate(self.formula.outputs) if o.over_row]
        if over_row:
            self.write_cells(over_row, row)

    def row_axes(self) -> list[int]:
        return list(range(self.k.nest.outer, self.k.nest.outer + self.k.nest.row))

    def inner(self, row: Emitter) -> Emitter:
        """A one-lane emitter in front of the lane loop that starts from what the row knows."""
        outer = Emitter(self.k)
        outer.memo = dict(row.memo)
        return outer

    def emitters(self, count: int, mask: str | None, outer: Emitter) -> list[Emitter]:
        result = []
        for u in range(count):
            emitter = Emitter(self.k, self.k.width, self.k.nest.lane, mask, outer)
            emitter.shift = str(u * self.k.width) if u else "0"
            result.append(emitter)
        return result

    def write_fold(self, stage: Fold, row: Emitter) -> dict[Expr, Value]:
        k, w = self.k, self.w
        axes = self.row_axes()
        totals = [Accumulator(k, stage.reducer, k.width) for _ in range(k.unroll)]
        blocked = stage.reducer.blocked
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
        emitters = self.emitters(count, mask, outer)
        values = [[e.value(x) for x in stage.elements] for e in emitters]
        for emitter, part, own in zip(emitters, parts[:count], values, strict=True):
            if mask is not None:
                own = [self.masked(emitter, x, i) for x, i in zip(own, stage.reducer.identity, strict=True)]
            part.merge(own)

    def masked(self, emitter: Emitter, value: Value, identity: Expr) -> Value:
        type_ = emitter.type_of(identity.dtype)
        mask = f"{vector('i1', emitter.width)} {emitter.mask}"
        neutral = emitter.constant(identity.data, identity.dtype)
        return self.w.let(f"select {mask}, {type_} {value}, {type_} {neutral}")

    def across(self, reducer: Reducer, states: list[list[Value]]) -> list[Value]:
        """Merge the accumulators in pairs, then the lanes in halves."""
        k, w = self.k, self.w
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
                sides.append([self._shuffle(v, d, width, half, picks) for v, d in zip(values, reducer.dtypes, strict=True)])
            values, width = merge(k, reducer, half, sides[0], sides[1]), half
        return values

    def _shuffle(self, value: Value, dtype: DType, width: int, half: int, picks: str) -> Value:
        type_ = vector(register_type(dtype), width)
        if half == 1:
            return self.w.let(f"extractelement {type_} {value}, i64 {picks.split()[1]}")
        return self.w.let(f"shufflevector {type_} {value}, {type_} poison, <{half} x i32> <{picks}>")

    def write_cells(self, outputs: list[tuple[int, Output]], row: Emitter) -> None:
        k = self.k
        axes = self.row_axes()
        with k.row_loops(axes[:-1]):
            outer = self.inner(row)
            probe = Emitter(k, k.width, k.nest.lane, outer=outer)
            for _, output in outputs:
                probe.hoist(output.value)

            def body(count: int, mask: str | None) -> None:
                emitters = self.emitters(count, mask, outer)
                values = [[e.value(o.value) for e in emitters] for _, o in outputs]
                for (i, _), own in zip(outputs, values, strict=True):
                    for emitter, value in zip(emitters, own, strict=True):
                        k.store(i, value, emitter)

            k.lanes(*k.row_bounds(axes[-1]), body)


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
        for u in range(count):
            emitter = Emitter(self.k, self.k.width, self.k.nest.lane, mask, outer)
            emitter.shift = str(u * self.k.width) if u else "0"
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
            k.flag(w.let(f"xor i1 {inside}, true"), 1)
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
        if emitter.width > 1:
            return emitter._load_run(address, dtype, emitter.mask)
        return emitter._load_lanes(address, None, "0", dtype, None)
