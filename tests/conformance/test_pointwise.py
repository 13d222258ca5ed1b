"""Pointwise operators against PyTorch."""

from typing import Any

import pytest

from tests.conformance.opdb import VARIANTS, check

ARITHMETIC = """
add sub mul div true_divide floor_divide remainder fmod pow float_power rsub neg positive abs sign sgn signbit square
__radd__ __rsub__ __rmul__ __rdiv__ __rmod__ __rpow__ addcmul addcdiv lerp
"""
COMPARISON = """
eq ne lt le gt ge equal isnan isinf isfinite isposinf isneginf isreal isclose allclose
logical_and logical_or logical_xor logical_not
"""
BITS = """
bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift __rand__ __ror__ __rxor__ gcd lcm
"""
SELECTING = "maximum minimum fmax fmin clamp clamp_min clamp_max where masked_fill heaviside copysign nan_to_num"
FUNCTIONS = """
sqrt rsqrt reciprocal exp exp2 expm1 log log2 log10 log1p sigmoid erf erfc sin cos tan asin acos atan sinh cosh tanh
asinh acosh atanh atan2 hypot deg2rad rad2deg sinc logaddexp logaddexp2 xlogy ldexp logit floor ceil trunc frac round
erfinv lgamma digamma mvlgamma nextafter frexp
angle conj conj_physical resolve_conj resolve_neg complex polar real imag
"""
ACTIVATIONS = """
nn.functional.relu nn.functional.leaky_relu nn.functional.prelu nn.functional.hardtanh nn.functional.relu6
nn.functional.threshold nn.functional.hardsigmoid nn.functional.hardswish nn.functional.hardshrink
nn.functional.softshrink nn.functional.elu nn.functional.selu nn.functional.celu nn.functional.softplus
nn.functional.logsigmoid nn.functional.silu nn.functional.mish nn.functional.gelu nn.functional.softsign
nn.functional.tanhshrink
"""


REAL = ("float32", "float64", "bfloat16", "int64", "bool")
DTYPES = (*REAL, "complex64")
# Methods, in-place forms and `out=` are made for all operators alike: every form is tried with some of them.
IN_EVERY_FORM = [
    "add", "sub", "div", "pow", "abs", "exp", "relu", "clamp", "lt", "logical_not", "masked_fill",
    "addcmul", "nn.functional.gelu",
]  # fmt: skip
WITHOUT_OUT = ("function", "method", "inplace", "gradient", "gradgrad", "error")
OPTIONS: dict[str, dict[str, Any]] = {
    # No gradient flows through a step from number to number.
    "nextafter": {"variants": ("function", "method")},
    # Complex powers are computed in double precision here; PyTorch's own are good to some 1e-5.
    "pow": {"scale": 16},
    "__rpow__": {"scale": 16},
    # PyTorch's conjugate is a view that is resolved later; here it is computed at once.
    "conj": {"dtypes": REAL},
    # PyTorch leaves an `out` that is not contiguous as it was.
    "nn.functional.gelu": {"variants": WITHOUT_OUT},
    # PyTorch rounds to bfloat16 after every step.
    "logit": {"dtypes": ("float32", "float64", "int64")},
}


@pytest.mark.parametrize("name", (ARITHMETIC + COMPARISON + BITS + SELECTING + FUNCTIONS + ACTIVATIONS).split())
def test_matches_pytorch(name: str) -> None:
    variants = VARIANTS if name in IN_EVERY_FORM else ("function", "gradient", "error")
    if name.startswith("__r"):  # called as functions, with numbers in front, they are nobody's
        variants = ("function", "gradient")
    check(name, **({"dtypes": DTYPES, "variants": variants, "most": 6} | OPTIONS.get(name, {})))
