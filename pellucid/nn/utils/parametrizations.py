"""Ready parametrizations: a length and a direction, a largest singular value of 1."""

from __future__ import annotations

from typing import Any

from pellucid.autograd.modes import no_grad
from pellucid.nn.modules.module import Module
from pellucid.nn.utils.parametrize import register_parametrization
from pellucid.nn.utils.weight_norms import SpectralNorm, WeightNorm
from pellucid.operators.norms import normalize


class _WeightNorm(Module):
    """``g * v / norm(v)``."""

    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim
        self.__dict__["_norm"] = WeightNorm("weight", dim)

    def forward(self, weight_g: Any, weight_v: Any) -> Any:
        return weight_v * (weight_g / self._norm.lengths(weight_v))

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        return self._norm.lengths(weight), weight


def weight_norm(module: Any, name: str = "weight", dim: int | None = 0) -> Any:
    """Train a length (``original0``) and a direction (``original1``) in place of a parameter; gives the module."""
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _SpectralNorm(Module):
    """``weight / sigma``, sigma being its largest singular value by power iteration."""

    def __init__(self, weight: Any, n_power_iterations: int, dim: int, eps: float) -> None:
        super().__init__()
        self.dim = dim if dim >= 0 else dim + weight.dim()
        self.n_power_iterations, self.eps = n_power_iterations, eps
        self.__dict__["_norm"] = SpectralNorm("weight", n_power_iterations, self.dim, eps)
        if weight.dim() > 1:
            with no_grad():
                matrix = self._norm.as_matrix(weight)
                u, v = (normalize(weight.new_empty(n).normal_(0, 1), dim=0, eps=eps) for n in matrix.shape)
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)
            self._closer(matrix, 15)

    def _closer(self, matrix: Any, steps: int) -> None:
        with no_grad():
            for _ in range(steps):
                self._u.copy_(normalize(matrix.mv(self._v), dim=0, eps=self.eps))
                self._v.copy_(normalize(matrix.T.mv(self._u), dim=0, eps=self.eps))

    def forward(self, weight: Any) -> Any:
        if weight.dim() == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = self._norm.as_matrix(weight)
        if self.training:
            self._closer(matrix, self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # they change at the next reading, maybe before this one's backward
        return weight / u.dot(matrix.mv(v))

    def right_inverse(self, value: Any) -> Any:
        return value


def spectral_norm(
    module: Any, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Any:
    """Divide a parameter by its largest singular value; gives the module.

    Raises:
        ValueError: there is no such parameter, or no step.
    """
    weight = getattr(module, name, None)
    if weight is None:
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if dim is None:
        dim = int(type(module).__name__.startswith("ConvTranspose"))
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))


def __getattr__(name: str) -> object:
    raise AttributeError(f"torch.nn.utils.parametrizations.{name} is missing from Pellucid", name=name)
