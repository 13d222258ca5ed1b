"""Scatters in every way that threads share them, and the sorts: kernels against printed loops and NumPy."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from pellucid.codegen.sorts import first_places, radix_sort
from pellucid.dtypes import bfloat16, float32, int64
from pellucid.formula.expr import Expr, axis, load
from pellucid.formula.formula import Scatter, folding
from pellucid.formula.loops import run_loops
from tests.codegen.test_kernels import compare
from tests.running import run_kernel

ROWS = 11


def scattered(op: str | None, *target: Expr) -> Scatter:
    here = tuple(axis(k) for k in range(len(target)))
    reducer = None if op is None else folding(op, float32)
    return Scatter("scatter", len(target), target, load(1, float32, here), reducer)


@pytest.mark.parametrize("op", [None, "sum", "prod", "max"])
@pytest.mark.parametrize("columns", [1, 3, 16, 70])
def test_rows_by_index(op: str | None, columns: int) -> None:
    """Rows go to places that threads own."""
    rng = np.random.default_rng(columns)
    index, source = rng.integers(0, ROWS, 50), rng.random((50, columns), np.float32)
    formula = scattered(op, load(0, int64, (axis(0),)), axis(1))
    compare(formula, [index, source], (50, columns), [rng.random((ROWS, columns), np.float32)], rtol=1e-4)


@pytest.mark.parametrize("shape", [(6, 5, 20), (2, 5, 40), (1, 30, 9)])
@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("repeated", [True, False])
def test_cells_by_index(shape: tuple[int, int, int], dim: int, repeated: bool) -> None:
    """An index per cell: different along the rows, or the same (then rows are moved in one piece)."""
    rng = np.random.default_rng(dim)
    index = rng.integers(0, ROWS, (*shape[:2], 1 if repeated else shape[2])) + np.zeros(shape, np.int64)
    whole = [n if d != dim else ROWS for d, n in enumerate(shape)]
    here: list[Expr] = [axis(k) for k in range(3)]
    here[dim] = load(0, int64, tuple(here))
    operands = [index, rng.random(shape, np.float32)]
    compare(scattered("sum", *here), operands, shape, [rng.random(whole, np.float32)], rtol=1e-4)


@pytest.mark.parametrize("columns", [1, 40])
@pytest.mark.parametrize("wrong", [-1, ROWS, 1 << 40])
def test_an_index_outside_is_reported_and_nothing_else_is_lost(columns: int, wrong: int) -> None:
    index, source = np.array([1, wrong, 3]), np.ones((3, columns), np.float32)
    result = np.zeros((ROWS, columns), np.float32)
    for part in (None, 2):
        formula = scattered("sum", load(0, int64, (axis(0),)), axis(1))
        assert run_kernel(formula, [index, source], (3, columns), [result], part) == 1
    assert result.sum() == 2 * 2 * columns


def test_half_precision_is_rounded_at_every_step() -> None:
    reducer = folding("sum", bfloat16)
    formula = Scatter("scatter", 1, (load(0, int64, (axis(0),)),), load(1, bfloat16, (axis(0),)), reducer)
    index, source = np.zeros(600, np.int64), np.ones(600, bfloat16.numpy)
    results = [np.zeros(1, bfloat16.numpy) for _ in range(2)]
    run_kernel(formula, [index, source], (600,), results[:1])
    run_loops(formula, (600,), [index, source], results[1:])
    assert float(results[0][0]) == float(results[1][0]) == 256


def call(address: int, operands: list[Any], params: list[int], rows: int) -> None:
    arguments = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
    words = np.array([a.ctypes.data for a in operands], np.int64)
    numbers = np.array(params, np.int64)
    routine = ctypes.CFUNCTYPE(ctypes.c_int64, *arguments)(address)
    for row in range(rows):
        assert routine(words.ctypes.data, numbers.ctypes.data, row, row + 1) == 0


@pytest.mark.parametrize("nbytes", [1, 2, 4])
@pytest.mark.parametrize("n", [1, 2, 300])
@pytest.mark.parametrize("spread", [1, 7, 1 << 32])
def test_radix_sort(nbytes: int, n: int, spread: int) -> None:
    rng = np.random.default_rng(n)
    ranks = rng.integers(0, min(spread, 1 << (8 * nbytes)), (3, n)).astype(np.uint64)
    keys = (ranks << np.uint64(32)) | np.arange(n, dtype=np.uint64)
    expected = np.sort(keys, axis=1)
    call(radix_sort(nbytes), [keys, np.empty_like(keys)], [n], 3)
    np.testing.assert_array_equal(keys, expected)


@pytest.mark.parametrize(("n", "k"), [(1, 1), (9, 9), (300, 1), (300, 16)])
def test_first_places(n: int, k: int) -> None:
    ranks = np.random.default_rng(n).integers(0, 20, (3, n)).astype(np.uint64)
    places, kept = np.empty((3, k), np.uint64), np.empty((3, k), np.uint64)
    call(first_places(), [places, kept, ranks], [n, k], 3)
    np.testing.assert_array_equal(places, np.argsort(ranks, axis=1, kind="stable")[:, :k])
