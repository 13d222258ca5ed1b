"""Modules beside PyTorch's: initial weights bit by bit, repr, names of states, results and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.libraries import compare, numbers

# The module, the shapes of its inputs; nn is torch.nn.
MODULES: dict[str, tuple[Callable[[Any], Any], tuple[Any, ...]]] = {
    "linear": (lambda nn: nn.Linear(5, 3), ((4, 5),)),
    "linear_without_bias": (lambda nn: nn.Linear(7, 2, bias=False), ((2, 3, 7),)),
    "linear_of_many": (lambda nn: nn.Linear(129, 65), ((33, 129),)),
    "bilinear": (lambda nn: nn.Bilinear(3, 4, 5), ((2, 6, 3), (2, 6, 4))),
    "bilinear_without_bias": (lambda nn: nn.Bilinear(3, 4, 5, bias=False), ((3,), (4,))),
    "identity": (lambda nn: nn.Identity(5, unused=3), ((2, 3),)),
    "sequential": (lambda nn: nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2)), ((3, 4),)),
    "conv1d": (lambda nn: nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), ((2, 4, 9),)),
    "conv1d_same": (lambda nn: nn.Conv1d(2, 3, 4, padding="same", dilation=2), ((2, 2, 11),)),
    "conv2d": (lambda nn: nn.Conv2d(3, 8, 3, padding=1), ((2, 3, 7, 6),)),
    "conv2d_strided": (lambda nn: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), dilation=(1, 2), bias=False), ((4, 9, 8),)),
    "conv2d_depthwise": (lambda nn: nn.Conv2d(4, 8, 3, groups=4, padding="valid"), ((2, 4, 6, 6),)),
    "conv2d_reflect": (lambda nn: nn.Conv2d(2, 3, 3, padding=(2, 1), padding_mode="reflect"), ((2, 2, 6, 5),)),
    "conv2d_circular_same": (lambda nn: nn.Conv2d(2, 3, 4, padding="same", padding_mode="circular"), ((2, 2, 6, 5),)),
    "patches": (lambda nn: nn.Conv2d(3, 16, 4, stride=4), ((2, 3, 16, 16),)),
    "conv_transpose1d": (lambda nn: nn.ConvTranspose1d(3, 4, 3, stride=2, output_padding=1), ((2, 3, 5),)),
    "conv_transpose2d": (lambda nn: nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2), ((2, 4, 4, 5),)),
    "max_pool1d": (lambda nn: nn.MaxPool1d(3, 2, padding=1), ((2, 3, 9),)),
    "max_pool2d": (lambda nn: nn.MaxPool2d((2, 3), ceil_mode=True), ((2, 3, 7, 8),)),
    "avg_pool1d": (lambda nn: nn.AvgPool1d(3, 2, padding=1), ((2, 3, 9),)),
    "avg_pool2d": (lambda nn: nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), ((2, 3, 7, 8),)),
    "adaptive_avg_pool1d": (lambda nn: nn.AdaptiveAvgPool1d(4), ((2, 3, 9),)),
    "adaptive_avg_pool2d": (lambda nn: nn.AdaptiveAvgPool2d((3, 2)), ((2, 3, 7, 8),)),
    "layer_norm": (lambda nn: nn.LayerNorm((3, 4)), ((2, 3, 4),)),
    "layer_norm_without_bias": (lambda nn: nn.LayerNorm(4, eps=1e-3, bias=False), ((2, 3, 4),)),
    "rms_norm": (lambda nn: nn.RMSNorm(6), ((2, 3, 6),)),
    "group_norm": (lambda nn: nn.GroupNorm(2, 6), ((2, 6, 3, 4),)),
    "batch_norm1d": (lambda nn: nn.BatchNorm1d(5), ((6, 5),)),
    "batch_norm2d": (lambda nn: nn.BatchNorm2d(3, momentum=None), ((4, 3, 2, 5),)),
    "batch_norm2d_untracked": (lambda nn: nn.BatchNorm2d(3, affine=False, track_running_stats=False), ((4, 3, 2, 5),)),
    "batch_norm3d": (lambda nn: nn.BatchNorm3d(3), ((2, 3, 2, 3, 2),)),
    "batch_norm_in_use": (lambda nn: nn.BatchNorm1d(5).eval(), ((6, 5, 4),)),
    "instance_norm1d": (lambda nn: nn.InstanceNorm1d(3, affine=True), ((2, 3, 6),)),
    "instance_norm2d": (lambda nn: nn.InstanceNorm2d(3, track_running_stats=True), ((2, 3, 4, 5),)),
    "instance_norm_of_one": (lambda nn: nn.InstanceNorm2d(3), ((3, 4, 5),)),
    "flatten": (lambda nn: nn.Flatten(), ((2, 3, 4),)),
    "unflatten": (lambda nn: nn.Unflatten(1, (2, 3)), ((2, 6, 2),)),
    "unfold": (lambda nn: nn.Unfold((2, 3), padding=1, stride=2), ((2, 3, 5, 6),)),
    "fold": (lambda nn: nn.Fold((4, 5), (2, 2)), ((2, 12, 12),)),
    "pixel_shuffle": (lambda nn: nn.PixelShuffle(2), ((2, 8, 3, 2),)),
    "pixel_unshuffle": (lambda nn: nn.PixelUnshuffle(2), ((2, 2, 6, 4),)),
    "channel_shuffle": (lambda nn: nn.ChannelShuffle(3), ((2, 6, 3, 4),)),
    "zero_pad2d": (lambda nn: nn.ZeroPad2d((1, 2, 0, 3)), ((2, 3, 4, 5),)),
    "constant_pad1d": (lambda nn: nn.ConstantPad1d(2, 3.5), ((2, 3, 4),)),
    "reflection_pad2d": (lambda nn: nn.ReflectionPad2d(2), ((2, 3, 4, 5),)),
    "replication_pad1d": (lambda nn: nn.ReplicationPad1d((3, 1)), ((2, 3, 4),)),
    "circular_pad2d": (lambda nn: nn.CircularPad2d(1), ((2, 3, 4, 5),)),
    "upsample": (lambda nn: nn.Upsample(scale_factor=2), ((2, 3, 4, 5),)),
    "upsample_1d": (lambda nn: nn.Upsample(7), ((2, 3, 4),)),
    "upsample_scaled": (lambda nn: nn.Upsample(scale_factor=(1.7, 0.6), mode="nearest-exact"), ((2, 3, 4, 5),)),
    "upsample_linear": (lambda nn: nn.Upsample(scale_factor=1.5, mode="linear"), ((2, 3, 6),)),
    "upsample_bilinear": (lambda nn: nn.Upsample((7, 3), mode="bilinear"), ((2, 3, 4, 5),)),
    "upsample_corners": (lambda nn: nn.UpsamplingBilinear2d(scale_factor=2), ((2, 3, 4, 5),)),
    "upsample_nearest2d": (lambda nn: nn.UpsamplingNearest2d((3, 9)), ((2, 3, 4, 5),)),
    "upsample_bicubic": (lambda nn: nn.Upsample(scale_factor=2.3, mode="bicubic"), ((2, 3, 6, 5),)),
    "upsample_bicubic_corners": (lambda nn: nn.Upsample((9, 4), mode="bicubic", align_corners=True), ((2, 3, 6, 5),)),
    "upsample_area": (lambda nn: nn.Upsample((3, 4), mode="area"), ((2, 3, 6, 5),)),
    "upsample_nothing": (lambda nn: nn.Upsample(), ((2, 3, 6, 5),)),
    "upsample_unfit": (lambda nn: nn.Upsample(3, mode="linear"), ((2, 3, 6, 5),)),
    "upsample_corners_of_nearest": (lambda nn: nn.Upsample(3, align_corners=True), ((2, 3, 6, 5),)),
    "relu": (lambda nn: nn.ReLU(), ((3, 4),)),
    "relu_inplace": (lambda nn: nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True)), ((3, 4),)),
    "relu6": (lambda nn: nn.ReLU6(), ((3, 4),)),
    "silu": (lambda nn: nn.SiLU(), ((3, 4),)),
    "mish": (lambda nn: nn.Mish(), ((3, 4),)),
    "hardswish": (lambda nn: nn.Hardswish(), ((3, 4),)),
    "hardsigmoid": (lambda nn: nn.Hardsigmoid(), ((3, 4),)),
    "gelu": (lambda nn: nn.GELU(), ((3, 4),)),
    "gelu_tanh": (lambda nn: nn.GELU(approximate="tanh"), ((3, 4),)),
    "elu": (lambda nn: nn.ELU(0.5), ((3, 4),)),
    "celu": (lambda nn: nn.CELU(0.5), ((3, 4),)),
    "selu": (lambda nn: nn.SELU(), ((3, 4),)),
    "leaky_relu": (lambda nn: nn.LeakyReLU(0.2), ((3, 4),)),
    "hardtanh": (lambda nn: nn.Hardtanh(-0.5, 0.7), ((3, 4),)),
    "softplus": (lambda nn: nn.Softplus(2, 3), ((3, 4),)),
    "sigmoid": (lambda nn: nn.Sigmoid(), ((3, 4),)),
    "tanh": (lambda nn: nn.Tanh(), ((3, 4),)),
    "log_sigmoid": (lambda nn: nn.LogSigmoid(), ((3, 4),)),
    "softsign": (lambda nn: nn.Softsign(), ((3, 4),)),
    "softshrink": (lambda nn: nn.Softshrink(0.3), ((3, 4),)),
    "hardshrink": (lambda nn: nn.Hardshrink(), ((3, 4),)),
    "tanhshrink": (lambda nn: nn.Tanhshrink(), ((3, 4),)),
    "softmax": (lambda nn: nn.Softmax(1), ((3, 4),)),
    "softmin": (lambda nn: nn.Softmin(-1), ((3, 4),)),
    "softmax2d": (lambda nn: nn.Softmax2d(), ((2, 3, 4, 2),)),
    "log_softmax": (lambda nn: nn.LogSoftmax(dim=0), ((3, 4),)),
    "glu": (lambda nn: nn.GLU(), ((3, 4),)),
    "threshold": (lambda nn: nn.Threshold(0.1, 20), ((3, 4),)),
    "prelu": (lambda nn: nn.PReLU(3), ((2, 3, 4),)),
    "dropout": (lambda nn: nn.Dropout(0.3), ((5, 40),)),
    "dropout1d": (lambda nn: nn.Dropout1d(0.3), ((5, 4, 3),)),
    "dropout2d": (lambda nn: nn.Dropout2d(0.4), ((5, 4, 3, 2),)),
    "dropout3d": (lambda nn: nn.Dropout3d(0.4), ((5, 4, 3, 2, 2),)),
    "alpha_dropout": (lambda nn: nn.AlphaDropout(0.3), ((5, 7),)),
    "feature_alpha_dropout": (lambda nn: nn.FeatureAlphaDropout(0.3), ((5, 7, 3),)),
    "dropout_of_everything": (lambda nn: nn.Dropout(1.0), ((5, 7),)),
    "cosine_similarity": (lambda nn: nn.CosineSimilarity(dim=1), ((5, 7), (5, 7))),
    "pairwise_distance": (lambda nn: nn.PairwiseDistance(keepdim=True), ((5, 7), (5, 7))),
    "mse_loss": (lambda nn: nn.MSELoss(), ((5, 7), (5, 7))),
    "l1_loss": (lambda nn: nn.L1Loss(reduction="none"), ((5, 7), (5, 7))),
    "smooth_l1_loss": (lambda nn: nn.SmoothL1Loss(beta=0.5), ((5, 7), (5, 7))),
    "huber_loss": (lambda nn: nn.HuberLoss(reduction="sum", delta=0.7), ((5, 7), (5, 7))),
    "triplet_margin_loss": (lambda nn: nn.TripletMarginLoss(swap=True), ((5, 7), (5, 7), (5, 7))),
    "triplet_distance": (lambda nn: nn.TripletMarginWithDistanceLoss(margin=0.5), ((5, 7), (5, 7), (5, 7))),
    "poisson_nll_loss": (lambda nn: nn.PoissonNLLLoss(), ((5, 7), (5, 7))),
    "attention": (lambda nn: nn.MultiheadAttention(8, 2), ((5, 3, 8), (4, 3, 8), (4, 3, 8))),
    "attention_dropout": (lambda nn: nn.MultiheadAttention(8, 2, dropout=0.3), ((5, 3, 8), (4, 3, 8), (4, 3, 8))),
    "attention_sizes": (
        lambda nn: nn.MultiheadAttention(8, 2, kdim=5, vdim=6, bias=False, batch_first=True, add_zero_attn=True),
        ((3, 5, 8), (3, 4, 5), (3, 4, 6)),
    ),
    "attention_biases": (lambda nn: nn.MultiheadAttention(8, 4, add_bias_kv=True), ((5, 8), (4, 8), (4, 8))),
    "encoder_layer": (lambda nn: nn.TransformerEncoderLayer(8, 2, 16), ((5, 3, 8),)),
    "encoder_layer_norm_first": (
        lambda nn: nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", norm_first=True, batch_first=True, bias=False),
        ((3, 5, 8),),
    ),
    "encoder": (
        lambda nn: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, 0.0), 2, nn.LayerNorm(8), enable_nested_tensor=False
        ),
        ((5, 3, 8),),
    ),
    "decoder": (
        lambda nn: nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 2),
        ((5, 3, 8), (4, 3, 8)),
    ),
    "lstm": (lambda nn: nn.LSTM(3, 5, 2, batch_first=True, dropout=0.2), ((2, 4, 3),)),
    "lstm_both_ways": (lambda nn: nn.LSTM(3, 5, 2, bidirectional=True, bias=False, proj_size=2), ((4, 2, 3),)),
    "gru": (lambda nn: nn.GRU(3, 5, bidirectional=True), ((4, 2, 3),)),
    "gru_of_one": (lambda nn: nn.GRU(3, 5), ((4, 3), (1, 5))),
    "rnn": (lambda nn: nn.RNN(3, 5, 2, nonlinearity="relu"), ((4, 2, 3), (2, 2, 5))),
    "lstm_cell": (lambda nn: nn.LSTMCell(3, 5), ((2, 3),)),
    "gru_cell": (lambda nn: nn.GRUCell(3, 5, bias=False), ((2, 3), (2, 5))),
    "rnn_cell": (lambda nn: nn.RNNCell(3, 5, nonlinearity="relu"), ((3,),)),
    "lstm_of_another_size": (lambda nn: nn.LSTM(3, 5), ((4, 2, 4),)),
    "gru_from_another_size": (lambda nn: nn.GRU(3, 5), ((4, 2, 3), (1, 2, 4))),
    "transformer": (lambda nn: nn.Transformer(8, 2, 1, 1, 16, batch_first=True), ((3, 4, 8), (3, 5, 8))),
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_initial_state(name: str) -> None:
    make = MODULES[name][0]

    def program(library: Any) -> Any:
        module = make(library.nn)
        state = module.state_dict()
        return repr(module), list(state), [n for n, _ in module.named_parameters()], dict(state)

    compare(program)


@pytest.mark.parametrize("name", MODULES)
def test_results_and_gradients(name: str) -> None:
    make, shapes = MODULES[name]

    def program(library: Any) -> Any:
        module = make(library.nn)
        inputs = [numbers(library, *shape, seed=k).requires_grad_() for k, shape in enumerate(shapes)]
        results = module(*inputs)
        results = results if isinstance(results, tuple) else (results,)
        flat = [r for part in results for r in (part if isinstance(part, tuple) else (part,))]
        loss = sum((r * numbers(library, *r.shape, seed=9)).sum() for r in flat)
        loss.backward()
        gradients = {n: p.grad for n, p in module.named_parameters()}
        return flat, [x.grad for x in inputs], gradients, dict(module.named_buffers())

    compare(program, rtol=2e-5, atol=3e-6)


def _classes(library: Any, n: int, most: int) -> Any:
    return library.tensor([(3 * k + 1) % most for k in range(n)])


LOSSES: dict[str, Callable[[Any], Any]] = {
    "cross_entropy": lambda t: t.nn.CrossEntropyLoss(label_smoothing=0.1)(numbers(t, 6, 4), _classes(t, 6, 4)),
    "cross_entropy_weighted": lambda t: t.nn.CrossEntropyLoss(weight=numbers(t, 4, seed=3).abs(), ignore_index=1)(
        numbers(t, 6, 4, 2), _classes(t, 12, 4).reshape(6, 2)
    ),
    "cross_entropy_of_chances": lambda t: t.nn.CrossEntropyLoss()(numbers(t, 6, 4), numbers(t, 6, 4, seed=2).softmax(1)),
    "nll": lambda t: t.nn.NLLLoss(reduction="none")(numbers(t, 6, 4), _classes(t, 6, 4)),
    "bce": lambda t: t.nn.BCELoss()(numbers(t, 6).sigmoid(), numbers(t, 6, seed=2).sigmoid()),
    "bce_logits": lambda t: t.nn.BCEWithLogitsLoss(pos_weight=numbers(t, 4, seed=5).abs())(
        numbers(t, 6, 4), numbers(t, 6, 4, seed=2).sigmoid()
    ),
    "kl_div": lambda t: t.nn.KLDivLoss(reduction="batchmean")(
        numbers(t, 6, 4).log_softmax(1), numbers(t, 6, 4, seed=2).softmax(1)
    ),
    "multi_margin": lambda t: t.nn.MultiMarginLoss(p=2, weight=numbers(t, 4, seed=5).abs())(
        numbers(t, 6, 4), _classes(t, 6, 4)
    ),
    "multilabel_soft_margin": lambda t: t.nn.MultiLabelSoftMarginLoss()(
        numbers(t, 6, 4), (numbers(t, 6, 4, seed=2) > 0).float()
    ),
    "soft_margin": lambda t: t.nn.SoftMarginLoss()(numbers(t, 6, 4), numbers(t, 6, 4, seed=2).sign()),
    "hinge_embedding": lambda t: t.nn.HingeEmbeddingLoss(0.7)(numbers(t, 6, 4), numbers(t, 6, 4, seed=2).sign()),
    "cosine_embedding": lambda t: t.nn.CosineEmbeddingLoss(0.2)(
        numbers(t, 6, 4), numbers(t, 6, 4, seed=1), numbers(t, 6, seed=2).sign()
    ),
    "margin_ranking": lambda t: t.nn.MarginRankingLoss(0.2, reduction="sum")(
        numbers(t, 6), numbers(t, 6, seed=1), numbers(t, 6, seed=2).sign()
    ),
    "gaussian_nll": lambda t: t.nn.GaussianNLLLoss(full=True)(
        numbers(t, 6, 4), numbers(t, 6, 4, seed=1), numbers(t, 6, 1, seed=2).abs()
    ),
    "poisson_nll_full": lambda t: t.nn.PoissonNLLLoss(log_input=False, full=True)(
        numbers(t, 6, 4).abs(), numbers(t, 6, 4, seed=1).abs() * 3
    ),
    "old_flags": lambda t: t.nn.MSELoss(size_average=False)(numbers(t, 6), numbers(t, 6, seed=1)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    compare(LOSSES[name], rtol=2e-6, atol=1e-6)


def _masked(t: Any, **options: Any) -> Any:
    attention = t.nn.MultiheadAttention(8, 2, batch_first=True)
    x = numbers(t, 3, 4, 8)
    return attention(x, x, x, **options)


ATTENTIONS: dict[str, Callable[[Any], Any]] = {
    "without_weights": lambda t: _masked(t, need_weights=False),
    "each_head": lambda t: _masked(t, average_attn_weights=False),
    "bool_mask": lambda t: _masked(t, attn_mask=t.ones(4, 4, dtype=t.bool).triu(1)),
    "added_mask": lambda t: _masked(t, attn_mask=numbers(t, 6, 4, 4, seed=4)),
    "causal": lambda t: _masked(
        t, attn_mask=t.nn.Transformer.generate_square_subsequent_mask(4), is_causal=True, need_weights=False
    ),
    "padding": lambda t: _masked(t, key_padding_mask=t.tensor([[False, False, k == 1, True] for k in range(3)])),
    "both": lambda t: _masked(
        t,
        key_padding_mask=t.tensor([[False, False, k == 1, True] for k in range(3)]),
        attn_mask=t.ones(4, 4, dtype=t.bool).triu(1),
        need_weights=False,
    ),
    "blind_rows": lambda t: _masked(
        t, key_padding_mask=t.tensor([[k == 1] * 4 for k in range(3)]), need_weights=False
    ),
    "unfit_mask": lambda t: _masked(t, attn_mask=t.ones(4, 3)),
    "int_mask": lambda t: _masked(t, attn_mask=t.ones(4, 4, dtype=t.int64)),
    "causal_without_mask": lambda t: _masked(t, is_causal=True),
    "sdpa_causal": lambda t: t.nn.functional.scaled_dot_product_attention(
        *[numbers(t, 2, 3, 4, 5, seed=k) for k in range(3)], is_causal=True
    ),
    "sdpa_bool_mask": lambda t: t.nn.functional.scaled_dot_product_attention(
        *[numbers(t, 2, 3, 4, 5, seed=k) for k in range(3)], attn_mask=t.ones(4, 4, dtype=t.bool).tril(-1)
    ),
    "sdpa_scale": lambda t: t.nn.functional.scaled_dot_product_attention(
        numbers(t, 2, 3, 4, 5), numbers(t, 2, 3, 6, 5, seed=1), numbers(t, 2, 3, 6, 7, seed=2), scale=0.3
    ),
    "sdpa_grouped": lambda t: t.nn.functional.scaled_dot_product_attention(
        numbers(t, 2, 4, 4, 5), numbers(t, 2, 2, 6, 5, seed=1), numbers(t, 2, 2, 6, 5, seed=2), enable_gqa=True
    ),
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention(name: str) -> None:
    compare(ATTENTIONS[name], rtol=1e-5, atol=2e-6)


INITS: dict[str, Callable[[Any, Any], Any]] = {
    "uniform_": lambda init, x: init.uniform_(x, -1, 2),
    "normal_": lambda init, x: init.normal_(x, 1, 2),
    "trunc_normal_": lambda init, x: init.trunc_normal_(x, std=0.02),
    "trunc_normal_narrow": lambda init, x: init.trunc_normal_(x, 1, 3, a=-0.5, b=0.25),
    "constant_": lambda init, x: init.constant_(x, 0.3),
    "eye_": lambda init, x: init.eye_(x),
    "xavier_uniform_": lambda init, x: init.xavier_uniform_(x, gain=2.0),
    "xavier_normal_": lambda init, x: init.xavier_normal_(x),
    "kaiming_uniform_": lambda init, x: init.kaiming_uniform_(x, mode="fan_out", nonlinearity="relu"),
    "kaiming_normal_": lambda init, x: init.kaiming_normal_(x, a=0.2),
    "orthogonal_": lambda init, x: init.orthogonal_(x, gain=1.5),
    "sparse_": lambda init, x: init.sparse_(x, 0.3),
    "dirac_": lambda init, x: init.dirac_(x.reshape(5, 4, 2)),
    "unknown_mode": lambda init, x: init.kaiming_normal_(x, mode="fan"),
    "one_dimension": lambda init, x: init.xavier_normal_(x[0]),
    "gains": lambda init, x: [
        init.calculate_gain(n) for n in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu")
    ],
    "leaky_gain": lambda init, x: init.calculate_gain("leaky_relu", 0.2),
    "unknown_gain": lambda init, x: init.calculate_gain("swish"),
}  # fmt: skip


@pytest.mark.parametrize("name", INITS)
def test_initial_values(name: str) -> None:
    # QR and the normal distribution's logarithms may differ in the last bits.
    tolerance = {"orthogonal_": 2e-6}.get(name, 3e-7)
    compare(lambda t: INITS[name](t.nn.init, t.zeros(5, 8)), rtol=tolerance, atol=tolerance / 10)


EMBEDDINGS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda nn: nn.Embedding(7, 3),
    "padding": lambda nn: nn.Embedding(7, 3, padding_idx=-3),
    "limited": lambda nn: nn.Embedding(7, 3, max_norm=1.0, norm_type=1.0),
    "by_frequency": lambda nn: nn.Embedding(7, 3, scale_grad_by_freq=True),
    "outside": lambda nn: nn.Embedding(7, 3, padding_idx=7),
    "too_small": lambda nn: nn.Embedding(4, 3),
}


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embedding(name: str) -> None:
    def program(library: Any) -> Any:
        module = EMBEDDINGS[name](library.nn)
        result = module(library.tensor([[1, 4, 4], [6, 0, 1]]))
        (result * numbers(library, 2, 3, 3)).sum().backward()
        return repr(module), result, module.weight, module.weight.grad

    compare(program, rtol=1e-6, atol=1e-7)
