"""New tensors with the same number in each cell, or with nothing in particular.

    full      out[...] = value

Each has three forms: by sizes (``zeros(2, 3)``), after another tensor (``zeros_like(x)``), and in a tensor's dtype
(``x.new_zeros(2, 3)``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid import dtypes
from pellucid.devices import default_device
from pellucid.dtypes import DType
from pellucid.layout import CPU, MOST_BYTES, Layout, Size, dense, layout_of, like, span
from pellucid.memory_format import (
    channels_last_strides,
    contiguous_format,
    formatted,
    memory_format,
    preserve_format,
    require_memory_format,
)
from pellucid.operators.arguments import (
    checked_dtype,
    finished,
    not_a_tensor,
    place,
    require_out_dtype,
    require_tensor,
    sizes_of,
)
from pellucid.operators.copying import copy_, fill_, fill_formula, plain_number
from pellucid.operators.define import method, public
from pellucid.plan import MOST_PLANS, Plan, PlanTable, kernel_plan
from pellucid.runtime import native
from pellucid.tensor import Tensor, empty_like_layout

_default_dtype = dtypes.get_default_dtype


def _full_plan(target: Layout, kind: type) -> Plan:
    formula = fill_formula(target.ndim, kind, target.dtype)
    return kernel_plan(formula, (kind,), tuple(target.shape), [target])


_fulls = PlanTable(_full_plan)  # by layout and the number's type


def filled(target: Layout, value: Any) -> Tensor:
    """A tensor of this (dense) layout with ``value`` in each cell.

    Raises:
        RuntimeError: the dtype cannot hold the value.
    """
    number = plain_number(value, target.dtype, "full")
    if isinstance(number, Tensor):
        return copy_(empty_like_layout(target), number)
    return _fulls[target, type(number)](number)


def into(operator: str, out: Tensor, target: Layout, dtype: DType | None) -> Tensor:
    """``out``, given the shape of ``target``.

    Raises:
        RuntimeError: a dtype was asked for that is not that of ``out``.
    """
    require_tensor(operator, out, "out")
    require_out_dtype(operator, out, None if dtype is None else target.dtype)
    return out.resize_(target.shape)


class _Layouts(dict[Any, Layout]):
    """Dense layouts by shape and dtype."""

    def __missing__(self, key: tuple[Any, DType]) -> Layout:
        shape, dtype = key
        made = dense(sizes_of("empty", shape), dtype)
        if len(self) >= MOST_PLANS:
            self.clear()
        self[key] = made
        return made


# -- by sizes -----------------------------------------------------------------------------------------------------


@public
def empty(
    *sizes: Any,
    size: Any = None,
    out: Tensor | None = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: memory_format = contiguous_format,
) -> Tensor:
    """A tensor whose cells hold whatever the memory held. Sizes as numbers or as one sequence."""
    if out is layout is device is size and memory_format is contiguous_format and not pin_memory:  # all None
        shape = sizes[0] if len(sizes) == 1 and type(sizes[0]) in _SHAPES else sizes
        if is_usual(shape, dtype):
            made = empty_like_layout(dense_of[shape, dtype or _default_dtype()])
            return finished(made, "empty", requires_grad) if requires_grad else made
    shape = sizes_of("empty", sizes if size is None else (size,))
    target = dense(shape, checked_dtype("empty", dtype), place("empty", device, layout, pin_memory))
    if memory_format is not contiguous_format:
        target = formatted(target, require_memory_format(memory_format, "empty"), "empty")
    if out is not None:
        return into("empty", out, target, dtype)
    return finished(empty_like_layout(target), "empty", requires_grad)


@public
def empty_strided(
    size: Any,
    stride: Any,
    *,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of this shape and these strides (in elements), not initialised. Strides may be negative.

    Raises:
        RuntimeError: another number of strides than of sizes.
    """
    where = place("empty_strided", device, layout, pin_memory)
    made = _strided("empty_strided", size, stride, checked_dtype("empty_strided", dtype), where)
    return finished(made, "empty_strided", requires_grad)


def _strided(operator: str, size: Any, stride: Any, dtype: DType, where: Any) -> Tensor:
    shape, strides = sizes_of(operator, (size,)), tuple(stride)
    if len(shape) != len(strides):
        raise RuntimeError(
            f"{operator}(): dimensionality of sizes ({len(shape)}) must match dimensionality of strides "
            f"({len(strides)}): give a stride for each dimension"
        )
    target = layout_of(shape, strides, dtype, where)
    low, high = span(target)
    if (high - low) * dtype.itemsize > MOST_BYTES:
        raise RuntimeError(
            f"{operator}(): Storage size calculation overflowed with sizes={list(shape)} and strides={list(strides)}"
        )
    storage = native.alloc((high - low) * dtype.itemsize)
    return native.new_tensor(target, storage, storage.ptr - low * dtype.itemsize)


@public
def empty_permuted(
    size: Any,
    physical_layout: Any,
    *,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A dense tensor whose dimensions lie in memory in the order ``physical_layout``, not initialised.

    Raises:
        RuntimeError: that is no order of the dimensions.
    """
    shape, order = sizes_of("empty_permuted", (size,)), tuple(physical_layout)
    if sorted(order) != list(range(len(shape))):
        raise RuntimeError(f"empty_permuted(): Duplicate dim not allowed, nor missing ones: {order} for shape {shape}")
    strides = channels_last_strides(shape, order)
    where = place("empty_permuted", device, layout, pin_memory)
    target = layout_of(shape, strides, checked_dtype("empty_permuted", dtype), where)
    return finished(empty_like_layout(target), "empty_permuted", requires_grad)


def _constant(name: str, value: int) -> Callable[..., Tensor]:
    """``zeros`` or ``ones``."""
    plans = PlanTable(lambda shape, dtype: _fulls[dense(sizes_of(name, shape), dtype), int])

    def function(
        *sizes: Any,
        size: Any = None,
        out: Tensor | None = None,
        dtype: DType | None = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        pin_memory: bool = False,
    ) -> Tensor:
        if out is layout is device is size and not pin_memory:  # all None
            shape = sizes[0] if len(sizes) == 1 and type(sizes[0]) in _SHAPES else sizes
            if is_usual(shape, dtype):
                made = plans[shape, dtype or _default_dtype()](value)
                return finished(made, name, requires_grad) if requires_grad else made
        shape = sizes_of(name, sizes if size is None else (size,))
        target = dense(shape, checked_dtype(name, dtype), place(name, device, layout, pin_memory))
        if out is not None:
            return fill_(into(name, out, target, dtype), value)
        return finished(filled(target, value), name, requires_grad)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``out[...] = {value}``. Sizes as numbers or as one sequence; the default dtype unless given."
    return public(function)


_SHAPES = frozenset({tuple, Size})


def is_usual(shape: tuple[Any, ...], dtype: Any) -> bool:
    """Integers, a dtype, the CPU: what is looked up without further checks. (2.0 and 2 are the same key, but their
    sums are of different types.)"""
    try:
        whole = type(sum(shape)) is int
    except TypeError:
        return False
    return whole and (dtype is None or type(dtype) is DType) and default_device() is CPU


dense_of = _Layouts()
_OWN_DTYPES = {bool: dtypes.bool_, int: dtypes.int64, float: None}  # None: the default dtype


zeros = _constant("zeros", 0)
ones = _constant("ones", 1)


@public
def full(
    size: Any,
    fill_value: Any,
    *,
    out: Tensor | None = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """``out[...] = fill_value``. Without ``dtype`` it follows the value: bool, int64, the default dtype, complex.

    Raises:
        RuntimeError: the dtype cannot hold the value. TypeError: ``size`` is not a sequence.
    """
    bare = out is None and dtype is None and layout is None and device is None and not pin_memory
    if bare and type(size) in _SHAPES and type(fill_value) in _OWN_DTYPES and is_usual(size, None):
        target = dense_of[size, _OWN_DTYPES[type(fill_value)] or _default_dtype()]
        return finished(filled(target, fill_value), "full", requires_grad)
    if not isinstance(size, tuple | list):
        raise TypeError(f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}")
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    kind = dtypes.infer_scalar_dtype(_plain(value)) if dtype is None else checked_dtype("full", dtype)
    target = dense(sizes_of("full", (size,)), kind, place("full", device, layout, pin_memory))
    if out is not None:
        return fill_(into("full", out, target, dtype), value)
    return finished(filled(target, value), "full", requires_grad)


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's: only their category counts."""
    return value.item() if hasattr(value, "item") else value


@public
def scalar_tensor(
    s: Any,
    *,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor without dimensions, of the default dtype unless another is given."""
    s = s.item() if isinstance(s, Tensor) else s
    where = place("scalar_tensor", device, layout, pin_memory)
    made = filled(dense((), checked_dtype("scalar_tensor", dtype), where), s)
    return finished(made, "scalar_tensor", requires_grad)


# -- after another tensor -----------------------------------------------------------------------------------------


def like_target(
    operator: str, input: Any, dtype: Any, layout: Any, device: Any, pin_memory: bool, format: Any
) -> Layout:
    """The layout of a new tensor after ``input``."""
    if not isinstance(input, Tensor):
        not_a_tensor(operator, input)
    kind = input.layout.dtype if dtype is None else checked_dtype(operator, dtype)
    place(operator, input.layout.device if device is None else device, layout, pin_memory)
    if format is None or format is preserve_format:
        return like(input.layout, kind)
    return formatted(input.layout.with_dtype(kind), require_memory_format(format, operator), operator)


@public
def empty_like(
    input: Tensor,
    *,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: memory_format | None = preserve_format,
) -> Tensor:
    """A tensor of the shape, dtype and (unless it has holes) strides of ``input``, not initialised."""
    target = like_target("empty_like", input, dtype, layout, device, pin_memory, memory_format)
    return finished(empty_like_layout(target), "empty_like", requires_grad)


def _constant_like(name: str, value: int) -> Callable[..., Tensor]:
    """``zeros_like`` or ``ones_like``."""
    plans = PlanTable(lambda layout: _fulls[like(layout), int])

    def function(
        input: Tensor,
        *,
        dtype: DType | None = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        pin_memory: bool = False,
        memory_format: memory_format | None = preserve_format,
    ) -> Tensor:
        if dtype is layout is device and memory_format is preserve_format and isinstance(input, Tensor):
            made = plans[input.layout](value)
        else:
            made = filled(like_target(name, input, dtype, layout, device, pin_memory, memory_format), value)
        return finished(made, name, requires_grad) if requires_grad else made

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``out[...] = {value}`` in the shape, dtype and (unless it has holes) strides of ``input``."
    return public(function)


zeros_like = _constant_like("zeros_like", 0)
ones_like = _constant_like("ones_like", 1)


@public
def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: memory_format | None = preserve_format,
) -> Tensor:
    """``out[...] = fill_value`` in the shape, dtype and (unless it has holes) strides of ``input``."""
    target = like_target("full_like", input, dtype, layout, device, pin_memory, memory_format)
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    return finished(filled(target, value), "full_like", requires_grad)


# -- in a tensor's dtype ------------------------------------------------------------------------------------------


def _new_target(
    operator: str, input: Tensor, size: tuple[Any, ...], dtype: Any, layout: Any, device: Any, pin_memory: bool
) -> Layout:
    kind = input.layout.dtype if dtype is None else checked_dtype(operator, dtype)
    where = place(operator, input.layout.device if device is None else device, layout, pin_memory)
    return dense(sizes_of(operator, size), kind, where)


@method
def new_empty(
    input: Tensor,
    *sizes: Any,
    size: Any = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """``empty`` in the dtype of ``input``."""
    shape = sizes if size is None else (size,)
    target = _new_target("new_empty", input, shape, dtype, layout, device, pin_memory)
    return finished(empty_like_layout(target), "new_empty", requires_grad)


@method
def new_empty_strided(
    input: Tensor,
    size: Any,
    stride: Any,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """``empty_strided`` in the dtype of ``input``."""
    target = _new_target("new_empty_strided", input, (size,), dtype, layout, device, pin_memory)
    made = _strided("new_empty_strided", size, stride, target.dtype, target.device)
    return finished(made, "new_empty_strided", requires_grad)


def _new_constant(name: str, value: int) -> Callable[..., Tensor]:
    """``new_zeros`` or ``new_ones``."""

    def function(
        input: Tensor,
        *sizes: Any,
        size: Any = None,
        dtype: DType | None = None,
        device: Any = None,
        requires_grad: bool = False,
        layout: Any = None,
        pin_memory: bool = False,
    ) -> Tensor:
        shape = sizes if size is None else (size,)
        target = _new_target(name, input, shape, dtype, layout, device, pin_memory)
        return finished(_fulls[target, int](value), name, requires_grad)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``out[...] = {value}`` in the dtype of ``input``."
    return method(function)


new_zeros = _new_constant("new_zeros", 0)
new_ones = _new_constant("new_ones", 1)


@method
def new_full(
    input: Tensor,
    size: Any,
    fill_value: Any,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """``out[...] = fill_value`` in the dtype of ``input``."""
    target = _new_target("new_full", input, (size,), dtype, layout, device, pin_memory)
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    return finished(filled(target, value), "new_full", requires_grad)
