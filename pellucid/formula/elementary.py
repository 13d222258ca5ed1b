"""Elementary functions written out in native operations."""

from __future__ import annotations

from collections.abc import Callable

from pellucid.dtypes import float32, float64
from pellucid.formula import exponential, logarithm, error_function, trigonometric
from pellucid.formula.expr import Expr

_UNARY = {n: getattr(exponential, n) for n in ("exp", "exp2", "expm1", "tanh", "sigmoid", "sinh", "cosh")}
_UNARY |= {n: getattr(logarithm, n) for n in ("log", "log2", "log10", "log1p", "asinh", "acosh", "atanh")}
_UNARY |= {n: getattr(error_function, n) for n in ("erf","erfc")}
_UNARY |= {n: getattr(trigonometric, n) for n in ("sin","cos","tan")}
ELEMENTARY = frozenset(_UNARY)


def expand(e: Expr) -> Expr:
    if e.op in ("sinh", "cosh","asinh","acosh","atanh","erfc") and e.dtype is float32:
        return _UNARY[e.op](e.args[0].cast(float64)).cast(float32)
    return _UNARY[e.op](e.args[0])
