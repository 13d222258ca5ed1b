"""Channels and pixels exchanged: reshapes and permutations of images."""

from __future__ import annotations

from typing import Any

from pellucid.errors import shape_text
from pellucid.operators.arguments import require_tensor
from pellucid.operators.define import public


def _require(operator: str, input: Any, name: str, value: int) -> None:
    require_tensor(operator, input)
    if input.dim() < 3:
        raise RuntimeError(
            f"{operator} expects input to have at least 3 dimensions, but got input with {input.dim()} dimension(s)"
        )
    if value <= 0:
        raise RuntimeError(f"{operator} expects a positive {name}, but got {value}")


@public
def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """``(*, C r^2, H, W) -> (*, C, H r, W r)``: out[c, h r + a, w r + b] = x[(c r + a) r + b, h, w] (Shi et al. 2016).

    Raises:
        RuntimeError: fewer than 3 dimensions, or channels that r^2 does not divide.
    """
    r = upscale_factor
    _require("pixel_shuffle", input, "upscale_factor", r)
    *batch, channels, height, width = input.shape
    if channels % (r * r):
        raise RuntimeError(
            f"pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, "
            f"but input.size(-3)={channels} is not divisible by {r * r}; the input is {shape_text(input.shape)}"
        )
    n = len(batch)
    cells = input.reshape(*batch, channels // (r * r), r, r, height, width)
    moved = cells.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return moved.reshape(*batch, channels // (r * r), height * r, width * r)


@public
def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """``(*, C, H r, W r) -> (*, C r^2, H, W)``: the reverse of `pixel_shuffle`.

    Raises:
        RuntimeError: fewer than 3 dimensions, or a height or width that r does not divide.
    """
    r = downscale_factor
    _require("pixel_unshuffle", input, "downscale_factor", r)
    *batch, channels, height, width = input.shape
    for name, size in (("height", height), ("width", width)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but {size} is not divisible by "
                f"{r}; the input is {shape_text(input.shape)}"
            )
    n = len(batch)
    cells = input.reshape(*batch, channels, height // r, r, width // r, r)
    moved = cells.permute(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return moved.reshape(*batch, channels * r * r, height // r, width // r)


@public
def channel_shuffle(input: Any, groups: int) -> Any:
    """``(N, C, ...)``: channel (g, k) of ``groups`` x (C / groups) moves to (k, g) (Zhang et al. 2018).

    Raises:
        RuntimeError: fewer than 3 dimensions, or channels that ``groups`` does not divide.
    """
    _require("channel_shuffle", input, "groups", groups)
    n, channels, *rest = input.shape
    if channels % groups:
        raise RuntimeError(f"channel_shuffle: Number of channels must be divisible by groups. Got {channels} channels "
                           f"and {groups} groups.")  # fmt: skip
    return input.reshape(n, groups, channels // groups, *rest).transpose(1, 2).reshape(input.shape)
