"""Sums over pairs and over places: covariance, correlation, trace, histograms, areas under curves."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.dtypes import bool_
from pellucid.errors import shape_text
from pellucid.layout import dense
from pellucid.operators.define import both, deliver, public
from pellucid.operators.functions import complex as complex_of
from pellucid.operators.rows import is_inexact, not_tensor
from pellucid.tensor import Tensor, array_of, empty_like_layout


@both
def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix: ``sum_i input[i,i]``.

    Raises:
        RuntimeError: the input is not a matrix.
    """
    if not isinstance(input, Tensor):
        not_tensor("trace", input)
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    if input.dtype is bool_:
        raise NotImplementedError("\"trace\" not implemented for 'Bool'; use .int()")
    return input.diagonal().sum()


@both
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """Covariances of the rows (variables) over the columns (observations).

    ``out[a,b] = sum_n w[n] (x[a,n] - mean[a]) conj(x[b,n] - mean[b]) / (sum w - correction)``; ``fweights`` count an
    observation several times, ``aweights`` give it more or less importance.

    Raises:
        RuntimeError: more than two dimensions, weights of another length, negative weights.
    """
    if not isinstance(input, Tensor):
        not_tensor("cov", input)
    x: Any = input
    if x.ndim > 2:
        raise RuntimeError(f"cov(): expected input to have two or fewer dimensions but got {shape_text(x.shape)}")
    if x.dtype is bool_:
        raise RuntimeError("cov(): bool dtype is not supported for input; use .float()")
    x = x.reshape(1, -1) if x.ndim < 2 else x
    count = x.shape[1]
    f = _weights("fweights", fweights, count, whole=True)
    a = _weights("aweights", aweights, count, whole=False)
    weight = f if a is None else a if f is None else f * a
    if weight is None:
        total: Any = float(count)
        mean = x.sum(1, True) / count if count else x.sum(1, True) / float("nan")
    else:
        total = weight.sum()
        if float(total) == 0:
            raise RuntimeError("cov(): weights sum to zero, can't be normalized")
        mean = (x * weight).sum(1, True) / total
    norm = total - correction
    if a is not None and correction:
        norm = total - correction * (weight * a).sum() / total
    if float(norm) <= 0:
        norm = 0.0
    off = x - mean
    other = (off if weight is None else off * weight).t().conj()
    return (off @ other / norm).squeeze()


def _weights(what: str, w: Any, count: int, whole: bool) -> Any:
    if w is None:
        return None
    if w.ndim > 1:
        raise RuntimeError(f"cov(): expected {what} to have one or fewer dimensions but got {shape_text(w.shape)}")
    if is_inexact(w.dtype) if whole else not w.dtype.is_floating_point:
        kind = "integral" if whole else "floating point"
        raise RuntimeError(f"cov(): expected {what} to have {kind} dtype but got {what} with {w.dtype}")
    if w.numel() != count:
        raise RuntimeError(
            f"cov(): expected {what} to have the same numel as there are observations in the input but got {w.numel()} "
            f"!= {count}"
        )
    if count and bool((w < 0).any()):
        raise RuntimeError(f"cov(): {what} cannot be negative")
    return w


@both
def corrcoef(input: Tensor) -> Tensor:
    """Correlations of the rows: covariances divided by the two standard deviations, within [-1, 1].

    Raises:
        RuntimeError: more than two dimensions.
    """
    if input.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got {shape_text(input.shape)}"
        )
    c: Any = cov(input)
    if c.ndim == 0:
        return c / c
    d = c.diagonal()
    s = (d.real if d.dtype.is_complex else d).sqrt()
    r = c / s.unsqueeze(1) / s
    if r.dtype.is_complex:
        return complex_of(r.real.clamp(-1, 1), r.imag.clamp(-1, 1))
    return r.clamp(-1, 1)


@both
def histc(
    input: Tensor, bins: int = 100, min: float = 0, max: float = 0, *, out: Tensor | None = None
) -> Tensor:
    """How many cells fall into each of ``bins`` equal parts of ``[min, max]``; both 0 mean those of the cells.

    Raises:
        RuntimeError: no bins, or limits that are not finite or not ascending.
    """
    if not isinstance(input, Tensor):
        not_tensor("histc", input)
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"\"histogram_cpu\" not implemented for '{input.dtype.scalar_name}'; use .float()")
    if bins < 1:
        raise RuntimeError(f"histc(): bins must be > 0, but got {bins}")
    if min > max:
        raise RuntimeError(f"histc(): max must be larger than min, got [{min}, {max}]")
    cells = array_of(input).reshape(-1)
    low, high = (min, max) if min != max or not cells.size else (float(cells.min()), float(cells.max()))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise RuntimeError(f"histc(): range of [{low}, {high}] is not finite")
    if low == high:
        low, high = low - 1, high + 1
    with np.errstate(invalid="ignore"):
        inside = cells[(cells >= low) & (cells <= high)].astype(np.float64)
    places = np.minimum(((inside - low) * (bins / (high - low))).astype(np.int64), bins - 1)
    result = empty_like_layout(dense((bins,), input.dtype))
    array_of(result)[...] = np.bincount(places, minlength=bins)
    return deliver(result, out, "histc")


@public
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The area under ``y`` by straight lines between its cells: ``sum_j (y[j] + y[j+1]) / 2 (x[j+1] - x[j])``."""
    return _areas("trapezoid", y, x, dx, dim).sum(dim)


public(trapezoid, "trapz")


@public
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The areas of `trapezoid` up to every cell."""
    return _areas("cumulative_trapezoid", y, x, dx, dim).cumsum(dim)


def _areas(name: str, y: Any, x: Any, dx: float | None, dim: int) -> Any:
    """The area of each strip."""
    if x is not None and dx is not None:
        raise TypeError(f"{name}(): give the places x or their distance dx, not both")
    for t in (y, x):
        if isinstance(t, Tensor) and t.dtype is bool_:
            raise RuntimeError(f"{name}(): received a bool input, but bool is not supported; use .int()")
    n = y.shape[dim]
    pairs = y.narrow(dim, 0, max(n - 1, 0)) + y.narrow(dim, min(1, n), max(n - 1, 0))
    if x is None:
        return pairs * ((1 if dx is None else dx) / 2)
    if x.ndim == 1:
        if x.shape[0] != n:
            raise RuntimeError(f"{name}(): There must be one `x` value for each sample point, got {x.shape[0]} and {n}")
        x = x.reshape([-1 if k == dim % y.ndim else 1 for k in range(y.ndim)])
    d = dim % y.ndim - y.ndim
    width = x.narrow(d, 1, x.shape[d] - 1) - x.narrow(d, 0, x.shape[d] - 1)
    return pairs * width / 2.0
