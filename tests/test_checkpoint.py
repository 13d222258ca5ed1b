"""`torch.utils.checkpoint`: the same gradients, from a second run of the function."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import pellucid as torch
from pellucid import nn
from pellucid.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential, set_checkpoint_early_stop


def network() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))


def gradients(net: Any, x: Any, call: Any) -> list[Any]:
    torch.manual_seed(1)
    return list(torch.autograd.grad(call(x).pow(2).sum(), [x, *net.parameters()]))


def test_gradients_and_random_numbers_are_the_same() -> None:
    net = network()
    x = torch.randn(3, 4, requires_grad=True)
    wanted = gradients(net, x, net)
    after = torch.rand(1)
    for call in (
        lambda x: checkpoint(net, x, use_reentrant=False),
        lambda x: checkpoint_sequential(net, 3, x, use_reentrant=False),
    ):
        assert all(torch.equal(a, b) for a, b in zip(gradients(net, x, call), wanted, strict=True))
        assert torch.equal(torch.rand(1), after)


def test_reentrant() -> None:
    net = network()
    x = torch.randn(3, 4, requires_grad=True)
    wanted = gradients(net, x, net)
    torch.manual_seed(1)
    checkpoint(net, x, use_reentrant=True).pow(2).sum().backward()
    assert all(torch.equal(p.grad, g) for p, g in zip([x, *net.parameters()], wanted, strict=True))
    with pytest.raises(ValueError, match="use_reentrant=False takes them"):
        checkpoint(net, x, use_reentrant=True, scale=2)
    with pytest.warns(UserWarning, match="requires_grad=True"):
        checkpoint(net, x.detach(), use_reentrant=True)
    with pytest.warns(UserWarning, match="passed explicitly"):
        checkpoint(net, x)


def test_runs_again_for_each_backward_and_no_further_than_needed() -> None:
    runs: list[str] = []

    def function(x: Any, *, scale: float) -> Any:
        runs.append("begin")
        y = (x * scale).sin()
        runs.append("end")
        return y.exp()

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = checkpoint(function, x, use_reentrant=False, scale=2.0)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert torch.allclose(g, 2 * (2 * x).cos() * (2 * x).sin().exp())
    assert runs[:2] == ["begin", "end"]
    assert runs.count("begin") > 1
    (h,) = torch.autograd.grad(g.sum(), x)
    assert torch.allclose(h, 4 * ((2 * x).cos() ** 2 - (2 * x).sin()) * (2 * x).sin().exp())


def test_a_function_that_changes_is_an_error() -> None:
    shapes = iter([(2,), (3,), (2,), ()])
    x = torch.ones(1, requires_grad=True)
    for match in ("different metadata", "different number"):

        def function(x: Any) -> Any:
            shape = next(shapes)
            return x.expand(shape).sin().sum() if shape else x.sum()

        y = checkpoint(function, x, use_reentrant=False)
        with pytest.raises(CheckpointError, match=match):
            y.backward()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checkpoint(torch.sin, x, use_reentrant=False)


def test_the_second_run_ends_when_backward_has_what_it_needs() -> None:
    runs: list[str] = []

    def function(x: Any) -> Any:
        y = x.sin()
        runs.append("sin")
        y = y.exp()
        runs.append("exp")
        return y + 1

    for early, expected in ((True, ["sin", "exp", "sin"]), (False, ["sin", "exp", "sin", "exp"])):
        runs.clear()
        x = torch.ones(3, requires_grad=True)
        with set_checkpoint_early_stop(early):
            checkpoint(function, x, use_reentrant=False).sum().backward()
        assert runs == expected


def test_reentrant_ones_are_for_backward_to_all_leaves() -> None:
    x = torch.ones(3, requires_grad=True)
    y = checkpoint(lambda x: x * 2, x, use_reentrant=True).sum()
    with pytest.raises(RuntimeError, match="use_reentrant=False"):
        torch.autograd.grad(y, x)
