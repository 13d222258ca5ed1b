"""Segments of a dimension, each folded to one cell.

    segment_reduce, lengths (2, 3)     out[0] = fold(data[0:2]),   out[1] = fold(data[2:5])
"""

from __future__ import annotations

from typing import Any

from pellucid.dtypes import int32, int64
from pellucid.operators.arguments import require_tensor
from pellucid.operators.creation import full, zeros
from pellucid.operators.define import public, wrap_dim
from pellucid.operators.selecting import where
from pellucid.operators.sequences import arange
from pellucid.tensor import Tensor

# Before a fold begins there is:
_STARTS = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "max": float("-inf"), "min": float("inf")}


@public
def segment_reduce(
    data: Tensor, reduce: str, *, lengths: Tensor | None = None, indices: Tensor | None = None,
    offsets: Tensor | None = None, axis: int = 0, unsafe: bool = False, initial: float | None = None,
) -> Tensor:  # fmt: skip
    """Segments that follow on each other along ``axis``, each folded by "sum", "mean", "prod", "max" or "min".

    Args:
        lengths: how long the segments are; dimensions before the last are those of the data before ``axis``.
        offsets: where they begin, and where the last one ends, instead.
        unsafe: the segments need not use up the data.
        initial: what folds begin with. Without it an empty segment gives 0, NaN (mean), 1, -inf (max) or inf.

    Raises:
        RuntimeError: lengths that are negative or do not add up, neither lengths nor offsets, an unknown fold.
        NotImplementedError: data that are not floating point.
    """
    x: Any = require_tensor("segment_reduce", data, "data")
    reduce = {"amax": "max", "amin": "min"}.get(reduce, reduce)
    if reduce not in _STARTS:
        raise RuntimeError(f"segment_reduce(): reduce argument must be one of {', '.join(_STARTS)}, got {reduce}")
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet; use index_reduce")
    if not x.dtype.is_floating_point:
        raise NotImplementedError(f"\"_segment_reduce_cpu\" not implemented for '{x.dtype.scalar_name}'; use .float()")
    begins, sizes = _segments(x, lengths, offsets, axis, unsafe)
    return _folded(x, reduce, begins, sizes, initial)


def _segments(x: Any, lengths: Any, offsets: Any, axis: int, unsafe: bool) -> tuple[Any, Any]:
    """Where the segments begin and how long they are."""
    given = lengths if offsets is None else offsets
    if given is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if require_tensor("segment_reduce", given, "lengths").layout.dtype not in (int64, int32):
        raise NotImplementedError(f"segment_reduce(): lengths and offsets are int64 or int32, got {given.dtype!r}")
    d = wrap_dim("segment_reduce", axis, x.ndim)
    if given.ndim > x.ndim or given.ndim != d + 1 or given.shape[:d] != x.shape[:d]:
        raise RuntimeError(
            f"segment_reduce(): Expected axis to be the last dimension of lengths but got {axis}: lengths have shape "
            f"{list(given.shape)}, the data {list(x.shape)}; all dimensions before axis must be the same"
        )
    given = given.to(int64)
    if offsets is not None:
        begins, sizes = given[..., :-1], given.diff()
    else:
        begins, sizes = given.cumsum(-1) - given, given
        if not unsafe and bool((given.sum(-1) != x.shape[d]).any()):
            raise RuntimeError(
                "segment_reduce(): Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when "
                f"!unsafe: they sum to {given.sum(-1).tolist()}, dimension {d} has {x.shape[d]} cells"
            )
    if bool((sizes < 0).any()):
        raise RuntimeError("segment_reduce(): lengths contains negative value!")
    if bool(((begins < 0) | (begins + sizes > x.shape[d])).any()):
        raise RuntimeError(f"segment_reduce(): segments lie outside of the {x.shape[d]} cells of dimension {d}")
    return begins, sizes


def _folded(x: Any, reduce: str, begins: Any, sizes: Any, initial: float | None) -> Any:
    d = sizes.ndim - 1
    rest = x.shape[d + 1 :]
    rows, counts = x.reshape(-1, *rest) if x.numel() else x.new_zeros(0, *rest), sizes.reshape(-1)
    owner = arange(counts.numel()).repeat_interleave(counts)
    within = arange(owner.numel()) - (counts.cumsum(0) - counts)[owner]
    first = (begins + arange(begins.shape[:d].numel()).reshape(*begins.shape[:d], 1) * x.shape[d]).reshape(-1)
    cells = rows.index_select(0, first[owner] + within)
    start = full((counts.numel(), *rest), _STARTS[reduce] if initial is None else initial, dtype=x.dtype)
    if reduce in ("sum", "mean"):
        result = start.index_add(0, owner, cells)
    elif reduce == "prod":
        result = start.index_reduce(0, owner, cells, "prod")
    else:
        result = _extremes(start, owner, cells, f"a{reduce}")
    if reduce == "mean":
        divisor = counts.reshape(-1, *[1] * len(rest))
        result = result / divisor if initial is None else where(divisor > 0, result / divisor, result)
    return result if sizes.ndim == 1 else result.reshape(*sizes.shape, *rest)


def _extremes(start: Any, owner: Any, cells: Any, op: str) -> Any:
    """The extremes as means of the cells that attain them, so that these share the gradient. NaN attains NaN."""
    found = start.index_reduce(0, owner, cells.detach(), op)
    attained = (cells == found[owner]) | cells.isnan()
    counts = zeros(found.shape, dtype=found.dtype).index_add(0, owner, attained.to(found.dtype))
    sums = zeros(found.shape, dtype=found.dtype).index_add(0, owner, where(attained, cells / counts[owner], 0.0))
    return where(counts > 0, sums, found)


public(segment_reduce, "_segment_reduce")
