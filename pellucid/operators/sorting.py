"""Sorting along a dimension: ``values[j] = x[indices[j]]`` in ascending or descending order.

What is sorted are keys that hold a cell's rank and its place, ``key = rank << bits | place``: no two are equal, so any
sort of them is stable, and NumPy's vectorised one can be used. The rank is the cell itself in bits that compare as
unsigned integers do; NaN ranks above every number, and zeros of both signs are equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.autograd.fresh import zeros
from pellucid.autograd.graph import recorder
from pellucid.dtypes import DType, bool_, float32, int32, int64, uint8, uint32, uint64
from pellucid.errors import shape_text
from pellucid.formula.expr import Expr, axis, given, is_nan, load, select
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, dense, like
from pellucid.operators.arguments import require_tensor
from pellucid.operators.define import both, deliver, wrap_dim
from pellucid.operators.rows import WrittenRule
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.return_types import return_type
from pellucid.runtime import native
from pellucid.tensor import Tensor, array_of, empty_like_layout

Array = np.ndarray[Any, Any]

# -- keys -------------------------------------------------------------------------------------------------------------


def rank_bits(dtype: DType) -> int:
    """How many bits a rank of this dtype has: 16, 32 or 64 (half precision is ranked as float32)."""
    return 8 * max(dtype.itemsize, 4 if dtype.is_floating_point else 2)


def rank_of(cell: Expr, largest_first: bool) -> Expr:
    """A uint32 (of which dtypes of up to 16 bits use 16) that is smaller the earlier the cell comes."""
    dtype = cell.dtype
    if dtype.is_floating_point:
        number = cell.cast(float32)
        bits = select(number.equals(0.0), 0.0, number).bitcast(int32)  # one zero
        rank = select(is_nan(number), 0x7FFFFFFF, select(bits < 0, bits ^ 0x7FFFFFFF, bits))
    else:
        rank = cell.cast(uint8).cast(int32) if dtype is bool_ else cell.cast(int32)
    unsigned = dtype.kind in "bu"
    if rank_bits(dtype) == 16:
        rank = rank if unsigned else rank + 0x8000
        return (0xFFFF - rank if largest_first else rank).cast(uint32)
    rank = rank if unsigned else rank ^ -0x80000000
    return (~rank if largest_first else rank).cast(uint32)


def _key_plan(x: Layout, d: int, largest_first: bool) -> Plan:
    """Rows of keys, of cells of up to 32 bits: ``out[.., j] = rank(x[.., j, ..]) << bits | j``."""
    order = [*(k for k in range(x.ndim) if k != d), d]
    shape = tuple(x.shape[k] for k in order)
    place = {k: axis(a) for a, k in enumerate(order)}
    rank = rank_of(load(0, x.dtype, tuple(place[k] for k in range(x.ndim))), largest_first)
    bits, kind = _places(x, d)
    key = (rank.cast(kind) << bits) | axis(x.ndim - 1).cast(kind)
    return kernel_plan(Formula("sort_keys", x.ndim, (Output(key),)), (x,), shape, [dense(shape, kind)])


def _places(x: Layout, d: int) -> tuple[int, DType]:
    """How many bits of a key are the place, and the key's dtype."""
    small = rank_bits(x.dtype) == 16 and x.shape[d] <= 1 << 16
    return (16, uint32) if small else (32, uint64)


_keys = PlanTable(_key_plan)


def _wide_order(rows: Array, largest_first: bool) -> Array:
    """The stable order of rows of 64-bit cells."""
    if rows.dtype.kind == "f":
        bits = np.where(rows == 0, 0.0, rows).view(np.int64)
        rank = np.where(bits < 0, bits ^ np.int64(0x7FFFFFFFFFFFFFFF), bits)
        rank[np.isnan(rows)] = np.iinfo(np.int64).max
    else:
        rank = rows
    if largest_first:
        rank = ~rank
    low, n = rank.min(), rows.shape[-1]
    if (int(rank.max()) - int(low)).bit_length() + 32 <= 64:
        return _packed_order((rank - low).astype(np.uint64))
    order = rank.argsort(axis=-1)
    ranked = np.take_along_axis(rank, order, -1)
    group = np.zeros(rows.shape, np.uint64)
    np.cumsum(ranked[..., 1:] != ranked[..., :-1], axis=-1, out=group[..., 1:])
    if (group[..., -1] == n - 1).all():
        return order.astype(np.uint64)
    group <<= np.uint64(32)
    group |= order.astype(np.uint64)
    group.sort(axis=-1)
    return group


def _packed_order(rank: Array) -> Array:
    rank <<= np.uint64(32)
    rank |= np.arange(rank.shape[-1], dtype=np.uint64)
    rank.sort(axis=-1)
    return rank


def sorted_keys(x: Tensor, d: int, largest_first: bool, most: int | None = None) -> Tensor:
    """Keys of each row of ``x`` along ``d``, in order; with ``most``, only that many. Their low bits are places."""
    layout = x.layout
    if rank_bits(layout.dtype) < 64:
        keys = _keys[layout, d, largest_first](x)
        rows = array_of(keys)
        if most is None:
            rows.sort(axis=-1)
            return keys
        if most < rows.shape[-1]:
            rows.partition(most - 1, axis=-1)
        rows = np.sort(rows[..., :most], axis=-1)
    else:
        rows = np.moveaxis(array_of(x), d, -1)
        rows = _wide_order(np.ascontiguousarray(rows), largest_first)[..., :most] if rows.size else rows.astype(np.uint64)
    result = empty_like_layout(dense(rows.shape, uint32 if rows.dtype == np.uint32 else uint64))
    array_of(result)[...] = rows
    return result


# -- results ----------------------------------------------------------------------------------------------------------


def _unpack_plan(x: Layout, d: int, keys: Layout, result: Layout, with_values: bool) -> Plan:
    """``indices[.., j, ..] = place of key[.., j]``, and ``values``: the cells there."""
    order = [*(k for k in range(x.ndim) if k != d), d]
    here = tuple(axis(order[a]) for a in range(x.ndim))
    place = (load(1, keys.dtype, here) & given("mask").cast(keys.dtype)).cast(int64)
    coords = tuple(axis(k) for k in range(x.ndim))
    value = load(0, x.dtype, (*coords[:d], place, *coords[d + 1 :]))
    outputs = (Output(value), Output(place)) if with_values else (Output(place),)
    layouts = [result, result.with_dtype(int64)] if with_values else [result.with_dtype(int64)]
    mask = (1 << _places(x, d)[0]) - 1
    shape = tuple(result.shape)
    return kernel_plan(Formula("sort", x.ndim, outputs), (x, keys), shape, layouts, given={"mask": mask})


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

    def plan(t: Tensor) -> Any:
        keys = sorted_keys(t, d, largest_first)
        pair = _unpacks[x, d, keys.layout, result, True](t, keys)
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
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool | None = False, *, out: Any = None) -> Any:
    """(values, indices) in ascending order along ``dim``: ``values[i,j] = input[i, indices[i,j]]``.

    Equal cells stay in their order, also without ``stable`` and when descending. NaN counts as the largest.

    Raises:
        IndexError: there is no such dimension; RuntimeError: complex cells.
    """
    require_tensor("sort", input)
    _require_flags("sort", dim, descending)
    pair = _sorts["sort", input.layout, dim, bool(descending)](input)
    return sort_result(pair if out is None else _delivered("sort", pair, out))


def _delivered(name: str, pair: Any, out: Any) -> Any:
    for result, own in zip(pair, out, strict=True):
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
    result = like(x)

    def plan(t: Tensor) -> Any:
        keys = sorted_keys(t, d, largest_first)
        return _unpacks[x, d, keys.layout, result, False](t, keys)

    return plan


_argsorts = PlanTable(_argsort_plan)


@both
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that `sort` gives: ``input.gather(dim, indices)`` is in order."""
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


def _topk_plan(x: Layout, k: int, dim: int, largest: bool) -> Plan:
    d = wrap_dim("topk", dim, x.ndim)
    if not 0 <= k <= (x.shape[d] if x.ndim else 1):
        raise RuntimeError(
            f"topk(): selected index k out of range: k={k}, dimension {d} of the input {shape_text(x.shape)}"
        )
    if x.dtype.is_complex or x.dtype is bool_:
        raise RuntimeError(f"topk(): topk does not support {'bool' if x.dtype is bool_ else 'complex'} dtypes on CPU")
    if x.ndim == 0:
        return lambda t: tuple([r[0] if k else r for r in _topks[t.reshape(1).layout, k, 0, largest](t.reshape(1))])
    result = dense([k if a == d else n for a, n in enumerate(x.shape)], x.dtype)
    record = _recorder("topk", x, d, result)

    def plan(t: Tensor) -> Any:
        keys = sorted_keys(t, d, largest, k) if k else empty_like_layout(dense(result.shape, uint64))
        pair = _unpacks[x, d, keys.layout, result, True](t, keys)
        if record is not None and native.recorded(t):
            record(*pair, t)
        return pair

    return plan


_topks = PlanTable(_topk_plan)
topk_result = return_type("topk", "values", "indices")


@both
def topk(
    input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True, *, out: Any = None
) -> Any:
    """(values, indices) of the ``k`` largest cells along ``dim``, the largest first; or of the smallest ones.

    NaN counts as the largest; of equal cells the first come first. Without ``sorted`` the order is the same.

    Raises:
        RuntimeError: ``k`` is more than there are cells, or cells without an order.
    """
    require_tensor("topk", input)
    pair = _topks[input.layout, k, dim, bool(largest)](input)
    return topk_result(pair if out is None else _delivered("topk", pair, out))
