"""Folds down long columns: rows are read as they lie in memory, the running states of a strip of columns are kept in
the first-level cache.

    for each strip of columns, for each block of rows, for each few rows of it, for each vector of the strip:
        state[vector] = merge(state[vector], elements of these rows)

Walking down one narrow column at a time instead would read a line of memory here and there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pellucid.codegen.cpu import CpuKernel, block_loop
from pellucid.codegen.emit import Emitter
from pellucid.codegen.ir import register_type, vector
from pellucid.codegen.lanes import LaneLoops
from pellucid.codegen.place import merge
from pellucid.codegen.reads import Value
from pellucid.formula.expr import Expr
from pellucid.formula.formula import Formula

STRIP = 128  # vectors of a strip: 8 KiB of float32
ROWS = 8  # rows that are merged between two visits of a state


class States:
    """The states of a strip, in memory: one array of vectors for each part of a state."""

    def __init__(self, loops: ColumnLoops) -> None:
        self.loops, self.w = loops, loops.w
        dtypes = loops.stage.reducer.dtypes
        self.complex = [d.is_complex for d in dtypes]
        self.types = [vector(register_type(d.to_real()), loops.k.width) for d in dtypes]
        self.arrays = [
            [self.w.slot(f"[{STRIP} x {t}]") for _ in range(2 if pair else 1)]
            for t, pair in zip(self.types, self.complex, strict=True)
        ]

    def _at(self, type_: str, array: str, u: int) -> str:
        return self.w.let(f"getelementptr {type_}, ptr {array}, i64 {self.loops.position(u)}")

    def read(self, u: int) -> list[Value]:
        """The states of the ``u``-th vector from the present column on."""
        found: list[Value] = []
        for type_, arrays in zip(self.types, self.arrays, strict=True):
            parts = [self.w.read(type_, self._at(type_, a, u)) for a in arrays]
            found.append(parts[0] if len(parts) == 1 else (parts[0], parts[1]))
        return found

    def write(self, u: int, values: list[Value]) -> None:
        for type_, arrays, value in zip(self.types, self.arrays, values, strict=True):
            for array, part in zip(arrays, (value,) if isinstance(value, str) else value, strict=True):
                self.w.write(type_, part, self._at(type_, array, u))

    def reset(self, u: int) -> None:
        emitter = Emitter(self.loops.k, self.loops.k.width)
        self.write(u, [emitter.value(e) for e in self.loops.stage.reducer.identity])


class ColumnLoops(LaneLoops):
    """One fold down the columns, strip by strip. The order of merging is that of ``LaneLoops`` but for the rows that
    are merged together."""

    def __init__(self, kernel: CpuKernel, formula: Formula) -> None:
        super().__init__(kernel, formula)
        (self.stage,) = formula.stages
        (self.row,) = kernel.row_axes()
        self.first = "0"
        self.totals = States(self)
        self.parts = States(self) if self.stage.reducer.blocked else self.totals

    def position(self, u: int) -> str:
        """The number of the vector in its strip."""
        ahead = self.w.let(f"sub i64 {self.k.counters[self.k.nest.lane]}, {self.first}")
        number = self.w.let(f"udiv exact i64 {ahead}, {self.k.width}")
        return self.w.let(f"add i64 {number}, {u}") if u else number

    def write_row(self, start: str, end: str) -> None:
        k, w, strip = self.k, self.w, STRIP * self.k.width
        with w.loop(start, end, str(strip)) as first:
            self.first, last = first, k.smaller(w.let(f"add i64 {first}, {strip}"), end)
            self.over_strip(last, lambda count, mask: self.reset(self.totals, count))
            self.fold(last)
            self.over_strip(last, self.finish)

    def over_strip(self, last: str, body: Callable[[int, str | None], None]) -> None:
        self.k.lanes(self.first, last, body)

    def reset(self, states: States, count: int) -> None:
        for u in range(count):
            states.reset(u)

    def fold(self, last: str) -> None:
        k, w = self.k, self.w
        blocked = self.parts is not self.totals
        start, end = k.row_bounds(self.row)
        with block_loop(w, k, start, end, blocked) as (top, bottom):
            if blocked:
                self.over_strip(last, lambda count, mask: self.reset(self.parts, count))
            whole = w.let(f"sub i64 {bottom}, {top}")
            middle = w.let(f"sub i64 {bottom}, {w.let(f'urem i64 {whole}, {ROWS}')}")
            for lowest, highest, rows in ((top, middle, ROWS), (middle, bottom, 1)):
                with w.loop(lowest, highest, str(rows)) as i:
                    numbers = [w.let(f"add i64 {i}, {r}") if r else i for r in range(rows)]
                    self.over_strip(last, partial(self.merge_rows, numbers))
            if blocked:
                self.over_strip(last, lambda count, mask: self.merge_parts(count))

    def merge_rows(self, rows: list[str], count: int, mask: str | None) -> None:
        states = [self.parts.read(u) for u in range(count)]
        for row in rows:
            self.k.counters[self.row] = row
            emitters = self.bound(mask, [{} for _ in range(count)])
            for u, emitter in enumerate(emitters):
                states[u] = self.merged(states[u], [emitter.value(e) for e in self.stage.elements])
        for u, state in enumerate(states):
            self.parts.write(u, state)

    def merge_parts(self, count: int) -> None:
        for u in range(count):
            self.totals.write(u, self.merged(self.totals.read(u), self.parts.read(u)))

    def merged(self, a: list[Value], b: list[Value]) -> list[Value]:
        return merge(self.k, self.stage.reducer, self.k.width, a, b)

    def finish(self, count: int, mask: str | None) -> None:
        known: list[dict[Expr, Value]] = [
            dict(zip(self.stage.states, self.totals.read(u), strict=True)) for u in range(count)
        ]
        self.write_outputs(self.bound(mask, known), over_row=False)
