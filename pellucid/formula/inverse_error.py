"""The inverses of the error function and of the normal distribution (float64): a close guess, then steps of
Halley's method."""

from __future__ import annotations

from math import pi, sqrt

from pellucid.formula.expr import Expr, copysign, select, unary

# Winitzki's guess is off by at most 2e-3; each step triples the number of right digits.
GUESS = 0.147
STEPS = 3


def erfinv(x: Expr) -> Expr:
    """``y`` with ``erf(y) = x``; infinite at -1 and 1, NaN beyond."""
    a = unary("abs", x)
    return copysign(_inverse(a, 1.0 - a), x)


def ndtri(p: Expr) -> Expr:
    """The number that a standard normal one is below with the chance ``p``; it is exact for the smallest chances."""
    left = p < 0.5
    rest = select(left, p, 1.0 - p) * 2.0
    y = _inverse(1.0 - rest, rest) * sqrt(2.0)
    return select(left, -y, y)


def _inverse(a: Expr, rest: Expr) -> Expr:
    """Of ``a`` in [0, 1], given ``rest = 1 - a`` as well: near 1 that is what is known exactly."""
    log = unary("log", rest * (2.0 - rest))
    t = log * 0.5 + 2.0 / (pi * GUESS)
    y = unary("sqrt", unary("sqrt", t * t - log * (1.0 / GUESS)) - t)
    for _ in range(STEPS):
        missed = select(a < 0.5, unary("erf", y) - a, rest - unary("erfc", y))
        step = missed * unary("exp", y * y) * (sqrt(pi) / 2.0)
        y = y - step / (y * step + 1.0)
    return select(rest.equals(0.0), float("inf"), y)
