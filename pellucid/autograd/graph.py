"""The graph of a computation, recorded as it runs.

A ``Node`` stands for one call. Its edges lead to the nodes of the call's operands (or to leaf tensors, whose
``grad`` is added to), it keeps what its derivative needs together with the versions of the tensors, and its rule
turns gradients of results into gradients of operands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from sys import _getframe
from typing import Any, NamedTuple, NoReturn, Protocol
from weakref import WeakValueDictionary

from pellucid.autograd.hooks import NodeHooks, RemovableHandle, of_leaf
from pellucid.autograd.places import Place, last_write, outside, place, place_text
from pellucid.autograd.saved import Packed
from pellucid.autograd.saved import active as hooked
from pellucid.autograd.saved import current as current_hooks
from pellucid.autograd.saved import disable_saved_tensors_hooks as disable_saved_tensors_hooks
from pellucid.autograd.saved import save_on_cpu as save_on_cpu
from pellucid.autograd.saved import saved_tensors_hooks as saved_tensors_hooks
from pellucid.errors import tensor_text
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
        """A gradient per operand (None where ``node.edges`` has None). A result without gradient has None."""
        ...


class Pattern:
    """What all calls of one kind share whose operands need gradients at the same places.

    ``pulls`` is the rule's own: what it prepared for these calls.
    """

    __slots__ = ("kept", "layouts", "pulls", "rule")

    def __init__(self, rule: Rule, layouts: tuple[Layout, ...], kept: tuple[int, ...]) -> None:
        self.rule, self.layouts, self.kept = rule, layouts, kept
        self.pulls: tuple[Callable[..., Any], ...] | None = None


_numbers = count(-1, -1)  # descending: the next node to run is the one with the lowest number


class Node:
    """One recorded call. ``saved``, ``versions`` and ``place`` are set if its pattern keeps anything."""

    __slots__ = ("__weakref__", "_metadata", "edges", "hooks", "number", "pattern", "place", "saved", "versions")
    pattern: Pattern
    edges: tuple[Edge, ...]
    saved: tuple[Any, ...] | None  # None once released
    versions: tuple[int, ...]
    number: int
    hooks: NodeHooks | None
    place: Place | None

    @property
    def rule(self) -> Rule:
        return self.pattern.rule

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The layouts of the results."""
        return self.pattern.layouts

    def name(self) -> str:
        return self.pattern.rule.name

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The nodes that gradients go to."""
        return tuple((None, 0) if e is None else (_shown(e[0]), e[1]) for e in self.edges)

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dict for the user's own notes."""
        try:
            return self._metadata
        except AttributeError:
            self._metadata: dict[Any, Any] = {}
            return self._metadata

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(gradients of operands, gradients of results)`` after the node ran; it may return other
        gradients of operands."""
        return hooks_of(self).post.add(hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(gradients of results)`` before the node runs; it may return other ones."""
        return hooks_of(self).pre.add(hook)

    def values(self) -> tuple[Any, ...]:
        """The saved values, after checking that nobody wrote into them.

        Raises:
            RuntimeError: they were released by an earlier backward, or overwritten.
        """
        if not self.pattern.kept:
            return ()
        saved = self.saved
        if saved is None:
            self._complain_released()
        versions = self.versions
        for i, t in enumerate(saved):
            version = versions[i]
            if version >= 0:
                if t.storage.version != version:
                    self._complain_overwritten(t, version)
            elif version == PACKED:
                return tuple([x.unpack(_attached) if type(x) is Packed else x for x in saved])
        return saved

    def unpack(self) -> dict[int, Any]:
        """The saved values by their number (see ``Rule.keep``); raises as ``values``."""
        return dict(zip(self.pattern.kept, self.values(), strict=True))

    def _complain_released(self) -> NoReturn:
        raise RuntimeError(
            f"{self.name()}: Trying to backward through the graph a second time (or directly access saved tensors "
            "after they have already been freed). Saved intermediate values of the graph are freed when you call "
            ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the graph "
            "a second time or if you need to access saved tensors after calling backward."
        )

    def _complain_overwritten(self, t: Any, version: int) -> NoReturn:
        written = place_text(last_write(t.storage))
        unseen = " outside of the graph: under no_grad(), through detach() or NumPy"
        raise RuntimeError(
            "one of the variables needed for gradient computation has been modified by an inplace operation: "
            f"[{tensor_text(t.layout.dtype, t.layout.shape)}], which {self.name()} saved{place_text(self.place)}, is "
            f"at version {t.storage.version}; expected version {version} instead. It was "
            f"overwritten{written or unseen}. Hint: write into a copy (x.clone()), or use "
            "the out-of-place form of the operation that overwrites."
        )

    def release(self) -> None:
        """Drop what was saved."""
        if self.pattern.kept and self.saved is not None:
            for value in self.saved:
                if type(value) is Node:
                    value.release()
            self.saved = None

    def __getattr__(self, name: str) -> Any:
        """What a custom function hung on its context can be read from the node."""
        context = None if name.startswith("__") else getattr(self.pattern.rule, "context", None)
        if context is None:
            raise AttributeError(f"{self.name()} has no attribute {name!r}")
        return getattr(context, name)

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"


def hooks_of(node: Node) -> NodeHooks:
    if node.hooks is None:
        node.hooks = NodeHooks()
    return node.hooks


class AccumulateGrad(Node):
    """What the graph shows for a leaf: the node that adds to its ``grad``. (Edges lead to the leaf itself.)"""

    __slots__ = ("variable",)

    def __init__(self, variable: Any) -> None:
        self.variable = variable

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return ()

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook((gradient,))`` before the gradient is added to the leaf's; it may return another one."""
        return of_leaf(self.variable).pre.add(hook)

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook((), (gradient,))`` after it was added."""
        return of_leaf(self.variable).post.add(hook)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"AccumulateGrad has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {id(self):#x}>"


_accumulators: WeakValueDictionary[int, AccumulateGrad] = WeakValueDictionary()  # by the leaf's id: it keeps the leaf


def accumulator(leaf: Any) -> AccumulateGrad:
    """The node of a leaf, the same one as long as somebody holds it."""
    found = _accumulators.get(id(leaf))
    if found is None:
        _accumulators[id(leaf)] = found = AccumulateGrad(leaf)
    return found


def _shown(target: Any) -> Any:
    return target if type(target) is Node else accumulator(target)


def new_node(rule: Rule, edges: tuple[Edge, ...], kept: tuple[int, ...], saved: tuple[Any, ...], layouts: Any) -> Node:
    """A node by itself: ``saved`` are tensors, numbers, or nodes that this one runs; ``kept`` are their numbers."""
    node = Node()
    node.pattern, node.edges = Pattern(rule, tuple(layouts), kept), edges
    node.number, node.hooks = next(_numbers), None
    if kept:
        _save(node, saved)
        if hooked:
            _pack(node)
        node.place = place(_getframe(1))
    return node


def node_of(pattern: Pattern, edges: tuple[Edge, ...]) -> Node:
    """A node of a pattern that keeps nothing."""
    node = Node()
    node.pattern, node.edges, node.number, node.hooks = pattern, edges, next(_numbers), None
    return node


PLAIN, PACKED = -1, -2  # instead of versions: a number or a node; a tensor that a user's hook packed


def _pack(node: Node) -> None:
    """Send what the node saved through the pack hook of this thread, if there is one."""
    pair = current_hooks()
    if pair is None:
        return
    assert node.saved is not None
    before = native.set_grad_enabled(False)
    try:
        node.saved = tuple([Packed(t, pair) if hasattr(t, "layout") else t for t in node.saved])
    finally:
        native.set_grad_enabled(before)
    node.versions = tuple([PACKED if type(t) is Packed else PLAIN for t in node.saved])


class _Same:
    """The rule of a tensor that a user's hook gave back in place of a leaf: the gradient is the leaf's."""

    name = "AliasBackward0"

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return ()

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        return (grads[0],)


def _attached(t: Any, edge: tuple[Any, int]) -> Any:
    """The values of ``t`` as the result that ``edge`` names."""
    target, k = edge
    fresh = native.new_tensor(t.layout, t.storage, t.ptr)
    if type(target) is not Node:
        target, k = node_of(Pattern(_Same(), (t.layout,), ()), (edge,)), 0
    fresh.node, fresh.output_nr, fresh.tracked = target, k, True
    return fresh


def _save(node: Node, saved: tuple[Any, ...]) -> None:
    node.saved = saved
    node.versions = tuple([t.storage.version if hasattr(t, "storage") else PLAIN for t in saved])


def _alias(t: Any) -> Any:
    """The result without its node: a node that kept its own result would never be freed."""
    return native.new_tensor(t.layout, t.storage, t.ptr)


def recorder(
    rule: Rule, results: Sequence[Layout], operands: Sequence[Any], differentiable: tuple[int, ...] = (0,)
) -> Callable[..., None]:
    """What a plan calls after a tracked call, with (*results, *operands): it hangs a node on the results.

    ``operands`` are layouts, or types for Python numbers. ``differentiable`` are the results that can have a
    gradient.
    """
    layouts, n_out = tuple(results), len(results)
    tensors_at = tuple(isinstance(x, Layout) for x in operands)
    patterns = _Patterns(rule, layouts)
    if n_out == 1 and differentiable == (0,):
        if tensors_at == (True, True):
            return _record_two(patterns)
        if tensors_at[:1] == (True,) and not any(tensors_at[1:]) and len(tensors_at) < 3:
            return _record_one(patterns, len(tensors_at))

    def record(*tensors: Any) -> None:
        given = tensors[n_out:]
        edges = tuple([
            (t.node or t, t.output_nr) if is_tensor and t.tracked else None
            for t, is_tensor in zip(given, tensors_at, strict=True)
        ])  # fmt: skip
        node = Node()
        node.pattern = pattern = patterns[tuple([e is not None for e in edges])]
        node.edges, node.number, node.hooks = edges, next(_numbers), None
        if pattern.kept:
            _save(node, tuple([_alias(tensors[k]) if k < n_out else tensors[k] for k in pattern.kept]))
            if hooked:
                _pack(node)
            node.place = place(_getframe(1))
        for k in differentiable:
            t = tensors[k]
            t.node, t.output_nr, t.tracked = node, k, True

    return _with_patterns(record, patterns)


def recording(plan: Callable[..., Any], record: Callable[..., None]) -> Callable[..., Any]:
    """The plan of one result, made of several native calls that record nothing, and then the recorder."""

    def recorded(*tensors: Any) -> Any:
        out = plan(*tensors)
        if native.recorded(*tensors):
            record(out, *tensors)
        return out

    return recorded


class _Patterns(dict[tuple[bool, ...], Pattern]):
    """The pattern for each set of operands that need gradients."""

    def __init__(self, rule: Rule, layouts: tuple[Layout, ...]) -> None:
        super().__init__()
        self.rule, self.layouts = rule, layouts

    def __missing__(self, needed: tuple[bool, ...]) -> Pattern:
        self[needed] = made = Pattern(self.rule, self.layouts, tuple(self.rule.keep(needed)))
        return made


def _with_patterns(record: Callable[..., None], patterns: _Patterns) -> Callable[..., None]:
    record.patterns = patterns  # type: ignore[attr-defined]
    return record


# The same for the calls that programs are full of; here every attribute counts.


def _record_two(patterns: _Patterns) -> Callable[..., None]:
    both: Pattern | None = None

    def record(out: Any, a: Any, b: Any) -> None:
        nonlocal both
        out.node = node = Node()
        out.tracked = True
        node.number = next(_numbers)
        node.hooks = None
        if a.tracked:
            if b.tracked:
                node.edges = (a.node or a, a.output_nr), (b.node or b, b.output_nr)
                if both is None:
                    both = patterns[True, True]
                node.pattern = pattern = both
            else:
                node.edges = (a.node or a, a.output_nr), None
                node.pattern = pattern = patterns[True, False]
        else:
            node.edges = None, (b.node or b, b.output_nr)
            node.pattern = pattern = patterns[False, True]
        kept = pattern.kept
        if not kept:
            return
        if kept == BOTH:
            node.saved, node.versions = (a, b), (a.storage.version, b.storage.version)
        elif kept == FIRST:
            node.saved, node.versions = (a,), (a.storage.version,)
        elif kept == SECOND:
            node.saved, node.versions = (b,), (b.storage.version,)
        else:
            _save(node, tuple([_alias(out) if k == 0 else a if k == 1 else b for k in kept]))
        if hooked:
            _pack(node)
        try:
            frame = _getframe(2)  # record <- operator <- user
        except ValueError:  # there is no operator in between
            frame = _getframe(1)
        code = frame.f_code
        node.place = (code, frame.f_lasti) if code.co_filename in outside else place(_getframe(1))

    return _with_patterns(record, patterns)


RESULT, FIRST, SECOND, BOTH = (0,), (1,), (2,), (1, 2)


def _record_one(patterns: _Patterns, operands: int) -> Callable[..., None]:
    key = (True, False)[:operands]
    single: Pattern | None = None

    def record(out: Any, a: Any, number: Any = None) -> None:
        nonlocal single
        if single is None:
            single = patterns[key]
        out.node = node = Node()
        out.tracked = True
        node.number = next(_numbers)
        node.hooks = None
        node.pattern = single
        node.edges = ((a.node or a, a.output_nr),) if operands == 1 else ((a.node or a, a.output_nr), None)
        kept = single.kept
        if not kept:
            return
        if kept == FIRST:
            node.saved, node.versions = (a,), (a.storage.version,)
        elif kept == RESULT:
            storage = out.storage
            node.saved, node.versions = (new_tensor(out.layout, storage, out.ptr),), (storage.version,)
        else:
            _save(node, tuple([_alias(out) if k == 0 else a if k == 1 else number for k in kept]))
        if hooked:
            _pack(node)
        try:
            frame = _getframe(2)
        except ValueError:
            frame = _getframe(1)
        code = frame.f_code
        node.place = (code, frame.f_lasti) if code.co_filename in outside else place(_getframe(1))

    new_tensor = native.new_tensor
    return _with_patterns(record, patterns)


# -- what users can do with the graph ---------------------------------------------------------------------------------


class GradientEdge(NamedTuple):
    """A result in the graph: the node that made it and its number there."""

    node: Any
    output_nr: int
    ownership_token: Any = None


def get_gradient_edge(tensor: Any) -> GradientEdge:
    """Where the gradient of ``tensor`` arrives."""
    if not tensor.requires_grad:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    return GradientEdge(_shown(tensor.node or tensor), tensor.output_nr)


def increment_version(tensor: Any) -> None:
    """Say that the memory of one tensor, or of several, was written by other means."""
    for t in (tensor,) if hasattr(tensor, "layout") else tensor:
        t.storage.version += 1


def __getattr__(name: str) -> Any:
    """What is built on walks, and is found here under PyTorch's name."""
    if name == "register_multi_grad_hook":
        from pellucid.autograd.group_hooks import register_multi_grad_hook

        return register_multi_grad_hook
    raise AttributeError(f"torch.autograd.graph.{name} is missing from Pellucid", name=name)
