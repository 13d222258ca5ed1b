"""Hooks of a module: functions that see, or change, what goes in and out of its calls and of their gradients."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from pellucid.autograd.hooks import RemovableHandle
from pellucid.nn.modules.backward_hooks import BackwardHooks, hook_last_call

Hook = Callable[..., Any]


class Hooks:
    """Registration of a module's hooks. Each method gives back a handle that takes the hook off again."""

    _forward_hooks: OrderedDict[int, tuple[Hook, bool, bool]]
    _forward_pre_hooks: OrderedDict[int, tuple[Hook, bool]]
    _backward_hooks: OrderedDict[int, Hook]
    _backward_pre_hooks: OrderedDict[int, Hook]
    _is_full_backward_hook: bool | None = None

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
        self._set_kind(True)
        return add_hook(self._backward_hooks, hook, prepend)

    def register_backward_hook(self, hook: Hook) -> RemovableHandle:
        """The old kind: ``hook`` sees the gradients of the last call inside of ``forward`` alone."""
        self._set_kind(False)
        return add_hook(self._backward_hooks, hook)

    def _set_kind(self, full: bool) -> None:
        if self._is_full_backward_hook is (not full):
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single Module. Please use only one "
                "of them."
            )
        self._is_full_backward_hook = full

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


# -- hooks of all modules ---------------------------------------------------------------------------------------------

everywhere: OrderedDict[int, tuple[str, Any]] = OrderedDict()  # (kind, hook): one dictionary, for one question per call


def of_all(kind: str) -> list[Any]:
    """The hooks of all modules of one kind, in the order of registration."""
    return [hook for k, hook in everywhere.values() if k == kind]


def register_module_forward_hook(
    hook: Hook, *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """``Module.register_forward_hook`` for all modules; it runs before their own."""
    return add_hook(everywhere, ("forward", (hook, with_kwargs, always_call)))


def register_module_forward_pre_hook(hook: Hook) -> RemovableHandle:
    """``Module.register_forward_pre_hook`` for all modules; it runs before their own."""
    return add_hook(everywhere, ("forward_pre", (hook, False)))


def register_module_full_backward_hook(hook: Hook) -> RemovableHandle:
    """``Module.register_full_backward_hook`` for all modules."""
    if of_all("last_call"):
        raise RuntimeError("Cannot use both regular backward hooks and full backward hooks as a global Module hook.")
    return add_hook(everywhere, ("backward", hook))


def register_module_full_backward_pre_hook(hook: Hook) -> RemovableHandle:
    """``Module.register_full_backward_pre_hook`` for all modules."""
    return add_hook(everywhere, ("backward_pre", hook))


def register_module_backward_hook(hook: Hook) -> RemovableHandle:
    """``Module.register_backward_hook`` for all modules."""
    if of_all("backward"):
        raise RuntimeError("Cannot use both regular backward hooks and full backward hooks as a global Module hook.")
    return add_hook(everywhere, ("last_call", hook))


# -- a call -----------------------------------------------------------------------------------------------------------


def call_with_hooks(module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """``module.forward`` between all hooks."""
    waiting = [*of_all("forward"), *module._forward_hooks.values()]
    result = None
    try:
        inputs, named = _before(module, inputs, named)
        own = list(module._backward_hooks.values())
        old = [] if module._is_full_backward_hook is not False else own
        full = [*of_all("backward"), *([] if old else own)]
        first = [*of_all("backward_pre"), *module._backward_pre_hooks.values()]
        backward = BackwardHooks(module, full, first) if full or first else None
        if backward:
            inputs = backward.enter(inputs)
        result = module.forward(*inputs, **named)
        while waiting:
            result = _after(module, waiting.pop(0), inputs, named, result)
        if backward:
            result = backward.leave(result)
        if old := [*of_all("last_call"), *old]:
            hook_last_call(module, result, old)
        return result
    except Exception:
        for hook in waiting:
            if hook[2]:
                result = _after_failure(module, hook, inputs, named, result)
        raise


def _before(module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    for hook, with_names in [*of_all("forward_pre"), *module._forward_pre_hooks.values()]:
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


def _after_failure(module: Any, hook: Any, inputs: tuple[Any, ...], named: dict[str, Any], result: Any) -> Any:
    try:
        return _after(module, hook, inputs, named, result)
    except Exception as error:
        warnings.warn(
            "module forward hook with ``always_call=True`` raised an exception that was silenced as another error was "
            f"raised in forward: {error}",
            UserWarning,
            stacklevel=5,
        )
        return result
