"""Picking cells by index: the coordinates of what is read are themselves read from a tensor.

    gather          out[i,j,k] = x[i, index[i,j,k], k]                    (dim 1)
    index_select    out[i,p,k] = x[i, index[p], k]                        (dim 1)
    take            out[p..]   = x.flatten()[index[p..]]

Each index is checked in the kernel; the gradient is the transpose, a scatter that adds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import c_bool
from dataclasses import dataclass
from math import prod
from typing import Any, NoReturn

import numpy as np

from pellucid.autograd.derived import DerivedRule, differentiable_plan
from pellucid.autograd.graph import Node, recorder
from pellucid.dtypes import bool_, int32, int64
from pellucid.errors import shape_text
from pellucid.formula.expr import Expr, axis, const, given, load, select
from pellucid.formula.formula import Fold, Formula, Output, folding
from pellucid.layout import Layout, broadcast_shapes, dense
from pellucid.operators.arguments import require_tensor
from pellucid.operators.define import both, deliver, require_writable, wrap_dim
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.tensor import Tensor, array_of

INDEX_DTYPES = (int64, int32)

# -- results ----------------------------------------------------------------------------------------------------------


def deliver_same(result: Any, out: Tensor | None, operator: str, *operands: Any) -> Any:
    """``deliver`` for operators whose ``out`` must have the result's dtype and share no memory with an operand.

    Raises:
        RuntimeError: it has another dtype, or overlaps an operand or itself.
    """
    if out is None:
        return result
    require_tensor(operator, out, "out")
    if out.layout.dtype is not result.layout.dtype:
        raise RuntimeError(
            f"{operator}(): Expected out tensor to have dtype {result.layout.dtype}, but got {out.layout.dtype} instead"
        )
    grows = out.layout.numel < result.layout.numel
    require_apart(operator, out, operands)
    if grows and any(isinstance(y, Tensor) and y.storage is out.storage for y in operands):
        raise RuntimeError(f"{operator}(): unsupported operation: out would grow into memory that an operand shows")
    return deliver(result, out, operator)


def require_apart(operator: str, x: Tensor, operands: Sequence[Any]) -> None:
    """Cells of ``x``, which is written, are neither each other's nor an operand's.

    Raises:
        RuntimeError: they share memory.
    """
    require_writable(operator, x, tuple(operands))
    if any(y is x or (isinstance(y, Tensor) and y.layout.numel and y.ptr == x.ptr) for y in operands):
        raise RuntimeError(
            f"{operator}(): unsupported operation: some elements of the input tensor and the written-to tensor "
            "refer to a single memory location. Please clone() the tensor before performing the operation."
        )


# -- indexes outside --------------------------------------------------------------------------------------------------


def raise_outside(operator: str, index: Any, dim: int, size: int, kind: type[Exception], low: int = 0) -> NoReturn:
    """Name the first index that is not in ``[low, size)``, and where it stands."""
    values = array_of(index)
    at = tuple(int(i) for i in np.argwhere((values < low) | (values >= size))[0])
    place = f" (found at position {at} of the index)" if at else ""
    fix = "" if low or values[at] >= 0 else f"; add {size} to count from the end, as this operator does not"
    raise kind(f"{operator}(): index {int(values[at])} is out of bounds for dimension {dim} with size {size}{place}{fix}")


@dataclass(frozen=True)
class Bounds:
    """What an operator takes as an index: numbers below ``size``, from 0 on or (``from_end``) from ``-size`` on."""

    operator: str
    dim: int
    size: int
    kind: type[Exception]
    from_end: bool = False

    @property
    def low(self) -> int:
        return -self.size if self.from_end else 0

    def complain(self, index: Any) -> NoReturn:
        raise_outside(self.operator, index, self.dim, self.size, self.kind, self.low)

    def checker(self, index: Layout) -> Callable[[Any], Any]:
        """A look at every index, for writers: nothing may be written if one of them is outside."""
        if index.numel == 0:
            return lambda own: None
        if index.ndim == 0 or self.size == 0:
            return self._check_one
        apart = [(n, s) for n, s in zip(index.shape, index.strides, strict=True) if s != 0]
        seen = index.with_strides([n for n, _ in apart], [s for _, s in apart])
        value = load(0, index.dtype, tuple(axis(k) for k in range(seen.ndim))).cast(int64)
        outside = (value < given("low")) | (value >= given("size"))
        fold = Fold(folding("any", bool_), (outside,), 0)
        formula = Formula("index_check", 0, (Output(fold.states[0]),), seen.ndim, (fold,))
        numbers: dict[str, int | float] = {"low": self.low, "size": self.size}
        look = kernel_plan(formula, (seen,), tuple(seen.shape), [dense((), bool_)], given=numbers)

        def check(own: Tensor) -> None:
            found = look(own)
            if c_bool.from_address(found.ptr):
                self.complain(own)

        return check

    def _check_one(self, index: Tensor) -> None:
        if self.size == 0 or not self.low <= int(array_of(index)[()]) < self.size:
            self.complain(index)


def from_front(index: Expr) -> Expr:
    """A negative index counts from the end; the plan gives ``size``."""
    return select(index < 0, index + given("size"), index)


# -- along one dimension, an index per cell ---------------------------------------------------------------------------


def require_index(operator: str, index: Layout) -> None:
    if index.dtype not in INDEX_DTYPES and index.numel:
        raise RuntimeError(
            f"{operator}(): Expected dtype int32/int64 for index, but got {index.dtype}; convert it by .long()"
        )


def _gather_plan(x: Layout, dim: int, index: Layout) -> Plan:
    d = wrap_dim("gather", dim, x.ndim)
    require_index("gather", index)
    if index.numel and max(index.ndim, 1) != max(x.ndim, 1):
        raise RuntimeError(
            f"gather(): Index tensor must have the same number of dimensions as input tensor: index is "
            f"{shape_text(index.shape)}, input {shape_text(x.shape)}; unsqueeze and expand the index"
        )
    if index.ndim != x.ndim or x.ndim == 0:
        return _gather_flat(index)
    for k, n in enumerate(index.shape):
        if k != d and n > x.shape[k]:
            raise RuntimeError(
                f"gather(): Size does not match at dimension {k} expected index {shape_text(index.shape)} to be no "
                f"larger than self {shape_text(x.shape)} apart from dimension {d}"
            )
    here = tuple(axis(k) for k in range(index.ndim))
    picked = load(1, index.dtype, here).cast(int64)
    formula = Formula("gather", index.ndim, (Output(load(0, x.dtype, (*here[:d], picked, *here[d + 1 :]))),))

    def fail(status: int, x: Tensor, index: Tensor) -> NoReturn:
        raise_outside("gather", index, d, x.layout.shape[d], RuntimeError)

    return differentiable_plan(formula, (x, index), tuple(index.shape), [dense(index.shape, x.dtype)], fail=fail)


def _gather_flat(index: Layout) -> Plan:
    """A number is a vector of one cell here; an index without cells may have any number of dimensions."""
    if index.numel == 0:
        return lambda x, _: x.reshape(-1)[:0].reshape(index.shape)
    return lambda x, own: gather(x.reshape(-1), 0, own.reshape(-1)).reshape(index.shape)


_gathers = PlanTable(_gather_plan)


@both
def gather(
    input: Tensor, dim: Any = None, index: Any = None, *, sparse_grad: bool = False, out: Tensor | None = None,
    axis: Any = None,
) -> Tensor:  # fmt: skip
    """Pick along one dimension: ``out[i,j,k] = input[i, index[i,j,k], k]`` (here ``dim=1``).

    The result has the shape of ``index``, which may be smaller than ``input`` in the other dimensions.

    Raises:
        RuntimeError: an index outside the dimension, an index that is not int32 or int64, unfit shapes.
    """
    dim = dim if axis is None else axis
    try:
        result = _gathers[input.layout, dim, index.layout](input, index)
    except AttributeError:
        require_tensor("gather", input)
        require_tensor("gather", index, "index", 3)
        raise
    return result if out is None else deliver_same(result, out, "gather", input, index)


def _take_along_plan(x: Layout, index: Layout, dim: int) -> Plan:
    """``out[i,j] = x[i, index[i,j]]``, where both are repeated along other dimensions of size 1."""
    if index.dtype is not int64:
        raise RuntimeError(
            f"torch.take_along_dim(): dtype of indices should be Long but got {index.dtype.scalar_name}; use .long()"
        )
    if x.ndim != index.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{x.ndim} dimensions for input, and {index.ndim} dimensions for indices"
        )
    d = wrap_dim("take_along_dim", dim, x.ndim)
    others = [tuple(1 if k == d else n for k, n in enumerate(t.shape)) for t in (x, index)]
    common = broadcast_shapes(*others)
    if common is None:
        raise RuntimeError(
            f"take_along_dim(): input {shape_text(x.shape)} and indices {shape_text(index.shape)} do not broadcast: "
            f"their sizes must be equal or 1 at every dimension but {d}"
        )
    if x.ndim == 0:
        return lambda t, own: take_along_dim(t.reshape(1), own.reshape(1), 0).reshape(())
    shape = tuple(index.shape[d] if k == d else n for k, n in enumerate(common))

    def here(t: Layout) -> tuple[Expr, ...]:
        return tuple(const(0, int64) if n == 1 != shape[k] and k != d else axis(k) for k, n in enumerate(t.shape))

    picked = from_front(load(1, int64, here(index)))
    place = here(x)
    formula = Formula("gather", x.ndim, (Output(load(0, x.dtype, (*place[:d], picked, *place[d + 1 :]))),))
    size = x.shape[d]

    def fail(status: int, x: Tensor, index: Tensor) -> NoReturn:
        raise_outside("take_along_dim", index, d, size, RuntimeError, -size)

    return differentiable_plan(formula, (x, index), shape, [dense(shape, x.dtype)], fail=fail, given={"size": size})


_takes_along = PlanTable(_take_along_plan)


@both
def take_along_dim(
    input: Tensor, indices: Tensor, dim: int | None = None, *, out: Tensor | None = None, axis: int | None = None
) -> Tensor:
    """``out[i,j] = input[i, indices[i,j]]`` along ``dim``, broadcast in the other dimensions; negative indices count
    from the end. Without ``dim`` both are flattened. It takes what ``argsort`` and ``argmax(keepdim=True)`` give.

    Raises:
        RuntimeError: an index outside the dimension, indices that are not int64, shapes that do not broadcast.
    """
    require_tensor("take_along_dim", input)
    require_tensor("take_along_dim", indices, "indices", 2)
    dim = dim if axis is None else axis
    if dim is None:
        input, indices, dim = input.reshape(-1), indices.reshape(-1), 0
    result = _takes_along[input.layout, indices.layout, dim](input, indices)
    return result if out is None else deliver_same(result, out, "take_along_dim", input)


# -- along one dimension, an index per slice --------------------------------------------------------------------------


def _index_select_plan(x: Layout, dim: int, index: Layout) -> Plan:
    d = wrap_dim("index_select", dim, x.ndim)
    if index.ndim > 1:
        raise IndexError(
            f"index_select(): Index is supposed to be a vector, but its shape is {shape_text(index.shape)}; "
            "flatten() it, or use gather for an index per cell"
        )
    if index.dtype not in INDEX_DTYPES:
        raise RuntimeError(
            f"index_select(): Expected dtype int32 or int64 for index, but got {index.dtype}; convert it by .long()"
        )
    if x.ndim == 0:
        if index.numel != 1:
            raise RuntimeError(f"index_select(): Index to scalar can have only 1 value, got {index.numel} value(s)")
        return lambda t, own: index_select(t.reshape(1), 0, own).reshape(())
    if index.ndim == 0:
        return lambda t, own: index_select(t, d, own.reshape(1))
    if x.shape[d] == 0 and index.numel:
        raise RuntimeError(
            f"index_select(): self indexing axis dim should be positive: nothing can be picked from dimension {d} of "
            f"{shape_text(x.shape)}"
        )
    here = tuple(axis(k) for k in range(x.ndim))
    picked = load(1, index.dtype, (axis(d),)).cast(int64)
    shape = (*x.shape[:d], index.shape[0], *x.shape[d + 1 :])
    formula = Formula("index_select", x.ndim, (Output(load(0, x.dtype, (*here[:d], picked, *here[d + 1 :]))),))

    def fail(status: int, x: Tensor, index: Tensor) -> NoReturn:
        raise_outside("index_select", index, d, x.layout.shape[d], IndexError)

    plan = differentiable_plan(formula, (x, index), shape, [dense(shape, x.dtype)], fail=fail)
    if index.numel and not prod(shape):
        check = Bounds("index_select", d, x.shape[d], RuntimeError).checker(index)

        def checked(t: Tensor, own: Tensor) -> Tensor:
            check(own)
            return plan(t, own)

        return checked
    return plan


_index_selects = PlanTable(_index_select_plan)


@both
def index_select(
    input: Tensor, dim: Any = None, index: Any = None, *, out: Tensor | None = None, axis: Any = None
) -> Tensor:
    """Pick slices along one dimension: ``out[i,p,k] = input[i, index[p], k]`` (here ``dim=1``).

    Raises:
        IndexError: an index outside the dimension (negative ones too), an index of more than one dimension.
        RuntimeError: an index that is not int32 or int64.
    """
    dim = dim if axis is None else axis
    try:
        result = _index_selects[input.layout, dim, index.layout](input, index)
    except AttributeError:
        require_tensor("index_select", input)
        require_tensor("index_select", index, "index", 3)
        raise
    return result if out is None else deliver_same(result, out, "index_select", input, index)


# -- by number of the cell --------------------------------------------------------------------------------------------


def flat_coordinates(index: Expr, shape: tuple[int, ...]) -> tuple[tuple[Expr, ...], dict[str, int | float]]:
    """Where the cell of this number (in row-major order; negative: from the end) lies, and the numbers that a plan
    must give. A number outside of the tensor gives a coordinate outside."""
    numbers: dict[str, int | float] = {"size": prod(shape)}
    index = from_front(index)
    if len(shape) == 1:
        return (index,), numbers
    coords: list[Expr] = []
    for d in range(len(shape)):
        numbers[f"step{d}"] = prod(shape[d + 1 :])
        numbers[f"size{d}"] = shape[d]
        own = index if d == len(shape) - 1 else index / given(f"step{d}")
        coords.append(own if d == 0 else own % given(f"size{d}"))
    return tuple(coords), numbers


class Reshaped(DerivedRule):
    """The rule of a formula whose first operand was seen with another shape than it has."""

    shape: tuple[int, ...]

    def backward(self, node: Node, grads: list[Any]) -> Any:
        first, *others = super().backward(node, grads)
        return [None if first is None else first.reshape(self.shape), *others]


def require_long(operator: str, index: Layout) -> None:
    if index.dtype is not int64:
        raise RuntimeError(
            f"{operator}(): Expected a long tensor for index, but got {index.dtype.scalar_name}; convert it by .long()"
        )


def raise_outside_cells(operator: str, index: Tensor, cells: int) -> NoReturn:
    """Name the first index that is not the number of a cell."""
    values = array_of(index)
    at = tuple(int(i) for i in np.argwhere((values < -cells) | (values >= cells))[0])
    raise IndexError(
        f"{operator}(): out of range: tried to access index {int(values[at])} on a tensor of {cells} elements "
        f"(found at position {at} of the index)"
    )


def _take_plan(x: Layout, index: Layout) -> Plan:
    require_long("take", index)
    if x.numel == 0 and index.numel:
        raise IndexError(f"take(): tried to take from an empty tensor: its shape is {shape_text(x.shape)}")
    if not x.contiguous and 4 * index.numel > x.numel:
        return lambda t, own: take(t.contiguous(), own)
    seen = dense((x.numel,), x.dtype) if x.contiguous else x
    coords, numbers = flat_coordinates(load(1, int64), seen.shape)
    formula = Formula("take", index.ndim, (Output(load(0, x.dtype, coords)),))
    result, shape = dense(index.shape, x.dtype), tuple(index.shape)

    def fail(status: int, t: Tensor, index: Tensor) -> NoReturn:
        raise_outside_cells("take", index, x.numel)

    record = None
    if x.dtype.is_floating_point or x.dtype.is_complex:
        rule = Reshaped(formula, (seen, index), shape, numbers, None)
        rule.shape = tuple(x.shape)
        record = recorder(rule, [result], (x, index))
    return kernel_plan(formula, (seen, index), shape, [result], record=record, fail=fail, given=numbers)


_takes = PlanTable(_take_plan)


@both
def take(input: Tensor, index: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Pick cells by their number in row-major order: ``out[p..] = input.flatten()[index[p..]]``.

    ``index`` has any shape, which the result takes; a negative one counts from the end.

    Raises:
        IndexError: an index outside of the tensor.
        RuntimeError: an index that is not int64.
    """
    try:
        result = _takes[input.layout, index.layout](input, index)
    except AttributeError:
        require_tensor("take", input)
        require_tensor("take", index, "index", 2)
        raise
    return result if out is None else deliver_same(result, out, "take", input, index)
