"""Scans, norms, moments and histograms against PyTorch."""

from typing import Any

import numpy as np
import pytest
import torch

from pellucid.operators.norms import vector_norm
from tests.conformance.opdb import check, to_pellucid, to_torch

DTYPES = ("float32", "float64", "bfloat16", "int64", "bool", "complex64")
REAL = ("float32", "float64", "bfloat16", "int64", "bool")


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "cummin", "diff"])
def test_scans(name: str) -> None:
    check(name, DTYPES)


@pytest.mark.parametrize("name", ["logsumexp", "logcumsumexp"])
def test_logarithms_of_sums(name: str) -> None:
    # PyTorch's complex gradients are off by some 1e-3 where they are known exactly.
    check(name, REAL)


@pytest.mark.parametrize("name", ["norm/fro", "norm/inf", "dist"])
def test_norms(name: str) -> None:
    check(name, DTYPES)


def test_norms_by_order() -> None:
    def nuclear(sample: Any) -> bool:
        return "nuc" in sample.args

    check("norm", DTYPES, skip=nuclear)


@pytest.mark.parametrize("order", [0, 0.5, 1, 1.5, 2, 3, 3.5, float("inf"), float("-inf"), -1, -2.5])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_vector_norm(order: float, dtype: torch.dtype) -> None:
    x = torch.randn(3, 5, 4, dtype=dtype, requires_grad=True)
    for dim in (None, 1, (0, 2)):
        p = to_pellucid(x)
        expected, got = torch.linalg.vector_norm(x, order, dim), vector_norm(p, order, dim)
        torch.testing.assert_close(to_torch(got), expected.detach())
        if order:
            (gradient,) = torch.autograd.grad(expected.sum(), x)
            got.sum().backward()
            torch.testing.assert_close(to_torch(p.grad), gradient)


@pytest.mark.parametrize("name", ["trace", "corrcoef", "trapezoid", "cumulative_trapezoid"])
def test_moments(name: str) -> None:
    check(name, DTYPES)


@pytest.mark.parametrize("name", ["gradient", "renorm"])
def test_slopes_and_limits(name: str) -> None:
    # PyTorch's complex gradient of renorm is NaN for some orders, and its bfloat16 slopes are rounded on the way.
    check(name, ("float32", "float64", "int64"))


def test_covariance() -> None:
    def ill_conditioned(sample: Any) -> bool:
        """The weights nearly cancel the correction."""
        return sample.kwargs.get("correction") == 2 and sample.kwargs.get("aweights") is not None

    check("cov", ("float32", "float64", "int64"), skip=ill_conditioned, scale=10)


@pytest.mark.parametrize("name", ["histc", "histogram"])
def test_histograms(name: str) -> None:
    check(name, ("float32", "float64"))


SPECIAL = [float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1.0, -3.5]


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_special_values(name: str, dtype: torch.dtype) -> None:
    generator = np.random.default_rng(0)
    for length in (1, 2, 3, 17, 100):
        for dim in (0, 1):
            x = torch.tensor(generator.choice(SPECIAL, (4, length)), dtype=dtype)
            expected, got = getattr(x, name)(dim), getattr(to_pellucid(x), name)(dim)
            pairs = zip(got, expected, strict=True) if isinstance(expected, tuple) else [(got, expected)]
            for a, b in pairs:
                torch.testing.assert_close(to_torch(a), b, equal_nan=True)


def test_rounding_of_long_sums() -> None:
    """Running sums of float32 are kept in float64."""
    x = torch.rand(100_000)
    assert torch.equal(to_torch(to_pellucid(x).cumsum(0)), x.cumsum(0))


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_in_place(name: str) -> None:
    x = torch.rand(3, 4, dtype=torch.float64)
    p = to_pellucid(x)
    assert getattr(p, f"{name}_")(1) is p
    torch.testing.assert_close(to_torch(p), getattr(x, f"{name}_")(1))
