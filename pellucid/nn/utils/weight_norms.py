"""Weights that are worked out anew before every call: from a length and a direction, or divided by their largest
stretch.

    weight_norm      weight = g * v / norm(v)             (Salimans & Kingma 2016)
    spectral_norm    weight = weight_orig / sigma, sigma = u^T W v: its largest singular value, by power iteration
                                                          (Miyato et al. 2018)
"""

from __future__ import annotations

from typing import Any
from warnings import warn

from pellucid.autograd.modes import no_grad
from pellucid.nn.parameter import Parameter, is_lazy
from pellucid.operators.norms import normalize, vector_norm


class WeightNorm:
    """The hook of `weight_norm`: sets the weight before each call."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name, self.dim = name, -1 if dim is None else dim

    def compute_weight(self, module: Any) -> Any:
        """``g * v / norm(v)``."""
        v = getattr(module, f"{self.name}_v")
        return v * (getattr(module, f"{self.name}_g") / self.lengths(v))

    def lengths(self, v: Any) -> Any:
        """The norm of each slice along ``dim``; of the whole, if that is -1."""
        if self.dim == -1:
            return vector_norm(v, 2)
        if self.dim == v.dim() - 1:
            return vector_norm(v, 2, tuple(range(v.dim() - 1)), True)
        first: Any = vector_norm(v.transpose(0, self.dim), 2, tuple(range(1, v.dim())), True)
        return first.transpose(0, self.dim)

    def remove(self, module: Any) -> None:
        """Make the weight an ordinary parameter."""
        weight = self.compute_weight(module).detach()
        delattr(module, self.name)
        del module._parameters[f"{self.name}_g"], module._parameters[f"{self.name}_v"]
        module.register_parameter(self.name, Parameter(weight))

    def __call__(self, module: Any, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: Any, name: str = "weight", dim: int | None = 0) -> Any:
    """Train the length ``name_g`` and the direction ``name_v`` of a parameter in place of itself; gives the module.

    Args:
        dim: each slice along this dimension has a length of its own; None: one for the whole.

    Raises:
        RuntimeError: it has been done already. ValueError: the parameter waits for its shape.
    """
    warn(
        "`torch.nn.utils.weight_norm` is deprecated in favor of `torch.nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
        stacklevel=2,
    )
    _refuse_twice(module, WeightNorm, name, "weight_norm")
    hook, weight = WeightNorm(name, dim), _taken(module, name)
    with no_grad():
        lengths = hook.lengths(weight)
    module.register_parameter(f"{name}_g", Parameter(lengths))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Any, name: str = "weight") -> Any:
    """Make the weight an ordinary parameter again.

    Raises:
        ValueError: the module has no such weight.
    """
    return _removed(module, WeightNorm, name, "weight_norm")


class SpectralNorm:
    """The hook of `spectral_norm`: sets the weight before each call."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.name, self.n_power_iterations, self.dim, self.eps = name, n_power_iterations, dim, eps

    def as_matrix(self, weight: Any) -> Any:
        """``dim`` first, all other dimensions together."""
        return weight.movedim(self.dim, 0).reshape(weight.shape[self.dim], -1)

    def compute_weight(self, module: Any, do_power_iteration: bool) -> Any:
        """``weight_orig / (u^T W v)``; u and v, which no gradient flows to, come closer by power iteration."""
        weight = getattr(module, f"{self.name}_orig")
        u, v = getattr(module, f"{self.name}_u"), getattr(module, f"{self.name}_v")
        matrix = self.as_matrix(weight)
        if do_power_iteration:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(normalize(matrix.T.mv(u), dim=0, eps=self.eps))
                    u.copy_(normalize(matrix.mv(v), dim=0, eps=self.eps))
                u, v = u.clone(), v.clone()  # the buffers change at the next call, maybe before this one's backward
        return weight / u.dot(matrix.mv(v))

    def remove(self, module: Any) -> None:
        """Make the weight an ordinary parameter."""
        with no_grad():
            weight = self.compute_weight(module, False)
        for name in (self.name, f"{self.name}_u", f"{self.name}_v", f"{self.name}_orig"):
            delattr(module, name)
        module.register_parameter(self.name, Parameter(weight.detach()))

    def __call__(self, module: Any, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))


def spectral_norm(
    module: Any, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Any:
    """Divide a parameter by its largest singular value before every call; gives the module.

    Args:
        n_power_iterations: steps toward it, at each call in training.
        dim: the dimension of the outputs; by default 1 for transposed convolutions, else 0.

    Raises:
        RuntimeError: it has been done already. ValueError: no step, or the parameter waits for its shape.
    """
    _refuse_twice(module, SpectralNorm, name, "spectral_norm")
    if dim is None:
        dim = int(type(module).__name__.startswith("ConvTranspose"))
    hook = SpectralNorm(name, n_power_iterations, dim, eps)
    weight = _taken(module, name)
    with no_grad():
        rows, columns = hook.as_matrix(weight).shape
        u = normalize(weight.new_empty(rows).normal_(0, 1), dim=0, eps=eps)
        v = normalize(weight.new_empty(columns).normal_(0, 1), dim=0, eps=eps)
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.data)  # for who reads it before the first call
    module.register_buffer(f"{name}_u", u)
    module.register_buffer(f"{name}_v", v)
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Any, name: str = "weight") -> Any:
    """Make the weight an ordinary parameter again.

    Raises:
        ValueError: the module has no such weight.
    """
    return _removed(module, SpectralNorm, name, "spectral_norm")


def _refuse_twice(module: Any, kind: type, name: str, what: str) -> None:
    if _key(module, kind, name) is not None:
        raise RuntimeError(f"Cannot register two {what} hooks on the same parameter {name}")


def _taken(module: Any, name: str) -> Any:
    """The parameter, which is none of the module's any more."""
    if name not in module._parameters:
        raise KeyError(f"{type(module).__name__} has no parameter {name!r}, it has {[*module._parameters]}")
    weight = module._parameters[name]
    if is_lazy(weight):
        raise ValueError(
            "The module can't have uninitialized parameters. Make sure to run the dummy forward before applying "
            f"normalization to {name!r}"
        )
    del module._parameters[name]
    return weight


def _removed(module: Any, kind: Any, name: str, what: str) -> Any:
    key = _key(module, kind, name)
    if key is None:
        raise ValueError(f"{what} of '{name}' not found in {module}")
    module._forward_pre_hooks.pop(key)[0].remove(module)
    return module


def _key(module: Any, kind: Any, name: str) -> int | None:
    """Under which key the module has such a hook."""
    hooks = module._forward_pre_hooks.items()
    return next((key for key, (hook, _) in hooks if isinstance(hook, kind) and hook.name == name), None)
