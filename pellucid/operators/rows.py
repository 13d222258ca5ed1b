"""What operators that work along dimensions share: which dimensions are meant, how a fold walks over them, and
derivatives that are written down rather than derived.

A fold's formula has the kept dimensions as outer axes, in order, then the reduced ones as row axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NoReturn

from pellucid.autograd.derived import DerivedRule, grad_fn_name
from pellucid.autograd.graph import Node, Rule, recorder
from pellucid.dtypes import DType, bfloat16, bool_, float16, float32
from pellucid.formula.expr import Expr, axis, load
from pellucid.formula.formula import Formula
from pellucid.layout import Layout, dense, is_dense
from pellucid.operators.define import deliver, wrap_dim
from pellucid.plan import Plan, kernel_plan
from pellucid.runtime import native

Dims = int | Sequence[int] | None
MOST_DIMS = 64


# -- arguments --------------------------------------------------------------------------------------------------------


def reduced_dims(operator: str, dim: Dims, ndim: int, *, empty: bool = True) -> tuple[int, ...]:
    """The dimensions that ``dim`` names, ascending; None means all of them, and so does ``()`` if ``empty``.

    Raises:
        IndexError: there is no such dimension.
        RuntimeError: a dimension is named twice, or there are more than 64.
        TypeError: ``dim`` is not made of integers.
    """
    if ndim > MOST_DIMS:
        raise RuntimeError(f"{operator}(): only tensors with up to {MOST_DIMS} dims are supported, got {ndim}")
    if dim is None or (empty and isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(ndim))
    named: list[Any] = list(dim) if isinstance(dim, (tuple, list)) else [dim]
    if isinstance(dim, bool) or not all(hasattr(d, "__index__") for d in named):
        raise TypeError(f"{operator}(): argument 'dim' must be an int or a tuple of ints, not {dim!r}")
    wrapped = sorted(wrap_dim(operator, d.__index__(), ndim) for d in named)
    for a, b in pairwise(wrapped):
        if a == b:
            raise RuntimeError(f"{operator}(): dim {a} appears multiple times in the list of dims {tuple(named)}")
    return tuple(wrapped) if ndim else ()


def numpy_names(dim: Any, keepdim: bool, axis: Any, keepdims: bool) -> tuple[Any, bool]:
    """``axis=`` and ``keepdims=`` mean ``dim=`` and ``keepdim=``, as in NumPy."""
    return hashable(dim if axis is None else axis), keepdim or keepdims


def hashable(dim: Any) -> Any:
    """A list of dimensions as a tuple, so that it can be part of a plan's key."""
    return tuple(dim) if isinstance(dim, list) else dim


def not_tensor(operator: str, value: Any, argument: str = "input") -> NoReturn:
    raise TypeError(f"{operator}(): argument '{argument}' must be Tensor, not {type(value).__name__}")


def deliver_same(result: Any, out: Any, operator: str) -> Any:
    """`deliver` to an ``out`` that must have the result's own dtype.

    Raises:
        RuntimeError: it has another one.
    """
    if out is not None and getattr(out, "dtype", result.dtype) is not result.dtype:
        raise RuntimeError(
            f"{operator}(): Expected out tensor to have dtype {result.dtype}, but got {out.dtype} instead; this "
            "operator converts nothing"
        )
    return deliver(result, out, operator)


def delivered_same(results: Sequence[Any], out: Sequence[Any] | None, operator: str) -> Sequence[Any]:
    """The same for several results."""
    if out is None:
        return results
    return [deliver_same(result, own, operator) for result, own in zip(results, out, strict=True)]


def accumulator(dtype: DType) -> DType:
    """What sums of a dtype are kept in: half precision in float32, everything else as it is."""
    return float32 if dtype in (float16, bfloat16) else dtype


def is_inexact(dtype: DType) -> bool:
    return dtype.is_floating_point or dtype.is_complex


def is_integral(dtype: DType) -> bool:
    return dtype is not bool_ and not is_inexact(dtype)


# -- walking ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Walk:
    """Axes of a fold: ``rank`` kept ones, then the row. ``coords`` says where a cell of the operand lies, ``axes``
    which axis each dimension of a result (of ``shape``) runs over."""

    rank: int
    sizes: tuple[int, ...]
    coords: tuple[Expr, ...]
    axes: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def row(self) -> int:
        return len(self.sizes) - self.rank

    def element(self, dtype: DType, operand: int = 0) -> Expr:
        """The operand's cell, converted."""
        return load(operand, dtype, self.coords)


def walk_over(x: Layout, dims: tuple[int, ...], keepdim: bool) -> Walk:
    """A row axis for each reduced dimension."""
    kept = [d for d in range(x.ndim) if d not in dims]
    order = [*kept, *dims]
    place = {d: a for a, d in enumerate(order)}
    coords = tuple(axis(place[d]) for d in range(x.ndim))
    return Walk(len(kept), tuple(x.shape[d] for d in order), coords, *_result(x, dims, keepdim))


def _result(x: Layout, dims: tuple[int, ...], keepdim: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    axes, shape, a = [], [], 0
    for d, n in enumerate(x.shape):
        if d not in dims:
            axes.append(a)
            shape.append(n)
            a += 1
        elif keepdim:
            axes.append(-1)
            shape.append(1)
    return tuple(axes), tuple(shape)


def joined_walk(x: Layout, dims: tuple[int, ...], keepdim: bool, *, ordered: bool = False) -> tuple[Layout, Walk]:
    """The operand seen with as few row axes as its strides allow (a long single row is split over threads), and the
    walk over that. ``ordered`` keeps the row-major order of the reduced dimensions."""
    if len(dims) == x.ndim and x.numel and (x.contiguous or (not ordered and is_dense(x))):
        row = [(x.numel, 1)]
    else:
        row = _joined([(x.shape[d], x.strides[d]) for d in dims if x.shape[d] != 1], ordered)
    kept = [d for d in range(x.ndim) if d not in dims]
    shape = (*(x.shape[d] for d in kept), *(n for n, _ in row))
    layout = x.with_strides(shape, (*(x.strides[d] for d in kept), *(s for _, s in row)))
    return layout, Walk(len(kept), shape, tuple(map(axis, range(len(shape)))), *_result(x, dims, keepdim))


def _joined(row: list[tuple[int, int]], ordered: bool) -> list[tuple[int, int]]:
    if not ordered:
        row = sorted(row, key=lambda r: -abs(r[1]))
    result: list[tuple[int, int]] = []
    for n, stride in row:
        if result and result[-1][1] == n * stride:
            result[-1] = (result[-1][0] * n, stride)
        else:
            result.append((n, stride))
    return result or [(1, 0)]


def fold_plan(
    formula_of: Callable[[Walk], Formula],
    x: Layout,
    dims: tuple[int, ...],
    keepdim: bool,
    *,
    rule: Rule | None = None,
    given: dict[str, int | float] | None = None,
    ordered: bool = False,
) -> Plan:
    """The plan of a fold over ``dims`` of one operand; without a rule its derivative comes from the formula."""
    layout, walk = joined_walk(x, dims, keepdim, ordered=ordered)
    formula = formula_of(walk)
    results = [dense(walk.shape, o.value.dtype) for o in formula.outputs]
    record = None
    if is_inexact(x.dtype) and is_inexact(results[0].dtype):
        if rule is None:
            plain = walk_over(x, dims, keepdim)
            rule = DerivedRule(formula_of(plain), (x,), plain.sizes, given, None)
        record = recorder(rule, results, (x,))
    return kernel_plan(formula, (layout,), walk.sizes, results, record=record, given=given)


# -- derivatives ------------------------------------------------------------------------------------------------------


class WrittenRule:
    """A derivative written down: ``gradient(grad, *saved)`` gives the gradient of every operand that is a tensor, by
    differentiable operators, so that it can be differentiated again; None is a gradient of zeros.

    ``kept`` are the numbers of what is saved: 0 is the (only differentiable) result, ``results`` and up the operands.
    ``form`` is the number at the end of its name: PyTorch counts the forms of an operator (all cells, some dimensions).
    """

    def __init__(
        self, name: str, kept: tuple[int, ...], gradient: Callable[..., Any], *, results: int = 1, form: int = 0
    ) -> None:
        self.name = grad_fn_name(name, form)
        self.kept, self.gradient, self.results = kept, gradient, results

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return self.kept

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        saved = node.unpack()
        if 0 in saved and native.grad_enabled():
            saved[0] = tracked_result(saved[0], node)
        result = self.gradient(grads[0], *[saved[k] for k in self.kept])
        return result if isinstance(result, tuple) else (result,)


def tracked_result(t: Any, node: Node) -> Any:
    """The saved result as a part of the graph again, for derivatives of derivatives."""
    fresh = native.new_tensor(t.layout, t.storage, t.ptr)
    fresh.node, fresh.tracked = node, True
    return fresh


def with_dims(t: Any, dims: tuple[int, ...], keepdim: bool, ndim: int) -> Any:
    """A reduced result with its reduced dimensions back, of size 1."""
    if keepdim or t.layout.ndim == ndim:
        return t
    shape = list(t.layout.shape)
    for d in dims:
        shape.insert(d, 1)
    return t.reshape(shape)
