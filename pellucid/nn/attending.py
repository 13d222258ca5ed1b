"""Attention's functions (Vaswani et al. 2017)."""

from __future__ import annotations

from math import sqrt
from typing import Any

from pellucid.dtypes import bool_ as BOOL
from pellucid.errors import shape_text
from pellucid.nn.dropouts import dropout
from pellucid.operators.creation import ones, zeros
from pellucid.operators.joining import cat
from pellucid.operators.linear import linear


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
    """``softmax(Q K^T * scale + mask) V`` for (..., L, E), (..., S, E), (..., S, V); scale is 1/sqrt(E) unless given.

    A bool mask says where to look (True); another one is added. A row that may look nowhere gives zeros.

    Raises:
        RuntimeError: a mask beside ``is_causal``.
    """
    if is_causal and attn_mask is not None:
        raise RuntimeError("scaled_dot_product_attention(): Explicit attn_mask should not be set when is_causal=True")
    if enable_gqa:
        repeats = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(repeats, -3), value.repeat_interleave(repeats, -3)
    factor = 1 / sqrt(query.shape[-1]) if scale is None else scale
    scores = (query * factor) @ key.transpose(-2, -1)
    if is_causal:
        attn_mask = ones(query.shape[-2], key.shape[-2], dtype=BOOL).tril()
    if attn_mask is None:
        weights = scores.softmax(-1)
    elif attn_mask.dtype is BOOL:
        hidden = attn_mask.logical_not()
        weights = _without_blind(scores.masked_fill(hidden, float("-inf")).softmax(-1), hidden)
    else:
        weights = _without_blind((scores + attn_mask).softmax(-1), attn_mask == float("-inf"))
    return (dropout(weights, dropout_p) if dropout_p > 0 else weights) @ value


def _without_blind(weights: Any, hidden: Any) -> Any:
    """The weights, with zeros (not NaN) in the rows that may look nowhere."""
    blind = hidden.all(-1, keepdim=True)
    return weights.masked_fill(blind, 0.0) if bool(blind.any()) else weights


def _as_added(name: str, mask: Any, dtype: Any) -> Any:
    """A mask as numbers to add: a bool one (True: do not look) becomes 0 and -inf."""
    if mask is None or mask.dtype.is_floating_point:
        return mask
    if mask.dtype is not BOOL:
        raise AssertionError(f"only bool and floating types of {name} are supported, but got {mask.dtype!r}")
    return zeros(mask.shape, dtype=dtype).masked_fill(mask, float("-inf"))


def _projected(query: Any, key: Any, value: Any, weights: Any, biases: Any) -> tuple[Any, Any, Any]:
    """Query, key and value through their linear layers; three equal inputs go through one product."""
    if not isinstance(weights, tuple):
        if query is key and key is value:
            return tuple(linear(query, weights, biases).chunk(3, -1))
        weights = tuple(weights.chunk(3))
    offsets = (None,) * 3 if biases is None else biases.chunk(3)
    return tuple(linear(x, w, b) for x, w, b in zip((query, key, value), weights, offsets, strict=True))  # type: ignore[return-value]


def _check_shapes(query: Any, key: Any, value: Any, attn_mask: Any) -> None:
    """Raises AssertionError unless all are batches (3-D) or none is (2-D)."""
    n = query.dim()
    if n not in (2, 3):
        raise AssertionError(f"query should be unbatched 2D or batched 3D tensor but received {n}-D query tensor")
    kind = f"For {'batched' if n == 3 else 'unbatched'} ({n}-D) `query`, expected"
    if (key.dim(), value.dim()) != (n, n):
        raise AssertionError(
            f"{kind} `key` and `value` to be {n}-D but found {key.dim()}-D and {value.dim()}-D tensors respectively"
        )
    if attn_mask is not None and attn_mask.dim() not in (2, 3):
        raise AssertionError(f"{kind} `attn_mask` to be `None`, 2-D or 3-D but found {attn_mask.dim()}-D tensor instead")


def multi_head_attention_forward(
    query: Any,
    key: Any,
    value: Any,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Any,
    in_proj_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Any,
    out_proj_bias: Any,
    training: bool = True,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Any = None,
    k_proj_weight: Any = None,
    v_proj_weight: Any = None,
    static_k: Any = None,
    static_v: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Any, Any]:
    """Attention by ``num_heads`` heads side by side; (L, N, E) or (L, E), (S, N, E), (S, N, E) -> (L, N, E), weights.

    ``key_padding_mask`` (N, S) hides keys, ``attn_mask`` (L, S) or (N heads, L, S) hides pairs: bool masks where True,
    others are added to the scores. ``average_attn_weights``: (N, L, S), else (N, heads, L, S).

    Raises:
        AssertionError: unfit sizes. RuntimeError: a mask of another shape, ``is_causal`` without a mask.
    """
    batched = query.dim() == 3
    _check_shapes(query, key, value, attn_mask)
    if not batched:
        query, key, value = (x.unsqueeze(1) for x in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    length, batch, embed = query.shape
    if embed != embed_dim_to_check:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim_to_check}, but got {embed}")
    if embed % num_heads:
        raise AssertionError(f"embed_dim {embed} not divisible by num_heads {num_heads}")
    same = key.shape[:2] == value.shape[:2] if use_separate_proj_weight else key.shape == value.shape
    if not same:
        raise AssertionError(
            f"key shape {shape_text(key.shape)} does not match value shape {shape_text(value.shape)} (length first): there "
            "is one value for every key"
        )
    if key.shape[1] != batch:
        raise RuntimeError(f"query is a batch of {batch}, key and value are batches of {key.shape[1]}")
    if is_causal and attn_mask is None:
        raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
    weights = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else in_proj_weight
    q, k, v = _projected(query, key, value, weights, in_proj_bias)
    attn_mask = _as_added("attn_mask", attn_mask, q.dtype)
    padding = _as_added("key_padding_mask", key_padding_mask, q.dtype)
    if bias_k is not None:
        k, v = cat([k, bias_k.repeat(1, batch, 1)]), cat([v, bias_v.repeat(1, batch, 1)])
        attn_mask, padding = _widened(attn_mask), _widened(padding)
    size = embed // num_heads
    q, k, v = (
        x.contiguous().view(-1, batch * num_heads, x.shape[-1] // num_heads).transpose(0, 1) for x in (q, k, v)
    )
    k, v = (k if static_k is None else static_k), (v if static_v is None else static_v)
    if add_zero_attn:
        k, v = (cat([x, zeros(x.shape[0], 1, x.shape[2], dtype=x.dtype)], 1) for x in (k, v))
        attn_mask, padding = _widened(attn_mask), _widened(padding)
    mask = _joint_mask(attn_mask, padding, batch, num_heads, length, k.shape[1])
    dropped = dropout_p if training else 0.0
    if need_weights:
        scores = (q * sqrt(1.0 / float(size))) @ k.transpose(-2, -1)
        attention = dropout((scores if mask is None else scores + mask).softmax(-1), dropped)
        joined = attention @ v
    else:
        joined = scaled_dot_product_attention(q, k, v, mask, dropped)
    joined = joined.transpose(0, 1).contiguous().view(length * batch, -1)
    result = linear(joined, out_proj_weight, out_proj_bias).view(length, batch, -1)
    if not need_weights:
        return (result if batched else result.squeeze(1)), None
    shown = attention.view(batch, num_heads, length, -1)
    shown = shown.mean(dim=1) if average_attn_weights else shown
    return (result, shown) if batched else (result.squeeze(1), shown.squeeze(0))


def _widened(mask: Any) -> Any:
    """One more key, which nobody hides."""
    return None if mask is None else cat([mask, zeros(*mask.shape[:-1], 1, dtype=mask.dtype)], -1)


def _joint_mask(mask: Any, padding: Any, batch: int, heads: int, length: int, source: int) -> Any:
    """Both masks as one that broadcasts to (batch * heads, length, source)."""
    if mask is not None:
        fits = [(length, source)] if mask.dim() == 2 else [(batch * heads, length, source)]
        if mask.dim() not in (2, 3) or tuple(mask.shape) not in fits:
            raise RuntimeError(
                f"The shape of the {mask.dim()}D attn_mask is {shape_text(mask.shape)}, but should be "
                f"{shape_text(fits[0])}."
            )
    if padding is None:
        return mask
    if tuple(padding.shape) != (batch, source):
        raise AssertionError(
            f"expecting key_padding_mask shape of {(batch, source)}, but got {shape_text(padding.shape)}"
        )
    padding = padding.view(batch, 1, 1, source).expand(-1, heads, -1, -1).reshape(batch * heads, 1, source)
    return padding if mask is None else mask + padding
