"""Work on all parameters at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pellucid.autograd.modes import no_grad
from pellucid.operators.joining import cat, stack


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: Any = None
) -> Any:
    """Scale all gradients by ``max_norm / norm`` if their joint norm exceeds ``max_norm``; the norm is returned."""
    found = [parameters] if hasattr(parameters, "layout") else list(parameters)
    gradients = [p.gradient for p in found if p.gradient is not None]
    with no_grad():
        if not gradients:
            from pellucid.operators.literals import tensor

            return tensor(0.0)
        total = stack([g.norm(norm_type) for g in gradients]).norm(norm_type)
        if error_if_nonfinite and not bool(total.isfinite()):
            raise RuntimeError(
                f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
                "clipped. To disable this error and scale the gradients anyway, set `error_if_nonfinite=False`"
            )
        factor = (max_norm / (total + 1e-6)).clamp(max=1.0)
        for g in gradients:
            g.mul_(factor)
    return total


def clip_grad_value_(parameters: Any, clip_value: float, foreach: Any = None) -> None:
    """Clip every gradient to ``[-clip_value, clip_value]``."""
    for p in [parameters] if hasattr(parameters, "layout") else parameters:
        if p.gradient is not None:
            with no_grad():
                p.gradient.clamp_(-clip_value, clip_value)


def parameters_to_vector(parameters: Iterable[Any]) -> Any:
    """All parameters, flattened, one after the other."""
    return cat([p.view(-1) for p in parameters])


def vector_to_parameters(vec: Any, parameters: Iterable[Any]) -> None:
    """The reverse: each parameter takes its cells of ``vec``."""
    start = 0
    for p in parameters:
        p.data = vec[start : start + p.numel()].view_as(p).data
        start += p.numel()
