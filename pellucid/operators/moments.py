"""Sums over pairs and over places: covariance, correlation, trace, histograms."""

from __future__ import annotations

from builtins import range as range_of
from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.dtypes import bool_, float32, float64
from pellucid.errors import shape_text
from pellucid.layout import dense
from pellucid.operators.define import both
from pellucid.operators.functions import complex as complex_of
from pellucid.operators.nested import from_cells
from pellucid.operators.rows import deliver_same, delivered_same, is_inexact, not_tensor
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
    return deliver_same(result, out, "histc")


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
    x = _histogram_input("histogram", input, weight, input.shape if isinstance(input, Tensor) else ())
    if isinstance(bins, Tensor) and range is not None:
        raise TypeError("histogram() received an invalid combination of arguments: edges leave no choice of a range")
    cells = array_of(x).reshape(-1)
    edges = _edges("histogram", cells, bins, _limits(range, 1)[0])
    shares = None if weight is None else array_of(weight).reshape(-1)
    counts, _ = np.histogram(cells, edges, weights=shares)
    counts = counts.astype(cells.dtype)
    if density:
        counts = counts / counts.sum() / np.diff(edges)
    results = [from_cells(values, x.dtype) for values in (counts, edges)]
    return histogram_result(delivered_same(results, out, "histogram"))


histogramdd_result = return_type("histogramdd", "hist", "bin_edges")


@both
def histogramdd(
    input: Tensor, bins: int | Sequence[int] | Sequence[Tensor], *, range: Sequence[float] | None = None,
    weight: Tensor | None = None, density: bool = False,
) -> Any:  # fmt: skip
    """`histogram` of points: ``input[..., d]`` are their coordinates, the result has a dimension for each.

    Args:
        bins: how many bins, for all dimensions or for each; or the edges for each.
        range: the lowest and the highest edge of each dimension, one after the other.
        weight: one for each point.

    Raises:
        RuntimeError: as `histogram`; bins or limits for another number of dimensions, points without coordinates.
    """
    x = _histogram_input("histogramdd", input, weight, input.shape[:-1] if isinstance(input, Tensor) else ())
    if x.ndim < 2:
        raise RuntimeError(f"histogramdd(): input tensor should have at least 2 dimensions, but got {x.ndim}")
    n = x.shape[-1]
    each: list[Any] = [bins] * n if isinstance(bins, int) else list(bins)
    if len(each) != n:
        raise RuntimeError(f"histogramdd(): bins for {len(each)} dimensions, but the points have {n} coordinates")
    points = array_of(x).reshape(x.numel() // n if n else 0, n)
    limits = _limits(range, n)
    edges = [_edges("histogramdd", points[:, d], own, limits[d]) for d, own in enumerate(each)]
    shares = None if weight is None else array_of(weight).reshape(-1)
    counts = np.histogramdd(points, edges, weights=shares)[0] if n else np.zeros(())
    if density:
        with np.errstate(invalid="ignore"):  # no point at all
            counts = np.asarray(counts / counts.sum())
        for d, own in enumerate(edges):
            counts = counts / np.diff(own).reshape([-1 if k == d else 1 for k in range_of(n)])
    return histogramdd_result((from_cells(counts, x.dtype), tuple([from_cells(own, x.dtype) for own in edges])))


def _histogram_input(operator: str, x: Any, weight: Tensor | None, shape: tuple[int, ...]) -> Tensor:
    """The input, of a dtype that can be counted, with a weight for each of ``shape``."""
    if not isinstance(x, Tensor):
        not_tensor(operator, x)
    if x.dtype not in (float32, float64):
        raise NotImplementedError(f"\"histogram_cpu\" not implemented for '{x.dtype.scalar_name}'; use .float()")
    if weight is not None and (weight.shape != shape or weight.dtype is not x.dtype):
        raise RuntimeError(
            f"{operator}(): if weight tensor is provided it should have the same shape and dtype as input, got "
            f"{list(weight.shape)} {weight.dtype} and {list(shape)} {x.dtype}"
        )
    return x


def _limits(range: Any, n: int) -> list[tuple[float, float] | None]:
    """The lowest and the highest edge for each of ``n`` dimensions, if they are given."""
    if range is None:
        return [None] * n
    if len(range) != 2 * n:
        raise RuntimeError(f"histogram(): for a {n}-dimensional histogram range should have {2 * n} elements, but got {len(range)}")
    return list(zip(range[::2], range[1::2], strict=True))


def _edges(operator: str, cells: np.ndarray[Any, Any], bins: Any, limits: tuple[float, float] | None) -> np.ndarray[Any, Any]:
    if isinstance(bins, Tensor):
        if bins.ndim != 1 or bins.numel() < 2:
            raise RuntimeError(f"{operator}(): bins tensor should have one dimension and two cells, got {list(bins.shape)}")
        edges = np.array(array_of(bins), cells.dtype)
        if (np.diff(edges) < 0).any():
            raise RuntimeError(f"{operator}(): bins must increase monotonically")
        return edges
    if bins < 1:
        raise RuntimeError(f"{operator}(): bins must be > 0, but got {bins}")
    low, high = limits or ((float(cells.min()), float(cells.max())) if cells.size else (0.0, 1.0))
    if not (np.isfinite(low) and np.isfinite(high)) or low > high:
        raise RuntimeError(f"{operator}(): the range must be finite and ascending, got [{low}, {high}]")
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1, dtype=cells.dtype)
