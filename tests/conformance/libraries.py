"""Run the same program under both libraries and compare what it gives back."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

import pellucid
import pellucid.nn
import pellucid.optim
import pellucid.utils.data

LIBRARIES = (pellucid, torch)
Program = Callable[[Any], Any]


def plain(value: Any) -> Any:
    """Tensors as NumPy arrays (with their dtype's name), containers member by member."""
    if isinstance(value, pellucid.Tensor | torch.Tensor):
        t = value.detach()
        name = str(t.dtype)
        return name, np.array((t.float() if name == "torch.bfloat16" else t).numpy())
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    return value


def outcome(program: Program, library: Any) -> tuple[Any, list[str]]:
    """What the program gives back, or the name of the error it ends with; and the classes of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        library.manual_seed(0)
        try:
            result = plain(program(library))
        except Exception as error:
            result = type(error).__name__
    return result, sorted({w.category.__name__ for w in caught if w.category is not DeprecationWarning})


def assert_equal(ours: Any, theirs: Any, rtol: float, atol: float, place: str = "") -> None:
    """Equal structure, equal plain values, arrays equal up to the tolerances (0: the same bits)."""
    if isinstance(theirs, np.ndarray):
        assert isinstance(ours, np.ndarray), f"{place}: {ours} instead of {theirs}"
        assert ours.shape == theirs.shape, place
        if rtol == atol == 0:
            np.testing.assert_array_equal(ours, theirs, err_msg=place)
        else:
            np.testing.assert_allclose(ours, theirs, rtol, atol, equal_nan=True, err_msg=place)
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs), place
        for key in theirs:
            assert_equal(ours[key], theirs[key], rtol, atol, f"{place}[{key}]")
    elif isinstance(theirs, list | tuple):
        assert isinstance(ours, list | tuple), f"{place}: {ours} instead of {theirs}"
        assert len(ours) == len(theirs), place
        for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert_equal(a, b, rtol, atol, f"{place}[{k}]")
    elif isinstance(theirs, float):
        np.testing.assert_allclose(ours, theirs, rtol, atol, equal_nan=True, err_msg=place)
    else:
        assert ours == theirs, place


def compare(program: Program, rtol: float = 0.0, atol: float = 0.0, with_warnings: bool = False) -> None:
    """The program gives the same under both libraries."""
    (ours, warned), (theirs, expected) = (outcome(program, library) for library in LIBRARIES)
    assert_equal(ours, theirs, rtol, atol)
    if with_warnings:
        assert warned == expected


def numbers(library: Any, *shape: int, seed: int = 0) -> Any:
    """The same normal numbers in both libraries."""
    made = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return library.from_numpy(made)
