"""Products of many matrices: chain_matmul, multi_dot, matrix_power."""

from __future__ import annotations

import warnings
from typing import Any

from pellucid.errors import shape_text
from pellucid.operators.define import both, deliver, public
from pellucid.operators.products import matmul, mm, require_tensors
from pellucid.operators.sequences import eye
from pellucid.tensor import Tensor


@public
def chain_matmul(*matrices: Any, out: Tensor | None = None) -> Any:
    """The product of all matrices, in the order of multiplication that takes the fewest operations.

    Raises:
        RuntimeError: no matrix, an operand that is not 2-D, unfit shapes.
    """
    warnings.warn(
        "chain_matmul is deprecated and will be removed in a future PyTorch release: use torch.linalg.multi_dot, or @",
        UserWarning,
        stacklevel=2,
    )
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    require_tensors("chain_matmul", **{f"matrices[{k}]": x for k, x in enumerate(matrices)})
    for x in matrices:
        if x.dim() != 2:
            raise RuntimeError(
                f"chain_matmul(): Tensor dimension is {x.dim()}, expected 2 instead: {shape_text(x.shape)} is no matrix"
            )
    cuts = _cheapest_cuts([*[x.shape[0] for x in matrices], matrices[-1].shape[1]])
    return deliver(_chain(matrices, cuts, 0, len(matrices)), out, "chain_matmul")


def multi_dot(tensors: Any, *, out: Tensor | None = None) -> Any:
    """The product of two or more matrices, in the order of multiplication that takes the fewest operations.

    The first may be a vector (a row), and the last (a column).

    Raises:
        RuntimeError: fewer than two, one in between that is not 2-D, unfit shapes.
    """
    given: list[Any] = list(tensors)
    if len(given) < 2:
        raise RuntimeError(f"linalg.multi_dot(): expected at least 2 tensors but got {len(given)}")
    require_tensors("linalg.multi_dot", **{f"tensors[{k}]": x for k, x in enumerate(given)})
    matrices = [*given]
    matrices[0] = given[0].unsqueeze(0) if given[0].dim() == 1 else given[0]
    matrices[-1] = given[-1].unsqueeze(1) if given[-1].dim() == 1 else given[-1]
    for k, x in enumerate(matrices):
        if x.dim() != 2:
            raise RuntimeError(
                f"linalg.multi_dot(): tensor {k} must be 2D{'' if 0 < k < len(given) - 1 else ' or 1D'} but got "
                f"{x.dim()}D: {shape_text(x.shape)}"
            )
    cuts = _cheapest_cuts([*[x.shape[0] for x in matrices], matrices[-1].shape[1]])
    product = _chain(tuple(matrices), cuts, 0, len(matrices))
    if given[-1].dim() == 1:
        product = product.squeeze(1)
    return deliver(product.squeeze(0) if given[0].dim() == 1 else product, out, "linalg.multi_dot")


def _cheapest_cuts(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to cut the product of matrices i .. j-1 in two, for every i, j (dynamic programming)."""
    count = len(sizes) - 1
    costs = {(i, i + 1): 0 for i in range(count)}
    cuts: dict[tuple[int, int], int] = {}
    for length in range(2, count + 1):
        for i in range(count - length + 1):
            j = i + length
            costs[i, j], cuts[i, j] = min(
                (costs[i, k] + costs[k, j] + sizes[i] * sizes[k] * sizes[j], k) for k in range(i + 1, j)
            )
    return cuts


def _chain(matrices: tuple[Any, ...], cuts: dict[tuple[int, int], int], i: int, j: int) -> Any:
    if j == i + 1:
        return matrices[i]
    return mm(_chain(matrices, cuts, i, cuts[i, j]), _chain(matrices, cuts, cuts[i, j], j))


@both
def matrix_power(input: Any, n: int, *, out: Tensor | None = None) -> Any:
    """``input`` multiplied by itself ``n >= 0`` times, by repeated squaring; the identity for ``n = 0``.

    Raises:
        RuntimeError: matrices that are not square; NotImplementedError: ``n < 0`` (there is no inverse).
    """
    require_tensors("matrix_power", input=input)
    if not isinstance(n, int):
        raise TypeError(f"matrix_power(): argument 'n' (position 2) must be int, not {type(n).__name__}")
    if input.dim() < 2 or input.shape[-1] != input.shape[-2]:
        raise RuntimeError(
            f"linalg.matrix_power: A must be batches of square matrices, but the shape is {shape_text(input.shape)}"
        )
    if n < 0:
        raise NotImplementedError(
            f"matrix_power(): n = {n} needs the inverse of the matrix, which Pellucid does not have; invert it elsewhere "
            f"and raise that to the power {-n}"
        )
    if n == 0:
        identity: Any = eye(input.shape[-1], dtype=input.dtype)
        return deliver(identity.expand(input.shape).clone(), out, "matrix_power")
    result, square = None, input
    while True:
        if n & 1:
            result = square if result is None else matmul(result, square)
        n >>= 1
        if not n:
            break
        square = matmul(square, square)
    return deliver(result.clone() if result is input else result, out, "matrix_power")
