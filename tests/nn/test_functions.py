"""Functions and layers against plain NumPy."""

from typing import Any

import numpy as np
import pytest

import pellucid as torch
from pellucid import nn
from pellucid.nn import functional as F
from pellucid.nn import init


def close(ours: Any, expected: Any) -> None:
    np.testing.assert_allclose(ours.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(q: Any, k: Any, v: Any, hidden: Any) -> Any:
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    return softmax(np.where(hidden, -np.inf, scores)) @ v


def test_attention() -> None:
    q, k, v = (torch.randn(2, 3, 5, 4) for _ in range(3))
    hidden = np.triu(np.ones((5, 5), bool), 1)
    expected = attention(q.numpy(), k.numpy(), v.numpy(), hidden)
    close(F.scaled_dot_product_attention(q, k, v, is_causal=True), expected)
    close(F.scaled_dot_product_attention(q, k, v, attn_mask=torch.from_numpy(~hidden)), expected)


def test_rows_that_see_nothing_are_zero() -> None:
    q = torch.randn(1, 3, 4)
    mask = torch.tensor([[True, True, True], [False, False, False], [True, False, True]])
    result = F.scaled_dot_product_attention(q, q, q, attn_mask=mask)
    assert not result[0, 1].any()
    assert result.isfinite().all()


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_dropout_keeps_the_mean(p: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(100, 100)
    result = F.dropout(x, p)
    kept = result[result != 0]
    assert abs(kept.numel() / x.numel() - (1 - p)) < 0.02
    assert not kept.numel() or torch.allclose(kept, torch.full_like(kept, 1 / (1 - p)))


def test_dropout_of_channels() -> None:
    result = F.dropout2d(torch.ones(4, 8, 3, 3), 0.5)
    sums = result.sum((2, 3))
    assert set(sums.unique().tolist() if hasattr(sums, "unique") else sums.flatten().tolist()) <= {0.0, 18.0}


def test_pixel_shuffle_and_back() -> None:
    x = torch.arange(2 * 8 * 3 * 2.0).reshape(2, 8, 3, 2)
    y = F.pixel_shuffle(x, 2)
    for c in range(2):
        for h in range(6):
            for w in range(4):
                assert y[1, c, h, w] == x[1, (c * 2 + h % 2) * 2 + w % 2, h // 2, w // 2]
    assert torch.equal(F.pixel_unshuffle(y, 2), x)


def test_bilinear() -> None:
    a, b, w, bias = torch.randn(6, 3), torch.randn(6, 4), torch.randn(5, 3, 4), torch.randn(5)
    close(F.bilinear(a, b, w, bias), np.einsum("ni,oij,nj->no", a.numpy(), w.numpy(), b.numpy()) + bias.numpy())


def test_glu() -> None:
    x = torch.randn(3, 6)
    first, second = np.split(x.numpy(), 2, 1)
    close(F.glu(x, 1), first / (1 + np.exp(-second)))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: F.glu(torch.zeros(3)), RuntimeError),
        (lambda: F.dropout(torch.zeros(3), 1.5), ValueError),
        (lambda: F.pixel_shuffle(torch.zeros(1, 3, 2, 2), 2), RuntimeError),
        (lambda: F.bilinear(torch.zeros(2, 3), torch.zeros(3, 3), torch.zeros(1, 3, 3)), RuntimeError),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError),
        (lambda: nn.Conv2d(4, 4, 3, stride=2, padding="same"), ValueError),
        (lambda: nn.MultiheadAttention(5, 2), AssertionError),
        (lambda: nn.BatchNorm2d(3)(torch.zeros(2, 3)), ValueError),
        (lambda: init.xavier_normal_(torch.zeros(3)), ValueError),
        (lambda: nn.ConvTranspose2d(2, 2, 3)(torch.zeros(1, 2, 4, 4), output_size=(20, 20)), ValueError),
    ],
)
def test_bad_input(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


def test_transposed_convolution_of_a_wanted_size() -> None:
    down, up = nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1)
    x = torch.randn(1, 2, 8, 7)
    assert up(down(x), output_size=x.shape[2:]).shape == x.shape


def test_orthogonal_rows() -> None:
    w = init.orthogonal_(torch.empty(3, 8), gain=2.0)
    close(w @ w.T, 4 * np.eye(3))


def test_truncated_numbers_lie_inside() -> None:
    for options in ({}, {"a": 0.5, "b": 0.75}, {"mean": 3.0, "std": 2.0, "a": 2.0, "b": 2.5}):
        x = init.trunc_normal_(torch.empty(50, 50), **options)
        assert options.get("a", -2.0) <= float(x.min()) <= float(x.max()) <= options.get("b", 2.0)
