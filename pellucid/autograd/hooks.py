"""Functions that users hang on tensors and nodes to see, or replace, gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any
from weakref import ref

from pellucid.runtime import native

Hook = Callable[..., Any]
_keys = count()


class RemovableHandle:
    """What registering a hook returns; ``remove()`` takes the hook off. It is a context manager, too."""

    def __init__(self, hooks: Any) -> None:
        """``hooks``: the dictionary that the hook is in, under the handle's ``id``."""
        self.id = next(_keys)
        self.hooks_dict_ref = ref(hooks)

    def remove(self) -> None:
        hooks = self.hooks_dict_ref()
        if hooks is not None:
            hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: Any) -> None:
        self.remove()


class HookDict(dict[int, Hook]):
    """Hooks by the key of their handle, in the order of registration. (A dict that can be referred to weakly.)"""

    __slots__ = ("__weakref__",)

    def add(self, hook: Hook) -> RemovableHandle:
        handle = RemovableHandle(self)
        self[handle.id] = hook
        return handle


class NodeHooks:
    """The hooks of one node: of its results (tensors), of the node before and after it runs."""

    __slots__ = ("post", "pre", "results", "retained")

    def __init__(self) -> None:
        self.results: dict[int, HookDict] = {}  # by number of the result
        self.pre = HookDict()
        self.post = HookDict()
        self.retained: dict[int, ref[Any]] = {}  # results whose gradient is kept as ``grad``

    def of_tensors(self, grads: list[Any]) -> None:
        """Run what was hung on the results, in place; a result without gradient shows None."""
        for k, hooks in self.results.items():
            grads[k] = shared(run_tensor_hooks(hooks, grads[k]))
        for k, where in self.retained.items():
            t = where()
            if t is not None and grads[k] is not None:
                t.gradient = grads[k].clone() if t.gradient is None else t.gradient + grads[k]

    def before(self, grads: list[Any]) -> None:
        """Run what sees the gradients of the results before the node does, in place."""
        if self.pre:
            grads[:] = [shared(g) for g in run_pre_hooks(self.pre, tuple(grads))]

    def after(self, results: Sequence[Any], grads: list[Any]) -> Sequence[Any]:
        for hook in tuple(self.post.values()):
            changed = hook(tuple(results), tuple(grads))
            if changed is not None:
                results = _as_many(hook, changed, results)
        return [shared(g) for g in results] if self.post else results


def shared(g: Any) -> Any:
    """A gradient that a user's function saw and may hold, as another tensor on its memory: so the memory has two
    holders, and nobody takes it for his own."""
    return g if g is None or g.tracked else native.new_tensor(g.layout, g.storage, g.ptr)


def run_pre_hooks(hooks: HookDict, grads: tuple[Any, ...]) -> tuple[Any, ...]:
    """The gradients after hooks that see all of them at once."""
    for hook in tuple(hooks.values()):
        changed = hook(grads)
        if changed is not None:
            grads = _as_many(hook, changed, grads)
    return grads


def _as_many(hook: Hook, changed: Any, grads: Sequence[Any]) -> tuple[Any, ...]:
    """What a hook returned in place of ``grads``.

    Raises:
        RuntimeError: it returned another number of them.
    """
    changed = tuple(changed) if isinstance(changed, tuple | list) else (changed,)
    if len(changed) != len(grads):
        raise RuntimeError(
            f"hook '{hook_name(hook)}' has returned an incorrect number of values (got {len(changed)}, but expected "
            f"{len(grads)})"
        )
    return changed


def hook_name(hook: Hook) -> str:
    return getattr(hook, "__name__", type(hook).__name__)


def run_tensor_hooks(hooks: HookDict, g: Any) -> Any:
    """The gradient after the hooks; each may return another one.

    Raises:
        TypeError, RuntimeError: what a hook returned cannot take the gradient's place.
    """
    for hook in tuple(hooks.values()):
        changed = hook(g)
        if changed is None:
            continue
        if not hasattr(changed, "layout"):
            raise TypeError(
                f"a hook of a tensor must return None or a Tensor to use as gradient, not {type(changed).__name__}"
            )
        if g is None:
            raise RuntimeError(f"hook '{hook_name(hook)}': can't replace a None gradient with a non-None value")
        was, now = g.layout, changed.layout
        if now.shape != was.shape:
            raise RuntimeError(
                f"hook '{hook_name(hook)}' has changed the size of value: its gradient has shape "
                f"{tuple(was.shape)}, the hook returned {tuple(now.shape)}"
            )
        if now.dtype is not was.dtype:
            raise RuntimeError(
                f"hook '{hook_name(hook)}' has changed the type of value (was {was.dtype} got {now.dtype}): convert "
                "what it returns with .to(gradient.dtype)"
            )
        g = changed
    return g


class LeafHooks:
    """The hooks of a leaf: on its gradient, of the node that adds it (before), on the leaf after, of that node (after).

    They run in this order; when the gradient is only asked for, the first ones alone.
    """

    __slots__ = ("after", "before", "leaf", "post", "pre")

    def __init__(self, leaf: ref[Any]) -> None:
        self.leaf = leaf
        self.before, self.pre, self.after, self.post = HookDict(), HookDict(), HookDict(), HookDict()


of_leaves: dict[int, LeafHooks] = {}  # by id; tensors compare cell by cell, so they cannot be weak keys


def _forget(hooks: dict[int, LeafHooks], key: int, _: Any) -> None:
    hooks.pop(key, None)


def of_leaf(t: Any) -> LeafHooks:
    """The hooks of a leaf, made when first asked for; they go when the leaf goes."""
    key = id(t)
    found = of_leaves.get(key)
    if found is None:
        forget: Callable[[Any], Any] = partial(_forget, of_leaves, key)
        of_leaves[key] = found = LeafHooks(ref(t, forget))
    return found
