"""atan, atan2, asin, acos (float64; float32 is computed there)."""

from __future__ import annotations

from pellucid.formula.coefficients import ASIN_53, ATAN_53
from pellucid.formula.expr import Expr, const, copysign, fma, is_nan, select, unary
from pellucid.formula.floats import INF, PI_2, at_most, fast_two_sum, polynomial, quotient

TAN_PI_8 = 0.41421356237309503
PI_4 = (PI_2[0] / 2, PI_2[1] / 2)


def atan(x: Expr) -> Expr:
    # Beyond 2^60 the result is pi/2.
    a = at_most(unary("abs", x), 2.0**60)
    return copysign(angle(a, const(1.0, x.dtype)), x)


def atan2(y: Expr, x: Expr) -> Expr:
    """The angle of the point (x, y), with C99's answers for zeros and infinities."""
    a, b = unary("abs", x), unary("abs", y)
    a_infinite, b_infinite = a.equals(INF), b.equals(INF)
    # An infinity is 1 where everything finite is 0; two zeros lie on the axis.
    a, b = (
        select(a_infinite, 1.0, select(b_infinite, 0.0, a)),
        select(b_infinite, 1.0, select(a_infinite, 0.0, b)),
    )
    a = select(a.equals(0.0) & b.equals(0.0), 1.0, a)
    # Sums must be finite, and so must the inverse of the larger coordinate.
    largest = select(a < b, b, a)
    scale = select(largest > 2.0**1000, const(2.0**-4, x.dtype), const(1.0, x.dtype))
    scale = select(largest < 2.0**-900, 2.0**100, scale)
    result = copysign(angle(b * scale, a * scale, negative(x)), y)
    return select(is_nan(x), x, select(is_nan(y), y, result))


def negative(x: Expr) -> Expr:
    """The sign bit: true for -0 too."""
    return copysign(const(1.0, x.dtype), x) < 0.0


def angle(y: Expr, x: Expr, left: Expr | None = None) -> Expr:
    """The angle of the point (x, y) with x, y >= 0; of (-x, y) where ``left`` holds.

    With q <= 1 the smaller coordinate by the larger one, the angle is m pi/4 +- atan(q), m = 0, 2 or 4. If q >
    tan(pi/8), atan(q) = pi/4 + atan((q - 1) / (q + 1)), so that the polynomial sees at most tan(pi/8).
    """
    steep = y > x
    least, most = select(steep, x, y), select(steep, y, x)
    far = least > most * TAN_PI_8
    above = fast_two_sum(most, -least)
    below = fast_two_sum(most, least)
    zero = const(0.0, x.dtype)
    top = select(far, -above[0], least), select(far, -above[1], zero)
    bottom = select(far, below[0], most), select(far, below[1], zero)
    q, q_low = quotient(top, bottom)
    z = q * q
    rest = fma(polynomial(z, ATAN_53) * z, q, fma(q_low, -z, q_low))
    # m counts quarters of pi: first from the nearer axis, then from the positive x axis.
    m = select(far, const(1.0, x.dtype), zero)
    flip = steep if left is None else steep.differs(left)
    axis = zero if left is None else select(left, const(4.0, x.dtype), zero)
    base = select(steep, const(2.0, x.dtype), axis)
    m = select(flip, base - m, base + m)
    sign = select(flip, const(-1.0, x.dtype), const(1.0, x.dtype))
    high, low = fast_two_sum(m * PI_4[0], sign * q)
    return high + (low + fma(sign, rest, m * PI_4[1]))


def asin(x: Expr) -> Expr:
    """a + a^3 P(a^2) for a = |x| up to 1/2, then pi/2 - 2 asin(sqrt((1 - a) / 2))."""
    far, root, root_low, rest = half_angle(x)
    low = PI_2[1] - 2.0 * (root_low + rest)
    high, high_low = fast_two_sum(const(PI_2[0], x.dtype), root * -2.0)
    return copysign(select(far, high + (high_low + low), root + rest), x)


def acos(x: Expr) -> Expr:
    """pi/2 - asin(x) for |x| up to 1/2, then 2 asin(sqrt((1 - x) / 2)), and pi less that of -x for negative x."""
    far, root, root_low, rest = half_angle(x)
    negative_x = x < 0.0
    twice, twice_low = root * 2.0, 2.0 * (root_low + rest)
    high, low = fast_two_sum(const(2 * PI_2[0], x.dtype), -twice)
    left = high + (low + (2 * PI_2[1] - twice_low))
    high, low = fast_two_sum(const(PI_2[0], x.dtype), -copysign(root, x))
    near = high + (low + (PI_2[1] - copysign(rest, x)))
    return select(far, select(negative_x, left, twice + twice_low), near)


def half_angle(x: Expr) -> tuple[Expr, Expr, Expr, Expr]:
    """Whether |x| > 1/2; s = |x| or sqrt((1 - |x|) / 2); what rounding took from the root; and asin(s) - s."""
    a = unary("abs", x)
    far = a > 0.5
    square = select(far, fma(a, -0.5, 0.5), a * a)
    s = select(far, unary("sqrt", square), a)
    low = select(far & (s > 0.0), fma(-s, s, square) / (s + s), 0.0)
    return far, s, low, polynomial(square, ASIN_53) * square * s
