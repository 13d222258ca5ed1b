"""Expressions computed by NumPy: what kernels are tested against.

Every operation is one NumPy operation of the same dtype over all cells at once, so the numbers are those of the
kernels to the last bit. It is slow, allocates an array per operation, and is never used to compute results.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid.dtypes import DType, bool_, float64
from pellucid.formula.expr import Expr, Number, walk
from pellucid.formula.lowering import expand_all

Array = np.ndarray[Any, Any]


def evaluate(
    e: Expr,
    operands: Sequence[Array | Number],
    shape: tuple[int, ...] | None = None,
    states: Sequence[Array | Number] = (),
) -> Array:
    """The value of ``e`` at every cell of a result of this shape.

    Args:
        operands: what ``load(k)``, ``extent(k, d)`` and ``scalar(k)`` refer to.
        shape: the result's; without it the operands' common shape.
        states: what ``state(k)`` refers to.

    Raises IndexError when a checked load falls outside its operand, ZeroDivisionError for an integer divided by 0.
    """
    if shape is None:
        shape = np.broadcast_shapes(*(np.shape(x) for x in operands))
    e = expand_all(e, {})
    leaves = _Leaves(shape, operands, states)
    values: dict[Expr, Array] = {}
    with np.errstate(all="ignore"):
        for n in walk(e):
            args = [values[a] for a in n.args]
            values[n] = np.asarray(getattr(leaves, n.op)(n, *args) if n.op in _LEAVES else _operation(n, args))
    return np.broadcast_to(values[e], shape).copy()


_LEAVES = frozenset({"axis", "size", "const", "scalar", "load", "state", "extent", "table"})


class _Leaves:
    """Where values come from; one method per kind of leaf."""

    def __init__(
        self, shape: tuple[int, ...], operands: Sequence[Array | Number], states: Sequence[Array | Number]
    ) -> None:
        self.shape, self.operands, self.states = shape, operands, states

    def axis(self, n: Expr) -> Array:
        along = [1] * len(self.shape)
        along[n.data] = self.shape[n.data]
        return np.arange(self.shape[n.data], dtype=np.int64).reshape(along)

    def size(self, n: Expr) -> Array:
        return np.asarray(self.shape[n.data], np.int64)

    def extent(self, n: Expr) -> Array:
        operand, dimension = n.data
        return np.asarray(np.shape(self.operands[operand])[dimension], np.int64)

    def const(self, n: Expr) -> Array:
        return constant(n.data, n.dtype)

    def scalar(self, n: Expr) -> Array:
        return np.asarray(self.operands[n.data]).astype(n.dtype.numpy)

    def state(self, n: Expr) -> Array:
        return np.asarray(self.states[n.data], n.dtype.numpy)

    def table(self, n: Expr, index: Array) -> Array:
        return np.asarray(n.data, n.dtype.numpy)[index]

    def load(self, n: Expr, *coords: Array) -> Array:
        operand, mode, fill = n.data
        x = np.asarray(self.operands[operand])
        if mode == "aligned":
            return x
        inside = np.asarray(True)
        for coord, size in zip(coords, x.shape, strict=True):
            inside = inside & (coord >= 0) & (coord < size)
        if mode == "checked" and not inside.all():
            raise IndexError(f"formula: a coordinate of operand {operand} is outside its shape {x.shape}")
        found = x[tuple(np.where(inside, coord, 0) for coord in coords)] if x.size else constant(0, n.dtype)
        return found if mode == "checked" else np.where(inside, found, constant(fill, n.dtype))


def constant(value: Number, dtype: DType) -> Array:
    """A number as a zero-dimensional array; integers wrap."""
    if dtype.kind in "iu":
        wrapped = int(value) % (1 << 8 * dtype.itemsize)  # type: ignore[arg-type]
        return np.asarray(wrapped, f"u{dtype.itemsize}").view(dtype.numpy)
    return np.asarray(value).astype(dtype.numpy)


def _operation(n: Expr, args: list[Array]) -> Array:
    if n.op == "cast":
        return args[0] != 0 if n.dtype is bool_ else args[0].astype(n.dtype.numpy)
    if n.op == "bitcast":
        return args[0].view(n.dtype.numpy)
    if n.op == "complex":
        whole = np.empty(np.broadcast_shapes(args[0].shape, args[1].shape), n.dtype.numpy)
        whole.real, whole.imag = args
        return whole
    operation = _OPERATIONS.get(n.op)
    if operation is None:
        raise ValueError(f"formula: there is no operation named {n.op!r}")
    return operation(*args)


def _divide(a: Array, b: Array) -> Array:
    """Floats: IEEE division. Integers: the quotient toward zero."""
    if a.dtype.kind not in "iu":
        return np.asarray(a / b)
    _refuse_zero(b)
    below = a // b
    return np.asarray(below + ((below * b != a) & ((a < 0) != (b < 0))))


def _remainder(a: Array, b: Array) -> Array:
    if a.dtype.kind in "iu":
        _refuse_zero(b)
    return np.fmod(a, b)


def _refuse_zero(divisor: Array) -> None:
    if not divisor.all():
        raise ZeroDivisionError("formula: an integer is divided by zero")


def _shift_unsigned(a: Array, by: Array) -> Array:
    unsigned = f"u{a.dtype.itemsize}"
    return np.asarray(a.view(unsigned) >> by.view(unsigned)).view(a.dtype)


def fma(a: Array, b: Array, c: Array) -> Array:
    """a * b + c rounded once."""
    if a.dtype == float64.numpy:
        return np.asarray(_fma_of_floats(a, b, c), np.float64)
    # The product of two short floats is exact in float64. The sum is rounded to odd: its last bit is set where bits
    # were lost, so that rounding once more, to the short format, goes the right way (S. Boldo & G. Melquiond, 2008).
    product, addend = a.astype(np.float64) * b, c.astype(np.float64)
    total = product + addend
    from_addend = total - product
    error = (product - (total - from_addend)) + (addend - from_addend)
    lost = (error != 0) & np.isfinite(error) & np.isfinite(total)
    even = total.view(np.int64) & 1 == 0
    odd = np.nextafter(total, np.copysign(np.inf, error))
    return np.asarray(np.where(lost & even, odd, total)).astype(a.dtype)


def _system_fma() -> Callable[..., Any]:
    """The C library's fma, element by element."""
    function = ctypes.CDLL(None).fma
    function.argtypes, function.restype = [ctypes.c_double] * 3, ctypes.c_double
    return np.frompyfunc(function, 3, 1)


_fma_of_floats = _system_fma()

_OPERATIONS: dict[str, Callable[..., Array]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": _divide,
    "rem": _remainder,
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "shl": np.left_shift,
    "shr": np.right_shift,
    "ushr": _shift_unsigned,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "neg": np.negative,
    "abs": np.abs,
    "not": np.invert,
    "sqrt": np.sqrt,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round": np.rint,
    "copysign": np.copysign,
    "select": np.where,
    "fma": fma,
    "real": np.real,
    "imag": np.imag,
}
