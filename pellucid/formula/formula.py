"""Formulas: how the cells of an operator's results come about.

A formula has ``rank`` outer axes (0 .. rank-1) and ``row`` row axes (rank .. rank+row-1). For every cell of the
outer axes its stages run over the row axes, one after the other, each seeing the values of the stages before:

    softmax:   m = fold max x[i,j];   s = fold sum exp(x[i,j] - m);   out[i,j] = exp(x[i,j] - m) / s

A pointwise formula or a gather has no row axes and no stages; a sum has one stage and a result per outer cell; a
softmax has two stages and a result per cell of the row. A scan writes what its fold holds after every step. A
``Scatter`` is the transpose of a gather: it runs over the cells of its source and adds to computed places.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from pellucid.dtypes import DType, bfloat16, bool_, float16, float32, int64
from pellucid.formula.expr import Expr, const, is_nan, node, rewrite, select, state, walk


@dataclass(frozen=True)
class Reducer:
    """An associative, commutative way to merge two states: ``merge(a, b)`` and what changes nothing, ``identity``.

    States are tuples, so that a maximum can carry its position. ``blocked`` says that the order of merging matters
    for rounding: long rows are merged block by block (error growth O(log n) instead of O(n)).
    """

    name: str
    identity: tuple[Expr, ...]
    merged: tuple[Expr, ...]
    blocked: bool = False

    @property
    def dtypes(self) -> tuple[DType, ...]:
        return tuple(e.dtype for e in self.identity)


def left(k: int, dtype: DType) -> Expr:
    """Component k of the first state that a reducer merges."""
    return node("left", (), dtype, k)


def right(k: int, dtype: DType) -> Expr:
    """Component k of the second state that a reducer merges."""
    return node("right", (), dtype, k)


def lowest(dtype: DType) -> Expr:
    """The value that no element of the dtype is below."""
    if dtype.is_floating_point:
        return const(float("-inf"), dtype)
    return const(False, dtype) if dtype is bool_ else const(int_limits(dtype)[0], dtype)


def highest(dtype: DType) -> Expr:
    """The value that no element of the dtype is above."""
    if dtype.is_floating_point:
        return const(float("inf"), dtype)
    return const(True, dtype) if dtype is bool_ else const(int_limits(dtype)[1], dtype)


def int_limits(dtype: DType) -> tuple[int, int]:
    bits = 8 * dtype.itemsize
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if dtype.is_signed else (0, (1 << bits) - 1)


def folding(op: str, dtype: DType) -> Reducer:
    """``sum``, ``prod``, ``min``, ``max`` (NaN wins), ``any``, ``all`` over one value. Half precision is merged in
    float32 and rounded at every step."""
    wide = float32 if dtype in (float16, bfloat16) else dtype
    a, b = left(0, dtype).cast(wide), right(0, dtype).cast(wide)
    if op == "sum":
        return Reducer(op, (const(0, dtype),), ((a + b).cast(dtype),), blocked=dtype.is_floating_point)
    if op == "prod":
        return Reducer(op, (const(1, dtype),), ((a * b).cast(dtype),))
    if op in ("max", "min"):
        start = lowest(dtype) if op == "max" else highest(dtype)
        return Reducer(op, (start,), (node(op, (a, b), wide).cast(dtype),))
    if op == "any":
        return Reducer(op, (const(False, bool_),), (a | b,))
    if op == "all":
        return Reducer(op, (const(True, bool_),), (a & b,))
    raise ValueError(f"no fold named {op!r}")


def locating(op: str, dtype: DType) -> Reducer:
    """``max`` or ``min`` with its position: the first of equals; the first NaN beats every number."""
    va, vb, ia, ib = left(0, dtype), right(0, dtype), left(1, int64), right(1, int64)
    better = (vb > va) if op == "max" else (vb < va)
    tied = va.equals(vb)
    if dtype.is_floating_point:
        better = better | (is_nan(vb) & ~is_nan(va))
        better = better & ~(is_nan(va) & ~is_nan(vb))
        tied = tied | (is_nan(va) & is_nan(vb))
    take_b = better | (tied & (ib < ia))
    start = lowest(dtype) if op == "max" else highest(dtype)
    merged = (select(take_b, vb, va), select(take_b, ib, ia))
    return Reducer("arg" + op, (start, const(int_limits(int64)[1], int64)), merged)


@dataclass(frozen=True)
class Fold:
    """A stage: the merge of ``elements`` over the whole row; later stages see it as ``state(first + k)``.

    ``constant``: no gradient goes through it (the maximum that a softmax subtracts cancels out).
    """

    reducer: Reducer
    elements: tuple[Expr, ...]
    first: int
    constant: bool = False

    @property
    def states(self) -> tuple[Expr, ...]:
        return tuple(state(self.first + k, e.dtype) for k, e in enumerate(self.elements))


@dataclass(frozen=True)
class Output:
    """A result: ``value`` per cell of the row (``over_row``) or per outer cell.

    ``axes`` says which axis each dimension of the result runs over (-1: a kept dimension of size 1); without it the
    dimensions are the outer axes in order.
    """

    value: Expr
    over_row: bool = False
    axes: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Formula:
    """See the module's text. ``scan``: the last stage is a scan, its running state is what the outputs see."""

    name: str
    rank: int
    outputs: tuple[Output, ...]
    row: int = 0
    stages: tuple[Fold, ...] = ()
    scan: bool = False

    def expressions(self) -> Iterator[Expr]:
        """Everything that is evaluated for a cell, in order."""
        for stage in self.stages:
            yield from stage.elements
        for output in self.outputs:
            yield output.value

    @cached_property
    def loads(self) -> tuple[Expr, ...]:
        """Every distinct load, in the order of evaluation."""
        return tuple(e for e in walk(*self.expressions()) if e.op == "load")

    def map(self, change: dict[Expr, Expr]) -> Formula:
        """The formula with expressions replaced."""
        memo = dict(change)
        def swap(e: Expr) -> Expr:
            return rewrite(e, lambda _: None, memo)

        stages = tuple(replace(s, elements=tuple(map(swap, s.elements))) for s in self.stages)
        outputs = tuple(replace(o, value=swap(o.value)) for o in self.outputs)
        return Formula(self.name, self.rank, outputs, self.row, stages, self.scan)


@dataclass(frozen=True)
class Scatter:
    """``out[target] = merge(out[target], value)`` for every cell of ``rank`` source axes, in ascending order.

    ``target`` has one coordinate per dimension of the result; computed ones are checked against its sizes.
    ``reducer`` None overwrites: the last write wins.
    """

    name: str
    rank: int
    target: tuple[Expr, ...]
    value: Expr
    reducer: Reducer | None = field(default=None)

    def expressions(self) -> Iterator[Expr]:
        yield from self.target
        yield self.value

    @cached_property
    def loads(self) -> tuple[Expr, ...]:
        return tuple(e for e in walk(*self.expressions()) if e.op == "load")
