"""Cells of a max pooling put back where they came from, and poolings by other norms."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from pellucid.dtypes import int64
from pellucid.memory_format import format_of
from pellucid.operators.mean_pooling import avg_pool1d, avg_pool2d, avg_pool3d
from pellucid.operators.pooling import no_stride
from pellucid.operators.windows import sizes_of


def _unpooled(
    rank: int, input: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> Any:
    """Zeros of the size that was pooled, with the cells of ``input`` at ``indices``.

    Raises:
        RuntimeError: indices of another dtype or shape, or outside. ValueError: a size that cannot have been pooled.
    """
    name = f"max_unpool{rank}d"
    kernel = sizes_of(name, "kernel_size", kernel_size, rank)
    step = kernel if no_stride(stride) else sizes_of(name, "stride", stride, rank)
    edge = sizes_of(name, "padding", padding, rank)
    if indices.dtype is not int64:
        raise RuntimeError(f"{name}(): elements in indices should be type int64 but got: {indices.dtype}")
    if input.dim() not in (rank + 1, rank + 2) or input.shape != indices.shape:
        raise RuntimeError(
            f"{name}(): Expected input to be {rank + 1}- or {rank + 2}-dimensional and indices of its shape, but got "
            f"{list(input.shape)} and {list(indices.shape)}"
        )
    size = _size(name, tuple(input.shape[-rank:]), kernel, step, edge, output_size)
    cells, outer = prod(size), tuple(input.shape[:-rank])
    if 0 in input.shape[1:]:
        raise RuntimeError(f"{name}(): Expected non-zero size for non-batch dimensions, but got {list(input.shape)}")
    if indices.numel() and not (int(indices.min()) >= 0 and int(indices.max()) < cells):
        raise RuntimeError(
            f"{name}(): found an invalid max index: the indices reach from {int(indices.min())} to "
            f"{int(indices.max())}, the output has {cells} cells of size {size}"
        )
    zeros = input.detach().new_zeros((*outer, cells))
    pooled = (*outer, prod(input.shape[-rank:]))
    flat = zeros.scatter(-1, indices.reshape(pooled), input.reshape(pooled))
    return flat.reshape(*outer, *size).contiguous(memory_format=format_of(input.layout))


def _size(
    name: str, pooled: Sequence[int], kernel: Sequence[int], step: Sequence[int], edge: Sequence[int], wanted: Any
) -> tuple[int, ...]:
    usual = tuple((n - 1) * s + k - 2 * p for n, k, s, p in zip(pooled, kernel, step, edge, strict=True))
    if wanted is None:
        return usual
    size, rank = tuple(wanted), len(usual)
    if len(size) == rank + 2:
        size = size[2:]
    if len(size) != rank:
        raise ValueError(
            f"output_size should be a sequence containing {rank} or {rank + 2} elements, but it has a length of "
            f"'{len(wanted)}'"
        )
    if not all(u - s < n < u + s for n, u, s in zip(size, usual, step, strict=True)):
        least, most = ([u + sign * s for u, s in zip(usual, step, strict=True)] for sign in (-1, 1))
        raise ValueError(f'{name}(): invalid output_size "{list(size)}" (dim must be between {least} and {most})')
    return size


def max_unpool1d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """`max_pool1d` backwards: its results where they lay, zeros elsewhere."""
    return _unpooled(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """`max_pool2d` backwards: its results where they lay, zeros elsewhere."""
    return _unpooled(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """`max_pool3d` backwards: its results where they lay, zeros elsewhere."""
    return _unpooled(3, input, indices, kernel_size, stride, padding, output_size)


def _lp_pool(rank: int, input: Any, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool) -> Any:
    average: Any = (avg_pool1d, avg_pool2d, avg_pool3d)[rank - 1]
    cells = prod(sizes_of(f"lp_pool{rank}d", "kernel_size", kernel_size, rank))
    means = average(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    return (means.sign() * means.abs().relu()).mul(cells).pow(1.0 / norm_type)


def lp_pool1d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """``(sum over the window of x^p)^(1/p)`` of (N, C, L) or (C, L)."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """``(sum over the window of x^p)^(1/p)`` of (N, C, H, W) or (C, H, W)."""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """``(sum over the window of x^p)^(1/p)`` of (N, C, D, H, W) or (C, D, H, W)."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)
