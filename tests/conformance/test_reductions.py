"""Sums, products, means, tests, counts and spread against PyTorch."""

import pytest
import torch

import pellucid
from tests.conformance.opdb import VARIANTS, check, to_pellucid, to_torch

DTYPES = ("float32", "float64", "bfloat16", "int64", "bool", "complex64")
NO_OUT = tuple(v for v in VARIANTS if v != "out")


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "all", "any", "count_nonzero"])
def test_folds(name: str) -> None:
    check(name, DTYPES)


@pytest.mark.parametrize("name", ["all", "any", "sum"])
def test_folds_of_bytes(name: str) -> None:
    check(name, ("uint8",))


@pytest.mark.parametrize("name", ["var", "std", "var_mean", "std_mean"])
def test_spread(name: str) -> None:
    check(name, DTYPES)


@pytest.mark.parametrize("name", ["nansum", "nanmean"])
def test_without_nan(name: str) -> None:
    # An integer out= is refused by both, by PyTorch as "not implemented".
    check(name, DTYPES, NO_OUT)


LAYOUTS = [
    lambda x: x,
    lambda x: x.permute(2, 0, 1),
    lambda x: x[:, ::2],
    lambda x: x[:, 1:2],
    lambda x: x[:, :0],
    lambda x: x.transpose(0, 2)[1:],
    lambda x: x[0, 0, :1].expand(3, 5, 2),
]
DIMS = [None, 0, 1, 2, -1, (0, 1), (0, 2), (1, 2), (2, 0, 1), ()]


@pytest.mark.filterwarnings("ignore:std\\(\\). degrees of freedom")
@pytest.mark.parametrize("name", ["sum", "mean", "amax", "any", "logsumexp", "std", "nansum", "count_nonzero"])
def test_layouts_and_dims(name: str) -> None:
    x = torch.randn(6, 33, 20)
    for change in LAYOUTS:
        t = change(x)
        for dim in DIMS:
            # The extreme needs cells; PyTorch's logsumexp gives an error of its own for no dimensions.
            if (name == "amax" and t.numel() == 0) or (name == "logsumexp" and dim in (None, ())):
                continue
            for keep in ({},) if name == "count_nonzero" else ({"keepdim": True}, {}):
                arguments = (() if name == "amax" and dim is None else dim,)
                expected = getattr(torch, name)(t, *arguments, **keep)
                got = getattr(pellucid, name)(to_pellucid(t), *arguments, **keep)
                torch.testing.assert_close(to_torch(got), expected, equal_nan=True, rtol=1e-4, atol=1e-4)
                assert got.stride() == expected.stride()


CALLS = [
    lambda t, x: x.sum((0, 0)),
    lambda t, x: x.sum(2),
    lambda t, x: x.sum(0.5),
    lambda t, x: t.sum([1, 2]),
    lambda t, x: x.long().mean(),
    lambda t, x: x.mean(dtype=t.int64),
    lambda t, x: x.prod((0, 1)),
    lambda t, x: x.long().var(),
    lambda t, x: x.flatten().trace(),
]


@pytest.mark.parametrize("k", range(len(CALLS)))
def test_refused_alike(k: int) -> None:
    x = torch.ones(2, 3)
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        CALLS[k](torch, x)
    with pytest.raises(theirs.type):
        CALLS[k](pellucid, to_pellucid(x))
