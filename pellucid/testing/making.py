"""`make_tensor`: operands for tests, of any dtype, drawn evenly from a range."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from pellucid.dtypes import DType, bool_, finfo, iinfo, int64
from pellucid.operators.creation import empty
from pellucid.operators.random_creation import randint
from pellucid.operators.reinterpreting import view_as_real
from pellucid.tensor import Tensor


def make_tensor(
    *shape: Any,
    dtype: DType,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor of numbers drawn evenly from ``[low, high)``, cut to what the dtype can hold.

    =================  =======  ========
    dtype              ``low``  ``high``
    =================  =======  ========
    bool               0        2
    unsigned integers  0        10
    signed integers    -9       10
    floats, complex    -9       9
    =================  =======  ========

    Args:
        shape: the sizes, one by one or as one sequence.
        noncontiguous: every other cell of a tensor twice as wide, from the second on; not with ``memory_format``.
        exclude_zero: zeros become 1, or the smallest normal number of the dtype.

    Raises:
        ValueError: an empty range, NaN as a bound, a gradient asked of integers, or both ``noncontiguous`` and
            ``memory_format``.
    """
    whole = not (dtype.is_floating_point or dtype.is_complex)
    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "make_tensor(): noncontiguous and memory_format are mutually exclusive: each decides how the tensor lies "
            f"in memory; got noncontiguous=True, memory_format={memory_format!r}. Drop one of them"
        )
    if requires_grad and whole:
        raise ValueError(
            f"make_tensor(): requires_grad=True is not supported for boolean and integral dtypes; got {dtype}. Only "
            "floating-point and complex tensors have gradients"
        )
    apart = noncontiguous and math.prod(sizes) > 1
    bounds = bounds_of(dtype, low, high)
    drawn = draw((*sizes[:-1], 2 * sizes[-1]) if apart else sizes, dtype, device, *bounds)
    if apart:
        drawn = drawn[..., 1::2]
    elif memory_format is not None:
        drawn = drawn.clone(memory_format=memory_format)
    if exclude_zero:
        drawn[drawn == 0] = 1 if whole else finfo(dtype).tiny
    return drawn.requires_grad_(requires_grad) if not whole else drawn


def draw(sizes: Sequence[int], dtype: DType, device: Any, low: float, high: float) -> Any:
    if not (dtype.is_floating_point or dtype.is_complex):
        # The least whole number that is not below each bound: the upper one is not drawn itself.
        return randint(math.ceil(low), math.ceil(high), sizes, dtype=dtype, device=device)
    made = empty(sizes, dtype=dtype, device=device)
    cells = view_as_real(made) if dtype.is_complex else made
    if high - low >= finfo(dtype).max:  # the width of the range itself has to be a number of the dtype
        cells.uniform_(low / 2, high / 2).mul_(2)
    else:
        cells.uniform_(low, high)
    return made


def bounds_of(dtype: DType, low: float | None, high: float | None) -> tuple[float, float]:
    """The range with the defaults filled in, cut to the dtype's own.

    Raises:
        ValueError: there is nothing in it, or a bound is NaN.
    """
    usual: tuple[float, float]
    least: float
    beyond: float
    if dtype is bool_:
        least, beyond, usual = 0, 2, (0, 2)
    elif dtype.is_floating_point or dtype.is_complex:
        least, beyond, usual = finfo(dtype).min, finfo(dtype).max, (-9, 9)
    else:
        # randint takes its bounds as int64, so that the greatest int64 cannot be drawn.
        least, beyond, usual = iinfo(dtype).min, iinfo(dtype).max + (dtype is not int64), (-9, 10)
    low = usual[0] if low is None else low
    high = usual[1] if high is None else high
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"make_tensor(): `low` and `high` cannot be NaN; got low={low}, high={high}")
    if low == high and (dtype.is_floating_point or dtype.is_complex):
        warnings.warn(
            "make_tensor(): `low==high` is deprecated for floating-point and complex dtypes. "
            "Use `torch.full(...)` instead.",
            FutureWarning,
            stacklevel=3,
        )
    elif low >= high:
        raise ValueError(f"make_tensor(): `low` must be less than `high`; got low={low}, high={high}")
    elif high < least or low >= beyond:
        raise ValueError(f"make_tensor(): no {dtype} is in the range from low={low} to high={high}; its own is [{least}, {beyond})")
    return min(max(low, least), beyond), min(max(high, least), beyond)
