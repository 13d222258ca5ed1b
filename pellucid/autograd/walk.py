"""The walk back through the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from sys import getrefcount
from threading import RLock, Thread, local
from typing import Any

from pellucid.autograd import anomaly, hooks
from pellucid.autograd.fresh import copied
from pellucid.autograd.graph import Edge, Node
from pellucid.autograd.inplace import clones
from pellucid.layout import Layout, like
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
        if add:  # nodes whose results retain their gradients run, with all of their hooks
            self.needed = self.reached

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


def _run(
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
                if edge is None:
                    continue
                target, k = edge
                if type(target) is Node:
                    number = target.number
                    found = waiting.get(number)
                    if found is not None:
                        if g is not None:
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
                elif g is None or (steal and target.gradient is None and _taken(target, g, results)):
                    continue
                elif wanted is None or id(target) in wanted.leaves:
                    sum_so_far = late.get(id(target))
                    late[id(target)] = target, g if sum_so_far is None else sum_so_far[1] + g
            if not heap:
                break
            node, grads = waiting.pop(heappop(heap))  # run the next one
            own = node.hooks
            if own is not None:
                own.of_tensors(grads)
            if wanted is not None:
                wanted.collect(node, grads)
                if node not in wanted.needed:
                    edges = results = ()
                    continue
            if own is not None:
                own.before(grads)
            pattern = node.pattern
            if grads[0] is None and _nothing_arrived(pattern.rule, grads):
                results = (None,) * len(node.edges)
            else:
                results = pattern.rule.backward(node, grads)
            if checking:
                anomaly.check(node, results)
            if own is not None:
                results = own.after(results, grads)
            if pattern.kept and not keep_graph:
                node.release()
            edges = node.edges
        for leaf, g in late.values():
            _deliver(leaf, g, create_graph, wanted)
    finally:
        native.set_grad_enabled(before)


class Walk:
    """A walk under way."""

    __slots__ = ("__weakref__", "callbacks", "reached", "roots", "wanted")

    def __init__(self, roots: Sequence[Any], wanted: Wanted | None) -> None:
        self.roots, self.wanted = roots, wanted
        self.callbacks: list[Callable[[], Any]] = []  # to be called when it is over
        self.reached: set[Any] | None = None

    def comes_to(self, target: Any) -> bool:
        """Whether the walk brings a gradient to a node, or to a leaf."""
        wanted = self.wanted
        key = target if type(target) is Node else id(target)
        if wanted is not None and key not in (wanted.reached if type(target) is Node else wanted.leaves):
            return False
        if self.reached is None:
            self.reached = _behind(self.roots)
        return key in self.reached


def _behind(roots: Sequence[Any]) -> set[Any]:
    """All nodes that the roots depend on, and the ids of the leaves."""
    found: set[Any] = set()
    todo = [r.node or r for r in roots]
    while todo:
        target = todo.pop()
        inner = type(target) is Node
        key = target if inner else id(target)
        if key not in found:
            found.add(key)
            if inner:
                todo.extend(e[0] for e in target.edges if e is not None)
    return found


class _OfThread(local):
    def __init__(self) -> None:
        self.walks: list[Walk] = []  # the innermost is the last


_here = _OfThread()
MOST_NESTED = 60  # walks within walks that one thread's stack takes


def current_walk() -> Walk | None:
    """The walk that runs in this thread."""
    return _here.walks[-1] if _here.walks else None


def run(
    roots: Sequence[Any], gradients: Sequence[Any], keep_graph: bool, create_graph: bool, wanted: Wanted | None
) -> None:
    """Carry ``gradients`` of ``roots`` back, then call what was queued meanwhile."""
    walks = _here.walks
    if len(walks) >= MOST_NESTED:
        _run_elsewhere(roots, gradients, keep_graph, create_graph, wanted)
        return
    walk = Walk(roots, wanted)
    walks.append(walk)
    try:
        _run(roots, gradients, keep_graph, create_graph, wanted)
        for callback in walk.callbacks:  # they may queue more
            callback()
    finally:
        walks.pop()


def _run_elsewhere(*arguments: Any) -> None:
    """A deeply nested walk goes on in a thread of its own, on a fresh stack."""
    errors: list[BaseException] = []

    def target() -> None:
        try:
            run(*arguments)
        except BaseException as error:
            errors.append(error)

    thread = Thread(target=target)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def queue_callback(callback: Callable[[], Any]) -> None:
    """Call ``callback()`` when the walk that is under way is over.

    Raises:
        RuntimeError: there is none.
    """
    walk = current_walk()
    if walk is None:
        raise RuntimeError("Final callbacks can only be installed during backward pass.")
    walk.callbacks.append(callback)


def _nothing_arrived(rule: Any, grads: list[Any]) -> bool:
    """Whether a node has nothing to do: no result of it has a gradient. (Functions of the user are called even so.)"""
    return not getattr(rule, "of_user", False) and all(g is None for g in grads)


def _deliver(leaf: Any, g: Any, create_graph: bool, wanted: Wanted | None) -> None:
    """The complete gradient of a leaf: through its hooks, into ``grad`` or among what was asked for."""
    own = hooks.of_leaves.get(id(leaf))
    if own is not None:
        g = hooks.shared(hooks.run_tensor_hooks(own.before, g))
    if wanted is not None and not wanted.add:
        for i in wanted.leaves[id(leaf)]:
            wanted.found[i] = g
        return
    if own is not None and own.pre:
        g = hooks.shared(hooks.run_pre_hooks(own.pre, (g,))[0])
    _add(leaf, g, create_graph)
    if own is not None:
        for hook in tuple(own.after.values()):
            hook(leaf)
        for hook in tuple(own.post.values()):
            hook((), (g,))


_adding = RLock()  # several threads may walk back to one leaf


def _add(leaf: Any, g: Any, create_graph: bool) -> None:
    with _adding:
        if leaf.gradient is None:
            leaf.gradient = clones[g.layout, like(leaf.layout)](g) if create_graph else _own(g, leaf.layout, ())
        elif create_graph:
            leaf.gradient = leaf.gradient + g
        else:
            leaf.gradient.add_(g)


def _taken(leaf: Any, g: Any, results: Sequence[Any]) -> bool:
    """Whether ``g`` became the first gradient of the leaf."""
    with _adding:
        if leaf.gradient is not None:  # another thread was faster
            return False
        leaf.gradient = _own(g, leaf.layout, results)
        return True


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
