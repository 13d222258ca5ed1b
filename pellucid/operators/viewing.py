"""How views are made: a layout, an offset, and the way back for gradients. (The operators are in the files beside.)

Nothing is copied. The gradient of a view that shows every cell once is the gradient rearranged; that of a part is
laid into zeros; both are differentiable operations, so views have derivatives of every order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from operator import index as as_index
from typing import Any, TypeVar

from pellucid.autograd.derived import DerivedRule
from pellucid.autograd.fresh import zeros
from pellucid.autograd.graph import recorder
from pellucid.autograd.views import UNTRACKED_PIECE, Pullback, ViewRule, view_recorder, views_recorder
from pellucid.dtypes import DType
from pellucid.errors import shape_text
from pellucid.formula.expr import const, load
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, View, dense, is_dense, like
from pellucid.operators.arguments import not_a_tensor
from pellucid.operators.assembling import Piece, assembly_plan
from pellucid.operators.define import method, public, wrap_dim
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.runtime import native
from pellucid.tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])
Geometry = Callable[[Layout], View]


# -- publishing -------------------------------------------------------------------------------------------------------


def view_function(function: F) -> F:
    """Publish a view as a method and, with a check of its first argument, as a function."""
    name = function.__name__

    @wraps(function)
    def checked(input: Any, *args: Any, **options: Any) -> Any:
        if not isinstance(input, Tensor):
            not_a_tensor(name, input)
        return function(input, *args, **options)

    public(checked)
    return method(function)


# -- arguments --------------------------------------------------------------------------------------------------------


def integer(operator: str, name: str, value: Any) -> int:
    """``value`` as a Python integer (NumPy's, and integer tensors of one cell, are taken as well).

    Raises:
        TypeError: it is something else, such as the float that ``/`` gives.
    """
    try:
        return as_index(value)
    except TypeError:
        raise TypeError(
            f"{operator}(): argument '{name}' must be int, not {type(value).__name__} ({value!r}); "
            "use // for divisions whose result is a size"
        ) from None


def integers(operator: str, name: str, values: Sequence[Any]) -> tuple[int, ...]:
    """A tuple of ints from ``f(2, 3)``, which passes ``(2, 3)``, or ``f((2, 3))``, which passes ``((2, 3),)``."""
    if len(values) == 1 and isinstance(values[0], tuple | list):
        values = values[0]
    return tuple(integer(operator, name, v) for v in values)


def wrap_dims(operator: str, dims: Sequence[Any], ndim: int) -> tuple[int, ...]:
    """Several different dimensions.

    Raises:
        RuntimeError: one is named twice.
    """
    result = tuple(wrap_dim(operator, integer(operator, "dims", d), ndim) for d in dims)
    for k, d in enumerate(result):
        if d in result[:k]:
            raise RuntimeError(
                f"{operator}(): dim {d} appears multiple times in the list of dims {tuple(dims)}; name each one once"
            )
    return result


# -- plans ------------------------------------------------------------------------------------------------------------


def view_plan(name: str, x: Layout, view: View, pullback: Pullback) -> Plan:
    """The builtin that takes a tensor of layout ``x`` and gives its view; ``name``: as in ``grad_fn``."""
    layout, offset = view
    offset *= x.dtype.itemsize
    record = None
    if layout.dtype.is_floating_point or layout.dtype.is_complex:
        record = view_recorder(x, layout, offset, pullback, name)
    return native.make_view(offset, layout, record)


def renamed_plan(name: str, x: Layout, result: Layout, pullback: Pullback) -> Plan:
    """The plan that takes a fresh tensor of layout ``x``, which nobody else holds, and gives its cells as ``result``:
    no view, since there is nothing left that it could be a view of."""
    record = None
    if x.dtype.is_floating_point or x.dtype.is_complex:
        record = view_recorder(x, result, 0, pullback, name)

    def plan(fresh: Tensor) -> Tensor:
        out: Tensor = native.new_tensor(result, fresh.storage, fresh.ptr)
        if record is not None and native.recorded(fresh):
            record(out, fresh)
        return out

    return plan


def same_tensor(x: Tensor) -> Tensor:
    """The plan of a call that has nothing to do."""
    return x


class Part:
    """Views that show some of the cells, each once: ``geometry`` says which, for a tensor of any strides."""

    def __init__(self, name: str, geometry: Geometry) -> None:
        self.name, self.geometry = name, geometry
        self.views = PlanTable(self.view)
        self.placings = PlanTable(self.placing)

    def view(self, x: Layout) -> Plan:
        shape = tuple(x.shape)
        return view_plan(self.name, x, self.geometry(x), lambda g: self.placings[g.layout, shape](g))

    def placing(self, g: Layout, shape: tuple[int, ...]) -> Plan:
        """Zeros of ``shape`` that hold ``g`` in the place of the part."""
        whole = dense(shape, g.dtype)
        layout, offset = self.geometry(whole)
        fresh = kernel_plan(_constant(0, len(shape), g.dtype), (), shape, [whole])
        part = native.make_view(offset * g.dtype.itemsize, layout, None)
        copy = Formula("copy", g.ndim, (Output(load(0, g.dtype)),))
        write = kernel_plan(copy, (g,), tuple(g.shape), [layout], in_place=True)
        rule = ViewRule(f"{self.name.removesuffix('0')}Backward0", lambda gg: self.views[gg.layout,](gg))
        record = recorder(rule, [whole], [g])

        def plan(g: Tensor) -> Tensor:
            out: Tensor = fresh()
            write(part(out), g)
            if native.recorded(g):
                record(out, g)
            return out

        return plan


def _constant(value: int, rank: int, dtype: DType) -> Formula:
    return Formula("full", rank, (Output(const(value, dtype)),))


def part_plan(name: str, x: Layout, geometry: Callable[..., View], *args: Any) -> Plan:
    """The builtin for the view ``geometry(layout, *args)`` of a part."""
    return Part(name, partial(_applied, geometry, args)).view(x)


def _applied(geometry: Callable[..., View], args: tuple[Any, ...], layout: Layout) -> View:
    return geometry(layout, *args)


def each(views: Sequence[Plan]) -> Plan:
    """The plan of a call that gives a tuple of views, each with a node of its own."""
    return lambda x: tuple([view(x) for view in views])


class Pieces:
    """Views that together show every cell once, under one node: ``geometries`` says which part each one shows.

    Their gradients are laid side by side in memory of the order of the viewed tensor's, so that what the tensor was
    permuted from gets a contiguous gradient.
    """

    def __init__(self, name: str, x: Layout, geometries: Sequence[Geometry]) -> None:
        self.name, self.geometries = name, geometries
        self.whole = like(x) if is_dense(x) else dense(x.shape, x.dtype)
        self.views = [geometry(x) for geometry in geometries]
        self.parts = [Part(name, geometry) for geometry in geometries]
        self.joins = PlanTable(self._join)

    def plan(self, x: Layout) -> Plan:
        """The plan that takes a tensor of this layout and gives the tuple of views."""
        shown = [native.make_view(offset * x.dtype.itemsize, layout, None) for layout, offset in self.views]
        if not (x.dtype.is_floating_point or x.dtype.is_complex):
            return each(shown)
        record = views_recorder([layout for layout, _ in self.views], self._pull, self.name)

        def plan(tensor: Tensor) -> tuple[Tensor, ...]:
            views = tuple([view(tensor) for view in shown])
            if native.recorded(tensor):
                record(views, tensor)
            elif native.grad_enabled():
                for view in views:
                    view.output_nr = UNTRACKED_PIECE
            return views

        return plan

    def _pull(self, grads: list[Any]) -> Tensor:
        pairs = zip(grads, self.views, strict=True)
        given = [zeros(dense(layout.shape, layout.dtype)) if g is None else g for g, (layout, _) in pairs]
        return self.joins[tuple([g.layout for g in given])](*given)

    def _join(self, *grads: Layout) -> Plan:
        pieces = [Piece(k, (g, 0), self.geometries[k](self.whole)) for k, g in enumerate(grads)]
        gives = [_shown(part) for part in self.parts]
        return assembly_plan(f"{self.name.removesuffix('0')}Backward0", self.whole, grads, pieces, gives)


def _shown(part: Part) -> Callable[[Tensor], Tensor]:
    return lambda g: part.views[g.layout,](g)


def pieces_plan(name: str, x: Layout, geometry: Callable[..., View], arguments: Sequence[tuple[Any, ...]]) -> Plan:
    """The plan of a call that gives the views ``geometry(layout, *args)``, which show all of ``x``."""
    return Pieces(name, x, [partial(_applied, geometry, args) for args in arguments]).plan(x)


def formula_pullback(formula: Formula, x: Layout, sizes: tuple[int, ...], name: str) -> Pullback:
    """The gradient that is derived from a formula that says the same as the view."""
    rule = DerivedRule(formula, (x,), sizes, None, name)

    def pull(g: Tensor) -> Any:
        total = None
        for step in rule.steps(0):
            own = step.run({0: g})
            total = own if total is None else total + own
        return total

    return pull


def require_numel(operator: str, x: Layout, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Raises RuntimeError unless ``shape`` (which the caller gave as ``wanted``) has as many cells as ``x``."""
    cells = 1
    for n in shape:
        cells *= n
    if cells != x.numel:
        raise RuntimeError(
            f"{operator}(): shape '{list(wanted)}' is invalid for input of size {x.numel}: "
            f"{shape_text(x.shape)} has {x.numel} cells, the new shape {cells}"
        )
