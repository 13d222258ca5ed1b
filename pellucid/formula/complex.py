"""Complex arithmetic in terms of real and imaginary parts (C99's rules, without its recovery of infinities)."""

from __future__ import annotations

from collections.abc import Callable
from math import log

from pellucid.dtypes import DType, float64
from pellucid.formula.expr import Expr, compare, const, copysign, maximum, minimum, node, select, unary

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
    """Both scaled by the larger part of the divisor, so that squares neither overflow nor vanish. By 0, each part of
    the dividend is divided."""
    largest = node("max", (unary("abs", b[0]), unary("abs", b[1])), b[0].dtype)
    zero = largest.equals(0.0)
    scale = select(zero, 1.0, largest)
    c, d = b[0] / scale, b[1] / scale
    norm = c * c + d * d
    re, im = a[0] / scale, a[1] / scale
    return (
        select(zero, a[0] / largest, (re * c + im * d) / norm),
        select(zero, a[1] / largest, (im * c - re * d) / norm),
    )


def exponential(a: Pair) -> Pair:
    size = unary("exp", a[0])
    real_line = a[1].equals(0.0)
    return size * unary("cos", a[1]), select(real_line, a[1], size * unary("sin", a[1]))


def logarithm(a: Pair) -> Pair:
    return unary("log", magnitude(a)), atan2(a[1], a[0])


def magnitude(a: Pair) -> Expr:
    return node("hypot", a, a[0].dtype)


def one_like(a: Pair) -> Pair:
    return const(1.0, a[0].dtype), const(0.0, a[0].dtype)


def plus(a: Pair, b: Pair) -> Pair:
    return a[0] + b[0], a[1] + b[1]


def minus(a: Pair, b: Pair) -> Pair:
    return a[0] - b[0], a[1] - b[1]


def scaled(a: Pair, factor: float) -> Pair:
    return a[0] * factor, a[1] * factor


def times_i(a: Pair) -> Pair:
    return -a[1], a[0]


def times_minus_i(a: Pair) -> Pair:
    return a[1], -a[0]


def square_root(a: Pair) -> Pair:
    """The root with a positive real part; the sign of the imaginary part stays."""
    x, y = a
    t = unary("sqrt", (unary("abs", x) + magnitude(a)) * 0.5)
    size = unary("abs", y)
    other = select(size.equals(float("inf")), size, size / select(t.equals(0.0), 1.0, t + t))
    right = x >= 0.0
    return select(right, t, other), copysign(select(right, other, t), y)


def inverse_root(a: Pair) -> Pair:
    return divide(one_like(a), square_root(a))


def logarithm_plus_1(a: Pair) -> Pair:
    x, y = a
    near = (unary("abs", x) < 0.5) & (unary("abs", y) < 0.5)
    far = unary("log", magnitude((x + 1.0, y)))
    return select(near, unary("log1p", x * (x + 2.0) + y * y) * 0.5, far), atan2(y, x + 1.0)


def exponential_minus_1(a: Pair) -> Pair:
    x, y = a
    half = unary("sin", y * 0.5)
    return unary("expm1", x) * unary("cos", y) - half * half * 2.0, unary("exp", x) * unary("sin", y)


def logistic(a: Pair) -> Pair:
    return divide(one_like(a), plus(one_like(a), exponential((-a[0], -a[1]))))


def sine(a: Pair) -> Pair:
    x, y = a
    return unary("sin", x) * unary("cosh", y), unary("cos", x) * unary("sinh", y)


def cosine(a: Pair) -> Pair:
    x, y = a
    return unary("cos", x) * unary("cosh", y), -(unary("sin", x) * unary("sinh", y))


def hyperbolic_sine(a: Pair) -> Pair:
    x, y = a
    return unary("sinh", x) * unary("cos", y), unary("cosh", x) * unary("sin", y)


def hyperbolic_cosine(a: Pair) -> Pair:
    x, y = a
    return unary("cosh", x) * unary("cos", y), unary("sinh", x) * unary("sin", y)


def hyperbolic_tangent(a: Pair) -> Pair:
    """Kahan's form; far out it is 1, so the square of sinh need not overflow."""
    far = 300.0 if a[0].dtype is float64 else 40.0
    x, t = maximum(minimum(a[0], far), -far), unary("tan", a[1])
    s, beta = unary("sinh", x), t * t + 1.0
    below = beta * s * s + 1.0
    return beta * unary("sqrt", s * s + 1.0) * s / below, t / below


def tangent(a: Pair) -> Pair:
    return times_minus_i(hyperbolic_tangent(times_i(a)))


def inverse_hyperbolic_tangent(a: Pair) -> Pair:
    """Computed on the right, where nothing cancels in the logarithm; the function is odd."""
    x, y = unary("abs", a[0]), a[1]
    left = 1.0 - x
    re = unary("log1p", x * 4.0 / (left * left + y * y)) * 0.25
    return copysign(re, a[0]), atan2(y * 2.0, left * (x + 1.0) - y * y) * 0.5


def inverse_tangent(a: Pair) -> Pair:
    return times_minus_i(inverse_hyperbolic_tangent(times_i(a)))


def _roots(a: Pair) -> tuple[Pair, Pair]:
    """Of ``1 - a`` and ``1 + a``; the sign of a zero imaginary part tells the side of the branch cut."""
    x, y = a
    return square_root((1.0 - x, -y)), square_root((x + 1.0, y))


def inverse_sine(a: Pair) -> Pair:
    p, q = _roots(a)
    return atan2(a[0], p[0] * q[0] - p[1] * q[1]), unary("asinh", p[0] * q[1] - p[1] * q[0])


def inverse_cosine(a: Pair) -> Pair:
    p, q = _roots(a)
    return atan2(p[0], q[0]) * 2.0, unary("asinh", q[0] * p[1] - q[1] * p[0])


def inverse_hyperbolic_sine(a: Pair) -> Pair:
    return times_minus_i(inverse_sine(times_i(a)))


def inverse_hyperbolic_cosine(a: Pair) -> Pair:
    x, y = a
    p, q = square_root((x - 1.0, y)), square_root((x + 1.0, y))
    return unary("asinh", p[0] * q[0] + p[1] * q[1]), atan2(p[1], q[0]) * 2.0


def power(a: Pair, b: Pair) -> Pair:
    """``exp(b log(a))`` in float64, since the logarithm is multiplied; 0 to the 0 is 1.

    0 to other powers is 0, NaN or infinite, as the real part of the power is positive, 0 or negative.
    """
    narrow = a[0].dtype
    a, b = (a[0].cast(float64), a[1].cast(float64)), (b[0].cast(float64), b[1].cast(float64))
    zero = a[0].equals(0.0) & a[1].equals(0.0)
    nothing = b[0].equals(0.0) & b[1].equals(0.0)
    safe = select(zero, 1.0, a[0]), a[1]
    re, im = exponential(multiply(b, logarithm(safe)))
    undefined, infinite = const(float("nan"), float64), const(float("inf"), float64)
    re = select(zero, select(b[0] > 0.0, 0.0, select(b[0] < 0.0, infinite, undefined)), re)
    im = select(zero, select(b[0] > 0.0, const(0.0, float64), undefined), im)
    return select(nothing, 1.0, re).cast(narrow), select(nothing, 0.0, im).cast(narrow)


def atan2(y: Expr, x: Expr) -> Expr:
    return node("atan2", (y, x), y.dtype)


_PAIRWISE: dict[str, Callable[..., Pair]] = {
    "add": plus,
    "sub": minus,
    "mul": multiply,
    "div": divide,
    "neg": lambda a: (-a[0], -a[1]),
    "conj": lambda a: (a[0], -a[1]),
    "reciprocal": lambda a: divide(one_like(a), a),
    "sqrt": square_root,
    "rsqrt": inverse_root,
    "exp": exponential,
    "exp2": lambda a: exponential(scaled(a, log(2.0))),
    "expm1": exponential_minus_1,
    "log": logarithm,
    "log2": lambda a: scaled(logarithm(a), 1.0 / log(2.0)),
    "log10": lambda a: scaled(logarithm(a), 1.0 / log(10.0)),
    "log1p": logarithm_plus_1,
    "sigmoid": logistic,
    "pow": power,
    "sin": sine,
    "cos": cosine,
    "tan": tangent,
    "sinh": hyperbolic_sine,
    "cosh": hyperbolic_cosine,
    "tanh": hyperbolic_tangent,
    "asin": inverse_sine,
    "acos": inverse_cosine,
    "atan": inverse_tangent,
    "asinh": inverse_hyperbolic_sine,
    "acosh": inverse_hyperbolic_cosine,
    "atanh": inverse_hyperbolic_tangent,
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
        return pair(part, const(0.0, part.dtype), target)
    if target.is_complex:
        return pair(real(a).cast(target.to_real()), imag(a).cast(target.to_real()), target)
    if target.kind == "b":
        return real(a).cast(target) | imag(a).cast(target)
    return real(a).cast(target)
