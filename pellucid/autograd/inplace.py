"""Writing into a tensor that gradients flow through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from pellucid.autograd.derived import DerivedRule, differentiable_plan
from pellucid.autograd.fresh import copied, zeros
from pellucid.autograd.graph import Node, new_node, recorder
from pellucid.autograd.places import note_write
from pellucid.autograd.views import attach, carry_retained, require_single_view, strided
from pellucid.formula.expr import load
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, dense, like
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.runtime import native

Record = Callable[..., None]


def in_place(x: Any, write: Callable[[], Any], record: Record | None, *operands: Any) -> Any:
    """Run ``write()``, which overwrites ``x`` (and bumps its version), and hang the call on the graph.

    ``record(x, *operands)`` is the recorder of the out-of-place call (None: no gradient flows into the result); an
    operand that is ``x`` itself stands for its value before. When ``x`` is a view, its base gets the new history.

    Raises:
        RuntimeError: ``x`` is a leaf that requires a gradient, a view of one, or a view made under ``no_grad``.
    """
    if not native.grad_enabled():
        write()
        return x
    dtype = x.layout.dtype
    if not native.recorded(x, *operands) or not (dtype.is_floating_point or dtype.is_complex):
        if x.base is not None and x.base.tracked:  # the base came to need a gradient after the view was taken
            require_writable(x)
        write()
        note_write(x.storage)
        return x
    require_writable(x)
    version = x.storage.version
    before = _handle(x)
    before.node, before.output_nr, before.tracked = x.node, x.output_nr, x.tracked
    given = _given(x, before, record, operands)
    write()
    note_write(x.storage)
    after = _handle(x)
    if record is not None:
        record(after, *given)
    node = after.node
    if node is None:
        node = new_node(Constant(), (), (), (), (x.layout,))
    _date_back(node, x, version)
    own = (before.node, before.output_nr) if before.tracked else None
    if x.base is None and own is not None and own not in node.edges:
        node = new_node(Overwrite(node), (own, *node.edges), (0,), (node,), (x.layout,))
    written_by(node, x, own)
    return x


def written_by(node: Node, x: Any, own: tuple[Any, int] | None) -> None:
    """``x`` holds what ``node`` wrote, its only result; ``own`` is the edge to the values before, if those need a
    gradient. When ``x`` is a view, its base gets the new history."""
    if x.base is None:
        _rehang(x, node)
    else:
        _write_through(x, node, own)


def _handle(x: Any) -> Any:
    return native.new_tensor(x.layout, x.storage, x.ptr)


def _given(x: Any, before: Any, record: Record | None, operands: tuple[Any, ...]) -> list[Any]:
    """The operands as they are recorded. The value of ``x`` before is copied if backward needs it."""
    given = [before if t is x else t for t in operands]
    if record is None or not operands or operands[0] is not x:
        return given
    pattern = record.patterns[tuple([getattr(t, "tracked", False) for t in given])]  # type: ignore[attr-defined]
    if len(pattern.layouts) in pattern.kept:
        given[0] = copied(x, like(x.layout))
        given[0].node, given[0].output_nr, given[0].tracked = before.node, before.output_nr, before.tracked
    return given


def _date_back(node: Node, x: Any, version: int) -> None:
    """Operands that were saved, and overwritten by this very call, were right before it."""
    pattern = node.pattern
    if pattern.kept and node.saved:
        results = len(pattern.layouts)
        node.versions = tuple([
            version if k >= results and getattr(t, "storage", None) is x.storage else v
            for k, t, v in zip(pattern.kept, node.saved, node.versions, strict=True)
        ])  # fmt: skip


def _rehang(x: Any, node: Node) -> None:
    """``x`` is now the result of ``node``."""
    before, number = x.node, x.output_nr
    x.node, x.output_nr, x.tracked = node, 0, True
    carry_retained(x, before, number)


def require_writable(x: Any) -> None:
    """Raises RuntimeError if a write into ``x`` cannot be recorded."""
    base = x.base
    if base is not None:
        require_single_view(x, "is being")
        if x.seen < 0:
            _refuse(
                "A view was created in no_grad mode and is being modified inplace with grad mode enabled. Given that "
                "this use case is ambiguous and error-prone, it is forbidden. Make the view and write to it either "
                "both inside of the no_grad block, or both outside."
            )
        if base.tracked and base.storage is not x.storage:
            _refuse(
                "a view is being modified inplace whose base shows other memory by now: the base's data was exchanged "
                "(base.data = ..., resize_()). Take the view anew."
            )
        if base.tracked and base.node is None:
            _refuse(
                "a view of a leaf Variable that requires grad is being used in an in-place operation. Write into a "
                "copy (x.clone()), or change the values under torch.no_grad()."
            )
    if x.tracked and x.node is None:
        _refuse(
            "a leaf Variable that requires grad is being used in an in-place operation. Write into a copy "
            "(x.clone()), or change the values under torch.no_grad()."
        )


def _refuse(message: str) -> NoReturn:
    raise RuntimeError(message)


class Constant:
    """The rule of what takes no gradient, such as random numbers written into a tensor."""

    name = "FillBackward0"

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return ()

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        return (None,) * len(node.edges)


class Overwrite:
    """The rule of a write that ignores what was there: the former values get zeros, the operands what is theirs."""

    def __init__(self, written: Node) -> None:
        self.name = written.name()

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return (0,)

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        (written,) = node.unpack().values()
        return zeros(like(grads[0].layout)), *written.rule.backward(written, grads)


# -- views ------------------------------------------------------------------------------------------------------------


def _write_through(x: Any, node: Node, own: tuple[Any, int] | None) -> None:
    """A view was written by ``node``: the base's new history is its old one with this part replaced."""
    base = x.base
    edge = (base.node, base.output_nr) if base.tracked else None
    others = tuple(None if e == own else e for e in node.edges)
    rule = CopySlices(base.layout, x.layout, x.ptr - base.ptr, tuple(e is not None and e == own for e in node.edges))
    _rehang(base, new_node(rule, (edge, *others), (0,), (node,), (base.layout,)))
    attach(x)


class CopySlices:
    """The rule of a base of which a view was written: the rest of it is as before, the part came from the call that
    wrote it.

    ``itself`` says which operands of that call were the part's values before.
    """

    name = "torch::autograd::CopySlices"

    def __init__(self, base: Layout, part: Layout, offset: int, itself: tuple[bool, ...]) -> None:
        self.base, self.part, self.offset, self.itself = base, part, offset, itself

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return (0,)

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        (written,) = node.unpack().values()
        whole = clones[grads[0].layout, self.base](grads[0])
        part = strided(whole, self.part, self.offset)
        inner = written.rule.backward(written, [clones[self.part, like(self.part)](part)])
        before = None
        for g, own in zip(inner, self.itself, strict=True):
            if own and g is not None:
                before = g if before is None else before + g
        _assign(part, zeros(like(self.part)) if before is None else before)
        return whole, *(None if own else g for g, own in zip(inner, self.itself, strict=True))


def _clone_plan(source: Layout, result: Layout) -> Plan:
    """``out[...] = x[...]``, recorded, in memory laid out as ``result`` is (with its holes, if it has any)."""
    formula = Formula("clone", result.ndim, (Output(load(0, source.dtype).cast(result.dtype)),))
    return differentiable_plan(formula, [source], tuple(result.shape), [result])


def _assignment_plan(target: Layout, source: Layout) -> Plan:
    """``part[...] = value``, recorded."""
    formula = Formula("copy", target.ndim, (Output(load(0, source.dtype).cast(target.dtype)),))
    write = kernel_plan(formula, [source], tuple(target.shape), [target], in_place=True)
    rule = DerivedRule(formula, (source,), tuple(target.shape), None, "CopyBackwards")
    record = recorder(rule, [target], [source])
    return lambda part, value: in_place(part, lambda: write(part, value), record, value)


clones = PlanTable(_clone_plan)
_assignments = PlanTable(_assignment_plan)


def _assign(part: Any, value: Any) -> None:
    _assignments[part.layout, value.layout](part, value)


def stacked(rows: Sequence[Any], layout: Layout) -> Any:
    """The rows one after the other in a tensor of this dense layout, as a part of the graph."""
    whole = zeros(layout)
    if rows:
        row = dense(layout.shape[1:], layout.dtype)
        for i, value in enumerate(rows):
            _assign(strided(whole, row, i * row.nbytes), value)
    return whole
