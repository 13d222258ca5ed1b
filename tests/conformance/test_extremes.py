"""The largest, the smallest, and cells by rank, against PyTorch."""

from typing import Any

import numpy as np
import pytest
import torch

import pellucid
from tests.conformance.opdb import check, to_pellucid, to_torch

DTYPES = ("float32", "float64", "bfloat16", "int64", "bool", "complex64")
EXTREMES = """
amax amin aminmax max/reduction_with_dim max/reduction_no_dim min/reduction_with_dim min/reduction_no_dim argmax argmin
"""


@pytest.mark.parametrize("name", EXTREMES.split())
def test_extremes(name: str) -> None:
    check(name, DTYPES)


@pytest.mark.parametrize("name", ["median", "nanmedian", "quantile", "nanquantile"])
def test_middles(name: str) -> None:
    check(name, DTYPES)


@pytest.mark.parametrize("name", ["kthvalue", "mode"])
def test_ranks_of_distinct_cells(name: str) -> None:
    """Which of equal cells is named is not fixed: floats differ from each other."""

    def has_ties(sample: Any) -> bool:
        return sample.input.unique().numel() < sample.input.numel()

    check(name, dtypes=("float32", "float64"), skip=has_ties)


@pytest.mark.parametrize("name", ["kthvalue", "mode"])
def test_values_of_ties(name: str) -> None:
    x = torch.randint(0, 4, (5, 6, 7))
    for dim in (0, 1, -1):
        arguments = (2, dim) if name == "kthvalue" else (dim,)
        expected, got = getattr(x, name)(*arguments), getattr(to_pellucid(x), name)(*arguments)
        assert torch.equal(to_torch(got.values), expected.values)
        picked = x.gather(dim, to_torch(got.indices).unsqueeze(dim)).squeeze(dim)
        assert torch.equal(picked, expected.values)


SPECIAL = [float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1.0, -3.5]


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "argmax", "argmin", "amax"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_special_values(name: str, dtype: torch.dtype) -> None:
    generator = np.random.default_rng(0)
    for length in (1, 2, 3, 17, 100):
        x = torch.tensor(generator.choice(SPECIAL, (4, length)), dtype=dtype)
        expected, got = getattr(x, name)(1), getattr(to_pellucid(x), name)(1)
        pairs = zip(got, expected, strict=True) if isinstance(expected, tuple) else [(got, expected)]
        for a, b in pairs:
            torch.testing.assert_close(to_torch(a), b, equal_nan=True)


@pytest.mark.parametrize("shape", [(70_000,), (3, 50_000), (50_000, 3), (300, 700), (1, 1 << 18)])
def test_long_rows(shape: tuple[int, ...]) -> None:
    """Rows that are cut into parts give what whole ones give."""
    x = torch.randn(shape)
    p = to_pellucid(x)
    for dim in range(len(shape)):
        torch.testing.assert_close(to_torch(p.sum(dim)), x.double().sum(dim).float(), rtol=1e-5, atol=1e-3)
        for name in ("max", "min"):
            for a, b in zip(getattr(p, name)(dim), getattr(x, name)(dim), strict=True):
                assert torch.equal(to_torch(a), b)
    assert p.argmax().item() == x.argmax().item()
    if len(shape) == 2:
        assert p.t().argmin().item() == x.t().argmin().item()


def test_named_results() -> None:
    x = to_pellucid(torch.tensor([[1.0, 3.0], [4.0, 2.0]]))
    result = x.max(1)
    assert repr(result) == repr(torch.tensor([[1.0, 3.0], [4.0, 2.0]]).max(1))
    values, indices = result
    assert result.values is values
    assert result.indices is indices
    assert isinstance(result, tuple)


CALLS = [
    lambda t, x: x[:0].max(),
    lambda t, x: x[:0].max(0),
    lambda t, x: x[:0].argmax(),
    lambda t, x: x[:0].argmax(0),
    lambda t, x: x[:0].amax(0),
    lambda t, x: x[:0].amax(),
    lambda t, x: x.bool().argmax(),
    lambda t, x: x.max((0, 1)),
    lambda t, x: x.kthvalue(9),
    lambda t, x: x.quantile(1.5),
    lambda t, x: x.bool().median(),
]


@pytest.mark.parametrize("k", range(len(CALLS)))
def test_refused_alike(k: int) -> None:
    x = torch.ones(2, 3)
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        CALLS[k](torch, x)
    with pytest.raises(theirs.type):
        CALLS[k](pellucid, to_pellucid(x))


@pytest.mark.parametrize("name", ["max", "min", "amax", "amin", "median", "nanmedian"])
@pytest.mark.parametrize(
    "values", [[1.0, 0.0, 1.0, 0.0, 1.0], [float("nan")] * 3, [1.0, float("nan"), 2.0], [float("inf")] * 2]
)
def test_shares_of_the_gradient(name: str, values: list[float]) -> None:
    grads = []
    for library in (pellucid, torch):
        x = library.tensor(values, requires_grad=True)
        getattr(x, name)().backward()
        grads.append(x.grad.numpy())
    np.testing.assert_array_equal(grads[0], grads[1])
