"""Elementary functions written out in native operations: exp, log, sin, pow ... as polynomials and bit operations.

``expand`` gives, for a node such as ``exp(x)`` of dtype float32 or float64, an equal expression that holds nothing but
arithmetic, comparisons, selects, bit operations and constant tables. It has no branches, so the same words run on
vectors and on GPUs. Against the correctly rounded result, float32 is off by at most one unit in the last place over
its whole range; float64 by at most two (lgamma and digamma of positive numbers by six; next to their zeros on the
negative side only the absolute error is small). NaN, infinities, signed zeros and denormal numbers follow C99.

Functions that are often called have a float32 form of their own; the others compute in float64 and round.
"""

from __future__ import annotations

from collections.abc import Callable

from pellucid.dtypes import float32, float64
from pellucid.formula import (
    error_function,
    exponential,
    gamma,
    inverse_trigonometric,
    logarithm,
    power,
    trigonometric,
)
from pellucid.formula.expr import Expr

# Written for both formats.
_EITHER: dict[str, Callable[..., Expr]] = {
    "exp": exponential.exp,
    "exp2": exponential.exp2,
    "expm1": exponential.expm1,
    "tanh": exponential.tanh,
    "sigmoid": exponential.sigmoid,
    "log": logarithm.log,
    "log2": logarithm.log2,
    "log10": logarithm.log10,
    "log1p": logarithm.log1p,
    "sin": trigonometric.sin,
    "cos": trigonometric.cos,
    "tan": trigonometric.tan,
    "erf": error_function.erf,
    "erfc": error_function.erfc,
    "pow": power.pow,
    "rsqrt": power.rsqrt,
    "reciprocal": power.reciprocal,
}
# Written for float64.
_DOUBLE: dict[str, Callable[..., Expr]] = {
    "sinh": exponential.sinh,
    "cosh": exponential.cosh,
    "asinh": logarithm.asinh,
    "acosh": logarithm.acosh,
    "atanh": logarithm.atanh,
    "asin": inverse_trigonometric.asin,
    "acos": inverse_trigonometric.acos,
    "atan": inverse_trigonometric.atan,
    "atan2": inverse_trigonometric.atan2,
    "hypot": power.hypot,
    "lgamma": gamma.lgamma,
    "digamma": gamma.digamma,
}

ELEMENTARY: frozenset[str] = frozenset(_EITHER) | frozenset(_DOUBLE)
"""The names of the functions that ``expand`` writes out."""


def expand(e: Expr) -> Expr:
    """The elementary function ``e.op`` of ``e.args`` in native operations; any other node as it is.

    Raises TypeError for an elementary function of a dtype other than float32 and float64.
    """
    if e.op not in ELEMENTARY:
        return e
    if e.dtype not in (float32, float64):
        raise TypeError(
            f"formula: {e.op} of {e.dtype!r}: elementary functions are written out for torch.float32 and "
            "torch.float64; cast the operand to one of them and the result back"
        )
    if e.op in _EITHER:
        return _EITHER[e.op](*e.args)
    return _DOUBLE[e.op](*(a.cast(float64) for a in e.args)).cast(e.dtype)
