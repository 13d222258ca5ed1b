"""What the elementary functions share: formats, polynomials, sums and products that lose nothing.

All of it is branch-free: a ``select`` evaluates both sides, so the same words run lane by lane on every processor.
``select(a < x, a, x)`` rather than ``minimum`` bounds x: NaN stays NaN, and processors have it as one instruction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.dtypes import DType, float32, float64, int32, int64
from pellucid.formula.expr import Expr, const, fma, select

Pair = tuple[Expr, Expr]
"""A number as the unevaluated sum of a float and a smaller one."""

# Each constant as the nearest float64 and the rest.
LN2 = (0.6931471805599453, 2.3190468138462996e-17)
LOG2_E = (1.4426950408889634, 2.0355273740931033e-17)
LOG10_E = (0.4342944819032518, 1.098319650216765e-17)
PI_2 = (1.5707963267948966, 6.123233995736766e-17)
INF = float("inf")
NAN = float("nan")


@dataclass(frozen=True)
class Format:
    """An IEEE format: 1 sign bit, the exponent plus ``bias``, ``mantissa`` bits after the leading one."""

    dtype: DType
    integer: DType
    mantissa: int
    bias: int

    @property
    def magic(self) -> float:
        """1.5 * 2**mantissa: adding it rounds to an integer, which then stands in the low bits of the sum."""
        return 1.5 * 2.0**self.mantissa

    @property
    def smallest_normal(self) -> float:
        return 2.0 ** (1 - self.bias)

    def split(self, value: tuple[float, float]) -> tuple[float, float]:
        """A constant of float64 plus rest as two floats of this format."""
        if self.dtype is float64:
            return value
        high = float(np.float32(value[0]))
        return high, float(np.float32(value[0] - high))

    def exponent_field(self, low_bits: Expr) -> Expr:
        """The float whose exponent field is the low bits of an integer: 2**(low_bits - bias)."""
        return (low_bits << self.mantissa).bitcast(self.dtype)


FORMATS = {
    float32: Format(float32, int32, 23, 127),
    float64: Format(float64, int64, 52, 1023),
}


def format_of(x: Expr) -> Format:
    return FORMATS[x.dtype]


def polynomial(z: Expr, coefficients: tuple[float, ...]) -> Expr:
    """c[0] + c[1] z + c[2] z^2 + ... by Horner's rule, one fma a step."""
    total = const(coefficients[-1], z.dtype)
    for c in reversed(coefficients[:-1]):
        total = fma(total, z, c)
    return total


def at_most(x: Expr, bound: float) -> Expr:
    """min(x, bound), NaN stays."""
    limit = const(bound, x.dtype)
    return select(limit < x, limit, x)


def at_least(x: Expr, bound: float) -> Expr:
    """max(x, bound), NaN stays."""
    limit = const(bound, x.dtype)
    return select(x < limit, limit, x)


def nearest(x: Expr) -> tuple[Expr, Expr]:
    """x rounded to an integer, as a float and as an integer whose low bits are right; |x| < 2**(mantissa - 1)."""
    form = format_of(x)
    shifted = x + form.magic
    return shifted - form.magic, shifted.bitcast(form.integer)


def two_sum(a: Expr, b: Expr) -> Pair:
    """a + b exactly, as the rounded sum and its error (Knuth)."""
    total = a + b
    from_b = total - a
    return total, (a - (total - from_b)) + (b - from_b)


def fast_two_sum(a: Expr, b: Expr) -> Pair:
    """a + b exactly if |a| >= |b| (Dekker)."""
    total = a + b
    return total, b - (total - a)


def two_product(a: Expr, b: Expr) -> Pair:
    """a * b exactly, as the rounded product and its error."""
    product = a * b
    return product, fma(a, b, -product)


def multiply(a: Pair, b: Pair) -> Pair:
    """The product of two pairs, right to about twice the precision of the format."""
    high, low = two_product(a[0], b[0])
    return fast_two_sum(high, fma(a[0], b[1], fma(a[1], b[0], low)))


def quotient(a: Pair, b: Pair) -> Pair:
    """a / b as a pair: what the first quotient leaves of a is divided again."""
    inverse = 1.0 / b[0]
    high = a[0] * inverse
    left = fma(-high, b[1], fma(-high, b[0], a[0])) + a[1]
    return high, left * inverse


def constant_pair(value: tuple[float, float], dtype: DType) -> Pair:
    high, low = FORMATS[dtype].split(value)
    return const(high, dtype), const(low, dtype)
