"""Complex arithmetic in terms of real and imaginary parts (C99's rules, without its recovery of infinities)."""

from __future__ import annotations

from collections.abc import Callable

from pellucid.dtypes import DType
from pellucid.formula.expr import Expr, compare, node, select, unary

Pair = tuple[Expr, Expr]


def real(e: Expr) -> Expr:
    if e.op == "complex":
        return e.args[0]
    return node("real", (e,), e.dtype.to_real()) if e.dtype.is_complex else e


def imag(e: Expr) -> Expr:
    if e.op == "complex":
        return e.args[1]
    return node("imag", (e,), e.dtype.to_real())


def pair(re: Expr, im: Expr, dtype: DType) -> Expr:
    return node("complex", (re, im), dtype)


def multiply(a: Pair, b: Pair) -> Pair:
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def divide(a: Pair, b: Pair) -> Pair:
    """Both scaled by the larger part of the divisor, so that squares neither overflow nor vanish."""
    largest = node("max", (unary("abs", b[0]), unary("abs", b[1])), b[0].dtype)
    scale = select(largest.equals(0.0), 1.0, largest)
    c, d = b[0] / scale, b[1] / scale
    norm = c * c + d * d
    re, im = a[0] / scale, a[1] / scale
    return (re * c + im * d) / norm, (im * c - re * d) / norm


def exponential(a: Pair) -> Pair:
    size = unary("exp", a[0])
    real_line = a[1].equals(0.0)
    return size * unary("cos", a[1]), select(real_line, a[1], size * unary("sin", a[1]))


def logarithm(a: Pair) -> Pair:
    return unary("log", magnitude(a)), node("atan2", (a[1], a[0]), a[0].dtype)


def magnitude(a: Pair) -> Expr:
    return node("hypot", a, a[0].dtype)


_PAIRWISE: dict[str, Callable[..., Pair]] = {
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "sub": lambda a, b: (a[0] - b[0], a[1] - b[1]),
    "mul": multiply,
    "div": divide,
    "neg": lambda a: (-a[0], -a[1]),
    "conj": lambda a: (a[0], -a[1]),
    "exp": exponential,
    "log": logarithm,
    "reciprocal": lambda a: divide((a[0] * 0.0 + 1.0, a[0] * 0.0), a),
}


def expand(e: Expr) -> Expr:
    """A node with complex operands or result, by parts."""
    if e.op in ("real", "imag") and e.args[0].op == "complex":
        return e.args[0].args[0 if e.op == "real" else 1]
    if e.op in ("real", "imag", "complex"):
        return e
    if e.op == "cast":
        return _cast(e.args[0], e.dtype)
    if e.op == "select":
        condition, a, b = e.args
        parts = select(condition, real(a), real(b)), select(condition, imag(a), imag(b))
        return pair(*parts, e.dtype)
    pairs = [(real(a), imag(a)) for a in e.args]
    if e.op == "eq":
        return compare("eq", pairs[0][0], pairs[1][0]) & compare("eq", pairs[0][1], pairs[1][1])
    if e.op == "ne":
        return compare("ne", pairs[0][0], pairs[1][0]) | compare("ne", pairs[0][1], pairs[1][1])
    if e.op == "abs":
        return magnitude(pairs[0])
    rule = _PAIRWISE.get(e.op)
    if rule is None:
        raise NotImplementedError(f"{e.op}: not defined for {e.args[0].dtype} in Pellucid")
    return pair(*rule(*pairs), e.dtype)


def _cast(a: Expr, target: DType) -> Expr:
    if not a.dtype.is_complex:
        part = a.cast(target.to_real())
        return pair(part, part * 0.0, target)
    if target.is_complex:
        return pair(real(a).cast(target.to_real()), imag(a).cast(target.to_real()), target)
    if target.kind == "b":
        return real(a).cast(target) | imag(a).cast(target)
    return real(a).cast(target)
