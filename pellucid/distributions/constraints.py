"""What parameters and values of distributions must satisfy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Constraint:
    """A set of values; ``check(value)`` says for each whether it belongs to it.

    ``event_dim`` dimensions at the end are one value together.
    """

    def __init__(self, text: str, check: Callable[[Any], Any], is_discrete: bool = False, event_dim: int = 0) -> None:
        self.text, self.check, self.is_discrete, self.event_dim = text, check, is_discrete, event_dim

    def __repr__(self) -> str:
        return self.text


def greater_than(bound: Any) -> Constraint:
    """Above a bound."""
    return Constraint(f"GreaterThan(lower_bound={bound})", lambda x: x > bound)


def greater_than_eq(bound: Any) -> Constraint:
    """A bound, or above it."""
    return Constraint(f"GreaterThanEq(lower_bound={bound})", lambda x: x >= bound)


def interval(low: Any, high: Any) -> Constraint:
    """From low to high, both included."""
    return Constraint(f"Interval(lower_bound={low}, upper_bound={high})", lambda x: (x >= low) & (x <= high))


def half_open_interval(low: Any, high: Any) -> Constraint:
    """From low, included, to high, excluded."""
    return Constraint(f"HalfOpenInterval(lower_bound={low}, upper_bound={high})", lambda x: (x >= low) & (x < high))


def integer_interval(low: Any, high: Any) -> Constraint:
    """Whole numbers from low to high, both included."""
    text = f"IntegerInterval(lower_bound={low}, upper_bound={high})"
    return Constraint(text, lambda x: (x % 1 == 0) & (x >= low) & (x <= high), True)


def independent(base: Constraint, dims: int) -> Constraint:
    """``dims`` dimensions of a constraint as one value."""

    def check(x: Any) -> Any:
        return base.check(x).flatten(x.dim() - dims).all(-1)

    return Constraint(f"IndependentConstraint({base!r}, {dims})", check, base.is_discrete, base.event_dim + dims)


real = Constraint("Real()", lambda x: x == x)
real_vector = independent(real, 1)
positive = greater_than(0.0)
nonnegative = greater_than_eq(0.0)
unit_interval = interval(0.0, 1.0)
boolean = Constraint("Boolean()", lambda x: (x == 0) | (x == 1), True)
nonnegative_integer = Constraint("IntegerGreaterThan(lower_bound=0)", lambda x: (x % 1 == 0) & (x >= 0), True)
simplex = Constraint("Simplex()", lambda x: (x >= 0).all(-1) & ((x.sum(-1) - 1).abs() < 1e-6), event_dim=1)
one_hot = Constraint("OneHot()", lambda x: ((x == 0) | (x == 1)).all(-1) & (x.sum(-1) == 1), True, 1)
