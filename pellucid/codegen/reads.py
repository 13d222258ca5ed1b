"""Reading memory: at one address, along consecutive lanes, or lane by lane; outside of a tensor never."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pellucid.codegen.ir import Writer, memory_type, suffix, vector
from pellucid.dtypes import DType, bool_, int64
from pellucid.formula.expr import Expr, Number, const

if TYPE_CHECKING:
    from pellucid.codegen.emit import Emitter

Value = str | tuple[str, str]  # a complex value is (real, imaginary)

INDEX_ERROR = 1  # status bit: a coordinate lies outside
_ZERO = const(0, int64)


class Place(Protocol):
    """What an emitter asks of the loops around it."""

    writer: Writer

    def counter(self, axis: int) -> str: ...
    def param(self, name: tuple[object, ...]) -> str: ...
    def operand(self, k: int) -> str: ...
    def address(self, slot: int) -> str: ...
    def lane_step(self, slot: int) -> str: ...
    def dynamic_step(self, slot: int, d: int) -> str: ...
    def flag(self, condition: str, status: int) -> None: ...


class MemoryReads:
    """The part of an emitter that reads."""

    place: Place
    w: Writer
    width: int
    lane_axis: int | None
    mask: str | None
    shift: str
    outer: Emitter | None

    if TYPE_CHECKING:

        def varies(self, e: Expr) -> bool: ...
        def scalar(self, e: Expr) -> str: ...
        def splat(self, value: str, type_: str) -> str: ...
        def constant(self, value: Number, dtype: DType) -> str: ...
        def type_of(self, dtype: DType) -> str: ...

    def write_access(self, e: Expr) -> Value:
        """Read memory: at one address, along consecutive lanes, or lane by lane."""
        slot, _, mode, fill = e.data
        address, inside = self.place.address(slot), None
        base: str | None = None  # what computed coordinates add, the same for all lanes
        moving: str | None = None  # what they add lane by lane
        step = self.place.lane_step(slot)
        for d, coord in enumerate(e.args):
            ok = self._bounds(slot, d, coord)
            inside = ok if inside is None else self.w.let(f"and {vector('i1', self.width)} {inside}, {ok}")
            stride = self.place.dynamic_step(slot, d)
            along = self._along_lane(coord)
            if along is not None and step == "0" and moving is None:
                assert self.outer is not None
                start = self.outer.scalar(along)
                first = self._lane_start()
                position = self.w.let(f"add i64 {start}, {first}")
                offset = self.w.let(f"mul i64 {position}, {stride}")
                base = offset if base is None else self.w.let(f"add i64 {base}, {offset}")
                step = stride
            elif self.outer is not None and not self.varies(coord):
                offset = self.w.let(f"mul i64 {self.outer.scalar(coord)}, {stride}")
                base = offset if base is None else self.w.let(f"add i64 {base}, {offset}")
            else:
                whole = vector("i64", self.width)
                offset = self.w.let(f"mul {whole} {self.scalar(coord)}, {self.splat(stride, 'i64')}")
                moving = offset if moving is None else self.w.let(f"add {whole} {moving}, {offset}")
        if self.place.lane_step(slot) != "0":
            own = self.w.let(f"mul i64 {self._lane_start()}, {step}")
            base = own if base is None else self.w.let(f"add i64 {base}, {own}")
        if base is not None:
            address = self.w.let(f"add i64 {address}, {base}")
        allowed = self._and_mask(inside)
        if mode == "checked" and inside is not None:
            self._flag_outside(inside)
        if moving is None and self.width > 1 and step == str(e.dtype.itemsize):
            value = self._load_run(address, e.dtype, allowed)
        elif moving is not None and self.width > 1 and step == str(e.dtype.itemsize) and not e.dtype.is_complex:
            value = self._load_together(address, moving, step, e.dtype, allowed)
        else:
            value = self._load_lanes(address, moving, step, e.dtype, allowed)
        if mode == "filled":
            value = self._fill(value, inside, fill, e.dtype)
        return value

    def _lane_start(self) -> str:
        assert self.lane_axis is not None
        counter = self.place.counter(self.lane_axis)
        return counter if self.shift == "0" else self.w.let(f"add i64 {counter}, {self.shift}")

    def _along_lane(self, coord: Expr) -> Expr | None:
        """What is left of ``lane axis + uniform`` or ``lane axis - uniform`` without the axis, else None."""
        if self.width == 1 or self.outer is None:
            return None
        if coord.op == "axis":
            return _ZERO if coord.data == self.lane_axis else None
        if coord.op in ("add", "sub"):
            a, b = coord.args
            left = self._along_lane(a)
            if left is not None and not self.varies(b):
                return left + b if coord.op == "add" else left - b
            right = self._along_lane(b) if coord.op == "add" else None
            if right is not None and not self.varies(a):
                return a + right
        return None

    def _bounds(self, slot: int, d: int, coord: Expr) -> str:
        """0 <= coord < extent, as one unsigned comparison."""
        whole = vector("i64", self.width)
        extent = self.splat(self.place.param(("extent", slot, d)), "i64")
        return self.w.let(f"icmp ult {whole} {self.scalar(coord)}, {extent}")

    def _and_mask(self, inside: str | None) -> str | None:
        if inside is None or self.mask is None:
            return inside or self.mask
        return self.w.let(f"and {vector('i1', self.width)} {inside}, {self.mask}")

    def _flag_outside(self, inside: str) -> None:
        whole = vector("i1", self.width)
        outside = self.w.let(f"xor {whole} {inside}, {self.constant(True, bool_)}")
        if self.mask is not None:
            outside = self.w.let(f"and {whole} {outside}, {self.mask}")
        self.place.flag(self.any(outside), INDEX_ERROR)

    def any(self, lanes: str) -> str:
        if self.width == 1:
            return lanes
        whole = vector("i1", self.width)
        return self.w.call("i1", f"llvm.vector.reduce.or.v{self.width}i1", f"{whole} {lanes}")

    def _load_run(self, address: str, dtype: DType, allowed: str | None) -> Value:
        """Consecutive cells, one per lane."""
        pointer = self.w.let(f"inttoptr i64 {address} to ptr")
        if dtype.is_complex:
            return self._load_pairs(pointer, dtype, allowed)
        type_ = vector(memory_type(dtype), self.width)
        if allowed is None:
            raw = self.w.let(f"load {type_}, ptr {pointer}, align {dtype.itemsize}")
        else:
            raw = self.w.call(
                type_,
                f"llvm.masked.load.{suffix(memory_type(dtype), self.width)}.p0",
                f"ptr align {dtype.itemsize} {pointer}",
                f"{vector('i1', self.width)} {allowed}",
                f"{type_} zeroinitializer",
            )
        return self.from_memory(raw, dtype)

    def _load_pairs(self, pointer: str, dtype: DType, allowed: str | None) -> Value:
        """Complex cells: read all parts in one run, then part them."""
        part, n = dtype.to_real().llvm, 2 * self.width
        type_ = vector(part, n)
        if allowed is None:
            raw = self.w.let(f"load {type_}, ptr {pointer}, align {dtype.itemsize // 2}")
        else:
            twice = ", ".join(f"i32 {i // 2}" for i in range(n))
            narrow = vector("i1", self.width)
            wide = self.w.let(f"shufflevector {narrow} {allowed}, {narrow} poison, <{n} x i32> <{twice}>")
            raw = self.w.call(
                type_,
                f"llvm.masked.load.{suffix(part, n)}.p0",
                f"ptr align {dtype.itemsize // 2} {pointer}",
                f"{vector('i1', n)} {wide}",
                f"{type_} zeroinitializer",
            )
        picks = [", ".join(f"i32 {2 * i + k}" for i in range(self.width)) for k in (0, 1)]
        real, imag = (
            self.w.let(f"shufflevector {type_} {raw}, {type_} poison, <{self.width} x i32> <{p}>") for p in picks
        )
        return real, imag

    def _load_lanes(self, address: str, moving: str | None, step: str, dtype: DType, allowed: str | None) -> Value:
        """Each lane from an address of its own (or the one lane there is)."""
        if dtype.is_complex:
            part = dtype.to_real()
            other = self.w.let(f"add i64 {address}, {part.itemsize}")
            pair = [self._load_lanes(a, moving, step, part, allowed) for a in (address, other)]
            return pair[0], pair[1]  # type: ignore[return-value]
        type_ = memory_type(dtype)
        if self.width == 1:
            if moving is not None:
                address = self.w.let(f"add i64 {address}, {moving}")
            return self.from_memory(self._load_one(address, type_, dtype, allowed), dtype)
        whole = vector("i64", self.width)
        lanes = self.splat(address, "i64")
        if step != "0":
            numbers = ", ".join(f"i64 {i}" for i in range(self.width))
            steps = self.w.let(f"mul {whole} {self.splat(step, 'i64')}, <{numbers}>")
            lanes = self.w.let(f"add {whole} {lanes}, {steps}")
        if moving is not None:
            lanes = self.w.let(f"add {whole} {lanes}, {moving}")
        pointers = self.w.let(f"inttoptr {whole} {lanes} to {vector('ptr', self.width)}")
        return self.from_memory(self._gather(pointers, type_, dtype.itemsize, allowed), dtype)

    def _load_together(self, address: str, moving: str, step: str, dtype: DType, allowed: str | None) -> str:
        """Lane by lane, but in one piece if all lanes move by the same: indexes are often repeated along rows."""
        whole, type_ = vector("i64", self.width), self.type_of(dtype)
        first = self.w.let(f"extractelement {whole} {moving}, i64 0")
        differs = self.w.let(f"icmp ne {whole} {moving}, {self.splat(first, 'i64')}")
        if allowed is not None:
            differs = self.w.let(f"and {vector('i1', self.width)} {differs}, {allowed}")
        slot = self.w.slot(type_)

        def keep(value: Value) -> None:
            assert isinstance(value, str)
            self.w.write(type_, value, slot)

        apart = self.any(differs)
        with self.w.when(apart):
            keep(self._load_lanes(address, moving, step, dtype, allowed))
        with self.w.when(self.w.let(f"xor i1 {apart}, true")):
            keep(self._load_run(self.w.let(f"add i64 {address}, {first}"), dtype, allowed))
        return self.w.read(type_, slot)

    def read_run(self, address: str, dtype: DType) -> Value:
        """Neighbouring cells from ``address`` on, as the mask allows."""
        return self._load_run(address, dtype, self.mask)

    def read_one(self, address: str, dtype: DType) -> Value:
        """The cell at ``address``."""
        return self._load_lanes(address, None, "0", dtype, None)

    def _load_one(self, address: str, type_: str, dtype: DType, allowed: str | None) -> str:
        pointer = self.w.let(f"inttoptr i64 {address} to ptr")
        if allowed is not None:
            # A cell of zeros on the stack stands in for what may not be read.
            safe = self.w.slot(type_, "zeroinitializer")
            pointer = self.w.let(f"select i1 {allowed}, ptr {pointer}, ptr {safe}")
        return self.w.let(f"load {type_}, ptr {pointer}, align {dtype.itemsize}")

    def _gather(self, pointers: str, type_: str, align: int, allowed: str | None) -> str:
        whole = vector(type_, self.width)
        return self.w.call(
            whole,
            f"llvm.masked.gather.{suffix(type_, self.width)}.v{self.width}p0",
            f"{vector('ptr', self.width)} align {align} {pointers}",
            f"{vector('i1', self.width)} {allowed or self.constant(True, bool_)}",
            f"{whole} zeroinitializer",
        )

    def _fill(self, value: Value, inside: str | None, fill: Number, dtype: DType) -> Value:
        if inside is None:
            return value
        if isinstance(value, tuple):
            part, number = dtype.to_real(), complex(fill)
            real = self._fill(value[0], inside, number.real, part)
            return real, self._fill(value[1], inside, number.imag, part)  # type: ignore[return-value]
        type_ = self.type_of(dtype)
        condition = f"{vector('i1', self.width)} {inside}"
        return self.w.let(f"select {condition}, {type_} {value}, {type_} {self.constant(fill, dtype)}")

    def from_memory(self, raw: str, dtype: DType) -> str:
        if dtype is bool_:
            whole = vector("i8", self.width)
            return self.w.let(f"icmp ne {whole} {raw}, zeroinitializer" if self.width > 1 else f"icmp ne i8 {raw}, 0")
        return raw

    def to_memory(self, value: str, dtype: DType) -> str:
        if dtype is bool_:
            return self.w.let(f"zext {self.type_of(dtype)} {value} to {vector('i8', self.width)}")
        return value
