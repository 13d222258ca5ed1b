"""Normalisations that know channels: batch, instance and group norm, and batch norm's running statistics."""

from __future__ import annotations

from math import prod
from typing import Any

from pellucid.autograd.derived import differentiable_plan
from pellucid.dtypes import finfo, float64
from pellucid.errors import shape_text
from pellucid.formula.expr import Expr, axis, const, given, load, scalar, unary
from pellucid.formula.formula import Fold, Formula, Output, folding
from pellucid.layout import Layout, dense
from pellucid.operators.define import public
from pellucid.operators.rows import accumulator, not_tensor
from pellucid.operators.standardising import Standard, layers
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.tensor import Tensor, empty_like_layout

Shape = tuple[int, ...]


def _layouts(*tensors: Tensor | None) -> tuple[Layout | None, ...]:
    return tuple([None if t is None else t.layout for t in tensors])


def _present(*tensors: Tensor | None) -> list[Tensor]:
    return [t for t in tensors if t is not None]


def _require_channels(name: str, channels: int, **tensors: Tensor | None) -> None:
    for what, t in tensors.items():
        if t is not None and t.numel() != channels:
            raise RuntimeError(
                f"{name}(): {what} should contain {channels} elements not {t.numel()}: one per channel "
                f"(dimension 1 of the input); got {what} of shape {shape_text(t.shape)}"
            )


# -- batch_norm -------------------------------------------------------------------------------------------------------


def _batch_plan(name: str, x: Layout, dims: Shape, weight: Layout | None, bias: Layout | None, eps: float) -> Plan:
    if not x.dtype.is_floating_point:
        raise NotImplementedError(f"\"{name}\" not implemented for '{x.dtype.scalar_name}'; use .float()")
    return Standard(name, x, weight, bias, dims, (1,), eps).plan()


_batches = PlanTable(_batch_plan)


def _fixed_plan(
    x: Layout, mean: Layout, variance: Layout, weight: Layout | None, bias: Layout | None, eps: float
) -> Plan:
    """With statistics that are given: ``(x - mean[c]) / sqrt(variance[c] + eps) * weight[c] + bias[c]``."""
    inner = accumulator(x.dtype)
    operands = [y for y in (x, mean, variance, weight, bias) if y is not None]
    channel = (axis(1),)

    def per_channel(k: int) -> Expr:
        return load(k, operands[k].dtype, channel).cast(inner)

    cell = load(0, x.dtype, tuple(axis(d) for d in range(x.ndim))).cast(inner)
    scale = 1.0 / unary("sqrt", per_channel(2) + given("eps", float64).cast(inner))
    value = (cell - per_channel(1)) * scale
    if weight is not None:
        value = value * per_channel(3)
    if bias is not None:
        value = value + per_channel(len(operands) - 1)
    formula = Formula("native_batch_norm", x.ndim, (Output(value.cast(x.dtype)),))
    return differentiable_plan(formula, operands, tuple(x.shape), [dense(x.shape, x.dtype)], given={"eps": eps})


_fixed = PlanTable(_fixed_plan)


def _update_plan(running: Layout, found: Layout, place: int) -> Plan:
    """``running[c] = (1 - momentum) running[c] + momentum found[.., c, ..] factor``, in place."""
    inner = accumulator(running.dtype)
    momentum, factor = scalar(2, float64).cast(inner), scalar(3, float64).cast(inner)
    coords = tuple(axis(0) if d == place else const(0, axis(0).dtype) for d in range(found.ndim))
    old, new = load(0, running.dtype).cast(inner), load(1, found.dtype, coords).cast(inner)
    value = (1.0 - momentum) * old + momentum * (new * factor)
    formula = Formula("running", 1, (Output(value.cast(running.dtype)),))
    return kernel_plan(formula, (running, found, float, float), tuple(running.shape), [running], in_place=True)


_updates = PlanTable(_update_plan)


def _update(running: Any, found: Any, momentum: float, factor: float = 1.0) -> None:
    if running is not None:
        _updates[running.layout, found.layout, 1](running, running, found, float(momentum), float(factor))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel (dimension 1) brought to mean 0 and variance 1, then ``* weight[c] + bias[c]``.

    In training the statistics are those of the batch, and the running ones move towards them by ``momentum`` (the
    variance by its unbiased estimate); otherwise the running ones are used.

    Raises:
        RuntimeError: running statistics are missing when they are needed, or sizes do not fit.
        ValueError: training with one value per channel, whose variance means nothing.
    """
    if not isinstance(input, Tensor):
        not_tensor("batch_norm", input)
    if input.ndim < 2:
        raise RuntimeError(f"batch_norm(): input must have a batch and a channel dimension, got {list(input.shape)}")
    channels = input.shape[1]
    _require_channels(
        "batch_norm", channels, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError("batch_norm(): Expected running_mean and running_var to be defined when training=False")
        operands = _present(input, running_mean, running_var, weight, bias)
        plan = _fixed[(*_layouts(input, running_mean, running_var, weight, bias), eps)]
        return plan(*operands)
    if input.numel() == channels:
        raise ValueError(
            f"batch_norm(): Expected more than 1 value per channel when training, got input size {list(input.shape)}"
        )
    return _train(input, running_mean, running_var, weight, bias, momentum, eps)[0]


def _train(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    momentum: float,
    eps: float,
) -> tuple[Any, Any, Any]:
    """By the batch's own statistics: (result, mean, scale)."""
    count = input.numel() // max(input.shape[1], 1)
    dims = (0, *range(2, input.ndim))
    plan = _batches["batch_norm", input.layout, dims, *_layouts(weight, bias), eps]
    result, mean, scale, variance = plan(*_present(input, weight, bias))
    _update(running_mean, mean, momentum)
    _update(running_var, variance, momentum, count / max(count - 1, 1))
    return result, mean, scale


def torch_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """`batch_norm` with the argument order of ``torch.batch_norm``."""
    return batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


public(torch_batch_norm, "batch_norm")


# -- instance_norm ----------------------------------------------------------------------------------------------------


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each sample brought to mean 0 and variance 1, then ``* weight[c] + bias[c]``.

    Raises:
        RuntimeError: running statistics are missing when they are needed, or sizes do not fit.
        ValueError: one value per channel, whose variance means nothing.
    """
    if not isinstance(input, Tensor):
        not_tensor("instance_norm", input)
    if input.ndim < 2:
        raise RuntimeError(f"instance_norm(): input must have a batch and a channel dimension, got {list(input.shape)}")
    channels = input.shape[1]
    _require_channels(
        "instance_norm", channels, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("instance_norm(): Expected running_mean and running_var when use_input_stats=False")
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    count = prod(input.shape[2:])
    if count == 1:
        raise ValueError(
            f"instance_norm(): Expected more than 1 spatial element when training, got input size {list(input.shape)}"
        )
    dims = tuple(range(2, input.ndim))
    plan = _batches["instance_norm", input.layout, dims, *_layouts(weight, bias), eps]
    result, mean, _, variance = plan(*_present(input, weight, bias))
    if running_mean is not None:
        _update(running_mean, mean.mean(0, True), momentum)
    if running_var is not None:
        _update(running_var, variance.mean(0, True), momentum, count / max(count - 1, 1))
    return result


# -- group_norm -------------------------------------------------------------------------------------------------------


def _group_plan(x: Layout, weight: Layout | None, bias: Layout | None, eps: float) -> Plan:
    if not x.dtype.is_floating_point:
        raise NotImplementedError(f"\"group_norm\" not implemented for '{x.dtype.scalar_name}'; use .float()")
    return Standard("group_norm", x, weight, bias, (2, 3), (1, 2), eps).plan()


_groups = PlanTable(_group_plan)


@public
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Each group of channels of each sample brought to mean 0 and variance 1, then ``* weight[c] + bias[c]``.

    Raises:
        RuntimeError: the channels cannot be split into ``num_groups``, or sizes do not fit.
    """
    if not isinstance(input, Tensor):
        not_tensor("group_norm", input)
    if input.ndim < 2:
        raise RuntimeError(f"group_norm(): Expected at least 2 dimensions for input tensor but received {input.ndim}")
    channels = input.shape[1]
    if num_groups < 1 or channels % num_groups:
        raise RuntimeError(
            f"group_norm(): Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(input.shape)} and num_groups={num_groups}"
        )
    _require_channels("group_norm", channels, weight=weight, bias=bias)
    return _grouped(input, num_groups, weight, bias, eps)[0]


def _grouped(x: Any, num_groups: int, weight: Any, bias: Any, eps: float) -> Any:
    """(result, mean, scale) of x seen as (samples, groups, channels of a group, cells)."""
    samples, channels = x.shape[:2]
    grouped = x.reshape(samples, num_groups, channels // num_groups, prod(x.shape[2:]))
    w, b = ((None if t is None else t.reshape(num_groups, channels // num_groups)) for t in (weight, bias))
    result, mean, scale, _ = _groups[grouped.layout, *_layouts(w, b), eps](*_present(grouped, w, b))
    return result.reshape(x.shape), mean, scale


# -- rms_norm ---------------------------------------------------------------------------------------------------------


@public
def rms_norm(
    input: Tensor, normalized_shape: list[int] | Shape, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Each row of the last dimensions divided by the root of its mean square: ``x / sqrt(mean(x^2) + eps) * weight``.

    ``eps`` is the dtype's own unless given.

    Raises:
        RuntimeError: the last sizes of the input or the weight's are not ``normalized_shape``.
    """
    if not isinstance(input, Tensor):
        not_tensor("rms_norm", input)
    if eps is None:
        eps = finfo(accumulator(input.dtype) if input.dtype.is_floating_point else None).eps
    plan = layers["rms_norm", input.layout, tuple(normalized_shape), *_layouts(weight, None), eps]
    return plan(*_present(input, weight))[0]


# -- across channels --------------------------------------------------------------------------------------------------


def _window_plan(x: Layout, size: int) -> Plan:
    """``out[n,c,..] = sum_k x[n, c + k - size // 2, ..]^2``, cells outside counting 0."""
    inner = accumulator(x.dtype)
    here = tuple(axis(d) for d in range(x.ndim))
    channel = here[1] + axis(x.ndim) - given("before")
    cell = load(0, x.dtype, (here[0], channel, *here[2:]), fill=0.0).cast(inner)
    fold = Fold(folding("sum", inner), (cell * cell,), 0)
    formula = Formula("window_squares", x.ndim, (Output(fold.states[0].cast(x.dtype)),), 1, (fold,))
    sizes = (*x.shape, size)
    return differentiable_plan(formula, (x,), sizes, [dense(x.shape, x.dtype)], given={"before": size // 2})


_windows = PlanTable(_window_plan)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """``x / (k + alpha mean(x^2))^beta``, the mean over ``size`` neighbouring channels.

    Raises:
        ValueError: fewer than three dimensions.
    """
    x: Any = input
    if x.ndim < 3:
        raise ValueError(f"local_response_norm(): Expected 3D or higher dimensionality input (got {x.ndim} dimensions)")
    if x.numel() == 0:
        return input
    return x / (_windows[x.layout, size](x) * (alpha / size) + k) ** beta


# -- with their statistics --------------------------------------------------------------------------------------------


@public
def native_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """`batch_norm`, with the batch's means and ``1 / sqrt(variance + eps)`` (empty when they were not computed)."""
    if training:
        result, mean, scale = _train(input, running_mean, running_var, weight, bias, momentum, eps)
        return result, mean.reshape(-1), scale.reshape(-1)
    nothing = [empty_like_layout(dense((0,), accumulator(input.dtype))) for _ in range(2)]
    return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps), nothing[0], nothing[1]


@public
def native_group_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    N: int,
    C: int,
    HxW: int,
    group: int,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """`group_norm` of N samples with C channels of HxW cells, with the groups' means and scales."""
    result, mean, scale = _grouped(input, group, weight, bias, eps)
    return result, mean.reshape(N, group), scale.reshape(N, group)
