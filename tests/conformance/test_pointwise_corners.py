"""Corners of the pointwise family: strides of ``out=``, arguments of unusual kinds, dtypes that do not fit."""

from typing import Any

import numpy as np
import pytest
import torch

import pellucid
from tests.conformance.expressions import check, expressions

STRIDES = """
t.add(t.ones(2, 3).t(), 1, out=t.empty(0))
t.exp(t.zeros(2, 3, 4).permute(2, 0, 1), out=t.empty(0))
t.eq(t.zeros(1, 1, 4, 12)[..., ::2].permute(0, 2, 1, 3), t.zeros(6), out=t.empty(0, dtype=t.bool))
t.add(t.ones(2, 3).t(), 1, out=t.empty(3, 2))
t.mul(t.ones(2, 3).t(), t.ones(3, 1), out=t.empty(5))
"""
ARGUMENTS = """
t.cumsum(t.ones(2, 3), t.tensor(0))
t.cumsum(t.ones(2, 3), t.tensor(0.))
t.cumsum(t.ones(2, 3), np.int64(1))
t.cumsum(t.ones(2, 3), None)
t.softmax(t.ones(2, 3), t.tensor(1))
t.isclose(t.ones(2), t.ones(2), t.tensor(1.5), 0)
t.isclose(t.ones(2), t.ones(2), t.tensor(1.5, requires_grad=True), 0)
t.isclose(t.ones(2), t.ones(2), 'a')
t.allclose(t.ones(2), t.ones(2), atol=t.tensor(1.))
"""
CALLBACKS = """
t.arange(3).apply_(lambda v: v * 2)
t.arange(3.).apply_(lambda v: "text")
t.arange(3).apply_(lambda v: None)
t.arange(3).map_(t.ones(3), lambda a, b: a - b)
t.arange(3.).apply_(3)
"""
SIZES = """
t.Size([2, 3])
t.Size()
t.Size(t.arange(3))
t.Size([np.int64(2), t.tensor(3)])
t.Size(t.ones(3))
t.Size([2.0])
t.Size("ab")
t.Size((1, 2)) + (3,)
t.Size((1, 2, 3))[1:]
"""
DTYPES = """
t.gcd(t.tensor([True, False]), t.tensor([4, 6]))
t.lcm(t.tensor([4, 6], dtype=t.int8), t.tensor([True]))
t.gcd(t.tensor([True]), t.tensor([True]))
t.gcd(t.tensor([1.]), t.tensor([2]))
t.float_power(t.tensor([2.], dtype=t.float16), 1j)
t.float_power(2j, t.tensor([2.], dtype=t.float16))
t.float_power(t.tensor([2.]), 1.1j)
t.float_power(t.tensor([2]), 2, out=t.empty(1, dtype=t.complex128))
t.float_power(t.tensor([2j]), 2, out=t.empty(1, dtype=t.float64))
t.float_power(t.tensor([2]), 2, out=t.empty(1, dtype=t.float64))
t.float_power(2, 2)
t.tensor([2.], dtype=t.float64).float_power_(1j)
t.tensor([2.]).float_power_(2)
t.tensor([2.], dtype=t.float64).float_power_(t.tensor([3]))
t.binomial(t.tensor([5]), t.tensor([0.5]))
t.binomial(t.tensor([5.]), t.tensor([1]))
t.frexp(t.tensor([3.]), out=(t.empty(1, dtype=t.float64), t.empty(1, dtype=t.int32)))
t.frexp(t.tensor([3.]), out=(t.empty(1), t.empty(1, dtype=t.int64)))
tuple(t.frexp(t.tensor([3., 0.]), out=(t.empty(0), t.empty(0, dtype=t.int32))))
"""
RANGES = """
t.ones(2).half().masked_fill(t.tensor([True, False]), -1e9)
t.ones(2).half().masked_fill_(t.tensor([True, False]), -1e9)
t.ones(2).half().masked_fill(t.tensor([True, False]), float("-inf"))
t.ones(2).half().masked_fill(t.tensor([True, False]), -6e4)
t.ones(2).bfloat16().masked_fill(t.tensor([True, False]), -1e9)
t.ones(2, dtype=t.int8).masked_fill(t.tensor([True, False]), 300)
t.ones(2, dtype=t.int64).masked_fill(t.tensor([True, False]), float("nan"))
t.ones(2, dtype=t.uint8).masked_fill(t.tensor([True, False]), -1)
t.ones(2, dtype=t.int32).masked_fill(t.tensor([True, False]), 2.7)
t.ones(2, dtype=t.int8).clamp(0, 300)
t.ones(2, dtype=t.int8).clamp_(0, 300)
t.ones(2, dtype=t.int8).clamp(0.5, 300)
t.ones(2, dtype=t.int8).clamp_max(300)
t.ones(2, dtype=t.int8).clamp(max=100)
t.ones(2).half().clamp(-1e9, 1e9)
t.ones(2).clamp(-1e9, 1e9)
t.clamp(t.tensor([True]), t.tensor([True]), t.tensor([False]))
t.clamp(t.tensor([True]), t.tensor([False]))
t.where(t.tensor([True, False]), t.ones(2, dtype=t.int8), 300)
t.where(t.tensor([True, False]), t.ones(2, dtype=t.int8), 100)
t.ones(2, dtype=t.int8) ** 300
t.ones(2, dtype=t.int8).pow_(300)
300 ** t.ones(2, dtype=t.int8)
t.ones(2).half() ** 70000
t.ones(2, dtype=t.int8) + 300
t.ones(2, dtype=t.int8) < 300
t.complex(t.ones(2).bfloat16(), t.ones(2).bfloat16())
t.polar(t.ones(2).bfloat16(), t.ones(2).bfloat16())
"""
OUTPUTS = """
t.abs(t.tensor([3+4j]), out=t.empty(1, dtype=t.complex64))
t.abs(t.tensor([3+4j]), out=t.empty(1))
t.tensor([3+4j]).abs_()
t.tensor([True]).gcd_(t.tensor([2]))
t.tensor([4]).gcd_(t.tensor([6]))
(lambda x: t.add(x, t.ones(2, 3), out=x))(t.ones(3))
(lambda x: t.add(x, t.ones(3), out=x))(t.ones(2, 3))
(lambda x: t.maximum(x, t.ones(2), out=x))(t.tensor(1.))
"""
COMPLEX = """
t.tensor([1+1j, 2-3j, 0, 1]) / 0
t.tensor([1+1j, 2-3j, 0, 1]) / t.tensor([0j, 0, 0, 0])
t.reciprocal(t.tensor([0j, 1j]))
t.rsqrt(t.tensor([0j, 4]))
1 / t.tensor([0j, 2])
t.tensor([0j, 0, 0, 1]) ** 1j
t.tensor([0j, 0, 0]) ** t.tensor([1j, -1, -1-1j])
(t.tensor([0j, 0]) ** 2.5).abs()
t.asin(t.tensor([complex(2, 0.0), complex(2, -0.0), complex(-2, 0.0), complex(-2, -0.0)]))
t.acos(t.tensor([complex(2, 0.0), complex(2, -0.0), complex(-2, 0.0), complex(-2, -0.0)]))
t.asinh(t.tensor([complex(0.0, 2), complex(-0.0, 2), complex(0.0, -2), complex(-0.0, -2)]))
t.acosh(t.tensor([complex(-2, 0.0), complex(-2, -0.0), complex(0.5, -0.0)]))
"""


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
@pytest.mark.parametrize("source", expressions(STRIDES + ARGUMENTS + CALLBACKS + SIZES + DTYPES + RANGES + OUTPUTS + COMPLEX))
def test_corner(source: str) -> None:
    check(source)


@pytest.mark.parametrize("values", [(0.0, 0.0), (1.5, 1.5), (1.0, 2.0), (-1.0, -3.0)])
@pytest.mark.parametrize("name", ["logaddexp", "logaddexp2"])
def test_derivatives_where_operands_are_equal(name: str, values: tuple[float, float]) -> None:
    def derivatives(library: Any) -> list[list[float]]:
        a, b = (library.tensor([v], dtype=library.float64, requires_grad=True) for v in values)
        first = library.autograd.grad(getattr(library, name)(a, b).sum(), [a, b], create_graph=True)
        second = library.autograd.grad(first[0].sum(), [a, b])
        return [g.tolist() for g in (*first, *second)]

    np.testing.assert_allclose(derivatives(pellucid), derivatives(torch), rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, -0.0, 2.0, -2.0])
def test_curvature_of_cross_entropy(value: float) -> None:
    def curvature(library: Any) -> list[float]:
        x = library.tensor([value], dtype=library.float64, requires_grad=True)
        loss = library.nn.functional.binary_cross_entropy_with_logits(x, library.full_like(x.detach(), 0.3))
        (slope,) = library.autograd.grad(loss, x, create_graph=True)
        return library.autograd.grad(slope.sum(), x)[0].tolist()

    np.testing.assert_allclose(curvature(pellucid), curvature(torch), rtol=1e-12)


def test_no_gradient_through_nan_that_is_clamped() -> None:
    def result(library: Any) -> list[list[float]]:
        x = library.tensor([float("nan"), 0.0, 1.0, 2.0, -1.0, float("inf")], requires_grad=True)
        y = x.clamp(0, 1)
        return [y.tolist(), library.autograd.grad(y.sum(), x)[0].tolist()]

    np.testing.assert_array_equal(result(pellucid), result(torch))


def test_normal_warns_of_an_output_that_it_resizes() -> None:
    for library in (torch, pellucid):
        library.manual_seed(0)
        with pytest.warns(UserWarning, match="was resized"):
            made = library.normal(library.zeros(2, 3), library.ones(3), out=library.empty(4))
        assert made.shape == (2, 3)
