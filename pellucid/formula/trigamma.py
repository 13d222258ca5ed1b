"""The derivative of digamma (float64).

From ``LARGE`` on an asymptotic series; below, trigamma(x) = 1 / x^2 + trigamma(x + 1) leads there. Numbers left of 1/2
are reflected: trigamma(x) + trigamma(1 - x) = (pi / sin(pi x))^2.
"""

from __future__ import annotations

from math import pi

from pellucid.formula.expr import Expr, const, select, unary

LARGE = 12
# Bernoulli's numbers B2, B4, ...
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730)


def trigamma(x: Expr) -> Expr:
    left = x < 0.5
    right = trigamma_of_positive(select(left, 1.0 - x, x))
    # The sine of pi times the distance from the nearest whole number: no digits are lost far out.
    near = x - unary("round", x)
    ratio = pi / unary("sin", near * pi)
    return select(left, ratio * ratio - right, right)


def trigamma_of_positive(x: Expr) -> Expr:
    y, total = x, const(0.0, x.dtype)
    for _ in range(LARGE):
        below = y < float(LARGE)
        total = total + select(below, 1.0 / (y * y), 0.0)
        y = select(below, y + 1.0, y)
    inverse = 1.0 / y
    square = inverse * inverse
    tail = const(0.0, x.dtype)
    for b in reversed(BERNOULLI):
        tail = (tail + b) * square
    return total + inverse * (tail + 1.0) + square * 0.5
