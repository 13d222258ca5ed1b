"""Activations as modules."""

from __future__ import annotations

from typing import Any
from warnings import warn

from pellucid.nn import functional as F
from pellucid.nn.modules.module import Module
from pellucid.nn.parameter import Parameter
from pellucid.operators.creation import full
from pellucid.tensor import Tensor


class _Activation(Module):
    """``function(input, *options)``; options are attributes in the order of ``names``."""

    names: tuple[str, ...] = ()

    def options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.names}

    def forward(self, input: Tensor) -> Tensor:
        return getattr(F, self.function)(input, **self.options())

    def extra_repr(self) -> str:
        shown = {k: v for k, v in self.options().items() if k != "inplace"}
        text = ", ".join(f"{k}={v!r}" for k, v in shown.items())
        if self.options().get("inplace"):
            text += ", inplace=True" if text else "inplace=True"
        return text


class ReLU(_Activation):
    """``max(x, 0)``."""

    function, names = "relu", ("inplace",)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class SiLU(ReLU):
    """``x * sigmoid(x)``."""

    function = "silu"


class Mish(ReLU):
    """``x * tanh(softplus(x))``."""

    function = "mish"


class Hardswish(ReLU):
    """``x * relu6(x + 3) / 6``."""

    function = "hardswish"


class Hardsigmoid(ReLU):
    """``relu6(x + 3) / 6``."""

    function = "hardsigmoid"


class GELU(_Activation):
    """``x * Phi(x)`` (Hendrycks & Gimpel 2016), exact or by tanh."""

    function, names = "gelu", ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate


class ELU(_Activation):
    """``x`` for x > 0, else ``alpha * (exp(x) - 1)``."""

    function, names = "elu", ("alpha", "inplace")

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace


class LeakyReLU(_Activation):
    """``x`` for x > 0, else ``negative_slope * x``."""

    function, names = "leaky_relu", ("negative_slope", "inplace")

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace


class RReLU(_Activation):
    """`LeakyReLU` whose slope, in training, is drawn for every cell from [lower, upper); otherwise it is their mean."""

    function, names = "rrelu", ("lower", "upper")

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"lower={self.lower}, upper={self.upper}" + (", inplace=True" if self.inplace else "")


class Hardtanh(_Activation):
    """``x`` kept between ``min_val`` and ``max_val`` (formerly ``min_value`` and ``max_value``).

    Raises:
        AssertionError: ``max_val`` is not above ``min_val``.
    """

    function = "hardtanh"
    names: tuple[str, ...] = ("min_val", "max_val", "inplace")

    def __init__(
        self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False, min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        for name, given in (("min", min_value), ("max", max_value)):
            if given is not None:
                warn(
                    f"keyword argument `{name}_value` is deprecated and rename to `{name}_val`",
                    FutureWarning,
                    stacklevel=2,
                )
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        self.inplace = inplace
        if not self.max_val > self.min_val:
            raise AssertionError(f"max_val ({self.max_val}) must be greater than min_val ({self.min_val})")


class ReLU6(Hardtanh):
    """``min(max(x, 0), 6)``."""

    function, names = "relu6", ("inplace",)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)


class Softplus(_Activation):
    """``log(1 + exp(beta x)) / beta``, linear above ``threshold``."""

    function, names = "softplus", ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold


class Sigmoid(_Activation):
    """``1 / (1 + exp(-x))``."""

    function = "sigmoid"


class Tanh(_Activation):
    """The hyperbolic tangent."""

    function = "tanh"


class LogSigmoid(_Activation):
    """``log(sigmoid(x))``."""

    function = "logsigmoid"


class Softsign(_Activation):
    """``x / (1 + |x|)``."""

    function = "softsign"


class Softmax(_Activation):
    """``exp(x) / sum exp(x)`` along ``dim``."""

    function, names = "softmax", ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim


class LogSoftmax(Softmax):
    """``x - log sum exp(x)`` along ``dim``."""

    function = "log_softmax"


class Softmin(Softmax):
    """The softmax of ``-x`` along ``dim``."""

    function = "softmin"


class Softmax2d(Module):
    """The softmax over the channels of (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D (got {input.dim()}D instead)")
        return F.softmax(input, -3)


class CELU(_Activation):
    """``max(0, x) + min(0, alpha (exp(x / alpha) - 1))``."""

    function, names = "celu", ("alpha", "inplace")

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace


class SELU(ReLU):
    """``scale (max(0, x) + min(0, alpha (exp(x) - 1)))`` (Klambauer et al. 2017)."""

    function = "selu"


class Tanhshrink(_Activation):
    """``x - tanh(x)``."""

    function = "tanhshrink"


class Softshrink(_Activation):
    """``x`` moved towards zero by ``lambd``."""

    function, names = "softshrink", ("lambd",)

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(Softshrink):
    """``x`` where ``|x| > lambd``, else 0."""

    function = "hardshrink"


class GLU(_Activation):
    """The first half of ``x`` along ``dim`` times the sigmoid of the second (Dauphin et al. 2017)."""

    function, names = "glu", ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim


class Threshold(_Activation):
    """``x`` where it is greater than ``threshold``, else ``value``."""

    function, names = "threshold", ("threshold", "value", "inplace")

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace


class PReLU(Module):
    """``x`` for x > 0, else ``weight * x`` with a trained weight."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(full((num_parameters,), float(init), device=device, dtype=dtype))

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"
