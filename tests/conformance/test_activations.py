"""Activation functions against PyTorch."""

from typing import Any

import pytest

from tests.conformance.opdb import VARIANTS, check

ACTIVATIONS = """
nn.functional.relu nn.functional.leaky_relu nn.functional.prelu nn.functional.hardtanh nn.functional.relu6
nn.functional.threshold nn.functional.hardsigmoid nn.functional.hardswish nn.functional.hardshrink
nn.functional.softshrink nn.functional.elu nn.functional.selu nn.functional.celu nn.functional.softplus
nn.functional.logsigmoid nn.functional.silu nn.functional.mish nn.functional.gelu nn.functional.softsign
nn.functional.tanhshrink
"""
OPTIONS: dict[str, dict[str, Any]] = {
    # PyTorch leaves an `out` that is not contiguous as it was.
    "nn.functional.gelu": {"variants": ("function", "gradient", "gradgrad", "error")},
}


@pytest.mark.parametrize("name", ACTIVATIONS.split())
def test_matches_pytorch(name: str) -> None:
    options = {"dtypes": ("float32", "float64", "bfloat16", "int64", "bool"), "variants": VARIANTS, "most": 4}
    check(name, **(options | OPTIONS.get(name, {})))
