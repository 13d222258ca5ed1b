"""Kernels do what the printed loops do, for every kind of formula, over shapes, strides and dtypes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid import dtypes as D
from pellucid.codegen import schedule
from pellucid.codegen.ptx import ptx
from pellucid.dtypes import DType, float32, int64
from pellucid.formula.expr import Expr, axis, load, scalar, select, size, state, unary
from pellucid.formula.formula import Fold, Formula, Output, Scatter, folding, locating
from pellucid.formula.loops import run_loops
from tests.running import run_kernel, scheduled

NUMERIC = [D.float32, D.float64, D.int64, D.int32, D.uint8]
ALL = [*NUMERIC, D.bool_, D.int8, D.int16, D.float16, D.bfloat16, D.complex64]
quick = settings(max_examples=15, deadline=None)


def cells(rng: np.random.Generator, shape: tuple[int, ...], dtype: DType) -> np.ndarray[Any, Any]:
    values = rng.integers(0, 5, shape) if dtype.kind in "bu" else rng.integers(-4, 5, shape)
    if dtype.is_complex:
        return np.asarray(values + 1j * rng.integers(-4, 5, shape), dtype.numpy)
    return np.asarray(values + (rng.random(shape) if dtype.is_floating_point else 0)).astype(dtype.numpy)


def strided(rng: np.random.Generator, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same values in another arrangement: permuted, with holes, or backwards."""
    array = np.asarray(array)
    if array.ndim == 0:
        return array
    order = rng.permutation(array.ndim)
    moved = np.ascontiguousarray(array.transpose(order)).transpose(np.argsort(order))
    kind = rng.integers(3)
    if kind == 1:
        wide = np.zeros((*moved.shape[:-1], moved.shape[-1] * 2 + 1), moved.dtype)
        wide[..., 1::2] = moved
        return wide[..., 1::2]
    return moved[::-1].copy()[::-1] if kind == 2 else moved


def compare(
    formula: Formula | Scatter,
    operands: list[Any],
    sizes: tuple[int, ...],
    results: list[np.ndarray[Any, Any]],
    **tolerance: float,
) -> None:
    """Kernel against loops, whole and in odd parts; and LLVM accepts the formula for the GPU."""
    expected = [r.copy() for r in results]
    run_loops(formula, sizes, operands, expected)
    for part in (None, 7):
        got = [np.ascontiguousarray(r) if r.ndim == 0 else r.copy(order="K") for r in results]
        assert run_kernel(formula, operands, sizes, got, part) == 0
        for a, b in zip(got, expected, strict=True):
            wide = np.complex128 if a.dtype.kind == "c" else np.float64
            np.testing.assert_allclose(a.astype(wide), b.astype(wide), **(tolerance or {"rtol": 1e-6}))
    assert ".visible .entry" in ptx(scheduled(formula, operands, sizes, results).nest)


shapes = st.lists(st.integers(0, 5) | st.just(33) | st.just(17), min_size=0, max_size=3).map(tuple)


@quick
@given(shapes, st.sampled_from(ALL), st.integers(0, 2**32), st.booleans())
def test_pointwise(shape: tuple[int, ...], dtype: DType, seed: int, broadcast: bool) -> None:
    rng = np.random.default_rng(seed)
    a, b = strided(rng, cells(rng, shape, dtype)), cells(rng, shape, dtype)
    if broadcast and shape:
        b = b[:1] if shape[0] else b
    work = float32 if dtype in (D.float16, D.bfloat16) else dtype
    value = (load(0, dtype).cast(work) * load(1, dtype).cast(work)).cast(dtype)
    out = strided(rng, np.zeros(shape, dtype.numpy))
    compare(Formula("product", len(shape), (Output(value),)), [a, b], shape, [out])


@quick
@given(shapes, st.sampled_from(NUMERIC), st.integers(0, 2**32))
def test_number_operands_and_predicates(shape: tuple[int, ...], dtype: DType, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = strided(rng, cells(rng, shape, dtype))
    value = select(load(0, dtype) < scalar(1, int64).cast(dtype), load(0, dtype), scalar(2, D.float64).cast(dtype))
    compare(Formula("limit", len(shape), (Output(value),)), [x, 2, 3.0], shape, [np.zeros(shape, dtype.numpy)])


FOLDS: dict[str, Callable[[DType], Any]] = {
    "sum": lambda d: folding("sum", d),
    "prod": lambda d: folding("prod", d),
    "max": lambda d: folding("max", d),
    "min": lambda d: folding("min", d),
    "argmax": lambda d: locating("max", d),
    "argmin": lambda d: locating("min", d),
}


@quick
@given(
    st.tuples(st.integers(1, 4), st.sampled_from([1, 3, 40, 200]), st.sampled_from([1, 2, 35])),
    st.sampled_from([0, 1, 2]),
    st.sampled_from(sorted(FOLDS)),
    st.sampled_from(NUMERIC),
    st.integers(0, 2**32),
    st.booleans(),
)
def test_folds(shape: tuple[int, ...], dim: int, kind: str, dtype: DType, seed: int, by_rows: bool) -> None:
    """``by_rows``: columns are read in the order of memory, as large ones are."""
    with mock.patch.object(schedule, "LARGE_COLUMNS", 0 if by_rows else schedule.LARGE_COLUMNS):
        check_fold(shape, dim, kind, dtype, seed)


def check_fold(shape: tuple[int, ...], dim: int, kind: str, dtype: DType, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = strided(rng, cells(rng, shape, dtype))
    outer = tuple(d for d in range(3) if d != dim)
    place = {d: i for i, d in enumerate((*outer, dim))}
    sizes = tuple(shape[d] for d in (*outer, dim))
    reducer = FOLDS[kind](dtype)
    element = load(0, dtype, tuple(axis(place[d]) for d in range(3)))
    elements: tuple[Expr, ...] = (element,) if len(reducer.dtypes) == 1 else (element, axis(2))
    fold = Fold(reducer, elements, 0)
    formula = Formula(kind, 2, tuple(Output(s) for s in fold.states), 1, (fold,))
    results = [np.zeros(sizes[:2], e.dtype.numpy) for e in elements]
    compare(formula, [x], sizes, results, rtol=2e-5, atol=1e-5)


@quick
@given(st.integers(1, 5), st.sampled_from([1, 5, 64, 131]), st.booleans(), st.integers(0, 2**32))
def test_stages(rows: int, n: int, columns: bool, seed: int) -> None:
    """A softmax: two folds, then every cell of the row."""
    rng = np.random.default_rng(seed)
    x = cells(rng, (rows, n), float32)
    if columns:
        x = np.ascontiguousarray(x.T).T
    cell = load(0, float32, (axis(0), axis(1)))
    e = unary("exp", cell - state(0, float32))
    stages = (Fold(folding("max", float32), (cell,), 0), Fold(folding("sum", float32), (e,), 1))
    formula = Formula("softmax", 1, (Output(e / state(1, float32), True, (0, 1)),), 1, stages)
    compare(formula, [x], (rows, n), [np.zeros((rows, n), np.float32)], rtol=1e-5)


@quick
@given(st.sampled_from([(3, 40), (40, 3), (1, 1), (2, 0)]), st.booleans(), st.integers(0, 2**32))
def test_scan(shape: tuple[int, int], columns: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = cells(rng, shape, D.float64)
    x = np.ascontiguousarray(x.T).T if columns else x
    fold = Fold(folding("sum", D.float64), (load(0, D.float64, (axis(0), axis(1))),), 0)
    formula = Formula("cumsum", 1, (Output(fold.states[0], True, (0, 1)),), 1, (fold,), True)
    compare(formula, [x], shape, [np.zeros(shape)], rtol=1e-12)


@quick
@given(st.sampled_from([0, 1, 2]), st.sampled_from(ALL), st.integers(0, 2**32))
def test_gather_and_scatter(dim: int, dtype: DType, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = strided(rng, cells(rng, (4, 6, 19), dtype))
    shape = tuple(int(rng.integers(1, n + 1)) for n in x.shape)
    index = rng.integers(0, x.shape[dim], shape)
    here = tuple(axis(k) for k in range(3))
    where = (*here[:dim], load(1, int64, here), *here[dim + 1 :])
    compare(Formula("gather", 3, (Output(load(0, dtype, where)),)), [x, index], shape, [np.zeros(shape, dtype.numpy)])
    if dtype.kind in "iuf" and dtype.itemsize >= 4:
        where = (*here[:dim], load(0, int64, here), *here[dim + 1 :])
        scatter = Scatter("scatter_add", 3, where, load(1, dtype, here), folding("sum", dtype))
        compare(scatter, [index, cells(rng, shape, dtype)], shape, [cells(rng, (4, 6, 19), dtype)], rtol=1e-5)


@quick
@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(0, 2**32))
def test_windows(kernel: int, stride: int, padding: int, seed: int) -> None:
    """Windows over a padded row: what lies outside is the fill."""
    rng = np.random.default_rng(seed)
    x = cells(rng, (2, 45), float32)
    n = (45 + 2 * padding - kernel) // stride + 1
    at = axis(1) * stride + axis(2) - padding
    value = load(0, float32, (axis(0), at), fill=0.0)
    compare(Formula("unfold", 3, (Output(value),)), [x], (2, n, kernel), [np.zeros((2, n, kernel), np.float32)])


@pytest.mark.parametrize("shape", [(3, 40, 50), (2, 16, 16), (1, 33, 100), (5, 64, 17), (2, 100, 3)])
@pytest.mark.parametrize("dtype", [D.float32, D.float64, D.uint8, D.bool_])
def test_transposed_copies(shape: tuple[int, int, int], dtype: DType) -> None:
    rng = np.random.default_rng(0)
    for order in ((0, 2, 1), (2, 1, 0), (1, 2, 0)):
        x = np.ascontiguousarray(cells(rng, shape, dtype).transpose(order)).transpose(np.argsort(order))
        out = np.zeros(shape, dtype.numpy)
        assert run_kernel(Formula("copy", 3, (Output(load(0, dtype)),)), [x], shape, [out], 3) == 0
        np.testing.assert_array_equal(out, x)


def test_rolled_coordinates() -> None:
    x = np.arange(120, dtype=np.float32).reshape(3, 40)
    value = load(0, float32, (axis(0), (axis(1) + 5) % size(1)))
    compare(Formula("roll", 2, (Output(value),)), [x], (3, 40), [np.zeros_like(x)])


def test_index_outside_is_reported_and_never_read() -> None:
    x, index = np.zeros((4, 6), np.float32), np.full((4, 40), 6)
    value = load(0, float32, (axis(0), load(1, int64, (axis(0), axis(1)))))
    assert run_kernel(Formula("gather", 2, (Output(value),)), [x, index], (4, 40), [np.zeros((4, 40), np.float32)]) == 1
    index[:] = -(2**62)
    assert run_kernel(Formula("gather", 2, (Output(value),)), [x, index], (4, 40), [np.zeros((4, 40), np.float32)]) == 1


def test_integer_division_by_zero_is_reported() -> None:
    a, b = np.arange(37), np.ones(37, np.int64)
    quotient = Formula("div", 1, (Output(load(0, int64) / load(1, int64)),))
    assert run_kernel(quotient, [a, b], (37,), [np.zeros(37, np.int64)]) == 0
    b[35] = 0
    assert run_kernel(quotient, [a, b], (37,), [np.zeros(37, np.int64)]) == 2
    lowest = np.full(3, np.iinfo(np.int64).min)
    out = np.zeros(3, np.int64)
    assert run_kernel(quotient, [lowest, np.full(3, -1)], (3,), [out]) == 0
    np.testing.assert_array_equal(out, lowest)  # as in two's complement: it has no positive counterpart


@pytest.mark.parametrize("columns", [2500, 4113])
def test_many_columns(columns: int) -> None:
    """Several strips, more rows than a block, the last of each incomplete; whole, and in parts of the rows."""
    x = np.random.default_rng(0).random((203, columns), np.float32)
    fold = Fold(folding("sum", float32), (load(0, float32, (axis(1), axis(0))),), 0)
    formula, sums = Formula("sum", 1, (Output(fold.states[0]),), 1, (fold,)), np.zeros(columns, np.float32)
    assert scheduled(formula, [x], (columns, 203), [sums]).nest.columns
    assert run_kernel(formula, [x], (columns, 203), [sums], 1000) == 0
    np.testing.assert_allclose(sums, x.sum(0, dtype=np.float64), rtol=1e-6)
    split = Fold(folding("sum", float32), (load(0, float32, (axis(2), axis(1))),), 0)
    parts = np.zeros((3, columns), np.float32)
    of_parts = Formula("sum_parts", 2, (Output(split.states[0]),), 1, (split,))
    assert run_kernel(of_parts, [x], (3, columns, 203), [parts], split=80) == 0
    np.testing.assert_allclose(parts.sum(0), x.sum(0, dtype=np.float64), rtol=1e-6)


def test_parts_of_a_row() -> None:
    x = np.random.default_rng(0).random(1000, np.float32)
    fold = Fold(folding("sum", float32), (load(0, float32, (axis(1),)),), 0)
    parts = np.zeros(4, np.float32)
    run_kernel(Formula("sum", 1, (Output(fold.states[0]),), 1, (fold,)), [x], (4, 1000), [parts], split=300)
    np.testing.assert_allclose(parts, [x[i : i + 300].sum(dtype=np.float64) for i in range(0, 1000, 300)], rtol=1e-6)


def test_one_kernel_serves_all_sizes() -> None:
    formula = Formula("copy", 2, (Output(load(0, float32)),))
    nests = {scheduled(formula, [np.zeros(s, np.float32)], s, [np.zeros(s, np.float32)]).nest for s in [(2, 3), (50, 7)]}
    assert len(nests) == 1
