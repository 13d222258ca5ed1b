"""exp and what is made of it: exp2, expm1, sinh, cosh, tanh, sigmoid.

x = n log(2) + r with |r| <= log(2) / 2 (W. Cody & W. Waite, 1980: log(2) as a sum of two floats makes r exact to the
last bit), e^x = 2^n e^r, and e^r = 1 + r + r^2 P(r) with a minimax polynomial P.
"""

from __future__ import annotations

from typing import NamedTuple

from pellucid.dtypes import float32, float64
from pellucid.formula.coefficients import EXP_24, EXP_53, SINH_53, TANH_24, TANH_53
from pellucid.formula.expr import Expr, const, copysign, fma, select, unary
from pellucid.formula.floats import LN2, at_least, at_most, fast_two_sum, format_of, polynomial

EXP = {float32: EXP_24, float64: EXP_53}
TANH = {float32: TANH_24, float64: TANH_53}
# Below and above these e^x rounds to zero and to infinity.
LOWEST = {float32: -104.0, float64: -746.0}
HIGHEST = {float32: 89.0, float64: 710.0}
# From here on tanh rounds to one; from minus twice this on, expm1 rounds to minus one.
TANH_IS_ONE = {float32: 9.1, float64: 20.0}


class Reduced(NamedTuple):
    """x = n log(2) + r; ``field`` is an integer with n + offset in its low bits."""

    n: Expr
    r: Expr
    r_error: Expr
    field: Expr


def reduce(x: Expr, offset: int) -> Reduced:
    """n = round(x / log(2)) and r + r_error = x - n log(2)."""
    form = format_of(x)
    high, low = form.split(LN2)
    magic = form.magic + offset
    shifted = fma(x, 1 / LN2[0], magic)
    n = shifted - magic
    first = fma(n, -high, x)  # exact: the leading bits cancel
    r = fma(n, -low, first)
    return Reduced(n, r, fma(n, -low, first - r), shifted.bitcast(form.integer))


def small_exp(r: Expr) -> Expr:
    """e^r for |r| <= log(2) / 2."""
    return fma(fma(polynomial(r, EXP[r.dtype]), r, 1.0), r, 1.0)


def small_expm1(r: Expr) -> Expr:
    """e^r - 1 for |r| <= log(2) / 2."""
    return fma(polynomial(r, EXP[r.dtype]), r * r, r)


def scale(value: Expr, field: Expr) -> Expr:
    """value * 2^n, where ``field`` holds n + 2 bias in its low bits.

    2^n in two factors, so that neither over- nor underflows before the product does; the last one rounds, once.
    """
    form = format_of(value)
    half = field >> 1
    return value * form.exponent_field(half) * form.exponent_field(field - half)


def exp_bounded(x: Expr, halved: bool = False) -> Expr:
    """e^x, or e^x / 2, for x that is neither far below LOWEST nor far above HIGHEST."""
    reduced = reduce(x, 2 * format_of(x).bias - halved)
    return scale(small_exp(reduced.r), reduced.field)


def exp(x: Expr) -> Expr:
    return exp_bounded(at_most(at_least(x, LOWEST[x.dtype]), HIGHEST[x.dtype]))


def exp2(x: Expr) -> Expr:
    """2^x = 2^n e^(r log(2)) with n = round(x), r = x - n, which is exact."""
    x = at_most(at_least(x, LOWEST[x.dtype] / LN2[0] - 1), HIGHEST[x.dtype] / LN2[0])
    fraction, field = whole_and_fraction(x, 2 * format_of(x).bias)
    return scale(small_exp(fraction * LN2[0]), field)


def whole_and_fraction(x: Expr, offset: int) -> tuple[Expr, Expr]:
    """x - n with n = round(x), and an integer with n + offset in its low bits."""
    form = format_of(x)
    shifted = x + (form.magic + offset)
    return x - (shifted - (form.magic + offset)), shifted.bitcast(form.integer)


def expm1(x: Expr) -> Expr:
    """e^x - 1 = (2^n - 1 + 2^n r) + 2^n (e^r - 1 - r), computed as twice its half: n may be one too large for 2^n."""
    form = format_of(x)
    reduced = reduce(at_most(at_least(x, -2 * TANH_IS_ONE[x.dtype]), HIGHEST[x.dtype]), form.bias - 1)
    r = reduced.r
    power = form.exponent_field(reduced.field)
    # Near n = 1 the first part cancels, exactly; so what it has lost of r counts.
    rest = fma(polynomial(r, EXP[x.dtype]), r * r, reduced.r_error)
    half = fma(rest, power, fma(r, power, power - 0.5))
    return copysign(half + half, x)


def half_exp_of_magnitude(x: Expr) -> Expr:
    """e^|x| / 2: finite as far as sinh and cosh are."""
    return exp_bounded(at_most(unary("abs", x), HIGHEST[x.dtype] + 1), halved=True)


def sinh(x: Expr) -> Expr:
    """x + x^3 P(x^2) up to 1, then h - 1 / (4 h) with h = e^|x| / 2."""
    magnitude = unary("abs", x)
    z = x * x
    near = fma(polynomial(z, SINH_53) * z, magnitude, magnitude)
    half = half_exp_of_magnitude(x)
    return copysign(select(magnitude < 1.0, near, half - 0.25 / half), x)


def cosh(x: Expr) -> Expr:
    """h + 1 / (4 h) with h = e^|x| / 2."""
    half = half_exp_of_magnitude(x)
    return half + 0.25 / half


def tanh(x: Expr) -> Expr:
    """x + x^3 P(x^2) up to 5/8, then 1 - 2 / (e^2|x| + 1)."""
    form = format_of(x)
    magnitude = unary("abs", x)
    z = x * x
    near = fma(polynomial(z, TANH[x.dtype]) * z, magnitude, magnitude)
    bounded = at_most(magnitude, TANH_IS_ONE[x.dtype])
    reduced = reduce(bounded + bounded, form.bias)
    power = form.exponent_field(reduced.field)
    far = 1.0 - 2.0 / fma(small_expm1(reduced.r), power, power + 1.0)
    return copysign(select(magnitude < 0.625, near, far), x)


def sigmoid(x: Expr) -> Expr:
    """1 / (1 + e^-x) = 2^-k / (2^-k + 2^(n-k) (1 + s)) with e^-x = 2^n (1 + s).

    2^-k keeps 2^n finite down to where the result is the smallest denormal number. The quotient q = 2^-k / d is
    mended by what it leaves, (2^-k - q d) / d with 1 / d = q 2^k, d being a pair.
    """
    form = format_of(x)
    k = form.mantissa + 1
    reduced = reduce(-at_most(at_least(x, LOWEST[x.dtype]), 2 * TANH_IS_ONE[x.dtype]), form.bias - k)
    power = form.exponent_field(reduced.field)
    numerator = const(2.0**-k, x.dtype)
    total, lost = fast_two_sum(power, numerator)
    d, d_low = fast_two_sum(total, fma(small_expm1(reduced.r), power, lost))
    q = numerator / d
    left = fma(-q, d_low, fma(-q, d, numerator))
    return fma(left, q * 2.0**k, q)
