"""Modules that arrange cells anew: flattening, windows, pixels and channels exchanged, padding."""

from __future__ import annotations

from typing import Any

from pellucid.nn import functional as F
from pellucid.nn.modules.module import Module
from pellucid.tensor import Tensor


class _Shaping(Module):
    """A function of the input and of options, which are attributes named ``names``."""

    function = ""
    names: tuple[str, ...] = ()

    def _keep(self, *values: Any) -> None:
        for name, value in zip(self.names, values, strict=True):
            setattr(self, name, value)

    def forward(self, input: Tensor) -> Tensor:
        return getattr(F, self.function)(input, *[getattr(self, name) for name in self.names])

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.names)


class Flatten(_Shaping):
    """Dimensions ``start_dim`` to ``end_dim`` as one."""

    names = ("start_dim", "end_dim")

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self._keep(start_dim, end_dim)

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)


class Unflatten(_Shaping):
    """One dimension as several."""

    names = ("dim", "unflattened_size")

    def __init__(self, dim: int | str, unflattened_size: Any) -> None:
        super().__init__()
        if not isinstance(dim, int):
            raise TypeError(f"Unflatten: dim must be an int, since named dimensions are not supported; got {dim!r}")
        if not isinstance(unflattened_size, tuple | list):
            raise TypeError(f"unflattened_size must be a tuple of ints, but found type {type(unflattened_size).__name__}")
        for i, n in enumerate(unflattened_size):
            if not isinstance(n, int):
                raise TypeError(
                    f"unflattened_size must be tuple of ints, but found element of type {type(n).__name__} at pos {i}"
                )
        self._keep(dim, unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)


class Unfold(_Shaping):
    """Windows of (N, C, H, W) as columns: (N, C * kernel cells, windows)."""

    function, names = "unfold", ("kernel_size", "dilation", "padding", "stride")

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> None:
        super().__init__()
        self._keep(kernel_size, dilation, padding, stride)


class Fold(_Shaping):
    """Columns added up into an image: the transpose of ``Unfold``."""

    function, names = "fold", ("output_size", "kernel_size", "dilation", "padding", "stride")

    def __init__(
        self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        super().__init__()
        self._keep(output_size, kernel_size, dilation, padding, stride)


class PixelShuffle(_Shaping):
    """(*, C r^2, H, W) -> (*, C, H r, W r) (Shi et al. 2016)."""

    function, names = "pixel_shuffle", ("upscale_factor",)

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self._keep(upscale_factor)


class PixelUnshuffle(_Shaping):
    """(*, C, H r, W r) -> (*, C r^2, H, W)."""

    function, names = "pixel_unshuffle", ("downscale_factor",)

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self._keep(downscale_factor)


class ChannelShuffle(_Shaping):
    """Channels of ``groups`` groups interleaved (Zhang et al. 2018)."""

    function, names = "channel_shuffle", ("groups",)

    def __init__(self, groups: int) -> None:
        super().__init__()
        self._keep(groups)
