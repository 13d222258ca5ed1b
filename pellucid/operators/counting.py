"""Distinct values and how often they occur. The ranking is that of ``sorting.py``."""

from __future__ import annotations

from functools import cmp_to_key
from typing import Any

import numpy as np

from pellucid.dtypes import DType, bfloat16, float16, float32, float64, int64
from pellucid.errors import shape_text
from pellucid.operators.arguments import require_tensor
from pellucid.operators.define import both, wrap_dim
from pellucid.operators.nested import from_cells
from pellucid.operators.sorting import argsort
from pellucid.tensor import Tensor, array_of

Array = np.ndarray[Any, Any]

# -- distinct values --------------------------------------------------------------------------------------------------


class Runs:
    """Runs of equal neighbours among ``rows`` (a cell or a row each), which stand in the places ``order``."""

    def __init__(self, rows: Array, order: Array | None) -> None:
        ranked = rows if order is None else rows[order]
        differs = ranked[1:] != ranked[:-1]
        if differs.ndim > 1:
            differs = differs.any(axis=tuple(range(1, differs.ndim)))
        self.begins = np.concatenate([np.ones(min(1, len(rows)), bool), differs])
        self.values, self.order, self.n = ranked[self.begins], order, len(rows)

    def inverse(self) -> Array:
        """The number of the run that each row belongs to."""
        numbers = np.cumsum(self.begins) - 1
        if self.order is None:
            return numbers
        result = np.empty(self.n, np.int64)
        result[self.order] = numbers
        return result

    def counts(self) -> Array:
        return np.diff(np.append(np.flatnonzero(self.begins), self.n))


def _results(runs: Runs, values: Array, dtype: DType, shape: tuple[int, ...], inverse: bool, counts: bool) -> Any:
    results = [from_cells(values, dtype)]
    if inverse:
        results.append(from_cells(runs.inverse().reshape(shape), int64))
    if counts:
        results.append(from_cells(runs.counts(), int64))
    return results[0] if len(results) == 1 else tuple(results)


def _unique_cells(x: Any, ranked: bool, inverse: bool, counts: bool) -> Any:
    flat = x.detach().reshape(-1)
    cells, order = array_of(flat), None
    if flat.layout.dtype in (bfloat16, float16):
        cells = cells.astype(np.float32)
    if ranked:
        order = array_of(argsort(flat))
    runs = Runs(cells, order)
    return _results(runs, runs.values, x.layout.dtype, tuple(x.layout.shape), inverse, counts)


def _ranked_rows(rows: Array) -> Array:
    """The places of the rows in ascending order, the first column counting most. NaN is neither less nor greater
    than anything, so the columns after it decide."""
    if rows.dtype.kind != "f" or not np.isnan(rows).any():
        return np.lexsort(rows.T[::-1])

    def compare(a: int, b: int) -> int:
        decided = np.flatnonzero((rows[a] < rows[b]) | (rows[a] > rows[b]))[:1]
        return 0 if not decided.size else -1 if rows[a][decided] < rows[b][decided] else 1

    return np.array(sorted(range(len(rows)), key=cmp_to_key(compare)))


def _unique_rows(operator: str, x: Any, dim: int, ranked: bool, inverse: bool, counts: bool) -> Any:
    d = wrap_dim(operator, dim, x.layout.ndim)
    shape = tuple(x.layout.shape)
    if x.layout.numel == 0 and (shape[d] or any(n == 0 for k, n in enumerate(shape) if k != d)):
        raise RuntimeError(
            f"{operator}(): There are 0 sized dimensions, and they aren't selected, so unique cannot be applied: shape "
            f"{shape_text(shape)}, dim {d}"
        )
    cells = np.moveaxis(array_of(x).reshape(shape or (1,)), d, 0)
    if x.layout.dtype in (bfloat16, float16):
        cells = cells.astype(np.float32)
    flat = cells.reshape(len(cells), -1) if cells.size else cells.reshape(len(cells), 0)
    order = _ranked_rows(flat) if ranked and flat.size else None
    runs = Runs(flat, order)
    values = runs.values.reshape(len(runs.values), *cells.shape[1:])
    found = _results(runs, values, x.layout.dtype, (len(cells),), inverse, counts)
    if isinstance(found, tuple):
        return found[0].movedim(0, d), *found[1:]
    return found.movedim(0, d)


def _unique(operator: str, input: Any, ranked: bool, inverse: bool, counts: bool, dim: int | None) -> Any:
    require_tensor(operator, input)
    if input.layout.dtype.is_complex:
        raise NotImplementedError(
            f"\"{operator}\" not implemented for '{input.layout.dtype.scalar_name}': complex numbers have no order"
        )
    if dim is None:
        return _unique_cells(input, ranked, inverse, counts)
    return _unique_rows(operator, input, dim, ranked, inverse, counts)


@both
def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The distinct cells in ascending order, or with ``dim`` the distinct slices of that dimension.

    Args:
        sorted: nothing changes without it.
        return_inverse: also where each cell (slice) of the input is found among the distinct ones.
        return_counts: also how often each occurs.
        dim: compare slices of this dimension.

    Raises:
        NotImplementedError: complex cells; RuntimeError: slices without cells.
    """
    return _unique("unique", input, True, return_inverse, return_counts, dim)


@both
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The first of each run of equal cells (with ``dim``: slices); see `unique`."""
    return _unique("unique_consecutive", input, False, return_inverse, return_counts, dim)


# -- how often numbers occur ------------------------------------------------------------------------------------------


@both
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """``out[v] = how many cells of input are v``, or the sum of their weights: ``out[input[i]] += weights[i]``.

    The result has ``minlength`` cells, or one more than the largest number.

    Raises:
        RuntimeError: not a vector of numbers from 0 on, weights of another length, a negative ``minlength``.
        NotImplementedError: cells that are not integers.
    """
    require_tensor("bincount", input)
    layout = input.layout
    if layout.dtype.kind not in "ui":
        raise NotImplementedError(f"\"bincount_cpu\" not implemented for '{layout.dtype.scalar_name}': count integers")
    if minlength < 0:
        raise RuntimeError(f"bincount(): minlength should be >= 0, but got {minlength}")
    if layout.ndim != 1:
        raise RuntimeError(f"bincount only supports 1-d non-negative integral inputs, but got shape {shape_text(layout.shape)}")
    cells, own = array_of(input).astype(np.int64, copy=False), None
    if weights is not None and cells.size:
        if require_tensor("bincount", weights, "weights", 2).layout.shape != layout.shape:
            raise RuntimeError(
                f"bincount(): weights should be 1-d and have the same length as input: {shape_text(weights.layout.shape)} "
                f"and {shape_text(layout.shape)}"
            )
        own = array_of(weights).astype(np.float64, copy=False)
    try:
        found = np.bincount(cells, own, minlength)
    except ValueError:
        raise RuntimeError(
            f"bincount only supports 1-d non-negative integral inputs, but got the value {cells.min()}"
        ) from None
    if weights is None or not cells.size:
        return from_cells(found, int64)
    return from_cells(found, float32 if weights.layout.dtype is float32 else float64)
