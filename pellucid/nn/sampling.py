"""Pictures read at places between their cells: ``grid_sample``, and the places of an affine map: ``affine_grid``.

    grid_sample, bilinear    out[n,c,p] = sum over the 4 cells q around place grid[n,p] of weight(p,q) input[n,c,q]

A place is (x, y) or (x, y, z), each from -1 to 1 over the width, the height and the depth.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any
from warnings import warn

from pellucid.errors import shape_text
from pellucid.operators.arguments import require_tensor
from pellucid.operators.joining import stack
from pellucid.operators.sequences import linspace
from pellucid.tensor import Tensor

_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")
_UNSAID = (
    "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
    "align_corners=True if the old behavior is desired."
)


def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """The input (N, C, H, W) at the places ``grid`` (N, h, w, 2); or (N, C, D, H, W) at (N, d, h, w, 3).

    Args:
        mode: "bilinear" (of the cells around), "nearest", or "bicubic" (of 4 x 4 cells).
        padding_mode: what lies outside: "zeros", the "border", or the picture's "reflection".
        align_corners: whether -1 and 1 are the centres of the outermost cells, or their outer edges.

    Raises:
        ValueError: an unknown mode. RuntimeError: shapes or dtypes that do not fit.
    """
    x: Any = require_tensor("grid_sample", input)
    places: Any = require_tensor("grid_sample", grid, "grid", 2)
    if mode not in _MODES:
        raise ValueError(f"nn.functional.grid_sample(): expected mode to be one of {_MODES}, but got: {mode!r}")
    if padding_mode not in _PADDINGS:
        raise ValueError(
            f"nn.functional.grid_sample(): expected padding_mode to be one of {_PADDINGS}, but got: {padding_mode!r}"
        )
    if align_corners is None:
        warn(_UNSAID, UserWarning, stacklevel=2)
    _check(x, places, mode)
    sizes = tuple(x.shape[2:])
    # The last number of a place is for the first of the spatial dimensions.
    wanted = [_cells(places[..., d], n, bool(align_corners)) for d, n in enumerate(reversed(sizes))][::-1]
    flat, count = x.flatten(2), prod(places.shape[1:-1])
    out: Any = 0
    for taps in product(*[
        _taps(c, n, mode, padding_mode, bool(align_corners)) for c, n in zip(wanted, sizes, strict=True)
    ]):
        cell: Any = 0
        weight: Any = None
        for (number, factor), n in zip(taps, sizes, strict=True):
            cell = cell * n + number
            weight = factor if weight is None else weight if factor is None else weight * factor
        values = flat.gather(2, cell.reshape(-1, 1, count).expand(-1, x.shape[1], -1))
        out = out + (values if weight is None else values * weight.reshape(-1, 1, count))
    return out.reshape(*x.shape[:2], *places.shape[1:-1])


def _check(x: Any, grid: Any, mode: str) -> None:
    n = x.dim() - 2
    met = f"got input {shape_text(x.shape)} and grid {shape_text(grid.shape)}"
    if n not in (2, 3) or grid.dim() != x.dim():
        raise RuntimeError(f"grid_sample(): expected 4D or 5D input and grid with same number of dimensions, {met}")
    if x.shape[0] != grid.shape[0]:
        raise RuntimeError(f"grid_sample(): expected grid and input to have same batch size, {met}")
    if grid.shape[-1] != n:
        raise RuntimeError(f"grid_sample(): expected grid to have size {n} in last dimension, {met}")
    if 0 in x.shape[2:]:
        raise RuntimeError(f"grid_sample(): expected input to have non-empty spatial dimensions, {met}")
    if x.dtype is not grid.dtype:
        raise RuntimeError(f"grid_sample(): expected input and grid to have same dtype, got {x.dtype!r} and {grid.dtype!r}")
    if mode == "bicubic" and n == 3:
        raise RuntimeError("grid_sample(): bicubic interpolation only supports 4D input")


def _cells(place: Any, n: int, align_corners: bool) -> Any:
    """From -1 ... 1 to a (broken) number of the cell."""
    return (place + 1) / 2 * (n - 1) if align_corners else ((place + 1) * n - 1) / 2


def _taps(cell: Any, n: int, mode: str, padding: str, align_corners: bool) -> list[tuple[Any, Any]]:
    """Along one dimension: which cells are read, and the weight of each (None: 1)."""
    if mode != "bicubic":
        cell = _brought_inside(cell, n, padding, align_corners)
    if mode == "nearest":
        constant = cell.sign() * 0 + 1 if cell.requires_grad else None  # places have a gradient: zeros
        return [_tap(cell.round(), constant, n, padding)]
    first = cell.detach().floor()
    t = cell - first
    if mode == "bilinear":
        return [_tap(first, 1 - t, n, padding), _tap(first + 1, t, n, padding)]
    weights = (_far(t + 1), _near(t), _near(1 - t), _far(2 - t))
    taps = [_brought_inside(first + k, n, padding, align_corners) for k in (-1, 0, 1, 2)]
    return [_tap(tap, weight, n, padding) for tap, weight in zip(taps, weights, strict=True)]


def _tap(number: Any, weight: Any, n: int, padding: str) -> tuple[Any, Any]:
    number = number.detach()
    if padding == "zeros":
        inside = ((number >= 0) & (number <= n - 1)).to(number.dtype)
        weight = inside if weight is None else weight * inside
    return number.nan_to_num(0).clamp(0, n - 1).long(), weight


def _brought_inside(cell: Any, n: int, padding: str, align_corners: bool) -> Any:
    """The number of the cell that stands for one outside. (At the border itself, no gradient flows to the place.)"""
    if padding == "zeros":
        return cell
    if padding == "reflection":
        low, span = (0.0, float(n - 1)) if align_corners else (-0.5, float(n))
        if span == 0:
            cell = cell * 0
        else:
            off = (cell - low).abs()
            rest, turns = off.fmod(span), (off.detach() / span).floor()
            cell = rest.where(turns % 2 == 0, span - rest) + low
    inner = cell.where(cell > 0, cell.new_zeros(()))
    return inner.where(inner < n - 1, cell.new_tensor(float(n - 1)))


_A = -0.75  # the slope of the cubic at its first zero


def _near(t: Any) -> Any:
    """The cubic's weight up to distance 1."""
    return ((_A + 2) * t - (_A + 3)) * t * t + 1


def _far(t: Any) -> Any:
    """The cubic's weight from distance 1 to 2."""
    return ((_A * t - 5 * _A) * t + 8 * _A) * t - 4 * _A


def affine_grid(theta: Tensor, size: Any, align_corners: bool | None = None) -> Tensor:
    """The places (N, H, W, 2) that the maps ``theta`` (N, 2, 3) take a grid of ``size`` (N, C, H, W) to.

    Three-dimensional maps are (N, 3, 4), for a size of (N, C, D, H, W).

    Raises:
        ValueError: ``theta`` or ``size`` of another shape, an empty size, integers.
        NotImplementedError: a size of another length.
    """
    maps: Any = require_tensor("affine_grid", theta, "theta")
    if not maps.dtype.is_floating_point:
        raise ValueError(f"affine_grid(): Expected theta to have floating point type, but got {maps.dtype}")
    n = len(size) - 2
    if n not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size "
            f"{shape_text(size)}."
        )
    if maps.dim() != 3 or tuple(maps.shape[1:]) != (n, n + 1):
        raise ValueError(
            f"affine_grid(): Expected a batch of {n}D affine matrices of shape Nx{n}x{n + 1} for size {shape_text(size)}. "
            f"Got {maps.shape}."
        )
    if min(size) <= 0:
        raise ValueError(f"affine_grid(): Expected non-zero, positive output size. Got {shape_text(size)}")
    if maps.shape[0] != size[0]:
        raise RuntimeError(f"affine_grid(): {maps.shape[0]} maps for a batch of {size[0]}")
    if align_corners is None:
        warn(_UNSAID, UserWarning, stacklevel=2)
    sizes = tuple(size[2:])
    places = []
    for d in reversed(range(n)):  # x goes along the last dimension
        along = _steps(maps, sizes[d], bool(align_corners)).view(*[-1 if k == d else 1 for k in range(n)])
        places.append(along.expand(sizes))
    places.append(maps.new_ones(sizes))
    base: Any = stack(places, -1)
    return (base.view(1, -1, n + 1).expand(size[0], -1, -1) @ maps.transpose(1, 2)).view(size[0], *sizes, n)


def _steps(like: Any, n: int, align_corners: bool) -> Any:
    if n <= 1:
        return like.new_zeros(1)
    steps: Any = linspace(-1, 1, n, dtype=like.dtype, device=like.device)
    return steps if align_corners else steps * ((n - 1) / n)
