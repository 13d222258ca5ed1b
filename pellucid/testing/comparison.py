"""`assert_close`: are two results equal up to rounding? If not, the error says how many cells differ, and where most.

Operands may be nested in sequences and mappings. They are first taken apart into pairs of leaves, so that a broken
structure is told before any number is compared; then the pairs are compared in order, and the first that differs is
the error.
"""

from __future__ import annotations

import cmath
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from pellucid.autograd import no_grad
from pellucid.dtypes import (
    DType,
    Number,
    bfloat16,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int64,
    promote_types,
)
from pellucid.operators import comparison as cells
from pellucid.operators import literals
from pellucid.tensor import Tensor

TOLERANCES: dict[DType, tuple[float, float]] = {
    float16: (1e-3, 1e-5),
    bfloat16: (1.6e-2, 1e-5),
    float32: (1.3e-6, 1e-5),
    float64: (1e-7, 1e-7),
    complex64: (1.3e-6, 1e-5),
    complex128: (1e-7, 1e-7),
}
"""dtype -> (relative, absolute); all others are compared exactly."""

Message: TypeAlias = str | Callable[[str], str] | None
Place: TypeAlias = tuple[Any, ...]
Comparison: TypeAlias = Callable[[], str | None]
"""Gives None if the two agree, otherwise what is wrong."""


@dataclass(frozen=True)
class Rules:
    """The arguments of `assert_close` that say what counts as close."""

    allow_subclasses: bool
    rtol: float | None
    atol: float | None
    equal_nan: bool
    check_device: bool
    check_dtype: bool
    check_stride: bool

    def tolerances(self, place: Place, *dtypes: DType) -> tuple[float, float]:
        """(relative, absolute): those that were given, or the loosest of the dtypes' own."""
        if self.rtol is not None and self.atol is not None:
            return self.rtol, self.atol
        if self.rtol is not None or self.atol is not None:
            missing = "rtol" if self.rtol is None else "atol"
            text = f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {missing}."
            raise ValueError(located(text, place))
        return loosest(TOLERANCES, *dtypes)


def loosest(tolerances: dict[DType, tuple[float, float]], *dtypes: DType) -> tuple[float, float]:
    known = [tolerances.get(dtype, (0.0, 0.0)) for dtype in dtypes]
    return max(rtol for rtol, _ in known), max(atol for _, atol in known)


def located(text: str, place: Place) -> str:
    """The message with the item's place in the nested operands."""
    if not place:
        return text
    return f"{text}\n\nThe failure occurred for item {''.join(f'[{step!r}]' for step in place)}"


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: Message = None,
) -> None:
    """Raise unless ``|actual - expected| <= atol + rtol * |expected|`` in every cell.

    Infinities are close only to themselves; NaN is close to NaN with ``equal_nan``.

    ``actual`` and ``expected`` are both tensors, both NumPy arrays (or others of one type that `as_tensor` takes),
    both numbers, both booleans, both None; or sequences or mappings of these with the same structure.

    ======================  ==========  ==========
    dtype                   ``rtol``    ``atol``
    ======================  ==========  ==========
    float16                 ``1e-3``    ``1e-5``
    bfloat16                ``1.6e-2``  ``1e-5``
    float32, complex64      ``1.3e-6``  ``1e-5``
    float64, complex128     ``1e-7``    ``1e-7``
    all others              0           0
    ======================  ==========  ==========

    Args:
        allow_subclasses: compare a tensor with one of a subclass.
        rtol, atol: give both or neither; without them the looser ones of the two dtypes hold.
        check_device, check_dtype, check_stride: these must agree as well. What is not checked is brought together:
            onto the CPU, to the dtype of `promote_types`.
        check_layout: every tensor here is strided, so they always agree.
        msg: the text of the error, or a function from the text that was made to the one to show.

    Raises:
        AssertionError: they differ: in value, shape, dtype, device, stride, length or keys.
        ValueError: only one of ``rtol`` and ``atol`` was given.
        TypeError: two items that cannot be compared, such as a tensor and a number.
    """
    __tracebackhide__ = True
    rules = Rules(allow_subclasses, rtol, atol, equal_nan, check_device, check_dtype, check_stride)
    for place, comparison in list(comparisons(actual, expected, (), rules)):
        text = comparison()
        if text is None:
            continue
        text = located(text, place)
        raise AssertionError(text if msg is None else msg if isinstance(msg, str) else msg(text))


def comparisons(actual: Any, expected: Any, place: Place, rules: Rules) -> Iterator[tuple[Place, Comparison]]:
    """What has to be compared, item by item.

    Raises:
        AssertionError: the structures differ.
    """
    if is_sequence(actual) and is_sequence(expected):
        if len(actual) != len(expected):
            text = f"The length of the sequences mismatch: {len(actual)} != {len(expected)}"
            raise AssertionError(located(text, place))
        for k in range(len(actual)):
            yield from comparisons(actual[k], expected[k], (*place, k), rules)
    elif isinstance(actual, Mapping) and isinstance(expected, Mapping):
        for key in common_keys(actual, expected, place):
            yield from comparisons(actual[key], expected[key], (*place, key), rules)
    else:
        yield place, leaf_comparison(actual, expected, place, rules)


def is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def common_keys(actual: Mapping[Any, Any], expected: Mapping[Any, Any], place: Place) -> list[Any]:
    """The keys, sorted where they can be.

    Raises:
        AssertionError: one of the two has keys that the other lacks.
    """
    missing, additional = set(expected) - set(actual), set(actual) - set(expected)
    if missing or additional:
        text = (
            "The keys of the mappings do not match:\n"
            f"Missing keys in the actual mapping: {in_order(missing)}\n"
            f"Additional keys in the actual mapping: {in_order(additional)}"
        )
        raise AssertionError(located(text, place))
    return in_order(actual)


def in_order(keys: Any) -> list[Any]:
    try:
        return sorted(keys)
    except TypeError:  # of several types
        return list(keys)


def leaf_comparison(actual: Any, expected: Any, place: Place, rules: Rules) -> Comparison:
    """How these two are compared.

    Raises:
        TypeError: they cannot be.
    """
    both = (actual, expected)
    if actual is None or expected is None:
        return lambda: None if actual is expected else f"None mismatch: {actual} is not {expected}"
    if all(isinstance(x, bool | np.bool_) for x in both):
        a, e = bool(actual), bool(expected)
        return lambda: None if a is e else f"Booleans mismatch: {a} is not {e}"
    if all(isinstance(x, int | float | complex | np.number) and not isinstance(x, bool) for x in both):
        a, e = (x.item() if isinstance(x, np.number) else x for x in both)
        rtol, atol = rules.tolerances(place, number_dtype(a), number_dtype(e))
        return lambda: compare_numbers(a, e, rtol, atol, rules)
    related = isinstance(actual, type(expected)) or isinstance(expected, type(actual))
    if related and (rules.allow_subclasses or type(actual) is type(expected)):
        ours, theirs = as_tensor(actual), as_tensor(expected)
        if ours is not None and theirs is not None:
            rtol, atol = rules.tolerances(place, ours.dtype, theirs.dtype)
            return lambda: compare_tensors(ours, theirs, rtol, atol, rules)
    text = (
        f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}. Both must be "
        "tensors, arrays of one type, numbers, booleans or None; convert one of them, for example by .item()"
    )
    raise TypeError(located(text, place))


def as_tensor(value: Any) -> Tensor | None:
    """The tensor of something like a tensor, or None if it is not."""
    if isinstance(value, Tensor):
        return value
    try:
        return literals.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return None


def number_dtype(value: Number) -> DType:
    return int64 if isinstance(value, int) else float64 if isinstance(value, float) else complex128


# -- numbers ----------------------------------------------------------------------------------------------------------


def compare_numbers(actual: Number, expected: Number, rtol: float, atol: float, rules: Rules) -> str | None:
    if rules.check_dtype and type(actual) is not type(expected):
        return f"The (d)types do not match: {type(actual)} != {type(expected)}."
    if actual == expected or (rules.equal_nan and cmath.isnan(actual) and cmath.isnan(expected)):
        return None
    difference = abs(actual - expected)
    if cmath.isfinite(difference) and difference <= atol + rtol * abs(expected):
        return None
    return numbers_text(actual, expected, rtol, atol)


def numbers_text(actual: Number, expected: Number, rtol: float, atol: float) -> str:
    difference = abs(actual - expected)
    relative = float("inf") if expected == 0 else difference / abs(expected)
    lines = [
        f"Absolute difference: {difference}{allowed(atol, rtol, atol)}",
        f"Relative difference: {relative}{allowed(rtol, rtol, atol)}",
    ]
    return difference_text("Scalars", f"Expected {expected} but got {actual}.", lines, rtol, atol)


def allowed(tolerance: float, rtol: float, atol: float) -> str:
    return "" if rtol == atol == 0 else f" (up to {tolerance} allowed)"


def difference_text(what: str, summary: str, lines: list[str], rtol: float, atol: float) -> str:
    wanted = "equal" if rtol == atol == 0 else "close"
    return f"{what} are not {wanted}!\n\n" + "\n".join([summary, *lines])


# -- tensors ----------------------------------------------------------------------------------------------------------


def compare_tensors(actual: Tensor, expected: Tensor, rtol: float, atol: float, rules: Rules) -> str | None:
    attributes = [
        ("shape", True, actual.shape, expected.shape),
        ("stride()", rules.check_stride, actual.stride(), expected.stride()),
        ("device", rules.check_device, actual.device, expected.device),
        ("dtype", rules.check_dtype, actual.dtype, expected.dtype),
    ]
    for name, checked, ours, theirs in attributes:
        if checked and ours != theirs:
            return f"The values for attribute '{name}' do not match: {ours} != {theirs}."
    with no_grad():
        actual, expected = together(actual, expected)
        matches = cells.isclose(actual, expected, rtol=rtol, atol=atol, equal_nan=rules.equal_nan)
        if matches.all():
            return None
        if not actual.shape:
            return numbers_text(actual.item(), expected.item(), rtol, atol)
        return cells_text(actual, expected, matches, rtol, atol)


def together(actual: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """On one device, in one dtype."""
    if actual.device != expected.device:
        actual, expected = actual.cpu(), expected.cpu()
    if actual.dtype is not expected.dtype:
        # An unsigned type wider than a byte promotes with floating point only.
        wide = [int64 if x.dtype.kind == "u" and x.dtype.itemsize > 1 else x.dtype for x in (actual, expected)]
        dtype = promote_types(*wide)
        actual, expected = actual.to(dtype), expected.to(dtype)
    return actual, expected


def cells_text(actual: Any, expected: Any, matches: Any, rtol: float, atol: float) -> str:
    """How many cells differ, and the greatest differences of those with their places."""
    shape, count = tuple(matches.shape), matches.numel()
    wrong = count - int(matches.sum())
    if not (actual.dtype.is_floating_point or actual.dtype.is_complex):
        actual, expected = actual.to(int64), expected.to(int64)  # differences of bytes would wrap
    absolute = (actual - expected).abs().masked_fill(matches, 0).flatten()
    relative = (absolute / expected.abs().flatten()).masked_fill(matches.flatten(), 0)
    lines = []
    for name, differences, tolerance in (("absolute", absolute, atol), ("relative", relative, rtol)):
        greatest, flat_place = differences.max(0)
        place = tuple(int(k) for k in np.unravel_index(int(flat_place), shape))
        limit = allowed(tolerance, rtol, atol)
        lines.append(f"Greatest {name} difference: {greatest.item()} at index {place}{limit}")
    summary = f"Mismatched elements: {wrong} / {count} ({wrong / count:.1%})"
    return difference_text("Tensor-likes", summary, lines, rtol, atol)


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = True,
    msg: str = "",
) -> None:
    """The forerunner of `assert_close`: takes anything that `tensor` takes, checks no dtype, NaN equals NaN."""
    warnings.warn(
        "`torch.testing.assert_allclose()` is deprecated. Please use `torch.testing.assert_close()` instead, with "
        "check_dtype=False and equal_nan=True for the same meaning.",
        FutureWarning,
        stacklevel=2,
    )
    ours = actual if isinstance(actual, Tensor) else literals.tensor(actual)
    theirs = expected if isinstance(expected, Tensor) else literals.tensor(expected, dtype=ours.dtype)
    if rtol is None and atol is None:
        usual = {float16: (1e-3, 1e-3), float32: (1e-4, 1e-5), float64: (1e-5, 1e-8)}
        rtol, atol = loosest(usual, ours.dtype, theirs.dtype)
    assert_close(ours, theirs, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False, msg=msg or None)
