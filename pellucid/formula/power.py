"""Powers: pow, hypot, rsqrt, reciprocal."""

from __future__ import annotations

from pellucid.dtypes import float32, float64, int64
from pellucid.formula.coefficients import ATANH_24, ATANH_TAIL_53, EXP_24
from pellucid.formula.exponential import reduce_binary, scale, small_expm1
from pellucid.formula.expr import Expr, const, copysign, fma, is_nan, select, unary
from pellucid.formula.floats import (
    INF,
    LN2,
    LOG2_E,
    NAN,
    Pair,
    at_least,
    at_most,
    constant_pair,
    fast_two_sum,
    format_of,
    multiply,
    polynomial,
    quotient,
    two_product,
    two_sum,
)
from pellucid.formula.logarithm import split

THIRD = (0.3333333333333333, 1.850371707708594e-17)


def reciprocal(x: Expr) -> Expr:
    return 1.0 / x


def rsqrt(x: Expr) -> Expr:
    """1 / sqrt(x)."""
    return 1.0 / unary("sqrt", x)


def hypot(x: Expr, y: Expr) -> Expr:
    """sqrt(x^2 + y^2) for float64, scaled by a power of two so that squares stay in range; infinity beats NaN."""
    a, b = unary("abs", x), unary("abs", y)
    large, small = select(a < b, b, a), select(a < b, a, b)
    one = const(1.0, x.dtype)
    shrink = select(large > 2.0**500, const(2.0**-600, x.dtype), select(large < 2.0**-500, 2.0**600, one))
    grow = select(large > 2.0**500, const(2.0**600, x.dtype), select(large < 2.0**-500, 2.0**-600, one))
    large, small = large * shrink, small * shrink
    result = unary("sqrt", fma(large, large, small * small)) * grow
    return select(a.equals(INF) | b.equals(INF), INF, result)


def pow(x: Expr, y: Expr) -> Expr:
    """|x|^y = 2^(y log2 |x|), with C99's answers for signs, zeros, ones and infinities."""
    magnitude = pow_of_float64(x, y) if x.dtype is float64 else pow_of_float32(x, y)
    whole = unary("floor", y).equals(y)
    half = y * 0.5
    odd = whole & unary("floor", half).differs(half)
    result = select(odd, copysign(magnitude, x), magnitude)
    result = select((x < 0.0) & (x > -INF) & whole.equals(False), NAN, result)
    result = select(is_nan(x), x, select(is_nan(y), y, result))
    return select(x.equals(1.0) | y.equals(0.0), 1.0, result)


def pow_of_float32(x: Expr, y: Expr) -> Expr:
    """In float64, log2 to 36 bits: it is multiplied by up to 150 and the power is needed to 25."""
    a = unary("abs", x).cast(float64)
    e, f = split(a)
    s = f / (f + 2.0)
    z = s * s
    log2 = fma(fma(polynomial(z, ATANH_24) * z, s, s), 2 * LOG2_E[0], e)
    exponent = exponent_of_power(a, y.cast(float64), log2)
    n, r = binary_parts(at_most(at_least(exponent, -160.0), 140.0))
