"""From the number of a cell to its coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from pellucid.dtypes import int64
from pellucid.operators.arguments import require_tensor
from pellucid.operators.define import public
from pellucid.operators.literals import tensor
from pellucid.tensor import Tensor


@public
def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """The coordinates, a tensor for each dimension of ``shape``, of cells that are counted row by row.

        out[d] = indices // (shape[d+1] * shape[d+2] * ...) mod shape[d]

    Raises:
        TypeError: numbers that are not integers. ValueError: a negative size.
    """
    numbers: Any = require_tensor("unravel_index", indices, "indices")
    if numbers.dtype.is_floating_point or numbers.dtype.is_complex or numbers.dtype.name == "bool":
        raise TypeError(f"unravel_index(): expected 'indices' to be integer dtype, but got {numbers.dtype}; use .long()")
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    for n in sizes:
        if not hasattr(n, "__index__"):
            raise TypeError(f"unravel_index(): expected 'shape' sequence to only contain ints, but got {type(n)}")
    if any(n < 0 for n in sizes):
        raise ValueError(f"unravel_index(): 'shape' cannot have negative values, but got {sizes}")
    rows: Any = tensor([prod(sizes[d + 1 :]) for d in range(len(sizes))], dtype=int64)
    return (numbers.unsqueeze(-1).div(rows, rounding_mode="floor") % tensor(sizes, dtype=int64)).unbind(-1)
