"""Layers that few networks use, in both libraries."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.test_seeds import both

LAYERS = {
    "response": lambda N: N.LocalResponseNorm(3, alpha=0.1, k=2.0),
    "random slopes": lambda N: N.RReLU(),
    "random slopes in place": lambda N: N.RReLU(0.1, 0.2, inplace=True),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    def program(T: Any) -> Any:
        net, x = LAYERS[name](T.nn), T.randn(2, 5, 3, 3)
        return repr(net), net(x.clone()), net.eval()(x.clone())

    both(program)
