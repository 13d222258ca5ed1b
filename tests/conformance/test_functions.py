"""Elementary and special functions against PyTorch."""

from typing import Any

import pytest

from tests.conformance.opdb import check

FUNCTIONS = """
sqrt rsqrt reciprocal exp exp2 expm1 log log2 log10 log1p sigmoid erf erfc sin cos tan asin acos atan sinh cosh tanh
asinh acosh atanh atan2 hypot deg2rad rad2deg sinc logaddexp logaddexp2 xlogy ldexp logit floor ceil trunc frac round
erfinv lgamma digamma mvlgamma nextafter frexp
angle conj conj_physical resolve_conj resolve_neg complex polar real imag
"""
SPECIAL = "special.entr special.ndtr special.ndtri special.xlog1py"
REAL = ("float32", "float64", "bfloat16", "int64", "bool")
OPTIONS: dict[str, dict[str, Any]] = {
    # PyTorch's conjugate is a view that is resolved later; here it is computed at once.
    "conj": {"dtypes": REAL},
    # PyTorch rounds to bfloat16 after every step.
    "logit": {"dtypes": ("float32", "float64", "int64")},
    "special.ndtr": {"dtypes": ("float32", "float64", "int64")},
    # No gradient flows through a step from number to number.
    "nextafter": {"variants": ("function", "method")},
}


@pytest.mark.parametrize("name", (FUNCTIONS + SPECIAL).split())
def test_matches_pytorch(name: str) -> None:
    options = {"dtypes": (*REAL, "complex64"), "variants": ("function", "gradient", "error"), "most": 4}
    check(name, **(options | OPTIONS.get(name, {})))
