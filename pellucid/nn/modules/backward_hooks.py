"""Hooks on the gradients that go into and out of a module's calls."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from pellucid.autograd.function import Function
from pellucid.runtime import native
from pellucid.tensor import Tensor

Hook = Callable[..., Any]
Grads = tuple[Any, ...]


class BackwardHookFunction(Function):
    """The identity on some tensors; their gradients pass through a function on the way back."""

    @staticmethod
    def forward(ctx: Any, seen: Callable[[Grads], Grads], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.seen = seen
        ctx.set_materialize_grads(False)
        results = tuple([t.view_as(t) for t in tensors])
        ctx.mark_non_differentiable(*[r for r, t in zip(results, tensors, strict=True) if not t.requires_grad])
        return results

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Grads:
        return (None, *ctx.seen(grads))


class BackwardHooks:
    """The backward hooks during one call of a module: its inputs and its results are watched by identities.

    Args:
        hooks: ``hook(module, grad_input, grad_output)``, when the inputs' gradients are there.
        pre_hooks: ``hook(module, grad_output)``, when the results' gradients are there.
    """

    def __init__(self, module: Any, hooks: Sequence[Hook], pre_hooks: Sequence[Hook]) -> None:
        self.module, self.hooks, self.pre_hooks = module, hooks, pre_hooks
        self.watched, self.inputs = False, 0
        self.outgoing: Grads | None = None  # the results' gradients, until the inputs' are there

    def enter(self, inputs: Grads) -> Grads:
        """The inputs, watched: their gradients go to the hooks."""
        self.inputs = len(inputs)
        watched: Grads = _watched(inputs, self._inputs_seen)
        self.watched = watched is not inputs
        return watched

    def leave(self, result: Any) -> Any:
        """The result, watched: its gradients go to the hooks that come first, and are kept for the others."""
        if isinstance(result, tuple):
            return _watched(result, self._results_seen)
        if not isinstance(result, Tensor):
            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but received "
                f"{type(result)}",
                UserWarning,
                stacklevel=4,
            )
        return _watched((result,), self._results_seen)[0]

    def _inputs_seen(self, grads: Grads) -> Grads:
        if self.outgoing is None:  # they come by another way than through the results: a derivative of the derivative
            return grads
        for hook in self.hooks:
            changed = hook(self.module, grads, self.outgoing)
            if changed is not None:
                grads = _as_many(changed, grads, "Backward hook", "grad_input")
        self.outgoing = None
        return grads

    def _results_seen(self, grads: Grads) -> Grads:
        for hook in self.pre_hooks:
            changed = hook(self.module, grads)
            if changed is not None:
                grads = _as_many(changed, grads, "Backward pre hook", "grad_output")
        if self.watched:
            self.outgoing = grads
        else:
            self._call_without_inputs(grads)
        return grads

    def _call_without_inputs(self, grads: Grads) -> None:
        """No input needs a gradient, so the hooks are called as soon as the results' gradients are there."""
        if self.hooks:
            warnings.warn(
                "Full backward hook is firing when gradients are computed with respect to module outputs since no "
                "inputs require gradients.",
                UserWarning,
                stacklevel=6,
            )
        for hook in self.hooks:
            changed = hook(self.module, (None,) * self.inputs, grads)
            if changed is not None and not (isinstance(changed, tuple) and all(g is None for g in changed)):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always return None or None for "
                    "all gradients."
                )


def _as_many(changed: Any, grads: Grads, kind: str, what: str) -> Grads:
    changed = changed if isinstance(changed, tuple | list) else (changed,)
    if len(changed) != len(grads):
        raise RuntimeError(
            f"{kind} returned an invalid number of {what}, got {len(changed)}, but expected {len(grads)}"
        )
    return tuple(changed)


def _watched(values: Any, seen: Callable[[Grads], Grads]) -> Any:
    """The values with their tensors replaced by watched ones, if a gradient can come to any.

    ``seen`` gets a gradient, or None, for every value.
    """
    places = [k for k, x in enumerate(values) if isinstance(x, Tensor)]
    if not native.grad_enabled() or not any(values[k].requires_grad for k in places):
        return values

    def of_tensors(grads: Grads) -> Grads:
        full: list[Any] = [None] * len(values)
        for k, g in zip(places, grads, strict=True):
            full[k] = g
        changed = seen(tuple(full))
        return tuple([changed[k] for k in places])

    full = list(values)
    for k, t in zip(places, BackwardHookFunction.apply(of_tensors, *[values[k] for k in places]), strict=True):
        full[k] = t
    return tuple(full) if type(values) is tuple else type(values)(*full)


def hook_last_call(module: Any, result: Any, hooks: Sequence[Hook]) -> None:
    """Hang hooks of the old kind on the call that made the result: they see what goes into and out of that one."""
    while not isinstance(result, Tensor):
        result = next(v for v in result.values() if isinstance(v, Tensor)) if isinstance(result, dict) else result[0]
    if result.grad_fn is None:
        return
    for hook in hooks:
        result.grad_fn.register_hook(lambda inputs, outputs, hook=hook: hook(module, inputs, outputs))
