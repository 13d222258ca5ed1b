"""``x[...]`` and ``x[...] = value``.

Integers, slices, None and Ellipsis choose a view (basic indexing). Index tensors, lists, NumPy arrays and masks
gather into new memory (advanced indexing); what is basic in such an index is taken first, as a view.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from pellucid.dtypes import bool_, int32, int64, uint8
from pellucid.errors import shape_text
from pellucid.layout import Layout, View, dense, selected, sliced, unsqueezed
from pellucid.operators.advanced import put, take_cells
from pellucid.operators.copying import clone
from pellucid.operators.define import both, method
from pellucid.operators.viewing import Part
from pellucid.operators.views import view
from pellucid.plan import Plan, PlanTable
from pellucid.tensor import Tensor, array_of, empty_like_layout, tensor_on

# An item of a basic index, as the plans know it: an int, a (start, stop, step), None or Ellipsis.
Item = Any

# -- basic ------------------------------------------------------------------------------------------------------------


def _basic_plan(x: Layout, *items: Item) -> Plan:
    named = sum(1 for item in items if item is not None and item is not ...)
    if named > x.ndim:
        _complain_too_many(x, items)
    picked(x, items)
    return Part(_node_name(items), partial(_picked, items)).view(x)


def _complain_too_many(x: Layout, items: Sequence[Item]) -> None:
    if x.ndim == 0 and items == (items[0],):
        if isinstance(items[0], tuple):
            raise IndexError("x[...]: a slice cannot be applied to a 0-dim tensor; x[None] adds a dimension.")
        raise IndexError("invalid index of a 0-dim tensor. Use `tensor.item()` to convert a 0-dim tensor to a number")
    named = sum(1 for item in items if item is not None and item is not ...)
    raise IndexError(
        f"too many indices for tensor of dimension {x.ndim}: its shape is {shape_text(x.shape)}, the index names "
        f"{named} dimensions"
    )


def _picked(items: tuple[Item, ...], x: Layout) -> View:
    return picked(x, items)


def picked(x: Layout, items: Sequence[Item]) -> View:
    """The view that a basic index chooses.

    Raises:
        IndexError: an integer outside of its dimension; ValueError: a slice with step 0.
    """
    rest = x.ndim - sum(1 for item in items if item is not None and item is not ...)
    view, dim, offset, own = x, 0, 0, 0
    for item in items:
        if item is None:
            view = unsqueezed(view, dim)
            dim += 1
        elif item is ...:
            dim, own = dim + rest, own + rest
        elif isinstance(item, int):
            n = view.shape[dim] if dim < view.ndim else 0
            if not -n <= item < n:
                raise IndexError(
                    f"index {item} is out of bounds for dimension {own} with size {n}: the tensor's shape is "
                    f"{shape_text(x.shape)}, so indexes are from {-n} to {n - 1}"
                )
            view, further = selected(view, dim, item % n)
            offset, own = offset + further, own + 1
        else:
            start, stop, step = slice(*item).indices(view.shape[dim])
            length = len(range(start, stop, step))
            view, further = sliced(view, dim, start if length or step > 0 else 0, length, step)
            offset, dim, own = offset + further, dim + 1, own + 1
    return view, offset


def _node_name(items: Sequence[Item]) -> str:
    """The last step names the node, as if each had been a call of its own."""
    for item in reversed(items):
        if item is not ...:
            kind = "Unsqueeze" if item is None else "Select" if isinstance(item, int) else "Slice"
            return f"{kind}Backward0"
    return "AliasBackward0"


_basics = PlanTable(_basic_plan)


@method
def __getitem__(x: Tensor, index: Any) -> Tensor:
    """``x[index]``: a view for integers, slices, None and Ellipsis; a copy of picked cells for tensors, lists, masks.

    Raises:
        IndexError: an index outside of its dimension, more indices than dimensions, an index of an unfit type.
    """
    kind = type(index)
    if kind is int:
        return _basics[x.layout, index](x)
    if kind is tuple:
        key: list[Any] = [x.layout]
        for item in index:
            kind = type(item)
            if kind is int or item is None or item is ...:
                key.append(item)
            elif kind is slice:
                key.append(_slice_key(item))
            else:
                break
        else:
            return _basics[tuple(key)](x)
    elif kind is slice:
        return _basics[x.layout, _slice_key(index)](x)
    elif index is None or index is ...:
        return _basics[x.layout, index](x)
    target, dims, indices, _ = located(x, index)
    return take_cells(target, dims, indices) if dims else target


def _slice_key(s: slice) -> tuple[Any, Any, Any]:
    start, stop, step = s.start, s.stop, s.step
    if (
        (type(start) is int or start is None)
        and (type(stop) is int or stop is None)
        and (type(step) is int or step is None)
    ):
        return start, stop, step
    return tuple(None if v is None else _bound(v) for v in (start, stop, step))  # type: ignore[return-value]


def _bound(value: Any) -> int:
    try:
        return int(value.__index__())
    except AttributeError:
        raise TypeError(
            f"x[...]: slice indices must be integers or None or have an __index__ method, not {type(value).__name__} "
            f"({value!r}); use // for divisions whose result is an index"
        ) from None


# -- what else can stand in an index ----------------------------------------------------------------------------------


def located(x: Tensor, index: Any) -> tuple[Tensor, tuple[int, ...], tuple[Tensor, ...], Tensor | None]:
    """An index taken apart: the view that its basic part chooses, and the dimensions of that view that index tensors
    pick from. The last result is the mask, if a mask is all there is beside full slices."""
    items = [_normal(item) for item in _items(index)]
    named = sum(_consumes(item) for item in items)
    rest = x.layout.ndim - named
    if rest < 0:
        raise IndexError(
            f"too many indices for tensor of dimension {x.layout.ndim}: its shape is {shape_text(x.layout.shape)}, the "
            f"index names {named} dimensions"
        )
    basic: list[Item] = []
    picks: list[tuple[int, Tensor]] = []
    dim = 0
    for item in items:
        if not isinstance(item, Tensor):
            basic.append(item)
            dim += rest if item is ... else 0 if isinstance(item, int) else 1
        elif item.layout.dtype is bool_:
            basic += [(None, None, None)] * item.layout.ndim or [None]
            picks.append((dim, item))
            dim += item.layout.ndim or 1
        else:
            basic.append((None, None, None))
            picks.append((dim, item))
            dim += 1
    target = x
    if not picks or any(item is not ... and item != (None, None, None) for item in basic):
        target = _basics[x.layout, *basic](x)
    mask = picks[0][1] if len(picks) == 1 and picks[0][1].layout.dtype is bool_ and picks[0][1].layout.ndim else None
    pairs = [pair for d, t in picks for pair in _coordinates(target, d, t)]
    return target, tuple(d for d, _ in pairs), tuple(t for _, t in pairs), mask


def _items(index: Any) -> Sequence[Any]:
    """The items of an index; a list that holds slices, tensors, lists ... means a tuple."""
    if isinstance(index, tuple):
        return index
    if isinstance(index, list) and len(index) < 32 and any(_is_index_part(item) for item in index):
        warnings.warn(
            "Using a non-tuple sequence for multidimensional indexing is deprecated; use x[tuple(seq)] instead of "
            "x[seq]",
            UserWarning,
            stacklevel=4,
        )
        return index
    return (index,)


def _is_index_part(item: Any) -> bool:
    return item is None or item is ... or isinstance(item, Tensor | slice | Sequence | np.ndarray)


def _normal(item: Any) -> Any:
    """An item as an int, a (start, stop, step), None, Ellipsis, an index tensor or a mask.

    Raises:
        IndexError, TypeError: it cannot be an index.
    """
    if item is None or item is ... or type(item) is int:
        return item
    if isinstance(item, slice):
        return _slice_key(item)
    if isinstance(item, bool):
        return _tensor(np.array(item))
    if isinstance(item, Tensor):
        return _normal_tensor(item)
    if isinstance(item, np.ndarray):
        return _normal_tensor(_tensor(item))
    if isinstance(item, str | bytes):
        raise TypeError(f"x[...]: invalid index of type {type(item).__name__} ({item!r}); use integers or slices")
    if isinstance(item, Sequence):
        return _normal_tensor(_tensor(_array(item)))
    if hasattr(item, "__index__"):
        return int(item.__index__())
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
        f"(got {type(item).__name__})"
    )


def _normal_tensor(item: Tensor) -> int | Tensor:
    dtype = item.layout.dtype
    if dtype is uint8:
        warnings.warn(
            "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.",
            UserWarning,
            stacklevel=5,
        )
        return _tensor(array_of(item) != 0)
    if dtype is bool_:
        return item
    if item.layout.ndim == 0 and dtype.kind in "iu":
        return int(array_of(item)[()])
    if dtype not in (int64, int32):
        raise IndexError(
            f"tensors used as indices must be long, int, byte or bool tensors, not {dtype!r}; convert it by .long()"
        )
    return item


def _array(item: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Nested lists of integers, or of booleans."""
    plain = [array_of(v) if isinstance(v, Tensor) else v for v in item]
    try:
        array = np.array(plain)
    except ValueError as error:
        raise IndexError(f"x[...]: a list used as an index must be a regular array of integers: {error}") from None
    return array.astype(np.int64) if array.size == 0 else array


def _tensor(array: np.ndarray[Any, Any]) -> Tensor:
    """An index tensor with the values of a NumPy array.

    Raises:
        IndexError: they are neither integers nor booleans.
    """
    if array.dtype.kind not in "biu":
        raise IndexError(
            f"tensors used as indices must be long, int, byte or bool tensors, not an array of {array.dtype}"
        )
    dtype = bool_ if array.dtype.kind == "b" else uint8 if array.dtype == np.uint8 else int64
    result = empty_like_layout(dense(array.shape, dtype))
    array_of(result)[...] = array
    return result


def _consumes(item: Any) -> int:
    """How many dimensions of the tensor an item names."""
    if isinstance(item, Tensor):
        return item.layout.ndim if item.layout.dtype is bool_ else 1
    return 0 if item is None or item is ... else 1


def _coordinates(target: Tensor, dim: int, item: Tensor) -> Iterator[tuple[int, Tensor]]:
    """An index tensor for each dimension that ``item`` names; those of a mask say where it is true."""
    if item.layout.dtype is not bool_:
        yield dim, item
        return
    mask, shape = array_of(item), target.layout.shape
    if mask.ndim == 0:
        yield dim, _tensor(np.zeros(int(mask), np.int64))
        return
    for k, n in enumerate(mask.shape):
        if n != shape[dim + k]:
            raise IndexError(
                f"The shape of the mask {list(mask.shape)} at index {k} does not match the shape of the indexed tensor "
                f"{list(shape)} at index {dim + k}"
            )
    for k, places in enumerate(np.nonzero(mask)):
        yield dim + k, tensor_on(np.ascontiguousarray(places), int64)


# -- writing ----------------------------------------------------------------------------------------------------------


@method
def __setitem__(x: Tensor, index: Any, value: Any) -> None:
    """``x[index] = value``, a number or a tensor that broadcasts to the picked cells.

    Nothing is written unless all of it can be.

    Raises:
        IndexError: as for reading; TypeError: the value is neither a number nor a tensor;
        RuntimeError: the value does not broadcast, or (with index tensors) has another dtype.
    """
    if not isinstance(value, Tensor | int | float | complex | np.integer):
        raise TypeError(
            f"can't assign a {type(value).__name__} to a {x.layout.dtype!r} tensor; make a tensor of it by tensor(...)"
        )
    target, dims, indices, mask = located(x, index)
    if not isinstance(value, Tensor):
        if mask is not None:
            rest = target.layout.ndim - dims[-1] - 1
            target.masked_fill_(view(mask, *mask.layout.shape, *(1,) * rest), value)
        elif dims:
            put(target, dims, indices, value, False)
        else:
            target.fill_(value)
        return
    shape = value.layout.shape
    leading = next((k for k, n in enumerate(shape) if n != 1), len(shape))
    if leading:
        value = value.reshape(shape[leading:])
    if dims:
        put(target, dims, indices, value, False)
    else:
        target.copy_(value)


@method
def index_put_(
    input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False
) -> Tensor:
    """``input[indices] = values``, or ``+=`` with ``accumulate`` (places that occur twice are added to twice).

    Raises:
        IndexError: an index is out of bounds (nothing is written then), or there are too many.
        RuntimeError: the values have another dtype or do not broadcast to the picked cells.
    """
    if not isinstance(values, Tensor):
        raise TypeError(f"index_put_(): argument 'values' must be Tensor, not {type(values).__name__}")
    target, dims, tensors, _ = located(input, tuple(slice(None) if i is None else i for i in indices))
    if not dims:
        raise IndexError("index_put_(): at least one index tensor must be given; indices hold none")
    put(target, dims, tensors, values, accumulate)
    return input


@both
def index_put(
    input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False
) -> Tensor:
    """A copy of ``input`` in which the cells at ``indices`` are ``values``: see `index_put_`."""
    return index_put_(clone(input), indices, values, accumulate)
