"""Dropout's functions: what is dropped, whole channels or cells, and what stands in its place."""

from __future__ import annotations

from math import sqrt
from typing import Any
from warnings import warn

from pellucid.layout import dense, like
from pellucid.operators.generators import default_generator
from pellucid.tensor import Tensor, array_of, empty_like_layout

_ALPHA = 1.7580993408473766  # SELU's scale times its alpha: what a dropped cell becomes, negated


def _is_identity(input: Tensor, p: float, training: bool) -> bool:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    return not training or p == 0 or input.layout.numel == 0


def _mask(input: Tensor, p: float, channels: bool) -> Any:
    """1 with the chance ``1 - p``, else 0: for each cell, or for each channel of each sample."""
    layout = input.layout
    if channels and layout.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    shape = (*layout.shape[:2], *[1] * (layout.ndim - 2))
    made = empty_like_layout(dense(shape, layout.dtype) if channels else like(layout))
    default_generator.stream.bernoulli(array_of(made), 1 - p)
    return made


def _dropped(input: Any, p: float, training: bool, inplace: bool, channels: bool) -> Any:
    if _is_identity(input, p, training):
        return input
    factor = 0.0 if p == 1 else _mask(input, p, channels).div_(1 - p)
    return input.mul_(factor) if inplace else input * factor


def _alpha_dropped(input: Any, p: float, training: bool, inplace: bool, channels: bool) -> Any:
    if _is_identity(input, p, training):
        return input
    if p == 1:
        return input.mul_(0.0) if inplace else input * 0.0
    mask = _mask(input, p, channels)
    a = 1.0 / sqrt((_ALPHA * _ALPHA * p + 1) * (1 - p))
    shift = (mask - 1).mul_(_ALPHA * a).add_(_ALPHA * a * p)
    mask.mul_(a)
    return input.mul_(mask).add_(shift) if inplace else input * mask + shift


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """In training, each cell is zero with the chance ``p`` and scaled by ``1 / (1 - p)`` otherwise.

    Raises:
        ValueError: ``p`` is no probability.
    """
    return _dropped(input, p, training, inplace, channels=False)


def _by_channel(name: str, input: Any, p: float, training: bool, inplace: bool, spatial: int) -> Any:
    if input.dim() not in (spatial + 1, spatial + 2):
        warn(
            f"{name}: Received a {input.dim()}-D input to {name}, which is deprecated and will result in an error in a "
            f"future release. To retain the behavior and silence this warning, please use dropout instead.",
            UserWarning,
            stacklevel=3,
        )
    return _dropped(input, p, training, inplace, channels=True)


def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """In training, each channel of (N, C, L) or (C, L) is zero with the chance ``p`` and scaled otherwise.

    Raises:
        ValueError: ``p`` is no probability. RuntimeError: other dimensions.
    """
    _is_identity(input, p, training)
    if input.dim() not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.dim()}D input. Note that dropout1d drops channels "
            "of (C, L) or (N, C, L); use dropout to drop single cells"
        )
    if input.dim() == 3:
        return _dropped(input, p, training, inplace, channels=True)
    result = _dropped(input.unsqueeze(0), p, training, inplace, channels=True)
    return input if inplace else result.squeeze(0)


def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """In training, each channel of (N, C, H, W) is zero with the chance ``p`` and scaled otherwise.

    Raises:
        ValueError: ``p`` is no probability.
    """
    _is_identity(input, p, training)
    if input.dim() == 3:
        warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - "
            "input is interpreted as shape (N, C, L), where C is the channel dim. Use dropout1d for it.",
            UserWarning,
            stacklevel=2,
        )
    return _by_channel("dropout2d", input, p, training, inplace, 2)


def dropout3d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """In training, each channel of (N, C, D, H, W) or (C, D, H, W) is zero with the chance ``p`` and scaled otherwise.

    Raises:
        ValueError: ``p`` is no probability.
    """
    _is_identity(input, p, training)
    if input.dim() != 4:
        return _by_channel("dropout3d", input, p, training, inplace, 3)
    result = _dropped(input.unsqueeze(0), p, training, inplace, channels=True)
    return input if inplace else result.squeeze(0)


def alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """Dropout that keeps mean and variance of what SELU gives (Klambauer et al. 2017).

    Raises:
        ValueError: ``p`` is no probability.
    """
    return _alpha_dropped(input, p, training, inplace, channels=False)


def feature_alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """`alpha_dropout` of whole channels.

    Raises:
        ValueError: ``p`` is no probability.
    """
    return _alpha_dropped(input, p, training, inplace, channels=True)
