"""Copies: into a tensor, into a new one, with or without another dtype, and filling with one number."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from pellucid.autograd.derived import DerivedRule, differentiable_plan
from pellucid.autograd.graph import recorder
from pellucid.autograd.inplace import in_place
from pellucid.autograd.places import note_write
from pellucid.dtypes import DType, bool_, complex128, finfo, float64, iinfo, int64
from pellucid.errors import shape_text
from pellucid.formula.expr import load, scalar
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, broadcast_shapes, dense, like, overlaps_itself, span
from pellucid.memory_format import (
    contiguous_format,
    formatted,
    has_format,
    memory_format,
    preserve_format,
    require_memory_format,
)
from pellucid.operators.define import both, method, public
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.runtime import native
from pellucid.tensor import Tensor, empty_like_layout

# -- into new memory ----------------------------------------------------------------------------------------------


def _duplicate_plan(source: Layout, target: Layout, name: str) -> Plan:
    """``out[...] = x[...]``, converted to the dtype of ``target``."""
    _warn_of_lost_parts(source, target)
    formula = Formula("copy", source.ndim, (Output(load(0, source.dtype).cast(target.dtype)),))
    return differentiable_plan(formula, (source,), tuple(source.shape), [target], name=name)


def _warn_of_lost_parts(source: Layout, target: Layout) -> None:
    if source.dtype.is_complex and not target.dtype.is_complex and target.dtype is not bool_:
        warnings.warn(
            "Casting complex values to real discards the imaginary part: take x.real, or x.abs()", UserWarning, stacklevel=5
        )


_duplicates = PlanTable(_duplicate_plan)
_clones = PlanTable(lambda source: _duplicates[source, like(source), "CloneBackward0"])
_conversions = PlanTable(lambda source, dtype: _duplicates[source, like(source, dtype), "ToCopyBackward0"])


@both
def clone(input: Tensor, *, memory_format: memory_format | None = None) -> Tensor:
    """A copy in memory of its own: ``out[...] = input[...]``; gradients flow through.

    Strides are those of ``input`` if it has no holes and no overlaps, or follow ``memory_format``.
    """
    if memory_format is None or memory_format is preserve_format:
        return _clones[input.layout](input)
    wanted = formatted(input.layout, require_memory_format(memory_format, "clone"), "clone")
    return _duplicates[input.layout, wanted, "CloneBackward0"](input)


@method
def contiguous(input: Tensor, memory_format: memory_format = contiguous_format) -> Tensor:
    """``input`` itself if its memory has the wanted order, else a copy that has it."""
    if memory_format is contiguous_format:
        if input.layout.contiguous:
            return input
    elif has_format(input.layout, require_memory_format(memory_format, "contiguous"), "contiguous"):
        return input
    return clone(input, memory_format=memory_format)


def converted(input: Tensor, dtype: DType, format: memory_format = preserve_format) -> Tensor:
    """A copy of ``input`` in another dtype; gradients come back in its own."""
    if format is preserve_format:
        return _conversions[input.layout, dtype](input)
    target = formatted(input.layout.with_dtype(dtype), format, "to")
    return _duplicates[input.layout, target, "ToCopyBackward0"](input)


# -- into a tensor that is there ----------------------------------------------------------------------------------


def _copy_plan(target: Layout, source: Layout) -> Plan:
    """``target[...] = source[...]``, broadcast and converted."""
    if overlaps_itself(target):
        raise RuntimeError(
            "copy_(): unsupported operation: more than one element of the written-to tensor "
            f"{shape_text(target.shape)} refers to a single memory location (it was expanded). "
            "Please clone() the tensor before performing the operation."
        )
    shape = broadcast_shapes(source.shape, target.shape)
    if shape is None:
        raise RuntimeError(
            f"copy_(): source {shape_text(source.shape)} does not broadcast to the written-to tensor "
            f"{shape_text(target.shape)}: The size of tensor a must match the size of tensor b, or be 1, at every "
            "dimension counted from the right; reshape one of them"
        )
    if shape != target.shape:
        raise RuntimeError(
            f"copy_(): output with shape {list(target.shape)} doesn't match the broadcast shape {list(shape)}: "
            "copying cannot grow the tensor that it writes into"
        )
    _warn_of_lost_parts(source, target)
    formula = Formula("copy", target.ndim, (Output(load(0, source.dtype).cast(target.dtype)),))
    write = kernel_plan(formula, (source,), shape, [target], in_place=True)
    record = None
    if target.dtype.is_floating_point or target.dtype.is_complex:
        rule = DerivedRule(formula, (source,), shape, None, "CopyBackwards")
        record = recorder(rule, [target], (source,))

    def plan(x: Tensor, y: Tensor) -> Any:
        if x.tracked or y.tracked or x.base is not None:
            return in_place(x, lambda: write(x, y), record, y)
        write(x, y)
        if native.grad_enabled():
            note_write(x.storage)
        return x

    return plan


_copies = PlanTable(_copy_plan)


@method
def copy_(input: Tensor, other: Any, non_blocking: bool = False) -> Tensor:
    """``input[...] = other[...]``: ``other`` is broadcast and converted; gradients flow to ``other``.

    Both may share memory: what is written are the values from before the call.

    Raises:
        RuntimeError: the shapes do not broadcast, or cells of ``input`` share memory.
    """
    if not isinstance(other, Tensor):
        return fill_(input, other)
    if other is input:
        return input
    if other.storage is input.storage and _shares_cells(input, other):
        other = clone(other)
    return _copies[input.layout, other.layout](input, other)


def _shares_cells(x: Tensor, y: Tensor) -> bool:
    """Whether writing ``x`` could change what is yet to be read of ``y`` (the same cells in the same places cannot)."""
    if x.ptr == y.ptr and x.layout is y.layout:
        return False
    (a, b), (c, d) = span(x.layout), span(y.layout)
    size_x, size_y = x.layout.dtype.itemsize, y.layout.dtype.itemsize
    return x.ptr + a * size_x < y.ptr + d * size_y and y.ptr + c * size_y < x.ptr + b * size_x


# -- one number everywhere ----------------------------------------------------------------------------------------

_SCALAR_DTYPES = {int: int64, float: float64, bool: bool_}
_INT64_END = 1 << 63


def require_fits(value: complex, dtype: DType, operator: str) -> None:
    """Raises RuntimeError unless a number can be kept in the dtype (unsigned types also take the integers -1 and so
    on, as C does; floats of a narrower type round)."""
    if dtype is bool_ or dtype.is_complex:
        return
    fits = not isinstance(value, complex)
    if fits and dtype.is_floating_point:
        fits = not math.isfinite(value) or abs(value) <= _largest(dtype)  # type: ignore[arg-type]
    elif fits:
        high = _largest(dtype)
        low = -high - 1 if dtype.is_signed else 0 if isinstance(value, float) else -high
        fits = low <= value <= high  # type: ignore[operator]
    if not fits:
        raise RuntimeError(
            f"{operator}(): value {value} cannot be converted to type {dtype.name} without overflow; choose a "
            "dtype that holds it"
        )


def require_value_fits(value: Any, dtype: DType, operator: str) -> None:
    """The same for a tensor without dimensions that is to be written as a number is."""
    if value.layout.dtype is not dtype:
        require_fits(value.item(), dtype, operator)


def _largest(dtype: DType) -> float:
    found = _LARGEST.get(dtype)
    if found is None:
        found = float(finfo(dtype).max) if dtype.is_floating_point else iinfo(dtype).max
        _LARGEST[dtype] = found
    return found


_LARGEST: dict[DType, float] = {}


def plain_number(value: Any, dtype: DType, operator: str) -> bool | int | float | Tensor:
    """``value`` as an operand of a kernel: a Python number that fits the dtype, or (complex numbers, integers
    beyond 64 bits signed) a 0-d tensor of its own.

    Raises:
        TypeError: not a number; RuntimeError: it does not fit.
    """
    kind = type(value)
    if kind not in _SCALAR_DTYPES:
        value = _as_python_number(value, operator)
        kind = type(value)
    require_fits(value, dtype, operator)
    if kind is complex:
        return _zero_dim(value, complex128)
    if kind is int and not -_INT64_END <= value < _INT64_END:
        return _zero_dim(value, dtype) if not dtype.is_floating_point else float(value)
    return value


def _as_python_number(value: Any, operator: str) -> bool | int | float | complex:
    if isinstance(value, np.generic):
        value = value.item()
    kinds: tuple[Any, ...] = (bool, int, float, complex)
    for kind in kinds:
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(
        f"{operator}(): the value must be a number or a tensor without dimensions, not {type(value).__name__}"
    )


def _zero_dim(value: complex, dtype: DType) -> Tensor:
    from pellucid.tensor import array_of

    out = empty_like_layout(dense((), dtype))
    array_of(out)[()] = value
    return out


def fill_formula(rank: int, kind: type, dtype: DType) -> Formula:
    """``out[...] = value``, a Python number of this type given at the call."""
    return Formula("fill", rank, (Output(scalar(0, _SCALAR_DTYPES[kind]).cast(dtype)),))


def _fill_plan(target: Layout, kind: type) -> Plan:
    shape = tuple(target.shape)
    formula = fill_formula(target.ndim, kind, target.dtype)
    write = kernel_plan(formula, (kind,), shape, [target], in_place=True)
    record = None
    if target.dtype.is_floating_point or target.dtype.is_complex:
        rule = DerivedRule(formula, (kind,), shape, None, "FillBackward0")
        record = recorder(rule, [target], (kind,))

    def plan(x: Tensor, value: Any) -> Any:
        if x.tracked or x.base is not None:
            return in_place(x, lambda: write(x, value), record, value)
        write(x, value)
        if native.grad_enabled():
            note_write(x.storage)
        return x

    return plan


_fills = PlanTable(_fill_plan)
_zero_fills = PlanTable(lambda target: _fills[target, int])


@both
def fill_(input: Tensor, value: Any) -> Tensor:
    """``input[...] = value``, a number or a tensor without dimensions (gradients flow to it).

    Raises:
        RuntimeError: the number does not fit the dtype, or the tensor has dimensions.
    """
    if isinstance(value, Tensor):
        if value.layout.ndim:
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value.layout.ndim} dimensions "
                f"(shape {shape_text(value.layout.shape)}); use copy_, which broadcasts"
            )
        return copy_(input, value)
    number = plain_number(value, input.layout.dtype, "fill_")
    if isinstance(number, Tensor):
        return copy_(input, number)
    return _fills[input.layout, type(number)](input, number)


@public
def fill(input: Tensor, value: Any) -> Tensor:
    """A new tensor like ``input`` with ``value`` in each cell."""
    return fill_(clone(input), value)


@both
def zero_(input: Tensor) -> Tensor:
    """``input[...] = 0``."""
    return _zero_fills[input.layout](input, 0)
