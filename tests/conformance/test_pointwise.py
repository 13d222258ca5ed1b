"""Pointwise operators against PyTorch."""

import pytest

from tests.conformance.opdb import check

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
angle conj conj_physical resolve_conj resolve_neg complex polar real imag
"""
ACTIVATIONS = """
nn.functional.relu nn.functional.leaky_relu nn.functional.prelu nn.functional.hardtanh nn.functional.relu6
nn.functional.threshold nn.functional.hardsigmoid nn.functional.hardswish nn.functional.hardshrink
nn.functional.softshrink nn.functional.elu nn.functional.selu nn.functional.celu nn.functional.softplus
nn.functional.logsigmoid nn.functional.silu nn.functional.mish nn.functional.gelu nn.functional.softsign
nn.functional.tanhshrink
"""


@pytest.mark.parametrize("name", (ARITHMETIC + COMPARISON + BITS + SELECTING + FUNCTIONS + ACTIVATIONS).split())
def test_matches_pytorch(name: str) -> None:
    check(name)
