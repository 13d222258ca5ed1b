"""Views in the graph: their nodes, and what becomes of them when the memory that they show is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pellucid.autograd.derived import differentiable_plan
from pellucid.autograd.graph import Edge, Node, Pattern, hooks_of, node_of
from pellucid.formula.expr import axis, given, load
from pellucid.formula.formula import Scatter, folding
from pellucid.layout import Layout, dense, span
from pellucid.plan import Plan, PlanTable
from pellucid.runtime import native

Pullback = Callable[[Any], Any]  # the gradient of a view -> the gradient of what was viewed


class ViewRule:
    """The rule of a view: nothing is kept, the gradient is rearranged."""

    __slots__ = ("name", "pullback")

    def __init__(self, name: str, pullback: Pullback) -> None:
        self.name, self.pullback = name, pullback

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return ()

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        return (self.pullback(grads[0]),)


def view_recorder(
    source: Layout, result: Layout, offset: int, pullback: Pullback, name: str
) -> Callable[[Any, Any], None]:
    """What a view's plan calls with (result, tensor): it hangs a node on the result.

    Args:
        source: the layout of the tensor that is viewed.
        result: the layout of the view.
        offset: bytes from the tensor's first cell to the view's.
        pullback: gradient of the view (of its shape) -> gradient of the tensor (of its shape), in differentiable
            operations.
        name: as in ``grad_fn``: "TransposeBackward0".
    """
    pattern = Pattern(ViewRule(name, pullback), (result,), ())

    def record(out: Any, x: Any) -> None:
        out.node, out.tracked = node_of(pattern, ((x.node or x, x.output_nr),)), True

    return record


class SeveralViewsRule:
    """The rule of a call that gives several views of one tensor: ``pullback`` puts their gradients together (None
    where a view has none)."""

    __slots__ = ("name", "pullback")

    def __init__(self, name: str, pullback: Callable[[list[Any]], Any]) -> None:
        self.name, self.pullback = name, pullback

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return ()

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        return (self.pullback(grads),)


def views_recorder(
    results: Sequence[Layout], pullback: Callable[[list[Any]], Any], name: str
) -> Callable[[Sequence[Any], Any], None]:
    """What a call of several views does with (results, tensor): it hangs one node on all of them."""
    pattern = Pattern(SeveralViewsRule(name, pullback), tuple(results), ())

    def record(outs: Sequence[Any], x: Any) -> None:
        node = node_of(pattern, ((x.node or x, x.output_nr),))
        for k, out in enumerate(outs):
            out.node, out.output_nr, out.tracked = node, k, True

    return record


UNTRACKED_PIECE = -1  # the output_nr of one of several views of a tensor that no gradient flows through


def require_single_view(view: Any, written: str) -> None:
    """One of several views may not be written, nor its base: the other views' history would have to change, too.

    Raises:
        RuntimeError: ``view`` came from such a call, or is a view of what came from one.
    """
    node, made_by = view.node, ""
    while node is not None and isinstance(node.pattern.rule, ViewRule):
        target = node.edges[0][0]
        node = target if isinstance(target, Node) else None
    if node is not None and isinstance(node.pattern.rule, SeveralViewsRule):
        made_by = node.name()
    elif view.node is not None or view.output_nr != UNTRACKED_PIECE:
        return
    name = f"Output {view.output_nr} of {view.node.name()}" if made_by else "One of several pieces of a tensor"
    raise RuntimeError(
        f"{name} is a view and {written} modified inplace. This view is the output of a function that returns multiple "
        f"views{made_by and f' ({made_by})'}. Such functions do not allow the output views to be modified inplace. You "
        "should replace the inplace operation by an out-of-place one, or write into a copy (x.clone())."
    )


# -- any cells of a storage -------------------------------------------------------------------------------------------


def strided(x: Any, layout: Layout, offset: int) -> Any:
    """The view of ``x`` whose first cell lies ``offset`` bytes after its own; the dtype may be another one."""
    return _strided[x.layout, layout, offset](x)


def _strided_plan(source: Layout, layout: Layout, offset: int) -> Plan:
    name = "AsStridedBackward0"
    record = view_recorder(source, layout, offset, lambda g: _gathered(g, source, layout, offset), name)
    return native.make_view(offset, layout, record)


_strided = PlanTable(_strided_plan)


def _gathered(g: Any, source: Layout, layout: Layout, offset: int) -> Any:
    """The gradient of ``strided``: every cell's is added where the view showed it.

    The sums are made in a block of memory that covers the source, which is then seen with the source's layout.
    """
    size = layout.dtype.itemsize
    low, high = (bound * source.dtype.itemsize for bound in span(source))
    block = dense((-(-(high - low) // size),), layout.dtype)
    cells = _placings[g.layout, layout, (offset - low) // size, block](g)
    return strided(cells, source, -low)


def _placing_plan(g: Layout, layout: Layout, first: int, block: Layout) -> Plan:
    at, numbers = given("first"), {"first": first, **{f"stride{d}": s for d, s in enumerate(layout.strides)}}
    for d in range(layout.ndim):
        at = at + axis(d) * given(f"stride{d}")
    coords = tuple(axis(d) for d in range(layout.ndim))
    scatter = Scatter("as_strided_backward", layout.ndim, (at,), load(0, g.dtype, coords), folding("sum", g.dtype))
    return differentiable_plan(scatter, [g], tuple(layout.shape), [block], given=numbers)


_placings = PlanTable(_placing_plan)


# -- views whose memory was written -----------------------------------------------------------------------------------


def refresh(view: Any) -> None:
    """Called when a view is used whose memory was written since: its gradient goes to the base as it is now.

    A view made under ``no_grad`` has no node; if its base needs a gradient, it counts as a leaf that needs one.
    """
    if view.seen < 0:
        if view.base.tracked:
            _require_unwritten(view)
            view.tracked = True
        return
    if view.base.tracked:
        if not native.grad_enabled() and view.node is not None:
            return
        require_single_view(view, "its base or another view of its base has been")
        attach(view)
    else:
        view.seen = view.storage.version


def _require_unwritten(view: Any) -> None:
    if -1 - view.seen != view.storage.version:
        raise RuntimeError(
            "A view was created in no_grad mode and its base or another view of its base has been modified inplace "
            "with grad mode enabled. Given that this use case is ambiguous and error-prone, it is forbidden. Make the "
            "view and write to its base either both inside of the no_grad block, or both outside."
        )


def attach(view: Any) -> None:
    """Make the view's node anew, on the present history of its base."""
    base = view.base
    pattern = _patterns[base.layout, view.layout, view.ptr - base.ptr]
    edge: Edge = (base.node or base, base.output_nr)
    before, number = view.node, view.output_nr
    view.node, view.output_nr, view.tracked = node_of(pattern, (edge,)), 0, True  # type: ignore[arg-type]
    view.seen = view.storage.version
    carry_retained(view, before, number)


def carry_retained(x: Any, before: Node | None, number: int) -> None:
    """A gradient that ``x`` retained as result ``number`` of the node ``before`` is retained at its present node."""
    if before is None or before.hooks is None:
        return
    retained = before.hooks.retained
    kept: Any = retained[number]() if number in retained else None
    if kept is x:
        hooks_of(x.node).retained[x.output_nr] = retained.pop(number)


def _pattern(source: Layout, layout: Layout, offset: int) -> Any:
    return Pattern(ViewRule("AsStridedBackward0", lambda g: _gathered(g, source, layout, offset)), (layout,), ())


_patterns = PlanTable(_pattern)
native.set_refresh_callback(refresh)
