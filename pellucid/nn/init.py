"""Initial values: drawn in place, without gradients, with PyTorch's numbers for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, erf, prod, sqrt
from typing import Any
from warnings import warn

import numpy as np

from pellucid.autograd.modes import no_grad
from pellucid.operators.creation import empty_like
from pellucid.operators.random_creation import randperm
from pellucid.operators.selecting import where
from pellucid.tensor import Tensor, array_of

_GAINS = {"tanh": 5.0 / 3, "relu": sqrt(2.0), "selu": 3.0 / 4}
_CONVOLUTIONS = tuple(f"{kind}{n}d" for kind in ("conv", "conv_transpose") for n in (1, 2, 3))
_LINEAR = ("linear", "sigmoid", *_CONVOLUTIONS)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """What keeps the variance through the nonlinearity: sqrt(2) for relu, sqrt(2 / (1 + slope^2)) for leaky_relu."""
    if nonlinearity in _LINEAR:
        return 1.0
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return _GAINS[nonlinearity]


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Any:
    """U(a, b)."""
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Any:
    """N(mean, std^2)."""
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Any, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Any:
    """The normal distribution between ``a`` and ``b``: what falls outside is drawn again.

    Where less than 0.3 of the distribution lies inside, numbers are drawn uniformly and accepted by their density.
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be incorrect.",
            UserWarning,
            stacklevel=2,
        )
    inside = (erf((b - mean) / std / sqrt(2.0)) - erf((a - mean) / std / sqrt(2.0))) / 2.0
    with no_grad():
        if inside > 0.3:
            _redraw(tensor, mean, std, a, b, generator)
        else:
            _accept(tensor, mean, std, a, b, generator)
    return tensor


def _redraw(tensor: Any, mean: float, std: float, a: float, b: float, generator: Any) -> None:
    low, high = (tensor.new_tensor(x).item() for x in (a, b))
    tensor.normal_(mean, std, generator=generator)
    outside = (tensor < low) | (tensor > high)
    while outside.any():
        tensor.copy_(where(outside, empty_like(tensor).normal_(mean, std, generator=generator), tensor))
        outside = (tensor < low) | (tensor > high)


def _accept(tensor: Any, mean: float, std: float, a: float, b: float, generator: Any) -> None:
    peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2
    candidates = tensor.uniform_(a, b, generator=generator).clone()
    pending = None
    while pending is None or pending.any():
        if pending is not None:
            candidates.uniform_(a, b, generator=generator)
            tensor.copy_(where(pending, candidates, tensor))
        density = candidates.sub_(mean).div_(std).pow_(2).mul_(-0.5).sub_(peak)
        refused = empty_like(tensor).uniform_(generator=generator).log_() > density
        pending = refused if pending is None else pending & refused


def constant_(tensor: Any, val: float) -> Any:
    """One value."""
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Any) -> Any:
    """Ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Any) -> Any:
    """Zeros."""
    return constant_(tensor, 0.0)


def eye_(tensor: Any) -> Any:
    """Ones on the diagonal, else zeros: the identity.

    Raises:
        ValueError: not two dimensions.
    """
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with no_grad():
        tensor.zero_()
        tensor.diagonal().fill_(1)
    return tensor


def _fans(tensor: Tensor) -> tuple[int, int]:
    """Connections into and out of a unit: (fan_in, fan_out)."""
    shape = tensor.layout.shape
    if len(shape) < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    field = prod(shape[2:])
    return shape[1] * field, shape[0] * field


def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """U(-a, a) with ``a = gain * sqrt(6 / (fan_in + fan_out))`` (Glorot & Bengio 2010)."""
    bound = sqrt(3.0) * gain * sqrt(2.0 / float(sum(_fans(tensor))))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """N(0, std^2) with ``std = gain * sqrt(2 / (fan_in + fan_out))`` (Glorot & Bengio 2010)."""
    return normal_(tensor, 0.0, gain * sqrt(2.0 / float(sum(_fans(tensor)))), generator)


def _is_empty(tensor: Any) -> bool:
    if 0 not in tensor.shape:
        return False
    warn("Initializing zero-element tensors is a no-op", UserWarning, stacklevel=3)
    return True


def _kaiming_std(tensor: Any, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan = _fans(tensor)[0 if mode == "fan_in" else 1]
    return calculate_gain(nonlinearity, a) / sqrt(fan)


def kaiming_uniform_(
    tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Any:
    """U(-b, b) with ``b = gain * sqrt(3 / fan)`` (He et al. 2015)."""
    if _is_empty(tensor):
        return tensor
    bound = sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Any:
    """N(0, std^2) with ``std = gain / sqrt(fan)`` (He et al. 2015)."""
    if _is_empty(tensor):
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Any, gain: float = 1, generator: Any = None) -> Any:
    """Orthonormal rows (or columns, if they are fewer), uniformly distributed, times ``gain`` (Saxe et al. 2013).

    Raises:
        ValueError: fewer than two dimensions.
    """
    if tensor.dim() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    flat = tensor.new_empty((rows, tensor.numel() // rows)).normal_(0, 1, generator=generator)
    cells = array_of(flat)
    q, r = np.linalg.qr(cells if rows >= cells.shape[1] else cells.T)
    q = q * np.sign(np.diag(r))  # without it the decomposition would favour some directions
    array_of(flat)[...] = q if rows >= cells.shape[1] else q.T
    with no_grad():
        tensor.copy_(flat.view(tensor.shape)).mul_(gain)
    return tensor


def sparse_(tensor: Any, sparsity: float, std: float = 0.01, generator: Any = None) -> Any:
    """N(0, std^2) with a share of ``sparsity`` of each column set to zero (Martens 2010).

    Raises:
        ValueError: not two dimensions.
    """
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.shape
    with no_grad():
        tensor.normal_(0, std, generator=generator)
        for column in range(columns):
            tensor[randperm(rows)[: ceil(sparsity * rows)], column] = 0
    return tensor


def dirac_(tensor: Any, groups: int = 1) -> Any:
    """A convolution's weight that hands its input through, as many channels as there are.

    Raises:
        ValueError: not three to five dimensions, or output channels that ``groups`` does not divide.
    """
    if tensor.dim() not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    out, channels, *kernel = tensor.shape
    if out % groups:
        raise ValueError("dim 0 must be divisible by groups")
    centre = tuple(k // 2 for k in kernel)
    with no_grad():
        tensor.zero_()
        for group in range(groups):
            for channel in range(min(out // groups, channels)):
                tensor[(group * (out // groups) + channel, channel, *centre)] = 1
    return tensor


def _old_name(function: Callable[..., Any]) -> Callable[..., Any]:
    name = function.__name__

    def deprecated(*args: Any, **named: Any) -> Any:
        warn(
            f"`nn.init.{name[:-1]}` is now deprecated in favor of `nn.init.{name}`.", FutureWarning, stacklevel=2
        )
        return function(*args, **named)

    deprecated.__name__ = deprecated.__qualname__ = name[:-1]
    deprecated.__doc__ = f"The older name of `{name}`."
    return deprecated


uniform, normal, constant, eye = _old_name(uniform_), _old_name(normal_), _old_name(constant_), _old_name(eye_)
dirac, orthogonal, sparse = _old_name(dirac_), _old_name(orthogonal_), _old_name(sparse_)
xavier_uniform, xavier_normal = _old_name(xavier_uniform_), _old_name(xavier_normal_)
kaiming_uniform, kaiming_normal = _old_name(kaiming_uniform_), _old_name(kaiming_normal_)


def __getattr__(name: str) -> object:
    raise AttributeError(f"torch.nn.init.{name} is missing from Pellucid", name=name)
