"""Numbers of cells and their coordinates, in both libraries."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.test_seeds import both


@pytest.mark.parametrize(
    ("numbers", "shape"),
    [([5, 3, 0], (2, 3)), (23, (2, 3, 4)), ([[1], [2]], 3), ([1.0], (2, 3)), ([1], (2, -3)), ([1], ("a",)), ([True], (2,))],
)
def test_unravel_index(numbers: Any, shape: Any) -> None:
    both(lambda T: T.unravel_index(T.tensor(numbers), shape))


def test_the_largest_cell() -> None:
    def program(T: Any) -> Any:
        x = T.randn(3, 4, 5)
        place = T.unravel_index(x.argmax(), x.shape)
        return place, x[place] == x.max()

    both(program)
