"""Images of another size: each spatial dimension is gathered (nearest) or multiplied by a matrix of weights."""

from __future__ import annotations

from math import floor
from typing import Any
from warnings import warn

import numpy as np

from pellucid.dtypes import float32, float64, int64, uint8
from pellucid.operators.indexing import index_select
from pellucid.operators.mean_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from pellucid.tensor import Tensor, tensor_on

_SPATIAL = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
_CUBIC, _CUBIC_OF_IMAGES = -0.75, -0.5  # Keys' constant (Keys 1981): without and with antialiasing


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """(N, C, ...) with spatial dimensions of ``size``, or ``scale_factor`` times as large.

    ``mode``: nearest, nearest-exact, linear, bilinear, bicubic, trilinear or area (means). ``align_corners``: the first
    and the last cells stay where they are, instead of the outer edges. ``antialias``: smaller images (bilinear, bicubic)
    average over all cells that fall into one.

    Raises:
        ValueError: neither or both of size and scale, or options that the mode does not have.
        NotImplementedError: an unknown mode, or one for other dimensions.
    """
    spatial = input.dim() - 2
    if antialias and (mode not in ("bilinear", "bicubic") or spatial != 2):
        raise ValueError("Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as input")
    if mode in ("nearest", "nearest-exact", "area"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
            )
    elif mode not in _SPATIAL or _SPATIAL[mode] != spatial:
        raise NotImplementedError(
            f"Input Error: interpolate(mode={mode!r}) of a {input.dim()}D input: nearest, nearest-exact and area take 3D to "
            "5D inputs, linear 3D, bilinear and bicubic 4D, trilinear 5D ones"
        )
    sizes, scales = _sizes(input, size, scale_factor, recompute_scale_factor)
    if mode == "area":
        pool: Any = (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[spatial - 1]
        return pool(input, sizes)
    whole = input.dtype is uint8 and mode in _SPATIAL
    for k in reversed(range(spatial)):
        n, options = input.shape[k + 2], (sizes[k], scales[k], mode, bool(align_corners), antialias)
        if not whole:
            input = _along(input, k + 2, n, *options)
        elif n != sizes[k]:  # every pass gives whole numbers again
            input = _along(input.to(float32), k + 2, n, *options).round().clamp(0, 255).to(uint8)
    return input


def _sizes(input: Any, size: Any, factor: Any, recompute: bool | None) -> tuple[list[int], list[float | None]]:
    """The new sizes, and the scales that were asked for (None: what the sizes give)."""
    count = input.dim() - 2
    if (size is None) == (factor is None):
        raise ValueError(
            "only one of size or scale_factor should be defined" if size is not None
            else "either size or scale_factor should be defined"
        )  # fmt: skip
    given = list(size if factor is None else factor) if isinstance(size or factor, tuple | list) else [size or factor] * count
    if len(given) != count:
        raise ValueError(
            f"Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of "
            f"{list(input.shape[2:])} and {given}. Please provide a value for each of them."
        )
    if factor is None:
        return [int(n) for n in given], [None] * count
    sizes = [floor(float(n) * f) for n, f in zip(input.shape[2:], given, strict=True)]
    return sizes, [None] * count if recompute else [float(f) for f in given]


def _along(
    input: Any, dim: int, n: int, m: int, factor: float | None, mode: str, corners: bool, antialias: bool
) -> Any:
    """One dimension of size ``n`` becomes one of size ``m``."""
    real: Any = np.float64 if input.dtype is float64 else np.float32
    places: Any = np.arange(m, dtype=real)
    scale = real(n / m if factor is None else 1.0 / factor)
    if mode in ("nearest", "nearest-exact"):
        shift = real(0.5) if mode == "nearest-exact" else real(0)
        cells = np.minimum(np.floor((places + shift) * scale).astype(np.int64), n - 1)
        return index_select(input, dim, tensor_on(cells, int64))
    if antialias:
        wide = real((n - 1) / (m - 1) if m > 1 else 0) if corners else scale
        return _multiplied(input, dim, _averaging_weights(n, m, wide, mode == "bicubic"))
    if corners:
        source = places * real((n - 1) / (m - 1) if m > 1 else 0)
    else:
        source = (places + real(0.5)) * scale - real(0.5)
        source = source if mode == "bicubic" else np.maximum(source, real(0))
    return _multiplied(input, dim, _weights(source, n, mode == "bicubic"))


def _multiplied(input: Any, dim: int, matrix: Any) -> Any:
    """One dimension through a matrix of weights."""
    rows = tensor_on(np.ascontiguousarray(matrix), float64 if matrix.dtype == np.float64 else float32).to(input.dtype)
    moved = input.movedim(dim, -1) @ rows.T
    return moved.movedim(-1, dim).contiguous()


def _averaging_weights(n: int, m: int, scale: Any, cubic: bool) -> Any:
    """The (m, n) matrix of a filter that is as wide as the cells of the result: nothing is left out in between."""
    real = type(scale)
    wide = max(scale, real(1))
    reach = (2 if cubic else 1) * wide
    matrix = np.zeros((m, n), real)
    for y in range(m):
        centre = scale * real(y + 0.5)
        first, last = max(int(centre - reach + real(0.5)), 0), min(int(centre + reach + real(0.5)), n)
        x = np.abs((np.arange(first, last, dtype=real) - centre + real(0.5)) / wide)
        weights = _cubic_filter(x) if cubic else np.maximum(1 - x, 0)
        matrix[y, first:last] = weights / weights.sum()
    return matrix


def _cubic_filter(x: Any) -> Any:
    """Keys' filter at distances ``x``, with the constant that is usual for images."""
    a = _CUBIC_OF_IMAGES
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0)).astype(x.dtype)


def _weights(source: Any, n: int, cubic: bool) -> Any:
    """The (m, n) matrix whose rows weigh the cells around each place; cells beyond the edges are those at the edges."""
    first = np.floor(source)
    t = source - first
    a = _CUBIC

    def near(x: Any) -> Any:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Any) -> Any:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    parts = [(-1, far(t + 1)), (0, near(t)), (1, near(1 - t)), (2, far(2 - t))] if cubic else [(0, 1 - t), (1, t)]
    matrix = np.zeros((len(source), n), source.dtype)
    for offset, weight in parts:
        cells = np.clip(first.astype(np.int64) + offset, 0, n - 1)
        np.add.at(matrix, (np.arange(len(source)), cells), weight)
    return matrix


def upsample(input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
             align_corners: bool | None = None) -> Any:  # fmt: skip
    """The older name of `interpolate`."""
    warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", UserWarning, stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)
