"""Cells picked, or written, at places that index tensors name.

    x[:, a, b]            out[i, p] = x[i, a[p], b[p]]
    x[:, a, b] = v        x[i, a[p], b[p]] = v[i, p]

The index tensors broadcast against each other. Their dimensions take the place of those they pick from if these are
neighbours, else they come first. A negative index counts from the end.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from pellucid.autograd.derived import differentiable_plan
from pellucid.autograd.graph import Node, recorder
from pellucid.autograd.inplace import in_place
from pellucid.autograd.places import note_write
from pellucid.dtypes import DType, bool_, float64, int64, uint8
from pellucid.errors import shape_text
from pellucid.formula.expr import Expr, axis, const, given, load, scalar, select
from pellucid.formula.formula import Fold, Formula, Output, Scatter, folding
from pellucid.layout import (
    Layout,
    broadcast_shapes,
    dense,
    elementwise,
    expanded,
    layout_of,
    like,
    overlaps_itself,
    view_strides,
)
from pellucid.operators.copying import clone, plain_number
from pellucid.operators.viewing import formula_pullback
from pellucid.plan import Operand, Plan, PlanTable, kernel_plan
from pellucid.runtime import native
from pellucid.tensor import Tensor, array_of

Shape = tuple[int, ...]


class Picking:
    """Where the cells of ``x[..., a, ..., b]`` come from: the result's shape, and the coordinates of each cell in
    ``x`` as expressions, with index k being operand ``first + k``."""

    def __init__(self, x: Layout, dims: Shape, indices: Sequence[Layout], first: int) -> None:
        together = broadcast_shapes(*(tuple(i.shape) for i in indices))
        if together is None:
            shapes = ", ".join(str(list(i.shape)) for i in indices)
            raise IndexError(
                f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}; their sizes "
                "are aligned to the right and must be equal or 1"
            )
        adjacent = dims == tuple(range(dims[0], dims[0] + len(dims)))
        self.index_shape: Shape = together
        self.start = dims[0] if adjacent else 0
        kept = [d for d in range(x.ndim) if d not in dims]
        self.kept, self.rank = kept, len(kept) + len(together)
        before = kept[: self.start]
        after = kept[self.start :]
        self.shape: Shape = (*(x.shape[d] for d in before), *together, *(x.shape[d] for d in after))
        behind = self.start + len(together)
        places = {d: k for k, d in enumerate(before)} | {d: behind + k for k, d in enumerate(after)}
        self.places = places
        # What negative indices count from. Numbers of the plan: were they read off ``x``, backward would need it.
        self.given: dict[str, int | float] = {f"size{d}": x.shape[d] for d in dims}
        picks = {d: self.index(i, first + k, d) for k, (d, i) in enumerate(zip(dims, indices, strict=True))}
        self.coordinates = tuple(picks[d] if d in picks else axis(places[d]) for d in range(x.ndim))

    def index(self, layout: Layout, operand: int, dim: int) -> Expr:
        """The coordinate that an index tensor holds for this cell."""
        first = self.start + len(self.index_shape) - layout.ndim
        missing = len(self.index_shape) - layout.ndim
        here = tuple(
            const(0, int64) if n == 1 != self.index_shape[missing + k] else axis(first + k)
            for k, n in enumerate(layout.shape)
        )
        value = load(operand, layout.dtype, here).cast(int64)
        return select(value < 0, value + given(f"size{dim}"), value)

    def result(self, x: Layout, indices: Sequence[Layout]) -> Layout:
        """The layout of the result: its order of dimensions follows those of all operands."""
        strides = [0] * self.rank
        for d, place in self.places.items():
            strides[place] = x.strides[d]
        source = layout_of(self.shape, tuple(strides), x.dtype, x.device)
        return elementwise(self.shape, [source, *map(self.spread, indices)], x.dtype)

    def spread(self, index: Layout) -> Layout:
        """An index tensor as it lies along the axes of the result."""
        behind = self.rank - self.start - len(self.index_shape)
        # PyTorch computes with int64 indices; it converts others after it has expanded them.
        together = expanded(index, self.index_shape)
        together = together if index.dtype is int64 else like(together)
        shape = (*(1,) * self.start, *self.index_shape, *(1,) * behind)
        strides = view_strides(together, shape)
        assert strides is not None, "dimensions of size 1 can always be added"
        return index.with_strides(shape, strides)


def raise_out_of_bounds(x: Layout, dims: Shape, indices: Sequence[Any]) -> NoReturn:
    """Name the first index that is outside of its dimension, and where it stands."""
    for d, index in zip(dims, indices, strict=True):
        values, n = array_of(index), x.shape[d]
        wrong = np.argwhere((values < -n) | (values >= n))
        if len(wrong):
            at = tuple(int(i) for i in wrong[0])
            raise IndexError(
                f"index {int(values[at])} is out of bounds for dimension {d} with size {n} (found at position {at} of "
                f"the index; the indexed tensor has shape {shape_text(x.shape)}, so indexes are from {-n} to {n - 1})"
            )
    raise IndexError(f"an index is out of bounds for a tensor of shape {shape_text(x.shape)}")


# -- reading ----------------------------------------------------------------------------------------------------------


def take_plan(x: Layout, dims: Shape, *indices: Layout) -> Plan:
    p = Picking(x, dims, indices, 1)
    formula = Formula("index", p.rank, (Output(load(0, x.dtype, p.coordinates)),))

    def fail(status: int, t: Tensor, *own: Tensor) -> NoReturn:
        raise_out_of_bounds(x, dims, own)

    return differentiable_plan(formula, (x, *indices), p.shape, [p.result(x, indices)], fail=fail, given=p.given)


_takes = PlanTable(take_plan)


def take_cells(x: Tensor, dims: Shape, indices: Sequence[Tensor]) -> Tensor:
    """``out[i, p] = x[i, a[p], b[p]]``, where index tensors a, b stand for dimensions ``dims``."""
    return _takes[x.layout, dims, *[i.layout for i in indices]](x, *indices)


# -- writing ----------------------------------------------------------------------------------------------------------


def _check_plan(x: Layout, dims: Shape, *indices: Layout) -> Plan:
    """A read at all places that are to be written, of one byte that stands for every cell: nothing is written if an
    index is outside."""
    sizes = tuple(x.shape[d] for d in dims)
    stand_in = layout_of(sizes, (0,) * len(sizes), uint8, x.device)
    p = Picking(stand_in, tuple(range(len(dims))), indices, 1)
    fold = Fold(folding("any", bool_), (load(0, uint8, p.coordinates).cast(bool_),), 0)
    formula = Formula("index_check", 0, (Output(fold.states[0]),), p.rank, (fold,))

    def fail(status: int, t: Tensor, *own: Tensor) -> NoReturn:
        raise_out_of_bounds(x, dims, own)

    return kernel_plan(formula, (stand_in, *indices), p.shape, [dense((), bool_)], fail=fail, given=p.given)


def summed_to(g: Tensor, wanted: Layout) -> Tensor:
    """The gradient of what was broadcast: summed over the repeated dimensions."""
    shape = tuple(g.layout.shape)
    if shape == wanted.shape:
        return g
    repeated = Formula("expand", len(shape), (Output(load(0, wanted.dtype)),))
    return formula_pullback(repeated, wanted, shape, "ExpandBackward0")(g)


class IndexPutRule:
    """The cells that were overwritten get no gradient; the values get that of their cells."""

    name = "IndexPutBackward0"

    def __init__(self, dims: Shape, accumulate: bool, value: Operand, indices: int) -> None:
        self.dims, self.accumulate, self.value, self.indices = dims, accumulate, value, indices

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return tuple(range(3, 3 + self.indices))

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        saved, (g,) = node.unpack(), grads
        indices = [saved[k] for k in range(3, 3 + self.indices)]
        to_x = to_value = None
        if node.edges[0] is not None:
            to_x = g if self.accumulate else put(clone(g), self.dims, indices, 0, False)
        if node.edges[1] is not None:
            assert isinstance(self.value, Layout)
            to_value = summed_to(take_cells(g, self.dims, indices), self.value)
        return (to_x, to_value, *[None] * self.indices)


_NUMBERS = {int: int64, float: float64, bool: bool_}


def _put_plan(x: Layout, dims: Shape, accumulate: bool, value: Operand, *indices: Layout) -> Plan:
    p = Picking(x, dims, indices, 1)
    if isinstance(value, Layout):
        require_fit(x, value, p.shape)
        written = load(0, value.dtype)
    else:
        written = scalar(0, _NUMBERS[value]).cast(x.dtype)
    reducer = _adding(x.dtype) if accumulate else None
    formula = Scatter("index_put", p.rank, p.coordinates, written, reducer)
    write = kernel_plan(formula, (value, *indices), p.shape, [x], in_place=True, given=p.given)
    # A tensor without cells has none that could be missed, unless it is the picked dimension that is empty.
    check = _check_plan(x, dims, *indices) if x.numel or 0 in [x.shape[d] for d in dims] else _nothing
    shared = overlaps_itself(x)
    record = None
    if x.dtype.is_floating_point or x.dtype.is_complex:
        rule = IndexPutRule(dims, accumulate, value, len(indices))
        record = recorder(rule, [x], (x, value, *indices))

    def plan(t: Tensor, v: Any, *own: Tensor) -> Tensor:
        if shared:
            _warn_of_shared_cells()
        check(t, *own)
        if t.tracked or t.base is not None or getattr(v, "tracked", False):
            return in_place(t, lambda: write(t, v, *own), record, t, v, *own)
        write(t, v, *own)
        if native.grad_enabled():
            note_write(t.storage)
        return t

    return plan


def _nothing(*operands: Any) -> None:
    """The check of a tensor without cells."""


def _warn_of_shared_cells() -> None:
    warnings.warn(
        "Use of index_put_ on expanded tensors is deprecated. Please clone() the tensor before performing this "
        "operation. This also applies to advanced indexing e.g. tensor[indices] = tensor",
        UserWarning,
        stacklevel=6,
    )


def _adding(dtype: DType) -> Any:
    return folding("any" if dtype is bool_ else "sum", dtype)


def require_fit(x: Layout, value: Layout, shape: Shape) -> None:
    if value.dtype is not x.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {x.dtype.scalar_name} for the "
            f"destination and {value.dtype.scalar_name} for the source; convert the values by .to({x.dtype!r})."
        )
    if broadcast_shapes(tuple(value.shape), shape) != shape:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to indexing result of "
            f"shape {list(shape)}"
        )


_puts = PlanTable(_put_plan)


def put(x: Tensor, dims: Shape, indices: Sequence[Tensor], value: Any, accumulate: bool) -> Tensor:
    """``x[i, a[p], b[p]] = value[i, p]``, or ``+=``; with equal places the last one wins."""
    storage = x.storage
    if not isinstance(value, Tensor):
        value = plain_number(value, x.layout.dtype, "index_put_")
    elif value.storage is storage:
        value = clone(value)
    key: list[Any] = [x.layout, dims, accumulate, value.layout if isinstance(value, Tensor) else type(value)]
    apart = []
    for index in indices:
        apart.append(index if index.storage is not storage else clone(index))
        key.append(index.layout)
    return _puts[tuple(key)](x, value, *apart)
