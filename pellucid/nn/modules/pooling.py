"""Pooling as modules."""

from __future__ import annotations

from typing import Any

from pellucid.nn import functional as F
from pellucid.nn.modules.module import Module
from pellucid.tensor import Tensor


class _MaxPool(Module):
    function = ""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.return_indices, self.ceil_mode = padding, dilation, return_indices, ceil_mode

    def forward(self, input: Tensor) -> Any:
        return getattr(F, self.function)(
            input, self.kernel_size, self.stride, self.padding, self.dilation, ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest cell of each window of (N, C, L) or (C, L)."""

    function = "max_pool1d"


class MaxPool2d(_MaxPool):
    """The largest cell of each window of (N, C, H, W) or (C, H, W)."""

    function = "max_pool2d"


class MaxPool3d(_MaxPool):
    """The largest cell of each window of (N, C, D, H, W) or (C, D, H, W)."""

    function = "max_pool3d"


class _MaxUnpool(Module):
    function, rank = "", 0

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        step = kernel_size if stride is None else stride
        self.kernel_size, self.stride, self.padding = (
            (v,) * self.rank if isinstance(v, int) else tuple(v) for v in (kernel_size, step, padding)
        )

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        unpool = getattr(F, self.function)
        result: Tensor = unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)
        return result

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """`MaxPool1d` backwards: its results where they lay, zeros elsewhere."""

    function, rank = "max_unpool1d", 1


class MaxUnpool2d(_MaxUnpool):
    """`MaxPool2d` backwards: its results where they lay, zeros elsewhere."""

    function, rank = "max_unpool2d", 2


class MaxUnpool3d(_MaxUnpool):
    """`MaxPool3d` backwards: its results where they lay, zeros elsewhere."""

    function, rank = "max_unpool3d", 3


class _LPPool(Module):
    function = ""

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> None:
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        pool = getattr(F, self.function)
        result: Tensor = pool(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)
        return result

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """``(sum over the window of x^p)^(1/p)`` of (N, C, L) or (C, L)."""

    function = "lp_pool1d"


class LPPool2d(_LPPool):
    """``(sum over the window of x^p)^(1/p)`` of (N, C, H, W) or (C, H, W)."""

    function = "lp_pool2d"


class LPPool3d(_LPPool):
    """``(sum over the window of x^p)^(1/p)`` of (N, C, D, H, W) or (C, D, H, W)."""

    function = "lp_pool3d"


class AvgPool1d(Module):
    """The mean of each window of (N, C, L) or (C, L)."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        step = kernel_size if stride is None else stride
        self.kernel_size, self.stride, self.padding = (
            (v,) if isinstance(v, int) else tuple(v) for v in (kernel_size, step, padding)
        )
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(Module):
    """The mean of each window of (N, C, H, W) or (C, H, W)."""

    rank = 2

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, kernel_size if stride is None else stride, padding
        self.ceil_mode, self.count_include_pad, self.divisor_override = ceil_mode, count_include_pad, divisor_override

    def forward(self, input: Tensor) -> Tensor:
        pool = F.avg_pool2d if self.rank == 2 else F.avg_pool3d
        return pool(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
            self.divisor_override,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool3d(AvgPool2d):
    """The mean of each window of (N, C, D, H, W) or (C, D, H, W)."""

    rank = 3


class AdaptiveAvgPool1d(Module):
    """Means over ``output_size`` cells of (N, C, L) or (C, L)."""

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool2d(AdaptiveAvgPool1d):
    """Means over a grid of ``output_size`` cells of (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(AdaptiveAvgPool1d):
    """Means over a grid of ``output_size`` cells of (N, C, D, H, W) or (C, D, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool3d(input, self.output_size)


class AdaptiveMaxPool1d(Module):
    """The largest cell of each of ``output_size`` parts of (N, C, L) or (C, L)."""

    function = "adaptive_max_pool1d"

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Tensor) -> Any:
        return getattr(F, self.function)(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool2d(AdaptiveMaxPool1d):
    """The largest cell of each part of a grid over (N, C, H, W) or (C, H, W)."""

    function = "adaptive_max_pool2d"


class AdaptiveMaxPool3d(AdaptiveMaxPool1d):
    """The largest cell of each part of a grid over (N, C, D, H, W) or (C, D, H, W)."""

    function = "adaptive_max_pool3d"
