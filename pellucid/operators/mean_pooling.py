"""Pooling by the mean, over windows and over the parts of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.autograd.graph import Node, recorder
from pellucid.dtypes import float32
from pellucid.formula.expr import axis, load
from pellucid.formula.formula import Fold, Formula, Output, folding
from pellucid.layout import Layout, dense
from pellucid.memory_format import format_of
from pellucid.operators.define import deliver, public
from pellucid.operators.pooling import grid_of, no_stride, parts, require_cells
from pellucid.operators.products import HALVES
from pellucid.operators.windows import Sizes, Window, fold_windows, require_room, sizes_of, window_of, working
from pellucid.plan import Plan, PlanTable, kernel_plan


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
    sums = _sums[input.layout, window, count](input)
    counts = divisor or _divisors(input, window, size, count, with_padding)
    means = sums / counts if input.dtype.is_floating_point else sums.div(counts, rounding_mode="trunc")
    return _arranged_as(means, input)


class _SumRule:
    """Every cell of a window gets the gradient of its sum."""

    def __init__(self, window: Window, size: Sizes) -> None:
        self.name = f"AvgPool{window.rank}DBackward0"
        self.window, self.size = window, size

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return ()

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        n, c, *count = grads[0].shape
        kernel = self.window.kernel
        spread = grads[0].reshape(n, c, *(1,) * len(kernel), *count).expand(n, c, *kernel, *count)
        return (fold_windows(spread, self.size, self.window),)


def _sum_plan(x: Layout, window: Window, count: Sizes) -> Plan:
    """``out[n,c,y,x] = sum over i, j of input[n, c, at(y, i), at(x, j)]``, 0 outside the input."""
    n, c, *size = x.shape
    rank, inner = window.rank, working(x.dtype)
    places = [window.at(k, axis(2 + k), axis(2 + rank + k)) for k in range(rank)]
    value = load(0, x.dtype, (axis(0), axis(1), *places), fill=0).cast(inner)
    stage = Fold(folding("sum", inner), (value,), 0)
    formula = Formula("avg_pool", 2 + rank, (Output(stage.states[0].cast(x.dtype)),), rank, (stage,))
    result = dense((n, c, *count), x.dtype)
    record = recorder(_SumRule(window, tuple(size)), [result], [x]) if x.dtype.is_floating_point else None
    sizes = (n, c, *count, *window.kernel)
    return kernel_plan(formula, (x,), sizes, [result], record=record, given=window.numbers())


_sums = PlanTable(_sum_plan)


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
