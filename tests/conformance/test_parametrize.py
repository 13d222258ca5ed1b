"""Parameters computed from others, in both libraries."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from tests.conformance.test_seeds import both


def tools(T: Any) -> tuple[Any, Any]:
    name = T.__name__ + ".nn.utils.parametriz"
    return importlib.import_module(name + "e"), importlib.import_module(name + "ations")


def kinds(T: Any) -> tuple[Any, Any, Any]:
    class Symmetric(T.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return x.triu() + x.triu(1).mT

    class Scaled(T.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.scale = T.nn.Parameter(T.tensor(2.0))

        def forward(self, x: Any) -> Any:
            return x * self.scale

        def right_inverse(self, y: Any) -> Any:
            return y / self.scale.detach()

    class LowRank(T.nn.Module):  # type: ignore[misc]
        def __init__(self, rows: int, columns: int) -> None:
            super().__init__()
            self.a, self.b = T.nn.Parameter(T.randn(1, columns)), T.nn.Parameter(T.zeros(rows, 1))

        def forward(self, w: Any) -> Any:
            return w + self.b @ self.a

    return Symmetric, Scaled, LowRank


def test_one_after_the_other() -> None:
    def program(T: Any) -> Any:
        P, _ = tools(T)
        Symmetric, Scaled, _ = kinds(T)
        net = T.nn.Linear(3, 3)
        P.register_parametrization(net, "weight", Symmetric())
        first = repr(net), net.weight, P.is_parametrized(net, "weight"), P.is_parametrized(net, "bias")
        P.register_parametrization(net, "weight", Scaled())
        optimizer = T.optim.SGD(net.parameters(), lr=0.1)
        net(T.ones(2, 3)).pow(2).mean().backward()
        optimizer.step()
        with P.cached():
            same = net.weight is net.weight
        state = dict(net.state_dict())
        P.remove_parametrizations(net, "weight")
        return first, same, state, repr(net), net.weight, type(net) is T.nn.Linear

    both(program)


def test_assigning_goes_back_to_the_original() -> None:
    def program(T: Any) -> Any:
        P, _ = tools(T)
        net = P.register_parametrization(T.nn.Linear(2, 2), "weight", kinds(T)[1]())
        net.weight = T.ones(2, 2)
        found = net.weight, net.parametrizations.weight.original
        P.remove_parametrizations(net, "weight", leave_parametrized=False)
        return found, net.weight

    both(program)


def test_low_rank_adaption() -> None:
    def program(T: Any) -> Any:
        P, _ = tools(T)
        net = T.nn.Sequential(T.nn.Linear(4, 3), T.nn.ReLU(), T.nn.Linear(3, 2))
        for layer in (net[0], net[2]):
            P.register_parametrization(layer, "weight", kinds(T)[2](*layer.weight.shape))
            layer.bias.requires_grad_(False)
            layer.parametrizations.weight.original.requires_grad_(False)
        trained = [p for p in net.parameters() if p.requires_grad]
        optimizer, losses = T.optim.Adam(trained, lr=0.1), []
        for _ in range(4):
            loss = (net(T.ones(2, 4)) - 1).pow(2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss)
        return losses, [name for name, p in net.named_parameters() if p.requires_grad]

    both(program)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
@pytest.mark.parametrize("layer", ["Linear", "Conv2d", "ConvTranspose2d"])
def test_ready_ones(kind: str, layer: str) -> None:
    def program(T: Any) -> Any:
        P, ready = tools(T)
        net = getattr(ready, kind)(T.nn.Linear(3, 4) if layer == "Linear" else getattr(T.nn, layer)(2, 3, 2))
        x = T.ones(1, 3) if layer == "Linear" else T.ones(1, 2, 3, 3)
        optimizer = T.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            net(x).pow(2).mean().backward()
            optimizer.step()
        state, out = dict(net.state_dict()), net.eval()(x)
        P.remove_parametrizations(net, "weight")
        return state, out, net(x), [name for name, _ in net.named_parameters()]

    both(program)


@pytest.mark.parametrize("name", ["weight", "nothing"])
def test_errors(name: str) -> None:
    def program(T: Any) -> Any:
        class Row(T.nn.Module):  # type: ignore[misc]
            def forward(self, x: Any) -> Any:
                return x[:1]

        tools(T)[0].register_parametrization(T.nn.Linear(2, 2), name, Row())

    both(program)
    both(lambda T: tools(T)[0].remove_parametrizations(T.nn.Linear(2, 2), name))
