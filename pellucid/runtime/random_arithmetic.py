"""What the random streams compute with: fills in memory order, Box-Muller, fused multiply-add, bounds, swaps.

PyTorch's compiled multiply-adds are fused, so they are rounded once here, too.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection
from ctypes import c_void_p
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

PIECE = 1 << 15  # elements handled at once: the temporaries stay in the second-level cache
BLOCK = 16  # elements of one Box-Muller block: eight cosines, then eight sines
_FEW_SWAPS = 200  # below it a Python loop beats a call into LAPACK

# name: (bits of the significand, largest value)
FLOATS = {
    "float16": (11, 65504.0),
    "bfloat16": (8, float.fromhex("0x1.fep127")),
    "float32": (24, float(np.finfo(np.float32).max)),
    "float64": (53, float(np.finfo(np.float64).max)),
}


def fill(out: Array, draw: Callable[[Array], None]) -> None:
    """Calls `draw` on successive contiguous 1-D pieces of `out`, in the order of its memory."""
    if out.size <= PIECE and out.flags.c_contiguous:
        if out.size:
            draw(out.reshape(-1))
        return
    view = out if out.flags.c_contiguous else out.transpose(memory_order(out))
    flat = view.reshape(-1) if view.flags.c_contiguous else np.empty(out.size, out.dtype)
    for start in range(0, flat.size, PIECE):
        draw(flat[start : start + PIECE])
    if not view.flags.c_contiguous:
        view[...] = flat.reshape(view.shape)


def kind_of(array: Array) -> str:
    """The dtype's name; `dtype.name` takes microseconds."""
    return array.dtype.type.__name__


def memory_order(out: Array) -> list[int]:
    """The dimensions from the largest stride to the smallest."""
    return sorted(range(out.ndim), key=lambda dim: -abs(out.strides[dim]))


def store(piece: Array, values: npt.NDArray[np.float64]) -> None:
    """piece = values, through float32 for the 16-bit dtypes, as PyTorch converts."""
    with np.errstate(over="ignore", invalid="ignore"):
        piece[...] = values.astype(np.float32) if kind_of(piece) in ("float16", "bfloat16") else values


def as_real(out: Array) -> Array:
    """A complex array seen as (real, imaginary) pairs in a new last dimension; any other array itself."""
    return out[..., np.newaxis].view(f"f{out.itemsize // 2}") if out.dtype.kind == "c" else out


def check_dtype(
    name: str, out: Array, known: Collection[str], error: type[RuntimeError] = NotImplementedError
) -> None:
    if kind_of(out) not in known:
        raise error(f"{name} is not defined for {out.dtype}; it takes {', '.join(known)}.")


def check_uniform_bounds(dtype: np.dtype[Any], low: float, high: float) -> None:
    largest = FLOATS[dtype.type.__name__][1]
    for name, bound in (("from", low), ("to", high)):
        if not -largest <= bound <= largest:
            raise RuntimeError(f"uniform_: {name}={bound} is out of bounds for {dtype}: beyond {largest}.")
    if low > high or high - low > largest:
        raise RuntimeError(
            f"uniform_: expects from <= to, and to - from at most {largest} for {dtype}, but found"
            f" from={low}, to={high}. Order the bounds, or take a wider dtype."
        )


def equals(values: Array, value: Array) -> Array:
    """values == value, by their bits unless that is zero: NumPy compares 16-bit floats slowly."""
    if value != 0:
        bits = np.dtype(f"u{values.itemsize}")
        values, value = values.view(bits), value.view(bits)
    return np.equal(values, value)


def box_muller(unit: Array, mean: float, std: float) -> Array:
    """Turns blocks of 16 uniforms into normals, in place."""
    half = np.dtype((np.void, BLOCK // 2 * unit.itemsize))  # eight numbers as one item: copied as a whole
    halves = unit.view(half).reshape(-1, 2)
    radius = np.ascontiguousarray(halves[:, 0]).view(unit.dtype)
    angle = np.ascontiguousarray(halves[:, 1]).view(unit.dtype)
    np.log(np.subtract(1, radius, out=radius), out=radius)
    radius *= -2
    np.sqrt(radius, out=radius)
    angle *= 2 * math.pi
    cosine = np.cos(angle)
    sine = np.sin(angle, out=angle)
    cosine *= radius
    sine *= radius
    halves[:, 0], halves[:, 1] = cosine.view(half), sine.view(half)
    if mean != 0 or std != 1:
        unit *= std
        unit += mean
    return unit


def fma(work: np.dtype[Any], factor: float, term: float) -> Callable[[Array], Array]:
    """The function unit -> unit * factor + term, rounded once; unit is u32 or u64, of the dtype `work`."""
    if term == 0:
        return lambda unit: unit * work.type(factor)
    if work == np.float64:
        return _fma64(factor, term)
    lowest = min(_lowest_bit(factor) - 24, _lowest_bit(term))
    exact = math.frexp(abs(factor) + abs(term))[1] - lowest <= 53

    def apply(unit: Array) -> Array:
        product = unit.astype(np.float64) * factor  # exact: 24 + 24 bits
        return (product + term if exact else _add_to_odd(product, term)).astype(np.float32)

    return apply


_MOST_EXPONENT = 1024  # of a float64, as frexp counts


def _fma64(scale: float, shift: float) -> Callable[[Array], Array]:
    """unit -> unit * scale + shift for u64: what the product and the sum lost in rounding comes back."""
    mantissa, exponent = math.frexp(scale)
    if exponent == _MOST_EXPONENT:  # the leading digits alone could round up to infinity
        quarter = _fma64(scale / 4, shift / 4)
        return lambda unit: quarter(unit) * 4
    digits = int(mantissa * 2**53)
    leading = (digits + 2**26) >> 27 << 27
    scale_high, scale_low = math.ldexp(leading, exponent - 53), math.ldexp(digits - leading, exponent - 53)

    def apply(unit: Array) -> Array:
        high = np.rint(unit * 2.0**26) * 2.0**-26
        low = unit - high
        product = unit * scale
        error = ((high * scale_high - product) + high * scale_low + low * scale_high) + low * scale_low
        total, lost = _two_sum(product, shift)
        return np.asarray(total + (lost + error))

    return apply


def _two_sum(a: Array, b: float) -> tuple[Array, Array]:
    """(a + b rounded, what the rounding lost)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _add_to_odd(a: Array, b: float) -> Array:
    """a + b in float64; an inexact sum becomes its odd neighbour, which rounds to float32 as a + b does."""
    total, lost = _two_sum(a, b)
    even = (lost != 0) & (total.view(np.int64) & 1 == 0)
    return np.where(even, np.nextafter(total, np.copysign(np.inf, lost)), total)


def _lowest_bit(value: float) -> int:
    """The exponent of the last bit set."""
    numerator, denominator = value.as_integer_ratio()
    return (numerator & -numerator).bit_length() - denominator.bit_length()


def integer_bounds(dtype: np.dtype[Any], low: int, high: int | None) -> tuple[int, int]:
    """The inclusive bounds that `randint` draws between. RuntimeError if they are none or leave the dtype."""
    digits, largest = FLOATS.get(dtype.name, (0, 0))
    if digits:
        smallest = -largest
    else:
        smallest, largest = (0, 1) if dtype == np.bool_ else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    last = (2**digits if digits else int(largest)) if high is None else high - 1
    largest = min(largest, 2**63 - 1)  # bounds are int64 for every dtype
    if not smallest <= low <= last <= largest:
        raise RuntimeError(
            f"random_: expects 'from' to be less than 'to', and [from, to - 1] within [{smallest}, {largest}]"
            f" for {dtype}, but got from={low}, to={last + 1}."
        )
    if not digits:
        return low, last
    low = _move_inwards(dtype, low, 1, digits)
    if high is not None:
        last = _move_inwards(dtype, high, -1, digits) - 1
    if last < low or (high is None and last == low):
        raise RuntimeError(f"random_: {dtype} has no integer in [{low}, {last + 1}); take a wider dtype.")
    if max(abs(low), abs(last)) > 2**digits:
        warnings.warn(
            f"random_: [{low}, {last}] leaves [-(2^{digits}), 2^{digits}], where {dtype} holds every integer:"
            " the numbers are rounded, so they are not uniform.",
            stacklevel=4,
        )
    return low, last


def _move_inwards(dtype: np.dtype[Any], bound: int, step: int, digits: int) -> int:
    """The bound, moved by the sign of step (1 or -1) if its neighbour on that side rounds back across it."""
    neighbour = bound + step
    rounded = int(dtype.type(neighbour))
    if rounded >= 2**63:  # PyTorch's conversion to 64 bits wraps
        rounded = -(2**63)
    if rounded < bound if step > 0 else rounded >= bound:
        return rounded + step * (1 << (abs(neighbour).bit_length() - digits))
    return bound


def swap(values: npt.NDArray[np.int64], start: int, partners: Array) -> None:
    """For k = 0, 1, ...: swaps values[start + k] with values[partners[k]]."""
    if values.size < _FEW_SWAPS:
        items = values.tolist()
        for here, there in enumerate(partners.tolist(), start):
            items[here], items[there] = items[there], items[here]
        values[:] = items
        return
    from .blas import all_threads  # only now: it loads LLVM

    rows = partners.astype(np.int32) + np.int32(1)
    numbers = np.array([1, values.size, start + 1, start + rows.size, 1], np.int32)
    columns, leading, first, last, step = (c_void_p(numbers.ctypes.data + 4 * k) for k in range(5))
    # LAPACK swaps a matrix's rows, here of one float64: it only moves them, so any 8 bytes will do. It looks
    # for the partner of row k at address + 4 (k - 1).
    partner = c_void_p(rows.ctypes.data - 4 * start)
    with all_threads() as library:
        library.scipy_dlaswp_(columns, c_void_p(values.ctypes.data), leading, first, last, partner, step)
