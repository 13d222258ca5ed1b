"""Convolutions as modules."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

from pellucid.nn import functional as F
from pellucid.nn import init
from pellucid.nn.modules.module import Module
from pellucid.nn.parameter import Parameter
from pellucid.operators.creation import empty
from pellucid.operators.padding import pad
from pellucid.tensor import Tensor

_MODES = ("zeros", "reflect", "replicate", "circular")


def as_tuple(value: Any, n: int) -> tuple[Any, ...]:
    """``n`` numbers: one is repeated."""
    return (value,) * n if isinstance(value, int) else tuple(value)


class _Convolution(Module):
    """What all convolutions hold: a weight and a bias, drawn from U(-k, k), k = 1/sqrt(fan_in)."""

    spatial = 2
    transposed = False

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
        output_padding: Any, groups: int, bias: bool, padding_mode: str, device: Any, dtype: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        n = self.spatial
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups:
            raise ValueError(f"in_channels must be divisible by groups, but got {in_channels} and {groups}")
        if out_channels % groups:
            raise ValueError(f"out_channels must be divisible by groups, but got {out_channels} and {groups}")
        if padding_mode not in _MODES:
            raise ValueError(f"padding_mode must be one of {_MODES}, but got padding_mode='{padding_mode}'")
        self.in_channels, self.out_channels, self.groups, self.padding_mode = (
            in_channels, out_channels, groups, padding_mode,
        )  # fmt: skip
        self.kernel_size, self.stride = as_tuple(kernel_size, n), as_tuple(stride, n)
        self.dilation, self.output_padding = as_tuple(dilation, n), as_tuple(output_padding, n)
        self.padding = self._wanted_padding(padding)
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        shape = (first, second // groups, *self.kernel_size)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def _wanted_padding(self, padding: Any) -> Any:
        if not isinstance(padding, str):
            return as_tuple(padding, self.spatial)
        if padding not in ("same", "valid"):
            raise ValueError(f"Invalid padding string '{padding}', should be one of 'same', 'valid'")
        if padding == "same" and any(s != 1 for s in self.stride):
            raise ValueError("padding='same' is not supported for strided convolutions")
        return padding

    def reset_parameters(self) -> None:
        init.kaiming_uniform_(self.weight, a=sqrt(5))
        if self.bias is not None:
            fan_in = self.weight.shape[1] * prod(self.weight.shape[2:])
            if fan_in:
                bound = 1 / sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        n = self.spatial
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        usual = {"padding": (0,) * n, "dilation": (1,) * n, "output_padding": (0,) * n, "groups": 1}
        for name, value in usual.items():
            if getattr(self, name) != value:
                text += f", {name}={getattr(self, name)}"
        text += ", bias=False" if self.bias is None else ""
        return text if self.padding_mode == "zeros" else f"{text}, padding_mode={self.padding_mode}"


class _Direct(_Convolution):
    function = ""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode, device, dtype
        )

    def _edges(self) -> list[int]:
        """The padding as ``pad`` takes it: of the last dimension first."""
        if self.padding == "valid":
            return [0] * (2 * self.spatial)
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return [p for total in reversed(totals) for p in (total // 2, total - total // 2)]
        return [p for size in reversed(self.padding) for p in (size, size)]

    def forward(self, input: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = pad(input, self._edges(), mode=self.padding_mode), 0
        function = getattr(F, self.function)
        return function(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_Direct):
    """Convolution of (N, C, L) or (C, L); ``weight`` is (out_channels, in_channels / groups, kL)."""

    spatial, function = 1, "conv1d"


class Conv2d(_Direct):
    """Convolution of (N, C, H, W) or (C, H, W); ``weight`` is (out_channels, in_channels / groups, kH, kW)."""

    spatial, function = 2, "conv2d"


class Conv3d(_Direct):
    """Convolution of (N, C, D, H, W) or (C, D, H, W); ``weight`` is (out_channels, in_channels / groups, kD, kH, kW)."""

    spatial, function = 3, "conv3d"


class _Transposed(_Convolution):
    function, transposed = "", True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        extra = self.output_padding if output_size is None else self._padding_for(input, output_size)
        function = getattr(F, self.function)
        return function(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _padding_for(self, input: Tensor, output_size: Any) -> tuple[int, ...]:
        """The output padding that gives the wanted size.

        Raises:
            ValueError: no such padding exists.
        """
        n, wanted = self.spatial, tuple(output_size)
        if len(wanted) not in (n, n + 2 if input.dim() == n + 2 else n + 1):
            raise ValueError(
                f"{type(self).__name__}: for {input.dim()}D input, output_size must have {n} or {input.dim()} elements "
                f"(got {len(wanted)})"
            )
        least = [
            (m - 1) * s - 2 * p + d * (k - 1) + 1
            for m, s, p, d, k in zip(
                input.shape[-n:], self.stride, self.padding, self.dilation, self.kernel_size, strict=True
            )
        ]
        most = [low + s - 1 for low, s in zip(least, self.stride, strict=True)]
        extra = tuple(size - low for size, low in zip(wanted[-n:], least, strict=True))
        if any(e < 0 or low + e > high for e, low, high in zip(extra, least, most, strict=True)):
            raise ValueError(
                f"requested an output size of {list(wanted)}, but valid sizes range from {least} to {most} (for an input "
                f"of {list(input.shape[-n:])})"
            )
        return extra


class ConvTranspose1d(_Transposed):
    """The transpose of ``Conv1d``; ``weight`` is (in_channels, out_channels / groups, kL)."""

    spatial, function = 1, "conv_transpose1d"


class ConvTranspose2d(_Transposed):
    """The transpose of ``Conv2d``; ``weight`` is (in_channels, out_channels / groups, kH, kW)."""

    spatial, function = 2, "conv_transpose2d"


class ConvTranspose3d(_Transposed):
    """The transpose of ``Conv3d``; ``weight`` is (in_channels, out_channels / groups, kD, kH, kW)."""

    spatial, function = 3, "conv_transpose3d"
