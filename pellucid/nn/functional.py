"""Functions of networks. Those with a formula of their own live among the operators; here they get PyTorch's names,
and what is composed of them is written out."""

from __future__ import annotations

from typing import Any

from pellucid.memory_format import contiguous_format as _contiguous
from pellucid.nn.attending import multi_head_attention_forward as multi_head_attention_forward
from pellucid.nn.attending import scaled_dot_product_attention as scaled_dot_product_attention
from pellucid.nn.dropouts import alpha_dropout as alpha_dropout
from pellucid.nn.dropouts import dropout as dropout
from pellucid.nn.dropouts import dropout1d as dropout1d
from pellucid.nn.dropouts import dropout2d as dropout2d
from pellucid.nn.dropouts import dropout3d as dropout3d
from pellucid.nn.dropouts import feature_alpha_dropout as feature_alpha_dropout
from pellucid.nn.resizing import interpolate as interpolate
from pellucid.nn.resizing import upsample as upsample
from pellucid.nn.sampling import affine_grid as affine_grid
from pellucid.nn.sampling import grid_sample as grid_sample
from pellucid.nn.unpooling import lp_pool1d as lp_pool1d
from pellucid.nn.unpooling import lp_pool2d as lp_pool2d
from pellucid.nn.unpooling import lp_pool3d as lp_pool3d
from pellucid.nn.unpooling import max_unpool1d as max_unpool1d
from pellucid.nn.unpooling import max_unpool2d as max_unpool2d
from pellucid.nn.unpooling import max_unpool3d as max_unpool3d
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
from pellucid.operators.activations import relu as relu
from pellucid.operators.activations import relu6 as relu6
from pellucid.operators.activations import rrelu as rrelu
from pellucid.operators.activations import selu as selu
from pellucid.operators.activations import silu as silu
from pellucid.operators.activations import softplus as softplus
from pellucid.operators.activations import softshrink as softshrink
from pellucid.operators.activations import softsign as softsign
from pellucid.operators.activations import tanhshrink as tanhshrink
from pellucid.operators.bags import embedding_bag as embedding_bag
from pellucid.operators.channel_norms import batch_norm as batch_norm
from pellucid.operators.channel_norms import group_norm as group_norm
from pellucid.operators.channel_norms import instance_norm as instance_norm
from pellucid.operators.channel_norms import local_response_norm as local_response_norm
from pellucid.operators.channel_norms import rms_norm as rms_norm
from pellucid.operators.class_losses import nll_loss as nll_loss
from pellucid.operators.combining import one_hot as one_hot
from pellucid.operators.creation import empty_like, zeros_like
from pellucid.operators.cross_entropy import cross_entropy as cross_entropy
from pellucid.operators.define import PUBLIC as _PUBLIC
from pellucid.operators.define import wrap_dim as _wrap_dim
from pellucid.operators.embedding import embedding as embedding
from pellucid.operators.linear import linear as linear
from pellucid.operators.losses import binary_cross_entropy as binary_cross_entropy
from pellucid.operators.losses import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from pellucid.operators.losses import huber_loss as huber_loss
from pellucid.operators.losses import kl_div as kl_div
from pellucid.operators.losses import l1_loss as l1_loss
from pellucid.operators.losses import mse_loss as mse_loss
from pellucid.operators.losses import smooth_l1_loss as smooth_l1_loss
from pellucid.operators.margin_losses import cosine_embedding_loss as cosine_embedding_loss
from pellucid.operators.margin_losses import gaussian_nll_loss as gaussian_nll_loss
from pellucid.operators.margin_losses import hinge_embedding_loss as hinge_embedding_loss
from pellucid.operators.margin_losses import margin_ranking_loss as margin_ranking_loss
from pellucid.operators.margin_losses import multi_margin_loss as multi_margin_loss
from pellucid.operators.margin_losses import multilabel_margin_loss as multilabel_margin_loss
from pellucid.operators.margin_losses import multilabel_soft_margin_loss as multilabel_soft_margin_loss
from pellucid.operators.margin_losses import poisson_nll_loss as poisson_nll_loss
from pellucid.operators.margin_losses import soft_margin_loss as soft_margin_loss
from pellucid.operators.margin_losses import triplet_margin_loss as triplet_margin_loss
from pellucid.operators.margin_losses import triplet_margin_with_distance_loss as triplet_margin_with_distance_loss
from pellucid.operators.mean_pooling import adaptive_avg_pool2d as adaptive_avg_pool2d
from pellucid.operators.mean_pooling import adaptive_avg_pool3d as adaptive_avg_pool3d
from pellucid.operators.mean_pooling import avg_pool2d as avg_pool2d
from pellucid.operators.mean_pooling import avg_pool3d as avg_pool3d
from pellucid.operators.norms import cosine_similarity as cosine_similarity
from pellucid.operators.norms import normalize as normalize
from pellucid.operators.norms import pairwise_distance as pairwise_distance
from pellucid.operators.padding import pad as pad
from pellucid.operators.pooling import adaptive_max_pool1d as adaptive_max_pool1d
from pellucid.operators.pooling import adaptive_max_pool1d_with_indices as adaptive_max_pool1d_with_indices
from pellucid.operators.pooling import adaptive_max_pool2d as adaptive_max_pool2d
from pellucid.operators.pooling import adaptive_max_pool2d_with_indices as adaptive_max_pool2d_with_indices
from pellucid.operators.pooling import adaptive_max_pool3d as adaptive_max_pool3d
from pellucid.operators.pooling import adaptive_max_pool3d_with_indices as adaptive_max_pool3d_with_indices
from pellucid.operators.pooling import max_pool2d_with_indices as max_pool2d_with_indices
from pellucid.operators.pooling import max_pool3d_with_indices as max_pool3d_with_indices
from pellucid.operators.standardising import layer_norm as layer_norm
from pellucid.operators.windows import fold as fold
from pellucid.operators.windows import unfold as unfold
from pellucid.tensor import Tensor

sigmoid, tanh, relu_ = _PUBLIC["sigmoid"], _PUBLIC["tanh"], _PUBLIC["relu_"]


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


def glu(input: Any, dim: int = -1) -> Any:
    """The first half of ``input`` along ``dim`` times the sigmoid of the second (Dauphin et al. 2017).

    Raises:
        RuntimeError: a size that is odd, or a tensor without dimensions.
        NotImplementedError: the dtype is not a floating-point one.
    """
    if input.dim() == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    dim = _wrap_dim("glu", dim, input.dim())
    if input.shape[dim] % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {input.shape[dim]}")
    if not input.dtype.is_floating_point:
        raise NotImplementedError(
            f"\"glu_cpu\" not implemented for '{input.dtype.scalar_name}': glu() takes floating-point tensors; "
            f"got {input.dtype!r}. Convert it first, for example by .float()."
        )
    a, b = input.chunk(2, dim)
    return a * b.sigmoid()


def gumbel_softmax(logits: Any, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Any:
    """``softmax((logits + g) / tau)`` with Gumbel noise g; ``hard`` gives one-hot rows with the soft ones' gradient."""
    noise = -empty_like(logits.detach(), memory_format=_contiguous).exponential_().log()
    soft = ((logits + noise) / tau).softmax(dim)
    if not hard:
        return soft
    chosen = soft.detach().argmax(dim, keepdim=True)
    return zeros_like(logits.detach()).scatter_(dim, chosen, 1.0) - soft.detach() + soft


def elu_(input: Any, alpha: float = 1.0) -> Any:
    """`elu` in place."""
    return elu(input, alpha, True)


def hardtanh_(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """`hardtanh` in place."""
    return hardtanh(input, min_val, max_val, True)


def leaky_relu_(input: Any, negative_slope: float = 0.01) -> Any:
    """`leaky_relu` in place."""
    return leaky_relu(input, negative_slope, True)


def __getattr__(name: str) -> Any:
    found = _PUBLIC.get(name)
    if found is None:
        raise AttributeError(f"torch.nn.functional.{name} is missing from Pellucid", name=name)
    return found
