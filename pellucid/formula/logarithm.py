"""log and what is made of it: log2, log10, log1p, asinh, acosh, atanh.

x = 2^e m with m in [2/3, 4/3) for float32 and [sqrt(1/2), sqrt(2)) for float64, f = m - 1 (exact), log(x) = e log(2)
+ log(1 + f). In float32, log(1 + f) = f + f^2 P(f). In float64, where P would be long, the series of the inverse
hyperbolic tangent is shorter: with s = f / (2 + f) and z = s^2, log(1 + f) = 2 atanh(s) = f - s (f - 2 z P(z)).
Both come as f + tail(f), so that the large part f stays exact in what follows.
"""

from __future__ import annotations

from typing import NamedTuple

from pellucid.dtypes import float32, float64
from pellucid.formula.coefficients import ATANH_53, LOG_24
from pellucid.formula.expr import Expr, const, copysign, fma, select, unary
from pellucid.formula.floats import (
    INF,
    LN2,
    LOG2_E,
    LOG10_E,
    NAN,
    Format,
    Pair,
    constant_pair,
    fast_two_sum,
    format_of,
    polynomial,
    two_product,
)

# The bits of the least m.
LOWEST_MANTISSA = {float32: 0x3F2AAAAB, float64: 0x3FE6A09E667F3BCD}
# log10(2) as a number so short that its product with an exponent is exact, and the rest.
LOG10_2 = {
    float32: (0.30103302001953125, -3.0243555500547862e-06),
    float64: (0.30102999566395283, 2.8363394551044964e-14),
}
# From here on x^2 + 1 and x + 1 are x^2 and x.
HUGE = 2.0**60


class Split(NamedTuple):
    """x = 2^e (1 + f)."""

    e: Expr
    f: Expr


def exponent_bits(x: Expr, form: Format) -> Expr:
    """The exponent e of a normal number x, as an integer shifted into the place of the exponent field."""
    shifted = x.bitcast(form.integer) - LOWEST_MANTISSA[form.dtype]
    return shifted & -(1 << form.mantissa)


def split_normal(x: Expr) -> Split:
    form = format_of(x)
    bits = exponent_bits(x, form)
    m = (x.bitcast(form.integer) - bits).bitcast(form.dtype)
    return Split((bits >> form.mantissa).cast(form.dtype), m - 1.0)


def split(x: Expr) -> Split:
    """For x > 0; denormal numbers are made normal first."""
    form = format_of(x)
    denormal = x < form.smallest_normal
    lift = form.mantissa + 1
    e, f = split_normal(select(denormal, x * 2.0**lift, x))
    return Split(e - select(denormal, const(float(lift), form.dtype), const(0.0, form.dtype)), f)


def tail(f: Expr) -> Expr:
    """log(1 + f) - f."""
    if f.dtype is float32:
        return polynomial(f, LOG_24) * (f * f)
    s = f / (f + 2.0)
    z = s * s
    return -s * fma(polynomial(z, ATANH_53) * z, -2.0, f)


def log_special(x: Expr, result: Expr) -> Expr:
    """What every logarithm says outside 0 < x < inf."""
    result = select(x < INF, result, x)
    result = select(x < 0.0, NAN, result)
    return select(x.equals(0.0), -INF, result)


def log(x: Expr) -> Expr:
    e, f = split(x)
    high, low = constant_pair(LN2, x.dtype)
    return log_special(x, fma(e, high, f + fma(e, low, tail(f))))


def log2(x: Expr) -> Expr:
    e, f = split(x)
    return log_special(x, sum_of_parts(e, *times(f, LOG2_E)))


def log10(x: Expr) -> Expr:
    e, f = split(x)
    high, low = LOG10_2[x.dtype]
    f_high, f_low = times(f, LOG10_E)
    return log_special(x, sum_of_parts(e * high, f_high, fma(e, low, f_low)))


def times(f: Expr, factor: tuple[float, float]) -> Pair:
    """log(1 + f) times a constant."""
    high, low = constant_pair(factor, f.dtype)
    large, lost = two_product(f, high)
    return large, lost + fma(f, low, tail(f) * high)


def sum_of_parts(whole: Expr, large: Expr, small: Expr) -> Expr:
    """The sum, rounded once although the first two may cancel."""
    total, lost = fast_two_sum(whole, large)
    return total + (lost + small)


def log1p(x: Expr) -> Expr:
    result = log1p_finite(x)
    total = x + 1.0
    result = select(total.equals(0.0), -INF, select(total < 0.0, NAN, result))
    # Infinity stays, and so do the signed zeros and numbers so small that their square is nothing.
    small = unary("abs", x) < 2.0 ** -(format_of(x).mantissa + 2)
    return select(small, x, select(x < INF, result, x))


def log1p_finite(x: Expr, x_low: Expr | None = None) -> Expr:
    """log(1 + x + x_low) for finite x > -1, x_low being a correction to x.

    The exponent is that of the rounded sum 1 + x; but f = (1 + x) 2^-e - 1 = x 2^-e + (2^-e - 1) comes without
    rounding the sum, and what rounding takes from f is put into the result with the slope 1 / (1 + f) ~ 1 - f.
    """
    form = format_of(x)
    bits = exponent_bits(x + 1.0, form)
    # 4 * 2^-e is a normal number for every e.
    scale = (const((form.bias + 2) << form.mantissa, form.integer) - bits).bitcast(form.dtype)
    f4 = fma(x, scale, scale - 4.0)
    f4_low = fma(x, scale, (scale - 4.0) - f4)
    if x_low is not None:
        f4_low = fma(x_low, scale, f4_low)
    f, f_low = f4 * 0.25, f4_low * 0.25
    e = (bits >> form.mantissa).cast(form.dtype)
    high, low = constant_pair(LN2, x.dtype)
    return fma(e, high, f + (fma(e, low, tail(f)) + fma(-f, f_low, f_low)))


def asinh(x: Expr) -> Expr:
    """log(|x| + sqrt(x^2 + 1)) = log1p(|x| + x^2 / (1 + sqrt(x^2 + 1)))."""
    magnitude = unary("abs", x)
    huge = magnitude >= HUGE
    square = magnitude * magnitude
    extra = square / (unary("sqrt", square + 1.0) + 1.0)
    argument, low = fast_two_sum(magnitude, extra)
    result = log1p_finite(select(huge, magnitude, argument), select(huge, 0.0, low)) + select(
        huge, const(LN2[0], x.dtype), const(0.0, x.dtype)
    )
    small = magnitude < 2.0**-30
    return copysign(select(small, magnitude, select(magnitude < INF, result, magnitude)), x)


def acosh(x: Expr) -> Expr:
    """log(x + sqrt(x^2 - 1)) = log1p(d + sqrt(2 d + d^2)) with d = x - 1."""
    huge = x >= HUGE
    d = x - 1.0
    root = unary("sqrt", fma(d, d, d + d))
    argument, low = fast_two_sum(root, d)
    result = log1p_finite(select(huge, x, argument), select(huge, 0.0, low)) + select(
        huge, const(LN2[0], x.dtype), const(0.0, x.dtype)
    )
    return select(x < 1.0, NAN, select(x < INF, result, x))


def atanh(x: Expr) -> Expr:
    """x + x^3 P(x^2) up to 0.17, then log1p(2 |x| / (1 - |x|)) / 2."""
    magnitude = unary("abs", x)
    z = x * x
    near = fma(polynomial(z, ATANH_53) * z, magnitude, magnitude)
    far = log1p_finite((magnitude + magnitude) / (1.0 - magnitude)) * 0.5
    far = select(magnitude.equals(1.0), INF, select(magnitude > 1.0, NAN, far))
    return copysign(select(magnitude < 0.17, near, far), x)
