"""Padding: more cells before and after those of the last dimensions. With j = i - before and n cells:

    constant     out[i] = x[j] if 0 <= j < n else value
    reflect      out[i] = x[n-1 - | n-1 - |j| |]
    replicate    out[i] = x[min(max(j, 0), n-1)]
    circular     out[i] = x[(j + n) mod n], where negative pads cut cells off first
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pellucid.autograd.derived import differentiable_plan
from pellucid.errors import shape_text
from pellucid.formula.expr import Expr, axis, extent, given, load, maximum, minimum, unary
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, View, dense
from pellucid.memory_format import format_of, formatted
from pellucid.operators.arguments import require_tensor
from pellucid.operators.assembling import Piece, assembly_plan
from pellucid.operators.copying import fill_
from pellucid.operators.define import public
from pellucid.operators.viewing import integers
from pellucid.plan import Plan, PlanTable
from pellucid.runtime import native
from pellucid.tensor import Tensor, empty_like_layout

SMALL_BYTES = 1 << 16  # up to here filling everything costs less than filling the margin box by box
Pads = tuple[int, ...]  # before and after, of the last dimension first


def _margins(operator: str, x: Layout, pads: Pads) -> list[tuple[int, int]]:
    """(before, after) of every dimension, in their order."""
    if len(pads) % 2:
        raise RuntimeError(f"{operator}(): Padding length must be divisible by 2, but got {len(pads)} numbers: {pads}")
    if len(pads) // 2 > x.ndim:
        raise RuntimeError(
            f"{operator}(): Padding length should be less than or equal to two times the input dimension, but got "
            f"{len(pads)} numbers for {x.ndim} dimensions"
        )
    pairs = list(zip(pads[::2], pads[1::2], strict=True))
    return [(0, 0)] * (x.ndim - len(pairs)) + pairs[::-1]


def _padded_shape(operator: str, x: Layout, margins: list[tuple[int, int]]) -> tuple[int, ...]:
    shape = tuple(n + before + after for n, (before, after) in zip(x.shape, margins, strict=True))
    for d, n in enumerate(shape):
        before, after = margins[d]
        if n < 0 or x.shape[d] + min(before, 0) + min(after, 0) < 0:
            raise RuntimeError(
                f"{operator}(): The input size {x.shape[d]}, plus negative padding {before} and {after}, resulted in a "
                f"negative output size at dimension {d}, or in fewer than no cells of the input"
            )
    return shape


# -- with a constant ----------------------------------------------------------------------------------------------


def _constant_plan(x: Layout, pads: Pads) -> Plan:
    """Takes (x, value): of a large result only the margin is filled, the rest is copied."""
    margins = _margins("constant_pad_nd", x, pads)
    result = dense(_padded_shape("constant_pad_nd", x, margins), x.dtype, x.device)
    result = formatted(result, format_of(x), "pad")
    inside = [_overlap(n, *margin) for n, margin in zip(x.shape, margins, strict=True)]
    lengths = [length for _, _, length in inside]
    source = _box(x, [at for at, _, _ in inside], lengths)
    target = _box(result, [to for _, to, _ in inside], lengths)
    margin = _slabs(result, [(to, to + length) for _, to, length in inside])
    slabs = margin if result.nbytes > SMALL_BYTES else [(result, 0)] if margin else []
    back = tuple(-p for p in pads)
    copy = assembly_plan(
        "ConstantPadNdBackward0", result, (x,), [Piece(0, source, target)], [lambda g: constant_pad_nd(g, back)]
    )

    def plan(t: Tensor, value: Any) -> Any:
        out = empty_like_layout(result)
        for layout, offset in slabs:
            fill_(native.new_tensor(layout, out.storage, out.ptr + offset * x.dtype.itemsize), value)
        return copy(t, out=out)

    return plan


def _overlap(n: int, before: int, after: int) -> tuple[int, int, int]:
    """Where the cells that stay begin in the operand and in the result, and how many they are."""
    return max(-before, 0), max(before, 0), max(n + min(before, 0) + min(after, 0), 0)


def _box(layout: Layout, starts: Sequence[int], lengths: Sequence[int]) -> View:
    offset = sum(a * s for a, s in zip(starts, layout.strides, strict=True))
    return layout.with_strides(lengths, layout.strides), offset


def _slabs(result: Layout, inside: list[tuple[int, int]]) -> list[View]:
    """The margin as boxes that do not overlap: of dimension d before and after the inside, within the inside of
    the dimensions before d."""
    found = []
    for d, (first, last) in enumerate(inside):
        for start, end in ((0, first), (last, result.shape[d])):
            starts = [a for a, _ in inside[:d]] + [start] + [0] * (result.ndim - d - 1)
            lengths = [b - a for a, b in inside[:d]] + [end - start] + list(result.shape[d + 1 :])
            if 0 not in lengths:
                found.append(_box(result, starts, lengths))
    return found


_constants = PlanTable(_constant_plan)


@public
def constant_pad_nd(input: Tensor, pad: Sequence[int], value: Any = 0) -> Tensor:
    """``input`` with ``value`` around it; negative pads cut off. ``pad`` is (before, after) of the last dimension,
    then of the one before it, and so on.

    Raises:
        RuntimeError: more pads than dimensions, or nothing would be left.
    """
    require_tensor("constant_pad_nd", input)
    return _constants[input.layout, integers("pad", "pad", (pad,))](input, value)


# -- with cells of the operand ------------------------------------------------------------------------------------


def _reflected(d: int) -> Expr:
    last = extent(0, d) - 1
    return last - unary("abs", last - unary("abs", axis(d) - given(f"before{d}")))


def _replicated(d: int) -> Expr:
    return minimum(maximum(axis(d) - given(f"before{d}"), 0), extent(0, d) - 1)


def _wrapped(d: int) -> Expr:
    """``lead`` is what makes the remainder's operand positive, ``cut`` how many cells were cut off in front."""
    return (axis(d) + given(f"lead{d}")) % given(f"left{d}") + given(f"cut{d}")


def _mirror_numbers(x: Layout, margins: list[tuple[int, int]]) -> dict[str, int | float]:
    numbers: dict[str, int | float] = {}
    for d, (before, after) in enumerate(margins):
        left = x.shape[d] + min(before, 0) + min(after, 0)
        numbers |= {f"before{d}": before, f"left{d}": left, f"cut{d}": max(-before, 0)}
        numbers[f"lead{d}"] = left - max(before, 0)
    return numbers


_MODES: dict[str, tuple[str, Callable[[int], Expr]]] = {
    "reflect": ("ReflectionPad", _reflected),
    "replicate": ("ReplicationPad", _replicated),
    "circular": ("CircularPad", _wrapped),
}


def _require_reach(mode: str, x: Layout, margins: list[tuple[int, int]]) -> None:
    """A reflection must not run over the other end, a circle not more than once around."""
    for d, margin in enumerate(margins):
        n, most = x.shape[d], max(margin)
        if mode == "reflect" and most >= n and most > 0:
            raise RuntimeError(
                f"pad(): Argument #4: Padding size should be less than the corresponding input dimension, but got: "
                f"padding {margin} at dimension {d} of input {shape_text(x.shape)}; mode='replicate' has no such limit"
            )
        if mode == "circular" and most > n:
            raise RuntimeError(
                f"pad(): Padding value causes wrapping around more than once: padding {margin} at dimension {d} of "
                f"input {shape_text(x.shape)}"
            )
        if most > 0 and n == 0:
            raise RuntimeError(f"pad(): dimension {d} of input {shape_text(x.shape)} has no cells to pad with ({mode})")


def _mirror_plan(x: Layout, pads: Pads, mode: str) -> Plan:
    margins = _margins("pad", x, pads)
    shape = _padded_shape("pad", x, margins)
    _require_reach(mode, x, margins)
    title, coordinate = _MODES[mode]
    coords = tuple(coordinate(d) if margin != (0, 0) else axis(d) for d, margin in enumerate(margins))
    formula = Formula(f"{mode}_pad", x.ndim, (Output(load(0, x.dtype, coords)),))
    numbers = _mirror_numbers(x, margins)
    name = f"{title}{len(pads) // 2}DBackward0"
    return differentiable_plan(formula, (x,), shape, [dense(shape, x.dtype, x.device)], given=numbers, name=name)


_mirrors = PlanTable(_mirror_plan)


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Tensor:
    """``input`` with cells around it: constant ones, its own reflected or replicated at the edges, or in a circle.

    Args:
        pad: (before, after) of the last dimension, then of the one before it, and so on.
        mode: "constant", "reflect", "replicate" or "circular"; all but the first pad the last one to three
            dimensions of a tensor that has one or two more.

    Raises:
        RuntimeError, NotImplementedError: pads that do not fit the dimensions or the mode.
    """
    require_tensor("pad", input)
    if mode == "constant":
        return constant_pad_nd(input, pad, 0 if value is None else value)
    if mode not in _MODES:
        raise NotImplementedError(f"pad(): Unrecognised padding mode {mode}: use constant, {', '.join(_MODES)}")
    if value is not None and value != 0:
        raise RuntimeError(f'pad(): Padding mode "{mode}" doesn\'t take in value argument')
    pads = integers("pad", "pad", (pad,))
    if len(pads) not in (2, 4, 6) or input.layout.ndim not in (len(pads) // 2 + 1, len(pads) // 2 + 2):
        raise NotImplementedError(
            "pad(): Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now: the last one to three "
            f"dimensions of a tensor with one or two more, but got {len(pads)} numbers for {input.layout.ndim} "
            "dimensions"
        )
    return _mirrors[input.layout, pads, mode](input)
