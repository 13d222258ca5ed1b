"""Views that repeat: dimensions of size 1 read as longer ones (their stride becomes 0), and common shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid import layout as layouts
from pellucid.errors import shape_text
from pellucid.formula.expr import load
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, Size, expanded
from pellucid.operators.define import method, public
from pellucid.operators.pointwise import broadcast_message
from pellucid.operators.viewing import formula_pullback, integers, view_function, view_plan
from pellucid.operators.views import reshape, unsqueeze
from pellucid.plan import Plan, PlanTable
from pellucid.tensor import Tensor


def _expand_plan(x: Layout, wanted: tuple[int, ...]) -> Plan:
    missing = len(wanted) - x.ndim
    if missing < 0:
        raise RuntimeError(
            f"expand(): the number of sizes provided ({len(wanted)}) must be greater or equal to the number of "
            f"dimensions in the tensor ({x.ndim}): {shape_text(x.shape)} cannot be expanded to {list(wanted)}"
        )
    shape = list(wanted)
    for d, n in enumerate(wanted):
        own = x.shape[d - missing] if d >= missing else 1
        if n == -1 and d >= missing:
            shape[d] = own
        elif n < 0:
            where = "in a leading, non-existing dimension" if d < missing else "for dimension"
            raise RuntimeError(f"expand(): The expanded size of the tensor ({n}) isn't allowed {where} {d}")
        elif own not in (1, n):
            raise RuntimeError(
                f"expand(): The expanded size of the tensor ({n}) must match the existing size ({own}) at "
                f"non-singleton dimension {d}.  Target sizes: {list(wanted)}.  Tensor sizes: {list(x.shape)}. "
                "Only dimensions of size 1 can be repeated"
            )
    sizes = tuple(shape)
    pull = formula_pullback(Formula("expand", len(sizes), (Output(load(0, x.dtype)),)), x, sizes, "ExpandBackward0")
    return view_plan("ExpandBackward0", x, (expanded(x, sizes), 0), pull)


_expands = PlanTable(_expand_plan)


@method
def expand(input: Tensor, *sizes: Any, size: Sequence[int] | None = None, implicit: bool = False) -> Tensor:
    """Dimensions of size 1 repeated to ``size`` without a copy (-1 keeps a size; new dimensions come first).

    Raises:
        RuntimeError: a dimension that is neither 1 nor of the wanted size.
    """
    if size is not None:
        sizes = (size,)
    for n in sizes:
        if type(n) is not int:
            sizes = integers("expand", "size", sizes)
            break
    return _expands[input.layout, sizes](input)


@method
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.expand(other.shape)``."""
    return _expands[input.layout, tuple(other.layout.shape)](input)


@view_function
def broadcast_to(input: Tensor, *sizes: Any, size: Sequence[int] | None = None) -> Tensor:
    """`expand` as a function."""
    wanted = sizes if size is None else (size,)
    return _expands[input.layout, integers("broadcast_to", "size", wanted)](input)


@public
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """All tensors expanded to their common shape; those that have it are given back as they are.

    Raises:
        RuntimeError: the shapes have none.
    """
    if len(tensors) == 1 and isinstance(tensors[0], tuple | list):
        tensors = tuple(tensors[0])
    shapes = [tuple(x.layout.shape) for x in tensors]
    shape = layouts.broadcast_shapes(*shapes)
    if shape is None:
        raise RuntimeError(broadcast_message("broadcast_tensors()", shapes))
    return tuple(x if x.layout.shape == shape else _expands[x.layout, shape](x) for x in tensors)


@public
def broadcast_shapes(*shapes: int | Sequence[int]) -> Size:
    """The shape that tensors of these shapes broadcast to; an int n means (n,).

    Raises:
        RuntimeError: there is none, or a size is negative.
    """
    sizes = [integers("broadcast_shapes", "shapes", (s,)) for s in shapes]
    for shape in sizes:
        if any(n < 0 for n in shape):
            raise RuntimeError(f"broadcast_shapes(): Trying to create tensor with negative dimension: {shape}")
    common = layouts.broadcast_shapes(*sizes)
    if common is None:
        raise RuntimeError(broadcast_message("broadcast_shapes()", sizes))
    return Size(common)


# -- at least so many dimensions --------------------------------------------------------------------------------------


def _atleast(rank: int, tensors: tuple[Any, ...]) -> Any:
    """Each tensor with at least ``rank`` dimensions; a 2-D one gets its third at the end."""
    if len(tensors) == 1 and isinstance(tensors[0], tuple | list):
        return tuple(_raised(x, rank) for x in tensors[0])
    result = tuple(_raised(x, rank) for x in tensors)
    return result[0] if len(result) == 1 else result


def _raised(x: Tensor, rank: int) -> Tensor:
    shape = tuple(x.layout.shape)
    if len(shape) >= rank:
        return x
    if not shape:
        return reshape(x, *(1,) * rank)
    x = unsqueeze(x, 0) if len(shape) == 1 else x
    return unsqueeze(x, -1) if rank == 3 else x


@public
def atleast_1d(*tensors: Any) -> Any:
    """A 0-d tensor as one of shape (1,); others as they are. Several tensors, or a list, give a tuple."""
    return _atleast(1, tensors)


@public
def atleast_2d(*tensors: Any) -> Any:
    """0-d as (1, 1), 1-d as (1, n)."""
    return _atleast(2, tensors)


@public
def atleast_3d(*tensors: Any) -> Any:
    """0-d as (1, 1, 1), 1-d as (1, n, 1), 2-d as (m, n, 1)."""
    return _atleast(3, tensors)


@method
def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """The reverse of a broadcast: summed over the dimensions that expanding from ``size`` would repeat.

    Raises:
        RuntimeError: ``size`` does not broadcast to the tensor's shape.
    """
    wanted = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else tuple(size)
    shape = tuple(self.layout.shape)
    missing = len(shape) - len(wanted)
    fits = missing >= 0 and all(w in (1, n) for w, n in zip(wanted, shape[max(missing, 0) :], strict=True))
    if not fits:
        raise RuntimeError(f"sum_to_size(): size {list(wanted)} is not expandable to size {list(shape)}")
    dims = [*range(missing), *(missing + d for d, n in enumerate(wanted) if n == 1 != shape[missing + d])]
    result: Any = self.sum(dims, keepdim=True) if dims else self
    return result.reshape(wanted) if missing else result
