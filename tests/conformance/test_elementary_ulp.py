"""Elementary functions over the whole range of float32, and at many points of float64.

The reference is NumPy's or the C library's float64 function, rounded to float32: it is right but for numbers that lie
next to the middle between two floats. float64 is compared with mpmath.
"""

from __future__ import annotations

import ctypes
import itertools
import math
from array import array
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import torch

from pellucid.codegen.kernels import kernel_address
from pellucid.codegen.schedule import schedule
from pellucid.dtypes import DType, float32, float64
from pellucid.formula.elementary import ELEMENTARY
from pellucid.formula.expr import load, node
from pellucid.formula.formula import Formula, Output
from pellucid.layout import dense

BINARY = {"pow", "atan2", "hypot"}
STEP = 1009
# Every float32 within this many of a place where something changes.
NEAR = 3000
CHANGES = [0.0, 2.0**-126, 2.0**-24, 0.5, 2 / 3, 1.0, 4 / 3, 8.0, 17.3, 88.72284, 89.4, 103.97, 127.5, 150.0, 3e38]


def each(function: Callable[[float], float]) -> Callable[[np.ndarray], np.ndarray]:
    """A function of the math module on arrays."""
    return lambda x: np.frompyfunc(function, 1, 1)(x).astype(np.float64)


REFERENCE: dict[str, Callable[..., np.ndarray]] = {
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erf": each(math.erf),
    "erfc": each(math.erfc),
    "sigmoid": lambda x: np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x))),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "lgamma": lambda x: torch.lgamma(torch.from_numpy(x)).numpy(),
    "digamma": lambda x: torch.digamma(torch.from_numpy(x)).numpy(),
    "pow": np.power,
    "atan2": np.arctan2,
}


def kernel(name: str, dtype: DType, n: int) -> Callable[..., np.ndarray]:
    """The function compiled for arrays of n cells."""
    count = 2 if name in BINARY else 1
    layout = dense((n,), dtype)
    e = node(name, tuple(load(k, dtype) for k in range(count)), dtype)
    made = schedule(Formula(name, 1, (Output(e),)), [layout] * count, (n,), [layout], cache_bytes=1 << 25)
    params = array("q", made.params)
    function = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)(kernel_address(made.nest))

    def run(*arrays: np.ndarray) -> np.ndarray:
        out = np.empty(n, dtype.numpy)
        operands = array("q", [a.ctypes.data for a in (out, *arrays)])
        assert function(operands.buffer_info()[0], params.buffer_info()[0], 0, made.cells) == 0
        return out

    return run


def every_float32() -> np.ndarray:
    """A strided sweep of all bit patterns, and the neighbourhoods of special places, of both signs."""
    swept = np.arange(0, 1 << 32, STEP, dtype=np.uint32)
    centres = np.array(CHANGES, np.float32).view(np.uint32).astype(np.int64)
    around = (centres[:, None] + np.arange(-NEAR, NEAR)).clip(0, 0x7F800000).ravel().astype(np.uint32)
    return np.concatenate([swept, around, around | 0x80000000]).view(np.float32)


def ordered(x: np.ndarray) -> np.ndarray:
    """Floats as integers such that neighbours differ by one."""
    bits = x.view(f"i{x.dtype.itemsize}").astype(np.int64)
    return np.where(bits < 0, -(bits & np.iinfo(x.dtype.str.replace("f", "i")).max), bits)


def check_float32(name: str, found: np.ndarray, exact: np.ndarray, arguments: list[np.ndarray]) -> None:
    with np.errstate(over="ignore"):
        expected = exact.astype(np.float32)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    numbers = ~np.isnan(expected)
    off = np.abs(ordered(found[numbers]) - ordered(expected[numbers]))
    worst = int(off.argmax())
    where = [float(a[numbers][worst]) for a in arguments]
    assert off[worst] <= 1, f"{name}{where}: {found[numbers][worst]!r}, not {expected[numbers][worst]!r}"
    assert np.array_equal(np.signbit(found[numbers]), np.signbit(expected[numbers]))


@pytest.mark.parametrize("name", sorted(ELEMENTARY - BINARY - {"reciprocal"}))
def test_float32_everywhere(name: str) -> None:
    x = every_float32()
    with np.errstate(all="ignore"):
        exact = (REFERENCE.get(name) or getattr(np, name))(x.astype(np.float64))
    check_float32(name, kernel(name, float32, x.size)(x), exact, [x])


def pairs(dtype: DType, n: int) -> list[np.ndarray]:
    """Arguments of functions of two numbers: special ones, any bits, moderate ones, and powers near the limits."""
    rng = np.random.default_rng(11)
    special = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 1e-44, 1e-30, 1e30, 1e38, 8388607.5, 16777215.0, 2.0**53, math.inf]
    special = [*special, *(-v for v in special), math.nan]
    table = np.array(list(itertools.product(special, special))).T
    bits = rng.integers(0, 1 << (8 * dtype.itemsize), (2, n), f"u{dtype.itemsize}").view(dtype.numpy)
    near_one = 1 + rng.uniform(-1, 1, n) * 10.0 ** rng.uniform(-7, -0.5, n)
    near_one = near_one.astype(dtype.numpy).astype(np.float64)
    limit = 150 if dtype is float32 else 1075
    with np.errstate(all="ignore"):
        steep = rng.uniform(-1, 1, n) * limit / np.log2(near_one)
        groups = [table, bits, rng.normal(size=(2, n)), [near_one, steep], [np.exp(steep % 70), rng.uniform(-3, 3, n)]]
        return [np.concatenate([np.asarray(g[k]).astype(dtype.numpy) for g in groups]) for k in range(2)]


@pytest.mark.parametrize("name", sorted(BINARY))
def test_float32_of_two_numbers(name: str) -> None:
    x, y = pairs(float32, 300_000)
    with np.errstate(all="ignore"):
        exact = (REFERENCE.get(name) or getattr(np, name))(x.astype(np.float64), y.astype(np.float64))
    check_float32(name, kernel(name, float32, x.size)(x, y), exact, [x, y])


EXACT: dict[str, Callable[..., mpmath.mpf]] = {
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "log2": lambda x: mpmath.log(x, 2),
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "rsqrt": lambda x: 1 / mpmath.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "lgamma": mpmath.loggamma,
    "pow": mpmath.power,
}
# In units of the last place, for positive numbers.
ALLOWED = {"lgamma": 6.0, "digamma": 6.0}


def points_of_float64(n: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    scattered = rng.choice([-1, 1], n) * 10.0 ** rng.uniform(-20, 20, n)
    groups = [scattered, rng.uniform(-1, 1, n), rng.uniform(-10, 10, n), rng.uniform(-740, 740, n)]
    near_one = 1 + rng.uniform(-1, 1, n) * 10.0 ** rng.uniform(-16, 0, n)
    return np.concatenate([*groups, near_one])


@pytest.mark.parametrize("name", sorted(ELEMENTARY))
def test_float64(name: str) -> None:
    arguments = pairs(float64, 400) if name in BINARY else [points_of_float64(400)]
    if name in ALLOWED:
        arguments = [np.abs(arguments[0])]
    found = kernel(name, float64, arguments[0].size)(*arguments)
    exact = EXACT.get(name) or getattr(mpmath, name)
    worst, where = 0.0, ()
    with mpmath.workdps(60):
        for *x, y in zip(*arguments, found, strict=True):
            # What is special has tests of its own, and mpmath has no signed zeros.
            if not all(v != 0 and math.isfinite(v) for v in (*x, y)):
                continue
            try:
                expected = exact(*(mpmath.mpf(float(v)) for v in x))
            except (ZeroDivisionError, OverflowError):
                continue
            if isinstance(expected, mpmath.mpc) or not mpmath.isfinite(expected):
                continue
            last_place = mpmath.mpf(2) ** max(mpmath.frexp(expected)[1] - 53, -1074)
            error = float(abs(mpmath.mpf(float(y)) - expected) / last_place)
            if error > worst:
                worst, where = error, tuple(map(float, x))
    assert worst <= ALLOWED.get(name, 2.0), f"{name}{where}: {worst} units in the last place"
