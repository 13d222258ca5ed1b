"""Special functions, under the names of `torch.special`."""

from __future__ import annotations

from math import sqrt
from typing import Any

from pellucid.formula.expr import Expr, const, is_nan, select, unary
from pellucid.operators import normalisation
from pellucid.operators.functions import (
    digamma,
    erf,
    erfc,
    erfinv,
    exp2,
    expm1,
    log1p,
    logit,
    polygamma,
    sinc,
    xlogy,
)
from pellucid.operators.functions import lgamma as gammaln
from pellucid.operators.functions import mvlgamma as multigammaln
from pellucid.operators.functions import round as round
from pellucid.operators.functions import sigmoid as expit
from pellucid.operators.norms import logsumexp
from pellucid.operators.pointwise import FLOAT, Pointwise, number_or_tensor, require_tensor
from pellucid.tensor import Tensor

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "gammaln", "log1p", "log_softmax", "logit",
    "logsumexp", "multigammaln", "ndtr", "ndtri", "polygamma", "psi", "round", "sinc", "softmax", "xlog1py", "xlogy",
]  # fmt: skip

psi = digamma


def _entropy(x: Expr) -> Expr:
    positive = x > 0.0
    inside = -(x * unary("log", select(positive, x, 1.0)))
    return select(is_nan(x) | positive, inside, select(x.equals(0.0), const(0.0, x.dtype), float("-inf")))


def _normal_probability(x: Expr) -> Expr:
    """From the side that is exact: ``erfc`` far below 0, ``erf`` around it."""
    scaled = x * sqrt(0.5)
    tail = unary("erfc", -scaled) * 0.5
    return select(scaled < -1.0, tail, unary("erf", scaled) * 0.5 + 0.5)


def _x_log_1_plus_y(x: Expr, y: Expr) -> Expr:
    nothing = x.equals(0.0) & ~is_nan(y) & ((y <= -1.0) | y.equals(float("inf")))
    return select(nothing, 0.0, x * unary("log1p", select(nothing, 0.0, y)))


_entr = Pointwise("special_entr", _entropy, FLOAT, takes="buif")
_ndtr = Pointwise("special_ndtr", _normal_probability, FLOAT, takes="buif")
_ndtri = Pointwise("special_ndtri", lambda p: unary("ndtri", p), FLOAT, takes="buif")
_xlog1py = Pointwise("special_xlog1py", _x_log_1_plus_y, FLOAT, takes="buif")


def entr(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """``-input * log(input)``; 0 at 0, -inf below."""
    return _entr.deliver(out, require_tensor(input, "special_entr"))


def ndtr(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The chance that a standard normal number is below ``input``."""
    return _ndtr.deliver(out, require_tensor(input, "special_ndtr"))


def ndtri(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverse of `ndtr`."""
    return _ndtri.deliver(out, require_tensor(input, "special_ndtri"))


def xlog1py(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """``input * log1p(other)``; 0 where ``input`` is 0 and ``other`` is not NaN."""
    first = number_or_tensor(input, "special_xlog1py", "input", other)
    second = number_or_tensor(other, "special_xlog1py", "other", input)
    if not isinstance(first, Tensor):
        require_tensor(second, "special_xlog1py", "other")
    return _xlog1py.deliver(out, first, second)


def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """``exp(input) / sum(exp(input))`` along ``dim``."""
    return normalisation.softmax(input, dim, dtype=dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """``log(softmax(input))`` without overflow."""
    return normalisation.log_softmax(input, dim, dtype=dtype)


