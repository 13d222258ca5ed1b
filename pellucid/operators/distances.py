"""Distances between points: every point of one set to every point of another, or to the others of its own.

    cdist    out[i,j] = (sum_k |x1[i,k] - x2[j,k]|^p)^(1/p)
    pdist    its cells above the diagonal, row after row
"""

from __future__ import annotations

from typing import Any

from pellucid.errors import shape_text
from pellucid.operators.arguments import require_tensor
from pellucid.operators.define import public
from pellucid.operators.norms import vector_norm
from pellucid.operators.sequences import triu_indices
from pellucid.tensor import Tensor

_MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")


@public
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = _MODES[0]) -> Tensor:
    """The distances (..., P, R) between points (..., P, M) and (..., R, M); batches broadcast.

    All modes take differences, which is exact for points that lie close together.

    Raises:
        RuntimeError: fewer than two dimensions, points of different sizes, integers, two dtypes, a negative p.
        ValueError: an unknown mode.
    """
    for number, x in enumerate((x1, x2), 1):
        dtype = require_tensor("cdist", x, f"x{number}", number).layout.dtype
        if x.ndim < 2:
            raise RuntimeError(
                f"cdist(): cdist only supports at least 2D tensors, X{number} got: {x.ndim}D, shape "
                f"{shape_text(x.shape)}; unsqueeze(0) makes one point of a vector"
            )
        if not dtype.is_floating_point:
            raise RuntimeError(f"cdist(): cdist only supports floating-point dtypes, X{number} got: {dtype!r}")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"cdist(): X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]} (shapes "
            f"{shape_text(x1.shape)} and {shape_text(x2.shape)})"
        )
    if x1.dtype is not x2.dtype:
        raise RuntimeError(f"cdist(): both sets must have one dtype, got {x1.dtype!r} and {x2.dtype!r}")
    if compute_mode is not None and compute_mode not in _MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode; valid are {', '.join(_MODES)}")
    if p < 0:
        raise RuntimeError(f"cdist(): cdist only supports non-negative p values, got {p}")
    a: Any = x1
    b: Any = x2
    return vector_norm(a.unsqueeze(-2) - b.unsqueeze(-3), p, -1)


@public
def pdist(input: Tensor, p: float = 2) -> Tensor:
    """The N (N - 1) / 2 distances between N points (N, M).

    Raises:
        RuntimeError: not two dimensions, integers, a negative p.
    """
    dtype = require_tensor("pdist", input).layout.dtype
    if input.ndim != 2:
        raise RuntimeError(f"pdist(): pdist only supports 2D tensors, got: {input.ndim}D, shape {shape_text(input.shape)}")
    if not dtype.is_floating_point:
        raise RuntimeError(f"pdist(): pdist only supports floating-point dtypes, got: {dtype!r}")
    if p < 0:
        raise RuntimeError(f"pdist(): pdist only supports non-negative p values, got {p}")
    points: Any = input
    first, second = triu_indices(len(points), len(points), 1)
    return vector_norm(points[first] - points[second], p, -1)
