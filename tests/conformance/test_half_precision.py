"""float16 and bfloat16 beside numbers and other dtypes: what is rounded before it is computed with, bit by bit."""

from typing import Any

import numpy as np
import pytest
import torch

import pellucid

# x and y are of half precision, i is int64; 64 cells, so that every cell of PyTorch's takes its vector code.
EXPRESSIONS = """
x + 0.1
x - 2.1
2.1 - x
x * 0.1
0.1 * x
t.mul(0.1, x)
x / 2.1
2.1 / x
x // 0.3
x % 0.3
t.fmod(x, 0.3)
t.remainder(x, t.tensor(0.3))
x * t.tensor(0.1)
x + t.tensor(0.1)
x + 2**40
x * i
x + i
i / x
t.add(x, y, alpha=0.1)
t.sub(x, y, alpha=-2.1)
t.addcmul(x, y, y, value=0.1)
t.addcdiv(x, y, y + 5, value=0.1)
t.maximum(x, t.tensor(0.1))
t.copysign(x, -0.1)
x > 0.1
x == 0.1
x.clone().add_(y, alpha=0.3)
x.clone().mul_(0.3)
"""


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("expression", EXPRESSIONS.strip().splitlines())
def test_rounding(expression: str, dtype: str) -> None:
    draws = np.random.default_rng(1).uniform(-4, 4, (2, 64)).astype(np.float32)

    def result(library: Any) -> tuple[str, list[float]]:
        x, y = (library.from_numpy(draw).to(getattr(library, dtype)) for draw in draws)
        made = eval(expression, {"t": library, "x": x, "y": y, "i": library.arange(64) * 1001})
        return str(made.dtype), made.double().tolist()

    assert result(pellucid) == result(torch)


def test_xlogy_of_zero_is_positive_zero() -> None:
    for library in (torch, pellucid):
        x = library.tensor([0.0, -0.0, 0.0, -1.0])
        found = library.xlogy(x, library.tensor([0.5, 2.0, 0.0, 1.0]))
        assert library.signbit(found).tolist() == [False, False, False, True]


def test_addcdiv_multiplies_first() -> None:
    x, y = (np.random.default_rng(2).standard_normal((2, 64)) + 3).astype(np.float32)
    theirs = torch.addcdiv(torch.zeros(64), torch.from_numpy(x), torch.from_numpy(y), value=-0.1)
    ours = pellucid.addcdiv(pellucid.zeros(64), pellucid.from_numpy(x), pellucid.from_numpy(y), value=-0.1)
    assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_number_over_tensor(dtype: str) -> None:
    draw = np.random.default_rng(3).uniform(0.5, 9, 64)

    def result(library: Any) -> tuple[list[float], str, list[float]]:
        x = library.from_numpy(draw).to(getattr(library, dtype)).requires_grad_()
        y = 2.1 / x
        y.sum().backward()
        return y.double().tolist(), y.grad_fn.name(), x.grad.double().tolist()

    ours, theirs = result(pellucid), result(torch)
    assert ours[:2] == theirs[:2]
    np.testing.assert_allclose(ours[2], theirs[2], rtol={"float16": 2e-3, "bfloat16": 2e-2}.get(dtype, 1e-6))
