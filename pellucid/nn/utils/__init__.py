"""Work on all parameters at once."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pellucid.autograd.modes import no_grad
from pellucid.nn.utils import rnn as rnn
from pellucid.nn.utils.weight_norms import remove_spectral_norm as remove_spectral_norm
from pellucid.nn.utils.weight_norms import remove_weight_norm as remove_weight_norm
from pellucid.nn.utils.weight_norms import spectral_norm as spectral_norm
from pellucid.nn.utils.weight_norms import weight_norm as weight_norm
from pellucid.operators.joining import cat, stack
from pellucid.operators.literals import tensor
from pellucid.operators.norms import vector_norm
from pellucid.tensor import Tensor


def get_total_norm(
    tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Any:
    """The norm of all tensors together, as if they were one vector.

    Raises:
        RuntimeError: it is not finite, if ``error_if_nonfinite``.
    """
    found = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not found:
        return tensor(0.0)
    with no_grad():
        total = stack([vector_norm(t, norm_type) for t in found])
        total = vector_norm(total, norm_type)
        if error_if_nonfinite and not bool(total.isfinite()):
            raise RuntimeError(
                f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
                "clipped. To disable this error and scale the gradients anyway, set `error_if_nonfinite=False`"
            )
    return total


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: Any, foreach: bool | None = None) -> None:
    """Scale all gradients by ``max_norm / total_norm``, if that is below 1."""
    with no_grad():
        factor = (max_norm / (total_norm + 1e-6)).clamp(max=1.0)
        for p in _parameters(parameters):
            if p.gradient is not None:
                p.gradient.mul_(factor)


def clip_grad_norm_(
    parameters: Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Any:
    """Scale all gradients by ``max_norm / norm`` if their joint norm exceeds ``max_norm``; the norm is returned."""
    found = _parameters(parameters)
    gradients = [p.gradient for p in found if p.gradient is not None]
    total = get_total_norm(gradients, norm_type, error_if_nonfinite)
    clip_grads_with_norm_(found, max_norm, total)
    return total


def _parameters(given: Any) -> list[Any]:
    return [given] if isinstance(given, Tensor) else list(given)


def clip_grad_value_(parameters: Any, clip_value: float, foreach: Any = None) -> None:
    """Clip every gradient to ``[-clip_value, clip_value]``."""
    for p in _parameters(parameters):
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


def __getattr__(name: str) -> object:
    """Submodules that need the layers are loaded when they are first named."""
    if not name.startswith("_") and find_spec(f"{__name__}.{name}") is not None:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"torch.nn.utils.{name} is missing from Pellucid", name=name)
