"""New tensors whose cells follow from their place.

    arange        out[i]   = start + i * step
    linspace      out[i]   = start + i * (end - start) / (steps - 1)
    logspace      out[i]   = base ** linspace(start, end, steps)[i]
    eye           out[i,j] = 1 if i == j else 0
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid import dtypes
from pellucid.dtypes import DType, bfloat16, bool_, float16, float32, float64, int32, int64
from pellucid.formula.expr import axis, const, given, scalar, select
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, dense
from pellucid.operators.arguments import checked_dtype, finished, place
from pellucid.operators.define import deliver, public
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.tensor import Tensor, array_of, empty_like_layout


def _number(operator: str, argument: str, value: Any) -> Any:
    """A Python number from a number or a tensor of one element."""
    if isinstance(value, Tensor):
        return value.item()  # type: ignore[attr-defined]
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, bool | int | float | complex):
        raise TypeError(f"{operator}(): argument '{argument}' must be Number, not {type(value).__name__}")
    return value


# -- arange -------------------------------------------------------------------------------------------------------


def _arange_plan(target: Layout, kind: type) -> Plan:
    """Integers count in int64; floats in float64, rounded once."""
    inner = int64 if kind is int else float64
    value = scalar(0, inner) + axis(0).cast(inner) * scalar(1, inner)
    return kernel_plan(Formula("arange", 1, (Output(value.cast(target.dtype)),)), (kind, kind), (target.numel,), [target])


_aranges = PlanTable(_arange_plan)


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
    first, last, by = _arange_bounds(args, start, end, step)
    whole = isinstance(first, int) and isinstance(last, int) and isinstance(by, int)
    if dtype is None:
        kind = out.layout.dtype if out is not None else int64 if whole else dtypes.get_default_dtype()
    else:
        kind = checked_dtype("arange", dtype)
        if out is not None and kind is not out.layout.dtype:
            raise RuntimeError(
                f"arange(): dtype {kind.scalar_name} does not match dtype of out parameter "
                f"({out.layout.dtype.scalar_name}); leave dtype= away"
            )
    if kind is bool_ or kind.is_complex:
        raise NotImplementedError(f"arange(): not implemented for {kind!r}; make integers or floats and convert them")
    if not kind.is_floating_point:
        first, last, by = int(first) if math.isfinite(first) else first, last, by
    count = arange_length(first, last, by, kind)
    where = place("arange", device, layout, pin_memory)
    counts = int if not kind.is_floating_point else float
    made = _aranges[dense((count,), kind, where), counts](counts(first), counts(by))
    return finished(deliver(made, out, "arange"), "arange", requires_grad)


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


def arange_length(first: Any, last: Any, by: Any, dtype: DType) -> int:
    """How many numbers there are from ``first`` on before ``last`` in steps of ``by``."""
    if by == 0:
        raise RuntimeError("arange(): step must be nonzero")
    if not (math.isfinite(first) and math.isfinite(last)):
        raise RuntimeError(f"arange(): unsupported range: {first} -> {last}; both ends must be finite")
    if (by > 0) != (last >= first) and last != first:
        raise RuntimeError(
            f"arange(): upper bound and lower bound inconsistent with step sign: from {first} to {last} by {by}"
        )
    if isinstance(first, int) and isinstance(last, int) and isinstance(by, int):
        return max(0, -((first - last) // by))
    if dtype.is_floating_point:
        return math.ceil((last - first) / by)
    return math.ceil((int(last) - int(first)) / int(by)) if int(by) else math.ceil((last - first) / by)
