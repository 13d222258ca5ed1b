"""Triangles and diagonals: predicates over two coordinates.

    tril          out[i,j] = x[i,j] if j - i <= diagonal else 0
    diag_embed    out[i,j] = x[min(i, j)] if j - i == offset else 0
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.autograd.derived import DerivedRule, differentiable_plan
from pellucid.autograd.graph import recorder
from pellucid.errors import shape_text
from pellucid.formula.expr import Expr, axis, const, given, load, select
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, dense, diagonal
from pellucid.operators.arguments import require_tensor
from pellucid.operators.assembling import Piece, assembly_plan
from pellucid.operators.creation import filled
from pellucid.operators.define import both, in_place, method, require_writable, wrap_dim
from pellucid.operators.rows import deliver_same
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.tensor import Tensor

# -- triangles ----------------------------------------------------------------------------------------------------


def _triangle_formula(name: str, x: Layout) -> Formula:
    if x.ndim < 2:
        raise RuntimeError(
            f"{name}(): input tensor must have at least 2 dimensions, but its shape is {shape_text(x.shape)}"
        )
    right: Expr = axis(x.ndim - 1) - axis(x.ndim - 2)
    inside = right <= given("diagonal") if name == "tril" else right >= given("diagonal")
    value = select(inside, load(0, x.dtype), const(0, x.dtype))
    return Formula(name, x.ndim, (Output(value),))


def _triangle_plan(name: str, x: Layout, offset: int) -> Plan:
    formula = _triangle_formula(name, x)
    result = dense(x.shape, x.dtype, x.device)
    return differentiable_plan(formula, (x,), tuple(x.shape), [result], given={"diagonal": offset})


def _triangle_in_place_plan(name: str, x: Layout, offset: int) -> Plan:
    formula, numbers = _triangle_formula(name, x), {"diagonal": offset}
    shape = tuple(x.shape)
    write = kernel_plan(formula, (x,), shape, [x], in_place=True, given=dict(numbers))
    record = None
    if x.dtype.is_floating_point or x.dtype.is_complex:
        record = recorder(DerivedRule(formula, (x,), shape, dict(numbers), None), [x], (x,))
    return lambda t: in_place(t, lambda: write(t, t), record, t)


_triangles = PlanTable(_triangle_plan)
_triangles_in_place = PlanTable(_triangle_in_place_plan)


def _triangle(name: str, where: str) -> Callable[..., Tensor]:
    def function(input: Tensor, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor:
        require_tensor(name, input)
        result = _triangles[name, input.layout, diagonal](input)
        return result if out is None else deliver_same(result, out, name)

    def twin(input: Tensor, diagonal: int = 0) -> Tensor:
        require_writable(f"{name}_", input, ())
        return _triangles_in_place[name, input.layout, diagonal](input)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The cells of each matrix {where} ``diagonal``, zero elsewhere."
    twin.__name__ = twin.__qualname__ = f"{name}_"
    twin.__doc__ = f"In-place form of `{name}`."
    method(twin)
    return both(function)


tril = _triangle("tril", "on and below")
triu = _triangle("triu", "on and above")

# -- matrices with a given diagonal -------------------------------------------------------------------------------


def _embed_plan(x: Layout, offset: int, dim1: int, dim2: int) -> Plan:
    rank = x.ndim + 1
    a, b = wrap_dim("diag_embed", dim1, rank), wrap_dim("diag_embed", dim2, rank)
    if a == b:
        raise RuntimeError(f"diag_embed(): diagonal dimensions cannot be identical {dim1}, {dim2}")
    if x.ndim == 0:
        raise RuntimeError("diag_embed(): the input needs at least one dimension; use reshape(1)")
    edge = x.shape[-1] + abs(offset)
    shape = list(x.shape[:-1])
    for d in sorted((a, b)):
        shape.insert(d, edge)
    result = dense(shape, x.dtype, x.device)
    give = lambda g: g.diagonal(offset, a, b)  # noqa: E731
    piece = Piece(0, (x, 0), diagonal(result, offset, a, b))
    plan = assembly_plan("DiagEmbedBackward0", result, (x,), [piece], [give])
    return lambda t: plan(t, out=filled(result, 0))


_embeds = PlanTable(_embed_plan)


@both
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices in the dimensions ``dim1`` and ``dim2`` whose diagonal is the last dimension of ``input``.

    Raises:
        RuntimeError: ``dim1`` and ``dim2`` are the same, or ``input`` has no dimension.
    """
    require_tensor("diag_embed", input)
    return _embeds[input.layout, offset, dim1, dim2](input)


@method
def fill_diagonal_(input: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Write a number to the cells whose coordinates are all equal; with ``wrap``, a tall matrix gets the diagonals
    of the blocks below as well, each one row apart.

    Raises:
        RuntimeError: fewer than two dimensions, or more than two of different sizes.
    """
    layout = input.layout
    if layout.ndim < 2:
        raise RuntimeError(
            f"fill_diagonal_(): dimensions must larger than 1, but the shape is {shape_text(layout.shape)}"
        )
    if layout.ndim > 2 and len(set(layout.shape)) > 1:
        raise RuntimeError(
            "fill_diagonal_(): all dimensions of input must be of equal length, but the shape is "
            f"{shape_text(layout.shape)}"
        )
    x: Any = input
    step, edge = sum(layout.strides), min(layout.shape)
    x.as_strided((edge,), (step,), x.storage_offset()).fill_(fill_value)
    rows, columns = layout.shape[0], layout.shape[-1]
    if wrap and layout.ndim == 2 and rows > columns + 1:
        fill_diagonal_(x.narrow(0, columns + 1, rows - columns - 1), fill_value, True)
    return input


@both
def diag(input: Tensor, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor:
    """A vector gives the matrix with it on the diagonal, a matrix gives a copy of its diagonal.

    Raises:
        RuntimeError: neither a vector nor a matrix.
    """
    x: Any = require_tensor("diag", input)
    if x.layout.ndim not in (1, 2):
        raise RuntimeError(
            f"diag(): Supports 1D or 2D tensors. Got {x.layout.ndim}D (shape {shape_text(x.layout.shape)}); use "
            "diag_embed() or diagonal() for more dimensions"
        )
    result = diag_embed(x, diagonal) if x.layout.ndim == 1 else x.diagonal(diagonal).clone()
    return deliver_same(result, out, "diag")


@both
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix whose diagonal is the flattened ``input``."""
    return diag_embed(require_tensor("diagflat", input).flatten(), offset)
