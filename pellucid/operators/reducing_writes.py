"""Writes that reduce: several cells of a source go to one cell, as their sum, product, mean, largest or smallest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from pellucid.autograd.fresh import copied, ones, zeros
from pellucid.autograd.graph import Node, recorder
from pellucid.autograd.inplace import in_place
from pellucid.dtypes import DType, bool_
from pellucid.layout import Layout, dense
from pellucid.operators.rows import tracked_result
from pellucid.operators.writing import Manner, Write, fitted
from pellucid.runtime import native
from pellucid.tensor import Tensor


class ReducingManner(Manner, Protocol):
    """Which cells a source is reduced to."""

    def run(self, t: Any, index: Any, value: Any, op: str | None) -> None:
        """Write into ``t`` itself, without a trace."""
        ...

    def reduce(self, t: Any, index: Any, source: Any, reduce: str, include_self: bool) -> Any:
        """A copy of ``t`` with the source reduced to it; differentiable."""
        ...

    def used(self, source: Any, index: Any) -> Any:
        """The cells of the source that the index sends somewhere."""
        ...


OPS = {"sum": "sum", "mean": "sum", "prod": "prod", "amax": "max", "amin": "min"}


def _neutral(reduce: str, dtype: DType) -> bool | int | float:
    """What does not change a reduction."""
    if reduce in ("sum", "mean"):
        return 0
    if reduce == "prod":
        return 1
    if dtype.is_floating_point:
        return float("-inf") if reduce == "amax" else float("inf")
    if dtype is bool_:
        return reduce == "amin"
    limits = np.iinfo(dtype.numpy)
    return int(limits.min if reduce == "amax" else limits.max)


class Reduction:
    """A write that reduces, after ``write``, which does so with the former values; operands (x, index, source)."""

    def __init__(
        self, operator: str, node_name: str, kernel: str, manner: ReducingManner, write: Any, x: Layout, index: Layout,
        source: Layout, reduce: str, include_self: bool,
    ) -> None:  # fmt: skip
        if (reduce in ("amax", "amin") and x.dtype.is_complex) or (reduce == "mean" and x.dtype is bool_):
            raise NotImplementedError(
                f"\"{kernel}\" not implemented for '{x.dtype.scalar_name}': {operator}() cannot reduce it by {reduce}"
            )
        self.manner, self.write, self.reduce, self.include_self = manner, write, reduce, include_self
        self.neutral = _neutral(reduce, x.dtype)
        self.result = dense(x.shape, x.dtype, x.device)
        self.inexact = x.dtype.is_floating_point or x.dtype.is_complex
        self.record = None
        if self.inexact:
            rule = ReductionRule(node_name, manner, source, reduce, include_self)
            self.record = recorder(rule, [self.result], (x, index, source))

    def fresh(self, x: Tensor, index: Tensor, source: Tensor) -> Tensor:
        out: Tensor = copied(x, self.result)
        self._reduce(out, index, source)
        if self.record is not None and native.recorded(x, index, source):
            self.record(out, x, index, source)
        return out

    def into(self, x: Tensor, index: Tensor, source: Tensor) -> Tensor:
        if isinstance(self.write, Write):
            self.write.prepare(x, index, source)
        run = lambda: self._reduce(x, index, source)  # noqa: E731
        return in_place(x, run, self.record, x, index, source)

    def _reduce(self, x: Any, index: Any, source: Any) -> None:
        before = native.set_grad_enabled(False)
        try:
            if not self.include_self:
                self.manner.run(x, index, self.neutral, None)
            self.write.run(x, index, source)
            if self.reduce == "mean":
                n = counts(self.manner, x, index, source, self.include_self)
                x.div_(n, rounding_mode=None if self.inexact else "floor")
        finally:
            native.set_grad_enabled(before)


def counts(manner: ReducingManner, x: Any, index: Any, source: Any, include_self: bool) -> Any:
    """How many values each cell of ``x`` is the mean of (1 where it is none)."""
    n = (ones if include_self else zeros)(dense(x.layout.shape, x.layout.dtype))
    manner.run(n, index, ones(dense(source.layout.shape, x.layout.dtype)), "sum")
    return n.masked_fill(n == 0, 1)


class ReductionRule:
    """Derivatives of reductions: a sum hands its gradient on, a mean divides it, extremes share it among equals, a
    product multiplies it by the other factors."""

    def __init__(self, name: str, manner: ReducingManner, source: Layout, reduce: str, include_self: bool) -> None:
        self.name, self.manner, self.source = name, manner, source
        self.reduce, self.include_self = reduce, include_self

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return (2,) if self.reduce == "sum" else (1, 2, 3) if self.reduce == "mean" else (0, 1, 2, 3)

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        saved, g = node.unpack(), grads[0]
        index, m = saved[2], self.manner
        if self.reduce == "sum":
            to_x, to_source = g, m.pick(g, index)
        elif self.reduce == "mean":
            before = native.set_grad_enabled(False)
            n = counts(m, saved[1], index, saved[3], self.include_self)
            native.set_grad_enabled(before)
            to_x = g / n
            to_source = m.pick(to_x, index)
        else:
            result = tracked_result(saved[0], node) if native.grad_enabled() else saved[0]
            each = self._product if self.reduce == "prod" else self._extreme
            to_x, to_source = each(g, saved[1], index, m.used(saved[3], index), result)
        if not self.include_self:
            to_x = m.write(to_x, index, 0, None)
        return to_x, None, fitted(to_source, tuple(self.source.shape))

    def _extreme(self, g: Any, x: Any, index: Any, source: Any, result: Any) -> tuple[Any, Any]:
        m = self.manner
        own, others = (x == result).to(g.dtype), (source == m.pick(result, index)).to(g.dtype)
        share = g / m.write(own, index, others, "sum")
        return own * share, others * m.pick(share, index)

    def _product(self, g: Any, x: Any, index: Any, source: Any, result: Any) -> tuple[Any, Any]:
        m, own_zero, zero = self.manner, x == 0, source == 0
        result = self._multiplied(x, index, source) if native.grad_enabled() else result
        without = x.masked_fill(own_zero, 1)
        to_x = g * self._multiplied(without, index, source) / without
        zeros_met = m.pick(m.write(zeros(dense(x.layout.shape, g.dtype)), index, zero.to(g.dtype), "sum"), index)
        single = zero & (zeros_met == 1)
        others = self._multiplied(x, index, source.masked_fill(single, 1))
        at_zero = m.pick(g * others, index)
        elsewhere = m.pick(g * result, index) / source.masked_fill(zero, 1)
        to_source = at_zero.where(single, elsewhere)
        return to_x, to_source.masked_fill(zeros_met > 1, 0)

    def _multiplied(self, x: Any, index: Any, source: Any) -> Any:
        return self.manner.reduce(x, index, source, "prod", self.include_self)
