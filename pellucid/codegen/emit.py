"""Expressions to LLVM IR, for one lane or for a vector of lanes: what every target has in common.

An ``Emitter`` writes the code of expressions at one place of the loops. It holds ``width`` lanes, optionally under a
``mask`` (the tail of a row). Expressions that are the same in all lanes are written once, by its ``outer`` emitter
of one lane in front of the loop, and spread when used.
"""

from __future__ import annotations

from collections.abc import Callable

from pellucid.codegen.ir import literal, register_type, suffix, vector
from pellucid.codegen.reads import MemoryReads, Place, Value
from pellucid.dtypes import DType, bfloat16, bool_, float16, float32, float64, int64
from pellucid.formula.expr import Expr, Number
from pellucid.formula.lowering import expand

_FLOAT_OPS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "rem": "frem"}
_INT_OPS = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor", "shl": "shl"}
_FLOAT_TESTS = {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"}
_WHOLE_BITS = {float32: 23, float64: 52}  # whole numbers of so many bits are exact
_ROUNDINGS = {"sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "trunc": "trunc", "round": "roundeven"}

DIVISION_ERROR = 2


class Emitter(MemoryReads):
    """Writes expressions at one place of the loops, ``width`` lanes at a time (see the module's text)."""

    def __init__(
        self,
        place: Place,
        width: int = 1,
        lane_axis: int | None = None,
        mask: str | None = None,
        outer: Emitter | None = None,
    ) -> None:
        self.place, self.width, self.lane_axis, self.mask, self.outer = place, width, lane_axis, mask, outer
        self.w = place.writer
        self.memo: dict[Expr, Value] = {}
        self._varying: dict[Expr, bool] = {}
        self._hoisted: set[Expr] = set()
        self.shift = "0"  # added to the lane axis's counter: which of several unrolled vectors this is

    # -- where an expression varies -------------------------------------------------------------------------------

    def varies(self, e: Expr) -> bool:
        """Whether lanes can differ in ``e``."""
        found = self._varying.get(e)
        if found is None:
            if e.op == "axis":
                found = e.data == self.lane_axis
            elif e.op == "access" and self.lane_axis is not None and self.place.lane_step(e.data[0]) != "0":
                found = True
            else:
                found = any(self.varies(a) for a in e.args)
            self._varying[e] = found
        return found

    def hoist(self, e: Expr) -> None:
        """Write the parts of ``e`` that are the same in all lanes in front of the loop."""
        if self.outer is None or e in self._hoisted:
            return
        self._hoisted.add(e)
        if not self.varies(e):
            self.outer.value(e)
            return
        expanded = expand(e)
        if expanded is not e:  # elementary functions compute with their uniform operands alone, too
            self.hoist(expanded)
            return
        for a in e.args:
            along = self._along_lane(a) if e.op == "access" else None
            if along is not None:
                self.outer.value(along)
            else:
                self.hoist(a)

    # -- values ---------------------------------------------------------------------------------------------------

    def type_of(self, dtype: DType) -> str:
        return vector(register_type(dtype), self.width)

    def bind(self, e: Expr, value: Value) -> None:
        """Give ``e`` (a state) a value that differs between the lanes."""
        self.memo[e] = value
        self._varying[e] = True

    def scalar(self, e: Expr) -> str:
        value = self.value(e)
        assert isinstance(value, str), f"a real value is needed for {e!r}"
        return value

    def value(self, e: Expr) -> Value:
        found = self.memo.get(e)
        if found is None:
            if self.outer is not None and e.op != "const" and not self.varies(e):
                found = self.spread(self.outer.value(e), e.dtype)
            else:
                found = self.write(e)
            self.memo[e] = found
        return found

    def spread(self, value: Value, dtype: DType) -> Value:
        if isinstance(value, tuple):
            part = dtype.to_real()
            return self.splat(value[0], register_type(part)), self.splat(value[1], register_type(part))
        return self.splat(value, register_type(dtype))

    def splat(self, value: str, type_: str) -> str:
        if self.width == 1:
            return value
        whole = vector(type_, self.width)
        first = self.w.let(f"insertelement {whole} poison, {type_} {value}, i64 0")
        return self.w.let(f"shufflevector {whole} {first}, {whole} poison, <{self.width} x i32> zeroinitializer")

    def constant(self, value: Number, dtype: DType) -> str:
        text = literal(value, dtype)  # type: ignore[arg-type]
        return text if self.width == 1 else f"splat ({register_type(dtype)} {text})"

    def write(self, e: Expr) -> Value:
        leaf = _LEAVES.get(e.op)
        if leaf is not None:
            return leaf(self, e)
        expanded = expand(e)
        if expanded is not e:
            return self.value(expanded)
        if e.op in ("real", "imag"):
            pair = self.value(e.args[0])
            return pair[0 if e.op == "real" else 1]
        if e.op == "complex":
            return self.scalar(e.args[0]), self.scalar(e.args[1])
        args = [self.scalar(a) for a in e.args]
        return self.operation(e, args)

    # -- leaves ---------------------------------------------------------------------------------------------------

    def write_const(self, e: Expr) -> Value:
        if e.dtype.is_complex:
            number, part = complex(e.data), e.dtype.to_real()
            return self.constant(number.real, part), self.constant(number.imag, part)
        return self.constant(e.data, e.dtype)

    def write_axis(self, e: Expr) -> str:
        counter = self.place.counter(e.data)
        if e.data != self.lane_axis:
            return self.splat(counter, "i64")
        if self.shift != "0":
            counter = self.w.let(f"add i64 {counter}, {self.shift}")
        if self.width == 1:
            return counter
        whole = vector("i64", self.width)
        lanes = ", ".join(f"i64 {i}" for i in range(self.width))
        return self.w.let(f"add {whole} {self.splat(counter, 'i64')}, <{lanes}>")

    def write_param(self, e: Expr) -> str:
        number, type_ = self.place.param(e.data), register_type(e.dtype)
        if type_ != "i64":
            number = self.w.let(f"bitcast i64 {number} to {type_}")
        return self.splat(number, type_)

    def write_scalar(self, e: Expr) -> str:
        """The eight bytes that stand for the number among the operands."""
        bits = self.place.operand(e.data)
        type_ = register_type(e.dtype)
        if type_ == "double":
            bits = self.w.let(f"bitcast i64 {bits} to double")
        elif type_ != "i64":
            bits = self.w.let(f"trunc i64 {bits} to {type_}")
        return self.splat(bits, type_)

    def write_table(self, e: Expr) -> str:
        type_ = register_type(e.dtype)
        name = f"@table{len(self.w.globals)}"
        items = ", ".join(f"{type_} {literal(v, e.dtype)}" for v in e.data)
        self.w.globals.append(f"{name} = private constant [{len(e.data)} x {type_}] [{items}]")
        index = self.scalar(e.args[0].cast(int64))
        wide = vector("i64", self.width)
        at = self.w.let(f"getelementptr {type_}, ptr {name}, {wide} {index}")
        if self.width == 1:
            return self.w.let(f"load {type_}, ptr {at}")
        return self._gather(at, type_, e.dtype.itemsize, None)

    # -- operations -----------------------------------------------------------------------------------------------

    def operation(self, e: Expr, args: list[str]) -> str:
        op, dtype = e.op, e.args[0].dtype
        t = self.type_of(dtype)
        if op in _FLOAT_TESTS:
            return self._test(op, dtype, t, args)
        if op == "select":
            kind = vector("i1", self.width)
            own = self.type_of(e.dtype)
            return self.w.let(f"select {kind} {args[0]}, {own} {args[1]}, {own} {args[2]}")
        if op == "cast":
            return self._cast(args[0], dtype, e.dtype)
        if op == "bitcast":
            return self.w.let(f"bitcast {t} {args[0]} to {self.type_of(e.dtype)}")
        if op in ("fma", "copysign"):
            return self._intrinsic(f"llvm.{op}", dtype, args)
        if op in ("neg", "abs", "not", *_ROUNDINGS):
            return self._unary(op, dtype, t, args[0])
        return self._binary(op, dtype, t, args)

    def _intrinsic(self, name: str, dtype: DType, args: list[str], *more: str) -> str:
        t = self.type_of(dtype)
        full = f"{name}.{suffix(register_type(dtype), self.width)}"
        return self.w.call(t, full, *(f"{t} {a}" for a in args), *more)

    def _test(self, op: str, dtype: DType, t: str, args: list[str]) -> str:
        if dtype.is_floating_point:
            return self.w.let(f"fcmp {_FLOAT_TESTS[op]} {t} {args[0]}, {args[1]}")
        name = op if op in ("eq", "ne") else ("s" if dtype.is_signed else "u") + op
        return self.w.let(f"icmp {name} {t} {args[0]}, {args[1]}")

    def _unary(self, op: str, dtype: DType, t: str, a: str) -> str:
        if op == "not":
            ones = self.constant(True if dtype is bool_ else -1, dtype)
            return self.w.let(f"xor {t} {a}, {ones}")
        if dtype.is_floating_point:
            if op == "neg":
                return self.w.let(f"fneg {t} {a}")
            return self._intrinsic("llvm.fabs" if op == "abs" else f"llvm.{_ROUNDINGS[op]}", dtype, [a])
        if op == "neg":
            return self.w.let(f"sub {t} {self.constant(0, dtype)}, {a}")
        if op == "abs":
            return self._intrinsic("llvm.abs", dtype, [a], "i1 false") if dtype.is_signed else a
        if op == "sqrt":
            raise TypeError("formula: sqrt of an integer: cast it first")
        return a

    def _binary(self, op: str, dtype: DType, t: str, args: list[str]) -> str:
        a, b = args
        if op in ("min", "max"):
            return self._extreme(op, dtype, t, args)
        if dtype.is_floating_point:
            if op == "rem" and dtype in _WHOLE_BITS:
                return self._float_remainder(dtype, t, a, b)
            return self.w.let(f"{_FLOAT_OPS[op]} {t} {a}, {b}")
        if op in ("div", "rem"):
            return self._integer_division(op, dtype, t, a, b)
        if op in ("shr", "ushr"):
            return self.w.let(f"{'ashr' if dtype.is_signed and op == 'shr' else 'lshr'} {t} {a}, {b}")
        if dtype is bool_ and op in ("add", "mul"):
            op = "or" if op == "add" else "and"
        return self.w.let(f"{_INT_OPS[op]} {t} {a}, {b}")

    def _extreme(self, op: str, dtype: DType, t: str, args: list[str]) -> str:
        if dtype is bool_:
            return self.w.let(f"{'and' if op == 'min' else 'or'} {t} {args[0]}, {args[1]}")
        if not dtype.is_floating_point:
            return self._intrinsic(f"llvm.{'s' if dtype.is_signed else 'u'}{op}", dtype, args)
        # One comparison and one test for NaN: cheaper on x86 than llvm.maximum, whose order of zeros nobody needs.
        a, b = args
        kind = vector("i1", self.width)
        first = self.w.let(f"fcmp {'ogt' if op == 'max' else 'olt'} {t} {a}, {b}")
        picked = self.w.let(f"select {kind} {first}, {t} {a}, {t} {b}")
        unordered = self.w.let(f"fcmp uno {t} {a}, {a}")
        return self.w.let(f"select {kind} {unordered}, {t} {a}, {t} {picked}")

    def _float_remainder(self, dtype: DType, t: str, a: str, b: str) -> str:
        """Exact, since a multiply-add rounds once, while the quotient has fewer bits than the dtype; the processor's
        own way, number by number, only when a lane has a larger one (or divides by zero, or by NaN)."""
        kind, zero = vector("i1", self.width), self.constant(0.0, dtype)
        quotient = self._intrinsic("llvm.trunc", dtype, [self.w.let(f"fdiv {t} {a}, {b}")])
        rest = self._intrinsic("llvm.fma", dtype, [self.w.let(f"fneg {t} {quotient}"), b, a])
        # The quotient may have been rounded up to the next whole number: then the rest has the other sign.
        size = self._intrinsic("llvm.fabs", dtype, [b])
        turned = self.w.let(f"fcmp olt {t} {self.w.let(f'fmul {t} {rest}, {self._one_of_sign(dtype, a)}')}, {zero}")
        step = self._intrinsic("llvm.copysign", dtype, [size, a])
        rest = self.w.let(f"select {kind} {turned}, {t} {self.w.let(f'fadd {t} {rest}, {step}')}, {t} {rest}")
        rest = self._intrinsic("llvm.copysign", dtype, [rest, a])
        small = self.w.let(f"fcmp oeq {t} {quotient}, {zero}")
        rest = self.w.let(f"select {kind} {small}, {t} {a}, {t} {rest}")
        found = self.w.slot(t)
        self.w.write(t, rest, found)
        bound = self.constant(2.0 ** _WHOLE_BITS[dtype], dtype)
        large = self.w.let(f"fcmp uge {t} {self._intrinsic('llvm.fabs', dtype, [quotient])}, {bound}")
        if self.mask is not None:
            large = self.w.let(f"and {kind} {large}, {self.mask}")
        with self.w.when(self.any(large)):
            self.w.write(t, self.w.let(f"frem {t} {a}, {b}"), found)
        return self.w.read(t, found)

    def _one_of_sign(self, dtype: DType, a: str) -> str:
        return self._intrinsic("llvm.copysign", dtype, [self.constant(1.0, dtype), a])

    def _integer_division(self, op: str, dtype: DType, t: str, a: str, b: str) -> str:
        """The processor traps on x/0 and on lowest/-1: neither reaches it."""
        kind, zero, one = vector("i1", self.width), self.constant(0, dtype), self.constant(1, dtype)
        by_zero = self.w.let(f"icmp eq {t} {b}, {zero}")
        wrong = by_zero if self.mask is None else self.w.let(f"and {kind} {by_zero}, {self.mask}")
        self.place.flag(self.any(wrong), DIVISION_ERROR)
        if not dtype.is_signed:
            safe = self.w.let(f"select {kind} {by_zero}, {t} {one}, {t} {b}")
            return self.w.let(f"{'udiv' if op == 'div' else 'urem'} {t} {a}, {safe}")
        minus = self.w.let(f"icmp eq {t} {b}, {self.constant(-1, dtype)}")
        special = self.w.let(f"or {kind} {by_zero}, {minus}")
        safe = self.w.let(f"select {kind} {special}, {t} {one}, {t} {b}")
        result = self.w.let(f"{'sdiv' if op == 'div' else 'srem'} {t} {a}, {safe}")
        exact = self.w.let(f"sub {t} {zero}, {a}") if op == "div" else zero
        return self.w.let(f"select {kind} {minus}, {t} {exact}, {t} {result}")

    # -- conversions ----------------------------------------------------------------------------------------------

    def _convert(self, instruction: str, value: str, source: str, target: str) -> str:
        return self.w.let(f"{instruction} {vector(source, self.width)} {value} to {vector(target, self.width)}")

    def _cast(self, value: str, source: DType, target: DType) -> str:
        if source is target:
            return value
        if source is bfloat16:
            return self._cast(self._widen_bfloat16(value), float32, target)
        if target is bfloat16:
            single = value if source is float32 else self._cast(value, source, float32)
            return self._narrow_bfloat16(single)
        if source is float16 or target is float16:
            if source is float32:
                return self._convert("fptrunc", value, "float", "half")
            if target is float32:
                return self._convert("fpext", value, "half", "float")
            return self._cast(self._cast(value, source, float32), float32, target)
        a, b = register_type(source), register_type(target)
        if target is bool_:
            return self._test("ne", source, self.type_of(source), [value, self.constant(0, source)])
        if source.is_floating_point:
            if target.is_floating_point:
                return self._convert("fpext" if target.itemsize > source.itemsize else "fptrunc", value, a, b)
            if target.itemsize < 4:  # through 64 bits, so that what does not fit wraps as in C
                return self._convert("trunc", self._convert("fptosi", value, a, "i64"), "i64", b)
            wide = "i64" if not target.is_signed else b
            whole = self._convert("fptosi", value, a, wide)
            return whole if wide == b else self._convert("trunc", whole, wide, b)
        if target.is_floating_point:
            return self._convert("sitofp" if source.is_signed else "uitofp", value, a, b)
        if a == b:
            return value
        if target.itemsize > source.itemsize or source is bool_:
            return self._convert("sext" if source.is_signed else "zext", value, a, b)
        return self._convert("trunc", value, a, b)

    def _widen_bfloat16(self, value: str) -> str:
        wide = self._convert("zext", value, "i16", "i32")
        t = vector("i32", self.width)
        high = self.w.let(f"shl {t} {wide}, {'16' if self.width == 1 else 'splat (i32 16)'}")
        return self._convert("bitcast", high, "i32", "float")

    def _narrow_bfloat16(self, value: str) -> str:
        """Round to nearest, ties to even; a NaN stays one."""
        t, ints = vector("float", self.width), vector("i32", self.width)
        number: Callable[[int], str] = lambda v: str(v) if self.width == 1 else f"splat (i32 {v})"  # noqa: E731
        bits = self._convert("bitcast", value, "float", "i32")
        high = self.w.let(f"lshr {ints} {bits}, {number(16)}")
        odd = self.w.let(f"and {ints} {high}, {number(1)}")
        bias = self.w.let(f"add {ints} {odd}, {number(0x7FFF)}")
        rounded = self.w.let(f"lshr {ints} {self.w.let(f'add {ints} {bits}, {bias}')}, {number(16)}")
        nan = self.w.let(f"fcmp uno {t} {value}, {value}")
        picked = self.w.let(
            f"select {vector('i1', self.width)} {nan}, {ints} {number(0x7FC0)}, {ints} {rounded}"
        )
        return self._convert("trunc", picked, "i32", "i16")


_LEAVES: dict[str, Callable[[Emitter, Expr], Value]] = {
    "const": Emitter.write_const,
    "axis": Emitter.write_axis,
    "param": Emitter.write_param,
    "scalar": Emitter.write_scalar,
    "access": Emitter.write_access,
    "table": Emitter.write_table,
}
