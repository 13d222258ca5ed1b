"""Transposes: squares of cells, turned in registers."""

from __future__ import annotations

from pellucid.codegen.emit import Emitter
from pellucid.codegen.ir import memory_type, vector
from pellucid.codegen.lanes import LaneLoops
from pellucid.codegen.schedule import TILE
from pellucid.formula.expr import Expr, walk


class TileLoops(LaneLoops):
    """Transposes: squares of ``width`` x ``width`` cells are read along the tile loop, turned in registers, and
    written along the lane. A unit of the range is a block of ``TILE`` rows."""

    def write_blocks(self) -> None:
        k, w, nest = self.k, self.w, self.k.nest
        loops = list(range(nest.lane))
        tiles = k.param(("tiles",))
        sizes = {nest.tile: tiles}
        with (
            w.when(w.let("icmp slt i64 %begin, %end")),
            k.odometer(loops, "%begin", sizes) as advance,
            w.loop("%begin", "%end", "1"),
        ):
            k.reload()
            first = w.let(f"mul i64 {k.counters[nest.tile]}, {TILE}")
            last = w.let(f"add i64 {first}, {TILE}")
            whole = w.let(f"icmp sle i64 {last}, {k.size(nest.tile)}")
            with w.when(whole):
                self.write_block(first, last)
            with w.when(w.let(f"xor i1 {whole}, true")):
                self.write_rows(first, k.size(nest.tile), "0")
            advance()

    def write_rows(self, first: str, last: str, start: str) -> None:
        """What does not fill a square: row by row, from lane ``start``."""
        k = self.k
        with self.w.loop(first, last, "1") as row:
            k.counters[k.nest.tile] = row
            self.write_row(start, k.size(k.nest.lane))

    def write_block(self, first: str, last: str) -> None:
        k, w, lane = self.k, self.w, self.k.nest.lane
        n = k.size(lane)
        whole = w.let(f"sub i64 {n}, {w.let(f'urem i64 {n}, {k.width}')}")
        with w.loop("0", whole, str(k.width)) as i:
            k.counters[lane] = i
            for row in range(0, TILE, k.width):
                self.write_square(w.let(f"add i64 {first}, {row}"))
        with w.when(w.let(f"icmp slt i64 {whole}, {n}")):
            self.write_rows(first, last, whole)

    def write_square(self, first: str) -> None:
        k, w, nest = self.k, self.w, self.k.nest
        k.counters[nest.tile] = first
        turned = {e: self.turn(self.read_columns(e)) for e in self.tiled()}
        for r in range(k.width):
            k.counters[nest.tile] = w.let(f"add i64 {first}, {r}")
            emitter = Emitter(k, k.width, nest.lane, outer=Emitter(k))
            for e, rows in turned.items():
                emitter.bind(e, emitter.from_memory(rows[r], e.dtype))
            for i, output in enumerate(self.formula.outputs):
                k.store(i, emitter.value(output.value), emitter)

    def tiled(self) -> list[Expr]:
        """Accesses that run along the tile loop."""
        nest = self.k.nest
        found = []
        for e in walk(*self.formula.expressions()):
            if e.op == "access" and not e.args and not e.dtype.is_complex:
                pattern = nest.slots[e.data[0]].pattern
                if pattern[nest.tile] == "c" and pattern[nest.lane] == "s":
                    found.append(e)
        return found

    def read_columns(self, e: Expr) -> list[str]:
        """Vectors along the tile loop, one for each lane."""
        k, w, slot = self.k, self.w, e.data[0]
        type_ = vector(memory_type(e.dtype), k.width)
        step = k.lane_step(slot)
        address = w.let(f"add i64 {k.address(slot)}, {w.let(f'mul i64 {k.counters[k.nest.lane]}, {step}')}")
        columns = []
        for _ in range(k.width):
            pointer = w.let(f"inttoptr i64 {address} to ptr")
            columns.append(w.let(f"load {type_}, ptr {pointer}, align {e.dtype.itemsize}"))
            address = w.let(f"add i64 {address}, {step}")
        self.type_ = type_
        return columns

    def turn(self, rows: list[str]) -> list[str]:
        """The square transposed: blocks off the diagonal change places, from single cells up to halves."""
        n, rows = len(rows), list(rows)
        step = 1
        while step < n:
            low = [i if not i & step else n + i - step for i in range(n)]
            high = [i + step if not i & step else n + i for i in range(n)]
            for i in range(n):
                if not i & step:
                    a, b = rows[i], rows[i + step]
                    rows[i], rows[i + step] = (self._pick(a, b, picks) for picks in (low, high))
            step *= 2
        return rows

    def _pick(self, a: str, b: str, picks: list[int]) -> str:
        listed = ", ".join(f"i32 {p}" for p in picks)
        return self.w.let(f"shufflevector {self.type_} {a}, {self.type_} {b}, <{len(picks)} x i32> <{listed}>")
