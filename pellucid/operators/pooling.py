"""Pooling by the largest cell: a fold over every window."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from pellucid.autograd.graph import Node, recorder
from pellucid.dtypes import int64
from pellucid.formula.expr import Expr, axis, const, extent, given, load, select
from pellucid.formula.formula import Fold, Formula, Output, locating, lowest
from pellucid.layout import Layout, dense
from pellucid.memory_format import format_of, formatted
from pellucid.operators.define import public
from pellucid.operators.windows import Sizes, Window, require_room, sizes_of, window_of, working
from pellucid.plan import Plan, PlanTable, kernel_plan


class Parts:
    """The geometry of a grid of ``count`` parts that cover a plane: part y holds cells floor(y n / m) to
    ceil((y + 1) n / m), n cells in m parts. ``kernel`` is the size of the largest part. Hashable, as a `Window`."""

    __slots__ = ("kernel", "size", "wanted")

    def __init__(self, size: Sizes, wanted: Sizes) -> None:
        self.size, self.wanted = size, wanted
        self.kernel = tuple(max((b - a for a, b in parts(n, m)), default=0) for n, m in zip(size, wanted, strict=True))

    @property
    def rank(self) -> int:
        return len(self.size)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Parts) and (self.size, self.wanted) == (other.size, other.wanted)

    def __hash__(self) -> int:
        return hash((self.size, self.wanted))

    def numbers(self) -> dict[str, int | float]:
        return {
            **{f"size{k}": n for k, n in enumerate(self.size)}, **{f"count{k}": m for k, m in enumerate(self.wanted)},
        }  # fmt: skip

    def at(self, k: int, position: Expr, inner: Expr) -> Expr:
        """The coordinate of cell ``inner`` of part ``position``; -1 if the part is smaller."""
        n, m = given(f"size{k}"), given(f"count{k}")
        start, end = position * n / m, ((position + 1) * n + (m - 1)) / m
        place = start + inner
        return select(place < end, place, const(-1, place.dtype))


def parts(n: int, m: int) -> list[tuple[int, int]]:
    """Where each of ``m`` parts of ``n`` cells begins and ends."""
    return [(y * n // m, -(-((y + 1) * n) // m)) for y in range(m)]


# -- the fold ---------------------------------------------------------------------------------------------------------


class _MaxPoolRule:
    """The gradient goes to the cell that was the largest: an addition at the saved index."""

    def __init__(self, name: str, rank: int) -> None:
        self.name, self.rank = name, rank

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return (1, 2)

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        saved, g = node.unpack(), grads[0]
        index, x = saved[1], saved[2]
        n, c, *size = x.shape
        zeros = x.detach().new_zeros((n, c, prod(size)))
        pooled = (n, c, prod(g.shape[2:]))
        spread = zeros.scatter_add(2, index.reshape(pooled), g.reshape(pooled))
        return (spread.reshape(n, c, *size),)


def _max_plan(x: Layout, geometry: Window | Parts, count: Sizes, name: str) -> Plan:
    """``out[n,c,y,x] = max over i, j of input[n, c, at(y, i), at(x, j)]`` with its flat position in the plane."""
    n, c = x.shape[:2]
    rank = geometry.rank
    places = [geometry.at(k, axis(2 + k), axis(2 + rank + k)) for k in range(rank)]
    flat = places[0]
    for k in range(1, rank):
        flat = flat * extent(0, 2 + k) + places[k]
    fill, inner = lowest(x.dtype).data, working(x.dtype)
    value = load(0, x.dtype, (axis(0), axis(1), *places), fill=fill).cast(inner)
    stage = Fold(locating("max", inner), (value, flat), 0)
    values, where = stage.states
    formula = Formula("max_pool", 2 + rank, (Output(values.cast(x.dtype)), Output(where)), rank, (stage,))
    order = format_of(x)
    results = [formatted(dense((n, c, *count), dtype), order, "max_pool") for dtype in (x.dtype, int64)]
    record = recorder(_MaxPoolRule(name, rank), results, [x]) if x.dtype.is_floating_point else None
    sizes = (n, c, *count, *geometry.kernel)
    return kernel_plan(formula, (x,), sizes, results, record=record, given=geometry.numbers())


_max_plans = PlanTable(_max_plan)


def _largest(input: Any, geometry: Window | Parts, count: Sizes, name: str) -> tuple[Any, Any]:
    result: tuple[Any, Any] = _max_plans[input.layout, geometry, count, name](input)
    return result


# -- over windows -----------------------------------------------------------------------------------------------------


def _max_pool(
    rank: int, input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[Any, Any]:
    """The largest cell of each window, and its position in the plane.

    Raises:
        RuntimeError: another rank, padding of more than half the kernel, a kernel that does not fit.
    """
    name = f"max_pool{rank}d"
    if input.dim() not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"{name}: Expected {rank + 1}D or {rank + 2}D (batch mode) tensor for input, but got: {list(input.shape)}"
        )
    require_cells(name, input, rank)
    if input.dim() == rank + 1:
        batch = _max_pool(rank, input.unsqueeze(0), kernel_size, stride, padding, dilation, ceil_mode)
        return batch[0].squeeze(0), batch[1].squeeze(0)
    window = window_of(name, kernel_size, kernel_size if no_stride(stride) else stride, padding, dilation, rank)
    if any(2 * p > k for p, k in zip(window.padding, window.kernel, strict=True)):
        raise RuntimeError(
            f"{name}: pad should be at most half of effective kernel size, but got pad={window.padding}, "
            f"kernel_size={window.kernel} and dilation={window.dilation}"
        )
    count = window.count(tuple(input.shape[2:]), bool(ceil_mode))
    require_room(name, input.layout, count, window)
    return _largest(input, window, count, f"MaxPool{rank}DWithIndicesBackward0")


def require_cells(operator: str, input: Any, rank: int) -> None:
    """Raises RuntimeError if a dimension other than the batch is empty."""
    if 0 in input.shape[-rank - 1 :]:
        raise RuntimeError(
            f"{operator}: Expected input to have non-zero size for non-batch dimensions, but input has sizes "
            f"{list(input.shape)}"
        )


def no_stride(stride: Any) -> bool:
    """Whether a pooling steps by its kernel."""
    return stride is None or (isinstance(stride, tuple | list) and not stride)


@public
def max_pool1d_with_indices(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Any, Any]:
    """The largest cell of each window of (N, C, L) or (C, L), and its position.

    Raises:
        RuntimeError: another rank, no channels or no cells.
    """
    if input.dim() not in (2, 3) or 0 in input.shape[-2:]:
        raise RuntimeError(
            "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:"
            f"{list(input.shape)}"
        )
    one = [None if no_stride(v) else v if isinstance(v, int) else v[0] for v in (kernel_size, stride, padding, dilation)]
    step = one[0] if one[1] is None else one[1]
    values, places = _max_pool(2, input.unsqueeze(-2), (1, one[0]), (1, step), (0, one[2]), (1, one[3]), ceil_mode)
    return values.squeeze(-2), places.squeeze(-2)


def max_pool2d_with_indices(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Any, Any]:
    """The largest cell of each window of (N, C, H, W) or (C, H, W), and its position in the plane."""
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool3d_with_indices(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Any, Any]:
    """The largest cell of each window of (N, C, D, H, W) or (C, D, H, W), and its position in the volume."""
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode)


@public
def max_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest cell of each window of (N, C, L) or (C, L); with ``return_indices`` its position as well."""
    result = max_pool1d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
    return result if return_indices else result[0]


@public
def max_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest cell of each window of (N, C, H, W) or (C, H, W); with ``return_indices`` its position as well."""
    result = _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode)
    return result if return_indices else result[0]


@public
def max_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest cell of each window of (N, C, D, H, W) or (C, D, H, W); with ``return_indices`` its position as well."""
    result = _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode)
    return result if return_indices else result[0]


# -- over a grid ------------------------------------------------------------------------------------------------------


def grid_of(operator: str, input: Any, output_size: Any, rank: int) -> Sizes:
    """How many parts an adaptive pooling has, along each dimension.

    Raises:
        ValueError: no more dimensions than output sizes. RuntimeError: another rank, another count of sizes, or no cells.
        NotImplementedError: integers.
    """
    wanted = (output_size,) * rank if isinstance(output_size, int) else tuple(output_size)
    if not isinstance(output_size, int) and input.dim() <= len(wanted):
        raise ValueError(
            f"{operator}: Input dimension should be at least {len(wanted) + 1}, got {input.dim()} for output_size "
            f"{list(wanted)}"
        )
    if input.dim() not in (rank + 1, rank + 2) or len(wanted) != rank or any(w is not None and w < 0 for w in wanted):
        raise RuntimeError(
            f"{operator}: output_size must be {rank} numbers (None: as the input) greater than or equal to 0, and the "
            f"input {rank + 1}-D or {rank + 2}-D; received {list(wanted)} for {list(input.shape)}"
        )
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"\"{operator}\" not implemented for '{input.dtype.scalar_name}'; use .float()")
    size = tuple(input.shape[-rank:])
    require_cells(operator, input, rank)
    return tuple(n if w is None else w for n, w in zip(size, wanted, strict=True))


def _adaptive_max(operator: str, rank: int, input: Any, output_size: Any) -> tuple[Any, Any]:
    count = grid_of(operator, input, output_size, rank)
    x = input.unsqueeze(0) if input.dim() == rank + 1 else input
    values, places = _largest(x, Parts(tuple(x.shape[2:]), count), count, f"AdaptiveMaxPool{rank}DBackward0")
    return (values, places) if x is input else (values.squeeze(0), places.squeeze(0))


def adaptive_max_pool1d_with_indices(input: Any, output_size: Any, return_indices: bool = False) -> tuple[Any, Any]:
    """The largest cell of each of ``output_size`` parts of (N, C, L) or (C, L), and its position."""
    wanted = sizes_of("adaptive_max_pool1d", "output_size", output_size, 1)
    grid_of("adaptive_max_pool1d", input, wanted, 1)
    values, places = _adaptive_max("adaptive_max_pool1d", 2, input.unsqueeze(-2), (1, *wanted))
    return values.squeeze(-2), places.squeeze(-2)


def adaptive_max_pool2d_with_indices(input: Any, output_size: Any, return_indices: bool = False) -> tuple[Any, Any]:
    """The largest cell of each part of (N, C, H, W) or (C, H, W), and its position in the plane."""
    return _adaptive_max("adaptive_max_pool2d", 2, input, output_size)


def adaptive_max_pool3d_with_indices(input: Any, output_size: Any, return_indices: bool = False) -> tuple[Any, Any]:
    """The largest cell of each part of (N, C, D, H, W) or (C, D, H, W), and its position in the volume."""
    return _adaptive_max("adaptive_max_pool3d", 3, input, output_size)


def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest cell of each of ``output_size`` parts; with ``return_indices`` its position as well."""
    result = adaptive_max_pool1d_with_indices(input, output_size)
    return result if return_indices else result[0]


def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest cell of each part of a grid; with ``return_indices`` its position as well."""
    result = adaptive_max_pool2d_with_indices(input, output_size)
    return result if return_indices else result[0]


def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest cell of each part of a grid; with ``return_indices`` its position as well."""
    result = adaptive_max_pool3d_with_indices(input, output_size)
    return result if return_indices else result[0]
