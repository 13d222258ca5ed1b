"""Arithmetic, comparisons, bits and choices against PyTorch."""

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
# Methods, in-place forms and `out=` are made for all operators alike: every form is tried with some of them.
IN_EVERY_FORM = ["add", "div", "abs", "clamp", "lt", "logical_not", "masked_fill", "addcmul"]
OPTIONS: dict[str, dict[str, Any]] = {
    # Complex powers are computed in double precision here; PyTorch's own are good to some 1e-5.
    "pow": {"scale": 16},
    "__rpow__": {"scale": 16},
}


@pytest.mark.parametrize("name", (ARITHMETIC + COMPARISON + BITS + SELECTING).split())
def test_matches_pytorch(name: str) -> None:
    variants = VARIANTS if name in IN_EVERY_FORM else ("function", "gradient", "error")
    if name.startswith("__r"):  # called as functions, with numbers in front, they are nobody's
        variants = ("function", "gradient")
    dtypes = ("float32", "float64", "bfloat16", "int64", "bool", "complex64")
    check(name, **({"dtypes": dtypes, "variants": variants, "most": 4} | OPTIONS.get(name, {})))
