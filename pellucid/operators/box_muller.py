"""Normal float32 numbers from uniform ones, to the bit as PyTorch makes them on x86 processors.

Box and Muller: of the uniforms u and v of a block of 16 (the first eight and the last eight),

    R = sqrt(-2 log(1 - u));   out = mean + std * R cos(2 pi v)  and  mean + std * R sin(2 pi v)

Initial weights are such numbers, so the logarithm, sine and cosine here follow the polynomials of the Cephes library
in single precision, operation by operation, with the fused multiply-adds where PyTorch's vectors have them.
"""

from __future__ import annotations

import math

import numpy as np

from pellucid.dtypes import float32, float64, int32
from pellucid.formula.expr import Expr, const, fma, load, maximum, scalar, select, unary
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, dense, layout_of
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.runtime import native
from pellucid.runtime.random_streams import Generator as Stream
from pellucid.tensor import Tensor, array_of, empty_like_layout

BLOCK = 16

_SMALLEST_NORMAL = 2.0**-126
_LOG = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
    2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
_SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_QUARTER_PI = (-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)  # minus pi/4, in three parts


def _f(value: float) -> Expr:
    """A float32 constant."""
    return const(float(np.float32(value)), float32)


def _horner(x: Expr, coefficients: tuple[float, ...]) -> Expr:
    result = _f(coefficients[0])
    for c in coefficients[1:]:
        result = fma(result, x, _f(c))
    return result


def logarithm(x: Expr) -> Expr:
    """``log(x)`` of a positive float32: x = m 2^e with m in [sqrt(1/2), sqrt(2)), a polynomial in m - 1."""
    bits = maximum(x, _f(_SMALLEST_NORMAL)).bitcast(int32)
    exponent = ((bits >> 23) - 127).cast(float32) + _f(1.0)
    m = ((bits & 0x7FFFFF) | 0x3F000000).bitcast(float32)
    low = m < _f(math.sqrt(0.5))
    exponent = exponent - select(low, _f(1.0), _f(0.0))
    m = (m - _f(1.0)) + select(low, m, _f(0.0))
    square = m * m
    y = fma(_horner(m, _LOG) * m, square, exponent * _f(_LN2_LOW))
    y = fma(square, _f(-0.5), y)
    return fma(exponent, _f(_LN2_HIGH), m + y)


def sine_and_cosine(x: Expr) -> tuple[Expr, Expr]:
    """``sin(x)`` and ``cos(x)`` of a float32 in [0, 2 pi): the octant, and polynomials within it."""
    octant = ((x * _f(4 / math.pi)).cast(int32) + 1) & ~1
    turns = octant.cast(float32)
    for part in _QUARTER_PI:
        x = fma(turns, _f(part), x)
    square = x * x
    cosine = fma(_horner(square, _COS) * square, square, -(square * _f(0.5))) + _f(1.0)
    sine = fma(_horner(square, _SIN) * square, x, x)
    zero = const(0, int32)
    swapped = (octant & 2).differs(zero)
    s, c = select(swapped, cosine, sine), select(swapped, sine, cosine)
    s = select((octant & 4).differs(zero), -s, s)
    c = select(((octant - 2) & 4).equals(zero), -c, c)
    return s, c


def _formula() -> Formula:
    """Operands: u and v as (blocks, 8), mean, std. Results: the cosines and the sines."""
    u, v = load(0, float32), load(1, float32)
    mean, std = scalar(2, float64).cast(float32), scalar(3, float64).cast(float32)
    radius = unary("sqrt", _f(-2.0) * logarithm(_f(1.0) - u))
    sine, cosine = sine_and_cosine(_f(2 * math.pi) * v)
    values = (fma(radius * cosine, std, mean), fma(radius * sine, std, mean))
    return Formula("box_muller", 2, tuple(map(Output, values)))


def _block_plan(half: Layout) -> Plan:
    operands = (half, half, float, float)
    return kernel_plan(_formula(), operands, tuple(half.shape), [half, half], in_place=True)


_plans = PlanTable(_block_plan)


def draw_normal(x: Tensor, mean: float, std: float, stream: Stream) -> None:
    """Write numbers of the normal distribution into ``x``, which has any dtype and strides.

    Contiguous float32 cells come in blocks of 16. What is left after whole blocks is drawn for nothing; then the
    last 16 cells are made again.
    """
    layout = x.layout
    count = layout.numel
    if layout.dtype is not float32 or not layout.contiguous or count < BLOCK or not std >= 0:
        stream.normal(array_of(x), mean, std)
        return
    rest = count % BLOCK
    _fill_blocks(x, x.ptr, count // BLOCK, mean, std, stream)
    if rest:
        stream.uniform(np.empty(rest, np.float32))
        _fill_blocks(x, x.ptr + (count - BLOCK) * x.layout.dtype.itemsize, 1, mean, std, stream)


def _fill_blocks(x: Tensor, address: int, blocks: int, mean: float, std: float, stream: Stream) -> None:
    uniforms = empty_like_layout(dense((blocks * BLOCK,), float32))
    stream.unit(uniforms.ptr, blocks * BLOCK, double=False)
    half = layout_of((blocks, BLOCK // 2), (BLOCK, 1), float32)
    further = BLOCK // 2 * float32.itemsize
    results = [native.new_tensor(half, x.storage, address + at) for at in (0, further)]
    operands = [native.new_tensor(half, uniforms.storage, uniforms.ptr + at) for at in (0, further)]
    _plans[half](*results, *operands, mean, std)
