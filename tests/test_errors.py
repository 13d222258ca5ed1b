"""The wording of messages."""

from __future__ import annotations

import numpy as np

from pellucid import dtypes
from pellucid.errors import describe, shape_text, tensor_text


def test_texts() -> None:
    assert [shape_text(shape) for shape in ((2, 3), [2], ())] == ["(2, 3)", "(2,)", "()"]
    assert tensor_text(dtypes.float32, (2, 3)) == "float32 (2, 3)"


def test_describe() -> None:
    text = describe("gather", "dim must be below 2", {"input": np.zeros((2, 3)), "dim": 5}, "Use dim=1.")
    assert text == "gather(): dim must be below 2; got input: float64 (2, 3), dim: 5. Use dim=1."
    assert describe("cat", "needs at least one tensor", {}) == "cat(): needs at least one tensor"
