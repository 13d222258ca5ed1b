"""Padding as modules: (before, after) of the last dimension first; one number means all sides."""

from __future__ import annotations

from typing import Any

from pellucid.nn.modules.module import Module
from pellucid.operators.padding import pad
from pellucid.tensor import Tensor


class _Pad(Module):
    spatial, mode = 1, "constant"

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = (padding,) * (2 * self.spatial) if isinstance(padding, int) else tuple(padding)

    def forward(self, input: Tensor) -> Tensor:
        return pad(input, self.padding, mode=self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return pad(input, self.padding, value=self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """One value around the last dimension."""


class ConstantPad2d(_ConstantPad):
    """One value around the last two dimensions."""

    spatial = 2


class ConstantPad3d(_ConstantPad):
    """One value around the last three dimensions."""

    spatial = 3


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad):
    """Zeros around the last dimension."""


class ZeroPad2d(_ZeroPad):
    """Zeros around the last two dimensions."""

    spatial = 2


class ZeroPad3d(_ZeroPad):
    """Zeros around the last three dimensions."""

    spatial = 3


class ReflectionPad1d(_Pad):
    """The last dimension continued by its mirror image."""

    mode = "reflect"


class ReflectionPad2d(ReflectionPad1d):
    """The last two dimensions continued by their mirror images."""

    spatial = 2


class ReflectionPad3d(ReflectionPad1d):
    """The last three dimensions continued by their mirror images."""

    spatial = 3


class ReplicationPad1d(_Pad):
    """The edge cells of the last dimension repeated."""

    mode = "replicate"


class ReplicationPad2d(ReplicationPad1d):
    """The edge cells of the last two dimensions repeated."""

    spatial = 2


class ReplicationPad3d(ReplicationPad1d):
    """The edge cells of the last three dimensions repeated."""

    spatial = 3


class CircularPad1d(_Pad):
    """The last dimension continued from its other end."""

    mode = "circular"


class CircularPad2d(CircularPad1d):
    """The last two dimensions continued from their other ends."""

    spatial = 2


class CircularPad3d(CircularPad1d):
    """The last three dimensions continued from their other ends."""

    spatial = 3
