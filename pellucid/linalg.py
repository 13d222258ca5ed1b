"""Norms and products of vectors and matrices, under the names of ``torch.linalg``.

What rests on a decomposition (inverses, determinants, eigenvalues, the norms 2, -2 and "nuc" of matrices) is missing.
"""

from __future__ import annotations

from typing import Any

from pellucid.errors import shape_text
from pellucid.operators import parts, vector_products
from pellucid.operators.define import deliver
from pellucid.operators.matrix_chains import matrix_power as matrix_power
from pellucid.operators.matrix_chains import multi_dot as multi_dot
from pellucid.operators.norms import vector_norm as vector_norm
from pellucid.operators.products import matmul as matmul
from pellucid.tensor import Tensor

_BY_DECOMPOSITION = (2, -2, "nuc")
_OF_MATRICES = (*_BY_DECOMPOSITION, "fro", 1, -1, float("inf"), float("-inf"))


def norm(
    A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, out: Tensor | None = None, dtype: Any = None
) -> Tensor:
    """The length of vectors (one dimension, or no ``ord``) or the norm of matrices (two dimensions and an ``ord``).

    Raises:
        RuntimeError: another number of dimensions; an order that norms of that kind do not have.
    """
    dims = (dim,) if isinstance(dim, int) else dim if dim is None else tuple(dim)
    if dims is not None and len(dims) not in (1, 2):
        raise RuntimeError(f"linalg.norm(): If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
    if ord is None:
        return vector_norm(A, 2, dims, keepdim, dtype=dtype, out=out)
    if dims is None and not isinstance(ord, str) and A.ndim not in (1, 2):
        raise RuntimeError(
            "linalg.norm(): If dim is not specified but ord is, the input must be 1D or 2D. Got "
            f"{A.ndim}D, shape {shape_text(A.shape)}; name the dimensions"
        )
    if isinstance(ord, str) or (A.ndim == 2 if dims is None else len(dims) == 2):
        return matrix_norm(A, ord, (-2, -1) if dims is None else dims, keepdim, dtype=dtype, out=out)
    return vector_norm(A, ord, dims, keepdim, dtype=dtype, out=out)


def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """"fro": the root of the squares' sum; 1 and -1: the largest and smallest sum of a column; inf and -inf: of a row.

    Raises:
        RuntimeError: fewer than two dimensions; another order.
        NotImplementedError: 2, -2 and "nuc", which rest on singular values.
    """
    if A.ndim < 2:
        raise RuntimeError(f"linalg.matrix_norm(): The input tensor A must have at least 2 dimensions, not {A.ndim}")
    if ord not in _OF_MATRICES:
        raise RuntimeError(f"linalg.matrix_norm(): Order {ord} not supported; there are {_OF_MATRICES}")
    rows, columns = (d % A.ndim for d in dim)
    if ord == "fro":
        return vector_norm(A, 2, (rows, columns), keepdim, dtype=dtype, out=out)
    if ord in _BY_DECOMPOSITION:
        raise NotImplementedError(
            f"linalg.matrix_norm(): ord={ord!r} needs singular values, which Pellucid does not have; 'fro', 1, -1, inf and "
            "-inf work"
        )
    summed, folded = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums: Any = vector_norm(A, 1, summed, True, dtype=dtype)
    found = sums.amax(folded, True) if ord > 0 else sums.amin(folded, True)
    return deliver(found if keepdim else found.squeeze((rows, columns)), out, "linalg.matrix_norm")


def vecdot(x: Any, y: Any, *, dim: int = -1, out: Tensor | None = None) -> Any:
    """``sum(conj(x) * y)`` along ``dim``; shapes broadcast."""
    return deliver((x.conj() * y).sum(dim), out, "linalg.vecdot")


def cross(input: Tensor, other: Tensor, *, dim: int = -1, out: Tensor | None = None) -> Tensor:
    """The vector product along ``dim``, which has 3 cells."""
    return vector_products.cross(input, other, dim, out=out)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices, as a view."""
    return parts.diagonal(A, offset, dim1, dim2)


def __getattr__(name: str) -> object:
    raise AttributeError(f"torch.linalg.{name} is missing from Pellucid", name=name)
