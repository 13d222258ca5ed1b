"""Writing whole slices by index.

    index_add     out = x;  out[i, index[p], k] += alpha * source[i,p,k]       (dim 1)
    index_copy    out = x;  out[i, index[p], k]  = source[i,p,k]
    index_fill    out = x;  out[i, index[p], k]  = value

Slices are written in the order of the index, as in ``scattering.py``.
"""

from __future__ import annotations

import warnings
from typing import Any

from pellucid.dtypes import DType, bfloat16, bool_, float16, float32, float64, int32, int64
from pellucid.errors import shape_text
from pellucid.formula.expr import Expr, axis, const, given, load
from pellucid.formula.formula import Scatter
from pellucid.layout import Layout, like
from pellucid.operators.arguments import require_tensor
from pellucid.operators.copying import require_value_fits
from pellucid.operators.define import both, key_of, method, wrap_dim
from pellucid.operators.indexing import Bounds, deliver_same, from_front
from pellucid.operators.reducing_writes import OPS, Reduction
from pellucid.operators.writing import OneCell, Write, WriteRule, merging, number_expr, number_operand
from pellucid.plan import Operand, PlanTable
from pellucid.tensor import Tensor

# -- plans ------------------------------------------------------------------------------------------------------------

_NODE_NAMES = {"index_add": "IndexAddBackward0", "index_copy": "IndexCopyBackward0"}


class Slices:
    """Slice p of the value goes to slice ``index[p]`` of dimension ``d``."""

    def __init__(self, d: int, operator: str = "index_copy") -> None:
        self.d, self.operator = d, operator

    def pick(self, t: Any, index: Any) -> Any:
        return t.index_select(self.d, index)

    def _plan(self, t: Any, index: Any, value: Any, op: str | None) -> Any:
        operator = self.operator if op is None else "index_add"
        return _writes[operator, op, t.layout, self.d, index.layout, key_of(value), 1, int]

    def write(self, t: Any, index: Any, value: Any, op: str | None) -> Any:
        return self._plan(t, index, value, op).fresh(t, index, value)

    def run(self, t: Any, index: Any, value: Any, op: str | None) -> None:
        self._plan(t, index, value, op).run(t, index, value)

    def reduce(self, t: Any, index: Any, source: Any, reduce: str, include_self: bool) -> Any:
        return index_reduce(t, self.d, index, source, reduce, include_self=include_self)

    def used(self, source: Any, index: Any) -> Any:
        return source


class Filled(Slices):
    """One value goes to all the slices that the index names, which may be negative; a slice named twice counts once."""

    def pick(self, t: Any, index: Any) -> Any:
        size = t.layout.shape[self.d]
        return t.index_select(self.d, index.remainder(size).unique())


def _plan(
    operator: str, op: str | None, x: Layout, dim: int, index: Layout, source: Operand, alpha: float, kind: type
) -> Any:
    d = wrap_dim(operator, dim, x.ndim)
    if isinstance(source, Layout) and operator != "index_fill":
        _CHECKS.get(operator, _require_fit)(operator, x, d, index, source)
    filling = operator == "index_fill"
    if x.ndim == 0 or index.ndim == 0 or (isinstance(source, Layout) and source.ndim == 0 and not filling):
        again = lambda *t: _writes[operator, op, t[0].layout, d, t[1].layout, key_of(t[2]), alpha, kind]  # noqa: E731
        return OneCell(again)
    shape = (*x.shape[:d], index.shape[0], *x.shape[d + 1 :])
    here = tuple(axis(k) for k in range(x.ndim))
    picked = load(1, index.dtype, (axis(d),)).cast(int64)
    numbers: dict[str, int | float] = {"size": x.shape[d]} if filling else {}
    target = (*here[:d], from_front(picked) if filling else picked, *here[d + 1 :])
    manner = Filled(d, operator) if filling else Slices(d)
    name = _NODE_NAMES.get(operator, f"IndexFillBackward{int(isinstance(source, Layout))}")
    value = _value(x.dtype, source, (const(0, int64),) * x.ndim if filling else here)
    if alpha != 1 or kind is bool:
        numbers["alpha"] = alpha
        value = _scaled(value, float64 if kind is float else int64)
    error = RuntimeError if operator == "index_add" and x.ndim > 1 else IndexError
    bounds = Bounds(operator, d, x.shape[d], error, filling)
    formula = Scatter(operator, x.ndim, target, value, merging(op, x.dtype))
    result = like(x) if filling else None
    rule = WriteRule(name, manner, op, source, alpha)
    write = Write(bounds, x, index, source, formula, shape, rule, result=result, given=numbers)
    if filling and write.overlaps:
        write.overlaps = False  # one value for all may be written several times
        warnings.warn(
            "Use of index_fill_ on expanded tensors is deprecated. Please clone() the tensor before performing this "
            "operation. This also applies to advanced indexing e.g. tensor[mask] = scalar",
            UserWarning,
            stacklevel=5,
        )
    return write


_writes: dict[Any, Any] = PlanTable(_plan)


def _value(dtype: DType, source: Operand, here: tuple[Expr, ...]) -> Expr:
    """What is written, in the dtype of the tensor."""
    if not isinstance(source, Layout):
        return number_expr(source, dtype)
    return load(0, source.dtype, here[: source.ndim]).cast(dtype)


def _scaled(value: Expr, kind: DType) -> Expr:
    """``alpha * value``; alpha is converted to the value's dtype first, as PyTorch does."""
    dtype = value.dtype
    if dtype is bool_:
        return value & given("alpha", kind).cast(bool_)
    wide = float32 if dtype in (float16, bfloat16) else dtype
    return (value.cast(wide) * given("alpha", kind).cast(wide)).cast(dtype)


def _require_vector(operator: str, index: Layout, kind: type[Exception], dtypes: tuple[DType, ...]) -> None:
    if index.ndim > 1:
        raise kind(
            f"{operator}(): Index is supposed to be a vector, but got dim: {index.ndim} with type: "
            f"{index.dtype.scalar_name} and size: {list(index.shape)}; flatten() it"
        )
    if index.dtype not in dtypes:
        wanted = "int32/int64" if len(dtypes) > 1 else "int64"
        error = IndexError if operator.startswith("index_fill") else RuntimeError
        raise error(f"{operator}(): Expected dtype {wanted} for index but got: {index.dtype.scalar_name}; use .long()")


def _require_fit(operator: str, x: Layout, d: int, index: Layout, source: Layout) -> None:
    """Raises unless the source is ``x`` with another size of dimension ``d``: that of the index."""
    _require_vector(operator, index, IndexError, (int64, int32))
    if source.dtype is not x.dtype:
        raise RuntimeError(
            f"{operator}(): self ({x.dtype.scalar_name}) and source ({source.dtype.scalar_name}) must have the same "
            f"scalar type; convert the source by .to({x.dtype!r})"
        )
    given_slices = source.shape[d] if source.ndim > d else 1
    if index.numel != given_slices:
        raise RuntimeError(
            f"{operator}(): Number of indices ({index.numel}) should be equal to source.size(dim): "
            f"({given_slices}), for dim: {d}"
        )
    apart = [tuple(n for k, n in enumerate(t.shape) if k != d) for t in (x, source)]
    if x.ndim != source.ndim or apart[0] != apart[1]:
        raise RuntimeError(
            f"{operator}(): source tensor shape must match self tensor shape, excluding the specified dimension. Got "
            f"self.shape = {list(x.shape)} source.shape = {list(source.shape)}"
        )
    if x.ndim == 0 and index.numel != 1:
        raise RuntimeError(f"{operator}(): a tensor without dimensions takes one index, got {index.numel}")


def _require_copy(operator: str, x: Layout, d: int, index: Layout, source: Layout) -> None:
    """Raises unless the source is ``x`` with another size of dimension ``d``: that of the index."""
    _require_vector(operator, index, IndexError, (int64,))
    if source.dtype is not x.dtype:
        raise RuntimeError(
            f"{operator}(): self and source expected to have the same dtype, but got (self) {x.dtype.scalar_name} and "
            f"(source) {source.dtype.scalar_name}"
        )
    if source.ndim == 0 and index.numel != 1:
        raise IndexError(f"{operator}(): When source is scalar, index should have one element (got {index.numel})")
    if source.ndim != x.ndim and source.ndim != 0 and x.ndim != 0:
        raise IndexError(
            f"{operator}(): When source and destination are not scalars, their dimensionality must match. Source "
            f"dimensionality ({source.ndim}), destination dimensionality ({x.ndim})"
        )
    apart = [tuple(n for k, n in enumerate(t.shape) if k != d) for t in (x, source)]
    if apart[0] != apart[1]:
        raise RuntimeError(
            f"{operator}(): Source/destination tensor must have same slice shapes. Destination slice shape: "
            f"{shape_text(apart[0])} at dimension {d} and source slice shape: {shape_text(apart[1])} at dimension {d}."
        )
    if source.ndim and index.numel != source.shape[d]:
        raise IndexError(
            f"{operator}(): Number of indices ({index.numel}) should be equal to source.size(dim) ({source.shape[d]})"
        )


_CHECKS = {"index_copy": _require_copy}


def _require_tensors(operator: str, input: Any, index: Any, source: Any) -> None:
    require_tensor(operator, input)
    require_tensor(operator, index, "index", 3)
    require_tensor(operator, source, "source", 4)


# -- index_add --------------------------------------------------------------------------------------------------------


def _adding(operator: str, input: Any, dim: int, index: Any, source: Any, alpha: Any) -> Any:
    try:
        return _writes["index_add", "sum", input.layout, dim, index.layout, source.layout, alpha, type(alpha)]
    except AttributeError:
        _require_tensors(operator, input, index, source)
        raise


@both
def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1, out: Tensor | None = None
) -> Tensor:
    """A copy of ``input`` with ``out[i, index[p], k] += alpha * source[i,p,k]`` (here ``dim=1``), added in order.

    Raises:
        RuntimeError: an index outside the dimension (negative ones too), unfit shapes or dtypes.
        IndexError: an index of more than one dimension.
    """
    result = _adding("index_add", input, dim, index, source, alpha).fresh(input, index, source)
    return result if out is None else deliver_same(result, out, "index_add", index, source)


@method
def index_add_(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """In-place form of `index_add`; nothing is written if an index is outside."""
    return _adding("index_add_", input, dim, index, source, alpha).into(input, index, source)


# -- index_copy -------------------------------------------------------------------------------------------------------


def _copying(operator: str, input: Any, dim: int, index: Any, source: Any) -> Any:
    _require_tensors(operator, input, index, source)
    return _writes["index_copy", None, input.layout, dim, index.layout, source.layout, 1, int]


@both
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor, *, out: Tensor | None = None) -> Tensor:
    """A copy of ``input`` with ``out[i, index[p], k] = source[i,p,k]`` (here ``dim=1``); the last write stays.

    Raises:
        IndexError: an index outside the dimension (negative ones too), or not as many as slices.
        RuntimeError: unfit shapes or dtypes.
    """
    result = _copying("index_copy", input, dim, index, source).fresh(input, index, source)
    return result if out is None else deliver_same(result, out, "index_copy", index, source)


@method
def index_copy_(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """In-place form of `index_copy`; nothing is written if an index is outside."""
    return _copying("index_copy_", input, dim, index, source).into(input, index, source)


# -- index_fill -------------------------------------------------------------------------------------------------------


def _filling(operator: str, input: Any, dim: int, index: Any, value: Any) -> tuple[Any, Any]:
    _require_tensors(operator, input, index, input)
    _require_vector(operator, index.layout, RuntimeError, (int64,))
    if isinstance(value, Tensor):
        if value.layout.ndim:
            raise RuntimeError(
                f"{operator}() only supports a 0-dimensional value tensor, but got tensor with {value.layout.ndim} "
                "dimension(s): use index_copy for one value per slice"
            )
        if value.layout.dtype.is_complex and not input.layout.dtype.is_complex:
            raise RuntimeError(f"{operator}(): Converting complex Scalar to non-complex type is not supported")
        require_value_fits(value, input.layout.dtype, operator)
    else:
        value = number_operand(value, input.layout.dtype, operator, ())
    return _writes["index_fill", None, input.layout, dim, index.layout, key_of(value), 1, int], value


@both
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy of ``input`` with ``out[i, index[p], k] = value`` (here ``dim=1``), a number or a tensor without
    dimensions; a negative index counts from the end.

    Raises:
        IndexError: an index outside the dimension, or not int64.
        RuntimeError: a value with dimensions, or one that the dtype cannot hold.
    """
    plan, value = _filling("index_fill", input, dim, index, value)
    return plan.fresh(input, index, value)


@method
def index_fill_(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """In-place form of `index_fill`; nothing is written if an index is outside."""
    plan, value = _filling("index_fill_", input, dim, index, value)
    return plan.into(input, index, value)


# -- index_reduce -----------------------------------------------------------------------------------------------------


def _reduction_plan(x: Layout, dim: int, index: Layout, source: Layout, reduce: str, include_self: bool) -> Any:
    if reduce not in OPS or reduce == "sum":
        raise RuntimeError(f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}.")
    d = wrap_dim("index_reduce", dim, x.ndim)
    write = _writes["index_reduce", OPS[reduce], x, dim, index, source, 1, int]
    kernel = {"mean": "div_floor_cpu", "amax": "maximum_cpu", "amin": "minimum_cpu"}.get(reduce, "index_reduce")
    return Reduction("index_reduce", "IndexReduceBackward0", kernel, Slices(d), write, x, index, source, reduce, include_self)


_reductions: dict[Any, Any] = PlanTable(_reduction_plan)


def _reduction(operator: str, input: Any, dim: int, index: Any, source: Any, reduce: str, include_self: bool) -> Any:
    _require_tensors(operator, input, index, source)
    return _reductions[input.layout, dim, index.layout, source.layout, reduce, include_self]


@both
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """A copy of ``input`` in which the slices of ``source`` with one index are reduced to the slice that it names.

    Args:
        reduce: "prod", "mean", "amax" or "amin" (for sums see `index_add`).
        include_self: the former slice takes part.

    Raises:
        IndexError: an index outside the dimension (negative ones too).
        RuntimeError: unfit shapes or dtypes, another ``reduce``.
    """
    result = _reduction("index_reduce", input, dim, index, source, reduce, include_self).fresh(input, index, source)
    return result if out is None else deliver_same(result, out, "index_reduce", index, source)


@method
def index_reduce_(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """In-place form of `index_reduce`; nothing is written if an index is outside."""
    plan = _reduction("index_reduce_", input, dim, index, source, reduce, include_self)
    return plan.into(input, index, source)
