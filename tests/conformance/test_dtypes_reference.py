"""Types, their limits and how they combine: the same as PyTorch's, for every pair."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
import torch

from pellucid import dtypes
from pellucid.dtypes import DType

ALL = list(dtypes.DTYPES.values())
NUMBERS: list[dtypes.Number] = [True, 3, 2.5, 1j]
each = pytest.mark.parametrize("dtype", ALL, ids=str)


@pytest.fixture(autouse=True)
def default_restored() -> Iterator[None]:
    yield
    torch.set_default_dtype(torch.float32)
    dtypes.set_default_dtype(dtypes.float32)


def theirs(dtype: DType) -> torch.dtype:
    found = getattr(torch, dtype.name)
    assert isinstance(found, torch.dtype)
    return found


def outcome(function: Callable[..., Any], *args: Any) -> str:
    """The result as text, or the class of the error."""
    try:
        return str(function(*args))
    except (AssertionError, RuntimeError, TypeError) as error:
        return type(error).__name__


def same(expected: str, got: str) -> bool:
    # The one difference: there is no complex32, so what gives it in PyTorch is an error.
    return got == ("NotImplementedError" if expected == "torch.complex32" else expected)


def test_all_names() -> None:
    names = {name: str(value) for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
    ours = {name: str(value) for name, value in dtypes.PUBLIC_NAMES.items()}
    known = {str(dtype) for dtype in ALL}
    assert {name: value for name, value in names.items() if value in known} == ours


@each
def test_attributes(dtype: DType) -> None:
    reference = theirs(dtype)
    for name in ("itemsize", "is_floating_point", "is_complex", "is_signed", "abbr"):
        assert getattr(dtype, name) == getattr(reference, name), name
    assert repr(dtype) == repr(reference)
    assert dtype.tensor_type() == torch.zeros(1, dtype=reference).type()
    assert outcome(dtype.to_real) == outcome(reference.to_real)
    assert same(outcome(reference.to_complex), outcome(dtype.to_complex))


@each
def test_limits(dtype: DType) -> None:
    for info in ("finfo", "iinfo"):
        expected, got = outcome(getattr(torch, info), theirs(dtype)), outcome(getattr(dtypes, info), dtype)
        assert got == expected
        if "Error" not in expected:
            reference, limits = getattr(torch, info)(theirs(dtype)), getattr(dtypes, info)(dtype)
            fields = [name for name in dir(reference) if not name.startswith("_")]
            assert [getattr(limits, name) for name in fields] == [getattr(reference, name) for name in fields]


@each
def test_pairs(dtype: DType) -> None:
    for other in ALL:
        pair, reference = (dtype, other), (theirs(dtype), theirs(other))
        assert outcome(dtypes.promote_types, *pair) == outcome(torch.promote_types, *reference), other
        assert outcome(dtypes.can_cast, *pair) == outcome(torch.can_cast, *reference), other


@each
@pytest.mark.parametrize("default", [dtypes.float32, dtypes.float64, dtypes.bfloat16], ids=str)
def test_operands(dtype: DType, default: DType) -> None:
    torch.set_default_dtype(theirs(default))
    dtypes.set_default_dtype(default)
    for ndim in (0, 1):
        tensor = torch.zeros((1,) * ndim, dtype=theirs(dtype))
        for other, other_ndim in product(ALL, (0, 1)):
            expected = outcome(torch.result_type, tensor, torch.zeros((1,) * other_ndim, dtype=theirs(other)))
            got = outcome(dtypes.result_dtype, [(dtype, ndim), (other, other_ndim)])
            assert same(expected, got), (ndim, other, other_ndim)
        for number in NUMBERS:
            expected = outcome(torch.result_type, tensor, number)
            assert same(expected, outcome(dtypes.result_dtype, [(dtype, ndim), number])), (ndim, number)


def test_numbers() -> None:
    for a, b in product(NUMBERS, NUMBERS):
        assert outcome(dtypes.result_dtype, [a, b]) == outcome(torch.result_type, a, b)
        assert str(dtypes.infer_scalar_dtype(a)) == str(torch.tensor(a).dtype)


def test_default() -> None:
    for wrong in (3, "float32", float):
        assert outcome(dtypes.set_default_dtype, wrong) == outcome(torch.set_default_dtype, wrong)
    for dtype in ALL:
        assert outcome(dtypes.set_default_dtype, dtype) == outcome(torch.set_default_dtype, theirs(dtype))
        assert str(dtypes.get_default_dtype()) == str(torch.get_default_dtype())
