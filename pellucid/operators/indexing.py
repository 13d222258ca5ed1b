"""Picking cells by index: the coordinates of what is read are themselves read from a tensor."""

from __future__ import annotations

from typing import Any, NoReturn

from pellucid.autograd.derived import differentiable_plan
from pellucid.dtypes import int32, int64
from pellucid.errors import shape_text
from pellucid.formula.expr import axis, load
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, dense
from pellucid.operators.define import both, deliver
from pellucid.plan import Plan, PlanTable
from pellucid.tensor import Tensor, array_of


def wrap_dim(operator: str, dim: int, ndim: int) -> int:
    """A dimension counted from the front; a 0-d tensor has the dimensions -1 and 0.

    Raises:
        IndexError: there is no such dimension.
    """
    most = max(ndim, 1)
    if not -most <= dim < most:
        raise IndexError(
            f"{operator}(): Dimension out of range (expected to be in range of [{-most}, {most - 1}], but got {dim})"
        )
    return dim + most if dim < 0 else dim


def _gather_plan(x: Layout, dim: int, index: Layout) -> Plan:
    d = wrap_dim("gather", dim, x.ndim)
    if index.dtype not in (int64, int32):
        raise RuntimeError(f"gather(): Expected dtype int32 or int64 for index, but got {index.dtype}; use index.long()")
    if index.ndim != x.ndim and index.numel:
        raise RuntimeError(
            f"gather(): Index tensor must have the same number of dimensions as input tensor: index is "
            f"{shape_text(index.shape)}, input {shape_text(x.shape)}; unsqueeze and expand the index"
        )
    for k, n in enumerate(index.shape):
        if k != d and n > x.shape[k]:
            raise RuntimeError(
                f"gather(): Size does not match at dimension {k} expected index {shape_text(index.shape)} to be no "
                f"larger than self {shape_text(x.shape)} apart from dimension {d}"
            )
    rank = index.ndim
    here = tuple(axis(k) for k in range(rank))
    picked = load(1, index.dtype, here).cast(int64)
    formula = Formula("gather", rank, (Output(load(0, x.dtype, (*here[:d], picked, *here[d + 1 :]))),))

    def fail(status: int, x: Tensor, index: Tensor) -> NoReturn:
        raise_outside("gather", array_of(index), d, x.layout.shape[d], RuntimeError)

    return differentiable_plan(formula, (x, index), tuple(index.shape), [dense(index.shape, x.dtype)], fail=fail)


def raise_outside(operator: str, index: Any, dim: int, size: int, kind: type[Exception]) -> NoReturn:
    """Name the first index outside ``[0, size)`` and where it stands."""
    import numpy as np

    places = np.argwhere((index < 0) | (index >= size))
    at = tuple(int(i) for i in places[0])
    raise kind(
        f"{operator}(): index {int(index[at])} is out of bounds for dimension {dim} with size {size} "
        f"(found at position {at} of the index)"
    )


_gather_plans = PlanTable(_gather_plan)


@both
def gather(
    input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False, out: Tensor | None = None
) -> Tensor:
    """Pick along one dimension: ``out[i,j,k] = input[i, index[i,j,k], k]`` (here ``dim=1``).

    The result has the shape of ``index``, which may be smaller than ``input`` in the other dimensions.

    Raises:
        RuntimeError: an index outside the dimension, an index that is not int32 or int64, unfit shapes.
    """
    result = _gather_plans[input.layout, dim, index.layout](input, index)
    return result if out is None else deliver(result, out, "gather")  # type: ignore[no-any-return]
