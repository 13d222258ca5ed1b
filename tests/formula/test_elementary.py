"""Elementary functions: special values, accuracy at sampled points, and kernels that compute what NumPy computes."""

from __future__ import annotations

import ctypes
import itertools
import math
from array import array
from collections.abc import Callable

import mpmath
import numpy as np
import pytest

from pellucid.codegen.kernels import kernel_address
from pellucid.codegen.schedule import schedule
from pellucid.dtypes import DType, float32, float64, int64
from pellucid.formula.elementary import ELEMENTARY, expand
from pellucid.formula.evaluate import evaluate
from pellucid.formula.expr import ARITHMETIC, COMPARISONS, LEAVES, NATIVE_UNARY, Expr, load, node, unary, walk
from pellucid.formula.formula import Formula, Output
from pellucid.layout import dense

INF, NAN = math.inf, math.nan
BINARY = {"pow", "atan2", "hypot"}
UNARY = sorted(ELEMENTARY - BINARY)
# The exact functions, of numbers of mpmath.
EXACT: dict[str, Callable[..., mpmath.mpf]] = {
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "log2": lambda x: mpmath.log(x, 2),
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "rsqrt": lambda x: 1 / mpmath.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "lgamma": lambda x: mpmath.log(abs(mpmath.gamma(x))),
    "pow": mpmath.power,
}


def call(name: str, dtype: DType) -> Expr:
    return node(name, tuple(load(k, dtype) for k in range(2 if name in BINARY else 1)), dtype)


def computed(name: str, dtype: DType, *arguments: list[float]) -> np.ndarray:
    return evaluate(call(name, dtype), [np.array(a, dtype.numpy) for a in arguments])


def distance_in_ulps(found: float, exact: mpmath.mpf, dtype: DType) -> float:
    """|found - exact| in units of the last place that exact has in this dtype."""
    bits, lowest = (24, -149) if dtype is float32 else (53, -1074)
    exponent = max(mpmath.frexp(exact)[1] - bits, lowest)
    return float(abs(mpmath.mpf(float(found)) - exact) / mpmath.mpf(2) ** exponent)


def points(name: str, dtype: DType, n: int) -> list[np.ndarray]:
    """Arguments at which the function is finite and not zero: small, moderate, large."""
    rng = np.random.default_rng(7)
    size = rng.choice([1e-30, 1e-5, 0.1, 1.0, 5.0, 30.0], n)
    x = rng.uniform(-1, 1, n) * size
    if name in ("log", "log2", "log10", "rsqrt", "pow", "lgamma", "digamma"):
        x = np.abs(x)
    elif name == "acosh":
        x = 1 + np.abs(x)
    elif name in ("asin", "acos", "atanh"):
        x = x / 30
    elif name == "log1p":
        x = np.where(x <= -0.99, -x, x)
    elif name in ("sin", "cos", "tan"):
        x = x * rng.choice([1.0, 1e10, 1e30], n)
    arrays = [x, rng.uniform(-3, 3, n)] if name in BINARY else [x]
    return [a.astype(dtype.numpy) for a in arrays]


def run_kernel(e: Expr, arrays: list[np.ndarray]) -> np.ndarray:
    """The value of ``e``, an expression of aligned loads, by the compiled kernel."""
    out = np.empty_like(arrays[0])
    layout = dense((out.size,), e.dtype)
    made = schedule(
        Formula("elementary", 1, (Output(e),)), [layout] * len(arrays), (out.size,), [layout], cache_bytes=1 << 25
    )
    addresses = array("q", [a.ctypes.data for a in (out, *arrays)])
    params = array("q", made.params)
    kernel = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)(kernel_address(made.nest))
    assert kernel(addresses.buffer_info()[0], params.buffer_info()[0], 0, made.cells) == 0
    return out


@pytest.mark.parametrize("dtype", [float32, float64])
@pytest.mark.parametrize("name", sorted(ELEMENTARY))
def test_only_native_operations_remain(name: str, dtype: DType) -> None:
    native = LEAVES | ARITHMETIC | COMPARISONS | NATIVE_UNARY
    native |= {"fma", "copysign", "select", "cast", "bitcast", "table"}
    expanded = expand(call(name, dtype))
    assert expanded.dtype is dtype
    assert {e.op for e in walk(expanded)} <= native


def test_other_nodes_stay() -> None:
    e = load(0, float32) + 1.0
    assert expand(e) is e


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(TypeError, match=r"exp of torch.int64: elementary functions are written out for"):
        expand(unary("exp", load(0, int64)))


@pytest.mark.parametrize("dtype", [float32, float64])
@pytest.mark.parametrize("name", sorted(ELEMENTARY))
def test_accuracy(name: str, dtype: DType) -> None:
    arrays = points(name, dtype, 200)
    found = evaluate(call(name, dtype), arrays)
    exact = EXACT.get(name) or getattr(mpmath, name)
    worst = 0.0
    # Enough digits for the difference of a large angle from a multiple of pi.
    with mpmath.workdps(120):
        for *x, y in zip(*arrays, found, strict=True):
            expected = exact(*(mpmath.mpf(float(v)) for v in x))
            if isinstance(expected, mpmath.mpf) and abs(expected) < float(np.finfo(dtype.numpy).max):
                worst = max(worst, distance_in_ulps(y, expected, dtype))
    assert worst <= ALLOWED.get((name, dtype), 1.5 if dtype is float32 else 2)


# In units of the last place, from the exact value. float32 within 1.5 is within one of the rounded value.
ALLOWED = {("lgamma", float64): 6.0, ("digamma", float64): 6.0}


@pytest.mark.parametrize("dtype", [float32, float64])
@pytest.mark.parametrize("name", sorted(ELEMENTARY))
def test_kernels_compute_the_same_bits(name: str, dtype: DType) -> None:
    rng = np.random.default_rng(3)
    unsigned = f"u{dtype.itemsize}"
    arrays = []
    for moderate in points(name, dtype, 500):
        bits = rng.integers(0, 1 << (8 * dtype.itemsize), 500, np.dtype(unsigned).type).view(dtype.numpy)
        special = np.array([0.0, -0.0, INF, -INF, NAN, 1.0, -1.0, 5e-324], dtype.numpy)
        arrays.append(np.concatenate([moderate, bits, special]))
    e = call(name, dtype)
    found, expected = run_kernel(e, arrays), evaluate(e, arrays)
    numbers = ~np.isnan(expected)
    assert np.array_equal(np.isnan(found), ~numbers)
    assert np.array_equal(found[numbers].view(unsigned), expected[numbers].view(unsigned))


# What the functions say of -inf, -1, -0, 0, 1, inf.
SPECIAL: dict[str, list[float]] = {
    "exp": [0.0, math.exp(-1), 1.0, 1.0, math.e, INF],
    "exp2": [0.0, 0.5, 1.0, 1.0, 2.0, INF],
    "expm1": [-1.0, math.expm1(-1), -0.0, 0.0, math.expm1(1), INF],
    "tanh": [-1.0, -math.tanh(1), -0.0, 0.0, math.tanh(1), 1.0],
    "sinh": [-INF, -math.sinh(1), -0.0, 0.0, math.sinh(1), INF],
    "cosh": [INF, math.cosh(1), 1.0, 1.0, math.cosh(1), INF],
    "sigmoid": [0.0, 1 / (1 + math.e), 0.5, 0.5, 1 / (1 + 1 / math.e), 1.0],
    "log": [NAN, NAN, -INF, -INF, 0.0, INF],
    "log2": [NAN, NAN, -INF, -INF, 0.0, INF],
    "log10": [NAN, NAN, -INF, -INF, 0.0, INF],
    "log1p": [NAN, -INF, -0.0, 0.0, math.log(2), INF],
    "asinh": [-INF, -math.asinh(1), -0.0, 0.0, math.asinh(1), INF],
    "acosh": [NAN, NAN, NAN, NAN, 0.0, INF],
    "atanh": [NAN, -INF, -0.0, 0.0, INF, NAN],
    "sin": [NAN, -math.sin(1), -0.0, 0.0, math.sin(1), NAN],
    "cos": [NAN, math.cos(1), 1.0, 1.0, math.cos(1), NAN],
    "tan": [NAN, -math.tan(1), -0.0, 0.0, math.tan(1), NAN],
    "asin": [NAN, -math.pi / 2, -0.0, 0.0, math.pi / 2, NAN],
    "acos": [NAN, math.pi, math.pi / 2, math.pi / 2, 0.0, NAN],
    "atan": [-math.pi / 2, -math.pi / 4, -0.0, 0.0, math.pi / 4, math.pi / 2],
    "erf": [-1.0, -math.erf(1), -0.0, 0.0, math.erf(1), 1.0],
    "erfc": [2.0, 1 + math.erf(1), 1.0, 1.0, math.erfc(1), 0.0],
    "lgamma": [INF, INF, INF, INF, 0.0, INF],
    "digamma": [NAN, NAN, INF, -INF, -0.5772156649015329, INF],
    "rsqrt": [NAN, NAN, -INF, INF, 1.0, 0.0],
    "reciprocal": [-0.0, -1.0, -INF, INF, 1.0, 0.0],
}


def test_every_function_has_its_special_values() -> None:
    assert sorted(SPECIAL) == UNARY


@pytest.mark.parametrize("dtype", [float32, float64])
@pytest.mark.parametrize("name", UNARY)
def test_special_values(name: str, dtype: DType) -> None:
    found = computed(name, dtype, [-INF, -1.0, -0.0, 0.0, 1.0, INF, NAN])
    expected = np.array([*SPECIAL[name], NAN], dtype.numpy)
    np.testing.assert_allclose(found, expected, rtol=float(np.finfo(dtype.numpy).eps) * 2)
    zeros = expected == 0
    assert np.array_equal(np.signbit(found[zeros]), np.signbit(expected[zeros]))


def python_pow(x: float, y: float) -> float:
    """C99's pow; Python's raises where C answers infinity or NaN."""
    if x == 0 and y < 0:
        return math.copysign(INF, x) if y % 2 == 1 else INF
    try:
        return math.pow(x, y)
    except ValueError:
        return NAN
    except OverflowError:
        return -INF if x < 0 and y % 2 == 1 else INF


NUMBERS = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 1e30, 16777215.0, 2.0**53, INF]
SIGNED = [*NUMBERS, *(-v for v in NUMBERS), NAN]


@pytest.mark.parametrize("dtype", [float32, float64])
@pytest.mark.parametrize(("name", "reference"), [("pow", python_pow), ("atan2", math.atan2), ("hypot", math.hypot)])
def test_special_pairs(name: str, reference: Callable[[float, float], float], dtype: DType) -> None:
    pairs = [(np.float64(dtype.numpy.type(x)), y) for x, y in itertools.product(SIGNED, SIGNED)]
    found = computed(name, dtype, [x for x, _ in pairs], [y for _, y in pairs])
    with np.errstate(all="ignore"):
        expected = np.array([reference(float(x), y) for x, y in pairs]).astype(dtype.numpy)
    np.testing.assert_allclose(found, expected, rtol=float(np.finfo(dtype.numpy).eps) * 2)
    numbers = ~np.isnan(expected)
    assert np.array_equal(np.signbit(found[numbers]), np.signbit(expected[numbers]))


def test_exp_reaches_the_ends_of_the_range() -> None:
    for dtype in (float32, float64):
        limits = np.finfo(dtype.numpy)
        top, bottom = math.log(float(limits.max)), math.log(float(limits.smallest_subnormal))
        found = computed("exp", dtype, [top * (1 - 1e-6), top + 0.1, bottom + 0.1, bottom - 1])
        assert np.isfinite(found[0])
        assert found[1] == INF
        assert found[2] == limits.smallest_subnormal
        assert found[3] == 0


def test_logarithms_of_powers_are_exact() -> None:
    for dtype in (float32, float64):
        exponents = np.arange(-120.0, 121.0)
        assert np.array_equal(computed("log2", dtype, list(2.0**exponents)), exponents.astype(dtype.numpy))
        assert np.array_equal(computed("exp2", dtype, list(exponents)), (2.0**exponents).astype(dtype.numpy))


def test_angles_next_to_multiples_of_a_quarter_turn() -> None:
    """The float64 and the float32 that come nearest to a multiple of pi/2: what is left is 2^-61 and 2^-30."""
    x = 6381956970095103 * 2.0**797
    with mpmath.workdps(400):
        assert distance_in_ulps(computed("cos", float64, [x])[0], mpmath.cos(mpmath.mpf(x)), float64) < 1
        x = 16367173 * 2.0**72
        assert distance_in_ulps(computed("cos", float32, [x])[0], mpmath.cos(mpmath.mpf(x)), float32) < 1
