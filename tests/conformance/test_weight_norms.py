"""Weights worked out before every call, in both libraries."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from tests.conformance.test_seeds import both

LAYERS = {
    "linear": (lambda T: T.nn.Linear(3, 4), (5, 3)),
    "convolution": (lambda T: T.nn.Conv2d(2, 3, 2), (1, 2, 4, 4)),
    "transposed": (lambda T: T.nn.ConvTranspose2d(2, 3, 2), (1, 2, 4, 4)),
}


def trained(T: Any, net: Any, shape: tuple[int, ...]) -> Any:
    optimizer = T.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        net(T.ones(shape)).pow(2).mean().backward()
        optimizer.step()
    state = dict(net.state_dict())
    with T.no_grad():
        return state, net.eval()(T.ones(shape)), [name for name, _ in net.named_parameters()]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm(layer: str, dim: int | None) -> None:
    make, shape = LAYERS[layer]

    def program(T: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            net = T.nn.utils.weight_norm(make(T), dim=dim)
        found = trained(T, net, shape)
        T.nn.utils.remove_weight_norm(net)
        return found, dict(net.state_dict()), net(T.ones(shape))

    both(program)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("steps", [1, 3])
def test_spectral_norm(layer: str, steps: int) -> None:
    make, shape = LAYERS[layer]

    def program(T: Any) -> Any:
        net = T.nn.utils.spectral_norm(make(T), n_power_iterations=steps)
        found = trained(T, net, shape)
        T.nn.utils.remove_spectral_norm(net)
        return found, dict(net.state_dict()), net(T.ones(shape))

    both(program)


def test_two_calls_before_one_backward() -> None:
    def program(T: Any) -> Any:
        net = T.nn.utils.spectral_norm(T.nn.Linear(3, 1))
        (net(T.ones(2, 3)) - net(T.zeros(2, 3))).mean().backward()
        return net.weight_orig.grad, net.bias.grad

    both(program)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda U, net: U.spectral_norm(U.spectral_norm(net)),
        lambda U, net: U.spectral_norm(net, n_power_iterations=0),
        lambda U, net: U.spectral_norm(net, "nothing"),
        lambda U, net: U.remove_spectral_norm(net),
        lambda U, net: U.remove_weight_norm(net),
    ],
)
def test_errors(wrong: Any) -> None:
    both(lambda T: wrong(T.nn.utils, T.nn.Linear(2, 2)))
