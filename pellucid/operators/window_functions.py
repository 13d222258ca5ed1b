"""Windows for spectra: weights that fall off towards both ends.

With t = i / (n - 1), or i / n for a periodic one:

    hann        1/2 - 1/2 cos 2 pi t
    hamming     alpha - beta cos 2 pi t
    blackman    0.42 - 1/2 cos 2 pi t + 0.08 cos 4 pi t
    bartlett    1 - |2t - 1|
    kaiser      I0(beta sqrt(1 - (2t - 1)^2)) / I0(beta)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.dtypes import DType
from pellucid.operators.arguments import checked_dtype, finished, place
from pellucid.operators.define import public
from pellucid.operators.nested import from_cells
from pellucid.tensor import Tensor

Curve = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]


def _window(
    operator: str,
    curve: Curve,
    length: int,
    periodic: bool,
    dtype: DType | None,
    layout: Any,
    device: Any,
    pin_memory: bool,
    requires_grad: bool,
) -> Tensor:
    """The curve at ``length`` places, computed in float64."""
    kind = checked_dtype(operator, dtype)
    place(operator, device, layout, pin_memory)
    if not kind.is_floating_point:
        raise RuntimeError(f"{operator}() expects floating point dtypes, got: {kind!r}")
    if length < 0:
        raise RuntimeError(f"{operator}() requires non-negative window_length, got window_length={length}")
    if length <= 1:
        return finished(from_cells(np.ones(length), kind), operator, requires_grad)
    t = np.arange(length) / (length if periodic else length - 1)
    return finished(from_cells(curve(t), kind), operator, requires_grad)


def _cosines(*factors: float) -> Curve:
    """``sum_k factors[k] cos(2 pi k t)``"""
    return lambda t: np.asarray(sum(f * np.cos(2 * np.pi * k * t) for k, f in enumerate(factors)))


def _simple(name: str, curve: Curve) -> None:
    def function(
        window_length: int,
        periodic: bool = True,
        *,
        dtype: DType | None = None,
        layout: Any = None,
        device: Any = None,
        pin_memory: bool = False,
        requires_grad: bool = False,
    ) -> Tensor:
        return _window(name, curve, window_length, periodic, dtype, layout, device, pin_memory, requires_grad)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The {name.removesuffix('_window')} window; a periodic one goes on with its first value."
    public(function)


_simple("hann_window", _cosines(0.5, -0.5))
_simple("blackman_window", _cosines(0.42, -0.5, 0.08))
_simple("bartlett_window", lambda t: 1 - abs(2 * t - 1))


@public
def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """``alpha - beta cos 2 pi t``"""
    curve = _cosines(alpha, -beta)
    return _window(
        "hamming_window", curve, window_length, periodic, dtype, layout, device, pin_memory, requires_grad
    )


@public
def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """``I0(beta sqrt(1 - (2t - 1)^2)) / I0(beta)``; I0 is the modified Bessel function."""

    def curve(t: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.i0(beta * np.sqrt(np.maximum(1 - (2 * t - 1) ** 2, 0))) / np.i0(beta)

    return _window(
        "kaiser_window", curve, window_length, periodic, dtype, layout, device, pin_memory, requires_grad
    )
