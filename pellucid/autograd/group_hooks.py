"""Hooks on the gradients of several tensors at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from pellucid.autograd.hooks import RemovableHandle
from pellucid.autograd.walk import Walk, current_walk


class GroupHandle:
    """What ``register_multi_grad_hook`` returns; ``remove()`` takes the hook off all tensors. A context, too."""

    def __init__(self, handles: Sequence[RemovableHandle]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> GroupHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def register_multi_grad_hook(
    tensors: Sequence[Any], fn: Callable[..., Any], *, mode: str = "all"
) -> GroupHandle:
    """Call ``fn`` once per backward with gradients of these tensors.

    Args:
        mode: "all": ``fn(gradients)`` when the last one that this backward computes is there, with None for the
            others; "any": ``fn(gradient)`` with the first one.

    Raises:
        ValueError: another mode. RuntimeError: a tensor needs no gradient.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    tensors = tuple(tensors)
    hook_of = _any(fn) if mode == "any" else _all(tensors, fn)
    return GroupHandle([t.register_hook(hook_of(k)) for k, t in enumerate(tensors)])


def _walk() -> Walk:
    walk = current_walk()
    assert walk is not None, "hooks run in walks"
    return walk


def _any(fn: Callable[..., Any]) -> Callable[[int], Callable[[Any], None]]:
    lock, done = Lock(), WeakSet[Walk]()  # several threads may walk at once

    def hook(g: Any) -> None:
        walk = _walk()
        with lock:
            if g is None or walk in done:
                return
            done.add(walk)
        fn(g)

    return lambda k: hook


def _all(tensors: Sequence[Any], fn: Callable[..., Any]) -> Callable[[int], Callable[[Any], None]]:
    lock = Lock()
    expected: WeakKeyDictionary[Walk, int] = WeakKeyDictionary()
    found: WeakKeyDictionary[Walk, list[Any]] = WeakKeyDictionary()
    targets = [t.grad_fn or t for t in tensors]

    def hook_of(k: int) -> Callable[[Any], None]:
        def hook(g: Any) -> None:
            walk = _walk()
            with lock:
                grads = found.setdefault(walk, [None] * len(tensors))
                grads[k] = g
                expected[walk] = left = expected.get(walk, sum(map(walk.comes_to, targets))) - 1
            if not left:
                fn(grads)

        return hook

    return hook_of
