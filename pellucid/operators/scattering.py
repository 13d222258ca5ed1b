"""Writing cells by index: the coordinates of what is written are read from a tensor.

    scatter           out = x;  out[i, index[i,j,k], k]  = src[i,j,k]          (dim 1)
    scatter_add       out = x;  out[i, index[i,j,k], k] += src[i,j,k]

Cells are written in ascending order of ``src``: where an index occurs twice, sums do not depend on the number of
threads, and of several writes the last one stays. The in-place forms look at every index before they write.
"""

from __future__ import annotations

from typing import Any

from pellucid.dtypes import int64
from pellucid.errors import shape_text
from pellucid.formula.expr import axis, load
from pellucid.formula.formula import Scatter
from pellucid.layout import Layout
from pellucid.operators.arguments import require_tensor
from pellucid.operators.define import both, key_of, method, wrap_dim
from pellucid.operators.indexing import Bounds, deliver_same, require_index
from pellucid.operators.reducing_writes import OPS, Reduction
from pellucid.operators.writing import (
    OneCell,
    Unchanged,
    UnknownRule,
    Write,
    WriteRule,
    merging,
    number_expr,
    number_operand,
)
from pellucid.plan import Operand, PlanTable
from pellucid.tensor import Tensor

# -- plans ------------------------------------------------------------------------------------------------------------


class Cells:
    """Each cell of the value goes to its own place, but for dimension ``d``, where the index says."""

    def __init__(self, d: int) -> None:
        self.d = d

    def pick(self, t: Any, index: Any) -> Any:
        return t.gather(self.d, index)

    def write(self, t: Any, index: Any, value: Any, op: str | None) -> Any:
        return _writes["scatter", op, t.layout, self.d, index.layout, key_of(value)].fresh(t, index, value)

    def run(self, t: Any, index: Any, value: Any, op: str | None) -> None:
        _writes["scatter", op, t.layout, self.d, index.layout, key_of(value)].run(t, index, value)

    def reduce(self, t: Any, index: Any, source: Any, reduce: str, include_self: bool) -> Any:
        return scatter_reduce(t, self.d, index, source, reduce, include_self=include_self)

    def used(self, source: Any, index: Any) -> Any:
        shape = index.layout.shape
        return source if source.layout.shape == shape else source[tuple(slice(0, n) for n in shape)]


def _plan(operator: str, op: str | None, x: Layout, dim: int, index: Layout, source: Operand) -> Any:
    d = wrap_dim(operator, dim, x.ndim)
    _require_fit(operator, x, d, index, source)
    manner = Cells(d)
    if index.numel == 0:
        return Unchanged()
    if index.ndim == 0 or x.ndim == 0 or (isinstance(source, Layout) and source.ndim == 0):
        return OneCell(lambda *t: _writes[operator, op, t[0].layout, 0, t[1].layout, key_of(t[2])])
    here = tuple(axis(k) for k in range(index.ndim))
    target = (*here[:d], load(1, index.dtype, here).cast(int64), *here[d + 1 :])
    value = load(0, source.dtype, here) if isinstance(source, Layout) else number_expr(source, x.dtype)
    name = "ScatterAddBackward0" if op == "sum" else f"ScatterBackward{int(not isinstance(source, Layout))}"
    known = operator != "scatter(reduce=)"
    rule = WriteRule(name, manner, op, source) if known else UnknownRule("scatter with reduce=")
    formula = Scatter(operator, index.ndim, target, value, merging(op, x.dtype))
    bounds = Bounds(operator, d, x.shape[d], RuntimeError)
    return Write(bounds, x, index, source, formula, tuple(index.shape), rule)


_writes: dict[Any, Any] = PlanTable(_plan)


def _require_fit(operator: str, x: Layout, d: int, index: Layout, source: Operand) -> None:
    """Raises RuntimeError unless an index of this layout can say where the source's cells go."""
    if isinstance(source, Layout) and source.dtype is not x.dtype:
        raise RuntimeError(
            f"{operator}(): Expected self.dtype to be equal to src.dtype, but got {x.dtype} and {source.dtype}; "
            f"convert src by .to({x.dtype!r})"
        )
    require_index(operator, index)
    if index.numel == 0:
        return
    shapes = {"self": x.shape} | ({"src": source.shape} if isinstance(source, Layout) else {})
    for name, shape in shapes.items():
        if max(len(shape), 1) != max(index.ndim, 1):
            raise RuntimeError(
                f"{operator}(): Index tensor must have the same number of dimensions as {name} tensor: index is "
                f"{shape_text(index.shape)}, {name} {shape_text(shape)}"
            )
        limits = shape or (1,)
        if any(n > limits[k] for k, n in enumerate(index.shape) if name == "src" or k != d):
            also = f" and to be no larger size than src {list(shapes['src'])}" if "src" in shapes else ""
            raise RuntimeError(
                f"{operator}(): Expected index {list(index.shape)} to be no larger than self {list(x.shape)} apart "
                f"from dimension {d}{also}"
            )


# -- scatter ----------------------------------------------------------------------------------------------------------

_REDUCES = {"add": "sum", "multiply": "prod"}


def _prepared(operator: str, x: Any, dim: int, index: Any, src: Any, value: Any, reduce: str | None) -> tuple[Any, Any]:
    """The plan and its source, from what was passed."""
    if type(src) is Tensor is type(index) is type(x) and reduce is None:
        return _writes["scatter", None, x.layout, dim, index.layout, src.layout], src
    require_tensor(operator, x)
    require_tensor(operator, index, "index", 3)
    if src is None and value is None:
        raise TypeError(f"{operator}(): missing argument: what to write, src (a tensor) or value (a number)")
    source = value if src is None else src
    if not isinstance(source, Tensor):
        source = number_operand(source, x.layout.dtype, operator, index.layout.shape)
    if reduce is not None and reduce not in _REDUCES:
        raise RuntimeError(f"{operator}(): reduce argument must be either add or multiply, not {reduce!r}")
    name = "scatter" if reduce is None else "scatter(reduce=)"
    op = None if reduce is None else _REDUCES[reduce]
    return _writes[name, op, x.layout, dim, index.layout, key_of(source)], source


@both
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """A copy of ``input`` with ``out[i, index[i,j,k], k] = src[i,j,k]`` (here ``dim=1``); ``src`` is a tensor, or one
    number for all. Of several writes to a cell the last one stays. ``reduce``: "add" or "multiply" instead.

    Raises:
        RuntimeError: an index outside the dimension, unfit shapes or dtypes.
    """
    plan, source = _prepared("scatter", input, dim, index, src, value, reduce)
    result = plan.fresh(input, index, source)
    return result if out is None else deliver_same(result, out, "scatter", index, source)


@method
def scatter_(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """In-place form of `scatter`; nothing is written if an index is outside."""
    plan, source = _prepared("scatter_", input, dim, index, src, value, reduce)
    return plan.into(input, index, source)


@both
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor, *, out: Tensor | None = None) -> Tensor:
    """A copy of ``input`` with ``out[i, index[i,j,k], k] += src[i,j,k]`` (here ``dim=1``), added in ascending order.

    Raises:
        RuntimeError: an index outside the dimension, unfit shapes or dtypes.
    """
    try:
        plan = _writes["scatter_add", "sum", input.layout, dim, index.layout, src.layout]
    except AttributeError:
        _require_tensors("scatter_add", input, index, src)
        raise
    result = plan.fresh(input, index, src)
    return result if out is None else deliver_same(result, out, "scatter_add", index, src)


@method
def scatter_add_(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """In-place form of `scatter_add`; nothing is written if an index is outside."""
    try:
        plan = _writes["scatter_add", "sum", input.layout, dim, index.layout, src.layout]
    except AttributeError:
        _require_tensors("scatter_add_", input, index, src)
        raise
    return plan.into(input, index, src)


def _require_tensors(operator: str, input: Any, index: Any, src: Any) -> None:
    require_tensor(operator, input)
    require_tensor(operator, index, "index", 3)
    require_tensor(operator, src, "src", 4)


# -- scatter_reduce ---------------------------------------------------------------------------------------------------


def _reduction_plan(x: Layout, dim: int, index: Layout, src: Layout, reduce: str, include_self: bool) -> Any:
    if reduce not in OPS:
        raise RuntimeError(
            f"scatter_reduce(): reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    d = wrap_dim("scatter_reduce", dim, x.ndim)
    write = _writes["scatter_reduce", OPS[reduce], x, dim, index, src]
    kernel = f"scatter_gather_tensor_cpu_reduce_{reduce}"
    return Reduction("scatter_reduce", "ScatterReduceBackward0", kernel, Cells(d), write, x, index, src, reduce, include_self)


_reductions: dict[Any, Any] = PlanTable(_reduction_plan)


def _reduction(input: Any, dim: int, index: Any, src: Any, reduce: str, include_self: bool) -> Any:
    _require_tensors("scatter_reduce", input, index, src)
    return _reductions[input.layout, dim, index.layout, src.layout, reduce, include_self]


@both
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """A copy of ``input`` in which the cells of ``src`` that go to one cell (as in `scatter`) are reduced to it.

    Args:
        reduce: "sum", "prod", "mean", "amax" or "amin".
        include_self: the former value of a cell takes part.

    Raises:
        RuntimeError: an index outside the dimension, unfit shapes or dtypes, another ``reduce``.
    """
    result = _reduction(input, dim, index, src, reduce, include_self).fresh(input, index, src)
    return result if out is None else deliver_same(result, out, "scatter_reduce", index, src)


@method
def scatter_reduce_(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """In-place form of `scatter_reduce`; nothing is written if an index is outside."""
    return _reduction(input, dim, index, src, reduce, include_self).into(input, index, src)
