"""Losses of margins and of distributions: each is said by other operators, cell by cell, then reduced.

    margin_ranking_loss   out = mean max(0, margin - target (input1 - input2))
    triplet_margin_loss   out = mean max(0, margin + |anchor - positive| - |anchor - negative|)
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi
from typing import Any

from pellucid.errors import shape_text
from pellucid.operators.activations import logsigmoid
from pellucid.operators.losses import wanted_reduction
from pellucid.operators.norms import pairwise_distance
from pellucid.operators.selecting import where
from pellucid.tensor import Tensor

Flag = bool | None


def reduced(loss: Any, operator: str, size_average: Flag, reduce: Flag, reduction: str) -> Any:
    """The loss per cell, their mean or their sum."""
    wanted = wanted_reduction(operator, size_average, reduce, reduction)
    return loss.mean() if wanted == "mean" else loss.sum() if wanted == "sum" else loss


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: Flag = None,
    reduce: Flag = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``max(0, margin - target (input1 - input2))``: 1 asks for a larger first input, -1 for a larger second one.

    Raises:
        RuntimeError: the three have different numbers of dimensions.
    """
    a: Any = input1
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
            f"{shape_text(input1.shape)}, input2: {shape_text(input2.shape)}, target: {shape_text(target.shape)}"
        )
    t: Any = target
    loss = (-t * (a - input2) + margin).clamp_min(0)
    return reduced(loss, "margin_ranking_loss", size_average, reduce, reduction)


def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, size_average: Flag = None, reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``input`` where the target is 1, ``max(0, margin - input)`` where it is -1."""
    x: Any = input
    t: Any = target
    far = where(t != 1, (margin - x).clamp_min(0), 0.0)
    near = where(t != -1, x, 0.0)
    return reduced(far + near, "hinge_embedding_loss", size_average, reduce, reduction)


def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: Flag = None, reduce: Flag = None, reduction: str = "mean"
) -> Tensor:
    """``log(1 + exp(-target input))`` with targets 1 and -1."""
    x: Any = input
    t: Any = target
    return reduced((-t * x).exp().log1p(), "soft_margin_loss", size_average, reduce, reduction)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: Flag = None,
    reduce: Flag = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``1 - cos`` of the angle between rows where the target is 1, ``max(0, cos - margin)`` where it is -1.

    Raises:
        RuntimeError: the inputs are neither rows (N, D) with a target (N) nor vectors (D) with a 0-d target.
    """
    a: Any = input1
    b: Any = input2
    if target.ndim > 1 or a.ndim != target.ndim + 1 or b.ndim != target.ndim + 1:
        raise RuntimeError(
            f"cosine_embedding_loss(): {target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but "
            f"found inputs with sizes {shape_text(a.shape)} and {shape_text(b.shape)}."
        )
    tiny = 1e-12
    lengths = (((a * a).sum(-1) + tiny) * ((b * b).sum(-1) + tiny)).sqrt()
    cos = (a * b).sum(-1) / lengths
    t: Any = target
    loss = where(t == 1, 1 - cos, 0.0) + where(t == -1, (cos - margin).clamp_min(0), 0.0)
    return reduced(loss, "cosine_embedding_loss", size_average, reduce, reduction)


# -- triplets ---------------------------------------------------------------------------------------------------------


def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None, margin: float = 1.0, swap: bool = False,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``max(0, margin + d(anchor, positive) - d(anchor, negative))``; ``swap`` also takes d(positive, negative).

    Raises:
        ValueError: the margin is not positive.
        RuntimeError: the three have different numbers of dimensions.
    """
    name = "triplet_margin_loss"
    if margin <= 0:
        raise ValueError(f"{name}(): margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            f"{name}(): The anchor, positive, and negative tensors are expected to have the same number of dimensions, "
            f"but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    distance = distance_function or pairwise_distance
    near: Any = distance(anchor, positive)
    far: Any = distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return reduced((margin + near - far).clamp_min(0), name, None, None, reduction)


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2, eps: float = 1e-6,
    swap: bool = False, size_average: Flag = None, reduce: Flag = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """`triplet_margin_with_distance_loss` with the p-norm of differences as distance.

    Raises:
        ValueError: the margin is not positive.
        RuntimeError: the three have different numbers of dimensions.
    """
    return triplet_margin_with_distance_loss(
        anchor,
        positive,
        negative,
        distance_function=lambda a, b: pairwise_distance(a, b, p, eps),
        margin=margin,
        swap=swap,
        reduction=wanted_reduction("triplet_margin_loss", size_average, reduce, reduction),
    )


# -- distributions ----------------------------------------------------------------------------------------------------


def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, size_average: Flag = None,
    eps: float = 1e-8, reduce: Flag = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``exp(input) - target input`` (or ``input - target log(input + eps)``), with ``full`` also log(target!) by
    Stirling's formula."""
    x: Any = input
    t: Any = target
    loss = x.exp() - t * x if log_input else x - t * (x + eps).log()
    if full:
        safe = t.masked_fill(t <= 1, 1)
        stirling = safe * safe.log() - safe + 0.5 * (2 * pi * safe).log()
        loss = loss + stirling.masked_fill(t <= 1, 0)
    return reduced(loss, "poisson_nll_loss", size_average, reduce, reduction)


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """``(log(var) + (input - target)^2 / var) / 2``; ``var`` is at least ``eps``.

    Raises:
        ValueError: a negative variance, or one whose shape does not fit.
    """
    x: Any = input
    v: Any = x.new_full(x.shape, var) if isinstance(var, float) else var
    if v.shape != x.shape:
        if tuple(x.shape[:-1]) == tuple(v.shape):
            v = v.unsqueeze(-1)
        elif tuple(x.shape[:-1]) != tuple(v.shape[:-1]) or v.shape[-1] != 1:
            raise ValueError(f"gaussian_nll_loss(): var is of incorrect size: {list(v.shape)} for {list(x.shape)}")
    if bool((v.detach() < 0).any()):
        raise ValueError("gaussian_nll_loss(): var has negative entry/entries")
    low = v + (eps - v).detach().clamp_min(0)  # as clamp(min=eps), with the gradient of v everywhere
    loss = 0.5 * (low.log() + (x - target) ** 2 / low)
    if full:
        loss = loss + 0.5 * log(2 * pi)
    return reduced(loss, "gaussian_nll_loss", None, None, reduction)


# -- several classes --------------------------------------------------------------------------------------------------


def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
    size_average: Flag = None, reduce: Flag = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``sum over j != t of max(0, margin - input[t] + input[j])^p w[t] / C`` with ``t = target``.

    Raises:
        ValueError: p is not 1 or 2, or the weight is not a vector.
        RuntimeError: shapes that do not fit.
    """
    reduction = wanted_reduction("multi_margin_loss", size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss(): only p == 1 and p == 2 supported, got {p}")
    x: Any = input
    rows = x.reshape(1, -1) if x.ndim < 2 else x
    labels: Any = target
    t = labels.reshape(-1)
    if rows.ndim != 2 or rows.shape[1] == 0 or t.shape[0] != rows.shape[0] or target.ndim > 1:
        raise RuntimeError(
            "multi_margin_loss(): Expected non-empty vector or matrix with optional 0-dim batch size, and a target of "
            f"its first size, but got: {shape_text(x.shape)} and {shape_text(target.shape)}"
        )
    if weight is not None and weight.ndim != 1:
        raise ValueError(f"multi_margin_loss(): weight must be one-dimensional, got {shape_text(weight.shape)}")
    if weight is not None and weight.shape[0] != rows.shape[1]:
        raise RuntimeError(
            f"multi_margin_loss(): inconsistent weight size, expected {rows.shape[1]} but got {list(weight.shape)}"
        )
    own = rows.gather(1, t.unsqueeze(1))
    excess = (margin - own + rows).clamp_min(0)
    excess = excess if p == 1 else excess * excess
    if weight is not None:
        scale: Any = weight
        excess = excess * scale[t].unsqueeze(1)
    classes = rows.shape[1]
    others = t.unsqueeze(1) != t.new_tensor(list(range(classes)))
    loss = (excess * others).sum(1) / classes
    loss = loss if x.ndim == 2 else loss.reshape(target.shape)
    return reduced(loss, "multi_margin_loss", None, None, reduction)


def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: Flag = None, reduce: Flag = None, reduction: str = "mean"
) -> Tensor:
    """``sum over targets t and others j of max(0, 1 - input[t] + input[j]) / C``; targets end at the first -1.

    Raises:
        RuntimeError: input and target have different shapes.
    """
    reduction = wanted_reduction("multilabel_margin_loss", size_average, reduce, reduction)
    x: Any = input
    if x.shape != target.shape or x.ndim > 2:
        raise RuntimeError(
            f"multilabel_margin_loss(): inconsistent target size: {shape_text(target.shape)} for input of size: "
            f"{shape_text(x.shape)}"
        )
    rows, t = (y.reshape(-1, y.shape[-1] if y.ndim else 1) for y in (x, target))
    meant = (t < 0).cumsum(1) == 0
    safe = t.masked_fill(~meant, 0)
    is_target = (rows.detach() * 0).scatter_add(1, safe, meant.to(rows.dtype)) > 0
    excess = (1 - rows.gather(1, safe).unsqueeze(2) + rows.unsqueeze(1)).clamp_min(0)
    counted = meant.unsqueeze(2) & ~is_target.unsqueeze(1)
    loss = (excess * counted).sum((1, 2)) / rows.shape[1]
    loss = loss if x.ndim == 2 else loss[0]
    return reduced(loss, "multilabel_margin_loss", None, None, reduction)


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Flag = None, reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Binary cross entropy of ``sigmoid(input)``, on average over the classes (the last dimension)."""
    x: Any = input
    t: Any = target
    loss = -(t * logsigmoid(x) + (1 - t) * logsigmoid(-x))
    loss = loss if weight is None else loss * weight
    loss = loss.sum(-1) / x.shape[-1]
    return reduced(loss, "multilabel_soft_margin_loss", size_average, reduce, reduction)
