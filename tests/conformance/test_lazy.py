"""Layers that wait for their first input, in both libraries."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import pellucid
import pellucid.nn
from tests.conformance.test_seeds import both

LAYERS = [
    ("LazyLinear", (3,), (2, 4)),
    ("LazyConv1d", (2, 3), (2, 4, 5)),
    ("LazyConv2d", (2, 3, 2, 1), (2, 4, 5, 6)),
    ("LazyConv2d", (2, 3), (4, 5, 6)),
    ("LazyConv3d", (2, 2), (1, 3, 3, 3, 3)),
    ("LazyConvTranspose1d", (2, 3), (2, 4, 5)),
    ("LazyConvTranspose2d", (2, 3), (2, 4, 5, 6)),
    ("LazyConvTranspose3d", (2, 2), (1, 3, 3, 3, 3)),
    ("LazyBatchNorm1d", (), (4, 3)),
    ("LazyBatchNorm2d", (), (2, 3, 4, 4)),
    ("LazyBatchNorm3d", (), (2, 3, 2, 2, 2)),
    ("LazyInstanceNorm1d", (), (2, 3, 4)),
    ("LazyInstanceNorm2d", (), (2, 3, 4, 4)),
    ("LazyInstanceNorm3d", (), (2, 3, 2, 2, 2)),
]


@pytest.mark.parametrize(("name", "arguments", "shape"), LAYERS)
def test_layers(name: str, arguments: tuple[int, ...], shape: tuple[int, ...]) -> None:
    def program(T: Any) -> Any:
        net = getattr(T.nn, name)(*arguments)
        before = repr(net), [repr(p) for p in net.parameters()], net.has_uninitialized_params()
        x = T.randn(shape)
        return before, net(x), repr(net), type(net).__name__, dict(net.state_dict()), net(x)

    both(program)


def test_states() -> None:
    def program(T: Any) -> Any:
        waiting, ready = T.nn.LazyLinear(3), T.nn.Linear(2, 3)
        names = list(waiting.state_dict())
        waiting.load_state_dict(ready.state_dict())
        text = repr(waiting)
        return names, text, waiting(T.ones(1, 2)), repr(waiting), T.equal(waiting.weight, ready.weight)

    both(program)
    both(lambda T: T.nn.Linear(2, 3).load_state_dict(T.nn.LazyLinear(3).state_dict()))


def test_dtypes_copies_and_training() -> None:
    def program(T: Any) -> Any:
        net = T.nn.Sequential(T.nn.LazyLinear(3), T.nn.ReLU(), T.nn.LazyLinear(1)).double()
        optimizer = T.optim.SGD(net.parameters(), lr=0.1)
        twin = copy.deepcopy(net)
        out = net(T.ones(4, 2, dtype=T.float64))
        out.pow(2).sum().backward()
        optimizer.step()
        return out, net[0].weight, repr(twin), twin(T.ones(4, 5, dtype=T.float64)).shape

    both(program)


@pytest.mark.parametrize(
    "use",
    [
        lambda T, p: p + 1,
        lambda T, p: p.shape,
        lambda T, p: p.numel(),
        lambda T, p: T.nn.init.normal_(p),
        lambda T, p: T.cat([p, p]),
    ],
)
def test_use_before_the_first_input(use: Any) -> None:
    both(lambda T: use(T, T.nn.LazyLinear(3).weight))


def test_pickle() -> None:
    weight = pellucid.nn.LazyLinear(3).double().weight
    again = pickle.loads(pickle.dumps(weight))
    assert repr(again) == "<UninitializedParameter>"
    assert again.dtype is pellucid.float64
    assert again.requires_grad


def test_the_error_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="Call `forward` with a first batch"):
        _ = pellucid.nn.LazyLinear(3).weight * 2
