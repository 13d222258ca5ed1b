"""Activation functions against PyTorch."""

import math
from typing import Any

import pytest
import torch

import pellucid
from tests.conformance.opdb import VARIANTS, check

ACTIVATIONS = """
nn.functional.relu nn.functional.leaky_relu nn.functional.prelu nn.functional.hardtanh nn.functional.relu6
nn.functional.threshold nn.functional.hardsigmoid nn.functional.hardswish nn.functional.hardshrink
nn.functional.softshrink nn.functional.elu nn.functional.selu nn.functional.celu nn.functional.softplus
nn.functional.logsigmoid nn.functional.silu nn.functional.mish nn.functional.gelu nn.functional.softsign
nn.functional.tanhshrink
"""
OPTIONS: dict[str, dict[str, Any]] = {
    # PyTorch leaves an `out` that is not contiguous as it was.
    "nn.functional.gelu": {"variants": ("function", "gradient", "gradgrad", "error")},
}


@pytest.mark.parametrize("name", ACTIVATIONS.split())
def test_matches_pytorch(name: str) -> None:
    options = {"dtypes": ("float32", "float64", "bfloat16", "int64", "bool"), "variants": VARIANTS, "most": 4}
    check(name, **(options | OPTIONS.get(name, {})))


# -- special values ---------------------------------------------------------------------------------------------------

CALLS: dict[str, dict[str, Any]] = {
    "relu": {}, "relu6": {}, "leaky_relu": {"negative_slope": 0.3}, "hardtanh": {"min_val": -0.25, "max_val": 0.75},
    "threshold": {"threshold": 0.5, "value": -2.0}, "hardsigmoid": {}, "hardswish": {}, "hardshrink": {"lambd": 0.3},
    "softshrink": {}, "elu": {"alpha": 1.7}, "selu": {}, "celu": {"alpha": 0.5}, "softplus": {"beta": 2.0},
    "logsigmoid": {}, "silu": {}, "mish": {}, "gelu": {}, "softsign": {}, "tanhshrink": {},
}  # fmt: skip
IN_PLACE = [
    "relu", "relu6", "leaky_relu", "hardtanh", "threshold", "hardsigmoid", "hardswish", "elu", "selu", "celu", "silu",
    "mish",
]  # fmt: skip
ORDINARY = [0.0, 0.25, 0.3, 0.5, 0.75, 1.0, 3.0, 4.0, 6.0, 10.0, 11.0, 30.0, 60.0]
SPECIAL = [*ORDINARY, *[-x for x in ORDINARY], float("inf"), float("-inf"), float("nan")]
NO_SECOND_DERIVATIVE = {"hardsigmoid"}  # PyTorch has none
HALVES = {"bfloat16": 2.0**-5, "float16": 2.0**-8}  # PyTorch rounds between the steps of some gradients


def derivatives(t: Any, name: str, x: float, dtype: str, gradient: float) -> list[float]:
    """The value at ``x``, the gradient, and the second derivative with respect to ``x``. One cell at a time: PyTorch's
    vector code treats some NaN otherwise than its own scalar code."""
    cell = t.tensor([x], dtype=getattr(t, dtype), requires_grad=True)
    y = getattr(t.nn.functional, name)(cell, **CALLS[name])
    (g,) = t.autograd.grad(y, cell, t.full_like(y, gradient), create_graph=True)
    second = 0.0
    if g.requires_grad and name not in NO_SECOND_DERIVATIVE and dtype not in HALVES and math.isfinite(gradient):
        (h,) = t.autograd.grad(g, cell, t.ones_like(g), allow_unused=True)
        second = 0.0 if h is None else h.item()
    return [y.item(), g.item(), second]


@pytest.mark.parametrize("dtype", ["float32", "float64", *HALVES])
@pytest.mark.parametrize("name", CALLS)
def test_special_values(name: str, dtype: str) -> None:
    for x in SPECIAL:
        for gradient in (2.0,) if dtype in HALVES else (2.0, float("inf")):
            wanted, got = (derivatives(t, name, x, dtype, gradient) for t in (torch, pellucid))
            if name == "softsign" and dtype in HALVES:
                del wanted[1:], got[1:]  # a quotient of tensors in PyTorch: every step of its gradient is rounded
            close = HALVES.get(dtype, 1e-5 if dtype == "float32" else 1e-7)
            assert got == pytest.approx(wanted, rel=close, abs=1e-6, nan_ok=True), (x, gradient)
            assert math.copysign(1, got[0]) == math.copysign(1, wanted[0]) or math.isnan(got[0]), x


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_is_the_same(name: str) -> None:
    x = pellucid.tensor(SPECIAL)
    wanted = getattr(pellucid.nn.functional, name)(x, **CALLS[name])
    given = getattr(pellucid.nn.functional, name)(x, inplace=True, **CALLS[name])
    assert given is x
    assert given.tolist() == pytest.approx(wanted.tolist(), rel=0, abs=0, nan_ok=True)


REFUSED = """
F.hardtanh(t.ones(2, dtype=t.int8), -200, 200)
F.hardtanh(t.ones(2, dtype=t.uint8), 0, 300)
F.hardtanh(t.ones(2, dtype=t.uint8), -1, 1)
F.hardtanh(t.ones(2, dtype=t.float16), -1e6, 1e6)
F.hardtanh(t.ones(2, dtype=t.float16), -math.inf, math.inf)
F.relu6(t.tensor([-3, 3, 9]))
F.relu6(t.tensor([True]))
F.threshold(t.ones(2, dtype=t.int8), 200, 1)
F.threshold(t.ones(2, dtype=t.int8), 1, 200)
F.threshold_(t.ones(2, dtype=t.uint8), 300, 1)
F.threshold(t.ones(2, dtype=t.float16), 1e6, 1.0)
F.hardshrink(t.ones(2, dtype=t.float16), 1e6)
F.softshrink(t.ones(2, dtype=t.bfloat16), 1e39)
F.glu(t.ones(2, dtype=t.int64))
F.glu(t.ones(2), 3)
F.softshrink(t.ones(2), math.inf)
F.softshrink(t.ones(2), -1.0)
F.softshrink(t.ones(2), out=t.empty(0, dtype=t.float64))
F.softplus(t.ones(2), out=t.empty(2, dtype=t.float64))
F.hardshrink(t.ones(2, dtype=t.float16), out=t.empty(2))
t.round(t.ones(2), decimals=1, out=t.empty(2, dtype=t.float64))
t.logit(t.ones(2) / 4, 0.1, out=t.empty(2, dtype=t.float64))
F.relu(3.0)
t.tensor(F.logsigmoid(t.ones(2, 3).t()).stride())
t.nn.Hardtanh(2.0, -2.0)(t.ones(2))
t.nn.Hardtanh(1, 1)(t.ones(2))
t.nn.ReLU6()(t.tensor([-1.0, 3.0, 9.0]))
t.tensor([t.nn.ReLU6().max_val, t.nn.PReLU(init=0.5).init])
t.tensor(isinstance(t.nn.ReLU6(), t.nn.Hardtanh))
"""


@pytest.mark.parametrize("text", REFUSED.strip().splitlines())
def test_numbers_and_dtypes_out_of_range(text: str) -> None:
    wanted, got = (outcome(text, t) for t in (torch, pellucid))
    assert got == wanted


def test_former_names_of_the_bounds() -> None:
    for t in (torch, pellucid):
        with pytest.warns(FutureWarning, match="`min_value` is deprecated"):
            layer = t.nn.Hardtanh(min_value=-2.0)
        assert repr(layer) == "Hardtanh(min_val=-2.0, max_val=1.0)"
        assert repr(t.nn.ReLU6(inplace=True)) == "ReLU6(inplace=True)"


def outcome(text: str, t: Any) -> Any:
    """The resulting cells, or the class of the error."""
    try:
        return eval(text, {"t": t, "F": t.nn.functional, "math": math}).tolist()
    except (RuntimeError, NotImplementedError, IndexError, ValueError, TypeError, AssertionError) as error:
        return type(error)
