"""Sums, means and maxima over the rows of a table that bags of numbers name.

    embedding_bag, sum     out[b, k] = sum of weight[input[p], k] over the places p of bag b
"""

from __future__ import annotations

from typing import Any
from warnings import warn

from pellucid.dtypes import int32, int64
from pellucid.errors import shape_text
from pellucid.operators.arguments import require_tensor
from pellucid.operators.creation import zeros
from pellucid.operators.embedding import embedding
from pellucid.operators.searching import searchsorted
from pellucid.operators.sequences import arange
from pellucid.tensor import Tensor

_MODES = ("sum", "mean", "max")


def embedding_bag(
    input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None, norm_type: float = 2,
    scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
    per_sample_weights: Tensor | None = None, include_last_offset: bool = False, padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    """The sum, mean or maximum of the rows ``weight[input]`` in each bag; an empty bag gives zeros.

    Args:
        input: row numbers; a matrix has a bag in each row, a vector has bag b from ``offsets[b]`` to ``offsets[b + 1]``.
        per_sample_weights: a factor for every number, of the input's shape (for sums).
        include_last_offset: the last offset is the end of the last bag.
        padding_idx: this row takes no part.

    The other arguments are those of `embedding`.

    Raises:
        ValueError: offsets for a matrix, none for a vector, shapes that do not fit, an unknown mode.
        RuntimeError: offsets that do not begin with 0 or do not rise, a row that does not exist.
        NotImplementedError: ``per_sample_weights`` for anything but sums.
    """
    x: Any = require_tensor("embedding_bag", input)
    table: Any = require_tensor("embedding_bag", weight, "weight", 2)
    if table.dtype is int64 and x.dtype.is_floating_point:
        warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, input, ...)` is "
            "deprecated, and should now be `embedding_bag(input, weight, ...)`.",
            UserWarning,
            stacklevel=2,
        )
        x, table = table, x
    if mode not in _MODES:
        raise ValueError(f"embedding_bag(): mode has to be one of sum, mean or max, not {mode!r}")
    factors: Any = per_sample_weights
    _check_factors(x, factors, mode)
    numbers, bag, count = _bags(x, offsets, include_last_offset)
    rows = table.shape[0]
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise RuntimeError(
            f"embedding_bag(): padding_idx must be within the number of embeddings, {-rows} through {rows - 1}, but got "
            f"{padding_idx}"
        )
    if numbers.numel() and not 0 <= int(numbers.min()) <= int(numbers.max()) < rows:
        raise RuntimeError(
            f"embedding_bag(): input takes values from {int(numbers.min())} to {int(numbers.max())}, and the valid range "
            f"is [0, {rows})"
        )
    if factors is not None:
        factors = factors.reshape(-1)[: len(numbers)]
    if padding_idx is not None:
        kept = numbers != padding_idx % rows
        numbers, bag, factors = numbers[kept], bag[kept], None if factors is None else factors[kept]
    cells: Any = embedding(numbers, table, None, max_norm, norm_type, scale_grad_by_freq, sparse)
    if factors is not None:
        cells = cells * factors.unsqueeze(1)
    return _merged(cells, bag, count, mode)


def _merged(cells: Any, bag: Any, count: int, mode: str) -> Any:
    totals: Any = zeros(count, cells.shape[1], dtype=cells.dtype)
    if mode == "max":
        return totals.scatter_reduce(0, bag.unsqueeze(1).expand_as(cells), cells, "amax", include_self=False)
    totals = totals.index_add(0, bag, cells)
    if mode == "sum":
        return totals
    return totals / bag.bincount(minlength=count).clamp(min=1).unsqueeze(1).to(cells.dtype)


def _check_factors(x: Any, factors: Any, mode: str) -> None:
    if factors is None:
        return
    if factors.shape != x.shape:
        raise ValueError(
            f"embedding_bag(): If per_sample_weights ({factors.shape}) is not None, then it must have the same shape as "
            f"the input ({x.shape})"
        )
    if mode != "sum":
        raise NotImplementedError(
            f"embedding_bag(): per_sample_weights is only supported for mode='sum' (got mode={mode!r})"
        )


def _bags(x: Any, offsets: Any, include_last_offset: bool) -> tuple[Any, Any, int]:
    """(row numbers in a vector, the bag of each, how many bags there are)."""
    if x.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "embedding_bag(): if input is 2D, then offsets has to be None, as input is treated is a mini-batch of "
                f"fixed length sequences. However, found offsets of type {type(offsets)}"
            )
        count, length = x.shape
        return x.reshape(-1), arange(count).repeat_interleave(length), count
    if x.ndim != 1:
        raise ValueError(f"embedding_bag(): input has to be 1D or 2D Tensor, but got Tensor of dimension {x.ndim}")
    if not isinstance(offsets, Tensor) or offsets.ndim != 1:
        met = shape_text(offsets.shape) if isinstance(offsets, Tensor) else offsets
        raise ValueError(f"embedding_bag(): offsets has to be a 1D Tensor but got {met}: where each bag begins")
    starts: Any = offsets
    if starts.dtype not in (int32, int64):
        raise RuntimeError(f"embedding_bag(): offsets must be int32 or int64, not {starts.dtype!r}; use .long()")
    places = starts.tolist()
    if places and places[0] != 0:
        raise RuntimeError(
            "embedding_bag(): offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from "
            f"position 0. However, got {places[0]}"
        )
    if places != sorted(places) or (places and places[-1] > len(x)):
        raise RuntimeError(
            f"embedding_bag(): offsets must rise and can not be greater than input's length {len(x)}, but got {places}"
        )
    if include_last_offset and places:
        x, starts = x[: places[-1]], starts[:-1]
    if not places:
        x = x[:0]
    before: Any = searchsorted(starts.long(), arange(len(x)), right=True)  # how many bags have begun at each place
    return x, before - 1, len(starts)
