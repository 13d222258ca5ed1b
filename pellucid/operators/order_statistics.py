"""Cells by rank: medians, k-th values, modes and quantiles. The ranking is NumPy's.

    kthvalue    values[i] = the k-th smallest of x[i,:],   indices[i] = where it stands

NaN counts as larger than every number. Among equal cells, which one is named is not fixed (nor is it in PyTorch).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pellucid.autograd.graph import recorder
from pellucid.dtypes import bfloat16, bool_, float16, float32, float64, int64
from pellucid.errors import shape_text
from pellucid.layout import Layout, dense
from pellucid.operators.define import both, deliver, wrap_dim
from pellucid.operators.extremes import require_cells, require_ordered, share, to_index
from pellucid.operators.literals import tensor
from pellucid.operators.rows import WrittenRule, deliver_same, delivered_same, is_inexact, not_tensor, numpy_names
from pellucid.plan import Plan, PlanTable
from pellucid.return_types import return_type
from pellucid.runtime import native
from pellucid.tensor import Tensor, array_of, empty_like_layout

Array = np.ndarray[Any, Any]
Pick = Callable[[Array], Array]  # rows of cells (any number of leading dimensions) -> the position in each row


def rows_of(x: Tensor, dim: int) -> Array:
    """The cells with ``dim`` last, in a dtype that NumPy can sort fast."""
    cells = array_of(x)
    if x.dtype in (bfloat16, float16):
        cells = cells.astype(np.float32)
    return np.moveaxis(cells, dim, -1) if cells.ndim else cells.reshape(1)


def _written(array: Array, like: Layout) -> Any:
    out = empty_like_layout(like)
    array_of(out)[...] = array.reshape(tuple(like.shape))
    return out


# -- one cell of each row ---------------------------------------------------------------------------------------------


def _picked_plan(name: str, x: Layout, dim: int, keepdim: bool) -> Plan:
    """(tensor, pick) -> (values, indices), recorded."""
    require_ordered(name, x)
    d = wrap_dim(name, dim, x.ndim)
    dims = (d,) if x.ndim else ()
    require_cells(name, x, dims)
    if keepdim:
        shape = tuple(1 if k in dims else n for k, n in enumerate(x.shape))
    else:
        shape = tuple(n for k, n in enumerate(x.shape) if k not in dims)
    results = [dense(shape, x.dtype), dense(shape, int64)]
    form = int(name in ("median", "nanmedian"))  # their form 0 is the one of all cells
    rule = WrittenRule(name, (1,), partial(to_index, x, d, keepdim), results=2, form=form)
    record = recorder(rule, results, (x,)) if is_inexact(x.dtype) else None

    def plan(t: Any, pick: Pick) -> Any:
        rows = rows_of(t, d)
        places = pick(rows).astype(np.int64) if rows.size else np.empty(rows.shape[:-1], np.int64)
        values = np.take_along_axis(rows, places[..., None], -1)[..., 0] if rows.size else places
        pair = _written(values, results[0]), _written(places, results[1])
        if record is not None and native.grad_enabled() and t.tracked:
            record(*pair, t)
        return pair

    return plan


_picked = PlanTable(_picked_plan)


def _at_rank(rank: int, rows: Array) -> Array:
    """Where the cell of this rank stands; of equal cells, those in front have the lower ranks."""
    values = np.partition(rows, rank, axis=-1)[..., rank, None]  # NaN last
    found = rows == values
    below = rows < values
    if rows.dtype.kind == "f" and np.isnan(values).any():
        found |= np.isnan(rows) & np.isnan(values)
        below |= ~np.isnan(rows) & np.isnan(values)
    if (found.sum(-1) > 1).any():
        before = rank - below.sum(-1, keepdims=True)  # how many equal cells come first
        found &= np.cumsum(found, -1) == before + 1
    places: Array = found.argmax(-1)
    return places


def _median_place(rows: Array) -> Array:
    """The lower of the two middle ones; the first NaN if there is one."""
    places = _at_rank((rows.shape[-1] - 1) // 2, rows)
    if rows.dtype.kind == "f":
        unordered = np.isnan(rows)
        if unordered.any():
            places = np.where(unordered.any(-1), unordered.argmax(-1), places)
    return places


def _nanmedian_place(rows: Array) -> Array:
    if rows.dtype.kind != "f" or not np.isnan(rows).any():
        return _median_place(rows)
    order = np.argsort(rows, axis=-1, kind="stable")
    known = rows.shape[-1] - np.isnan(rows).sum(-1)
    return np.take_along_axis(order, np.maximum((known - 1) // 2, 0)[..., None], -1)[..., 0]


def _mode_place(rows: Array) -> Array:
    """The last cell of the most frequent value; of values as frequent, the smallest."""
    order = np.argsort(rows, axis=-1, kind="stable")
    ranked = np.take_along_axis(rows, order, -1)
    n = rows.shape[-1]
    numbers = np.arange(n)
    begins = np.ones(rows.shape, bool)
    begins[..., 1:] = ranked[..., 1:] != ranked[..., :-1]
    start = np.maximum.accumulate(np.where(begins, numbers, 0), -1)
    longest = (numbers - start).argmax(-1)  # the end of the first longest run
    return np.take_along_axis(order, longest[..., None], -1)[..., 0]


median_result = return_type("median", "values", "indices")
nanmedian_result = return_type("nanmedian", "values", "indices")
mode_result = return_type("mode", "values", "indices")
kthvalue_result = return_type("kthvalue", "values", "indices")


def _median(name: str, place: Pick, pair: Any, input: Any, dim: Any, keepdim: bool, out: Any) -> Any:
    if not isinstance(input, Tensor):
        not_tensor(name, input)
    if input.dtype is bool_:
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for 'Bool'; use .int()")
    if dim is not None:
        return pair(delivered_same(_picked[name, input.layout, dim, keepdim](input, place), out, name))
    return deliver(_whole[name, input.layout](input, place), out, name)


def _whole_plan(name: str, x: Layout) -> Plan:
    """The median of all cells; cells that equal it share the gradient."""
    require_ordered(name, x)
    result = dense((), x.dtype)
    rule = WrittenRule(name, (1, 0), partial(share, tuple(range(x.ndim)), False))
    record = recorder(rule, [result], (x,)) if is_inexact(x.dtype) else None

    def plan(t: Any, pick: Pick) -> Any:
        rows = np.ascontiguousarray(rows_of(t, -1)).reshape(-1)
        if rows.size == 0:
            value = np.asarray(np.nan if x.dtype.is_floating_point else np.iinfo(x.dtype.numpy).min)
        else:
            value = rows[pick(rows)]
        total = _written(value, result)
        if record is not None and native.grad_enabled() and t.tracked:
            record(total, t)
        return total

    return plan


_whole = PlanTable(_whole_plan)


@both
def median(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Any = None, axis: Any = None,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """The middle cell (of an even number, the lower one): of all cells, or (values, indices) along ``dim``.
    NaN if there is one."""
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    return _median("median", _median_place, median_result, input, dim, keepdim, out)


@both
def nanmedian(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Any = None, axis: Any = None,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """The middle of the cells that are not NaN: of all cells, or (values, indices) along ``dim``."""
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    return _median("nanmedian", _nanmedian_place, nanmedian_result, input, dim, keepdim, out)


@both
def mode(
    input: Tensor, dim: int = -1, keepdim: bool = False, *, out: Any = None, axis: Any = None, keepdims: bool = False
) -> Any:
    """The most frequent value along ``dim`` (the smallest of equals) and where it stands last."""
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    if not isinstance(input, Tensor):
        not_tensor("mode", input)
    return mode_result(delivered_same(_picked["mode", input.layout, dim, keepdim](input, _mode_place), out, "mode"))


@both
def kthvalue(
    input: Tensor, k: int, dim: int = -1, keepdim: bool = False, *, out: Any = None, axis: Any = None,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """The ``k``-th smallest cell along ``dim`` (counted from 1) and its position.

    Raises:
        RuntimeError: ``k`` is not a rank of that dimension.
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    if not isinstance(input, Tensor):
        not_tensor("kthvalue", input)
    d = wrap_dim("kthvalue", dim, input.ndim)
    length = input.shape[d] if input.ndim else 1
    if input.dtype is bool_:
        raise NotImplementedError("\"kthvalue_cpu\" not implemented for 'Bool'; use .int()")
    if not 1 <= k <= length and (length or input.numel()):
        raise RuntimeError(
            f"kthvalue(): selected number k out of range for dimension {d}: k={k}, shape {shape_text(input.shape)}"
        )
    if any(own.storage is input.storage for own in out or ()):
        raise RuntimeError(
            "kthvalue(): unsupported operation: some elements of the input tensor and the written-to tensor refer to a "
            "single memory location. Please clone() the tensor before performing the operation."
        )
    pair = _picked["kthvalue", input.layout, dim, keepdim](input, partial(_at_rank, k - 1))
    return kthvalue_result(delivered_same(pair, out, "kthvalue"))


# -- quantiles --------------------------------------------------------------------------------------------------------

INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(
    name: str, input: Any, q: Any, dim: int | None, keepdim: bool, interpolation: str, ignore_nan: bool
) -> Any:
    """Sort, then the cell at rank ``q (n - 1)``, between two cells as ``interpolation`` says."""
    _check_quantile(name, input, q, interpolation)
    x = input.reshape(-1) if dim is None or input.ndim == 0 else input.movedim(dim, -1)
    q = q if isinstance(q, Tensor) else tensor(q, dtype=x.dtype)
    ranked = x.sort(dim=-1).values
    known = (~ranked.isnan()).sum(-1, True)
    last = (known - 1).clamp(min=0) if ignore_nan else ranked.isnan().logical_not().any(-1, True) * (x.shape[-1] - 1)
    ranks = q.reshape(-1) * last.to(x.dtype)  # a rank per row (first) and per q (last)
    if not ignore_nan:
        ranks = ranks.masked_fill(known < x.shape[-1], x.shape[-1] - 1)  # a NaN, which was sorted last
    result = _between(ranked, ranks, interpolation).movedim(-1, 0)
    result = result if q.ndim else result[0]
    if keepdim:
        reduced = range(input.ndim) if dim is None or not input.ndim else (dim % input.ndim,)
        shape = [1 if d in reduced else n for d, n in enumerate(input.shape)]
        result = result.reshape(list(q.shape) + shape)
    return result


def _between(ranked: Any, ranks: Any, interpolation: str) -> Any:
    if interpolation == "lower":
        return ranked.gather(-1, ranks.floor().long())
    if interpolation == "higher":
        return ranked.gather(-1, ranks.ceil().long())
    if interpolation == "nearest":
        return ranked.gather(-1, ranks.round().long())
    low = ranks.floor()
    weight = ranks - low if interpolation == "linear" else ((ranks - low) != 0).to(ranks.dtype) * 0.5
    return ranked.gather(-1, low.long()).lerp(ranked.gather(-1, ranks.ceil().long()), weight)


def _check_quantile(name: str, x: Any, q: Any, interpolation: str) -> None:
    if not isinstance(x, Tensor):
        not_tensor(name, x)
    if x.numel() == 0:
        raise RuntimeError(f"{name}() input tensor must be non-empty, got shape {shape_text(x.shape)}")
    if x.dtype not in (float32, float64):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype, got {x.dtype}")
    if isinstance(q, Tensor):
        if q.ndim > 1:
            raise RuntimeError(f"{name}() q must be a scalar or 1D tensor, got {shape_text(q.shape)}")
        if q.dtype is not x.dtype:
            raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor: {q.dtype} and {x.dtype}")
        values = array_of(q)
    else:
        values = np.asarray(q)
    if ((values < 0) | (values > 1)).any():
        raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
    if interpolation not in INTERPOLATIONS:
        raise RuntimeError(
            f"{name}() interpolation must be one of {', '.join(INTERPOLATIONS)}, but got {interpolation}"
        )


@both
def quantile(
    input: Tensor, q: float | Tensor, dim: int | None = None, keepdim: bool = False, *,
    interpolation: str = "linear", out: Tensor | None = None, axis: int | None = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """The value below which a share ``q`` of the cells lies; with several q, a first dimension for them.

    Raises:
        RuntimeError: q outside [0, 1], no cells, cells that are not float32 or float64.
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    return deliver_same(_quantile("quantile", input, q, dim, keepdim, interpolation, False), out, "quantile")


@both
def nanquantile(
    input: Tensor, q: float | Tensor, dim: int | None = None, keepdim: bool = False, *,
    interpolation: str = "linear", out: Tensor | None = None, axis: int | None = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """`quantile` of the cells that are not NaN."""
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, keepdim, axis, keepdims)
    return deliver_same(_quantile("nanquantile", input, q, dim, keepdim, interpolation, True), out, "nanquantile")
