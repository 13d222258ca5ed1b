"""Sorting along a dimension: ``values[j] = x[indices[j]]`` in ascending or descending order.

What is sorted are keys: ``rank << 32 | place``, where the rank is the cell itself in bits that compare as unsigned
integers do (NaN above every number, zeros of both signs equal) and the place is where it stands. The sort is stable
and goes by the rank only; ranks of 64 bits are sorted by their lower half first, then by the upper one.
"""

from __future__ import annotations

from array import array
from math import prod
from operator import index as as_index
from typing import Any

from pellucid.autograd.fresh import zeros
from pellucid.autograd.graph import recorder
from pellucid.codegen.schedule import GRAIN
from pellucid.codegen.sorts import first_places, radix_sort
from pellucid.dtypes import DType, bool_, float32, int32, int64, uint8, uint64
from pellucid.errors import shape_text
from pellucid.formula.expr import Expr, axis, const, is_nan, load, select
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, dense, like
from pellucid.operators.arguments import require_tensor
from pellucid.operators.define import both, deliver, wrap_dim
from pellucid.operators.rows import WrittenRule
from pellucid.plan import RELEASE_CELLS, Plan, PlanTable, explain_status, kernel_plan
from pellucid.return_types import return_type
from pellucid.runtime import native
from pellucid.tensor import Tensor, array_of, empty_like_layout

# -- ranks ------------------------------------------------------------------------------------------------------------

_PLACE = 0xFFFFFFFF  # the bits of a key that are the place


def rank_bytes(dtype: DType) -> int:
    """How many bytes a rank of this dtype has: 1, 2, 4 or 8 (half precision is ranked as float32)."""
    return max(dtype.itemsize, 4) if dtype.is_floating_point else dtype.itemsize


def rank_of(cell: Expr, largest_first: bool) -> Expr:
    """A uint64 that is smaller the earlier the cell comes."""
    bits = 8 * rank_bytes(cell.dtype)
    half = 1 << (bits - 1)
    if cell.dtype.is_floating_point:
        number = cell.cast(float32) if bits == 32 else cell
        signed = select(number.equals(0.0), 0.0, number).bitcast(int32 if bits == 32 else int64)  # one zero
        signed = select(is_nan(number), half - 1, select(signed < 0, signed ^ (half - 1), signed))
        rank = signed.cast(int64)
    else:
        rank = (cell.cast(uint8) if cell.dtype is bool_ else cell).cast(int64)
    if bits == 64:
        rank = rank if cell.dtype.kind == "u" else rank ^ -half
        return (~rank if largest_first else rank).cast(uint64)
    rank = rank if cell.dtype.kind in "bu" else rank + half
    return (2 * half - 1 - rank if largest_first else rank).cast(uint64)


class _Rows:
    """The cells of ``x`` as rows along dimension ``d``: row axes are the other dimensions in order, ``d`` is last."""

    def __init__(self, x: Layout, d: int) -> None:
        self.x, self.d = x, d
        self.order = [*(k for k in range(x.ndim) if k != d), d]
        self.shape = tuple(x.shape[k] for k in self.order)
        self.length = self.shape[-1]
        self.count = prod(self.shape[:-1])

    def cell(self, place: Expr | None = None) -> Expr:
        """The cell of the row at its own place, or at another one."""
        axes: dict[int, Expr] = {k: axis(a) for a, k in enumerate(self.order)}
        if place is not None:
            axes[self.d] = place
        return load(0, self.x.dtype, tuple(axes[k] for k in range(self.x.ndim)))

    def here(self) -> tuple[Expr, ...]:
        return tuple(axis(a) for a in range(self.x.ndim))

    def map(self, name: str, value: Expr, *operands: Layout) -> Plan:
        """The plan of a word for each cell, in rows."""
        formula = Formula(name, self.x.ndim, (Output(value),))
        return kernel_plan(formula, (self.x, *operands), self.shape, [dense(self.shape, uint64)])

    def routine(self, address: int, params: list[int], results: list[Layout], inputs: int = 0) -> Plan:
        """The builtin that runs a routine on all rows; it takes its results first."""
        words = array("q", params)
        flags = native.IN_PLACE | (native.RELEASE_GIL if self.x.numel > RELEASE_CELLS else 0)
        spec = native.pack_spec(
            address, words.buffer_info()[0], self.count, max(1, GRAIN // max(self.length, 1)), flags,
            [r.nbytes for r in results], [native.TENSOR] * inputs,
        )  # fmt: skip
        return native.make_launch(spec, words, None, explain_status, results)


# Rows of these lengths are sorted faster by comparing whole keys, which NumPy does in vector registers.
SHORT_ROWS = (32, 256)


def _sort_short(keys: Tensor, scratch: Tensor) -> Tensor:
    array_of(keys).sort(axis=-1)
    return keys


def _keys_plan(x: Layout, d: int, largest_first: bool) -> Plan:
    """tensor -> sorted keys, in rows."""
    rows = _Rows(x, d)
    if rows.length > _PLACE:
        raise RuntimeError(f"sort(): rows of at most {_PLACE} cells can be sorted, dimension {d} has {rows.length}")
    layout = dense(rows.shape, uint64)
    nbytes = rank_bytes(x.dtype)
    short = nbytes == 4 and SHORT_ROWS[0] <= rows.length <= SHORT_ROWS[1]
    sort = _sort_short if short else rows.routine(radix_sort(min(nbytes, 4)), [rows.length], [layout, layout])
    rank, place = rank_of(rows.cell(), largest_first), axis(x.ndim - 1).cast(uint64)
    keys = rows.map("sort_keys", (rank << 32) | place)

    def sorted_once(t: Tensor) -> Any:
        return sort(keys(t), empty_like_layout(layout))

    if nbytes < 8 or not x.numel:
        return sorted_once if x.numel else keys
    before = load(1, uint64, rows.here()) & const(_PLACE, uint64)
    upper = rank_of(rows.cell(before.cast(int64)), largest_first) >> 32
    again = rows.map("sort_keys", (upper << 32) | before, layout)
    return lambda t: sort(again(t, sorted_once(t)), empty_like_layout(layout))


_sorted_keys = PlanTable(_keys_plan)

# -- results ----------------------------------------------------------------------------------------------------------


def _unpack_plan(x: Layout, d: int, keys: Layout, result: Layout, with_values: bool) -> Plan:
    """``indices[.., j, ..] = place of key[.., j]``, and ``values``: the cells there."""
    order = [*(k for k in range(x.ndim) if k != d), d]
    place = (load(1, keys.dtype, tuple(axis(k) for k in order)) & const(_PLACE, keys.dtype)).cast(int64)
    coords = tuple(axis(k) for k in range(x.ndim))
    value = load(0, x.dtype, (*coords[:d], place, *coords[d + 1 :]))
    outputs = (Output(value), Output(place)) if with_values else (Output(place),)
    layouts = [result, result.with_dtype(int64)] if with_values else [result.with_dtype(int64)]
    return kernel_plan(Formula("sort", x.ndim, outputs), (x, keys), tuple(result.shape), layouts)


_unpacks = PlanTable(_unpack_plan)


def _placed(d: int, x: Layout, g: Any, indices: Any) -> Any:
    """The gradient of sorted cells, back where they came from."""
    return zeros(dense(x.shape, g.layout.dtype)).scatter(d, indices, g)


def _recorder(name: str, x: Layout, d: int, result: Layout) -> Any:
    if not x.dtype.is_floating_point:
        return None
    rule = WrittenRule(name, (1,), lambda g, indices: _placed(d, x, g, indices), results=2)
    return recorder(rule, [result, result.with_dtype(int64)], (x,))


def _sort_plan(name: str, x: Layout, dim: int, largest_first: bool) -> Plan:
    """tensor -> (values, indices)"""
    d = wrap_dim(name, dim, x.ndim)
    if x.dtype.is_complex:
        raise RuntimeError(f"{name}(): Sort does not support complex dtypes on CPU: they have no order; sort x.abs()")
    if x.ndim == 0:
        return _of_one_cell(name, largest_first)
    result = like(x)
    record = _recorder(name, x, d, result)
    ordered = _sorted_keys[x, d, largest_first]
    unpack = _unpacks[x, d, dense(_Rows(x, d).shape, uint64), result, True]

    def plan(t: Tensor) -> Any:
        pair = unpack(t, ordered(t))
        if record is not None and native.recorded(t):
            record(*pair, t)
        return pair

    return plan


def _of_one_cell(name: str, largest_first: bool) -> Plan:
    def plan(t: Any) -> Any:
        return tuple([r.reshape(()) for r in _sorts[name, t.reshape(1).layout, 0, largest_first](t.reshape(1))])

    return plan


_sorts = PlanTable(_sort_plan)
sort_result = return_type("sort", "values", "indices")


def _require_flags(name: str, dim: Any, descending: Any) -> None:
    if isinstance(dim, bool) or not isinstance(descending, bool | int):
        raise TypeError(
            f"{name}() received an invalid combination of arguments: dim must be an int and descending a bool, not "
            f"{type(dim).__name__} and {type(descending).__name__}"
        )


@both
def sort(
    input: Tensor, dim: int = -1, descending: bool = False, stable: bool | None = False, *, out: Any = None, axis: Any = None
) -> Any:
    """(values, indices) in ascending order along ``dim``: ``values[i,j] = input[i, indices[i,j]]``.

    Equal cells stay in their order, also without ``stable`` and when descending. NaN counts as the largest.

    Raises:
        IndexError: there is no such dimension; RuntimeError: complex cells.
    """
    dim = dim if axis is None else axis
    require_tensor("sort", input)
    _require_flags("sort", dim, descending)
    pair = _sorts["sort", input.layout, dim, bool(descending)](input)
    return sort_result(pair if out is None else _delivered("sort", pair, out))


def _delivered(name: str, pair: Any, out: Any) -> Any:
    for result, own in zip(pair, out, strict=True):
        require_tensor(name, own, "out")
        if own.layout.dtype is not result.layout.dtype:
            raise RuntimeError(
                f"{name}(): Expected out tensor to have dtype {result.layout.dtype}, but got {own.layout.dtype} instead"
            )
    return [deliver(result, own, name) for result, own in zip(pair, out, strict=True)]


def _argsort_plan(x: Layout, dim: int, largest_first: bool) -> Plan:
    d = wrap_dim("argsort", dim, x.ndim)
    if x.dtype.is_complex:
        raise RuntimeError("argsort(): Sort does not support complex dtypes on CPU: they have no order; sort x.abs()")
    if x.ndim == 0:
        return lambda t: argsort(t.reshape(1), 0).reshape(())
    ordered = _sorted_keys[x, d, largest_first]
    unpack = _unpacks[x, d, dense(_Rows(x, d).shape, uint64), like(x), False]
    return lambda t: unpack(t, ordered(t))


_argsorts = PlanTable(_argsort_plan)


@both
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False, *, axis: Any = None) -> Tensor:
    """The indices that `sort` gives: ``input.gather(dim, indices)`` is in order."""
    dim = dim if axis is None else axis
    require_tensor("argsort", input)
    _require_flags("argsort", dim, descending)
    return _argsorts[input.layout, dim, bool(descending)](input)


@both
def msort(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The cells in ascending order along the first dimension."""
    require_tensor("msort", input)
    values = _sorts["sort", input.layout, 0, False](input)[0]
    return values if out is None else _delivered("msort", [values], [out])[0]


# -- the first k ------------------------------------------------------------------------------------------------------

MOST_KEPT = 16  # more than these are not kept in order while looking: all cells are sorted


def _first_plan(x: Layout, d: int, k: int, largest: bool) -> Plan:
    """tensor -> the places of the first ``k`` cells of each row."""
    rows, found = _Rows(x, d), dense((*_Rows(x, d).shape[:-1], k), uint64)
    if not found.numel:
        return lambda t: empty_like_layout(found)
    ranks = rows.map("ranks", rank_of(rows.cell(), largest))
    look = rows.routine(first_places(), [rows.length, k], [found, found], 1)
    return lambda t: look(empty_like_layout(found), empty_like_layout(found), ranks(t))


def _topk_plan(x: Layout, k: int, dim: int, largest: bool) -> Plan:
    d = wrap_dim("topk", dim, x.ndim)
    if not 0 <= k <= (x.shape[d] if x.ndim else 1):
        raise RuntimeError(
            f"topk(): selected index k out of range: k={k}, dimension {d} of the input {shape_text(x.shape)}"
        )
    if x.dtype.is_complex or x.dtype is bool_:
        raise RuntimeError(f"topk(): topk does not support {'bool' if x.dtype is bool_ else 'complex'} dtypes on CPU")
    if x.ndim == 0:
        return lambda t: tuple([r[0] for r in _topks[t.reshape(1).layout, 1, 0, largest](t.reshape(1))])
    result = dense([k if a == d else n for a, n in enumerate(x.shape)], x.dtype)
    record = _recorder("topk", x, d, result)
    places = _first_plan(x, d, k, largest) if k <= MOST_KEPT else _sorted_keys[x, d, largest]
    kept = dense(_Rows(result, d).shape, uint64)
    if k > MOST_KEPT:  # the first of each row of all keys
        kept = kept.with_strides(kept.shape, dense(_Rows(x, d).shape, uint64).strides)
    unpack = _unpacks[x, d, kept, result, True]

    def plan(t: Tensor) -> Any:
        pair = unpack(t, places(t))
        if record is not None and native.recorded(t):
            record(*pair, t)
        return pair

    return plan


_topks = PlanTable(_topk_plan)
topk_result = return_type("topk", "values", "indices")


def _require_topk_flags(dim: Any, largest: Any, sorted: Any) -> None:
    """Raises TypeError where a flag stands in the place of ``dim``, or a number in that of a flag."""
    if isinstance(dim, bool):
        raise TypeError(f"topk(): argument 'dim' (position 2) must be int, not bool: write largest={dim}")
    for name, flag in (("largest", largest), ("sorted", sorted)):
        if not isinstance(flag, bool):
            raise TypeError(f"topk(): argument '{name}' must be bool, not {type(flag).__name__}")


@both
def topk(
    input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True, *, out: Any = None,
    axis: Any = None,
) -> Any:
    """(values, indices) of the ``k`` largest cells along ``dim``, the largest first; or of the smallest ones.

    NaN counts as the largest; of equal cells the first come first. Without ``sorted`` the order is the same.

    Raises:
        RuntimeError: ``k`` is more than there are cells, or cells without an order.
    """
    dim = dim if axis is None else axis
    require_tensor("topk", input)
    _require_topk_flags(dim, largest, sorted)
    pair = _topks[input.layout, as_index(k), dim, bool(largest)](input)
    return topk_result(pair if out is None else _delivered("topk", pair, out))
