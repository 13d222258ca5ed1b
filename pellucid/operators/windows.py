"""Windows that slide over the last one, two or three dimensions, and back: unfold (im2col) and fold (col2im).

    unfold    out[n, c, i, j, y, x] = input[n, c, y*s + i*d - p, x*s + j*d - p]      0 outside the input
    fold      out[n, c, h, w] = sum over i, j of input[n, c, i, j, (h + p - i*d) / s, (w + p - j*d) / s]
              where the division leaves no remainder and the window exists

They are each other's transposes, so each is the derivative of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.autograd.graph import Node, recorder
from pellucid.dtypes import DType, bfloat16, float16, float32
from pellucid.errors import shape_text
from pellucid.formula.expr import Expr, axis, const, given, load, select
from pellucid.formula.formula import Fold, Formula, Output, folding
from pellucid.layout import Layout, dense
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.tensor import Tensor

Sizes = tuple[int, ...]


class Window:
    """The geometry of a window, by dimension; hashable, so that it can be part of a key."""

    __slots__ = ("dilation", "kernel", "padding", "stride")

    def __init__(self, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> None:
        self.kernel, self.stride, self.padding, self.dilation = kernel, stride, padding, dilation

    @property
    def rank(self) -> int:
        return len(self.kernel)

    def parts(self) -> tuple[Sizes, ...]:
        return self.kernel, self.stride, self.padding, self.dilation

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Window) and self.parts() == other.parts()

    def __hash__(self) -> int:
        return hash(self.parts())

    def count(self, size: Sequence[int], ceil: bool = False) -> Sizes:
        """Positions of the window along each dimension. With ``ceil``, a last one may hang over the end, but it
        begins inside the input or its left padding."""
        result = []
        for n, k, s, p, d in zip(size, *self.parts(), strict=True):
            room = n + 2 * p - d * (k - 1) - 1
            positions = (room + (s - 1 if ceil else 0)) // s + 1
            if ceil and (positions - 1) * s >= n + p:
                positions -= 1
            result.append(positions)
        return tuple(result)

    def numbers(self) -> dict[str, int | float]:
        """What the formulas take as given."""
        names = ("stride", "padding", "dilation")
        return {f"{name}{k}": v[k] for name, v in zip(names, self.parts()[1:], strict=True) for k in range(self.rank)}

    def at(self, k: int, position: Expr, inner: Expr) -> Expr:
        """The coordinate that cell ``inner`` of the window at ``position`` covers, along dimension k.

        Steps of 1 are left out: a coordinate that moves with its axis is read in whole vectors.
        """
        start = position if self.stride[k] == 1 else position * given(f"stride{k}")
        step = inner if self.dilation[k] == 1 else inner * given(f"dilation{k}")
        return start + (step - given(f"padding{k}"))

    def covering(self, k: int, cell: Expr, inner: Expr) -> Expr:
        """The position of the window whose cell ``inner`` covers ``cell``: the inverse of ``at``; -1 if there is none."""
        ahead = cell + (given(f"padding{k}") - inner * given(f"dilation{k}"))
        if self.stride[k] == 1:
            return ahead
        stands = (ahead % given(f"stride{k}")).equals(0) & (ahead >= 0)
        return select(stands, ahead / given(f"stride{k}"), const(-1, ahead.dtype))


def sizes_of(operator: str, name: str, value: Any, rank: int = 2) -> Sizes:
    """A number for each of ``rank`` dimensions, from one or as many.

    Raises:
        RuntimeError: another count.
    """
    numbers = (value,) if isinstance(value, int) else tuple(value)
    if len(numbers) == 1:
        return numbers * rank
    if len(numbers) != rank:
        raise RuntimeError(f"{operator}(): {name} must be one number or {rank}, got {list(numbers)}")
    return numbers


def window_of(operator: str, kernel: Any, stride: Any, padding: Any, dilation: Any, rank: int = 2) -> Window:
    """The window of a call's arguments.

    Raises:
        RuntimeError: a size or a step below 1, a negative padding.
    """
    made = Window(
        sizes_of(operator, "kernel_size", kernel, rank),
        sizes_of(operator, "stride", stride, rank),
        sizes_of(operator, "padding", padding, rank),
        sizes_of(operator, "dilation", dilation, rank),
    )
    for name in ("kernel", "stride", "dilation"):
        if min(getattr(made, name)) < 1:
            raise RuntimeError(f"{operator}(): {name} should be greater than zero, but got {getattr(made, name)}")
    if min(made.padding) < 0:
        raise RuntimeError(f"{operator}(): padding should be non-negative, but got {made.padding}")
    return made


def require_room(operator: str, x: Layout, count: Sizes, window: Window) -> None:
    if min(count) < 1:
        raise RuntimeError(
            f"{operator}(): Kernel size can't be greater than actual input size: the padded input "
            f"{shape_text(x.shape)} with padding {window.padding} has no room for a kernel of {window.kernel} with "
            f"dilation {window.dilation}. Output size is too small"
        )


def working(dtype: DType) -> DType:
    return float32 if dtype in (bfloat16, float16) else dtype


class _UnfoldRule:
    """Backward of unfold: fold."""

    name = "Im2ColBackward0"

    def __init__(self, window: Window, size: Sizes) -> None:
        self.window, self.size = window, size

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return ()

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        return (fold_windows(grads[0], self.size, self.window),)


class _FoldRule:
    """Backward of fold: unfold."""

    name = "Col2ImBackward0"

    def __init__(self, window: Window, count: Sizes) -> None:
        self.window, self.count = window, count

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return ()

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        return (unfold_windows(grads[0], self.window, self.count),)


def _unfold_plan(x: Layout, window: Window, wanted: Sizes | None) -> Plan:
    n, c, *size = x.shape
    count, rank = wanted or window.count(size), window.rank
    require_room("unfold", x, count, window)
    cells = [window.at(k, axis(2 + rank + k), axis(2 + k)) for k in range(rank)]
    value = load(0, x.dtype, (axis(0), axis(1), *cells), fill=0)
    sizes = (n, c, *window.kernel, *count)
    result = dense(sizes, x.dtype)
    record = recorder(_UnfoldRule(window, tuple(size)), [result], [x])
    formula = Formula("unfold", 2 + 2 * rank, (Output(value),))
    return kernel_plan(formula, (x,), sizes, [result], record=record, given=window.numbers())


def _fold_formula(x: Layout, window: Window) -> Formula:
    rank = window.rank
    inner = tuple(axis(2 + rank + k) for k in range(rank))
    coords = tuple(window.covering(k, axis(2 + k), inner[k]) for k in range(rank))
    value = load(0, x.dtype, (axis(0), axis(1), *inner, *coords), fill=0).cast(working(x.dtype))
    stage = Fold(folding("sum", value.dtype), (value,), 0)
    return Formula("fold", 2 + rank, (Output(stage.states[0].cast(x.dtype)),), rank, (stage,))


def _fold_plan(x: Layout, size: Sizes, window: Window) -> Plan:
    result = dense((*x.shape[:2], *size), x.dtype)
    record = recorder(_FoldRule(window, tuple(x.shape[2 + window.rank :])), [result], [x])
    sizes = (*x.shape[:2], *size, *window.kernel)
    return kernel_plan(_fold_formula(x, window), (x,), sizes, [result], record=record, given=window.numbers())


def _fold_into_plan(x: Layout, size: Sizes, window: Window) -> Plan:
    result, sizes = dense((*x.shape[:2], *size), x.dtype), (*x.shape[:2], *size, *window.kernel)
    return kernel_plan(_fold_formula(x, window), (x,), sizes, [result], in_place=True, given=window.numbers())


_unfold_plans = PlanTable(_unfold_plan)
_fold_plans = PlanTable(_fold_plan)
fold_into = PlanTable(_fold_into_plan)  # the same, not recorded, into memory that is there already


def unfold_windows(x: Tensor, window: Window, count: Sizes | None = None) -> Tensor:
    """(N, C, *sizes) -> (N, C, *kernel, *positions): (N, C, H, W) -> (N, C, kernel rows, columns, positions down, across).

    ``count``: the positions wanted, if not all that fit.
    """
    return _unfold_plans[x.layout, window, count](x)


def fold_windows(x: Tensor, size: Sizes, window: Window) -> Tensor:
    """The transpose of ``unfold_windows``: windows are added where they lay in an input of ``size``."""
    return _fold_plans[x.layout, size, window](x)


def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Windows as columns: (N, C, H, W) -> (N, C * kernel cells, positions).

    Raises:
        RuntimeError: the input is not 3-D or 4-D, or the kernel does not fit into it.
    """
    if input.dim() not in (3, 4):
        raise RuntimeError(
            f"unfold(): Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions "
            f"for input, but got: {list(input.shape)}"
        )
    window = window_of("unfold", kernel_size, stride, padding, dilation)
    if input.dim() == 3:
        return unfold(input.unsqueeze(0), kernel_size, dilation, padding, stride).squeeze(0)
    windows = unfold_windows(input, window)
    n, c, rows, columns, down, across = windows.shape
    return windows.view(n, c * rows * columns, down * across)


def fold(input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Columns back to where their windows lay, added up: (N, C * kernel cells, positions) -> (N, C, *output_size).

    Raises:
        RuntimeError: the columns do not belong to windows of this geometry.
    """
    if input.dim() == 2:
        return fold(input.unsqueeze(0), output_size, kernel_size, dilation, padding, stride).squeeze(0)
    window, size = window_of("fold", kernel_size, stride, padding, dilation), sizes_of("fold", "output_size", output_size)
    count, cells = window.count(size), window.kernel[0] * window.kernel[1]
    if input.dim() != 3 or input.shape[1] % cells or input.shape[2] != count[0] * count[1]:
        raise RuntimeError(
            f"fold(): Given output_size={size}, kernel_size={window.kernel}, dilation={window.dilation}, "
            f"padding={window.padding}, stride={window.stride}, expected the input's size (N, C * {cells}, "
            f"{count[0] * count[1]}), but got {shape_text(input.shape)}"
        )
    shape = (input.shape[0], input.shape[1] // cells, *window.kernel, *count)
    return fold_windows(input.reshape(shape), size, window)
