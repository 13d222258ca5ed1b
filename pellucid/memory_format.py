"""Memory formats: in which order the dimensions of a new tensor lie in memory.

`contiguous_format` lets the last dimension vary fastest, `channels_last` (4-D) and `channels_last_3d` (5-D) the
second one, `preserve_format` follows the tensor that the new one is made from.
"""

from __future__ import annotations

from typing import Any, NoReturn, final

from pellucid.errors import shape_text
from pellucid.layout import Layout, dense, layout_of, like


@final
class memory_format:
    """One of the four formats; they are objects of their own and cannot be made."""

    __slots__ = ("_name",)
    _name: str

    def __init__(self) -> None:
        raise TypeError(
            "cannot create 'torch.memory_format' instances; use torch.contiguous_format, torch.preserve_format, "
            "torch.channels_last or torch.channels_last_3d"
        )

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"cannot set {name!r}: {self!r} is one object for the whole program")

    def __repr__(self) -> str:
        return f"torch.{self._name}"

    def __reduce__(self) -> str:
        return self._name


def _define(name: str) -> memory_format:
    made = object.__new__(memory_format)
    object.__setattr__(made, "_name", name)
    return made


contiguous_format = _define("contiguous_format")
preserve_format = _define("preserve_format")
channels_last = _define("channels_last")
channels_last_3d = _define("channels_last_3d")

_CHANNELS_LAST_ORDER = {channels_last: (0, 2, 3, 1), channels_last_3d: (0, 2, 3, 4, 1)}


def require_memory_format(value: Any, operator: str) -> memory_format:
    """Raises TypeError for what is not a memory format."""
    if isinstance(value, memory_format):
        return value
    raise TypeError(
        f"{operator}(): argument 'memory_format' must be torch.memory_format, not {type(value).__name__}"
    )


def channels_last_strides(shape: tuple[int, ...], order: tuple[int, ...]) -> tuple[int, ...]:
    """Dense strides whose dimensions vary in ``order``, the last one fastest."""
    strides, step = [0] * len(shape), 1
    for d in reversed(order):
        strides[d] = step
        step *= max(shape[d], 1)
    return tuple(strides)


def formatted(layout: Layout, wanted: memory_format, operator: str) -> Layout:
    """A dense layout of the same shape and dtype in the wanted format.

    Raises:
        RuntimeError: a channels-last format of a tensor with another number of dimensions.
    """
    if wanted is contiguous_format:
        return dense(layout.shape, layout.dtype, layout.device)
    if wanted is preserve_format:
        return like(layout)
    order = _CHANNELS_LAST_ORDER[wanted]
    if layout.ndim != len(order):
        raise RuntimeError(
            f"{operator}(): required rank {len(order)} tensor to use {wanted._name} format, but the shape is "
            f"{shape_text(layout.shape)}; use torch.contiguous_format"
        )
    return layout_of(layout.shape, channels_last_strides(layout.shape, order), layout.dtype, layout.device)


def has_format(layout: Layout, wanted: memory_format, operator: str) -> bool:
    """Whether a tensor of this layout already is in the wanted format (dimensions of size 1 may have any stride).

    Raises:
        RuntimeError: asked for ``preserve_format``, which no tensor is or is not in.
    """
    if wanted is contiguous_format:
        return layout.contiguous
    if wanted is preserve_format:
        raise RuntimeError(f"{operator}(): preserve memory format is unsupported by the contiguous operator")
    order = _CHANNELS_LAST_ORDER[wanted]
    if layout.ndim != len(order):
        return False
    strides = channels_last_strides(layout.shape, order)
    return all(n == 1 or s == own for n, s, own in zip(layout.shape, strides, layout.strides, strict=True))


def format_of(layout: Layout) -> memory_format:
    """The format that a tensor follows, also one with holes: channels-last if its strides grow in that order."""
    for wanted, order in _CHANNELS_LAST_ORDER.items():
        if layout.ndim == len(order) and _grow(layout, order):
            return wanted
    return contiguous_format


def _grow(layout: Layout, order: tuple[int, ...]) -> bool:
    """Whether the strides grow from the last to the first of ``order``, which leaves no doubt about the channels."""
    least = 0
    if layout.strides[1] == 0 or layout.numel == 0:
        return False
    for d in reversed(order):
        stride = layout.strides[d]
        # One channel whose images all have one pixel would do for either format; then it is the contiguous one.
        if stride < least or (d == 0 and least == layout.strides[1]):
            return False
        least = stride * layout.shape[d]
    return True


PUBLIC_NAMES = {
    "memory_format": memory_format,
    "contiguous_format": contiguous_format,
    "preserve_format": preserve_format,
    "channels_last": channels_last,
    "channels_last_3d": channels_last_3d,
}
