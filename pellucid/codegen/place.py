"""What all targets' kernels share: parameters, operands, counters, addresses, row loops, accumulators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pellucid.codegen.emit import Emitter
from pellucid.codegen.ir import Writer, register_type, vector
from pellucid.codegen.reads import Value
from pellucid.codegen.schedule import Nest, ParamName
from pellucid.formula.expr import Expr
from pellucid.formula.formula import Fold, Reducer, left, right


class KernelPlace:
    """The ``Place`` that emitters ask; a target adds its loops, its lanes and how it reports a status."""

    def __init__(self, nest: Nest) -> None:
        self.nest = nest
        self.writer = Writer()
        self.counters: dict[int, str] = {}
        self._params: dict[ParamName, str] = {}
        self._operands: dict[int, str] = {}

    def counter(self, axis: int) -> str:
        return self.counters[axis]

    def param(self, name: ParamName) -> str:
        found = self._params.get(name)
        if found is None:
            found = self._params[name] = self._entry_load("%params", self.nest.params.index(name))
        return found

    def operand(self, k: int) -> str:
        found = self._operands.get(k)
        if found is None:
            found = self._operands[k] = self._entry_load("%operands", k)
        return found

    def _entry_load(self, array: str, i: int) -> str:
        entry = self.writer.entry
        pointer, value = self.writer.fresh(), self.writer.fresh()
        entry.append(f"  {pointer} = getelementptr i64, ptr {array}, i64 {i}")
        entry.append(f"  {value} = load i64, ptr {pointer}")
        return value

    def moves_with(self, loop: int) -> bool:
        """Whether addresses follow this loop's counter (the lane's is added lane by lane)."""
        return True

    def address(self, slot: int) -> str:
        """Where the slot's cell lies by the loops' counters."""
        s, at = self.nest.slots[slot], None
        for loop, letter in enumerate(s.pattern):
            if letter != "0" and self.moves_with(loop):
                stride = str(s.dtype.itemsize) if letter == "c" else self.param(("stride", slot, loop))
                step = self.writer.let(f"mul i64 {self.counters[loop]}, {stride}")
                at = step if at is None else self.writer.let(f"add i64 {at}, {step}")
        base = self.operand(s.operand)
        return base if at is None else self.writer.let(f"add i64 {base}, {at}")

    def lane_step(self, slot: int) -> str:
        return "0"

    def dynamic_step(self, slot: int, d: int) -> str:
        if ("unit", slot, d) in self.nest.params:
            return str(self.nest.slots[slot].dtype.itemsize)
        return self.param(("step", slot, d))

    def flag(self, condition: str, status: int) -> None:
        raise NotImplementedError

    def size(self, loop: int) -> str:
        return self.param(("size", loop))

    def row_axes(self) -> list[int]:
        return list(range(self.nest.outer, self.nest.outer + self.nest.row))

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


class Accumulator:
    """The running state of a fold, ``width`` lanes of it, in stack slots."""

    def __init__(self, kernel: KernelPlace, reducer: Reducer, width: int) -> None:
        self.k, self.w, self.reducer, self.width = kernel, kernel.writer, reducer, width
        self.emitter = Emitter(kernel, width)
        self.types = [vector(register_type(d.to_real()), width) for d in reducer.dtypes]
        # A complex state is kept as its two parts.
        self.slots = [
            [self.w.slot(t) for _ in range(2 if d.is_complex else 1)]
            for t, d in zip(self.types, reducer.dtypes, strict=True)
        ]
        self.reset()

    def reset(self) -> None:
        self.write([self.emitter.value(e) for e in self.reducer.identity])

    def values(self) -> list[Value]:
        found: list[Value] = []
        for t, slots in zip(self.types, self.slots, strict=True):
            parts = [self.w.read(t, s) for s in slots]
            found.append(parts[0] if len(parts) == 1 else (parts[0], parts[1]))
        return found

    def write(self, values: list[Value]) -> None:
        for value, type_, slots in zip(values, self.types, self.slots, strict=True):
            for part, slot in zip((value,) if isinstance(value, str) else value, slots, strict=True):
                self.w.write(type_, part, slot)

    def merge(self, other: list[Value]) -> None:
        self.write(merge(self.k, self.reducer, self.width, self.values(), other))

    def states(self, stage: Fold) -> dict[Expr, Value]:
        return dict(zip(stage.states, self.values(), strict=True))


def merge(k: KernelPlace, reducer: Reducer, width: int, a: list[Value], b: list[Value]) -> list[Value]:
    """The reducer's rule applied to two states."""
    emitter = Emitter(k, width)
    for i, dtype in enumerate(reducer.dtypes):
        emitter.bind(left(i, dtype), a[i])
        emitter.bind(right(i, dtype), b[i])
    return [emitter.value(e) for e in reducer.merged]
