"""First and second derivatives of every differentiable operator against differences, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import pellucid as torch
from pellucid.autograd import gradcheck, gradgradcheck
from pellucid.nn import functional as F

Case = tuple[Callable[..., Any], list[Any]]


def values(*shape: int, low: float = -1.5, high: float = 1.5, seed: int = 0) -> Any:
    """Numbers between two bounds, none of them near a kink at 0, no two of them equal."""
    n = 1
    for size in shape:
        n *= size
    order = [(7 * i + 3 + seed) % max(n, 1) if n % 7 else i for i in range(n)]
    cells = [low + (high - low) * (i + 0.37) / max(n, 1) for i in order]
    return torch.tensor(cells, dtype=torch.float64).reshape(shape).requires_grad_()


def positive(*shape: int) -> Any:
    return values(*shape, low=0.3, high=2.0)


INDEX = torch.tensor([[0, 2, 1], [1, 1, 0]])
MASK = torch.tensor([[True, False, True], [False, True, True]])

UNARY_REAL = [
    "exp", "exp2", "expm1", "sin", "cos", "tanh", "sigmoid", "erf", "erfc", "sinh", "cosh", "asinh",
    "atan", "neg", "square", "abs", "relu",
]  # fmt: skip
UNARY_POSITIVE = ["log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal"]
UNARY_INSIDE = ["asin", "acos", "atanh", "tan"]
ACTIVATIONS = [
    "gelu", "silu", "mish", "softplus", "elu", "selu", "celu", "leaky_relu", "hardswish", "logsigmoid",
    "softsign", "tanhshrink",
]  # fmt: skip
BINARY = ["add", "sub", "mul", "div", "atan2", "hypot", "maximum", "minimum", "logaddexp"]

CASES: dict[str, Case] = {
    **{n: ((lambda x, n=n: getattr(torch, n)(x)), [values(2, 3)]) for n in UNARY_REAL},
    **{n: ((lambda x, n=n: getattr(torch, n)(x)), [positive(2, 3)]) for n in UNARY_POSITIVE},
    **{n: ((lambda x, n=n: getattr(torch, n)(x)), [values(2, 3, low=-0.8, high=0.8)]) for n in UNARY_INSIDE},
    **{n: ((lambda x, n=n: getattr(F, n)(x)), [values(2, 3)]) for n in ACTIVATIONS},
    **{n: ((lambda x, y, n=n: getattr(torch, n)(x, y)), [values(2, 3), values(3, low=0.4, high=2.1)]) for n in BINARY},
    "acosh": (torch.acosh, [values(2, 3, low=1.2, high=3.0)]),
    "pow": (torch.pow, [positive(2, 3), values(3)]),
    "pow number": (lambda x: x**3, [values(2, 3)]),
    "number pow": (lambda x: 2.0**x, [values(2, 3)]),
    "times number": (lambda x: 2.5 * x - 1, [values(2, 3)]),
    "gelu tanh": (lambda x: F.gelu(x, approximate="tanh"), [values(2, 3)]),
    "where": (lambda x, y: torch.where(MASK, x, y), [values(2, 3), values(1, 3)]),
    "masked_fill": (lambda x: x.masked_fill(MASK, 2.0), [values(2, 3)]),
    "clamp": (lambda x: x.clamp(-0.9, 0.9), [values(2, 3)]),
    "lerp": (torch.lerp, [values(2, 3), values(2, 3, seed=1), values(3, low=0.1, high=0.4)]),
    "addcmul": (lambda a, b, c: torch.addcmul(a, b, c, value=0.5), [values(2, 3), values(3), values(2, 1)]),
    "addcdiv": (lambda a, b, c: torch.addcdiv(a, b, c, value=0.5), [values(2, 3), values(3), positive(2, 1)]),
    "sum": (lambda x: x.sum(), [values(2, 3)]),
    "sum dim": (lambda x: x.sum((0, 2), keepdim=True), [values(2, 3, 2)]),
    "mean": (lambda x: x.mean(1), [values(2, 3)]),
    "var": (lambda x: x.var(1), [values(2, 3)]),
    "std": (lambda x: x.std(0), [values(3, 2)]),
    "prod": (lambda x: x.prod(), [values(2, 3)]),
    "prod dim": (lambda x: x.prod(1), [values(2, 3)]),
    "max dim": (lambda x: x.max(1).values, [values(2, 3)]),
    "min": (lambda x: x.min(), [values(2, 3)]),
    "amax": (lambda x: x.amax(1), [values(2, 3)]),
    "logsumexp": (lambda x: x.logsumexp(1), [values(2, 3)]),
    "norm": (lambda x: x.norm(), [values(2, 3)]),
    "cumsum": (lambda x: x.cumsum(1), [values(2, 3)]),
    "cumprod": (lambda x: x.cumprod(1), [values(2, 3)]),
    "softmax": (lambda x: x.softmax(1), [values(2, 3)]),
    "softmax rows": (lambda x: x.softmax(0), [values(3, 2)]),
    "log_softmax": (lambda x: x.log_softmax(-1), [values(2, 3)]),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (3,), w, b), [values(2, 3), positive(3), values(3)]),
    "group_norm": (lambda x: F.group_norm(x, 2), [values(2, 4, 3)]),
    "batch_norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True), [values(4, 3), positive(3), values(3)]),
    "gather": (lambda x: x.gather(0, INDEX.t() % 2), [values(3, 2)]),
    "index_select": (lambda x: x.index_select(1, torch.tensor([2, 0, 2])), [values(2, 3)]),
    "take": (lambda x: x.take(torch.tensor([[0, 5], [5, 1]])), [values(2, 3)]),
    "index": (lambda x: x[torch.tensor([0, 0, 1]), torch.tensor([2, 2, 0])], [values(2, 3)]),
    "mask": (lambda x: x[MASK], [values(2, 3)]),
    "scatter_add": (lambda x, s: x.scatter_add(1, INDEX, s), [values(2, 3), values(2, 3, seed=1)]),
    "index_add": (lambda x, s: x.index_add(0, torch.tensor([0, 0, 1]), s), [values(2, 3), values(3, 3)]),
    "index_put": (lambda x, s: x.index_put((torch.tensor([0, 0]),), s, accumulate=True), [values(2, 3), values(2, 3)]),
    "view": (lambda x: x.view(3, 2), [values(2, 3)]),
    "transpose": (lambda x: x.transpose(0, 1).contiguous(), [values(2, 3)]),
    "permute": (lambda x: x.permute(2, 0, 1), [values(2, 3, 2)]),
    "expand": (lambda x: x.expand(4, 2, 3), [values(2, 1)]),
    "slice": (lambda x: x[:, 1:] * x[:, :-1], [values(2, 3)]),
    "backwards": (lambda x: x[:, ::-1] * 2, [values(2, 3)]),
    "diagonal": (lambda x: x.diagonal(), [values(3, 3)]),
    "unfold": (lambda x: x.unfold(1, 2, 1), [values(2, 3)]),
    "cat": (lambda x, y: torch.cat([x, y, x]), [values(2, 3), values(1, 3)]),
    "stack": (lambda x, y: torch.stack([x, y], 1), [values(2, 3), values(2, 3, seed=1)]),
    "repeat": (lambda x: x.repeat(2, 1, 2), [values(2, 3)]),
    "roll": (lambda x: x.roll((1, -1), (0, 1)), [values(2, 3)]),
    "flip": (lambda x: x.flip(1), [values(2, 3)]),
    "tril": (lambda x: x.tril(), [values(3, 3)]),
    "pad": (lambda x: F.pad(x, (1, 2), value=0.5), [values(2, 3)]),
    "mm": (torch.mm, [values(2, 3), values(3, 4)]),
    "bmm": (torch.bmm, [values(2, 2, 3), values(2, 3, 2)]),
    "matmul broadcast": (torch.matmul, [values(2, 1, 2, 3), values(2, 3, 2)]),
    "matmul vector": (torch.matmul, [values(2, 3), values(3)]),
    "linear": (F.linear, [values(2, 2, 3), values(4, 3), values(4)]),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, padding=1), [values(1, 2, 3, 3), values(2, 2, 2, 2), values(2)]),
    "conv2d strided": (lambda x, w: F.conv2d(x, w, stride=2, dilation=1), [values(1, 1, 4, 5), values(2, 1, 2, 2)]),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), [values(1, 1, 4, 5)]),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2, padding=1), [values(1, 1, 3, 4)]),
    "mse_loss": (F.mse_loss, [values(2, 3), values(2, 3, seed=1)]),
    "cross_entropy": (lambda x: F.cross_entropy(x, torch.tensor([2, 0])), [values(2, 3)]),
    "sort": (lambda x: x.sort(1).values, [values(2, 3)]),
    "topk": (lambda x: x.topk(2, 1).values, [values(2, 3)]),
}


@pytest.mark.parametrize("name", CASES)
def test_first_derivative(name: str) -> None:
    function, operands = CASES[name]
    assert gradcheck(function, operands)


@pytest.mark.parametrize("name", CASES)
def test_second_derivative(name: str) -> None:
    function, operands = CASES[name]
    assert gradgradcheck(function, operands)
