"""Random tensors: seeds, states, ranges, memory."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import pellucid as torch


def test_the_same_seed_gives_the_same_numbers() -> None:
    torch.manual_seed(3)
    first = [torch.rand(5).tolist(), torch.randn(20).tolist(), torch.randint(9, (4,)).tolist()]
    torch.manual_seed(3)
    assert first == [torch.rand(5).tolist(), torch.randn(20).tolist(), torch.randint(9, (4,)).tolist()]
    assert torch.initial_seed() == 3


def test_known_numbers() -> None:
    torch.manual_seed(0)
    assert [round(v, 4) for v in torch.rand(3).tolist()] == [0.4963, 0.7682, 0.0885]
    torch.manual_seed(0)
    assert torch.randperm(6).tolist() == [2, 5, 3, 0, 1, 4]


def test_ranges() -> None:
    u = torch.rand(10_000).numpy()
    assert 0 <= u.min() < 0.01
    assert 0.99 < u.max() < 1
    n = torch.randn(10_000).numpy()
    assert abs(n.mean()) < 0.05
    assert abs(n.std() - 1) < 0.05
    assert set(torch.randint(2, 5, (1000,)).tolist()) == {2, 3, 4}
    assert sorted(torch.randperm(100).tolist()) == list(range(100))
    assert torch.bernoulli(torch.full((1000,), 0.25)).mean().item() == pytest.approx(0.25, abs=0.06)


def test_fills_follow_memory_not_indices() -> None:
    torch.manual_seed(1)
    straight = torch.zeros(4, 5).uniform_()
    torch.manual_seed(1)
    turned = torch.zeros(5, 4).t().uniform_()
    np.testing.assert_array_equal(turned.t().numpy().reshape(-1), straight.numpy().reshape(-1))
    torch.manual_seed(1)
    x = torch.zeros(4, 10)
    x[:, ::2].uniform_()
    assert not x[:, 1::2].any()
    assert x[:, ::2].all()


def test_generators_are_independent() -> None:
    g = torch.Generator().manual_seed(5)
    state = torch.get_rng_state()
    a = torch.rand(3, generator=g)
    assert torch.get_rng_state().tolist() == state.tolist()
    twin = g.clone_state()
    assert torch.rand(3, generator=g).tolist() == torch.rand(3, generator=twin).tolist()
    assert torch.rand(3, generator=g.manual_seed(5)).tolist() == a.tolist()
    thawed = pickle.loads(pickle.dumps(g))
    assert torch.rand(2, generator=thawed).tolist() == torch.rand(2, generator=g).tolist()


def test_fork_gives_the_state_back() -> None:
    torch.manual_seed(2)
    with torch.random.fork_rng():
        inside = torch.rand(2).tolist()
    assert torch.rand(2).tolist() == inside


def test_complaints() -> None:
    with pytest.raises(RuntimeError, match="'from' to be less than 'to'"):
        torch.randint(3, 3, (2,))
    with pytest.raises(TypeError, match="generator"):
        torch.rand(2, generator=1)
    with pytest.raises(RuntimeError, match="single memory location"):
        torch.zeros(1).expand(2).normal_()
    with pytest.raises(NotImplementedError):
        torch.zeros(2, dtype=torch.int64).uniform_()
    with pytest.raises(RuntimeError, match="p in"):
        torch.zeros(2).bernoulli_(1.5)


def test_nothing_flows_back_through_random_numbers() -> None:
    x = torch.full((3,), 0.5, requires_grad=True)
    torch.bernoulli(x).sum().backward()
    assert x.grad.tolist() == [0, 0, 0]
    y = torch.ones(3, requires_grad=True)
    z = (y * 2).normal_()
    z.sum().backward()
    assert y.grad.tolist() == [0, 0, 0]
