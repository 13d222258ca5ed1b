"""Powers: pow, hypot, rsqrt, reciprocal."""

from __future__ import annotations

from pellucid.dtypes import float32, float64
from pellucid.formula.coefficients import ATANH_24, ATANH_TAIL_53, EXP_24
from pellucid.formula.exponential import scale, small_expm1, whole_and_fraction
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
)
from pellucid.formula.logarithm import split, split_normal

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
    e, f = split_normal(a)
    s = f / (f + 2.0)
    z = s * s
    log2 = log2_special(a, fma(fma(polynomial(z, ATANH_24) * z, s, s), 2 * LOG2_E[0], e))
    exponent = select(log2.equals(0.0), 0.0, y.cast(float64) * log2)
    fraction, field = whole_and_fraction(at_most(at_least(exponent, -160.0), 140.0), 1023)
    r = fraction * LN2[0]
    value = fma(fma(polynomial(r, EXP_24), r, 1.0), r, 1.0)
    return (value * format_of(value).exponent_field(field)).cast(float32)


def log2_special(a: Expr, result: Expr) -> Expr:
    return select(a.equals(0.0), -INF, select(a.equals(INF), INF, result))


def pow_of_float64(x: Expr, y: Expr) -> Expr:
    """The logarithm as a pair: it is multiplied by up to 1075, and the product is needed to 2^-54."""
    a = unary("abs", x)
    log2, log2_low = log2_pair(a)
    log2 = log2_special(a, log2)
    product, error = two_product(y, log2)
    bound = 1100.0
    inside = unary("abs", product) < bound
    product = select(log2.equals(0.0), 0.0, at_most(at_least(product, -bound), bound))
    low = select(inside, fma(y, log2_low, error), 0.0)
    fraction, field = whole_and_fraction(product, 2 * 1023)
    r, c = multiply((fraction, low), constant_pair(LN2, float64))
    # e^(r + c) - 1 = s + c + c s with s = e^r - 1.
    small = small_expm1(r)
    return scale((small + fma(c, small, c)) + 1.0, field)


def log2_pair(a: Expr) -> Pair:
    """log2 of a > 0 to 66 bits: e + 2 log2(e) (s + s z / 3 + s z^2 P(z)), s = f / (2 + f), z = s^2, all as pairs."""
    e, f = split(a)
    s = quotient((f, const(0.0, float64)), fast_two_sum(const(2.0, float64), f))
    z = multiply(s, s)
    third, third_low = multiply(z, constant_pair(THIRD, float64))
    series = third, fma(polynomial(z[0], ATANH_TAIL_53), z[0] * z[0], third_low)
    term = multiply(s, series)
    high, low = fast_two_sum(s[0], term[0])
    twice = 2 * LOG2_E[0], 2 * LOG2_E[1]
    mantissa = multiply((high, low + (s[1] + term[1])), constant_pair(twice, float64))
    total, error = fast_two_sum(e, mantissa[0])
    return fast_two_sum(total, error + mantissa[1])
