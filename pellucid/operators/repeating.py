"""Repeating: whole tensors side by side, or each element several times.

    repeat               out[i,j] = x[i mod I, j mod J]
    repeat_interleave    out[i,j] = x[i // repeats, j]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.dtypes import int32, int64
from pellucid.errors import shape_text
from pellucid.layout import Layout, dense
from pellucid.operators.arguments import require_tensor
from pellucid.operators.assembling import Piece, assembly_plan
from pellucid.operators.define import both, method, public, wrap_dim
from pellucid.operators.nested import from_cells
from pellucid.operators.viewing import integers
from pellucid.plan import Plan, PlanTable
from pellucid.tensor import Tensor, array_of

# -- whole tensors ------------------------------------------------------------------------------------------------


def _repeat_plan(x: Layout, repeats: tuple[int, ...]) -> Plan:
    """One copy: the result seen as (r0, n0, r1, n1, ...), the operand repeated along every r with stride 0."""
    if len(repeats) < x.ndim:
        raise RuntimeError(
            "repeat(): Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor: "
            f"{len(repeats)} repeats for shape {shape_text(x.shape)}"
        )
    missing = len(repeats) - x.ndim
    shape, strides = (1,) * missing + tuple(x.shape), (0,) * missing + x.strides
    sizes = tuple(r * n for r, n in zip(repeats, shape, strict=True))
    if any(r < 0 for r in repeats):
        raise RuntimeError(f"repeat(): Trying to create tensor with negative dimension: repeats are {repeats}")
    result = dense(sizes, x.dtype, x.device)
    pairs = tuple(k for pair in zip(repeats, shape, strict=True) for k in pair)
    source = x.with_strides(pairs, [k for s in strides for k in (0, s)])
    target = result.with_strides(
        pairs, [k for n, s in zip(shape, result.strides, strict=True) for k in (n * s, s)]
    )
    give = _summing(tuple(x.shape), pairs)
    return assembly_plan("RepeatBackward0", result, (x,), [Piece(0, (source, 0), (target, 0))], [give])


def _summing(shape: tuple[int, ...], pairs: tuple[int, ...]) -> Callable[[Any], Any]:
    counted = tuple(range(0, len(pairs), 2))
    return lambda g: g.reshape(pairs).sum(counted).reshape(shape) if pairs else g


_repeats = PlanTable(_repeat_plan)


@method
def repeat(input: Tensor, *sizes: Any, repeats: Any = None) -> Tensor:
    """``input`` repeated along each dimension: ``out[i,j] = input[i mod I, j mod J]``; more repeats than dimensions
    add dimensions in front.

    Raises:
        RuntimeError: fewer repeats than dimensions, or a negative one.
    """
    if repeats is None and not sizes:
        raise TypeError('repeat() missing 1 required positional arguments: "repeats"')
    counts = integers("repeat", "repeats", sizes if repeats is None else (repeats,))
    return _repeats[input.layout, counts](input)


def tile(input: Tensor, dims: Any) -> Tensor:
    """``repeat``, where fewer repeats than dimensions stand for the last dimensions."""
    require_tensor("tile", input)
    counts = integers("tile", "dims", (dims,))
    return repeat(input, (1,) * (input.layout.ndim - len(counts)) + counts)


def _tile_method(input: Tensor, *sizes: Any, dims: Any = None) -> Tensor:
    return tile(input, integers("tile", "dims", sizes) if dims is None else dims)


public(tile)
method(_tile_method, "tile")

# -- each element -------------------------------------------------------------------------------------------------


@both
def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None,
    axis: Any = None,
) -> Tensor:
    """Each element along ``dim`` (without it: of the flattened tensor) ``repeats`` times in a row. ``repeats`` is a
    number, or a tensor with a number for each. ``repeat_interleave(repeats)`` gives the places themselves.

    Raises:
        RuntimeError: negative repeats, or another number of them than elements.
    """
    dim = dim if axis is None else axis
    require_tensor("repeat_interleave", input)
    if repeats is None:
        return _places(input, output_size)
    if dim is None:
        input, dim = input.flatten(), 0
    d = wrap_dim("repeat_interleave", dim, input.layout.ndim)
    if input.layout.ndim == 0:
        input = input.reshape(1)
    if isinstance(repeats, Tensor) and (repeats.layout.numel != 1 or repeats.layout.ndim == 1):
        counts = repeats
        if counts.layout.ndim == 0 or counts.layout.numel == 1:
            counts = counts.reshape(1).expand(input.layout.shape[d])
        elif counts.layout.numel != input.layout.shape[d]:
            raise RuntimeError(
                "repeat_interleave(): repeats must have the same size as input along dim, but got repeats.size(0) = "
                f"{counts.layout.numel} and input.size({d}) = {input.layout.shape[d]}"
            )
        return input.index_select(d, _places(counts, output_size))
    (count,) = integers("repeat_interleave", "repeats", (repeats,))
    if count < 0:
        raise RuntimeError(f"repeat_interleave(): Repeats must be non-negative, but got {count}")
    _require_size(count * input.layout.shape[d], output_size)
    shape = [*input.layout.shape[: d + 1], count, *input.layout.shape[d + 1 :]]
    spread: Any = input.unsqueeze(d + 1).expand(shape)
    return spread.contiguous().flatten(d, d + 1)


def _places(counts: Tensor, output_size: int | None) -> Tensor:
    """0 counts[0] times, 1 counts[1] times, and so on."""
    layout = counts.layout
    if layout.ndim != 1:
        raise RuntimeError(f"repeat_interleave(): repeats must be 0-dim or 1-dim tensor, not {layout.ndim}-dim")
    if layout.dtype not in (int64, int32):
        raise NotImplementedError(
            f"repeat_interleave(): not implemented for {layout.dtype!r}; repeats are int64 or int32"
        )
    numbers = array_of(counts)
    if numbers.size and numbers.min() < 0:
        at = int(np.argmin(numbers))
        raise RuntimeError(f"repeat_interleave(): repeats can not be negative, but got {numbers[at]} at {at}")
    places = np.repeat(np.arange(layout.numel), numbers)
    _require_size(places.size, output_size)
    return from_cells(places, layout.dtype)


def _require_size(size: int, wanted: int | None) -> None:
    if wanted is not None and size != wanted:
        raise RuntimeError(f"repeat_interleave: Invalid output_size, expected {size} but got {wanted}")
