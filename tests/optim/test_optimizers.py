"""Optimisers against their formulas, in float64 loops."""

from collections.abc import Iterator
from math import sqrt
from typing import Any

import numpy as np
import pytest

import pellucid as torch
from pellucid import nn, optim


def gradients(n: int) -> Iterator[Any]:
    generator = np.random.default_rng(1)
    for _ in range(n):
        yield generator.standard_normal((3, 5))


def trained(make: Any, steps: int = 10) -> tuple[Any, Any]:
    start = np.random.default_rng(0).standard_normal((3, 5))
    p = nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = make([p])
    for g in gradients(steps):
        p.grad = torch.from_numpy(g)
        optimizer.step()
    return start, p.detach().numpy()


def test_sgd() -> None:
    p, ours = trained(lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, weight_decay=0.01))
    buffer = None
    for g in gradients(10):
        g = g + 0.01 * p
        buffer = g if buffer is None else 0.9 * buffer + g
        p = p - 0.1 * buffer
    np.testing.assert_allclose(ours, p, rtol=1e-12)


def test_adamw() -> None:
    p, ours = trained(lambda ps: optim.AdamW(ps, lr=0.1, weight_decay=0.05))
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(gradients(10), 1):
        p = p * (1 - 0.1 * 0.05)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        p = p - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v) / sqrt(1 - 0.999**t) + 1e-8)
    np.testing.assert_allclose(ours, p, rtol=1e-12)


def test_rmsprop() -> None:
    p, ours = trained(lambda ps: optim.RMSprop(ps, lr=0.1, alpha=0.9, centered=True, momentum=0.5))
    v, mean, buffer = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for g in gradients(10):
        v, mean = 0.9 * v + 0.1 * g * g, 0.9 * mean + 0.1 * g
        buffer = 0.5 * buffer + g / (np.sqrt(v - mean * mean) + 1e-8)
        p = p - 0.1 * buffer
    np.testing.assert_allclose(ours, p, rtol=1e-9)


def test_adagrad() -> None:
    p, ours = trained(lambda ps: optim.Adagrad(ps, lr=0.1, lr_decay=0.5))
    total = np.zeros_like(p)
    for t, g in enumerate(gradients(10)):
        total = total + g * g
        p = p - 0.1 / (1 + 0.5 * t) * g / (np.sqrt(total) + 1e-10)
    np.testing.assert_allclose(ours, p, rtol=1e-12)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_a_bowl_is_descended(name: str) -> None:
    p = nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = getattr(optim, name)([p], lr=0.3)
    for _ in range(200):
        optimizer.zero_grad()
        (p**2).sum().backward()
        optimizer.step()
    assert (p**2).sum().item() < 0.05


def test_a_step_shows_in_the_version() -> None:
    p = nn.Parameter(torch.ones(3))
    loss = (p**2).sum()
    p.grad = torch.ones(3)
    optim.SGD([p], lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_counts_are_tensors() -> None:
    p = nn.Parameter(torch.ones(3))
    optimizer = optim.AdamW([p])
    for _ in range(3):
        p.grad = torch.ones(3)
        optimizer.step()
    step = optimizer.state_dict()["state"][0]["step"]
    assert step.dtype is torch.float32
    assert step.shape == ()
    assert step.item() == 3


def test_parameters_without_gradients_stay() -> None:
    p, q = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    p.grad = torch.ones(3)
    optimizer = optim.AdamW([p, q])
    optimizer.step()
    assert q.tolist() == [1, 1, 1]
    assert list(optimizer.state_dict()["state"]) == [0]


def test_schedule_and_optimizer() -> None:
    p = nn.Parameter(torch.ones(1))
    optimizer = optim.SGD([p], lr=1.0)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, 4)
    rates = []
    for _ in range(4):
        optimizer.step()
        rates.append(schedule.get_last_lr()[0])
        schedule.step()
    np.testing.assert_allclose(rates, [(1 + np.cos(np.pi * k / 4)) / 2 for k in range(4)])


@pytest.mark.parametrize("kind", [optim.Adam, optim.Adagrad, optim.RMSprop])
def test_state_of_another_shape_is_refused(kind: Any) -> None:
    def stepped(size: int) -> Any:
        p = nn.Parameter(torch.ones(size))
        p.grad = torch.ones(size)
        optimizer = kind([p])
        optimizer.step()
        return optimizer

    large = stepped(1000)
    large.load_state_dict(stepped(3).state_dict())
    with pytest.raises(RuntimeError, match="one shape"):
        large.step()
