"""Functions of networks. Those with a formula of their own live among the operators; here they get PyTorch's names,
and what is composed of them is written out."""

from __future__ import annotations

from math import sqrt
from typing import Any

from pellucid.operators.activations import celu as celu
from pellucid.operators.activations import elu as elu
from pellucid.operators.activations import gelu as gelu
from pellucid.operators.activations import hardshrink as hardshrink
from pellucid.operators.activations import hardsigmoid as hardsigmoid
from pellucid.operators.activations import hardswish as hardswish
from pellucid.operators.activations import hardtanh as hardtanh
from pellucid.operators.activations import leaky_relu as leaky_relu
from pellucid.operators.activations import logsigmoid as logsigmoid
from pellucid.operators.activations import mish as mish
from pellucid.operators.activations import prelu as prelu
from pellucid.operators.activations import relu6 as relu6
from pellucid.operators.activations import selu as selu
from pellucid.operators.activations import silu as silu
from pellucid.operators.activations import softplus as softplus
from pellucid.operators.activations import softshrink as softshrink
from pellucid.operators.activations import softsign as softsign
from pellucid.operators.activations import tanhshrink as tanhshrink
from pellucid.operators.channel_norms import batch_norm as batch_norm
from pellucid.operators.channel_norms import group_norm as group_norm
from pellucid.operators.channel_norms import instance_norm as instance_norm
from pellucid.operators.channel_norms import rms_norm as rms_norm
from pellucid.operators.class_losses import cross_entropy as cross_entropy
from pellucid.operators.class_losses import nll_loss as nll_loss
from pellucid.operators.combining import one_hot as one_hot
from pellucid.operators.define import PUBLIC as _PUBLIC
from pellucid.operators.linear import linear as linear
from pellucid.operators.losses import binary_cross_entropy as binary_cross_entropy
from pellucid.operators.losses import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from pellucid.operators.losses import huber_loss as huber_loss
from pellucid.operators.losses import kl_div as kl_div
from pellucid.operators.losses import l1_loss as l1_loss
from pellucid.operators.losses import mse_loss as mse_loss
from pellucid.operators.losses import smooth_l1_loss as smooth_l1_loss
from pellucid.operators.norms import cosine_similarity as cosine_similarity
from pellucid.operators.norms import normalize as normalize
from pellucid.operators.norms import pairwise_distance as pairwise_distance
from pellucid.operators.padding import pad as pad
from pellucid.operators.standardising import layer_norm as layer_norm
from pellucid.dtypes import bool_ as _BOOL
from pellucid.tensor import Tensor

sigmoid, tanh, relu_ = _PUBLIC["sigmoid"], _PUBLIC["tanh"], _PUBLIC["relu_"]


def relu(input: Any, inplace: bool = False) -> Any:
    """``max(x, 0)``; NaN stays NaN."""
    return input.relu_() if inplace else input.relu()


def softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """``exp(x) / sum exp(x)`` along ``dim``."""
    return input.softmax(_implicit_dim("softmax", input, dim), dtype=dtype)


def log_softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """``x - log sum exp(x)`` along ``dim``."""
    return input.log_softmax(_implicit_dim("log_softmax", input, dim), dtype=dtype)


def softmin(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """The softmax of ``-x``."""
    return (-input).softmax(_implicit_dim("softmin", input, dim), dtype=dtype)


def _implicit_dim(name: str, input: Tensor, dim: int | None) -> int:
    if dim is not None:
        return dim
    import warnings

    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        UserWarning,
        stacklevel=4,
    )
    return 0 if input.layout.ndim in (0, 1, 3) else 1


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """In training, each cell is zero with probability ``p`` and scaled by ``1 / (1 - p)`` otherwise.

    Raises:
        ValueError: ``p`` is not a probability.
    """
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0 or input.layout.numel == 0:
        return input
    if p == 1:
        return input.mul_(0.0) if inplace else input * 0.0
    from pellucid.operators.copying import empty_like

    mask = empty_like(input.detach())
    mask.bernoulli_(1 - p)
    mask.div_(1 - p)
    return input.mul_(mask) if inplace else input * mask


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """``softmax(Q K^T * scale + mask) V`` (Vaswani et al. 2017); scale is 1/sqrt(E) unless given."""
    length, source = query.shape[-2], key.shape[-2]
    if enable_gqa:
        repeats = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(repeats, -3), value.repeat_interleave(repeats, -3)
    factor = 1 / sqrt(query.shape[-1]) if scale is None else scale
    scores = (query * factor) @ key.transpose(-2, -1)
    if is_causal:
        if attn_mask is not None:
            raise RuntimeError("scaled_dot_product_attention(): Explicit attn_mask should not be set when is_causal=True")
        attn_mask = _PUBLIC["ones"](length, source, dtype=_BOOL).tril()
    if attn_mask is not None:
        if attn_mask.dtype is _BOOL:
            scores = scores.masked_fill(attn_mask.logical_not(), float("-inf"))
        else:
            scores = scores + attn_mask
    weights = scores.softmax(-1)
    return dropout(weights, dropout_p) @ value if dropout_p > 0 else weights @ value


def __getattr__(name: str) -> Any:
    found = _PUBLIC.get(name)
    if found is None:
        raise AttributeError(f"torch.nn.functional.{name} is missing from Pellucid", name=name)
    return found
