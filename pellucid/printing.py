"""How a tensor is written as text: PyTorch's `repr`, character for character.

All numbers of a tensor share one style and one width. The style is found from the numbers that are
finite and not zero:

    whole   every one is an integer           tensor([1., 2.])
    fixed   otherwise                         tensor([1.0000, 2.5000])
    sci     largest / smallest > 1000, or     tensor([1.0000e-05, 1.0000e+00])
            largest > 1e8, or smallest < 1e-4

A tensor with more elements than the threshold shows only the ends of each dimension, and only what
is shown decides the style.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from math import inf, isfinite
from typing import Any

import numpy as np

from pellucid.dtypes import DType, bool_, complex64, complex128, float64, get_default_dtype, int64


@dataclass(frozen=True, slots=True)
class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": _Options(),
    "short": _Options(precision=2, edgeitems=2),
    "full": _Options(threshold=inf),
}
_options = _Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Sets how tensors are printed; what is None keeps its value, but `sci_mode` goes back to automatic.

    Args:
        precision: digits after the point (4).
        threshold: tensors of more elements than this are shortened (1000).
        edgeitems: elements shown at each end of a shortened dimension (3).
        linewidth: characters in a line (80).
        profile: "default", "short" or "full"; the other arguments are applied on top of it.
        sci_mode: True or False forces scientific notation on or off.
    """
    global _options
    if profile is not None and profile not in _PROFILES:
        raise ValueError(
            f"set_printoptions(): profile must be one of {', '.join(_PROFILES)}; got {profile!r}"
        )
    start = _options if profile is None else _PROFILES[profile]
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    _options = replace(start, sci_mode=sci_mode, **changes)


def get_printoptions() -> dict[str, Any]:
    """The options in force, as keyword arguments for `set_printoptions`."""
    return asdict(_options)


@contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """`set_printoptions(**options)` inside the `with` block only."""
    global _options
    before = _options
    set_printoptions(**options)
    try:
        yield
    finally:
        _options = before


# --- one number --------------------------------------------------------------------------------


def _number_writer(values: np.ndarray) -> tuple[Callable[[Any], str], int]:
    """The function that writes one of these float64 numbers, padded, and the width it pads to."""
    precision = _options.precision
    telling = values[np.isfinite(values) & (values != 0)]
    style = _style(telling)
    if style == "sci":
        write: Callable[[float], str] = f"{{:.{precision}e}}".format
    elif style == "fixed":
        write = f"{{:.{precision}f}}".format
    else:
        write = _write_whole
    # inf, nan and zeros do not widen the column: that is PyTorch's rule.
    width = max(map(len, map(write, telling.tolist())), default=1)
    return lambda value: write(value).rjust(width), width


def _style(telling: np.ndarray) -> str:
    if telling.size == 0:
        return "whole"
    sizes = np.abs(telling)
    largest, smallest = float(sizes.max()), float(sizes.min())
    automatic = largest / smallest > 1000 or largest > 1e8 or smallest < 1e-4
    if automatic if _options.sci_mode is None else _options.sci_mode:
        return "sci"
    return "whole" if bool((telling == np.ceil(telling)).all()) else "fixed"


def _write_whole(value: float) -> str:
    return f"{value:.0f}." if isfinite(value) else f"{value}"


def _writer(values: np.ndarray, dtype: DType) -> tuple[Callable[[Any], str], int]:
    """The function that writes one element of `values`, and the width of a written element."""
    if dtype.is_floating_point:
        return _number_writer(values.reshape(-1))
    if dtype.is_complex:
        return _complex_writer(values.reshape(-1))
    width = max(map(len, map(str, values.reshape(-1).tolist())), default=1)
    return lambda value: str(value).rjust(width), width


def _complex_writer(values: np.ndarray) -> tuple[Callable[[Any], str], int]:
    write_real, real_width = _number_writer(values.real)
    write_imag, imag_width = _number_writer(values.imag)

    def write(value: complex) -> str:
        imag = write_imag(value.imag).lstrip()
        return write_real(value.real) + (imag if imag[0] == "-" else f"+{imag}") + "j"

    return write, real_width + imag_width + 1


# --- nested brackets ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Page:
    """What all the nested brackets of one tensor have in common."""

    shortened: Sequence[bool]  # per dimension: are its middle elements left out?
    write: Callable[[Any], str]
    width: int

    def text(self, cells: Any, depth: int, indent: int) -> str:
        """The text of a nested list of elements that starts in column `indent`."""
        below = len(self.shortened) - depth
        if below == 0:
            return self.write(cells)
        if below == 1:
            return self._row(cells, depth, indent)
        parts = [self.text(cell, depth + 1, indent + 1) for cell in cells]
        if self.shortened[depth]:
            parts.insert(_options.edgeitems, "...")
        between = "," + "\n" * (below - 1) + " " * (indent + 1)
        return "[" + between.join(parts) + "]"

    def _row(self, cells: list[Any], depth: int, indent: int) -> str:
        parts = [self.write(cell) for cell in cells]
        if self.shortened[depth]:
            parts.insert(_options.edgeitems, " ..." if parts else "...")
        per_line = max(1, (_options.linewidth - indent) // (self.width + 2))
        lines = [", ".join(parts[start : start + per_line]) for start in range(0, len(parts), per_line)]
        between = ",\n" + " " * (indent + 1)
        return "[" + between.join(lines) + "]"


def _content(array: np.ndarray, dtype: DType, indent: int) -> str:
    edge = _options.edgeitems
    shortened = [array.size > _options.threshold and size > 2 * edge for size in array.shape]
    for axis, is_short in enumerate(shortened):
        if is_short:
            ends = (*range(edge), *range(array.shape[axis] - edge, array.shape[axis]))
            array = np.take(array, np.array(ends, dtype=np.intp), axis=axis)
    if dtype.is_floating_point:
        array = array.astype(np.float64)  # exact, and bfloat16 is no number that Python can format
    write, width = _writer(array, dtype)
    return _Page(shortened, write, width).text(array.tolist(), 0, indent)


# --- the whole text ----------------------------------------------------------------------------


def tensor_repr(
    array: np.ndarray | None,
    dtype: DType,
    *,
    shape: Sequence[int] | None = None,
    requires_grad: bool = False,
    grad_fn_name: str | None = None,
    device: str = "cpu",
    is_parameter: bool = False,
    class_name: str = "tensor",
) -> str:
    """The `repr` of a tensor.

    Args:
        array: its elements, on the host; None when it has none to show (a meta tensor).
        dtype: its element type; a bfloat16 array is one of ml_dtypes.
        shape: needed only when `array` is None.
        requires_grad: writes "requires_grad=True" unless there is a grad_fn.
        grad_fn_name: "AddBackward0" is written as "grad_fn=<AddBackward0>".
        device: written unless it is "cpu".
        is_parameter: puts the line "Parameter containing:" in front.
        class_name: the name before the parenthesis; that of the class for a subclass of Tensor.
    """
    prefix = f"{class_name}("
    dims = tuple(shape or ()) if array is None else array.shape
    empty = array is not None and array.size == 0
    hidden = array is None or (empty and len(dims) != 1) or (not empty and not _options.edgeitems)
    content = "..." if array is None else "[]" if empty else _content(array, dtype, len(prefix))
    suffixes = [
        (device != "cpu", f"device='{device}'"),
        (hidden, f"size={dims}"),
        (not _is_implied(dtype, has_elements=array is not None and not empty), f"dtype={dtype!r}"),
        (grad_fn_name is not None, f"grad_fn=<{grad_fn_name}>"),
        (requires_grad and grad_fn_name is None, "requires_grad=True"),
    ]
    text = _append(prefix + content, [suffix for wanted, suffix in suffixes if wanted], len(prefix))
    return f"Parameter containing:\n{text}" if is_parameter else text


def _is_implied(dtype: DType, *, has_elements: bool) -> bool:
    """Whether a reader knows the dtype from the elements, so that it is not written."""
    default = get_default_dtype()
    if not has_elements:
        return dtype is default
    return dtype in (default, complex128 if default is float64 else complex64, int64, bool_)


def _append(text: str, suffixes: list[str], indent: int) -> str:
    """Adds the suffixes, each on the last line when it fits there, else on a line of its own."""
    used = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if used + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
            used = indent + len(suffix)
        else:
            text += f", {suffix}"
            used += len(suffix) + 2
    return text + ")"
