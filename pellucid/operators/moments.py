"""Sums over pairs and over places: covariance, correlation, trace, histograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.dtypes import bool_, float32, float64
from pellucid.errors import shape_text
from pellucid.layout import dense
from pellucid.operators.define import both, deliver
from pellucid.operators.functions import complex as complex_of
from pellucid.operators.rows import delivered_same, is_inexact, not_tensor
from pellucid.return_types import return_type
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


histogram_result = return_type("histogram", "hist", "bin_edges")


@both
def histogram(
    input: Tensor, bins: int | Tensor = 100, *, range: tuple[float, float] | None = None,
    weight: Tensor | None = None, density: bool = False, out: Any = None,
) -> Any:  # fmt: skip
    """How many cells (or how much of their weight) lie between neighbouring edges, and the edges.

    ``bins`` is how many equal bins ``range`` (by default that of the cells) is cut into, or a tensor of ascending
    edges. ``density`` divides by the total and by the widths, so that the area is 1.

    Raises:
        RuntimeError: no bins, edges that do not ascend, limits that are not finite, a weight of another shape.
    """
    if not isinstance(input, Tensor):
        not_tensor("histogram", input)
    if input.dtype not in (float32, float64):
        raise NotImplementedError(f"\"histogram_cpu\" not implemented for '{input.dtype.scalar_name}'; use .float()")
    if weight is not None and (weight.shape != input.shape or weight.dtype is not input.dtype):
        raise RuntimeError(
            f"histogram(): if weight tensor is provided it should have the same shape and dtype as input, got "
            f"{list(weight.shape)} {weight.dtype} and {list(input.shape)} {input.dtype}"
        )
    cells = array_of(input).reshape(-1)
    edges = _edges(cells, bins, range)
    shares = None if weight is None else array_of(weight).reshape(-1)
    counts, _ = np.histogram(cells, edges, weights=shares)
    counts = counts.astype(cells.dtype)
    if density:
        counts = counts / counts.sum() / np.diff(edges)
    results = []
    for values in (counts, edges):
        result = empty_like_layout(dense(values.shape, input.dtype))
        array_of(result)[...] = values
        results.append(result)
    return histogram_result(delivered_same(results, out, "histogram"))


def _edges(cells: np.ndarray[Any, Any], bins: Any, limits: tuple[float, float] | None) -> np.ndarray[Any, Any]:
    if isinstance(bins, Tensor):
        if bins.ndim != 1 or bins.numel() < 2:
            raise RuntimeError(f"histogram(): bins tensor should have one dimension and two cells, got {list(bins.shape)}")
        edges = np.array(array_of(bins), cells.dtype)
        if (np.diff(edges) < 0).any():
            raise RuntimeError("histogram(): bins must increase monotonically")
        return edges
    if bins < 1:
        raise RuntimeError(f"histogram(): bins must be > 0, but got {bins}")
    low, high = limits or ((float(cells.min()), float(cells.max())) if cells.size else (0.0, 0.0))
    if not (np.isfinite(low) and np.isfinite(high)) or low > high:
        raise RuntimeError(f"histogram(): the range must be finite and ascending, got [{low}, {high}]")
    if low == high:
        low, high = (low - 0.5, high + 0.5) if limits is None else (low - 1, high + 1)
    return np.linspace(low, high, bins + 1, dtype=cells.dtype)
