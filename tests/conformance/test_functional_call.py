"""Modules called with other parameters than their own, in both libraries."""

from __future__ import annotations

from typing import Any

import pytest
import torch.func

import pellucid.func
from tests.conformance.test_seeds import both


def network(T: Any) -> Any:
    class Tied(T.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = T.nn.Linear(2, 2, bias=False), T.nn.Linear(2, 2, bias=False)
            self.b.weight = self.a.weight
            self.register_buffer("calls", T.zeros(2))

        def forward(self, x: Any) -> Any:
            self.calls = self.calls + 1
            return self.b(self.a(x)) + self.calls

    return Tied()


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (lambda T: {"a.weight": T.eye(2)}, {}),
        (lambda T: {"a.weight": T.eye(2)}, {"tie_weights": False}),
        (lambda T: {"a.weight": T.eye(2), "b.weight": T.ones(2, 2)}, {}),
        (lambda T: ({"a.weight": T.eye(2)}, {"calls": T.ones(2)}), {}),
        (lambda T: ({"calls": T.ones(2)}, {"calls": T.ones(2)}), {}),
        (lambda T: {"calls": T.ones(2)}, {"strict": True}),
        (lambda T: {"nothing.weight": T.ones(2)}, {}),
        (lambda T: {"calls": 3}, {}),
        (lambda T: [3], {}),
    ],
)
def test_other_tensors(given: Any, options: dict[str, bool]) -> None:
    def program(T: Any) -> Any:
        net, tensors = network(T), given(T)
        kept = net.a.weight
        out = T.func.functional_call(net, tensors, (T.ones(1, 2),), **options)
        return out, net.calls, kept is net.a.weight is net.b.weight, tensors if isinstance(tensors, dict) else None

    both(program)


def test_gradients() -> None:
    def program(T: Any) -> Any:
        net = T.nn.Linear(3, 2)
        own = {name: p.detach().clone().requires_grad_() for name, p in net.named_parameters()}
        loss = T.func.functional_call(net, own, kwargs={"input": T.ones(1, 3)}).pow(2).sum()
        return T.autograd.grad(loss, list(own.values())), net.weight.grad is None

    both(program)


def test_the_own_parameters_come_back_after_an_error() -> None:
    net = pellucid.nn.Linear(2, 1)
    before = net.weight
    with pytest.raises(RuntimeError):
        pellucid.func.functional_call(net, {"weight": pellucid.ones(1, 3)}, (pellucid.ones(1, 2),))
    assert net.weight is before
    assert torch.func.functional_call is not pellucid.func.functional_call
