"""sin, cos, tan.

The angle is reduced to x = (4 i + quadrant + turn) pi/2 with |turn| <= 1/2. For large x that takes many digits of
2/pi, but not all of them: those whose product with x is a multiple of four quarter turns do not count, and those
far behind are too small (M. Payne & R. Hanek, 1983). So for every range of exponents the digits that count are kept
as floats of 53 bits, one after the other, and the products with x are added up without loss. Small x takes the same
way, which costs less than evaluating two ways and choosing.

float32 is computed in float64: an x of 24 bits needs two floats of 2/pi and five ranges, one of 53 bits needs four.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache

from pellucid.dtypes import float64, int64
from pellucid.formula.coefficients import COS_24, COS_53, SIN_24, SIN_53
from pellucid.formula.expr import Expr, const, fma, select, table, unary
from pellucid.formula.floats import (
    PI_2,
    Pair,
    at_least,
    constant_pair,
    fast_two_sum,
    multiply,
    nearest,
    polynomial,
    quotient,
    two_product,
    two_sum,
)

# Ranges of exponents, by the exponent they begin with. A wider one would leave too few bits behind the point.
RANGES_24 = (0, 44, 65, 86, 107)
RANGE_53 = 16
RANGES_53 = tuple(range(-RANGE_53 // 2, 1024, RANGE_53))
# From this exponent on the digits for float64 would be denormal: they are held times SCALE, and x is divided by it.
SCALED = 520
SCALE = 2.0**400


@cache
def two_over_pi() -> Fraction:
    """2/pi to 1300 bits, by Machin's pi = 16 atan(1/5) - 4 atan(1/239) in integers."""
    one = 1 << 1320

    def atan_inverse(n: int) -> int:
        total = term = one // n
        k = 1
        while term:
            term //= -n * n
            k += 2
            total += term // k
        return total

    return Fraction(2 * one, 16 * atan_inverse(5) - 4 * atan_inverse(239))


@cache
def digits(bits: int, ranges: tuple[int, ...], pieces: int) -> tuple[tuple[float, ...], ...]:
    """Column k holds piece k of 2/pi for every range, for numbers x of ``bits`` bits."""
    columns: list[list[float]] = [[] for _ in range(pieces)]
    for start in ranges:
        # The last bit of x weighs at least 2^(start - bits + 1); times a multiple of ``whole`` it makes full turns.
        whole = Fraction(2) ** (2 - (start - bits + 1))
        rest = two_over_pi() % whole * (Fraction(SCALE) if start >= SCALED else 1)
        for column in columns:
            column.append(float(rest))
            rest -= Fraction(column[-1])
    return tuple(map(tuple, columns))


def turns_of_float32(x: Expr) -> tuple[Expr, Expr]:
    """turn and quadrant (an int64 whose low bits count) of a float64 that holds a float32."""
    size = unary("abs", x)
    first, second = (const(column[-1], float64) for column in digits(24, RANGES_24, 2))
    for k in reversed(range(1, len(RANGES_24))):
        below = size < 2.0 ** RANGES_24[k]
        first, second = (
            select(below, column[k - 1], piece)
            for column, piece in zip(digits(24, RANGES_24, 2), (first, second), strict=True)
        )
    product, error = two_product(x, first)
    whole, quadrant = nearest(product)
    return fma(x, second, (product - whole) + error), quadrant


def turns_of_float64(x: Expr) -> tuple[Pair, Expr]:
    """The same for a float64, turn as a pair."""
    size = unary("abs", x)
    # The exponent field, counted from the first range on; that of infinity and NaN is still in the last one.
    row = (at_least(size, 1.0).bitcast(int64) - ((1023 + RANGES_53[0]) << 52)) >> 56
    c0, c1, c2, c3 = (table(column, float64, row) for column in digits(53, RANGES_53, 4))
    x = select(size < 2.0**SCALED, x, x * (1 / SCALE))
    p0, e0 = two_product(x, c0)
    p1, e1 = two_product(x, c1)
    p2, e2 = two_product(x, c2)
    start, start_low = fast_two_sum(without_turns(p0), without_turns(e0))
    total, total_low = two_sum(start, p1)
    whole, quadrant = nearest(total)
    rest, low_a = two_sum(total_low, e1)
    rest, low_b = two_sum(rest, p2)
    low = fma(x, c3, ((low_a + low_b) + (e2 + start_low)))
    turn, turn_low = two_sum(total - whole, rest)
    return fast_two_sum(turn, turn_low + low), quadrant


def without_turns(a: Expr) -> Expr:
    """a less a multiple of four, at most two in size; exact."""
    return fma(unary("round", a * 0.25), -4.0, a)


def sin_cos_of_float32(x: Expr) -> tuple[Expr, Expr, Expr]:
    """sin and cos of the reduced angle to 28 bits, and the quadrant."""
    turn, quadrant = turns_of_float32(x)
    r = turn * PI_2[0]
    z = r * r
    sine = fma(polynomial(z, SIN_24) * z, r, r)
    cosine = fma(polynomial(z, COS_24), z * z, fma(z, -0.5, 1.0))
    return sine, cosine, quadrant


def sin_cos_of_float64(x: Expr) -> tuple[Pair, Pair, Expr]:
    """The same as pairs."""
    turn, quadrant = turns_of_float64(x)
    return *sin_cos_of_turn(turn), quadrant


def sin_cos_of_turn(turn: Pair) -> tuple[Pair, Pair]:
    """sin and cos of turn pi/2: sin(r + c) = r + ((sin(r) - r) + c cos(r)), cos(r + c) = cos(r) - c sin(r)."""
    r, c = multiply(turn, constant_pair(PI_2, float64))
    z = r * r
    half = z * 0.5
    sine = fast_two_sum(r, fma(polynomial(z, SIN_53) * z, r, fma(c, -half, c)))
    large = 1.0 - half
    rest = ((1.0 - large) - half) + fma(polynomial(z, COS_53), z * z, -(r * c))
    return sine, fast_two_sum(large, rest)


def sin_cos(x: Expr) -> tuple[Expr, Expr, Expr]:
    if x.dtype is float64:
        sine, cosine, quadrant = sin_cos_of_float64(x)
        return sine[0], cosine[0], quadrant
    return sin_cos_of_float32(x.cast(float64))


def odd_quadrant(quadrant: Expr) -> Expr:
    return (quadrant & 1).differs(0)


def negative_half(value: Expr, quadrant: Expr) -> Expr:
    """value with its sign changed in quadrants 2 and 3."""
    sign = (quadrant & 2) << 62
    return (value.bitcast(int64) ^ sign).bitcast(float64)


def with_tiny(x: Expr, result: Expr) -> Expr:
    """What is as small as that stays as it is: signed zeros, and digits that the reduction would lose."""
    return select(unary("abs", x) < 2.0**-28, x, result.cast(x.dtype))


def sin(x: Expr) -> Expr:
    sine, cosine, quadrant = sin_cos(x)
    return with_tiny(x, negative_half(select(odd_quadrant(quadrant), cosine, sine), quadrant))


def cos(x: Expr) -> Expr:
    sine, cosine, quadrant = sin_cos(x)
    value = select(odd_quadrant(quadrant), sine, cosine)
    return negative_half(value, quadrant + 1).cast(x.dtype)


def tan(x: Expr) -> Expr:
    """sin / cos in even quadrants, -cos / sin in odd ones."""
    if x.dtype is not float64:
        sine, cosine, quadrant = sin_cos(x)
        odd = odd_quadrant(quadrant)
        return with_tiny(x, select(odd, -cosine, sine) / select(odd, sine, cosine))
    s, c, quadrant = sin_cos_of_float64(x)
    odd = odd_quadrant(quadrant)
    above = select(odd, -c[0], s[0]), select(odd, -c[1], s[1])
    below = select(odd, s[0], c[0]), select(odd, s[1], c[1])
    high, low = quotient(above, below)
    return with_tiny(x, high + low)
