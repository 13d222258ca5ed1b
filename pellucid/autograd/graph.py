"""The graph of a computation, recorded as it runs, and the walk back through it.

A ``Node`` stands for one call. Its edges lead to the nodes of the call's operands (or to leaf tensors, whose
``grad`` is added to), it keeps what its derivative needs together with the versions of the tensors, and its rule
turns gradients of results into gradients of operands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NoReturn, Protocol

from pellucid.autograd.hooks import NodeHooks
from pellucid.errors import shape_text
from pellucid.layout import Layout
from pellucid.runtime import native

Edge = tuple[Any, int] | None  # (node or leaf tensor, number of the result)


class Rule(Protocol):
    """How a kind of call is differentiated. ``name`` is what prints as ``grad_fn``."""

    name: str

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        """Numbers of what backward needs (results first, then operands) if these operands need gradients."""
        ...

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        """A gradient per operand (None where ``node.edges`` has None)."""
        ...


_numbers = count(-1, -1)  # descending: the next to run is the lowest


class Node:
    """One recorded call."""

    __slots__ = ("rule", "edges", "kept", "saved", "versions", "layouts", "number", "hooks", "freed", "__weakref__")
    rule: Rule
    edges: tuple[Edge, ...]
    kept: tuple[int, ...]  # numbers of the saved values
    saved: tuple[Any, ...]
    versions: tuple[int, ...]
    layouts: tuple[Layout, ...]  # of the results
    number: int
    hooks: NodeHooks | None
    freed: bool

    def name(self) -> str:
        return self.rule.name

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The nodes that gradients go to."""
        return tuple((None, 0) if e is None else (_shown(e[0]), e[1]) for e in self.edges)

    def unpack(self) -> dict[int, Any]:
        """The saved values by their number, after checking that nobody wrote into them."""
        if self.freed:
            raise RuntimeError(
                f"{self.name()}: Trying to backward through the graph a second time (or directly access saved tensors "
                "after they have already been freed). Saved intermediate values of the graph are freed when you call "
                ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the graph "
                "a second time."
            )
        for t, version in zip(self.saved, self.versions, strict=True):
            if hasattr(t, "storage") and t.storage.version != version:
                self._complain(t, version)
        return dict(zip(self.kept, self.saved, strict=True))

    def _complain(self, t: Any, version: int) -> NoReturn:
        raise RuntimeError(
            "one of the variables needed for gradient computation has been modified by an inplace operation: "
            f"[{t.layout.dtype} of shape {shape_text(t.layout.shape)}], which {self.name()} saved, is at version "
            f"{t.storage.version}; expected version {version} instead. Hint: write into a copy (x.clone()), or use "
            "the out-of-place form of the operation that came after."
        )

    def release(self) -> None:
        if self.saved:
            self.saved, self.versions, self.freed = (), (), True

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"


class AccumulateGrad:
    """What ``next_functions`` shows for a leaf."""

    def __init__(self, variable: Any) -> None:
        self.variable = variable

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"


def _shown(target: Any) -> Any:
    return target if isinstance(target, Node) else AccumulateGrad(target)


def new_node(rule: Rule, edges: tuple[Edge, ...], kept: tuple[int, ...], saved: tuple[Any, ...], layouts: Any) -> Node:
    """A node; attributes are set here rather than in ``__init__``, which would cost a call per operation."""
    node = Node()
    node.rule, node.edges, node.kept, node.saved, node.layouts = rule, edges, kept, saved, layouts
    node.versions = tuple([t.storage.version if hasattr(t, "storage") else 0 for t in saved]) if saved else ()
    node.number, node.hooks, node.freed = next(_numbers), None, False
    return node


def recorder(
    rule: Rule, results: Sequence[Layout], operands: Sequence[Any], differentiable: tuple[int, ...] = (0,)
) -> Callable[..., None]:
    """What a plan calls after a tracked call, with (*results, *operands): it hangs a node on the results.

    ``operands`` are layouts, or types for Python numbers.
    """
    layouts, n_out = tuple(results), len(results)
    tensors_at = [isinstance(x, Layout) for x in operands]
    keeps: dict[tuple[bool, ...], tuple[int, ...]] = {}

    def kept_for(edges: tuple[Edge, ...]) -> tuple[int, ...]:
        needed = tuple([e is not None for e in edges])
        kept = keeps.get(needed)
        if kept is None:
            keeps[needed] = kept = rule.keep(needed)
        return kept

    def record_two(out: Any, a: Any, b: Any) -> None:
        edges = (
            (a.node or a, a.output_nr) if a.tracked else None,
            (b.node or b, b.output_nr) if b.tracked else None,
        )
        kept = kept_for(edges)
        saved = tuple([_alias(out) if k == 0 else a if k == 1 else b for k in kept]) if kept else ()
        out.node, out.tracked = new_node(rule, edges, kept, saved, layouts), True

    def record(*tensors: Any) -> None:
        edges = tuple([
            (t.node or t, t.output_nr) if is_tensor and t.tracked else None
            for t, is_tensor in zip(tensors[n_out:], tensors_at, strict=True)
        ])  # fmt: skip
        kept = kept_for(edges)
        saved = tuple([_alias(tensors[k]) if k < n_out else tensors[k] for k in kept]) if kept else ()
        node = new_node(rule, edges, kept, saved, layouts)
        for k in differentiable:
            t = tensors[k]
            t.node, t.output_nr, t.tracked = node, k, True

    return record_two if n_out == 1 and tensors_at == [True, True] else record


def _alias(t: Any) -> Any:
    """The result without its node: a node that kept its own result would never be freed."""
    return native.new_tensor(t.layout, t.storage, t.ptr)
