"""Along a dimension: differences of neighbours, slopes, and areas under curves.

    diff         out[j] = x[j+1] - x[j]
    gradient     out[j] = (x[j+1] - x[j-1]) / (2 h)
    trapezoid    out = sum_j (x[j] + x[j+1]) / 2 h
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from pellucid.dtypes import bool_, uint8
from pellucid.operators.define import both, deliver, public
from pellucid.operators.joining import cat
from pellucid.operators.rows import deliver_same, not_tensor, reduced_dims
from pellucid.tensor import Tensor


@both
def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
    *,
    out: Tensor | None = None,
    axis: Any = None,
) -> Tensor:
    """Differences of neighbours along ``dim``, ``n`` times: ``out[j] = input[j+1] - input[j]``.

    Raises:
        RuntimeError: a tensor without dimensions, a negative ``n``.
    """
    dim = dim if axis is None else axis
    x: Any = input
    if x.ndim == 0:
        raise RuntimeError("diff(): diff expects input to be at least one-dimensional; use x.reshape(1)")
    if n < 0:
        raise RuntimeError(f"diff(): order must be non-negative but got {n}")
    for what, own in (("prepend", prepend), ("append", append)):
        if own is not None and own.ndim != x.ndim:
            raise RuntimeError(
                f"diff(): diff expects {what} to have as many dimensions as input, got {own.ndim} and {x.ndim}"
            )
    if n == 0:
        return deliver_same(x.clone(), out, "diff")
    pieces = [t for t in (prepend, x, append) if t is not None]
    x = cat(pieces, dim) if len(pieces) > 1 else x
    for _ in range(n):
        length = max(x.shape[dim] - 1, 0)
        first, second = x.narrow(dim, 0, length), x.narrow(dim, x.shape[dim] - length, length)
        x = (second != first) if x.dtype is bool_ else second - first
    return deliver(x, out, "diff")


# -- slopes -----------------------------------------------------------------------------------------------------------


@public
def gradient(
    input: Tensor, *, spacing: Any = 1, dim: int | Sequence[int] | None = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """Slopes along each of ``dim`` (all unless given): central differences, one-sided ones at the edges.

    Args:
        spacing: the distance of neighbours, one for all dimensions or one for each; or, for each dimension, a tensor
            of the places of its cells.
        edge_order: 1 takes two cells at an edge, 2 takes three.

    Raises:
        RuntimeError: too few cells, spacings that do not fit, an ``edge_order`` that is not 1 or 2.
    """
    if not isinstance(input, Tensor):
        not_tensor("gradient", input)
    x: Any = input
    dims = _slope_dims(x, dim)
    places = _spacings(x, spacing, dims)
    if edge_order not in (1, 2):
        raise RuntimeError(f"gradient(): only supports edge_order=1 and edge_order=2, got {edge_order}")
    if x.dtype is uint8:
        raise RuntimeError("gradient(): does not support uint8 input; use .int() or .float()")
    for d in dims:
        if x.shape[d] < edge_order + 1:
            raise RuntimeError(
                f"gradient(): expected each dimension size to be at least edge_order+1, got {x.shape[d]} in dimension {d}"
            )
    return tuple(_slope(x, d, h, edge_order) for d, h in zip(dims, places, strict=True))


def _slope_dims(x: Any, dim: Any) -> tuple[int, ...]:
    if dim is None:
        return tuple(range(x.ndim))
    named = (dim,) if isinstance(dim, int) else tuple(dim)
    reduced_dims("gradient", named, x.ndim)  # each is there, and none twice
    return tuple(d % x.ndim for d in named)


def _spacings(x: Any, spacing: Any, dims: tuple[int, ...]) -> list[Any]:
    """A number, or a tensor of places, for each dimension."""
    if isinstance(spacing, Tensor):
        spacing = [spacing]
    if not isinstance(spacing, (list, tuple)):
        return [1 if spacing is None else spacing] * len(dims)
    if len(spacing) != len(dims):
        raise RuntimeError(
            f"gradient(): expected spacing to be unspecified, a scalar, or a list of length equal to that of dim "
            f"({len(dims)}), got {len(spacing)}"
        )
    for h, d in zip(spacing, dims, strict=True):
        if isinstance(h, Tensor) and (h.ndim != 1 or h.shape[0] != x.shape[d]):
            raise RuntimeError(
                f"gradient(): expected each tensor of spacing to have one dimension of the input's size {x.shape[d]}, "
                f"got {list(h.shape)}"
            )
    return list(spacing)


def _slope(x: Any, d: int, spacing: Any, edge_order: int) -> Any:
    n = x.shape[d]
    cell = partial(_cells, x, d)
    step: Any
    if isinstance(spacing, Tensor):
        steps: Any = diff(spacing).reshape([-1 if k == d else 1 for k in range(x.ndim)])
        step = partial(_cells, steps, d)
        middle = _uneven(cell, step, n - 2) if n > 2 else None
    else:
        step = lambda first: spacing  # noqa: E731
        middle = (cell(2, n - 2) - cell(0, n - 2)) / (2.0 * spacing) if n > 2 else None
    if edge_order == 1:
        first, last = (cell(1) - cell(0)) / step(0), (cell(n - 1) - cell(n - 2)) / step(n - 2)
    else:
        first = _edge(cell(0), cell(1), cell(2), step(0), step(1))
        last = -_edge(cell(n - 1), cell(n - 2), cell(n - 3), step(n - 2), step(n - 3))
    return cat([t for t in (first, middle, last) if t is not None], d)


def _cells(x: Any, d: int, first: int, count: int = 1) -> Any:
    return x.narrow(d, first, count)


def _uneven(cell: Any, step: Any, count: int) -> Any:
    """The slope of the parabola through three cells, at the middle one."""
    a, b = step(0, count), step(1, count)
    low, mid, high = cell(0, count), cell(1, count), cell(2, count)
    return low * (-b / (a * (a + b))) + mid * ((b - a) / (a * b)) + high * (a / (b * (a + b)))


def _edge(low: Any, mid: Any, high: Any, a: Any, b: Any) -> Any:
    """The slope of the parabola through three cells, at the first one."""
    return low * (-(2.0 * a + b) / (a * (a + b))) + mid * ((a + b) / (a * b)) + high * (-a / (b * (a + b)))


# -- areas ------------------------------------------------------------------------------------------------------------


@public
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The area under ``y`` by straight lines between its cells: ``sum_j (y[j] + y[j+1]) / 2 (x[j+1] - x[j])``."""
    return _areas("trapezoid", y, x, dx, dim).sum(dim)


public(trapezoid, "trapz")


@public
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The areas of `trapezoid` up to every cell."""
    return _areas("cumulative_trapezoid", y, x, dx, dim).cumsum(dim)


def _areas(name: str, y: Any, x: Any, dx: float | None, dim: int) -> Any:
    """The area of each strip."""
    if x is not None and dx is not None:
        raise TypeError(f"{name}(): give the places x or their distance dx, not both")
    for t in (y, x):
        if isinstance(t, Tensor) and t.dtype is bool_:
            raise RuntimeError(f"{name}(): received a bool input, but bool is not supported; use .int()")
    n = y.shape[dim]
    pairs = y.narrow(dim, 0, max(n - 1, 0)) + y.narrow(dim, min(1, n), max(n - 1, 0))
    if x is None:
        return pairs * ((1 if dx is None else dx) / 2)
    if x.ndim == 1:
        if x.shape[0] != n:
            raise RuntimeError(f"{name}(): There must be one `x` value for each sample point, got {x.shape[0]} and {n}")
        x = x.reshape([-1 if k == dim % y.ndim else 1 for k in range(y.ndim)])
    d = dim % y.ndim - y.ndim
    width = x.narrow(d, 1, x.shape[d] - 1) - x.narrow(d, 0, x.shape[d] - 1)
    return pairs * width / 2.0
