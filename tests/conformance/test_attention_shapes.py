"""Attention over shapes that do not fit: the same class of error in both libraries."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.test_seeds import both

FIT = ((2, 5, 8), (2, 6, 8), (2, 6, 8))


@pytest.mark.parametrize(
    ("shapes", "masks"),
    [
        (((2, 5, 8), (1, 6, 8), (2, 6, 8)), {}),
        (((2, 5, 8), (2, 3, 8), (2, 6, 8)), {}),
        (((2, 5, 8), (2, 6, 7), (2, 6, 8)), {}),
        (((2, 5, 8), (2, 6, 8), (6, 8)), {}),
        (((5, 8), (2, 6, 8), (2, 6, 8)), {}),
        (((8,), (6, 8), (6, 8)), {}),
        (((2, 5, 7), (2, 6, 7), (2, 6, 7)), {}),
        (((1, 5, 8), (2, 6, 8), (2, 6, 8)), {}),
        (FIT, {"attn_mask": (4, 4)}),
        (FIT, {"attn_mask": (6,)}),
        (FIT, {"attn_mask": (2, 5, 6)}),
        (FIT, {"key_padding_mask": (2, 5)}),
    ],
)
@pytest.mark.parametrize("batch_first", [True, False])
def test_unfit_shapes(shapes: Any, masks: dict[str, tuple[int, ...]], batch_first: bool) -> None:
    def program(T: Any) -> Any:
        net = T.nn.MultiheadAttention(8, 2, batch_first=batch_first)
        given = [T.randn(s if batch_first or len(s) < 3 else (s[1], s[0], s[2])) for s in shapes]
        return net(*given, **{name: T.zeros(shape) for name, shape in masks.items()})[0].shape

    both(program)
