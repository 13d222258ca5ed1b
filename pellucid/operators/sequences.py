"""New tensors whose cells follow from their place.

    arange        out[i]   = start + i * step
    linspace      out[i]   = start + i * (end - start) / (steps - 1)
    logspace      out[i]   = base ** linspace(start, end, steps)[i]
    eye           out[i,j] = 1 if i == j else 0
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from pellucid import dtypes
from pellucid.devices import default_device
from pellucid.dtypes import DType, bool_, float64, int32, int64
from pellucid.formula.expr import axis, const, given, node, scalar, select
from pellucid.formula.formula import Formula, Output
from pellucid.layout import CPU, Layout, dense
from pellucid.operators.arguments import checked_dtype, finished, place, require_out_dtype
from pellucid.operators.define import deliver, public
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.tensor import Tensor, array_of, empty_like_layout


def _number(operator: str, argument: str, value: Any) -> Any:
    """A Python number from a number or a tensor of one element."""
    if isinstance(value, Tensor):
        return value.item()
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, bool | int | float | complex):
        raise TypeError(f"{operator}(): argument '{argument}' must be Number, not {type(value).__name__}")
    return value


def _delivered(made: Tensor, out: Tensor | None, operator: str, requires_grad: bool) -> Tensor:
    """The numbers, or ``out`` with them: as many cells as there are numbers keep their shape."""
    if isinstance(out, Tensor) and out.layout.numel == made.layout.numel:
        made = made.reshape(out.layout.shape)
    return finished(deliver(made, out, operator), operator, requires_grad)


# -- arange -------------------------------------------------------------------------------------------------------


def _arange_plan(target: Layout, kind: type) -> Plan:
    """Integers count in int64; floats in float64, rounded once."""
    inner = int64 if kind is int else float64
    value = scalar(0, inner) + axis(0).cast(inner) * scalar(1, inner)
    formula = Formula("arange", 1, (Output(value.cast(target.dtype)),))
    return kernel_plan(formula, (kind, kind), (target.numel,), [target])


_aranges = PlanTable(_arange_plan)
_counts = PlanTable(lambda count: _aranges[dense((count,), int64), int])


@public
def arange(
    *args: Any,
    start: Any = None,
    end: Any = None,
    step: Any = None,
    out: Tensor | None = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """``arange(end)``, ``arange(start, end, step=1)``: ``out[i] = start + i * step`` below ``end``.

    The dtype is int64 if all are integers, else the default one.

    Raises:
        RuntimeError: the step is zero, leads away from ``end``, or a bound is not finite.
    """
    if len(args) == 1 and type(args[0]) is int and args[0] >= 0 and start is None and step is None and end is None:
        bare = dtype is None and out is None and device is None and not (layout or requires_grad or pin_memory)
        if bare and default_device() is CPU:
            return _counts[args[0]](0, 1)
    first, last, by = _arange_bounds(args, start, end, step)
    whole = isinstance(first, int) and isinstance(last, int) and isinstance(by, int)
    require_out_dtype("arange", out, dtype and checked_dtype("arange", dtype))
    if dtype is None:
        kind = out.layout.dtype if out is not None else int64 if whole else dtypes.get_default_dtype()
    else:
        kind = checked_dtype("arange", dtype)
    if kind is bool_ or kind.is_complex:
        raise NotImplementedError(f"arange(): not implemented for {kind!r}; make integers or floats and convert them")
    counts = float if kind.is_floating_point else int
    count = _arange_length(first, last, by, kind)
    target = dense((count,), kind, place("arange", device, layout, pin_memory))
    made = _aranges[target, counts](counts(first), counts(by))
    return _delivered(made, out, "arange", requires_grad)


def _arange_bounds(args: tuple[Any, ...], start: Any, end: Any, step: Any) -> tuple[Any, Any, Any]:
    if len(args) > 3:
        raise TypeError(f"arange() takes at most 3 positional arguments but {len(args)} were given")
    if len(args) == 1 and end is None:
        args = (0 if start is None else start, args[0])
        start = None
    names = ("start", "end", "step")
    given_ = {"start": start, "end": end, "step": step}
    for name, value in zip(names, args, strict=False):
        if given_[name] is not None:
            raise TypeError(f"arange() got multiple values for argument '{name}'")
        given_[name] = value
    if given_["end"] is None:
        raise TypeError("arange() received an invalid combination of arguments: it needs end, or start and end")
    first, last = given_["start"], given_["end"]
    first = 0 if first is None else _number("arange", "start", first)
    by = 1 if given_["step"] is None else _number("arange", "step", given_["step"])
    last = _number("arange", "end", last)
    for value in (first, last, by):
        if isinstance(value, complex):
            raise RuntimeError(f"arange(): value {value} cannot be converted to type double without overflow")
    return first, last, by


def _arange_length(first: Any, last: Any, by: Any, dtype: DType) -> int:
    """How many numbers there are from ``first`` on before ``last`` in steps of ``by``; int64 counts whole numbers."""
    if not (math.isfinite(first) and math.isfinite(last)):
        raise RuntimeError(f"arange(): unsupported range: {first} -> {last}; both ends must be finite")
    if by == 0:
        raise RuntimeError("arange(): step must be nonzero")
    if dtype is int64:
        first, last, by = int(first), int(last), int(by)
        if by == 0:
            raise ValueError("arange(): step must be nonzero, but as an integer it is 0; ask for a floating dtype")
    if (last > first and by < 0) or (last < first and by > 0):
        raise RuntimeError(
            f"arange(): upper bound and lower bound inconsistent with step sign: from {first} to {last} by {by}"
        )
    whole = isinstance(first, int) and isinstance(last, int) and isinstance(by, int)
    return -((first - last) // by) if whole else math.ceil((last - first) / by)


def range_(
    start: Any,
    end: Any,
    step: Any = 1,
    *,
    out: Tensor | None = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """`arange` that includes ``end``; deprecated, as in PyTorch."""
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is inconsistent with "
        "Python's range builtin. Instead, use torch.arange, which produces values in [start, end).",
        UserWarning,
        stacklevel=2,
    )
    kind = checked_dtype("range", dtype)
    count = math.floor((end - start) / step) + 1
    target = dense((count,), kind, place("range", device, layout, pin_memory))
    counts = float if kind.is_floating_point else int
    made = _aranges[target, counts](counts(start), counts(step))
    return _delivered(made, out, "range", requires_grad)


public(range_, "range")


# -- linspace and logspace ----------------------------------------------------------------------------------------


def _linspace_plan(target: Layout, powers: bool) -> Plan:
    """Counted from the nearer end, in float64, rounded once. Operands: start, end, step, base."""
    start, end, step, base = (scalar(k, float64) for k in range(4))
    i, steps = axis(0), given("steps")
    near = start + i.cast(float64) * step
    far = end - (steps - 1 - i).cast(float64) * step
    value = select(i < steps / 2, near, far)
    if powers:
        value = node("pow", (base, value), float64)
    formula = Formula("linspace", 1, (Output(value.cast(target.dtype)),))
    return kernel_plan(formula, (float,) * 4, (target.numel,), [target], given={"steps": target.numel})


_linspaces = PlanTable(_linspace_plan)


def _spaced(
    operator: str,
    start: Any,
    end: Any,
    steps: Any,
    base: float | None,
    out: Tensor | None,
    dtype: Any,
    layout: Any,
    device: Any,
    requires_grad: bool,
    pin_memory: bool,
) -> Tensor:
    for name, value in (("start", start), ("end", end)):
        if isinstance(value, Tensor) and value.layout.ndim:
            raise RuntimeError(
                f"{operator} only supports 0-dimensional start and end tensors, but got {name} with "
                f"{value.layout.ndim} dimension(s)"
            )
    first, last = _number(operator, "start", start), _number(operator, "end", end)
    count = _steps(operator, steps)
    imaginary = isinstance(first, complex) or isinstance(last, complex)
    require_out_dtype(operator, out, dtype and checked_dtype(operator, dtype))
    if dtype is not None:
        kind = checked_dtype(operator, dtype)
    elif out is not None:
        kind = out.layout.dtype
    else:
        kind = dtypes.get_default_complex_dtype() if imaginary else dtypes.get_default_dtype()
    if kind is bool_:
        raise NotImplementedError(f"{operator}(): not implemented for {kind!r}")
    target = dense((count,), kind, place(operator, device, layout, pin_memory))
    if kind.is_complex:
        made = _complex_spaced(first, last, target, base)
    else:
        if imaginary:
            raise RuntimeError(f"{operator}(): inferred dtype is complex but got {kind!r}; ask for a complex dtype")
        made = _real_spaced(first, last, target, base)
    if isinstance(out, Tensor) and out.layout.numel != count:
        out.resize_(target.shape)
    return _delivered(made, out, operator, requires_grad)


def _steps(operator: str, steps: Any) -> int:
    if isinstance(steps, float | complex | str) or not hasattr(steps, "__index__"):
        raise TypeError(f"{operator}(): argument 'steps' must be int, not {type(steps).__name__}")
    count = steps.__index__()
    if count < 0:
        raise RuntimeError(f"{operator}(): number of steps must be non-negative, but it is {count}")
    return count


def _real_spaced(first: Any, last: Any, target: Layout, base: float | None) -> Tensor:
    if not target.dtype.is_floating_point:
        first, last = int(first), int(last)
    step = (last - first) / (target.numel - 1) if target.numel > 1 else 0.0
    # A single step is the start, which "counted from the nearer end" would not give.
    end = last if target.numel > 1 else first
    powers = base is not None
    plan = _linspaces[target, powers]
    return plan(float(first), float(end), float(step), float(base or 0.0))


def _complex_spaced(first: Any, last: Any, target: Layout, base: float | None) -> Tensor:
    made = empty_like_layout(target)
    cells = np.linspace(complex(first), complex(last), target.numel)
    array_of(made)[...] = cells if base is None else np.power(complex(base), cells)
    return made


@public
def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    out: Tensor | None = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """``steps`` numbers from ``start`` to ``end``, both included, at equal distances.

    Raises:
        RuntimeError: a negative number of steps.
    """
    return _spaced("linspace", start, end, steps, None, out, dtype, layout, device, requires_grad, pin_memory)


@public
def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    out: Tensor | None = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """``base ** linspace(start, end, steps)``.

    Raises:
        RuntimeError: a negative number of steps.
    """
    return _spaced("logspace", start, end, steps, base, out, dtype, layout, device, requires_grad, pin_memory)


# -- from both coordinates ----------------------------------------------------------------------------------------


def _eye_plan(target: Layout) -> Plan:
    value = select(axis(0).equals(axis(1)), const(1, int64), const(0, int64)).cast(target.dtype)
    return kernel_plan(Formula("eye", 2, (Output(value),)), (), tuple(target.shape), [target])


_eyes = PlanTable(_eye_plan)


@public
def eye(
    n: int,
    m: int | None = None,
    *,
    out: Tensor | None = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """``out[i,j] = 1 if i == j else 0``, with n rows and m (or n) columns.

    Raises:
        RuntimeError: a negative size.
    """
    columns = n if m is None else m
    for name, size in (("n", n), ("m", columns)):
        if isinstance(size, float | complex | str):
            raise TypeError(f"eye(): argument '{name}' must be int, not {type(size).__name__}")
    if n < 0 or columns < 0:
        raise RuntimeError(f"eye(): n and m must be greater or equal to 0, got {n} and {columns}")
    require_out_dtype("eye", out, dtype and checked_dtype("eye", dtype))
    kind = out.layout.dtype if out is not None and dtype is None else checked_dtype("eye", dtype)
    made = _eyes[dense((n, columns), kind, place("eye", device, layout, pin_memory))]()
    if isinstance(out, Tensor):
        out.resize_(made.layout.shape)
    return finished(deliver(made, out, "eye"), "eye", requires_grad)


def _triangle(
    operator: str, pick: Any, row: int, col: int, offset: int, dtype: Any, device: Any, layout: Any
) -> Tensor:
    if row < 0 or col < 0:
        raise RuntimeError(f"{operator}(): row and col must be non-negative, got {row} and {col}")
    kind = checked_dtype(operator, dtype)
    if kind not in (int64, int32):
        raise NotImplementedError(f"{operator}(): not implemented for {kind!r}; indices are int64 or int32")
    cells = np.stack(pick(row, offset, col))
    made = empty_like_layout(dense(cells.shape, kind, place(operator, device, layout)))
    array_of(made)[...] = cells
    return made


@public
def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: DType | None = int64, layout: Any = None, device: Any = None
) -> Tensor:
    """The places (i, j) with ``j - i <= offset``, row by row: shape (2, how many)."""
    return _triangle("tril_indices", np.tril_indices, row, col, offset, dtype, device, layout)


@public
def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: DType | None = int64, layout: Any = None, device: Any = None
) -> Tensor:
    """The places (i, j) with ``j - i >= offset``, row by row: shape (2, how many)."""
    return _triangle("triu_indices", np.triu_indices, row, col, offset, dtype, device, layout)
