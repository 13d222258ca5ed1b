"""Pooling: a fold over every window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.autograd.graph import Node, recorder
from pellucid.dtypes import float32, int64
from pellucid.errors import shape_text
from pellucid.formula.expr import axis, extent, load
from pellucid.formula.formula import Fold, Formula, Output, locating, lowest
from pellucid.layout import Layout, dense
from pellucid.operators.define import deliver, public
from pellucid.operators.products import HALVES
from pellucid.operators.windows import Window, require_room, unfold_windows, window_of, working
from pellucid.plan import Plan, PlanTable, kernel_plan


class _MaxPoolRule:
    """The gradient goes to the cell that was the largest: an addition at the saved index."""

    name = "MaxPool2DWithIndicesBackward0"

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return (1, 2)

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        saved, g = node.unpack(), grads[0]
        index, x = saved[1], saved[2]
        n, c, height, width = x.shape
        zeros = x.detach().new_zeros((n, c, height * width))
        spread = zeros.scatter_add(2, index.reshape(n, c, -1), g.reshape(n, c, -1))
        return (spread.reshape(n, c, height, width),)


def _max_pool_plan(x: Layout, window: Window, ceil: bool) -> Plan:
    """``out[n,c,y,x] = max over i, j of input[n, c, y*s + i*d - p, x*s + j*d - p]`` with its flat position."""
    n, c, height, width = x.shape
    count = window.count((height, width), ceil)
    require_room("max_pool2d", x, count, window)
    row, column = window.at(0, axis(2), axis(4)), window.at(1, axis(3), axis(5))
    fill, inner = lowest(x.dtype).data, working(x.dtype)
    value = load(0, x.dtype, (axis(0), axis(1), row, column), fill=fill).cast(inner)
    reducer = locating("max", inner)
    stage = Fold(reducer, (value, row * extent(0, 3) + column), 0)
    values, places = stage.states
    formula = Formula("max_pool2d", 4, (Output(values.cast(x.dtype)), Output(places)), 2, (stage,))
    results = [dense((n, c, *count), x.dtype), dense((n, c, *count), int64)]
    record = recorder(_MaxPoolRule(), results, [x]) if x.dtype.is_floating_point else None
    return kernel_plan(formula, (x,), (n, c, *count, *window.kernel), results, record=record, given=window.numbers())


_max_pool_plans = PlanTable(_max_pool_plan)


def max_pool2d_with_indices(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Any, Any]:
    """The largest cell of each window, and its position in the plane.

    Raises:
        RuntimeError: padding of more than half the kernel, a kernel that does not fit.
    """
    if input.dim() == 3:
        values, places = max_pool2d_with_indices(input.unsqueeze(0), kernel_size, stride, padding, dilation, ceil_mode)
        return values.squeeze(0), places.squeeze(0)
    if input.dim() != 4:
        raise RuntimeError(f"max_pool2d: Expected 3D or 4D (batch mode) tensor for input, but got: {list(input.shape)}")
    step = kernel_size if stride is None or stride == () or stride == [] else stride
    window = window_of("max_pool2d", kernel_size, step, padding, dilation)
    if any(2 * p > k for p, k in zip(window.padding, window.kernel, strict=True)):
        raise RuntimeError(
            f"max_pool2d: pad should be at most half of effective kernel size, but got pad={window.padding}, "
            f"kernel_size={window.kernel} and dilation={window.dilation}"
        )
    return _max_pool_plans[input.layout, window, bool(ceil_mode)](input)


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
    result = max_pool2d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
    return result if return_indices else result[0]


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
    """The largest cell of each window of (N, C, L) or (C, L).

    Raises:
        RuntimeError: another rank, no channels or no cells.
    """
    if input.dim() not in (2, 3) or 0 in input.shape[-2:]:
        raise RuntimeError(
            "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:"
            f"{list(input.shape)}"
        )
    one = [None if v is None else v if isinstance(v, int) else v[0] for v in (kernel_size, stride, padding, dilation)]
    values, places = max_pool2d_with_indices(
        input.unsqueeze(-2),
        (1, one[0]),
        (1, one[0] if one[1] is None else one[1]),
        (0, one[2]),
        (1, one[3]),
        ceil_mode,
    )
    return (values.squeeze(-2), places.squeeze(-2)) if return_indices else values.squeeze(-2)


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
    """The mean of each window of (N, C, H, W) or (C, H, W); that of integers is truncated.

    Raises:
        RuntimeError: padding of more than half the kernel, a kernel that does not fit, a divisor of 0.
    """
    if divisor_override == 0:
        raise RuntimeError("avg_pool2d: divisor must be not zero")
    if out is not None:
        options = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
        return deliver(avg_pool2d(input, *options), out, "avg_pool2d")
    if input.dim() == 3:
        return avg_pool2d(
            input.unsqueeze(0), kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        ).squeeze(0)
    step = kernel_size if stride is None or stride == () or stride == [] else stride
    window = window_of("avg_pool2d", kernel_size, step, padding, 1)
    if any(2 * p > k for p, k in zip(window.padding, window.kernel, strict=True)):
        raise RuntimeError(
            f"avg_pool2d: pad should be at most half of kernel size, but got pad={window.padding} and "
            f"kernel_size={window.kernel}"
        )
    size = tuple(input.shape[2:])
    count = window.count(size, ceil_mode)
    require_room("avg_pool2d", input.layout, count, window)
    sums = _window_sums(input, window, count)
    counts = divisor_override or _divisors(input, window, size, count, count_include_pad)
    return sums / counts if input.dtype.is_floating_point else sums.div(counts, rounding_mode="trunc")


def _window_sums(input: Any, window: Window, count: tuple[int, int]) -> Any:
    """Sums over the windows; those that hang over the end (``ceil_mode``) see zeros there."""
    missing = [
        max(0, (m - 1) * s + k - p - n)
        for m, s, k, p, n in zip(count, window.stride, window.kernel, window.padding, input.shape[2:], strict=True)
    ]
    if any(extra > p for extra, p in zip(missing, window.padding, strict=True)):
        from pellucid.operators.padding import pad

        rows, columns = window.padding
        input = pad(input, (columns, missing[1], rows, missing[0]))
        window = Window(window.kernel, window.stride, (0, 0), window.dilation)
    windows: Any = unfold_windows(input, window)
    return windows.sum((2, 3))[:, :, : count[0], : count[1]]


def _divisors(input: Any, window: Window, size: Any, count: tuple[int, int], with_padding: bool) -> Any:
    """How many cells each window covers: inside the input, or inside the input with its padding."""
    lengths = []
    for n, m, k, s, p in zip(size, count, window.kernel, window.stride, window.padding, strict=True):
        starts = [y * s - p for y in range(m)]
        low, high = (-p, n + p) if with_padding else (0, n)
        lengths.append([min(a + k, high) - max(a, low) for a in starts])
    rows, columns = (input.detach().new_tensor(values) for values in lengths)
    return rows.unsqueeze(1) * columns


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """Means over a grid of ``output_size`` cells: cell y covers rows floor(y H / oH) to ceil((y + 1) H / oH).

    Raises:
        ValueError: no more dimensions than output sizes; RuntimeError: not 3-D or 4-D, not a pair of sizes.
    """
    wanted = (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)
    if not isinstance(output_size, int) and input.dim() <= len(wanted):
        raise ValueError(f"adaptive_avg_pool2d: Input dimension should be at least 3, got {shape_text(input.shape)}")
    if input.dim() not in (3, 4) or len(wanted) != 2 or any(w is not None and w < 0 for w in wanted):
        raise RuntimeError(
            "adaptive_avg_pool2d: output_size must be 2 numbers (None: as the input) greater than or equal to 0, and the "
            f"input 3-D or 4-D; received {list(wanted)} for {shape_text(input.shape)}"
        )
    if input.dtype in HALVES:
        return adaptive_avg_pool2d(input.to(float32), wanted).to(input.dtype)
    size = tuple(input.shape[-2:])
    target = tuple(n if w is None else w for n, w in zip(size, wanted, strict=True))
    if min(target) > 0 and all(n % w == 0 for n, w in zip(size, target, strict=True)):
        cells = tuple(n // w for n, w in zip(size, target, strict=True))
        split = input.reshape(*input.shape[:-2], target[0], cells[0], target[1], cells[1])
        return split.mean((-3, -1))
    down, across = (_averaging(input, n, w) for n, w in zip(size, target, strict=True))
    return down @ input @ across.mT


def _averaging(input: Any, n: int, m: int) -> Any:
    """The (m, n) matrix that takes the means of one dimension."""
    rows = []
    for y in range(m):
        a, b = y * n // m, -(-((y + 1) * n) // m)
        rows.append([1.0 / (b - a) if a <= i < b else 0.0 for i in range(n)])
    return input.detach().new_tensor(rows)


@public
def avg_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """The mean of each window of (N, C, L) or (C, L): an ``avg_pool2d`` of height 1."""
    size, padded = (v if isinstance(v, int) else v[0] for v in (kernel_size, padding))
    step = size if stride is None or stride == () else stride if isinstance(stride, int) else stride[0]
    result = avg_pool2d(input.unsqueeze(-2), (1, size), (1, step), (0, padded), ceil_mode, count_include_pad)
    return result.squeeze(-2)


@public
def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """Means over ``output_size`` cells of (N, C, L) or (C, L)."""
    wanted = [output_size] if isinstance(output_size, int) else list(output_size)
    if len(wanted) != 1 or input.dim() not in (2, 3):
        raise RuntimeError(
            f"adaptive_avg_pool1d() argument 'output_size' should contain one int (got {len(wanted)}), and the input "
            f"must be 2-D or 3-D, got {shape_text(input.shape)}"
        )
    return adaptive_avg_pool2d(input.unsqueeze(-2), (1, wanted[0])).squeeze(-2)
