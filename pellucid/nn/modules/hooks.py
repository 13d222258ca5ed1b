"""Hooks of a module: functions that see, or change, what goes in and out of its calls and of their gradients."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from pellucid.autograd.function import Function
from pellucid.autograd.hooks import RemovableHandle
from pellucid.runtime import native
from pellucid.tensor import Tensor

Hook = Callable[..., Any]


class Hooks:
    """Registration of a module's hooks. Each method gives back a handle that takes the hook off again."""

    _forward_hooks: OrderedDict[int, tuple[Hook, bool, bool]]
    _forward_pre_hooks: OrderedDict[int, tuple[Hook, bool]]
    _backward_hooks: OrderedDict[int, Hook]
    _backward_pre_hooks: OrderedDict[int, Hook]

    def register_forward_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """``hook(module, inputs, result)`` after each call; what it returns replaces the result.

        ``with_kwargs``: ``hook(module, inputs, named_inputs, result)``; ``always_call``: also when forward() raises.
        """
        return add_hook(self._forward_hooks, (hook, with_kwargs, always_call), prepend)

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """``hook(module, inputs)`` before each call; what it returns replaces the inputs.

        ``with_kwargs``: ``hook(module, inputs, named_inputs)``, which returns None or both of them.
        """
        return add_hook(self._forward_pre_hooks, (hook, with_kwargs), prepend)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """``hook(module, grad_input, grad_output)`` when the inputs' gradients are known; what it returns replaces them."""
        return add_hook(self._backward_hooks, hook, prepend)

    def register_full_backward_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """``hook(module, grad_output)`` before the module's backward; what it returns replaces the gradients."""
        return add_hook(self._backward_pre_hooks, hook, prepend)


def add_hook(hooks: OrderedDict[int, Any], hook: Any, prepend: bool = False) -> RemovableHandle:
    """Hang a hook into its dictionary, as the last or as the first one."""
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def call_with_hooks(module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """``module.forward`` between all of the module's hooks."""
    waiting = OrderedDict(module._forward_hooks)
    result = None
    try:
        inputs, named = _before(module, inputs, named)
        backward = BackwardHooks(module) if module._backward_hooks or module._backward_pre_hooks else None
        if backward:
            inputs = backward.enter(inputs)
        result = module.forward(*inputs, **named)
        while waiting:
            _, hook = waiting.popitem(last=False)
            result = _after(module, hook, inputs, named, result)
        return backward.leave(result) if backward else result
    except Exception:
        for hook in waiting.values():
            if hook[2]:
                result = _after(module, hook, inputs, named, result)
        raise


def _before(module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    for hook, with_names in list(module._forward_pre_hooks.values()):
        changed = hook(module, inputs, named) if with_names else hook(module, inputs)
        if changed is None:
            continue
        if not with_names:
            inputs = changed if isinstance(changed, tuple) else (changed,)
        elif isinstance(changed, tuple) and len(changed) == 2:
            inputs, named = changed
        else:
            raise RuntimeError(
                f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
            )
    return inputs, named


def _after(module: Any, hook: Any, inputs: tuple[Any, ...], named: dict[str, Any], result: Any) -> Any:
    function, with_names, _ = hook
    changed = function(module, inputs, named, result) if with_names else function(module, inputs, result)
    return result if changed is None else changed


class _Watch(Function):
    """The identity on some tensors; their gradients pass through a function on the way back."""

    @staticmethod
    def forward(ctx: Any, seen: Callable[[tuple[Any, ...]], tuple[Any, ...]], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.seen = seen
        ctx.set_materialize_grads(False)
        return tuple([t.view_as(t) for t in tensors])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        return (None, *ctx.seen(grads))


class BackwardHooks:
    """The backward hooks during one call of a module: its inputs and results are watched by identities."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.hooks, self.pre_hooks = list(module._backward_hooks.values()), list(module._backward_pre_hooks.values())
        self.watched, self.inputs, self.gradients = False, 0, None  # type: bool, int, Any

    def enter(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The inputs, watched: their gradients go to the hooks."""
        self.inputs = len(inputs)
        places = [k for k, x in enumerate(inputs) if isinstance(x, Tensor)]
        if not self.hooks or not native.grad_enabled() or not any(inputs[k].tracked for k in places):
            return inputs
        self.watched = True

        def seen(grads: tuple[Any, ...]) -> tuple[Any, ...]:
            full: list[Any] = [None] * self.inputs
            for k, g in zip(places, grads, strict=True):
                full[k] = g
            changed = self._call(tuple(full))
            return tuple([changed[k] for k in places])

        return _exchanged(inputs, places, seen)

    def _call(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.gradients is None:  # they come by another way than through the results: a derivative of the derivative
            return grads
        for hook in self.hooks:
            changed = hook(self.module, grads, self.gradients)
            if changed is None:
                continue
            changed = changed if isinstance(changed, tuple) else (changed,)
            if len(changed) != len(grads):
                raise RuntimeError(
                    f"Backward hook returned an invalid number of grad_input, got {len(changed)}, but expected {len(grads)}"
                )
            grads = changed
        self.gradients = None
        return grads

    def leave(self, result: Any) -> Any:
        """The result, watched: its gradients go to the hooks that come first, and are kept for the others."""
        many = isinstance(result, tuple)
        results: tuple[Any, ...] = result if many else (result,)
        places = [k for k, x in enumerate(results) if isinstance(x, Tensor)]
        if not native.grad_enabled() or not any(results[k].tracked for k in places):
            return result

        def seen(grads: tuple[Any, ...]) -> tuple[Any, ...]:
            full: list[Any] = [None] * len(results)
            for k, g in zip(places, grads, strict=True):
                full[k] = g
            outgoing = tuple(full)
            for hook in self.pre_hooks:
                changed = hook(self.module, outgoing)
                if changed is not None:
                    outgoing = changed if isinstance(changed, tuple) else (changed,)
            self.gradients = outgoing
            if not self.watched:
                self._call((None,) * self.inputs)
            return tuple([outgoing[k] for k in places])

        watched = _exchanged(results, places, seen)
        return watched if many else watched[0]


def _exchanged(values: tuple[Any, ...], places: list[int], seen: Any) -> tuple[Any, ...]:
    made = _Watch.apply(seen, *[values[k] for k in places])
    full = list(values)
    for k, t in zip(places, made, strict=True):
        full[k] = t
    return tuple(full)
