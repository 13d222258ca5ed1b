"""Expressions: the words in which every operator is written.

An expression says how ONE cell of a result comes about. It is an immutable tree whose nodes are shared: equal
expressions are the same object, so ``is`` compares them and a ``dict`` memoises over them. Every node has a dtype,
and arithmetic never converts by itself: operands of one node have one dtype, ``cast`` changes it.

Leaves
    ``axis(k)``               coordinate k of the cell (int64)
    ``size(k)``               extent of axis k (int64, known when the kernel runs)
    ``const(v, dtype)``       a constant
    ``scalar(k, dtype)``      operand k, a Python number given at the call (float64, int64 or bool)
    ``given(name, dtype)``    a number that the plan fixes (a shift, an epsilon); int64 or float64
    ``load(k, dtype)``        operand k at the cell itself (broadcast against the result)
    ``load(k, dtype, coords)``  operand k at computed coordinates; checked against its sizes when the kernel runs.
                              With ``fill``, coordinates outside give that constant instead of an error.
    ``state(k, dtype)``       value k of an earlier stage of the same formula (see ``formula.py``)
    ``extent(k, d)``          size of dimension d of operand k (int64)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pellucid.dtypes import DType, bool_, float32, float64, int64

Number = bool | int | float | complex

LEAVES = frozenset({"axis", "size", "const", "scalar", "given", "load", "state", "extent"})
ARITHMETIC = frozenset({"add", "sub", "mul", "div", "min", "max", "rem", "and", "or", "xor", "shl", "shr", "ushr"})
COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})
# One operand, result of the same dtype; expanded by ``elementary.py`` unless LLVM has an instruction for them.
NATIVE_UNARY = frozenset({"neg", "abs", "sqrt", "floor", "ceil", "trunc", "round", "not"})


class Expr:
    """One node: ``op`` applied to ``args``; ``data`` holds what is not an expression (a number, an operand)."""

    __slots__ = ("__weakref__", "args", "data", "dtype", "op")
    op: str
    args: tuple[Expr, ...]
    dtype: DType
    data: Any

    def __add__(self, other: Expr | Number) -> Expr:
        return binary("add", self, other)

    def __radd__(self, other: Number) -> Expr:
        return binary("add", constant_like(other, self), self)

    def __sub__(self, other: Expr | Number) -> Expr:
        return binary("sub", self, other)

    def __rsub__(self, other: Number) -> Expr:
        return binary("sub", constant_like(other, self), self)

    def __mul__(self, other: Expr | Number) -> Expr:
        return binary("mul", self, other)

    def __rmul__(self, other: Number) -> Expr:
        return binary("mul", constant_like(other, self), self)

    def __truediv__(self, other: Expr | Number) -> Expr:
        """Floats: IEEE division. Integers: quotient truncated toward zero, as in C."""
        return binary("div", self, other)

    def __rtruediv__(self, other: Number) -> Expr:
        return binary("div", constant_like(other, self), self)

    def __mod__(self, other: Expr | Number) -> Expr:
        """The C remainder: it has the sign of the dividend."""
        return binary("rem", self, other)

    def __and__(self, other: Expr | Number) -> Expr:
        return binary("and", self, other)

    def __or__(self, other: Expr | Number) -> Expr:
        return binary("or", self, other)

    def __xor__(self, other: Expr | Number) -> Expr:
        return binary("xor", self, other)

    def __lshift__(self, other: Expr | Number) -> Expr:
        return binary("shl", self, other)

    def __rshift__(self, other: Expr | Number) -> Expr:
        """Arithmetic for signed integers, logical for unsigned ones."""
        return binary("shr", self, other)

    def __neg__(self) -> Expr:
        return unary("neg", self)

    def __invert__(self) -> Expr:
        return unary("not", self)

    def __lt__(self, other: Expr | Number) -> Expr:
        return compare("lt", self, other)

    def __le__(self, other: Expr | Number) -> Expr:
        return compare("le", self, other)

    def __gt__(self, other: Expr | Number) -> Expr:
        return compare("gt", self, other)

    def __ge__(self, other: Expr | Number) -> Expr:
        return compare("ge", self, other)

    def equals(self, other: Expr | Number) -> Expr:
        return compare("eq", self, other)

    def differs(self, other: Expr | Number) -> Expr:
        """``x.differs(x)`` is the test for NaN."""
        return compare("ne", self, other)

    def cast(self, dtype: DType) -> Expr:
        """Convert: float to int truncates, anything to bool is ``!= 0``, int to a smaller int wraps."""
        if dtype is self.dtype:
            return self
        if self.op == "const" and not dtype.is_complex and not isinstance(self.data, complex):
            folded = fold_cast(self.data, dtype)
            if folded is not None:
                return const(folded, dtype)
        return node("cast", (self,), dtype)

    def bitcast(self, dtype: DType) -> Expr:
        """The same bits read as another dtype of the same width."""
        return self if dtype is self.dtype else node("bitcast", (self,), dtype)

    def __repr__(self) -> str:
        if self.op in ("axis", "size", "scalar", "state", "given"):
            return f"{self.op}{self.data}"
        if self.op == "const":
            return f"{self.data!r}"
        if self.op == "load":
            where = ", ".join(map(repr, self.args)) if self.data[1] != "aligned" else "..."
            return f"in{self.data[0]}[{where}]"
        return f"{self.op}({', '.join(map(repr, self.args))})"


_interned: dict[tuple[Any, ...], Expr] = {}


def node(op: str, args: tuple[Expr, ...], dtype: DType, data: Any = None) -> Expr:
    """The one expression with this operator, arguments, dtype and data."""
    # repr tells 0.0 from -0.0, True from 1 and one NaN from another, which == does not.
    key = (op, args, dtype, repr(data) if op == "const" else data)
    found = _interned.get(key)
    if found is None:
        found = Expr()
        found.op, found.args, found.dtype, found.data = op, args, dtype, data
        _interned[key] = found
    return found


def axis(k: int) -> Expr:
    return node("axis", (), int64, k)


def size(k: int) -> Expr:
    return node("size", (), int64, k)


def extent(operand: int, dimension: int) -> Expr:
    return node("extent", (), int64, (operand, dimension))


def const(value: Number, dtype: DType) -> Expr:
    return node("const", (), dtype, value)


def scalar(operand: int, dtype: DType) -> Expr:
    return node("scalar", (), dtype, operand)


def given(name: str, dtype: DType = int64) -> Expr:
    return node("given", (), dtype, name)


def state(k: int, dtype: DType) -> Expr:
    return node("state", (), dtype, k)


def load(operand: int, dtype: DType, coords: tuple[Expr, ...] | None = None, fill: Number | None = None) -> Expr:
    """Operand ``operand`` read at ``coords``; without them at the cell's own coordinates, aligned to the right.

    data is (operand, mode, fill): mode "aligned", "checked" (outside is an error) or "filled".
    """
    if coords is None:
        return node("load", (), dtype, (operand, "aligned", None))
    mode = "checked" if fill is None else "filled"
    return node("load", coords, dtype, (operand, mode, fill))


def table(values: tuple[Number, ...], dtype: DType, index: Expr) -> Expr:
    """``values[index]``, a constant table read at an index that is known to lie inside."""
    return node("table", (index,), dtype, values)


def constant_like(value: Expr | Number, like: Expr) -> Expr:
    return value if isinstance(value, Expr) else const(value, like.dtype)


def binary(op: str, a: Expr, b: Expr | Number) -> Expr:
    b = constant_like(b, a)
    if a.dtype is not b.dtype:
        raise TypeError(f"formula: {op} of {a.dtype} and {b.dtype}: cast one of them first")
    return simplify_binary(op, a, b) or node(op, (a, b), a.dtype)


def simplify_binary(op: str, a: Expr, b: Expr) -> Expr | None:
    """Only what is exact for every value: x*1, x/1, x-0, and integers' x+0."""
    if b.op == "const":
        one_sided = (op in ("mul", "div") and b.data == 1) or (op == "sub" and repr(b.data) in ("0", "0.0"))
        if one_sided or (op == "add" and b.data == 0 and not a.dtype.is_floating_point and not a.dtype.is_complex):
            return a
    if a.op == "const" and op == "mul" and a.data == 1:
        return b
    return None


def unary(op: str, a: Expr, dtype: DType | None = None) -> Expr:
    """An elementary function or a native operation on one operand (``exp``, ``neg``, ``sqrt`` ...)."""
    return node(op, (a,), dtype or a.dtype)


def compare(op: str, a: Expr, b: Expr | Number) -> Expr:
    b = constant_like(b, a)
    if a.dtype is not b.dtype:
        raise TypeError(f"formula: {op} of {a.dtype} and {b.dtype}: cast one of them first")
    return node(op, (a, b), bool_)


def select(condition: Expr, a: Expr | Number, b: Expr | Number) -> Expr:
    """``a`` where the condition holds, else ``b``; both are evaluated."""
    if not isinstance(a, Expr):
        a = constant_like(a, b)  # type: ignore[arg-type]
    b = constant_like(b, a)
    if a.dtype is not b.dtype:
        raise TypeError(f"formula: select of {a.dtype} and {b.dtype}: cast one of them first")
    return a if a is b else node("select", (condition, a, b), a.dtype)


def minimum(a: Expr, b: Expr | Number) -> Expr:
    """The smaller one; NaN if either is NaN."""
    return binary("min", a, b)


def maximum(a: Expr, b: Expr | Number) -> Expr:
    """The larger one; NaN if either is NaN."""
    return binary("max", a, b)


def fma(a: Expr, b: Expr | Number, c: Expr | Number) -> Expr:
    """``a * b + c`` rounded once."""
    return node("fma", (a, constant_like(b, a), constant_like(c, a)), a.dtype)


def copysign(a: Expr, b: Expr | Number) -> Expr:
    """The magnitude of ``a`` with the sign of ``b``."""
    return node("copysign", (a, constant_like(b, a)), a.dtype)


def is_nan(a: Expr) -> Expr:
    return a.differs(a)


def fold_cast(value: Number, dtype: DType) -> Number | None:
    if dtype is bool_:
        return bool(value)
    if dtype in (float32, float64):
        return float(value)  # type: ignore[arg-type]
    if dtype is int64 and isinstance(value, (bool, int)):
        return int(value)
    return None


def children(e: Expr) -> tuple[Expr, ...]:
    return e.args


def walk(*roots: Expr) -> Iterator[Expr]:
    """Every node below the roots once, arguments before what uses them."""
    seen: set[Expr] = set()
    stack: list[tuple[Expr, bool]] = [(r, False) for r in reversed(roots)]
    while stack:
        e, ready = stack.pop()
        if e in seen:
            continue
        if ready:
            seen.add(e)
            yield e
        else:
            stack.append((e, True))
            stack.extend((a, False) for a in reversed(e.args))


def rewrite(e: Expr, leaf: Callable[[Expr], Expr | None], memo: dict[Expr, Expr] | None = None) -> Expr:
    """Rebuild ``e`` with every node for which ``leaf`` gives a replacement (outermost first) replaced by it."""
    memo = {} if memo is None else memo
    found = memo.get(e)
    if found is None:
        found = leaf(e)
        if found is None:
            args = tuple(rewrite(a, leaf, memo) for a in e.args)
            found = e if args == e.args else node(e.op, args, e.dtype, e.data)
        memo[e] = found
    return found
