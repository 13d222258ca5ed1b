"""The walk back through the graph: ``backward`` and ``grad``."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from sys import getrefcount
from typing import Any

from pellucid.autograd import anomaly, hooks
from pellucid.autograd.fresh import copied, ones, zeros
from pellucid.autograd.graph import Edge, Node
from pellucid.autograd.inplace import clones, stacked
from pellucid.errors import shape_text, tensor_text
from pellucid.layout import Layout, dense, like
from pellucid.runtime import native


class Wanted:
    """What a walk is for, when it is not for the ``grad`` of every leaf: results of nodes, and leaves.

    ``found`` holds their gradients in the order asked for; ``add`` says that leaves get them as ``grad`` instead.
    ``needed`` are the nodes that have to run, ``reached`` also those where a gradient is only collected.
    """

    __slots__ = ("add", "found", "inner", "leaves", "needed", "reached")

    def __init__(self, roots: Iterable[Any], inputs: Sequence[Any], add: bool) -> None:
        self.found: list[Any] = [None] * len(inputs)
        self.leaves: dict[int, list[int]] = {}  # by id
        self.inner: dict[Node, list[tuple[int, int]]] = {}
        self.add = add
        for i, t in enumerate(inputs):
            if t.node is None:
                self.leaves.setdefault(id(t), []).append(i)
            else:
                self.inner.setdefault(t.node, []).append((t.output_nr, i))
        self.needed = _leading_to(roots, self.leaves, self.inner)
        self.reached = self.needed | self.inner.keys()

    def collect(self, node: Node, grads: list[Any]) -> None:
        for k, i in self.inner.get(node, ()):
            self.found[i] = grads[k]


def _leading_to(roots: Iterable[Any], leaves: dict[int, Any], inner: dict[Node, Any]) -> set[Node]:
    """The nodes that have to run for the wanted gradients to be found."""
    needed: set[Node] = set()
    reached: dict[Node, bool] = {}
    todo: list[tuple[Node, bool]] = [(r.node, False) for r in roots if r.node is not None]
    while todo:
        node, done = todo.pop()
        targets = [e[0] for e in node.edges if e is not None]
        if done:
            if any((t in needed or t in inner) if type(t) is Node else id(t) in leaves for t in targets):
                needed.add(node)
        elif node not in reached:
            reached[node] = True
            todo.append((node, True))
            todo.extend((t, False) for t in targets if type(t) is Node and t not in reached)
    return needed


def run(
    roots: Sequence[Any], gradients: Sequence[Any], keep_graph: bool, create_graph: bool, wanted: Wanted | None
) -> None:
    """Carry ``gradients`` of ``roots`` back. Nodes run in the reverse order of their recording."""
    heap: list[int] = []
    waiting: dict[int, tuple[Node, list[Any]]] = {}
    late: dict[int, tuple[Any, Any]] = {}  # by id: leaves whose gradient is handed over when it is complete
    steal = wanted is None and not create_graph and not hooks.of_leaves
    checking = anomaly.checking()
    edges: Iterable[Edge] = [(root.node or root, root.output_nr) for root in roots]
    results: Sequence[Any] = gradients
    before = native.set_grad_enabled(create_graph)
    try:
        while True:
            for edge, g in zip(edges, results, strict=True):  # hand the results on
                if edge is None or g is None:
                    continue
                target, k = edge
                if type(target) is Node:
                    number = target.number
                    found = waiting.get(number)
                    if found is not None:
                        grads = found[1]
                        grads[k] = g if grads[k] is None else grads[k] + g
                    elif wanted is None or target in wanted.reached:
                        count = len(target.pattern.layouts)
                        if count == 1:
                            grads = [g]
                        else:
                            grads = [None] * count
                            grads[k] = g
                        waiting[number] = target, grads
                        heappush(heap, number)
                elif steal and target.gradient is None:
                    target.gradient = _own(g, target.layout, results)
                elif wanted is None or id(target) in wanted.leaves:
                    sum_so_far = late.get(id(target))
                    late[id(target)] = target, g if sum_so_far is None else sum_so_far[1] + g
            if not heap:
                break
            node, grads = waiting.pop(heappop(heap))  # run the next one
            if node.hooks is not None:
                node.hooks.before(grads)
            if wanted is not None:
                wanted.collect(node, grads)
                if node not in wanted.needed:
                    edges = results = ()
                    continue
            pattern = node.pattern
            results = pattern.rule.backward(node, grads)
            if checking:
                anomaly.check(node, results)
            if node.hooks is not None:
                results = node.hooks.after(results, grads)
            if pattern.kept and not keep_graph:
                node.release()
            edges = node.edges
        for leaf, g in late.values():
            _deliver(leaf, g, create_graph, wanted)
    finally:
        native.set_grad_enabled(before)


def _deliver(leaf: Any, g: Any, create_graph: bool, wanted: Wanted | None) -> None:
    """The complete gradient of a leaf: through its hooks, into ``grad`` or among what was asked for."""
    own = hooks.of_leaves.get(id(leaf))
    if own is not None:
        g = hooks.shared(hooks.run_tensor_hooks(own.before, g))
    if wanted is not None and not wanted.add:
        for i in wanted.leaves[id(leaf)]:
            wanted.found[i] = g
        return
    if leaf.gradient is None:
        leaf.gradient = clones[g.layout, like(leaf.layout)](g) if create_graph else _own(g, leaf.layout, ())
    elif create_graph:
        leaf.gradient = leaf.gradient + g
    else:
        leaf.gradient.add_(g)
    if own is not None:
        for hook in tuple(own.after.values()):
            hook(leaf)


def _own(g: Any, layout: Layout, results: Sequence[Any]) -> Any:
    """``g`` as a ``grad`` that nobody else can see or change: its memory if nobody else holds that, else a copy.

    ``results`` are the gradients that are being handed on, among which ``g`` may be twice.
    """
    if g.layout is layout:
        holders = getrefcount(g.storage) - HELD_ONCE
        if holders == 1 and g.base is not None and getrefcount(g.base) == HELD_ONCE:
            holders = 0  # it is a view of what nobody else holds
        if holders == 0 and sum([r is g for r in results]) < 2:
            return native.new_tensor(layout, g.storage, g.ptr)
    return copied(g, like(layout))


class _Held:
    """Something with one slot, to see what ``getrefcount`` says of what one object holds."""

    def __init__(self) -> None:
        self.storage = object()


_held = _Held()
HELD_ONCE = getrefcount(_held.storage)


# -- what users call --------------------------------------------------------------------------------------------------

Tensors = Any  # a Tensor or a sequence of them


def backward(
    tensors: Tensors,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Add to the ``grad`` of every leaf the sum over cells of ``grad_tensors * d tensors / d leaf``.

    Args:
        tensors: what to differentiate; one-cell tensors need no entry in ``grad_tensors``.
        grad_tensors: for each of them, a gradient of its shape (or None: 1).
        retain_graph: keep what was saved, so that backward can run again. As ``create_graph`` by default.
        create_graph: record the walk itself, for derivatives of higher order.
        inputs: add only to the ``grad`` of these.

    Raises:
        RuntimeError: a tensor needs no gradient, has many cells and no entry in ``grad_tensors``, an entry of another
            shape, an input of another call, or values that were overwritten since.
    """
    if create_graph:
        warnings.warn(
            "Using backward() with create_graph=True will create a reference cycle between the parameter and its "
            "gradient which can cause a memory leak. We recommend using autograd.grad when creating the graph to avoid "
            "this. If you have to use this function, make sure to reset the .grad fields of your parameters to None "
            "after use to break the cycle and avoid the leak.",
            UserWarning,
            stacklevel=3,
        )
    if grad_variables is not None:
        grad_tensors = grad_variables if grad_tensors is None else grad_tensors
    roots = _sequence(tensors)
    given = _sequence(grad_tensors) if grad_tensors is not None else (None,) * len(roots)
    gradients = _starts(roots, given)
    targets = None
    if inputs is not None:
        targets = _sequence(inputs)
        if not targets:
            raise RuntimeError("'inputs' argument to backward() cannot be empty.")
        _require_tracked(targets)
    wanted = None if targets is None else Wanted(roots, targets, add=True)
    run(roots, gradients, create_graph if retain_graph is None else retain_graph, create_graph, wanted)


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, without touching any ``grad``.

    Args:
        outputs, grad_outputs, retain_graph, create_graph: as for ``backward``.
        allow_unused: None for an input that no output depends on, instead of an error.
        is_grads_batched: ``grad_outputs`` have one more dimension in front, and so have the results.
        materialize_grads: zeros instead of None.
    """
    roots, targets = _sequence(outputs), _sequence(inputs)
    given = _sequence(grad_outputs) if grad_outputs is not None else (None,) * len(roots)
    if allow_unused is None:
        allow_unused = materialize_grads
    elif materialize_grads and not allow_unused:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    keep = create_graph if retain_graph is None else retain_graph
    options = (create_graph, allow_unused, materialize_grads)
    if is_grads_batched:
        return _batched(roots, targets, given, keep, *options)
    return _grad(roots, targets, _starts(roots, given), keep, *options)


def _grad(
    roots: Sequence[Any],
    targets: Sequence[Any],
    gradients: list[Any],
    keep: bool,
    create_graph: bool,
    allow_unused: bool,
    materialize: bool,
) -> tuple[Any, ...]:
    _require_tracked(targets)
    wanted = Wanted(roots, targets, add=False)
    run(roots, gradients, keep, create_graph, wanted)
    for i, (t, g) in enumerate(zip(targets, wanted.found, strict=True)):
        if g is not None:
            continue
        if not allow_unused:
            raise RuntimeError(
                "One of the differentiated Tensors appears to not have been used in the graph: input "
                f"{i} ({tensor_text(t.layout.dtype, t.layout.shape)}). Set allow_unused=True if this is the desired "
                "behavior."
            )
        if materialize:
            wanted.found[i] = zeros(like(t.layout))
    return tuple(wanted.found)


def _batched(
    roots: Sequence[Any], targets: Sequence[Any], given: Sequence[Any], keep: bool, *options: bool
) -> tuple[Any, ...]:
    """One walk per entry of the first dimension of ``given``."""
    sizes = {g.layout.shape[0] for g in given if g is not None}
    if len(sizes) != 1:
        raise RuntimeError(f"grad(): batched grad_outputs must have one first dimension in common, not {sorted(sizes)}")
    (count,) = sizes
    rows = []
    for i in range(count):
        gradients = _starts(roots, [None if g is None else g[i] for g in given])
        rows.append(_grad(roots, targets, gradients, keep or i < count - 1, *options))
    return tuple(
        None if column[0] is None else stacked(column, dense((count, *t.layout.shape), t.layout.dtype))
        for t, column in zip(targets, zip(*rows, strict=True), strict=True)
    )


def _sequence(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, tuple | list) or not hasattr(x, "layout") else (x,)


def _starts(roots: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """The gradient of each root; as new tensors, since those of the user stay the user's."""
    if len(given) != len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(given)} gradients")
    result = []
    for i, (root, g) in enumerate(zip(roots, given, strict=True)):
        if not root.requires_grad:
            raise RuntimeError(
                f"element {i} of tensors does not require grad and does not have a grad_fn: nothing that it was "
                "computed from requires a gradient, or it was computed under no_grad() or detached. Set "
                "requires_grad=True on what you differentiate by, before the computation."
            )
        native.recorded(root)  # a view whose base was written into finds its node
        layout = root.layout
        result.append(_implicit(layout) if g is None else _explicit(i, layout, g))
    return result


def _implicit(layout: Layout) -> Any:
    if layout.numel != 1:
        raise RuntimeError(
            "grad can be implicitly created only for scalar outputs, not for "
            f"{tensor_text(layout.dtype, layout.shape)}. Reduce it first, for example with .sum() or "
            ".mean(), or pass backward(gradient=...) of this shape."
        )
    if layout.dtype.is_complex:
        raise RuntimeError(
            "grad can be implicitly created only for real scalar outputs but got "
            f"{layout.dtype}. Take .real, .imag or .abs(), or pass backward(gradient=...)."
        )
    return ones(like(layout))


def ones_for(root: Any) -> Any:
    """The gradient 1 of a tensor of one cell."""
    return ones(like(root.layout))


def _explicit(i: int, layout: Layout, g: Any) -> Any:
    if not hasattr(g, "layout"):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
    if g.layout.shape != layout.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{i}] has a shape of {shape_text(g.layout.shape)} and output[{i}] has a "
            f"shape of {shape_text(layout.shape)}. The gradient of a tensor has the tensor's shape."
        )
    if g.layout.dtype.is_complex != layout.dtype.is_complex:
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: "
            f"grad_output[{i}] has a dtype of {g.layout.dtype} and output[{i}] has a dtype of {layout.dtype}."
        )
    if g.layout.dtype is not layout.dtype:
        return g.to(layout.dtype)
    if g.tracked:
        return g
    return native.new_tensor(g.layout, g.storage, g.ptr)


def _require_tracked(inputs: Sequence[Any]) -> None:
    for t in inputs:
        if not t.requires_grad:
            raise RuntimeError(
                "One of the differentiated Tensors does not require grad: "
                f"{tensor_text(t.layout.dtype, t.layout.shape)}. Call requires_grad_() on it before the computation."
            )
