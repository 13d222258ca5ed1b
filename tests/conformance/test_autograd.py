"""Programs that differentiate run in both libraries: the same results, or an error of the same class."""

import warnings
from typing import Any

import pytest
import torch

import pellucid
from tests.conformance import (  # noqa: F401 - they register their programs
    autograd_function_programs,
    autograd_writing_programs,
)
from tests.conformance.autograd_programs import PROGRAMS, Program


def shown(value: Any) -> Any:
    """Results in a form that can be compared."""
    if isinstance(value, tuple | list):
        return [shown(v) for v in value]
    if hasattr(value, "tolist"):
        return [str(value.dtype), list(value.shape), value.tolist()]
    return value


def outcome(function: Program, library: Any) -> tuple[Any, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = shown(function(library))
        except Exception as error:
            result = error
    return result, sorted({w.category.__name__ for w in caught})


def flat(value: Any) -> list[Any]:
    return [x for v in value for x in flat(v)] if isinstance(value, list) else [value]


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    wanted, wanted_warnings = outcome(PROGRAMS[name], torch)
    found, found_warnings = outcome(PROGRAMS[name], pellucid)
    if isinstance(wanted, Exception) or isinstance(found, Exception):
        if type(wanted) is not type(found):
            raise AssertionError(f"PyTorch: {wanted!r}") from (found if isinstance(found, Exception) else None)
    else:
        numbers = lambda v: [x for x in flat(v) if isinstance(x, float)]  # noqa: E731
        assert numbers(found) == pytest.approx(numbers(wanted), rel=1e-12)
        assert [x for x in flat(found) if not isinstance(x, float)] == [
            x for x in flat(wanted) if not isinstance(x, float)
        ]
    assert found_warnings == wanted_warnings
