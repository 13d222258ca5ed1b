"""Embeddings: rows of a table by number.

    out[p.., k] = weight[index[p..], k]           backward:  weight.grad[index[p..], k] += grad[p.., k]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from pellucid.autograd.derived import differentiable_plan
from pellucid.autograd.graph import Node, recorder
from pellucid.dtypes import int64
from pellucid.errors import shape_text
from pellucid.formula.expr import axis, given, load, select
from pellucid.formula.formula import Formula, Output, Scatter, folding
from pellucid.layout import Layout, dense
from pellucid.operators.arguments import require_tensor
from pellucid.operators.define import public
from pellucid.operators.indexing import INDEX_DTYPES, Bounds, raise_outside
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.runtime import native
from pellucid.tensor import Tensor

# -- rows -------------------------------------------------------------------------------------------------------------


def _lookup_plan(weight: Layout, index: Layout, padding: int, by_frequency: bool) -> Plan:
    if weight.ndim != 2:
        raise RuntimeError(f"embedding(): 'weight' must be 2-D, but its shape is {shape_text(weight.shape)}")
    if index.dtype not in INDEX_DTYPES:
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"{index.dtype.scalar_name} instead (while checking arguments for embedding): use .long()"
        )
    rank = index.ndim
    picked = load(1, index.dtype, tuple(axis(k) for k in range(rank))).cast(int64)
    formula = Formula("embedding", rank + 1, (Output(load(0, weight.dtype, (picked, axis(rank)))),))
    shape = (*index.shape, weight.shape[1])
    result = dense(shape, weight.dtype)

    def fail(status: int, weight: Tensor, index: Tensor) -> NoReturn:
        raise_outside("embedding: index out of range in self: embedding", index, 0, weight.layout.shape[0], IndexError)

    record = None
    if weight.dtype.is_floating_point or weight.dtype.is_complex:
        rule = EmbeddingRule(tuple(weight.shape), padding, by_frequency)
        record = recorder(rule, [result], (weight, index))
    return kernel_plan(formula, (weight, index), shape, [result], record=record, fail=fail)


_lookups = PlanTable(_lookup_plan)


def _spread_plan(g: Layout, index: Layout, rows: int, padding: int) -> Plan:
    """``out[index[p..], k] += g[p.., k]`` but for the padding row."""
    rank = index.ndim
    row = load(1, index.dtype, tuple(axis(k) for k in range(rank))).cast(int64)
    value = load(0, g.dtype, tuple(axis(k) for k in range(rank + 1)))
    numbers: dict[str, int | float] = {}
    if padding >= 0:
        value = select(row.equals(given("padding")), 0.0, value)
        numbers["padding"] = padding
    formula = Scatter("embedding_backward", rank + 1, (row, axis(rank)), value, folding("sum", g.dtype))
    result = dense((rows, g.shape[-1]), g.dtype)
    return differentiable_plan(formula, (g, index), tuple(g.shape), [result], given=numbers)


_spreads = PlanTable(_spread_plan)


class EmbeddingRule:
    """The gradient goes to the rows that were read; ``by_frequency``: divided by how often each was."""

    name = "EmbeddingBackward0"

    def __init__(self, shape: tuple[int, ...], padding: int, by_frequency: bool) -> None:
        self.shape, self.padding, self.by_frequency = shape, padding, by_frequency

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return (2,)

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        (index,), g = node.values(), grads[0]
        if self.by_frequency:
            times = index.reshape(-1).bincount(minlength=self.shape[0])
            g = g / times.take(index.long()).unsqueeze(-1).to(g.dtype)
        return _spreads[g.layout, index.layout, self.shape[0], self.padding](g, index), None


def _look_up(weight: Any, indices: Any, padding_idx: int, scale_grad_by_freq: bool, sparse: bool) -> Tensor:
    try:
        plan = _lookups[weight.layout, indices.layout, padding_idx, scale_grad_by_freq]
    except AttributeError:
        require_tensor("embedding", weight, "weight")
        require_tensor("embedding", indices, "indices", 2)
        raise
    if sparse and weight.tracked and native.grad_enabled():
        raise NotImplementedError(
            "embedding(): sparse gradients do not exist in Pellucid; leave sparse=True away, the dense gradient has the "
            "same values"
        )
    return plan(weight, indices)


def _table_rows(
    weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Tensor:
    """``out[p.., k] = weight[indices[p..], k]``; see `embedding`, of which this is the plain form."""
    return _look_up(weight, indices, padding_idx, bool(scale_grad_by_freq), sparse)


public(_table_rows, "embedding")

# -- nn.functional ----------------------------------------------------------------------------------------------------


def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """Rows of a table: ``out[p.., k] = weight[input[p..], k]``.

    Args:
        input: row numbers, int32 or int64, of any shape.
        weight: the table, a matrix.
        padding_idx: this row gets no gradient; a negative number counts from the end.
        max_norm: rows that are used and whose norm (of order ``norm_type``) is larger are scaled down, in ``weight``.
        scale_grad_by_freq: a row's gradient is divided by how often it was used.

    Raises:
        IndexError: a row that does not exist (negative numbers too); RuntimeError: ``weight`` is not a matrix;
        AssertionError: ``padding_idx`` is not a row.
    """
    require_tensor("embedding", weight, "weight", 2)
    require_tensor("embedding", input)
    padding = -1
    if padding_idx is not None:
        rows = weight.layout.shape[0]
        if not -rows <= padding_idx < rows:
            raise AssertionError(f"embedding(): Padding_idx must be within num_embeddings: {padding_idx} of {rows} rows")
        padding = padding_idx % rows
    if max_norm is not None:
        _limit_rows(weight, input, max_norm, norm_type)
    return _look_up(weight, input, padding, bool(scale_grad_by_freq), sparse)


def _limit_rows(weight: Any, index: Any, most: float, order: float) -> None:
    """Scale down the rows that are used and too long, without a trace."""
    Bounds("embedding", 0, weight.layout.shape[0], IndexError).checker(index.layout)(index)
    before = native.set_grad_enabled(False)
    try:
        used = index.reshape(-1).unique()
        rows = weight.index_select(0, used)
        norms = rows.norm(order, 1, True)
        scaled = rows * (most / (norms + 1e-7))
        weight.index_copy_(0, used.long(), scaled.where(norms > most, rows))
    finally:
        native.set_grad_enabled(before)
