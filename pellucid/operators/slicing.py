"""``x[...]`` and ``x[...] = value``.

Integers, slices, None and Ellipsis choose a view (basic indexing). Index tensors, lists, NumPy arrays and masks
gather into new memory (advanced indexing); what is basic in such an index is taken first, as a view.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from pellucid.autograd.places import note_write
from pellucid.dtypes import DType, bfloat16, bool_, float16, int32, int64, uint8
from pellucid.errors import shape_text
from pellucid.layout import Layout, View, overlaps_itself, selected, sliced, unsqueezed
from pellucid.operators.advanced import Shape, put, take_cells, take_plan
from pellucid.operators.copying import clone, fill_formula, plain_number
from pellucid.operators.define import both, method
from pellucid.operators.masks import put_masked, take_masked
from pellucid.operators.nested import from_cells, from_sequence
from pellucid.operators.viewing import Part, same_tensor
from pellucid.plan import MOST_PLANS, Plan, PlanTable, kernel_plan
from pellucid.runtime import native
from pellucid.tensor import Tensor, array_of

# An item of a basic index, as the plans know it: an int, a (start, stop, step), None or Ellipsis.
Item = Any
WHOLE = (None, None, None)

# -- basic ------------------------------------------------------------------------------------------------------------


def _basic_plan(x: Layout, *items: Item) -> Plan:
    named = sum(1 for item in items if item is not None and item is not ...)
    if named > x.ndim:
        _complain_too_many(x, items)
    picked(x, items)
    return Part(_node_name(items), partial(_picked, items)).view(x)


def _complain_too_many(x: Layout, items: Sequence[Item]) -> None:
    if x.ndim == 0 and len(items) == 1 and not isinstance(items[0], Layout):
        if isinstance(items[0], tuple):
            raise IndexError("x[...]: a slice cannot be applied to a 0-dim tensor; x[None] adds a dimension.")
        raise IndexError("invalid index of a 0-dim tensor. Use `tensor.item()` to convert a 0-dim tensor to a number")
    named = sum(_consumes(item) for item in items)
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
    if type(index) is int:
        return _basics[x.layout, index](x)
    if type(index) is slice:
        return _basics[x.layout, _slice_key(index)](x)
    key, tensors = _parsed(x, index)
    if tensors:
        return _picks[key](x, *tensors)
    return _basics[key](x)


# -- an index taken apart ---------------------------------------------------------------------------------------------


def _parsed(x: Tensor, index: Any) -> tuple[tuple[Any, ...], list[Tensor]]:
    """The key of an index (the layout of ``x``, then an item for each of its parts; a tensor is told by its layout),
    and its tensors: int64 or int32 indices and masks."""
    key: list[Any] = [x.layout]
    tensors: list[Tensor] = []
    for item in index if type(index) is tuple else _items(index):
        kind = type(item)
        if kind is int or item is None or item is ...:
            key.append(item)
        elif kind is slice:
            key.append(_slice_key(item))
        else:
            item = _normal(item)
            if isinstance(item, Tensor):
                tensors.append(item)
                item = item.layout
            key.append(item)
    return tuple(key), tensors


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
    """What is not basic as an index tensor or a mask, or as an int.

    Raises:
        IndexError, TypeError: it cannot be an index.
    """
    if isinstance(item, Tensor):
        layout = item.layout
        if layout.ndim and (layout.dtype is int64 or layout.dtype is bool_ or layout.dtype is int32):
            return item
        return _normal_tensor(item)
    if isinstance(item, bool):
        return _tensor(np.array(item))
    if isinstance(item, np.ndarray):
        return _normal_tensor(_tensor(item))
    if isinstance(item, str | bytes):
        raise TypeError(f"x[...]: invalid index of type {type(item).__name__} ({item!r}); use integers or slices")
    if isinstance(item, Sequence):
        return _normal_tensor(_listed(item))
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


def _listed(item: Sequence[Any]) -> Tensor:
    """The tensor of a nested list of integers, or of booleans."""
    try:
        return from_sequence(item, None if len(item) else int64)
    except ValueError as error:
        raise IndexError(f"x[...]: a list used as an index must be a regular array of integers: {error}") from None


def _tensor(array: np.ndarray[Any, Any]) -> Tensor:
    """An index tensor with the values of a NumPy array.

    Raises:
        IndexError: they are neither integers nor booleans.
    """
    if array.dtype.kind not in "biu":
        raise IndexError(
            f"tensors used as indices must be long, int, byte or bool tensors, not an array of {array.dtype}"
        )
    return from_cells(array, bool_ if array.dtype.kind == "b" else uint8 if array.dtype == np.uint8 else int64)


# -- where an index points --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """The view that the basic part of an index chooses (None: the tensor itself), its layout, and the dimension of it
    from which each tensor of the index picks."""

    view: Plan | None
    target: Layout
    dims: tuple[int, ...]
    tensors: tuple[Layout, ...]

    @property
    def masks(self) -> int:
        return sum(1 for t in self.tensors if t.dtype is bool_)


@lru_cache(MOST_PLANS)
def _place(x: Layout, *items: Any) -> Place:
    rest = x.ndim - sum(_consumes(item) for item in items)
    if rest < 0:
        _complain_too_many(x, items)
    basic: list[Item] = []
    dims: list[int] = []
    dim = 0
    for item in items:
        if isinstance(item, Layout):
            dims.append(dim)
            width = item.ndim if item.dtype is bool_ else 1
            # A number True or False has a dimension of its own.
            basic += [WHOLE] * width or [None]
            dim += width or 1
        else:
            basic.append(item)
            dim += rest if item is ... else 0 if isinstance(item, int) else 1
    target, _ = picked(x, basic)
    tensors = tuple(item for item in items if isinstance(item, Layout))
    for d, t in zip(dims, tensors, strict=True):
        _require_mask_fits(target, d, t)
    whole = all(item is ... or item == WHOLE for item in basic)
    return Place(None if whole else _basics[x, *basic], target, tuple(dims), tensors)


def _consumes(item: Any) -> int:
    """How many dimensions of the tensor an item names."""
    if isinstance(item, Layout):
        return item.ndim if item.dtype is bool_ else 1
    return 0 if item is None or item is ... else 1


def _require_mask_fits(target: Layout, dim: int, mask: Layout) -> None:
    if mask.dtype is not bool_:
        return
    for k, n in enumerate(mask.shape):
        if n != target.shape[dim + k]:
            raise IndexError(
                f"The shape of the mask {list(mask.shape)} at index {k} does not match the shape of the indexed tensor "
                f"{list(target.shape)} at index {dim + k}"
            )


def _coordinates(place: Place, tensors: Sequence[Tensor]) -> tuple[Shape, list[Tensor]]:
    """An index tensor for each dimension that is picked from; those of a mask say where it is true."""
    dims: list[int] = []
    indices: list[Tensor] = []
    for d, t in zip(place.dims, tensors, strict=True):
        if t.layout.dtype is not bool_:
            found = [t]
        elif t.layout.ndim == 0:
            found = [_tensor(np.zeros(int(array_of(t)), np.int64))]
        else:
            found = [_tensor(where) for where in np.nonzero(array_of(t))]
        dims += range(d, d + len(found))
        indices += found
    return tuple(dims), indices


def _pick_plan(x: Layout, *items: Any) -> Plan:
    place = _place(x, *items)
    view = place.view or same_tensor
    if not place.masks:
        take = take_plan(place.target, place.dims, *place.tensors)
        return take if place.view is None else lambda t, *indices: take(view(t), *indices)
    if len(place.tensors) == 1 and place.tensors[0].ndim:
        (dim,) = place.dims
        return lambda t, mask: take_masked(view(t), dim, mask)
    return lambda t, *tensors: take_cells(view(t), *_coordinates(place, tensors))


_picks = PlanTable(_pick_plan)


# -- writing ----------------------------------------------------------------------------------------------------------


@method
def __setitem__(x: Tensor, index: Any, value: Any) -> None:
    """``x[index] = value``, a number or a tensor that broadcasts to the picked cells.

    Nothing is written unless all of it can be.

    Raises:
        IndexError: as for reading; TypeError: the value is neither a number nor a tensor;
        RuntimeError: the value does not broadcast, or (with index tensors) has another dtype.
    """
    key, tensors = _parsed(x, index)
    if isinstance(value, Tensor):
        shape = value.layout.shape
        if (len(shape) > 1 and shape[0] == 1) or (len(shape) == 1 and value.layout.numel == 1):
            leading = next((k for k, n in enumerate(shape) if n != 1), len(shape))
            value = value.reshape(shape[leading:])
    elif not isinstance(value, int | float | complex | np.integer):
        raise TypeError(
            f"can't assign a {type(value).__name__} to a {x.layout.dtype!r} tensor; make a tensor of it by tensor(...)"
        )
    elif x.layout.dtype in _HALVES and not isinstance(value, complex):
        value = _rounded(value, x.layout.dtype)
    if tensors:
        _store(x, _place(*key), tensors, value, False)
    elif isinstance(value, Tensor):
        _basics[key](x).copy_(value)
    elif (type(value) is float or type(value) is int) and not x.tracked and x.base is None:
        number = plain_number(value, x.layout.dtype, "__setitem__")
        if isinstance(number, Tensor):
            _basics[key](x).copy_(number)
        else:
            _number_writes[type(number), *key](x, number)
    else:
        target = _basics[key](x)
        _require_apart(target.layout)
        target.fill_(value)


_HALVES = frozenset({float16, bfloat16})


def _rounded(value: Any, dtype: DType) -> float:
    """A number as half precision keeps it, infinite beyond its range: ``scores[mask] = -1e9`` is a common idiom."""
    with np.errstate(over="ignore"):
        return float(np.float64(value).astype(dtype.numpy))


def _require_apart(target: Layout) -> None:
    if overlaps_itself(target):
        raise RuntimeError(
            "x[...] = value: unsupported operation: more than one element of the written-to tensor "
            f"{shape_text(target.shape)} refers to a single memory location (it was expanded). "
            "Please clone() the tensor before performing the operation."
        )


def _number_plan(kind: type, x: Layout, *items: Item) -> Plan:
    """``x[items] = value`` of a tensor through which no gradient flows: its view, filled."""
    view, (target, _) = _basics[x, *items], picked(x, items)
    _require_apart(target)
    formula = fill_formula(target.ndim, kind, target.dtype)
    fill = kernel_plan(formula, (kind,), tuple(target.shape), [target], in_place=True)

    def plan(t: Tensor, value: int | float) -> None:
        fill(view(t), value)
        if native.grad_enabled():
            note_write(t.storage)

    return plan


_number_writes = PlanTable(_number_plan)


def _store(x: Tensor, place: Place, tensors: Sequence[Tensor], value: Any, accumulate: bool) -> None:
    target = x if place.view is None else place.view(x)
    if not place.masks:
        put(target, place.dims, tensors, value, accumulate)
    elif len(tensors) == 1 and place.tensors[0].ndim and not accumulate:
        put_masked(target, place.dims[0], tensors[0], value)
    else:
        put(target, *_coordinates(place, tensors), value, accumulate)


@both
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
    key, tensors = _parsed(input, tuple(slice(None) if i is None else i for i in indices))
    if tensors:
        _store(input, _place(*key), tensors, values, accumulate)
        return input
    raise RuntimeError("index_put_(): at least one index tensor must be given, but indices hold none; use copy_")


@both
def index_put(
    input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False
) -> Tensor:
    """A copy of ``input`` in which the cells at ``indices`` are ``values``: see `index_put_`."""
    return index_put_(clone(input), indices, values, accumulate)
