"""The three products of a convolution. Each is linear in both of its operands, and the derivatives of each are the
other two:

    correlate   y[n, o, p]    = sum over c, k of     w[o, c, k] * x[n, C(o) + c, p*s + k*d - padding]
    spread      x[n, c, h]    = sum over o, k of     w[o, c, k] * y[n, o, p]      where p*s + k*d - padding = h
    weigh       w[o, c, k]    = sum over n, p of     y[n, o, p] * x[n, C(o) + c, p*s + k*d - padding]

p, k and h stand for one, two or three coordinates; x is zero outside of its cells. Output channels come in ``groups``,
each of which sees its own channels of the input; C(o) is the first one.

Large ones are matrix products: the windows of a few samples are laid out as columns that stay in cache, multiplied, and
forgotten. Thin ones (a channel or two for each group) and whole numbers are computed by the formula as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

from pellucid.autograd.graph import Node, recorder, recording
from pellucid.formula.expr import Expr, axis, given, load
from pellucid.formula.formula import Fold, Formula, Output, folding
from pellucid.layout import Layout, dense
from pellucid.operators.products import accumulating_plan, copy_plan
from pellucid.operators.windows import Sizes, Window, fold_into, unfold_windows
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.runtime import native
from pellucid.tensor import Tensor, empty_like_layout

COLUMNS = 1 << 22  # bytes of columns at a time: they stay in the last-level cache
THIN = 16  # input times output channels of a group up to which matrix products are too small


class Geometry:
    """How windows lie: with the number of groups, what all three products share."""

    __slots__ = ("groups", "window")

    def __init__(self, window: Window, groups: int) -> None:
        self.window, self.groups = window, groups

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Geometry) and (self.window, self.groups) == (other.window, other.groups)

    def __hash__(self) -> int:
        return hash((self.window, self.groups))

    @property
    def pointwise(self) -> bool:
        """Windows of one cell that cover the input: the columns are the input itself."""
        ones, zeros = (1,) * self.window.rank, (0,) * self.window.rank
        return self.window.kernel == self.window.stride == ones and self.window.padding == zeros

    def depthwise(self, weight: Layout) -> bool:
        """Each channel by itself."""
        return self.groups == weight.shape[0] and weight.shape[1] == 1

    def thin(self, weight: Layout) -> bool:
        """Whether the formula is the better way."""
        if not (weight.dtype.is_floating_point or weight.dtype.is_complex):
            return True
        return self.groups > 1 and weight.shape[0] // self.groups * weight.shape[1] <= THIN


# -- what users of this file call -------------------------------------------------------------------------------------


def correlate(x: Tensor, w: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """(N, C, *sizes) by (O, C / groups, *kernel), plus a number for each output channel: (N, O, *positions)."""
    if bias is None:
        return _correlations[x.layout, w.layout, None, geometry](x, w)
    return _correlations[x.layout, w.layout, bias.layout, geometry](x, w, bias)


def spread(y: Tensor, w: Tensor, geometry: Geometry, size: Sizes) -> Tensor:
    """(N, O, *positions) by (O, C / groups, *kernel): (N, C, *size)."""
    return _spreads[y.layout, w.layout, geometry, size](y, w)


def weigh(x: Tensor, y: Tensor, geometry: Geometry) -> Tensor:
    """(N, C, *sizes) by (N, O, *positions): (O, C / groups, *kernel)."""
    return _weighings[x.layout, y.layout, geometry](x, y)


# -- derivatives ------------------------------------------------------------------------------------------------------


class _Rule:
    """The first two operands of these products keep each other, and a bias gets the sum over all but its dimension."""

    def __init__(self, name: str, first: Callable[..., Any], second: Callable[..., Any]) -> None:
        self.name, self.first, self.second = name, first, second

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return tuple(k for k, asked in ((1, needed[1]), (2, needed[0])) if asked)

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        saved, g = node.unpack(), grads[0]
        left = self.first(g, saved[2].conj()) if node.edges[0] is not None else None
        right = self.second(g, saved[1].conj()) if node.edges[1] is not None else None
        if len(node.edges) < 3:
            return left, right
        others = [d for d in range(g.layout.ndim) if d != 1]
        return left, right, g.sum(others) if node.edges[2] is not None else None


def _recorded(plan: Plan, rule: _Rule, result: Layout, operands: Sequence[Layout]) -> Plan:
    if not (result.dtype.is_floating_point or result.dtype.is_complex):
        return plan
    return recording(plan, recorder(rule, [result], operands))


# -- correlate --------------------------------------------------------------------------------------------------------


def _correlation_plan(x: Layout, w: Layout, bias: Layout | None, geometry: Geometry) -> Plan:
    window, size = geometry.window, tuple(x.shape[2:])
    count = window.count(size)
    result = dense((x.shape[0], w.shape[0], *count), x.dtype)
    rule = _Rule(
        "ConvolutionBackward0",
        lambda g, w: spread(g, w, geometry, size),
        lambda g, x: weigh(x, g, geometry),
    )
    operands = [x, w] if bias is None else [x, w, bias]
    if geometry.thin(w) or not result.numel:
        plan = _correlation_formula(x, w, geometry, result)
        return _recorded(plan if bias is None else _then_added(plan, bias, result), rule, result, operands)
    return _recorded(_by_columns(x, w, bias, geometry, result), rule, result, operands)


def _source(geometry: Geometry, w: Layout, out: Expr, channel: Expr) -> Expr:
    """The channel of the input that ``channel`` of the output channel's group is."""
    if geometry.depthwise(w):
        return out
    return channel if geometry.groups == 1 else out / given("outputs") * given("inputs") + channel


def _numbers(geometry: Geometry, w: Layout) -> dict[str, int | float]:
    """What the formulas take as given."""
    if geometry.groups == 1 or geometry.depthwise(w):
        return geometry.window.numbers()
    return {**geometry.window.numbers(), "outputs": w.shape[0] // geometry.groups, "inputs": w.shape[1]}


def _correlation_formula(x: Layout, w: Layout, geometry: Geometry, result: Layout) -> Plan:
    rank, window = geometry.window.rank, geometry.window
    out, channel = axis(1), axis(2 + rank)
    inner = tuple(axis(3 + rank + k) for k in range(rank))
    cells = tuple(window.at(k, axis(2 + k), inner[k]) for k in range(rank))
    value = load(0, x.dtype, (axis(0), _source(geometry, w, out, channel), *cells), fill=0)
    stage = Fold(folding("sum", x.dtype), (value * load(1, w.dtype, (out, channel, *inner)),), 0)
    formula = Formula("correlation", 2 + rank, (Output(stage.states[0]),), 1 + rank, (stage,))
    sizes = (*result.shape, w.shape[1], *window.kernel)
    return kernel_plan(formula, (x, w), sizes, [result], given=_numbers(geometry, w))


def _addition(bias: Layout, y: Layout) -> Plan:
    """Adds, in place, each channel's number to results (N, O, positions)."""
    total = load(0, y.dtype) + load(1, bias.dtype, (axis(1),))
    return kernel_plan(Formula("add", 3, (Output(total),)), (y, bias), tuple(y.shape), [y], in_place=True)


def _then_added(plan: Plan, bias: Layout, result: Layout) -> Plan:
    flat = dense((*result.shape[:2], prod(result.shape[2:])), result.dtype)
    add = _addition(bias, flat)

    def added(x_: Tensor, w_: Tensor, bias_: Tensor) -> Tensor:
        out: Tensor = plan(x_, w_)
        own = _seen(out, flat)
        add(own, own, bias_)
        return out

    return added


def _by_columns(x: Layout, w: Layout, bias: Layout | None, geometry: Geometry, result: Layout) -> Plan:
    """A few samples at a time: y = W columns, + b."""
    item, straight = x.dtype.itemsize, _straight(w)
    multiply = PlanTable(lambda count: _multiplication(count, x, w, bias, geometry, result))
    steps = [
        (result.strides[0] * start * item, x.strides[0] * start * item, multiply[count])
        for start, count in _parts(x.shape[0], w, geometry, result)
    ]

    def plan(x_: Tensor, w_: Tensor, *bias_: Tensor) -> Tensor:
        out, weight = empty_like_layout(result), straight(w_)
        for to, at, step in steps:
            step(out, to, x_, at, weight, *bias_)
        return out

    return plan


def _multiplication(
    count: int, x: Layout, w: Layout, bias: Layout | None, geometry: Geometry, result: Layout
) -> Plan:
    """Writes the results of ``count`` samples that begin at these bytes of the input and the result."""
    source, positions = x.with_strides((count, *x.shape[1:]), x.strides), tuple(result.shape[2:])
    columns, a, y = _matrices(count, w, geometry, positions)
    unfolded, product = _columns(source, geometry, columns, positions), accumulating_plan(a, columns, y, 0.0)
    flat = dense((count, w.shape[0], y.shape[-1]), y.dtype)
    add = None if bias is None else _addition(bias, flat)

    def multiply(out: Tensor, to: int, x_: Tensor, at: int, weight: Tensor, *bias_: Tensor) -> None:
        cells = unfolded(native.new_tensor(source, x_.storage, x_.ptr + at))
        product(native.new_tensor(y, out.storage, out.ptr + to), _seen(weight, a), cells)
        if add is not None:
            own = native.new_tensor(flat, out.storage, out.ptr + to)
            add(own, own, *bias_)

    return multiply


def _straight(w: Layout) -> Plan:
    """The operand in rows without holes."""
    if w.contiguous:
        return lambda w_: w_
    return copy_plan(w, dense(w.shape, w.dtype))


def _columns(source: Layout, geometry: Geometry, columns: Layout, positions: Sizes) -> Plan:
    """The windows of some samples, as columns."""
    if geometry.pointwise:
        straight = _straight(source)
        return lambda x_: _seen(straight(x_), columns)
    return lambda x_: _seen(unfold_windows(x_, geometry.window, positions), columns)


def _seen(x: Tensor, layout: Layout) -> Tensor:
    return native.new_tensor(layout, x.storage, x.ptr)


def _matrices(count: int, w: Layout, geometry: Geometry, positions: Sizes) -> tuple[Layout, Layout, Layout]:
    """Columns, weight and result of ``count`` samples as batches of matrices."""
    groups, dtype = geometry.groups, w.dtype
    outputs, depth, across = w.shape[0] // groups, prod(w.shape[1:]), prod(positions)
    return (
        dense((count, groups, depth, across), dtype),
        dense((groups, outputs, depth), dtype),
        dense((count, groups, outputs, across), dtype),
    )


def _parts(samples: int, w: Layout, geometry: Geometry, y: Layout) -> Iterator[tuple[int, int]]:
    """Starts and counts of samples whose columns are multiplied together."""
    one = geometry.groups * prod(w.shape[1:]) * prod(y.shape[2:]) * w.dtype.itemsize
    most = max(1, min(samples, COLUMNS // max(one, 1)))
    for start in range(0, samples, most):
        yield start, min(most, samples - start)


# -- spread -----------------------------------------------------------------------------------------------------------


def _spread_plan(y: Layout, w: Layout, geometry: Geometry, size: Sizes) -> Plan:
    result, positions = dense((y.shape[0], w.shape[1] * geometry.groups, *size), y.dtype), tuple(y.shape[2:])
    rule = _Rule(
        "ConvolutionBackward0",
        lambda g, w: _cut(correlate(g, w, None, geometry), positions),
        lambda g, y: weigh(g, y, geometry),
    )
    if geometry.thin(w) or not y.numel or not result.numel:
        return _recorded(_spread_formula(y, w, geometry, result), rule, result, [y, w])
    return _recorded(_spread_columns(y, w, geometry, result), rule, result, [y, w])


def _cut(t: Any, positions: Sizes) -> Any:
    """The first positions: an input that was padded on its far side has room for more."""
    for k, n in enumerate(positions):
        t = t if t.layout.shape[2 + k] == n else t.narrow(2 + k, 0, n)
    return t


def _spread_formula(y: Layout, w: Layout, geometry: Geometry, result: Layout) -> Plan:
    rank, window = geometry.window.rank, geometry.window
    channel, out = axis(1), axis(2 + rank)
    inner = tuple(axis(3 + rank + k) for k in range(rank))
    positions = tuple(window.covering(k, axis(2 + k), inner[k]) for k in range(rank))
    if geometry.depthwise(w):
        out, channel = channel, out
    elif geometry.groups > 1:
        out, channel = channel / given("inputs") * given("outputs") + out, channel % given("inputs")
    value = load(0, y.dtype, (axis(0), out, *positions), fill=0)
    stage = Fold(folding("sum", y.dtype), (value * load(1, w.dtype, (out, channel, *inner)),), 0)
    formula = Formula("spread", 2 + rank, (Output(stage.states[0]),), 1 + rank, (stage,))
    sizes = (*result.shape, w.shape[0] // geometry.groups, *window.kernel)
    return kernel_plan(formula, (y, w), sizes, [result], given=_numbers(geometry, w))


def _spread_columns(y: Layout, w: Layout, geometry: Geometry, result: Layout) -> Plan:
    """A few samples at a time: columns = W^T y, folded."""
    item, straight_y, straight_w = y.dtype.itemsize, _straight(y), _straight(w)
    back = PlanTable(lambda count: _back_multiplication(count, y, w, geometry, result))
    steps = [
        (start * result.strides[0] * item, start * prod(y.shape[1:]) * item, back[count])
        for start, count in _parts(y.shape[0], w, geometry, y)
    ]

    def plan(y_: Tensor, w_: Tensor) -> Tensor:
        out, rows, weight = empty_like_layout(result), straight_y(y_), straight_w(w_)
        for to, at, step in steps:
            step(out, to, rows, at, weight)
        return out

    return plan


def _back_multiplication(count: int, y: Layout, w: Layout, geometry: Geometry, result: Layout) -> Plan:
    """The same for ``count`` samples that begin at these bytes of the operand and the result."""
    columns, a, flat = _matrices(count, w, geometry, tuple(y.shape[2:]))
    groups, outputs, depth = a.shape
    turned = a.with_strides((groups, depth, outputs), (a.strides[0], 1, depth))
    product = accumulating_plan(turned, flat, columns, 0.0)
    windows = dense((count, result.shape[1], *geometry.window.kernel, *y.shape[2:]), y.dtype)
    part = dense((count, *result.shape[1:]), y.dtype)
    fold = None if geometry.pointwise else fold_into[windows, tuple(result.shape[2:]), geometry.window]

    def multiply(out: Tensor, to: int, rows: Tensor, at: int, weight: Tensor) -> None:
        own = native.new_tensor(flat, rows.storage, rows.ptr + at)
        room = native.new_tensor(columns, out.storage, out.ptr + to) if fold is None else empty_like_layout(columns)
        product(room, _seen(weight, turned), own)
        if fold is not None:
            fold(native.new_tensor(part, out.storage, out.ptr + to), _seen(room, windows))

    return multiply


# -- weigh ------------------------------------------------------------------------------------------------------------


def _weigh_plan(x: Layout, y: Layout, geometry: Geometry) -> Plan:
    size, positions = tuple(x.shape[2:]), tuple(y.shape[2:])
    result = dense((y.shape[1], x.shape[1] // geometry.groups, *geometry.window.kernel), x.dtype)
    rule = _Rule(
        "ConvolutionBackward0",
        lambda g, y: spread(y, g, geometry, size),
        lambda g, x: _cut(correlate(x, g, None, geometry), positions),
    )
    if geometry.thin(result) or not x.numel or not y.numel:
        return _recorded(_weigh_formula(x, y, geometry, result), rule, result, [x, y])
    return _recorded(_weigh_columns(x, y, geometry, result), rule, result, [x, y])


def _weigh_formula(x: Layout, y: Layout, geometry: Geometry, result: Layout) -> Plan:
    rank, window = geometry.window.rank, geometry.window
    out, channel, sample = axis(0), axis(1), axis(2 + rank)
    positions = tuple(axis(3 + rank + k) for k in range(rank))
    cells = tuple(window.at(k, positions[k], axis(2 + k)) for k in range(rank))
    seen = load(0, x.dtype, (sample, _source(geometry, result, out, channel), *cells), fill=0)
    stage = Fold(folding("sum", x.dtype), (seen * load(1, y.dtype, (sample, out, *positions)),), 0)
    formula = Formula("weigh", 2 + rank, (Output(stage.states[0]),), 1 + rank, (stage,))
    sizes = (*result.shape, x.shape[0], *y.shape[2:])
    return kernel_plan(formula, (x, y), sizes, [result], given=_numbers(geometry, result))


def _weigh_columns(x: Layout, y: Layout, geometry: Geometry, result: Layout) -> Plan:
    """Sample by sample: w += y columns^T."""
    item, straight_y, positions = x.dtype.itemsize, _straight(y), tuple(y.shape[2:])
    source = x.with_strides((1, *x.shape[1:]), x.strides)
    columns, a, flat = _matrices(1, result, geometry, positions)
    _, groups, depth, across = columns.shape
    turned = columns.with_strides((groups, across, depth), (columns.strides[1], 1, across))
    row = flat.with_strides(tuple(flat.shape[1:]), flat.strides[1:])
    first, further = (accumulating_plan(row, turned, a, beta) for beta in (0.0, 1.0))
    unfolded = _columns(source, geometry, columns, positions)

    def plan(x_: Tensor, y_: Tensor) -> Tensor:
        out, rows = empty_like_layout(result), straight_y(y_)
        total = _seen(out, a)
        for n in range(x.shape[0]):
            cells = unfolded(native.new_tensor(source, x_.storage, x_.ptr + n * x.strides[0] * item))
            own = native.new_tensor(row, rows.storage, rows.ptr + n * flat.numel * item)
            (further if n else first)(total, own, _seen(cells, turned))
        return out

    return plan


_correlations, _spreads, _weighings = PlanTable(_correlation_plan), PlanTable(_spread_plan), PlanTable(_weigh_plan)
