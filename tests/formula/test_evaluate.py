"""The NumPy interpreter of expressions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from pellucid.dtypes import DType, bool_, float16, float32, float64, int8, int32, int64, uint8
from pellucid.formula.evaluate import evaluate, fma
from pellucid.formula.expr import (
    axis,
    binary,
    const,
    extent,
    load,
    maximum,
    node,
    scalar,
    select,
    size,
    state,
    table,
    unary,
)


def test_aligned_loads_broadcast() -> None:
    column, row = np.arange(3.0, dtype=np.float32)[:, None], np.arange(4.0, dtype=np.float32)
    found = evaluate(load(0, float32) + load(1, float32), [column, row])
    assert found.dtype == np.float32
    assert np.array_equal(found, column + row)


def test_axes_sizes_and_computed_coordinates() -> None:
    x = np.arange(12).reshape(3, 4)
    roll = load(0, int64, (axis(0), (axis(1) + 1) % size(1)))
    assert np.array_equal(evaluate(roll, [x], (3, 4)), np.roll(x, -1, axis=1))
    assert np.array_equal(evaluate(axis(1) * extent(0, 0), [x], (2, 3)), [[0, 3, 6], [0, 3, 6]])


def test_coordinates_outside() -> None:
    x = np.arange(4)
    shifted = (axis(0) - 1,)
    with pytest.raises(IndexError, match=r"operand 0 is outside its shape \(4,\)"):
        evaluate(load(0, int64, shifted), [x], (4,))
    assert evaluate(load(0, int64, shifted, fill=9), [x], (5,)).tolist() == [9, 0, 1, 2, 3]
    assert evaluate(load(0, int64, shifted, fill=9), [x[:0]], (2,)).tolist() == [9, 9]


def test_scalars_states_and_tables() -> None:
    x = np.arange(3.0)
    e = load(0, float64) * scalar(1, float64) + state(0, float64)
    assert evaluate(e, [x, 2], (3,), states=[x]).tolist() == [0, 3, 6]
    squares = table((0.0, 1.0, 4.0), float64, load(0, int64))
    assert evaluate(squares, [np.array([2, 0, 1])]).tolist() == [4, 0, 1]


def test_integers_follow_c() -> None:
    a, b = np.array([7, -7, 7, -7]), np.array([2, 2, -2, -2])
    assert evaluate(load(0, int64) / load(1, int64), [a, b]).tolist() == [3, -3, -3, 3]
    assert evaluate(load(0, int64) % load(1, int64), [a, b]).tolist() == [1, -1, 1, -1]
    with pytest.raises(ZeroDivisionError):
        evaluate(load(0, int64) / 0, [a])
    x = np.array([-2, 3], np.int32)
    assert evaluate(load(0, int32) >> 1, [x]).tolist() == [-1, 1]
    assert evaluate(binary("ushr", load(0, int32), 1), [x]).tolist() == [0x7FFFFFFF, 1]
    assert evaluate(const(300, uint8), [], (1,)).tolist() == [44]
    assert evaluate(const(-1, uint8).cast(int8), [], (1,)).tolist() == [-1]


def test_conversions() -> None:
    x = np.array([-1.75, 0.0, 2.5], np.float32)
    assert evaluate(load(0, float32).cast(int32), [x]).tolist() == [-1, 0, 2]
    assert evaluate(load(0, float32).cast(bool_), [x]).tolist() == [True, False, True]
    assert evaluate(load(0, float32).bitcast(int32), [x]).tolist() == x.view(np.int32).tolist()
    assert evaluate(unary("round", load(0, float32)), [x]).tolist() == [-2, 0, 2]


def test_select_and_nan() -> None:
    x = np.array([np.nan, 1.0])
    assert evaluate(select(load(0, float64) < 2.0, load(0, float64), 0.0), [x]).tolist() == [0, 1]
    assert np.isnan(evaluate(maximum(load(0, float64), 0.0), [x])[0])


def test_complex_numbers_are_put_together_from_parts() -> None:
    from pellucid.dtypes import complex64

    pair = node("complex", (load(0, float32), load(1, float32)), complex64)
    found = evaluate(pair, [np.array([1, 2], np.float32), np.array([0, np.inf], np.float32)])
    assert found.dtype == np.complex64
    assert found.real.tolist() == [1, 2]
    assert found.imag.tolist() == [0, np.inf]


def test_unknown_operation() -> None:
    with pytest.raises(ValueError, match="no operation named 'twist'"):
        evaluate(unary("twist", load(0, float64)), [np.zeros(1)])


@pytest.mark.parametrize("dtype", [float16, float32, float64])
def test_fma_rounds_once(dtype: DType) -> None:
    """Against exact fractions, with addends that cancel the product, and with denormal results."""
    rng = np.random.default_rng(0)
    exponents = (-7, 6) if dtype is float16 else (-70, 40)
    n = 500

    def draw() -> np.ndarray:
        return (rng.uniform(-1, 1, n) * 2.0 ** rng.integers(*exponents, n)).astype(dtype.numpy)

    a, b = draw(), draw()
    c = np.where(rng.random(n) < 0.5, draw(), (-(a * b)) * (1 + rng.integers(-2, 3, n) * np.finfo(dtype.numpy).eps))
    c = c.astype(dtype.numpy)
    found = fma(a, b, c)
    for x, y, z, w in zip(a, b, c, found, strict=True):
        exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        error = abs(Fraction(float(w)) - exact)
        for neighbour in (np.nextafter(w, -np.inf, dtype=dtype.numpy), np.nextafter(w, np.inf, dtype=dtype.numpy)):
            assert error <= abs(Fraction(float(neighbour)) - exact)
