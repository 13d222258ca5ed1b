"""Losses of margins and of distributions: compositions of pointwise operators and a reduction."""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi
from typing import Any

from pellucid.autograd.modes import no_grad
from pellucid.errors import shape_text
from pellucid.operators.activations import logsigmoid
from pellucid.operators.creation import arange
from pellucid.operators.define import PUBLIC, public
from pellucid.operators.losses import wanted_reduction
from pellucid.operators.norms import pairwise_distance
from pellucid.tensor import Tensor


def _reduced(loss: Any, reduction: str) -> Any:
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def _where(condition: Any, a: Any, b: Any) -> Any:
    return PUBLIC["where"](condition, a, b)


@public
def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """``max(0, -target (input1 - input2) + margin)``: the first is to rank higher where target is 1.

    Raises:
        RuntimeError: different numbers of dimensions.
    """
    reduction = wanted_reduction("margin_ranking_loss", size_average, reduce, reduction)
    if input1.dim() != input2.dim() or input1.dim() != target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {shape_text(input1.shape)}, input2: {shape_text(input2.shape)}, target: {shape_text(target.shape)}"
        )
    return _reduced((-target * (input1 - input2) + margin).clamp_min(0), reduction)


@public
def hinge_embedding_loss(
    input: Any, target: Any, margin: float = 1.0, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """``input`` where target is 1, ``max(0, margin - input)`` where it is -1."""
    reduction = wanted_reduction("hinge_embedding_loss", size_average, reduce, reduction)
    far = _where(target != 1, (margin - input).clamp_min(0), 0.0)
    return _reduced(far + _where(target != -1, input, 0.0), reduction)


@public
def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """``1 - cos(input1, input2)`` where target is 1, ``max(0, cos - margin)`` where it is -1.

    Raises:
        RuntimeError: other shapes than (N, D), (N, D), (N) or (D), (D), ().
    """
    reduction = wanted_reduction("cosine_embedding_loss", size_average, reduce, reduction)
    if target.dim() > 1:
        raise RuntimeError("cosine_embedding_loss: 0D or 1D target tensor expected, multi-target not supported")
    if input1.dim() != target.dim() + 1 or input2.dim() != target.dim() + 1:
        raise RuntimeError(
            f"cosine_embedding_loss: {target.dim()}D target tensor expects {target.dim() + 1}D input tensors, but found "
            f"inputs with sizes {shape_text(input1.shape)} and {shape_text(input2.shape)}."
        )
    sizes = ((input1 * input1).sum(-1) + 1e-12) * ((input2 * input2).sum(-1) + 1e-12)
    cosine = (input1 * input2).sum(-1) / sizes.sqrt()
    near, far = 1 - cosine, (cosine - margin).clamp_min(0)
    return _reduced(_where(target == 1, near, 0.0) + _where(target == -1, far, 0.0), reduction)


@public
def triplet_margin_loss(
    anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2, eps: float = 1e-6,
    swap: bool = False, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """``max(0, margin + |anchor - positive| - |anchor - negative|)`` in the p-norm (Balntas et al. 2016).

    Raises:
        ValueError: a margin that is not positive.
    """
    reduction = wanted_reduction("triplet_margin_loss", size_average, reduce, reduction)
    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=lambda a, b: pairwise_distance(a, b, p, eps), margin=margin,
        swap=swap, reduction=reduction,
    )  # fmt: skip


def triplet_margin_with_distance_loss(
    anchor: Any, positive: Any, negative: Any, *, distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> Any:  # fmt: skip
    """`triplet_margin_loss` by any distance.

    Raises:
        ValueError: a margin that is not positive. RuntimeError: different numbers of dimensions.
    """
    reduction = wanted_reduction("triplet_margin_loss", None, None, reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.dim() == positive.dim() == negative.dim():
        shapes = ", ".join(shape_text(x.shape) for x in (anchor, positive, negative))
        raise RuntimeError(
            f"The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got {shapes}"
        )
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = PUBLIC["minimum"](far, distance(positive, negative))
    return _reduced((near - far + margin).clamp_min(0), reduction)


def soft_margin_loss(
    input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Any:
    """``log(1 + exp(-target input))`` with targets 1 and -1."""
    reduction = wanted_reduction("soft_margin_loss", size_average, reduce, reduction)
    return _reduced((-target * input).exp().log1p(), reduction)


def multilabel_soft_margin_loss(
    input: Any, target: Any, weight: Any = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """The mean over classes of ``-(target log sigmoid(x) + (1 - target) log sigmoid(-x))``."""
    reduction = wanted_reduction("multilabel_soft_margin_loss", size_average, reduce, reduction)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return _reduced(loss.sum(-1) / input.shape[-1], reduction)


def multi_margin_loss(
    input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """``sum over j != y of max(0, margin - x[y] + x[j])^p / C`` for the target class y of each row.

    Raises:
        ValueError: ``p`` is neither 1 nor 2. RuntimeError: unfit shapes.
    """
    reduction = wanted_reduction("multi_margin_loss", size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    rows, places = (input.unsqueeze(0), target.reshape(1)) if input.dim() == 1 else (input, target)
    if rows.dim() != 2 or places.dim() != 1 or places.shape[0] != rows.shape[0]:
        raise RuntimeError(
            f"multi_margin_loss: inconsistent target size, expected {[rows.shape[0]]} for an input of "
            f"{shape_text(input.shape)}, but got {shape_text(target.shape)}"
        )
    classes = rows.shape[1]
    column = places.unsqueeze(1)
    loss = (margin - rows.gather(1, column) + rows).clamp_min(0)
    loss = loss * loss if p == 2 else loss
    if weight is not None:
        loss = loss * weight[places].unsqueeze(1)
    others = arange(classes) != column
    loss = (loss * others.to(rows.dtype)).sum(1) / classes
    return _reduced(loss.squeeze(0) if input.dim() == 1 else loss, reduction)


@public
def poisson_nll_loss(
    input: Any, target: Any, log_input: bool = True, full: bool = False, size_average: bool | None = None,
    eps: float = 1e-8, reduce: bool | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """``exp(input) - target input`` (``input`` is the logarithm of the rate), or ``input - target log(input)``.

    ``full`` adds Stirling's approximation of log target!.
    """
    reduction = wanted_reduction("poisson_nll_loss", size_average, reduce, reduction)
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * pi * target).log()
        loss = loss + stirling.masked_fill(target <= 1, 0)
    return _reduced(loss, reduction)


def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Any:
    """``(log(var) + (input - target)^2 / var) / 2``; ``full`` adds log(2 pi) / 2.

    Raises:
        ValueError: a negative variance, or one of another shape.
    """
    if not isinstance(var, Tensor):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = PUBLIC["full_like"](input, var)
    elif var.shape != input.shape:
        if tuple(input.shape[:-1]) == tuple(var.shape):
            var = var.unsqueeze(-1)
        elif sum(a != b for a, b in zip(input.shape, var.shape, strict=False)) != 1 or 1 not in var.shape:
            raise ValueError(f"var is of incorrect size: {shape_text(var.shape)} for {shape_text(input.shape)}")
    reduction = wanted_reduction("gaussian_nll_loss", None, None, reduction)
    if bool((var < 0).any()):
        raise ValueError("var has negative entry/entries")
    var = var.clone()
    with no_grad():
        var.clamp_(min=eps)
    loss = 0.5 * (var.log() + (input - target) ** 2 / var)
    return _reduced(loss + 0.5 * log(2 * pi) if full else loss, reduction)
