"""Copies in which a part is replaced: a diagonal, one slice, or every so many.

They write through a view of the copy, so that their derivatives are those of the view and of ``copy_``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.operators.arguments import require_tensor
from pellucid.operators.copying import clone
from pellucid.operators.define import both
from pellucid.operators.indexing import deliver_same
from pellucid.tensor import Tensor


def _replaced(operator: str, whole: Any, part: Any, src: Any) -> Tensor:
    require_tensor(operator, src, "src", 2)
    if src.layout.shape != part.layout.shape:
        raise RuntimeError(
            f"{operator}(): expected src to have a size equal to the slice of self. src size = {list(src.layout.shape)}, "
            f"slice size = {list(part.layout.shape)}"
        )
    part.copy_(src)
    return whole


@both
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of ``input`` whose diagonal (see `diagonal`) is ``src``.

    Raises:
        RuntimeError: ``src`` has not the diagonal's shape.
    """
    whole: Any = clone(require_tensor("diagonal_scatter", input))
    return _replaced("diagonal_scatter", whole, whole.diagonal(offset, dim1, dim2), src)


@both
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of ``input`` in which slice ``index`` of dimension ``dim`` is ``src``.

    Raises:
        IndexError: there is no such slice; RuntimeError: ``src`` has not its shape.
    """
    whole: Any = clone(require_tensor("select_scatter", input))
    return _replaced("select_scatter", whole, whole.select(dim, index), src)


@both
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1, *,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """A copy of ``input`` in which the slices ``start:end:step`` of dimension ``dim`` are ``src``.

    Raises:
        RuntimeError: ``src`` has not the shape of those slices, or a step that is not positive.
    """
    whole: Any = clone(require_tensor("slice_scatter", input))
    if step <= 0:
        raise RuntimeError(f"slice_scatter(): slice step must be positive, but it is {step}")
    d = dim + whole.ndim if dim < 0 else dim
    part = whole.movedim(d, 0)[start:end:step].movedim(0, d)
    result = _replaced("slice_scatter", whole, part, src)
    return result if out is None else deliver_same(result, out, "slice_scatter", input, src)


@both
def as_strided_scatter(
    input: Tensor, src: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None, *,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """A copy of ``input`` in which the cells that ``as_strided(size, stride, storage_offset)`` shows are ``src``.

    Raises:
        RuntimeError: ``src`` has another shape, or cells would lie outside of the storage.
    """
    whole: Any = clone(require_tensor("as_strided_scatter", input))
    part = whole.as_strided(size, stride, storage_offset)
    result = _replaced("as_strided_scatter", whole, part, src)
    return result if out is None else deliver_same(result, out, "as_strided_scatter", input, src)
