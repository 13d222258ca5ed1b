"""Grids and choices: coordinates of several vectors together."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np

from pellucid.dtypes import bool_, int64, uint8
from pellucid.errors import shape_text
from pellucid.formula.expr import axis, const, load, select
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, dense
from pellucid.operators.arguments import require_tensor
from pellucid.operators.creation import filled
from pellucid.operators.define import public
from pellucid.operators.joining import cat, stack
from pellucid.operators.nested import from_cells
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.tensor import Tensor, array_of


@public
def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Each vector spread over the grid of all: ``out[k][i,j,...] = tensors[k][its coordinate]``, as views.

    Args:
        indexing: "ij": the k-th vector runs along dimension k; "xy": the first runs along dimension 1 and the second
            along dimension 0.

    Raises:
        RuntimeError: tensors of more than one dimension or of different dtypes, another ``indexing``.
    """
    operands: Any = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], tuple | list) else tensors
    _check_grid(operands)
    if indexing is None:
        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.",
            UserWarning,
            stacklevel=2,
        )
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(
            f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    swap = indexing == "xy" and len(operands) >= 2
    if swap:
        operands = (operands[1], operands[0], *operands[2:])
    shape = [t.numel() for t in operands]
    grids = []
    for k, t in enumerate(operands):
        single = [1] * len(shape)
        single[k] = shape[k]
        grids.append(t.reshape(single).expand(shape))
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def _check_grid(operands: Any) -> None:
    if not operands:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    for t in operands:
        require_tensor("meshgrid", t, "tensors")
        if t.layout.ndim > 1:
            raise RuntimeError(
                "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got shape "
                f"{shape_text(t.layout.shape)}; flatten() it"
            )
        if t.layout.dtype is not operands[0].layout.dtype:
            raise RuntimeError(
                f"meshgrid expects all tensors to have the same dtype, but got {operands[0].layout.dtype!r} and "
                f"{t.layout.dtype!r}"
            )


@public
def cartesian_prod(*tensors: Any) -> Tensor:
    """All choices of one element of each vector, a row each; the last vector changes fastest."""
    operands: Any = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], tuple | list) else tensors
    for t in operands:
        if require_tensor("cartesian_prod", t, "tensors").layout.ndim != 1:
            raise RuntimeError(f"cartesian_prod(): Expect a 1D vector, but got shape {shape_text(t.layout.shape)}")
    if len(operands) == 1:
        return operands[0]
    return stack([g.flatten() for g in meshgrid(*operands, indexing="ij")], 1)


@public
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of ``r`` elements of a vector, in the order of ``itertools.combinations``, a row each."""
    x: Any = require_tensor("combinations", input)
    if x.layout.ndim != 1:
        raise RuntimeError(f"combinations(): Expect a 1D vector, but got shape {list(x.layout.shape)}")
    if r < 0:
        raise RuntimeError(f"combinations(): Expect a non-negative number, but got {r}")
    if r == 0:
        return filled(dense((0,), x.layout.dtype), 0)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    n = x.layout.numel
    rows = math.comb(n + r - 1 if with_replacement and n else n, r)
    result = dense((rows, r), int64)
    places = np.fromiter(itertools.chain.from_iterable(choose(range(n), r)), np.int64, result.numel)
    return x.index_select(0, from_cells(places, int64)).reshape(result.shape)


def _one_hot_plan(x: Layout, classes: int) -> Plan:
    """``out[..., c] = 1 if x[...] == c else 0``"""
    rank = x.ndim
    here = tuple(axis(d) for d in range(rank))
    value = select(load(0, x.dtype, here).equals(axis(rank)), const(1, int64), const(0, int64))
    shape = (*x.shape, classes)
    return kernel_plan(Formula("one_hot", rank + 1, (Output(value),)), (x,), shape, [dense(shape, int64, x.device)])


_one_hots = PlanTable(_one_hot_plan)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """``out[..., c] = 1 if tensor[...] == c else 0``; without ``num_classes`` there is one more than the largest.

    Raises:
        RuntimeError: not int64, a negative class, or one that is not below ``num_classes``.
    """
    layout = require_tensor("one_hot", tensor, "tensor").layout
    if layout.dtype is not int64:
        raise RuntimeError(
            f"one_hot is only applicable to index tensor of type LongTensor, not {layout.dtype!r}; use .long()"
        )
    classes = array_of(tensor)
    if classes.size == 0:
        if num_classes <= 0:
            raise RuntimeError(
                "one_hot(): Can not infer total number of classes from empty tensor; pass num_classes"
            )
    elif classes.min() < 0:
        raise RuntimeError(f"one_hot(): Class values must be non-negative, but got {classes.min()}")
    elif num_classes == -1:
        num_classes = int(classes.max()) + 1
    elif num_classes < 1:
        raise RuntimeError(f"one_hot(): num_classes should be positive, but got {num_classes}")
    elif classes.max() >= num_classes:
        raise RuntimeError(
            f"one_hot(): Class values must be smaller than num_classes, but got {classes.max()} of {num_classes}"
        )
    return _one_hots[layout, num_classes](tensor)


@public
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of each element in a row: ``out[i,j] = x[i] ** (N - 1 - j)``, or ``** j`` if increasing.

    Raises:
        RuntimeError: not a vector, or a negative number of columns.
    """
    t: Any = require_tensor("vander", x, "x")
    if t.layout.ndim != 1:
        raise RuntimeError(
            f"vander(): x must be a one-dimensional tensor, but its shape is {shape_text(t.layout.shape)}"
        )
    columns = t.layout.numel if N is None else N
    if columns < 0:
        raise RuntimeError(f"vander(): N must be non-negative, but it is {columns}")
    if t.layout.dtype in (bool_, uint8):
        t = t.long()
    rows = t.layout.numel
    first = filled(dense((rows, min(columns, 1)), t.layout.dtype), 1)
    if columns < 2:
        return first
    powers = t.unsqueeze(1).expand(rows, columns - 1).cumprod(1)
    result: Any = cat([first, powers], 1)
    return result if increasing else result.flip(1)
