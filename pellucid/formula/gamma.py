"""lgamma, the logarithm of |gamma(x)|, and digamma, its derivative (float64; float32 is computed there).

From 8 on: Stirling's series, its tail made minimax. Below, gamma(x + 1) = x gamma(x) leads to an interval on which a
polynomial times the distance from the function's zero keeps the relative error small. Negative numbers are reflected:
gamma(x) gamma(1 - x) = pi / sin(pi x). Near the zeros on the negative side the absolute error is small, but not the
relative one.
"""

from __future__ import annotations

from pellucid.formula.coefficients import DIGAMMA_53, DIGAMMA_TAIL_53, LGAMMA_53, STIRLING_53
from pellucid.formula.expr import Expr, const, fma, select, unary
from pellucid.formula.floats import INF, NAN, polynomial
from pellucid.formula.logarithm import log
from pellucid.formula.trigonometric import sin_cos_of_turn

PI = 3.141592653589793
HALF_LOG_2_PI = 0.9189385332046728
# Stirling's series takes over here; fewer than STEPS steps down lead from there to the polynomials.
LARGE = 8.0
STEPS = 7
# digamma is zero here.
ZERO = (1.4616321449683622, 9.549995429965697e-17)
TINY = 2.0**-60


def lgamma(x: Expr) -> Expr:
    a = unary("abs", x)
    positive = lgamma_of_positive(a)
    sine, _ = half_turns(x)
    # |gamma(x)| = pi / (|sin(pi x)| |x| gamma(|x|)); next to zero |gamma(x)| = 1 / |x| on both sides.
    reflected = log(PI / (unary("abs", sine) * a)) - positive
    result = select(x < -TINY, reflected, positive)
    return select(a.equals(INF), INF, select(x < -(2.0**52), INF, result))


def lgamma_of_positive(x: Expr) -> Expr:
    """log(gamma(x)): t P(t) + log(product) with t = y - 2 and gamma(x) = gamma(y) product."""
    one = const(1.0, x.dtype)
    y, product = x, one
    for _ in range(STEPS - 1):
        again = y >= 2.5
        y = select(again, y - 1.0, y)
        product = product * select(again, y, one)
    # Below 3/2 one step up, below 1/2 two; t is exact because it is not computed from y.
    up, up_twice = x < 1.5, x < 0.5
    t = select(up_twice, x, select(up, x - 1.0, y - 2.0))
    divisor = select(up_twice, x * (x + 1.0), x)
    logarithm = log(select(x >= LARGE, x, select(up, divisor, product)))
    near = t * polynomial(t, LGAMMA_53) + select(up, -logarithm, logarithm)
    inverse = 1.0 / x
    tail = fma(polynomial(inverse * inverse, STIRLING_53), inverse, HALF_LOG_2_PI - 0.5)
    far = fma(x - 0.5, logarithm - 1.0, tail)
    return select(x >= LARGE, far, near)


def digamma(x: Expr) -> Expr:
    """Of -0 and 0: inf and -inf; of other whole numbers below: NaN."""
    negative = x < 0.0
    direct = digamma_of_positive(select(negative, 1.0 - x, x))
    sine, cosine = half_turns(x)
    whole = unary("floor", x).equals(x) | (x < -(2.0**52))
    reflected = direct - PI * (cosine / sine)
    result = select(negative, select(whole, NAN, reflected), direct)
    return select(x.equals(0.0), -1.0 / x, select(x < INF, result, x))


def digamma_of_positive(x: Expr) -> Expr:
    """(y - zero) P(y - 3/2) + rest with y in [1, 2], digamma(x) = digamma(y) + rest; rest is one fraction."""
    one, zero = const(1.0, x.dtype), const(0.0, x.dtype)
    low = x < 1.0
    # digamma(x + 1) = digamma(x) + 1 / x: the sum of such fractions is above / below.
    y, above, below = select(low, x + 1.0, x), select(low, -one, zero), select(low, x, one)
    for _ in range(STEPS - 1):
        again = y >= 2.0
        y = select(again, y - 1.0, y)
        above = select(again, fma(above, y, below), above)
        below = select(again, below * y, below)
    near = ((y - ZERO[0]) - ZERO[1]) * polynomial(y - 1.5, DIGAMMA_53) + above / below
    inverse = 1.0 / x
    z = inverse * inverse
    far = log(x) - fma(polynomial(z, DIGAMMA_TAIL_53), z, inverse * 0.5)
    return select(x >= LARGE, far, near)


def half_turns(x: Expr) -> tuple[Expr, Expr]:
    """sin(pi x) and cos(pi x) up to a common sign, from 2 x = whole + turn."""
    doubled = x + x
    whole = unary("round", doubled)
    (sine, _), (cosine, _) = sin_cos_of_turn((doubled - whole, const(0.0, x.dtype)))
    half = whole * 0.5
    odd = unary("floor", half).differs(half)
    return select(odd, cosine, sine), select(odd, -sine, cosine)
