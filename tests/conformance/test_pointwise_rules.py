"""Short expressions in both libraries: promotion, overflow, special values, errors, names of graph nodes."""

import numpy as np
import pytest
import torch

import pellucid
from tests.conformance.opdb import Mismatch, agree, attempt, compare, to_pellucid

VALUES = {
    "u8": torch.tensor([1, 2], dtype=torch.uint8),
    "i8": torch.tensor([1, 2], dtype=torch.int8),
    "i": torch.tensor([1, 2]),
    "n": torch.tensor([-7, 7]),
    "f": torch.tensor([1.5, -2.0]),
    "d": torch.tensor([1.5, -2.0], dtype=torch.float64),
    "h": torch.tensor([0.1, 0.2], dtype=torch.bfloat16),
    "e": torch.tensor([0.1, 0.2], dtype=torch.float16),
    "b": torch.tensor([True, False]),
    "c": torch.tensor([1 + 2j, 3.0]),
    "s": torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e30, -1e-40]),
    "f0": torch.tensor(1.5),
    "d0": torch.tensor(1.5, dtype=torch.float64),
    "i0": torch.tensor(300),
    "one": torch.tensor([1.0]),
}
RESULTS = """
u8+300 | u8*300 | u8<300 | u8==300 | u8-(-1) | i-True | True-i | f-True | i-b | b-f | T.sub(f, True) | i8+200
i8<200 | u8+2**40 | u8+i0 | u8+i | i+True | f*True | f**True | i//0 | i%0 | i/0 | i//i8 | f//0 | n//2 | n//-2
n%3 | n%-3 | f%2 | f//0.1 | n/2 | 7//n | 7%n | 2.5//f | T.fmod(n, 3) | i**-1 | i**T.neg(i) | 2**i | 2.5**i
(-2)**i | i**0.5 | i**2.0 | b**2 | b**b | f**2 | f**0.5 | f**f | f**3 | 2**f | i**i | f**-1 | f**0 | h**2 | i**0
c**2 | c**c | (1j)**f | f**1j | T.pow(2, 2) | T.pow(2, f) | u8**u8 | i8**7 | f**'a' | b+b | b+1 | b*b | b-b | b-1
1-b | -b | +b | ~b | ~f | ~u8 | ~i | f&1 | b&1 | b&True | i&1.5 | b|b | b^True | 3^i | i<<2 | f<<2 | b<<1 | i<<f
i>>70 | i<<70 | i<<-1 | i8<<10 | n>>1 | n>>70 | 1<<i | 300>>u8 | abs(b) | abs(u8) | abs(n) | abs(c) | T.sign(b)
T.sign(c) | T.sgn(c) | T.floor(c) | T.floor(i) | T.floor(b) | T.round(b) | T.round(i) | T.round(f)
T.round(f, decimals=1) | T.round(i, decimals=1) | T.round(f*100, decimals=-1) | T.frac(i) | T.trunc(i)
T.square(b) | T.square(i) | T.reciprocal(i) | T.relu(b) | T.relu(i) | T.relu(c) | T.relu(s) | T.sqrt(u8)
T.clamp(f) | T.clamp(f, 1, f0) | T.clamp(i, 0.5) | T.clamp(i, 0, 1.5) | T.clamp(b, 0, 1) | T.clamp(c, 0, 1)
T.clamp(f, 2, 1) | T.clamp(f, float('nan'), 1) | T.clamp(s, -1, 1) | T.clamp(f, 'a') | T.clamp(f, i)
T.clamp(f, None, i) | T.clamp_min(i, 1.5) | T.clamp_min(b, True) | T.clip(b, True) | T.clamp(f, i, 2)
f.clamp(min=0) | f.clamp(max=0) | i.clamp(max=1) | T.maximum(b, b) | T.maximum(c, c) | T.maximum(f, 1)
T.fmax(i, f) | T.fmax(s, one) | T.maximum(s, one) | T.minimum(f, i) | T.atan2(i, i) | T.atan2(b, b)
T.atan2(f, 1) | T.hypot(i, i) | T.hypot(f, f) | T.logical_and(f, c) | T.logical_not(f) | T.logical_and(f, 1)
T.logical_xor(i, f) | T.xlogy(i, 2) | T.xlogy(2, i) | T.xlogy(0, s) | T.heaviside(f, i) | T.heaviside(s, one)
T.gcd(f, f) | T.gcd(i, i8) | T.lcm(n, i) | T.lerp(f, f, 2) | T.lerp(f, i, 0.5) | T.lerp(i, i, 1)
T.addcmul(i, i, i, value=0.5) | T.addcmul(i, i, i, value=2) | T.addcdiv(i, i, i) | T.addcdiv(f, i, i)
T.addcdiv(f, f, i) | T.add(i, i, alpha=0.5) | T.add(b, b, alpha=True) | T.add(i, i, alpha=True)
T.add(b, b, alpha=2) | T.add(f, f, alpha=2) | T.add(f, 2, alpha=3) | T.add(2, f) | T.add(2, f, alpha=2)
T.mul(2, f) | T.sub(2, f) | T.rsub(f, 2) | T.rsub(f, 2, alpha=3) | T.add(f, f, alpha=1j) | T.add(f, f, alpha='a')
T.sub(f, f, alpha=True) | T.add(f, 'a') | T.add(f, None) | T.add('a', f) | T.div(f, 2, rounding_mode='x')
T.div(i, 2, rounding_mode='trunc') | T.div(i, 0, rounding_mode='trunc') | T.div(2, f)
T.div(n, 2, rounding_mode='floor') | T.div(b, b) | T.div(b, b, rounding_mode='floor') | T.floor_divide(b, b) | b%b
b//True | T.remainder(5, i) | T.remainder(5.5, i) | T.remainder(2, 3) | T.fmod(i, 0) | T.fmod(b, b) | T.fmod(2, f)
T.float_power(i, 2) | T.float_power(f, 2) | T.float_power(c, 2) | T.bitwise_and(1, i) | T.bitwise_and(1, 1)
T.bitwise_left_shift(1, i) | T.bitwise_not(f) | T.eq(f, 1j) | T.eq(f, 'a') | T.eq(2, f) | f=='a' | f==None
f!=None | f<'a' | f+'a' | f+None | f+[1, 2] | f<1j | c<c | c==c | c==1+2j | f+np.float64(2) | f*np.float32(2)
i*np.float64(2) | i+np.int8(3) | T.add(f, np.float32(2)) | f+1j | i+1j | d+1j | h+1j | c+1j | c*f | c*d | c/2
f+d0 | i+d0 | i+f0 | h+f | h+e | h*0.1 | h==0.1 | h<0.1 | h+d0 | e/3 | T.where(b, 1, 2) | T.where(b, 1.5, 2)
T.where(b, f, 2) | T.where(b, i, 2.5) | T.where(i, f, f) | T.where(u8, f, f) | T.where(b, 1, i) | T.where(b, f, h)
T.where(b, f, d0) | f.where(b, i) | T.where(b, f, 1j) | T.where(b, 'a', f) | T.masked_fill(f, b, 2)
T.masked_fill(i, b, 2.5) | T.masked_fill(f, i, 2) | T.masked_fill(f, b, one) | T.masked_fill(f, b, i0)
T.masked_fill(i, b, f0) | T.masked_fill(f[0], b, 2) | T.nan_to_num(i) | T.nan_to_num(s) | T.nan_to_num(s, 1, 2, 3)
T.isposinf(c) | T.isinf(i) | T.isreal(c) | T.isclose(i, f) | T.isclose(f, f, rtol=-1) | T.isclose(s, s)
T.isfinite(s) | T.isclose(s, s, equal_nan=True) | T.isnan(s) | T.isinf(s) | T.signbit(s) | T.signbit(b)
T.sign(s) | T.sgn(s) | T.equal(i, i) | T.equal(i, f) | T.equal(i, one) | T.allclose(f, f+1e-9) | T.copysign(i, -1)
T.copysign(f, -0.0) | T.copysign(one, s) | T.logaddexp(i, i) | T.logaddexp(s, one) | T.logaddexp2(f, f)
T.angle(f) | T.angle(i) | T.angle(c) | T.angle(s) | T.conj(f) | T.deg2rad(i) | T.rad2deg(f) | T.logit(f, eps=0.1)
T.logit(i) | T.exp(c) | T.exp(2) | T.erf(c) | T.exp() | T.positive(b) | T.floor(s) | T.round(s) | T.trunc(s)
T.ceil(s) | T.exp(s) | T.log(s) | T.sqrt(s) | T.rsqrt(s) | T.tanh(s) | T.sigmoid(s) | s*0 | s+s | s-s | s/0 | s//2
s%2 | s**2 | s**0 | T.square(s) | T.abs(s) | T.neg(s) | T.log1p(s) | T.expm1(s) | T.atan(s) | f.__radd__('a')
f.__eq__('a') | f.__rsub__(1) | f.__rdiv__(2) | f.__rpow__(2) | f.__rfloordiv__(2) | f.__rmod__(2)
f.__invert__() | f.clone().add_(1j) | i.clone().add_(1.5) | i.clone().div_(2) | u8.clone().add_(i)
f.clone().eq_(f) | i.clone().exp_() | f.clone().logical_and_(b) | i.clone().pow_(0.5) | i.clone().pow_(2)
f.clone().mul_(d) | f.clone().add_(d0) | c.clone().abs_() | f.clone().sub_(i, alpha=2) | i.clone().sub_(b)
b.clone().sub_(b) | f.expand(2, 2).add_(1) | one.clone().add_(f) | T.exp(f, out=T.empty(2, dtype=T.float64))
T.exp(i, out=T.empty(2, dtype=T.int64)) | T.exp(f, out=3) | T.exp(f, out=T.empty(0))
T.add(f, i, out=T.empty(2, dtype=T.float16)) | T.eq(f, f, out=T.empty(2)) | T.complex(f, f) | T.complex(f, d)
T.complex(i, i) | f.true_divide(2) | f.divide(2, rounding_mode='floor') | f.multiply(2) | f.subtract(1, alpha=2)
f.negative() | f.absolute() | f.greater(0) | f.less_equal(0) | f.not_equal(1.5) | f.arctan2(f) | f.clip(0)
f.fix() | T.arccosh(one) | f.float_power(2) | divmod(f, 2) | f.equal(f) | abs(-f) | T.exp_(f.clone())
T.relu_(f.clone()) | T.clamp_(f.clone(), 0) | T.nan_to_num_(s.clone())
"""
GRAPHS = """
x+y | x+1 | 1-x | x-y | x*2 | x/y | x/2 | x//y | T.div(x, y, rounding_mode='trunc')
T.div(x, 2, rounding_mode='trunc') | x%y | x%2 | T.fmod(x, 2) | T.fmod(x, y) | x**2 | x**y | 2**x | x**3 | x**0.5
x**-1.5 | T.clamp(x, 0, 1) | T.clamp(x, 0) | T.clamp(x, y) | T.clamp_min(x, 0) | T.clamp_min(x, y)
T.clamp_max(x, 0) | T.where(x > 0, x, y) | x.masked_fill(y > 0, 1) | x.masked_fill(y > 0, y[0])
T.lerp(x, y, 0.5) | T.lerp(x, y, y) | T.round(x) | T.round(x, decimals=1) | T.square(x) | T.logit(x*0.5)
T.xlogy(x, 2) | T.xlogy(2, x) | T.xlogy(x, y) | T.copysign(x, 1) | T.copysign(x, y) | T.ldexp(x, y) | -x
T.float_power(x, y) | T.true_divide(x, y) | T.deg2rad(x) | T.heaviside(x, y) | T.rsub(x, y) | abs(x) | x.sgn()
x.sign() | T.nan_to_num(x) | T.exp(x) | T.log1p(x) | T.rsqrt(x) | T.atan2(x, y) | T.hypot(x, y) | T.maximum(x, y)
T.fmin(x, y) | T.addcmul(x, y, y) | T.addcdiv(x, y, y) | T.relu(x) | T.sigmoid(x) | T.selu(x) | T.celu(x)
T.erfc(x) | T.floor(x) | T.frac(x) | T.logaddexp(x, y) | T.prelu(x, y[:1]) | T.hardshrink(x) | T.complex(x, y)
T.polar(x, y) | T.angle(x) | T.sinc(x) | x.mul_(y) | x.add_(y) | x.exp_() | x.sigmoid_() | x.sin_() | x.pow_(2)
x.clamp_(0, 1) | x.copysign_(y) | x.div_(y)
"""


def listed(text: str) -> list[str]:
    return [e.strip() for line in text.strip().splitlines() for e in line.split(" | ")]


@pytest.mark.parametrize("expression", listed(RESULTS))
def test_result_is_pytorchs(expression: str) -> None:
    theirs = attempt(lambda: eval(expression, {"T": torch, "np": np, **{k: v.clone() for k, v in VALUES.items()}}))
    values = {k: to_pellucid(v) for k, v in VALUES.items()}
    ours = attempt(lambda: eval(expression, {"T": pellucid, "np": np, **values}))
    if agree(theirs, ours):
        if theirs[0] is NotImplemented:
            assert ours[0] is NotImplemented
        else:
            compare(ours[0], theirs[0])


@pytest.mark.parametrize("expression", listed(GRAPHS))
def test_graph_node_and_gradient_are_pytorchs(expression: str) -> None:
    """The name of the node, and both gradients after a backward pass through it."""
    leaves = [torch.tensor([0.5, 1.0], requires_grad=True), torch.tensor([0.5, 0.25], requires_grad=True)]
    mine = [to_pellucid(t) for t in leaves]
    one, other = torch.tensor([1.0, 1.0]), to_pellucid(torch.tensor([1.0, 1.0]))

    def run(library, x, y, ones):  # type: ignore[no-untyped-def]
        # The product keeps in-place writes away from leaves.
        result = eval(expression, {"T": library, "x": x * ones, "y": y * ones})
        total = (result.real + result.imag if result.dtype.is_complex else result).sum()
        name = result.grad_fn.name()
        total.backward()
        return name, x.grad, y.grad

    theirs = attempt(lambda: run(torch, *leaves, one))
    ours = attempt(lambda: run(pellucid, *mine, other))
    if not agree(theirs, ours):
        return
    if ours[0][0] != theirs[0][0]:
        raise Mismatch(f"grad_fn {ours[0][0]}, PyTorch {theirs[0][0]}")
    for k in (1, 2):
        if theirs[0][k] is None or ours[0][k] is None:
            assert theirs[0][k] is ours[0][k]
        else:
            compare(ours[0][k], theirs[0][k], what=f"gradient {k}")
