"""Activation functions, with the signatures of `nn.functional`, where they are published.

Branches that would overflow are computed from a harmless value instead: 0 times an infinite derivative is NaN. Gradients
are said by hand where PyTorch's decide otherwise than the derived ones at a kink, at NaN or at infinity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, pi, sqrt
from typing import Any

from pellucid.dtypes import DType, bool_, finfo, float64
from pellucid.formula import expr as E
from pellucid.formula.derivative import conjugate
from pellucid.formula.expr import Expr, const, minimum, select
from pellucid.layout import Layout, dense
from pellucid.operators.arithmetic import sub
from pellucid.operators.copying import require_fits
from pellucid.operators.define import both, method, public
from pellucid.operators.functions import tanh
from pellucid.operators.pointwise import FLOAT, SAME, Pointwise, require_tensor
from pellucid.plan import Operand
from pellucid.tensor import Tensor, array_of, empty_like_layout

SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
SELU_BELOW = SELU_ALPHA * SELU_SCALE


def _activation(name: str, expression: Callable[..., Expr], kernel: str, takes: str = "f", **options: Any) -> Pointwise:
    return Pointwise(name, expression, SAME, takes=takes, kernel=kernel, promoting=1, **options)


def _apply(op: Pointwise, input: Tensor, inplace: bool, *parameters: float) -> Tensor:
    x = require_tensor(input, op.name)
    return op.write(x, x, *parameters) if inplace else op(x, *parameters)


# -- pieces of lines --------------------------------------------------------------------------------------------------


def _refuse_bool_relu(operands: Sequence[Operand], common: DType) -> None:
    if common is bool_:
        raise RuntimeError("Boolean inputs not supported for relu")
    if common.is_complex:
        raise NotImplementedError("clamp is not supported for complex types: relu() takes real tensors")


_relu = _activation(
    "relu", lambda x: E.unary("relu", x), "relu_cpu", "buifc", refuse=_refuse_bool_relu
)
_relu_plans = _relu.plans


@both
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(input, 0)``; the gradient at 0 is 0."""
    if inplace or not isinstance(input, Tensor):
        return _apply(_relu, input, inplace)
    return _relu_plans[input.layout](input)


@method
def relu_(input: Tensor) -> Tensor:
    """In-place form of `relu`."""
    return _relu.write(input, input)


public(relu_)

_leaky_relu = _activation(
    "leaky_relu", lambda x, slope: select(x > 0.0, x, x * slope), "leaky_relu_cpu",
    gradient=lambda g, x, slope: select(x > 0.0, g, g * slope),
)  # fmt: skip


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``input`` above 0, ``negative_slope * input`` below."""
    return _apply(_leaky_relu, input, inplace, float(negative_slope))


@public
def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """`leaky_relu` with the slope ``(lower + upper) / 2``; in training every cell that is not above 0 has a slope of
    its own, drawn uniformly from [lower, upper).

    Raises:
        RuntimeError: ``lower`` is above ``upper``.
    """
    x = require_tensor(input, "rrelu")
    if lower > upper:
        raise RuntimeError(f"Lower bound should be less than or equal to the upper bound; got {lower} and {upper}")
    if not training:
        return leaky_relu(x, (lower + upper) / 2, inplace)
    drawn = array_of(x) <= 0
    slopes: Any = empty_like_layout(dense((int(drawn.sum()),), float64))
    slopes.uniform_(lower, upper)
    noise = empty_like_layout(dense(x.shape, x.dtype))
    array_of(noise)[...] = 1
    array_of(noise)[drawn] = array_of(slopes)
    return _scale.write(x, x, noise) if inplace else _scale(x, noise)


_scale = Pointwise("rrelu_with_noise", lambda x, slope: x * slope, SAME, takes="f")


@public
def rrelu_(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """In-place form of `rrelu`."""
    return rrelu(input, lower, upper, training, True)


_prelu = Pointwise(
    "prelu", lambda x, weight: select(x > 0.0, x, weight * x), SAME,
    takes="f", kernel="prelu_cpu", node_name="PreluKernelBackward0",
)  # fmt: skip


@both
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """``input`` above 0, ``weight * input`` below; ``weight`` holds one number, or one per channel (dimension 1).

    Raises:
        RuntimeError: the number of weights is another, or the dtypes differ.
    """
    x, w = require_tensor(input, "prelu"), require_tensor(weight, "prelu", "weight")
    if x.dtype is not w.dtype:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {x.dtype} and {w.dtype}: convert one of them")
    channels = x.shape[1] if x.ndim > 1 else 1
    if w.numel() not in (1, channels):
        raise RuntimeError(
            f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {w.numel()} and "
            f"channel size = {channels}."
        )
    if w.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {w.ndim}")
    if w.numel() != 1 or w.ndim == 1 != x.ndim:
        w = w.reshape((-1,) + (1,) * (x.ndim - 2)) if x.ndim > 1 else w.reshape(())
    return _prelu(x, w)


def _within(x: Expr, low: Expr | float, high: Expr | float) -> Expr:
    return select(x < low, low, select(x > high, high, x))


def _inside(g: Expr, x: Expr, low: Expr | float, high: Expr | float) -> Expr:
    """Outside of the open interval nothing flows back."""
    return select((x <= low) | (x >= high), 0.0, g)


_hardtanh = _activation(
    "hardtanh", _within, "hardtanh_cpu", "uif", node_name="HardtanhBackward0", gradient=_inside, fitting=(1, 2)
)
_relu6 = _activation(
    "relu6", lambda x: _within(x, 0.0, 6.0), "hardtanh_cpu", "uif", node_name="HardtanhBackward0",
    gradient=lambda g, x: _inside(g, x, 0.0, 6.0),
)  # fmt: skip


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` kept in [min_val, max_val].

    Raises:
        ValueError: ``min_val`` is above ``max_val``.
        RuntimeError: booleans, or negative bounds for an unsigned dtype.
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    dtype = require_tensor(input, "hardtanh").dtype
    if dtype is bool_:
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if dtype.kind == "u" and (min_val < 0 or max_val < 0):
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return _apply(_hardtanh, input, inplace, min_val, max_val)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(input, 0), 6)``."""
    if require_tensor(input, "relu6").dtype is bool_:
        raise RuntimeError("Bool inputs not supported for hardtanh")
    return _apply(_relu6, input, inplace)


_threshold = _activation(
    "threshold", lambda x, limit, value: select(x <= limit, value, x), "threshold_cpu", "uif",
    node_name="ThresholdBackward0",
)  # fmt: skip


def _above(input: Tensor, limit: float, value: float, inplace: bool) -> Tensor:
    dtype = require_tensor(input, "threshold").dtype
    if dtype.kind in "ui":
        require_fits(limit, dtype, "threshold")
        require_fits(value, dtype, "threshold")
    return _apply(_threshold, input, inplace, limit, value)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """``input`` where it is above ``threshold``, else ``value``.

    Raises:
        RuntimeError: one of the numbers is out of the range of an integer dtype.
    """
    return _above(input, threshold, value, inplace)


@public
def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """In-place form of `threshold`."""
    return _above(input, threshold, value, True)


public(threshold)

_hardsigmoid = _activation(
    "hardsigmoid",
    lambda x: _within(x + 3.0, 0.0, 6.0) / 6.0,
    "hardsigmoid_cpu",
    gradient=lambda g, x: select((x > -3.0) & (x < 3.0), g / 6.0, 0.0),
)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(input / 6 + 1 / 2, 0), 1)``."""
    return _apply(_hardsigmoid, input, inplace)


_hardswish = _activation(
    "hardswish",
    lambda x: x * _within(x + 3.0, 0.0, 6.0) / 6.0,
    "hardswish_cpu",
    gradient=lambda g, x: select(x <= -3.0, 0.0, select(x < 3.0, g * (_within(x, -3.0, 3.0) / 3.0 + 0.5), g)),
)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * hardsigmoid(input)``."""
    return _apply(_hardswish, input, inplace)


_hardshrink = _activation(
    "hardshrink", lambda x, limit: select((x >= -limit) & (x <= limit), 0.0, x), "hardshrink_cpu", rounded=2,
    fitting=(1,),
)
_softshrink = _activation(
    "softshrink",
    lambda x, limit: select(x > limit, x - limit, select(x < -limit, x + limit, x * 0.0)), "softshrink_cpu",
    gradient=lambda g, x, limit: select((x >= -limit) & (x <= limit), 0.0, g),
)  # fmt: skip


@both
def hardshrink(input: Tensor, lambd: float = 0.5, *, out: Tensor | None = None) -> Tensor:
    """``input`` where it is outside of [-lambd, lambd], else 0."""
    return _hardshrink.deliver(out, require_tensor(input, "hardshrink"), float(lambd))


def softshrink(input: Tensor, lambd: float = 0.5, *, out: Tensor | None = None) -> Tensor:
    """``input`` moved toward 0 by ``lambd``, and 0 in between.

    Raises:
        RuntimeError: ``lambd`` is negative, or above the largest number of the dtype.
    """
    x = require_tensor(input, "softshrink")
    largest = finfo(x.dtype).max if x.dtype.is_floating_point else inf
    if not 0 <= lambd <= largest:
        raise RuntimeError(
            f"lambda must be in range [0, {largest:g}] for input dtype {x.dtype.scalar_name}, but found {lambd:g}"
        )
    return _softshrink.deliver(out, x, float(lambd))


# -- exponential ------------------------------------------------------------------------------------------------------


def _elu_of(x: Expr, below: Expr | float, above: Expr | float = 1.0, rate: Expr | float = 1.0) -> Expr:
    """``above * x``, and ``below * (exp(rate * x) - 1)`` below 0."""
    return select(x < 0.0, E.unary("expm1", select(x < 0.0, x, 0.0) * rate) * below, x * above)


def _elu_gradient(
    g: Expr, x: Expr, below: Expr | float, above: Expr | float = 1.0, rate: Expr | float = 1.0
) -> Expr:
    """At 0 the slope is that of the curve, and it is taken to be level."""
    curve = E.unary("exp", select(x < 0.0, x, 0.0) * rate) * rate * below
    return g * select(x <= 0.0, curve, above)


_elu = _activation("elu", _elu_of, "elu_cpu", gradient=_elu_gradient)
_selu = _activation(
    "selu", lambda x: _elu_of(x, SELU_BELOW, SELU_SCALE), "elu_cpu", node_name="EluBackward0",
    gradient=lambda g, x: _elu_gradient(g, x, SELU_BELOW, SELU_SCALE),
)  # fmt: skip
_celu = _activation(
    "celu", lambda x, alpha, rate: _elu_of(x, alpha, 1.0, rate), "elu_cpu",
    gradient=lambda g, x, alpha, rate: _elu_gradient(g, x, alpha, 1.0, rate),
)  # fmt: skip


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` above 0, ``alpha * (exp(input) - 1)`` below."""
    return _apply(_elu, input, inplace, float(alpha))


@public
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """`elu` with the constants that keep mean 0 and variance 1."""
    return _apply(_selu, input, inplace)


@public
def selu_(input: Tensor) -> Tensor:
    """In-place form of `selu`."""
    return _apply(_selu, input, True)


@public
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` above 0, ``alpha * (exp(input / alpha) - 1)`` below.

    Raises:
        RuntimeError: ``alpha`` is 0.
    """
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _apply(_celu, input, inplace, float(alpha), 1.0 / alpha)


@public
def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """In-place form of `celu`."""
    return celu(input, alpha, True)


def _soft_plus(x: Expr, beta: Expr | float = 1.0, limit: Expr | float = 20.0) -> Expr:
    scaled = x * beta
    linear = scaled > limit
    curved = E.unary("log1p", E.unary("exp", select(linear, const(0.0, x.dtype), scaled)))
    return select(linear, x, curved / beta)


def _soft_plus_gradient(g: Expr, x: Expr, beta: Expr, limit: Expr) -> Expr:
    """At the limit itself the slope is the curve's, and it is taken to be level."""
    scaled = x * beta
    return select(scaled > limit, g, g * E.unary("sigmoid", select(scaled >= limit, limit, scaled)))


_softplus = _activation("softplus", _soft_plus, "softplus_cpu", gradient=_soft_plus_gradient)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0, *, out: Tensor | None = None) -> Tensor:
    """``log(1 + exp(beta * input)) / beta``; ``input`` itself where ``beta * input`` is above ``threshold``."""
    x = require_tensor(input, "softplus")
    return _softplus.deliver(out, x, float(beta), float(threshold))


class _Contiguous(Pointwise):
    """Its results are contiguous, however the operand lies."""

    def result(self, shape: tuple[int, ...], tensors: list[Layout], dtype: DType) -> Layout:
        return dense(shape, dtype)


_logsigmoid = _Contiguous(
    "log_sigmoid",
    lambda x: minimum(x, 0.0) - E.unary("log1p", E.unary("exp", -E.unary("abs", x))),
    SAME, takes="f", kernel="log_sigmoid_cpu", gradient=lambda g, x: g * E.unary("sigmoid", -x),
)  # fmt: skip


def logsigmoid(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """``log(sigmoid(input))`` without overflow."""
    return _logsigmoid.deliver(out, require_tensor(input, "logsigmoid"))


def _silu_gradient(g: Expr, x: Expr) -> Expr:
    s = E.unary("sigmoid", x)
    return g * conjugate(s * (x * (1.0 - s) + 1.0))


_silu = _activation("silu", lambda x: x * E.unary("sigmoid", x), "silu_cpu", "fc", gradient=_silu_gradient)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * sigmoid(input)``."""
    return _apply(_silu, input, inplace)


def _mish_gradient(g: Expr, x: Expr) -> Expr:
    t = E.unary("tanh", _soft_plus(x))
    return g * (t + x * E.unary("sigmoid", x) * (1.0 - t * t))


_mish = _activation("mish", lambda x: x * E.unary("tanh", _soft_plus(x)), "mish_cpu", gradient=_mish_gradient)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * tanh(softplus(input))``."""
    return _apply(_mish, input, inplace)


def _gelu_exact(x: Expr) -> Expr:
    return x * 0.5 * (E.unary("erf", x * sqrt(0.5)) + 1.0)


def _gelu_exact_gradient(g: Expr, x: Expr) -> Expr:
    density = E.unary("exp", x * x * -0.5) * sqrt(0.5 / pi)
    return g * ((E.unary("erf", x * sqrt(0.5)) + 1.0) * 0.5 + x * density)


def _gelu_inner(x: Expr) -> Expr:
    return (x + x * x * x * 0.044715) * sqrt(2.0 / pi)


def _gelu_tanh(x: Expr) -> Expr:
    return x * 0.5 * (E.unary("tanh", _gelu_inner(x)) + 1.0)


def _gelu_tanh_gradient(g: Expr, x: Expr) -> Expr:
    t = E.unary("tanh", _gelu_inner(x))
    inner_slope = (x * x * (3 * 0.044715) + 1.0) * sqrt(2.0 / pi)
    return g * ((t + 1.0) * 0.5 + x * 0.5 * (1.0 - t * t) * inner_slope)


_gelu = {
    "none": _activation("gelu", _gelu_exact, "GeluKernelImpl", gradient=_gelu_exact_gradient),
    "tanh": _activation("gelu", _gelu_tanh, "GeluKernelImpl", gradient=_gelu_tanh_gradient),
}
_gelu_plans = _gelu["none"].plans


def gelu(input: Tensor, *, approximate: str = "none", out: Tensor | None = None) -> Tensor:
    """``input`` times the chance that a normal number is below it; "tanh": a formula close to that.

    Raises:
        RuntimeError: ``approximate`` is neither "none" nor "tanh".
    """
    if isinstance(input, Tensor) and approximate == "none" and out is None:
        return _gelu_plans[input.layout](input)
    op = _gelu.get(approximate)
    if op is None:
        raise RuntimeError(f"approximate argument must be either none or tanh; got {approximate!r}.")
    return op.deliver(out, require_tensor(input, "gelu"))


_softsign = Pointwise(
    "softsign", lambda x: x / (E.unary("abs", x, x.dtype.to_real()).cast(x.dtype) + 1), FLOAT,
    takes="uifc", node_name="DivBackward0",
)  # fmt: skip


def softsign(input: Tensor) -> Tensor:
    """``input / (1 + |input|)``."""
    return _softsign(require_tensor(input, "softsign"))


def tanhshrink(input: Tensor) -> Tensor:
    """``input - tanh(input)``."""
    return sub(require_tensor(input, "tanhshrink"), tanh(input))
