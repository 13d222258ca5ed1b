"""The inverse of the error function: a close guess, then two steps of Halley's method (float64)."""

from __future__ import annotations

from math import pi, sqrt

from pellucid.formula.expr import Expr, copysign, select, unary

# Winitzki's guess is off by at most 2e-3; each step triples the number of right digits.
GUESS = 0.147
STEPS = 2


def erfinv(x: Expr) -> Expr:
    """``y`` with ``erf(y) = x``; infinite at -1 and 1, NaN beyond."""
    a = unary("abs", x)
    rest = 1.0 - a
    log = unary("log", rest * (a + 1.0))
    t = log * 0.5 + 2.0 / (pi * GUESS)
    y = unary("sqrt", unary("sqrt", t * t - log * (1.0 / GUESS)) - t)
    for _ in range(STEPS):
        # Near 1 the distance from 1 is what is known exactly.
        missed = select(a < 0.5, unary("erf", y) - a, rest - unary("erfc", y))
        step = missed * unary("exp", y * y) * (sqrt(pi) / 2.0)
        y = y - step / (y * step + 1.0)
    return copysign(select(a.equals(1.0), float("inf"), y), x)
