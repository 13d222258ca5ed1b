"""The error function erf(x) = 2 / sqrt(pi) * integral of exp(-t^2) from 0 to x, and erfc = 1 - erf."""

from __future__ import annotations

from pellucid.dtypes import float32, float64
from pellucid.formula.coefficients import ERF_24, ERF_53, ERF_TAIL_24, ERFC_24, ERFC_53, ERFC_53_LOW, EXP_24
from pellucid.formula.exponential import reduce, scale, small_exp, small_expm1
from pellucid.formula.expr import Expr, const, copysign, fma, select, unary
from pellucid.formula.floats import at_most, fast_two_sum, format_of, polynomial, quotient, two_product

ERF = {float32: ERF_24, float64: ERF_53}
# erf(x) = x + x P(x^2) up to here.
ERF_NEAR = {float32: 0.921875, float64: 1.0}
# From here on erf rounds to one.
ERF_IS_ONE = 3.95
# Beyond, erfc is zero.
ERFC_IS_ZERO = {float32: 12.0, float64: 27.5}


def erf(x: Expr) -> Expr:
    """x + x P(x^2) near zero, else 1 - erfc(|x|); in float32, erfc(a) = exp(-a P(a))."""
    form = format_of(x)
    magnitude = unary("abs", x)
    near = fma(polynomial(x * x, ERF[x.dtype]), magnitude, magnitude)
    if x.dtype is float32:
        a = at_most(magnitude, ERF_IS_ONE)
        reduced = reduce(-a * polynomial(a, ERF_TAIL_24), form.bias)
        far = fma(-small_exp(reduced.r), form.exponent_field(reduced.field), 1.0)
    else:
        far = 1.0 - erfc_of_magnitude(x)
    return copysign(select(magnitude < ERF_NEAR[x.dtype], near, far), x)


def erfc(x: Expr) -> Expr:
    """1 - x - x P(x^2) for |x| < 3/4, with 1 - x as a pair; erfc(|x|) or 2 - erfc(|x|) outside."""
    if x.dtype is float32:
        return erfc_of_float32(x.cast(float64)).cast(float32)
    start, start_low = fast_two_sum(const(1.0, x.dtype), -x)
    near = start + fma(polynomial(x * x, ERF_53), -x, start_low)
    tail = erfc_of_magnitude(x)
    return select(unary("abs", x) < 0.75, near, select(x < 0.0, 2.0 - tail, tail))


def erfc_of_float32(x: Expr) -> Expr:
    """The same in float64 to 26 bits, where neither a^2 nor the quotient nor 2^n needs care."""
    near = 1.0 - fma(polynomial(x * x, ERF_24), x, x)
    a = at_most(unary("abs", x), ERFC_IS_ZERO[float32])
    reduced = reduce(-(a * a), format_of(x).bias)
    r = reduced.r
    power = fma(fma(polynomial(r, EXP_24), r, 1.0), r, 1.0) * format_of(x).exponent_field(reduced.field)
    # (a - 4) / (a + 4) and 1 / (1 + 2 a) with one division.
    inverse = 1.0 / ((a + 4.0) * fma(a, 2.0, 1.0))
    t = (a - 4.0) * (fma(a, 2.0, 1.0) * inverse)
    tail = power * polynomial(t, ERFC_24) * ((a + 4.0) * inverse)
    return select(unary("abs", x) < 0.5, near, select(x < 0.0, 2.0 - tail, tail))


def erfc_of_magnitude(x: Expr) -> Expr:
    """erfc(a) = exp(-a^2) P(t) / (1 + 2 a) with a = |x| and t = (a - 4) / (a + 4), which takes [0, inf) to [-1, 1).

    The mapping is that of M. Shepherd & J. Laframboise (Math. Comp. 36, 1981). a^2 is needed to more places than a
    float has, since the error of an exponent is the relative error of the power.
    """
    a = at_most(unary("abs", x), ERFC_IS_ZERO[float64])
    square, square_low = two_product(a, a)
    reduced = reduce(-square, 2 * format_of(x).bias)
    # The last step of Horner's rule keeps what it rounds away.
    t = (a - 4.0) / (a + 4.0)
    rest = polynomial(t, ERFC_53[1:])
    numerator = fma(rest, t, ERFC_53[0])
    numerator_low = fma(rest, t, ERFC_53[0] - numerator) + ERFC_53_LOW
    smooth, smooth_low = quotient((numerator, numerator_low), fast_two_sum(a + a, const(1.0, x.dtype)))
    # e^(r + c) - 1 = s + c + c s with s = e^r - 1; smooth + (e^r - 1) smooth rounds the large part once.
    small, c = small_expm1(reduced.r), reduced.r_error - square_low
    small = small + fma(c, small, c)
    return scale(smooth + fma(small, smooth, smooth_low), reduced.field)
