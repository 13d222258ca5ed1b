"""What all writes by index share: the kernel, the look at the index, the copy, the graph, the derivatives.

A ``Manner`` says which cells a write goes to (one per cell of the index, whole slices, numbered cells); the operators
are in ``scattering.py``, ``slice_writes.py`` and ``putting.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Protocol

from pellucid.autograd.fresh import copied, zeros
from pellucid.autograd.graph import Node, Rule, recorder
from pellucid.autograd.inplace import in_place
from pellucid.autograd.places import note_write
from pellucid.dtypes import DType, bool_, float32, float64, int32, int64
from pellucid.formula.expr import Expr, scalar
from pellucid.formula.formula import Reducer, Scatter, folding
from pellucid.layout import Layout, dense, overlaps_itself
from pellucid.operators.copying import plain_number
from pellucid.operators.indexing import Bounds, require_apart
from pellucid.operators.nested import from_cells
from pellucid.plan import Operand, PlanTable, kernel_plan
from pellucid.runtime import native
from pellucid.tensor import Tensor, array_of

_ROOMY = frozenset({float32, float64, int32, int64})  # they hold every number between these bounds
_SMALL = 1 << 31
_NUMBERS = {int: int64, float: float64, bool: bool_}


class Manner(Protocol):
    """Which cells a value goes to."""

    def pick(self, t: Any, index: Any) -> Any:
        """The cells of ``t`` that are written, in the value's order; differentiable."""
        ...

    def write(self, t: Any, index: Any, value: Any, op: str | None) -> Any:
        """A copy of ``t`` into which ``value`` (a tensor or a number) was written; differentiable if ``op`` is None
        or "sum"."""
        ...


def merging(op: str | None, dtype: DType) -> Reducer | None:
    """How what is written meets what is there: by "sum", "prod", "max" or "min"; None: it takes its place."""
    if op is None:
        return None
    if dtype is bool_:
        return folding("any" if op in ("sum", "max") else "all", dtype)
    return folding(op, dtype)


def number_operand(value: Any, dtype: DType, operator: str, shape: tuple[int, ...]) -> Any:
    """A number as an operand: a Python number, or (complex ones) a tensor of this shape.

    Raises:
        RuntimeError: the dtype cannot hold it; TypeError: it is not a number.
    """
    if (type(value) is float or type(value) is int) and dtype in _ROOMY and -_SMALL < value < _SMALL:
        return value
    number = plain_number(value, dtype, operator)
    return from_cells(array_of(number), dtype).expand(shape) if isinstance(number, Tensor) else number


def number_expr(kind: type, dtype: DType) -> Expr:
    return scalar(0, _NUMBERS[kind]).cast(dtype)


class Write:
    """A kind of write, with all that follows from the layouts.

    Args:
        bounds: what the index may be.
        x: the tensor that is written.
        index: the index tensor.
        source: what is written, a tensor's layout or a Python number's type.
        formula: operand 0 is the source, operand 1 the index.
        sizes: those of the formula's axes.
        rule: the derivative; its operands are (x, index, source).
        result: the layout of the copy that the out-of-place form writes into.
        given: numbers of the formula.
    """

    def __init__(
        self,
        bounds: Bounds,
        x: Layout,
        index: Layout,
        source: Operand,
        formula: Scatter,
        sizes: tuple[int, ...],
        rule: Rule | None,
        *,
        result: Layout | None = None,
        given: dict[str, int | float] | None = None,
    ) -> None:
        self.bounds, self.index, self.overlaps = bounds, index, overlaps_itself(x)
        self.result = result or dense(x.shape, x.dtype, x.device)
        self.kernels = PlanTable(
            lambda target: kernel_plan(
                formula, (source, index), sizes, [target], in_place=True, given=dict(given or {}),
                fail=lambda status, out, value, own: bounds.complain(own),
            )
        )  # fmt: skip
        self.record = None
        if rule is not None and (x.dtype.is_floating_point or x.dtype.is_complex):
            self.record = recorder(rule, [self.result], (x, index, source))

    def run(self, x: Tensor, index: Tensor, value: Any) -> None:
        """Only write."""
        self.kernels[x.layout](x, value, index)

    def fresh(self, x: Tensor, index: Tensor, value: Any) -> Tensor:
        """A copy of ``x``, written."""
        out: Tensor = copied(x, self.result)
        self.kernels[self.result](out, value, index)
        if self.record is not None and native.recorded(x, index, value):
            self.record(out, x, index, value)
        return out

    def into(self, x: Tensor, index: Tensor, value: Any) -> Tensor:
        """``x`` itself, written; not at all if an index is outside."""
        self.prepare(x, index, value)
        write = self.kernels[x.layout]
        if x.tracked or x.base is not None or getattr(value, "tracked", False):
            return in_place(x, lambda: write(x, value, index), self.record, x, index, value)
        write(x, value, index)
        note_write(x.storage)
        return x

    @cached_property
    def check(self) -> Callable[[Any], None]:
        """Raises for an index outside."""
        return self.bounds.checker(self.index)

    def prepare(self, x: Tensor, index: Tensor, value: Any) -> None:
        """Raise what there is to raise before anything is written."""
        if self.overlaps or index.storage is x.storage or getattr(value, "storage", None) is x.storage:
            require_apart(self.bounds.operator, x, (index, value))
        self.check(index)


class Unchanged:
    """A write of nothing: the index has no cells."""

    def fresh(self, x: Any, index: Tensor, value: Any) -> Any:
        return x.clone()

    def into(self, x: Any, index: Tensor, value: Any) -> Any:
        return x

    def run(self, x: Tensor, index: Tensor, value: Any) -> None:
        pass


class OneCell:
    """A write some of whose tensors have no dimension: those are seen as vectors of one cell.

    Args:
        plan: (x, index, value) -> the write of the vectors.
    """

    def __init__(self, plan: Callable[[Any, Any, Any], Any]) -> None:
        self.plan = plan

    @staticmethod
    def vectors(*tensors: Any) -> list[Any]:
        return [t.reshape(1) if isinstance(t, Tensor) and t.layout.ndim == 0 else t for t in tensors]

    def fresh(self, x: Any, index: Tensor, value: Any) -> Any:
        vectors = self.vectors(x, index, value)
        return self.plan(*vectors).fresh(*vectors).reshape(x.layout.shape)

    def into(self, x: Any, index: Tensor, value: Any) -> Any:
        vectors = self.vectors(x, index, value)
        self.plan(*vectors).into(*vectors)
        return x

    def run(self, x: Any, index: Tensor, value: Any) -> None:
        vectors = self.vectors(x, index, value)
        self.plan(*vectors).run(*vectors)


# -- derivatives ------------------------------------------------------------------------------------------------------

X, INDEX, SOURCE = 1, 2, 3  # numbers of what rules keep; 0 is the result


def fitted(t: Any, shape: tuple[int, ...]) -> Any:
    """The gradient of what was written, in the shape of the source: cells of it that were not used get zeros, and
    one number that went everywhere gets the sum."""
    if t.layout.shape == shape:
        return t
    if not shape:
        return t.sum()
    whole = zeros(dense(shape, t.layout.dtype))
    if t.layout.numel:
        whole[tuple(slice(0, n) for n in t.layout.shape)] = t
    return whole


class WriteRule:
    """``x[i] = v`` or ``x[i] += factor * v``: what stayed keeps its gradient, what was written hands it on."""

    def __init__(self, name: str, manner: Manner, op: str | None, source: Operand, factor: float = 1) -> None:
        self.name, self.manner, self.op, self.source, self.factor = name, manner, op, source, factor

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return (INDEX,)

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        (index,) = node.values()
        g, to_x, to_source = grads[0], None, None
        if node.edges[0] is not None:
            to_x = g if self.op == "sum" else self.manner.write(g, index, 0, None)
        if node.edges[2] is not None:
            assert isinstance(self.source, Layout), "a number has no gradient"
            to_source = fitted(self.manner.pick(g, index), tuple(self.source.shape))
            if self.factor != 1:
                to_source = to_source * self.factor
        return to_x, None, to_source


class UnknownRule:
    """A write that has no derivative, as in PyTorch."""

    name = "NotImplemented"

    def __init__(self, operator: str) -> None:
        self.operator = operator

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return ()

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        raise RuntimeError(
            f"derivative for {self.operator} is not implemented: use scatter_add or scatter_reduce, which have one"
        )
