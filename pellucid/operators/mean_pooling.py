"""Pooling by the mean, over windows and over the parts of a grid."""

from __future__ import annotations

from typing import Any

from pellucid.dtypes import float32
from pellucid.memory_format import format_of
from pellucid.operators.define import deliver, public
from pellucid.operators.pooling import grid_of, no_stride, parts, require_cells
from pellucid.operators.products import HALVES
from pellucid.operators.windows import Sizes, Window, require_room, sizes_of, unfold_windows, window_of


def _arranged_as(result: Any, input: Any) -> Any:
    """The result in the memory format of the input."""
    return result.contiguous(memory_format=format_of(input.layout))


# -- over windows -----------------------------------------------------------------------------------------------------


def _avg_pool(
    rank: int, input: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, with_padding: bool,
    divisor: int | None,
) -> Any:  # fmt: skip
    """The mean of each window; that of integers is truncated.

    Raises:
        RuntimeError: padding of more than half the kernel, a kernel that does not fit, a divisor of 0.
    """
    name = f"avg_pool{rank}d"
    if divisor == 0:
        raise RuntimeError(f"{name}: divisor must be not zero")
    if input.dim() not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"{name}: Expected {rank + 1}D or {rank + 2}D (batch mode) tensor for input, but got: {list(input.shape)}"
        )
    require_cells(name, input, rank)
    if input.dim() == rank + 1:
        options = (kernel_size, stride, padding, ceil_mode, with_padding, divisor)
        return _avg_pool(rank, input.unsqueeze(0), *options).squeeze(0)
    window = window_of(name, kernel_size, kernel_size if no_stride(stride) else stride, padding, 1, rank)
    if any(2 * p > k for p, k in zip(window.padding, window.kernel, strict=True)):
        raise RuntimeError(
            f"{name}: pad should be at most half of kernel size, but got pad={window.padding} and "
            f"kernel_size={window.kernel}"
        )
    size = tuple(input.shape[2:])
    count = window.count(size, bool(ceil_mode))
    require_room(name, input.layout, count, window)
    sums = _window_sums(input, window, count)
    counts = divisor or _divisors(input, window, size, count, with_padding)
    means = sums / counts if input.dtype.is_floating_point else sums.div(counts, rounding_mode="trunc")
    return _arranged_as(means, input)


def _window_sums(input: Any, window: Window, count: Sizes) -> Any:
    """Sums over the windows; those that hang over the end (``ceil_mode``) see zeros there."""
    missing = [
        max(0, (m - 1) * s + k - p - n)
        for m, s, k, p, n in zip(count, window.stride, window.kernel, window.padding, input.shape[2:], strict=True)
    ]
    if any(extra > p for extra, p in zip(missing, window.padding, strict=True)):
        from pellucid.operators.padding import pad

        ends = zip(window.padding, missing, strict=True)
        input = pad(input, [n for before, after in reversed(list(ends)) for n in (before, after)])
        window = Window(window.kernel, window.stride, (0,) * window.rank, window.dilation)
    windows: Any = unfold_windows(input, window)
    sums = windows.sum(tuple(range(2, 2 + window.rank)))
    return sums[(..., *(slice(m) for m in count))]


def _divisors(input: Any, window: Window, size: Sizes, count: Sizes, with_padding: bool) -> Any:
    """How many cells each window covers: inside the input, or inside the input with its padding."""
    product: Any = None
    for n, m, k, s, p in zip(size, count, window.kernel, window.stride, window.padding, strict=True):
        low, high = (-p, n + p) if with_padding else (0, n)
        starts = [y * s - p for y in range(m)]
        lengths = input.detach().new_tensor([min(a + k, high) - max(a, low) for a in starts])
        product = lengths if product is None else product.unsqueeze(-1) * lengths
    return product


@public
def avg_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """The mean of each window of (N, C, L) or (C, L)."""
    size, edge = (sizes_of("avg_pool1d", "size", v, 1) for v in (kernel_size, padding))
    step = size if no_stride(stride) else sizes_of("avg_pool1d", "stride", stride, 1)
    if input.dim() not in (2, 3):
        raise RuntimeError(f"avg_pool1d: Expected 2D or 3D (batch mode) tensor for input, but got: {list(input.shape)}")
    wide = input.unsqueeze(-2)
    return _avg_pool(2, wide, (1, *size), (1, *step), (0, *edge), ceil_mode, count_include_pad, None).squeeze(-2)


def avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    out: Any = None,
) -> Any:
    """The mean of each window of (N, C, H, W) or (C, H, W)."""
    result = _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return result if out is None else deliver(result, out, "avg_pool2d")


def avg_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    out: Any = None,
) -> Any:
    """The mean of each window of (N, C, D, H, W) or (C, D, H, W)."""
    result = _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return result if out is None else deliver(result, out, "avg_pool3d")


# -- over a grid ------------------------------------------------------------------------------------------------------


def _adaptive_avg(operator: str, rank: int, input: Any, output_size: Any) -> Any:
    target = grid_of(operator, input, output_size, rank)
    return _arranged_as(_part_means(input, target), input)


def _part_means(input: Any, target: Sizes) -> Any:
    if input.dtype in HALVES:
        return _part_means(input.to(float32), target).to(input.dtype)
    rank = len(target)
    size = tuple(input.shape[-rank:])
    if min(target) > 0 and all(n % m == 0 for n, m in zip(size, target, strict=True)):
        split = [length for n, m in zip(size, target, strict=True) for length in (m, n // m)]
        return input.reshape(*input.shape[:-rank], *split).mean(tuple(range(1 - 2 * rank, 0, 2)))
    for k, (n, m) in enumerate(zip(size, target, strict=True)):
        d = k - rank
        input = (input.movedim(d, -1) @ _averaging(input, n, m).mT).movedim(-1, d)
    return input


def _averaging(input: Any, n: int, m: int) -> Any:
    """The (m, n) matrix that takes the means of one dimension."""
    rows = [[1.0 / (b - a) if a <= i < b else 0.0 for i in range(n)] for a, b in parts(n, m)]
    return input.detach().new_tensor(rows).reshape(m, n)


@public
def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """Means over ``output_size`` parts of (N, C, L) or (C, L).

    Raises:
        RuntimeError: more than one output size, another rank.
    """
    wanted = sizes_of("adaptive_avg_pool1d", "output_size", output_size, 1)
    grid_of("adaptive_avg_pool1d", input, wanted, 1)
    return _adaptive_avg("adaptive_avg_pool1d", 2, input.unsqueeze(-2), (1, *wanted)).squeeze(-2)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """Means over a grid of ``output_size`` parts: part y covers rows floor(y H / oH) to ceil((y + 1) H / oH).

    Raises:
        ValueError: no more dimensions than output sizes. RuntimeError: another rank, not a pair of sizes.
    """
    return _adaptive_avg("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input: Any, output_size: Any) -> Any:
    """Means over a grid of ``output_size`` parts of (N, C, D, H, W) or (C, D, H, W)."""
    return _adaptive_avg("adaptive_avg_pool3d", 3, input, output_size)
