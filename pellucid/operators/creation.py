"""New tensors whose cells are known without other tensors: filled ones and counted ones.

    full      out[...] = value
    arange    out[i]   = start + i * step
    eye       out[i,j] = 1 if i == j else 0
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pellucid import dtypes
from pellucid.devices import default_device
from pellucid.dtypes import DType, bool_, float64, int64
from pellucid.formula.expr import axis, const, scalar, select, size
from pellucid.formula.formula import Formula, Output
from pellucid.layout import CPU, Layout, Size, dense, layout_of
from pellucid.memory_format import contiguous_format, formatted, memory_format, preserve_format, require_memory_format
from pellucid.operators.arguments import checked_dtype, finished, not_a_tensor, place, require_tensor, sizes_of
from pellucid.operators.copying import copy_, fill_formula, plain_number
from pellucid.operators.define import both, deliver, method, public
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.tensor import Tensor, empty_like_layout

_get_default_dtype = dtypes.get_default_dtype

# -- memory only --------------------------------------------------------------------------------------------------


@public
def empty(
    *size: Any,
    out: Tensor | None = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: memory_format = contiguous_format,
) -> Tensor:
    """A tensor whose cells hold whatever the memory held. Sizes as numbers or as one sequence."""
    target = dense(sizes_of("empty", _size_argument(size)), checked_dtype("empty", dtype), place("empty", device, layout, pin_memory))
    if memory_format is not contiguous_format:
        target = formatted(target, require_memory_format(memory_format, "empty"), "empty")
    if out is not None:
        return _into("empty", out, target, dtype)
    return finished(empty_like_layout(target), "empty", requires_grad)


def _size_argument(size: tuple[Any, ...]) -> tuple[Any, ...]:
    return size


def _into(operator: str, out: Tensor, target: Layout, dtype: DType | None) -> Tensor:
    """``out`` with the shape of ``target``. Raises RuntimeError for a dtype that is not that of ``out``."""
    require_tensor(operator, out, "out")
    if dtype is not None and out.layout.dtype is not target.dtype:
        raise RuntimeError(
            f"{operator}(): dtype {target.dtype.scalar_name} does not match dtype of out parameter "
            f"({out.layout.dtype.scalar_name}); leave dtype= out"
        )
    return out.resize_(target.shape)  # type: ignore[attr-defined,no-any-return]


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
    """A tensor of this shape and these strides (in elements), not initialised; strides may be negative.

    Raises:
        RuntimeError: another number of strides than of sizes.
    """
    shape, strides = sizes_of("empty_strided", (size,)), tuple(stride)
    if len(shape) != len(strides):
        raise RuntimeError(
            f"empty_strided(): dimensionality of sizes ({len(shape)}) must match dimensionality of strides "
            f"({len(strides)}): a stride for each dimension"
        )
    where = place("empty_strided", device, layout, pin_memory)
    return finished(
        _empty_with(layout_of(shape, strides, checked_dtype("empty_strided", dtype), where)), "empty_strided", requires_grad
    )


def _empty_with(target: Layout) -> Tensor:
    """Memory for any strides: from the lowest cell to the highest one."""
    from pellucid.layout import span
    from pellucid.runtime import native

    low, high = span(target)
    storage = native.alloc((high - low) * target.dtype.itemsize)
    return native.new_tensor(target, storage, storage.ptr - low * target.dtype.itemsize)  # type: ignore[no-any-return]


# -- one number everywhere ----------------------------------------------------------------------------------------


def _full_plan(target: Layout, kind: type) -> Plan:
    formula = fill_formula(target.ndim, kind, target.dtype)
    return kernel_plan(formula, (kind,), tuple(target.shape), [target])


_fulls = PlanTable(_full_plan)  # by layout and type of the number
_zeros = PlanTable(lambda size, dtype: _fulls[dense(sizes_of("zeros", size), dtype), int])
_ones = PlanTable(lambda size, dtype: _fulls[dense(sizes_of("ones", size), dtype), int])


def filled(target: Layout, value: Any) -> Tensor:
    """A tensor of this (dense) layout with ``value`` in each cell; the value must fit its dtype."""
    number = plain_number(value, target.dtype, "full")
    if isinstance(number, Tensor):
        return copy_(empty_like_layout(target), number)
    return _fulls[target, type(number)](number)  # type: ignore[no-any-return]


def _constant(name: str, value: int, plans: PlanTable) -> Callable[..., Tensor]:
    """``zeros`` and ``ones``."""

    def function(
        *size: Any,
        out: Tensor | None = None,
        dtype: DType | None = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        pin_memory: bool = False,
        names: None = None,
    ) -> Tensor:
        if "size" in () or out is not None or layout is not None or pin_memory or device is not None:
            return general(size, out, dtype, layout, device, requires_grad, pin_memory)
        if default_device() is not CPU or not _all_ints(size) or (dtype is not None and type(dtype) is not DType):
            return general(size, out, dtype, layout, device, requires_grad, pin_memory)
        made = plans[size, dtype or _get_default_dtype()](value)
        return finished(made, name, requires_grad) if requires_grad else made  # type: ignore[no-any-return]

    def general(
        size: tuple[Any, ...], out: Any, dtype: Any, layout: Any, device: Any, requires_grad: bool, pin_memory: bool
    ) -> Tensor:
        target = dense(sizes_of(name, size), checked_dtype(name, dtype), place(name, device, layout, pin_memory))
        if out is not None:
            return _into(name, out, target, dtype).fill_(value)  # type: ignore[attr-defined,no-any-return]
        return finished(filled(target, value), name, requires_grad)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"A tensor of {name}: ``out[...] = {value}``. Sizes as numbers or as one sequence."
    return public(function)


def _all_ints(size: tuple[Any, ...]) -> bool:
    return all([type(n) is int for n in size])


zeros = _constant("zeros", 0, _zeros)
ones = _constant("ones", 1, _ones)
