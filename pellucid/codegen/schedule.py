"""Schedule: from a formula and the layouts of a call to a nest of loops.

The cells of a formula are independent of the order in which they are visited. Here that order is chosen: axes are
sorted by stride, neighbours that are laid out as one are joined, the lane axis (the one that is vectorised) is
picked, and every load becomes an *access*: an operand, a stride per loop, and the coordinates that must be computed.

A ``Nest`` holds only what the machine code depends on: expressions, number of loops, pattern of strides. Sizes and
strides themselves are parameters, so a nest is shared between shapes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

from pellucid.codegen.reuse import reused
from pellucid.dtypes import DType, int64
from pellucid.formula.expr import Expr, axis, const, node, rewrite, walk
from pellucid.formula.formula import Formula, Output, Scatter
from pellucid.layout import Layout, broadcast_strides

ParamName = tuple[object, ...]


@dataclass(frozen=True)
class Slot:
    """One way of walking through an operand. ``pattern`` has a letter per loop: 0 stays, c next cell (told apart on
    the lane and the tile loop only), s stride."""

    operand: int
    dtype: DType
    pattern: str


@dataclass(frozen=True)
class Nest:
    """What one kernel is generated from. Loops 0 .. outer-1 are outer axes, the rest row axes.

    ``tile`` is a loop along which some operands are contiguous while the results are along the lane (a transpose):
    squares of both loops are read and turned in registers. ``part`` is the loop of a scatter that is split over
    threads; OWNERS: each part visits all cells and writes those whose first computed coordinate it owns. -1 if there
    is none. ``columns``: the lanes of a fold run along so many columns that they are read row by row. ``short``: the
    rows are a few vectors long, so that several accumulators would not pay.
    """

    formula: Formula | Scatter
    outer: int
    row: int
    lane: int
    slots: tuple[Slot, ...]
    params: tuple[ParamName, ...]
    nontemporal: bool = False
    split: bool = False
    tile: int = -1
    part: int = -1
    columns: bool = False
    short: bool = False

    @property
    def horizontal(self) -> bool:
        """Lanes run along the row (and are merged at its end), not along an outer axis."""
        return self.lane >= self.outer

    def key(self) -> str:
        """Text that tells any two different nests apart."""
        flags = f"{int(self.nontemporal)}{int(self.split)}{int(self.columns)}{int(self.short)}"
        parts = [f"{self.outer}/{self.row}/{self.lane}/{flags}/{self.tile}/{self.part}"]
        parts += [f"{s.operand}:{s.dtype.name}:{s.pattern}" for s in self.slots]
        return "|".join([*parts, serialise(self.formula), repr(self.params)])


@dataclass(frozen=True)
class Schedule:
    """A nest with the parameters of one call: run it over ``[0, cells)`` in parts of ``grain``."""

    nest: Nest
    params: tuple[int, ...]
    cells: int
    grain: int


def serialise(formula: Formula | Scatter) -> str:
    """The formula as text, shared expressions numbered once."""
    numbers: dict[Expr, int] = {}
    lines = []
    for e in walk(*_all_expressions(formula)):
        args = ",".join(str(numbers[a]) for a in e.args)
        numbers[e] = len(numbers)
        lines.append(f"{e.op}({args}){e.dtype.name}{e.data!r}")
    if isinstance(formula, Scatter):
        roots = [numbers[e] for e in _all_expressions(formula)]
        name = formula.reducer.name if formula.reducer else "set"
        return ";".join(lines) + f"#scatter {name} {roots}"
    stages = [(s.reducer.name, s.first, [numbers[e] for e in s.elements]) for s in formula.stages]
    outputs = [(numbers[o.value], o.over_row) for o in formula.outputs]
    return ";".join(lines) + f"#{stages}{outputs}{formula.scan}"


def _all_expressions(formula: Formula | Scatter) -> list[Expr]:
    return list(formula.expressions())


class _Access:
    """A load on its way to a slot: strides in bytes per axis of the formula and the coordinates left over."""

    def __init__(self, operand: int, dtype: DType, strides: list[int]) -> None:
        self.operand, self.dtype, self.strides = operand, dtype, strides
        self.dynamic: list[tuple[Expr, int, int]] = []  # coordinate, stride, extent

    @property
    def owned(self) -> int:
        """The extent of what the first computed coordinate runs over."""
        return self.dynamic[0][2] if self.dynamic else 1


def schedule(
    formula: Formula | Scatter,
    inputs: list[Layout | None],
    sizes: tuple[int, ...],
    outputs: list[Layout],
    *,
    cache_bytes: int,
    nontemporal: bool = True,
    split: int = 0,
    given: Mapping[str, int | float] | None = None,
) -> Schedule:
    """Choose the loops. ``split`` > 0 cuts the row into that many cells per part; outputs then have a leading
    dimension of parts, which is axis 0 of the formula."""
    order = _Order(formula, inputs, sizes, outputs)
    order.given = given or {}
    order.split = bool(split)
    order.drop_ones()
    order.sort()
    order.join()
    return order.finish(cache_bytes, nontemporal, split)


class _Order:
    """The axes of a formula while they are sorted and joined."""

    def __init__(
        self, formula: Formula | Scatter, inputs: list[Layout | None], sizes: tuple[int, ...], outputs: list[Layout]
    ) -> None:
        self.formula, self.sizes, self.inputs, self.output_layouts = formula, list(sizes), inputs, outputs
        self.rank, self.row = formula.rank, len(sizes) - formula.rank
        self.n_out = len(outputs)
        self.writes = [self._write(k, layout) for k, layout in enumerate(outputs)]
        self.reads: dict[Expr, _Access] = {e: self._read(e) for e in formula.loads}
        self.explicit = self._explicit_axes()
        self.outer_order, self.row_order = list(range(self.rank)), list(range(self.rank, len(sizes)))
        self.replaced: dict[Expr, Expr] = {}
        self.split = False
        self.given: Mapping[str, int | float] = {}
        self.along_row = False

    def _write(self, k: int, layout: Layout) -> _Access:
        strides = [0] * len(self.sizes)
        access = _Access(k, layout.dtype, strides)
        if isinstance(self.formula, Scatter):
            self._coordinates(access, self.formula.target, layout)
            return access
        axes = self.formula.outputs[k].axes
        for d, a in enumerate(range(self.rank) if axes is None else axes):
            if a >= 0:
                strides[a] += layout.strides[d] * layout.dtype.itemsize
        return access

    def _read(self, e: Expr) -> _Access:
        k, mode, _ = e.data
        layout = self.inputs[k]
        assert layout is not None, f"operand {k} is a number, but the formula loads from it"
        access = _Access(self.n_out + k, layout.dtype, [0] * len(self.sizes))
        if mode == "aligned":
            steps = broadcast_strides(layout, tuple(self.sizes[: self.rank]))
            access.strides[: self.rank] = [s * layout.dtype.itemsize for s in steps]
        else:
            self._coordinates(access, e.args, layout, always_check=mode == "filled")
        return access

    def _coordinates(
        self, access: _Access, coords: tuple[Expr, ...], layout: Layout, always_check: bool = False
    ) -> None:
        """Plain axes become strides; what must be computed stays. An axis longer than the dimension stays as well,
        so that it is checked."""
        for d, coord in enumerate(coords):
            stride, extent = layout.strides[d] * layout.dtype.itemsize, layout.shape[d]
            if coord.op == "axis" and self.sizes[coord.data] <= extent:
                access.strides[coord.data] += stride
            elif coord.op == "const" and 0 <= coord.data < extent and coord.data == 0:
                continue
            else:
                access.dynamic.append((coord, stride, extent))

    def _explicit_axes(self) -> set[int]:
        """Axes whose number itself is used: in values or in computed coordinates."""
        roots: list[Expr] = []
        for e in walk(*self.formula.expressions()):
            if e.op == "load":
                roots += [a for a in e.args if a.op == "axis" and any(a is c for c, _, _ in self.reads[e].dynamic)]
            else:
                roots += [a for a in e.args if a.op == "axis"]
        top = list(self.formula.expressions())
        if isinstance(self.formula, Scatter):
            top = [c for c, _, _ in self.writes[0].dynamic] + [self.formula.value]
        roots += [e for e in top if e.op == "axis"]
        return {int(a.data) for a in roots}

    # -- steps --------------------------------------------------------------------------------------------------------

    def accesses(self) -> list[_Access]:
        return [*self.writes, *self.reads.values()]

    def drop_ones(self) -> None:
        for a, n in enumerate(self.sizes):
            if n == 1 and not (self.split and a in (0, self.rank)):
                self.replaced[axis(a)] = const(0, int64)
                order = self.outer_order if a < self.rank else self.row_order
                order.remove(a)

    def sort(self) -> None:
        """Outermost the largest stride: by the results first, then by the operands in turn."""
        if isinstance(self.formula, Scatter):
            self._sort_scatter()
            return
        accesses = [*self.reads.values(), *self.writes] if self._folds() else self.accesses()
        key = lambda a: tuple(-abs(x.strides[a]) for x in accesses)  # noqa: E731
        self.outer_order.sort(key=key)
        if not self.formula.scan:
            self.row_order.sort(key=key)
        if self.formula.stages:
            self._choose_lane()
        if self.split:
            self.outer_order.remove(0)
            self.outer_order.insert(0, 0)

    def _sort_scatter(self) -> None:
        """Innermost an axis that is contiguous in the result and along which writes never meet, best one along which
        no coordinate is computed (it is vectorised). The order of the others is the order of writing and stays."""
        target = self.writes[0]
        lanes = [a for a in self.outer_order if self._apart(a) and target.strides[a] == target.dtype.itemsize]
        if lanes:
            lane = min(lanes, key=self._computes_with)
            self.outer_order.remove(lane)
            self.outer_order.append(lane)

    def _apart(self, a: int) -> bool:
        """Whether the places that a scatter writes along axis ``a`` never meet."""
        return a >= 0 and self.writes[0].strides[a] != 0 and a not in self.explicit

    def _shared_loop(self, loops: list[int], sizes: list[int]) -> int:
        """How a scatter is shared between threads: the outermost loop that is worth it; the places that it writes to,
        if those are long rows; else the lane."""
        outside = [i for i, a in enumerate(loops[:-1]) if self._apart(a)]
        best = max(outside, key=lambda i: min(sizes[i], FEW_PARTS), default=-1)
        if best >= 0 and sizes[best] >= FEW_PARTS:
            return best
        lane = loops[-1]
        if not self._apart(lane):
            return best
        if self.writes[0].dynamic and not self._computes_with(lane):
            return OWNERS
        return len(loops) - 1

    def _computes_with(self, a: int) -> bool:
        """Whether a computed coordinate of the target changes along axis ``a``."""
        loads = [e for c, _, _ in self.writes[0].dynamic for e in walk(c) if e.op == "load"]
        return a in self.explicit or any(self.reads[e].strides[a] != 0 for e in loads)

    def _folds(self) -> bool:
        return isinstance(self.formula, Formula) and bool(self.formula.stages)

    def _scan(self) -> bool:
        return isinstance(self.formula, Formula) and self.formula.scan

    def _contiguous_along(self, a: int) -> tuple[int, int]:
        """Bytes per step that are read or written side by side if ``a`` is the lane axis: of what is visited in every
        cell of a row, and of the rest."""
        along = [x for x in self.accesses() if x.strides[a] == x.dtype.itemsize]
        often = sum(x.dtype.itemsize for x in along if any(x.strides[r] for r in range(self.rank, len(x.strides))))
        return often, sum(x.dtype.itemsize for x in along) - often

    def _choose_lane(self) -> None:
        """The lane axis goes last among its kind: the one along which most bytes lie side by side."""

        def score(a: int) -> tuple[int, int, int]:
            return (*self._contiguous_along(a), self.sizes[a])

        row = max(self.row_order, key=score, default=None)
        outer = max((a for a in self.outer_order if not (self.split and a == 0)), key=score, default=None)
        if row is not None and not self._scan():
            self.along_row = outer is None or score(row) >= score(outer)
            if outer is not None and self.sizes[row] < FEW_LANES < self.sizes[outer]:
                self.along_row = False  # a row that fills no vector
        if self.along_row and row is not None:
            self.row_order.remove(row)
            self.row_order.append(row)
        elif outer is not None:
            self.outer_order.remove(outer)
            self.outer_order.append(outer)

    def join(self) -> None:
        """Two neighbouring loops that every access walks as one become one."""
        self.outer_order = self._joined(self.outer_order)
        if not self.split:
            self.row_order = self._joined(self.row_order)

    def _joined(self, order: list[int]) -> list[int]:
        result: list[int] = []
        for a in order:
            if result and not (self.split and result[-1] == 0):
                last = result[-1]
                fits = all(x.strides[last] == x.strides[a] * self.sizes[a] for x in self.accesses())
                if fits and a not in self.explicit and last not in self.explicit:
                    self.sizes[a] *= self.sizes[last]
                    result[-1] = a
                    continue
            result.append(a)
        return result

    # -- the result ---------------------------------------------------------------------------------------------------

    def finish(self, cache_bytes: int, nontemporal: bool, split: int) -> Schedule:
        original = tuple(self.sizes)
        loops = [*self.outer_order, *self.row_order]
        outer, row = len(self.outer_order), len(self.row_order)
        needs_lane = not self.along_row
        if needs_lane and outer == 0:
            loops, outer = [-1, *loops], 1
        if self._folds() and row == 0:
            loops, row = [*loops, -2], 1
        lane = outer - 1 if needs_lane else outer + row - 1
        tile = self._tile_axis(loops, lane)
        if tile is not None:
            loops.remove(tile)
            loops.insert(lane - 1, tile)
        sizes = [self.sizes[a] if a >= 0 else 1 for a in loops]
        names: dict[ParamName, int] = {("size", i): n for i, n in enumerate(sizes)}
        if split:
            names[("split",)] = split
        new_axis = {a: i for i, a in enumerate(loops) if a >= 0}
        fast = (lane,) if tile is None else (lane, lane - 1)
        if tile is not None:
            names[("tiles",)] = -(-self.sizes[tile] // TILE)
        slots = [self._slot(x, i, loops, fast, names) for i, x in enumerate(self.accesses())]
        formula = self._rewritten(new_axis, names, original)
        written = sum(layout.nbytes for layout in self.output_layouts)
        stream = nontemporal and written > cache_bytes and self._streams(slots, lane, sizes)
        at = -1 if tile is None else lane - 1
        part = self._shared_loop(loops, sizes) if isinstance(formula, Scatter) else -1
        columns = row == 1 and self._reads_by_rows(slots, loops, lane)
        short = self.along_row and not split and sizes[lane] <= SHORT_ROW
        nest = Nest(formula, outer, row, lane, tuple(slots), tuple(names), stream, bool(split), at, part, columns, short)
        return Schedule(nest, tuple(names.values()), *_work(nest, sizes, self.writes[0].owned))

    def _reads_by_rows(self, slots: list[Slot], loops: list[int], lane: int) -> bool:
        """Whether one fold down contiguous columns reads so much that it should do so in the order of memory."""
        formula = self.formula
        if not isinstance(formula, Formula) or formula.scan or len(formula.stages) != 1 or self.along_row:
            return False
        if any(o.over_row for o in formula.outputs):
            return False
        read = [s for s in slots[self.n_out :] if s.pattern[lane] == "c" and s.pattern[-1] != "0"]
        cells = self.sizes[loops[lane]] * self.sizes[loops[-1]] if loops[lane] >= 0 and loops[-1] >= 0 else 0
        return cells * sum(s.dtype.itemsize for s in read) > LARGE_COLUMNS

    def _tile_axis(self, loops: list[int], lane: int) -> int | None:
        """The axis along which operands are contiguous that are not so along the lane, if both are long enough."""
        here, gain = loops[lane], {}
        if not isinstance(self.formula, Formula) or self.formula.stages or here < 0 or self.sizes[here] < TILE:
            return None
        if any(x.dtype.is_complex or x.strides[here] != x.dtype.itemsize for x in self.writes):
            return None
        for a in loops[:lane]:
            if a >= 0 and self.sizes[a] >= TILE:
                gain[a] = sum(
                    x.dtype.itemsize
                    for x in self.reads.values()
                    if not x.dynamic and not x.dtype.is_complex
                    and x.strides[a] == x.dtype.itemsize and x.strides[here] not in (0, x.dtype.itemsize)
                )  # fmt: skip
        best = max(gain, key=lambda a: gain[a], default=None)
        return best if best is not None and gain[best] > 0 else None

    def _slot(
        self, x: _Access, index: int, loops: list[int], fast: tuple[int, ...], names: dict[ParamName, int]
    ) -> Slot:
        pattern = ""
        for i, a in enumerate(loops):
            stride = x.strides[a] if a >= 0 else 0
            if stride == 0:
                pattern += "0"
            elif i in fast and stride == x.dtype.itemsize:
                pattern += "c"
            else:
                pattern += "s"
                names[("stride", index, i)] = stride
        for d, (_, stride, extent) in enumerate(x.dynamic):
            # Unit steps are told apart, so that a computed coordinate can still run along the lanes.
            names[("unit" if stride == x.dtype.itemsize else "step", index, d)] = stride
            names[("extent", index, d)] = extent
        return Slot(x.operand, x.dtype, pattern)

    def _streams(self, slots: list[Slot], lane: int, sizes: list[int]) -> bool:
        """Whether every vector written is whole and aligned: dense results, rows that are multiples of 64 bytes."""
        if isinstance(self.formula, Scatter) or (self._folds() and not self.along_row) or reused(self.formula):
            return False
        written = slots[: self.n_out]
        if self._folds():  # one value per row is written as usual
            written = [s for s, o in zip(written, self.formula.outputs, strict=True) if o.over_row]
        whole = all(s.pattern[lane] == "c" for s in written)
        rows = all(sizes[lane] * s.dtype.itemsize % 64 == 0 for s in written)
        return whole and (rows or len(sizes) == 1) and not any(s.dtype.is_complex for s in written)

    def _rewritten(
        self, new_axis: dict[int, int], names: dict[ParamName, int], original: tuple[int, ...]
    ) -> Formula | Scatter:
        index = {e: self.n_out + i for i, e in enumerate(self.reads)}

        def leaf(e: Expr) -> Expr | None:
            if e.op == "axis":
                return self.replaced.get(e) or node("axis", (), int64, new_axis[e.data])
            if e.op == "load":
                x = self.reads[e]
                args = tuple(rewrite(c, leaf, memo) for c, _, _ in x.dynamic)
                return node("access", args, e.dtype, (index[e], x.operand, e.data[1], e.data[2]))
            if e.op in ("size", "extent"):
                name = (e.op, "of", e.data)
                layout = self.inputs[e.data[0]] if e.op == "extent" else None
                names[name] = layout.shape[e.data[1]] if layout is not None else original[e.data]
                return node("param", (), int64, name)
            if e.op == "given":
                names[("given", e.data)] = bits(self.given[e.data], e.dtype)
                return node("param", (), e.dtype, ("given", e.data))
            return node("scalar", (), e.dtype, self.n_out + e.data) if e.op == "scalar" else None

        memo: dict[Expr, Expr] = {}
        def swap(e: Expr) -> Expr:
            return rewrite(e, leaf, memo)

        if isinstance(self.formula, Scatter):
            target = tuple(swap(c) for c, _, _ in self.writes[0].dynamic)
            return replace(self.formula, target=target, value=swap(self.formula.value))
        stages = tuple(replace(s, elements=tuple(map(swap, s.elements))) for s in self.formula.stages)
        outputs = tuple(Output(swap(o.value), o.over_row) for o in self.formula.outputs)
        return replace(self.formula, stages=stages, outputs=outputs)


def bits(value: int | float, dtype: DType) -> int:
    """The number as a 64-bit parameter."""
    if dtype.is_floating_point:
        return int.from_bytes(struct.pack("<d", value), "little", signed=True)
    return int(value)


TILE = 16  # rows of a block of tiles
def _shares(nest: Nest, sizes: list[int], rows: int) -> tuple[int, int]:
    """The same of a scatter. Parts of places, or of a lane, read the index again: not more of them than pays."""
    whole, lane = prod(sizes), sizes[nest.lane]
    if nest.part == OWNERS:
        parts = max(1, min(whole // GRAIN, lane // LEAST_LANES, MOST_OWNERS))
        return rows, max(1, -(-rows // parts))
    cells = sizes[nest.part] if nest.part >= 0 else 1
    grain = max(1, GRAIN * cells // max(whole, 1))
    if nest.part == nest.lane:
        grain = -(-max(grain, -(-lane // FEW_PARTS)) // LEAST_LANES) * LEAST_LANES
    return cells, grain


OWNERS = -2
MOST_OWNERS = 16
GRAIN = 1 << 15  # cells that make a part worth handing to a thread
FEW_PARTS = 4  # more parts than this are wanted of a scatter's loop only if they are long
FEW_LANES = 9  # cells of a row that are too few for a vector
SHORT_ROW = 64  # cells
LARGE_COLUMNS = 1 << 18  # bytes: more than a part of the second-level cache
LEAST_LANES = 16  # two lines of memory: shorter parts of a row are not worth reading it twice


def _least(nest: Nest) -> int:
    """The fewest cells that are worth a part of their own: whole lines for columns (long ones where they are read in the
    order of memory), single rows for scans along them."""
    if nest.columns:
        return 4096
    if isinstance(nest.formula, Formula) and nest.formula.scan:
        return 64 if nest.slots[0].pattern[nest.lane] == "c" else 4
    return 256


def _work(nest: Nest, sizes: list[int], rows: int) -> tuple[int, int]:
    """The extent of the range that is split over threads, and the length of a part."""
    outer, row = prod(sizes[: nest.outer]), prod(sizes[nest.outer :])
    if isinstance(nest.formula, Scatter):
        return _shares(nest, sizes, rows)
    if nest.tile >= 0:
        units = outer // sizes[nest.lane] // sizes[nest.tile] * -(-sizes[nest.tile] // TILE)
        return units, max(1, GRAIN // (TILE * sizes[nest.lane]))
    # Long streams of rows are read in parts of up to 1 MiB or so, which the processor's prefetching likes.
    part = max(GRAIN, outer * row // 64) if nest.horizontal else GRAIN
    grain = max(1, part // max(row, 1))
    if not nest.horizontal:
        # Parts begin at multiples of 1024 cells where they can: aligned vectors, whole lines.
        grain = grain // 1024 * 1024 if grain >= 1024 else max(_least(nest), grain)
    return outer, grain
