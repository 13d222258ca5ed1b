"""Products with vectors: mv, dot, vdot, inner, outer, cross, kron."""

from __future__ import annotations

from typing import Any

from pellucid.autograd.derived import differentiable_plan
from pellucid.dtypes import bool_
from pellucid.errors import shape_text
from pellucid.formula.expr import axis, const, load
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, broadcast_shapes, dense
from pellucid.operators.define import both, deliver, wrap_dim
from pellucid.operators.products import check_dtypes, matmul, require_tensors, unfit
from pellucid.operators.rows import deliver_same
from pellucid.operators.windows import working
from pellucid.plan import Plan, PlanTable
from pellucid.tensor import Tensor


@both
def mv(input: Any, vec: Any, *, out: Tensor | None = None) -> Tensor:
    """Matrix times vector: ``out[i] = sum_k input[i, k] * vec[k]``.

    Raises:
        RuntimeError: not a matrix and a vector, unfit sizes, different dtypes.
    """
    require_tensors("mv", input=input, vec=vec)
    if input.dim() != 2 or vec.dim() != 1:
        raise RuntimeError(
            f"mv(): vector + matrix @ vector expected, got {shape_text(input.shape)} and {shape_text(vec.shape)}: the "
            "first must be 2-D and the second 1-D; see matmul for other ranks"
        )
    if input.shape[1] != vec.shape[0]:
        raise unfit("mv", input.layout, vec.layout)
    return deliver_same(matmul(input, vec), out, "mv")


def _dot(operator: str, a: Any, b: Any) -> Any:
    if a.dim() != 1 or b.dim() != 1:
        raise RuntimeError(
            f"{operator}(): 1D tensors expected, but got {a.dim()}D and {b.dim()}D tensors: {shape_text(a.shape)} and "
            f"{shape_text(b.shape)}; see matmul or inner for other ranks"
        )
    check_dtypes(operator, a.layout, b.layout)
    if a.layout.shape != b.layout.shape:
        raise RuntimeError(
            f"{operator}(): inconsistent tensor size, expected tensor {shape_text(a.shape)} and src "
            f"{shape_text(b.shape)} to have the same number of elements"
        )
    return matmul(a, b)


@both
def dot(input: Any, tensor: Any, *, out: Tensor | None = None) -> Tensor:
    """``sum_k input[k] * tensor[k]`` of two vectors.

    Raises:
        RuntimeError: not 1-D, different sizes or dtypes.
    """
    require_tensors("dot", input=input, tensor=tensor)
    return deliver_same(_dot("dot", input, tensor), out, "dot")


@both
def vdot(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """``sum_k conj(input[k]) * other[k]`` of two vectors.

    Raises:
        RuntimeError: not 1-D, different sizes or dtypes.
    """
    require_tensors("vdot", input=input, other=other)
    return deliver_same(_dot("vdot", input.conj(), other), out, "vdot")


@both
def inner(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """``out[.., ..'] = sum_k input[.., k] * other[..', k]``; a 0-d operand multiplies.

    Raises:
        RuntimeError: different last sizes, different dtypes.
    """
    require_tensors("inner", input=input, other=other)
    check_dtypes("inner", input.layout, other.layout)
    if input.dim() == 0 or other.dim() == 0:
        return deliver(input * other, out, "inner")
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            f"inner(): the last dimension must match on both input tensors but got shapes {shape_text(input.shape)} and "
            f"{shape_text(other.shape)}"
        )
    k, shape = input.shape[-1], (*input.shape[:-1], *other.shape[:-1])
    rows, columns = _rows(input, k), _rows(other, k)
    return deliver(matmul(rows, columns.t()).reshape(shape), out, "inner")


def _rows(x: Any, k: int) -> Any:
    count = 1
    for n in x.shape[:-1]:
        count *= n
    return x.reshape(count, k)


@both
def outer(input: Any, vec2: Any, *, out: Tensor | None = None) -> Tensor:
    """``out[i, j] = input[i] * vec2[j]`` of two vectors; the dtypes are promoted.

    Raises:
        RuntimeError: an operand is not 1-D.
    """
    require_tensors("outer", input=input, vec2=vec2)
    if input.dim() != 1 or vec2.dim() != 1:
        raise RuntimeError(
            f"outer(): Expected 1-D arguments, but got {shape_text(input.shape)} and {shape_text(vec2.shape)}"
        )
    return deliver(input.unsqueeze(1) * vec2, out, "outer")


both(outer, "ger")


@both
def kron(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """Kronecker product: ``out[i*p + r, j*q + s] = input[i, j] * other[r, s]`` for ``other`` (p, q); any rank."""
    require_tensors("kron", input=input, other=other)
    rank = max(input.dim(), other.dim())
    first, second = ((1,) * (rank - x.dim()) + tuple(x.shape) for x in (input, other))
    left = input.reshape([m for n in first for m in (n, 1)])
    right = other.reshape([m for n in second for m in (1, n)])
    result = (left * right).reshape([a * b for a, b in zip(first, second, strict=True)])
    return deliver(result, out, "kron")


def _cross_plan(a: Layout, b: Layout, dim: int) -> Plan:
    """``out[i] = a[i+1] b[i+2] - a[i+2] b[i+1]`` along ``dim``, indices modulo 3."""
    check_dtypes("cross", a, b)
    if a.dtype is bool_:
        raise NotImplementedError("\"cross\" not implemented for 'Bool': convert the operands to a number type")
    inner = working(a.dtype)

    def cell(operand: int, x: Layout, shift: int) -> Any:
        coords = tuple(
            (axis(d) + shift) % 3 if d == dim else const(0, axis(d).dtype) if n == 1 else axis(d)
            for d, n in enumerate(x.shape)
        )
        return load(operand, x.dtype, coords).cast(inner)

    value = cell(0, a, 1) * cell(1, b, 2) - cell(0, a, 2) * cell(1, b, 1)
    shape = broadcast_shapes(tuple(a.shape), tuple(b.shape))
    assert shape is not None
    formula = Formula("cross", a.ndim, (Output(value.cast(a.dtype)),))
    return differentiable_plan(formula, (a, b), shape, [dense(shape, a.dtype)], name="LinalgCrossBackward0")


_cross_plans = PlanTable(_cross_plan)


@both
def cross(input: Any, other: Any, dim: int | None = None, *, out: Tensor | None = None) -> Tensor:
    """Cross product of vectors of 3 along ``dim`` (None: the first dimension of size 3); other dimensions broadcast.

    Raises:
        RuntimeError: ``dim`` has not 3 cells, shapes that do not broadcast, different ranks or dtypes.
    """
    require_tensors("cross", input=input, other=other)
    if input.dim() != other.dim():
        raise RuntimeError(
            f"cross(): inconsistent tensors dimensions input: {input.dim()} other: {other.dim()}; unsqueeze one of them"
        )
    if dim is None:
        if 3 not in input.shape:
            raise RuntimeError(f"cross(): no dimension of size 3 in input {shape_text(input.shape)}")
        dim = tuple(input.shape).index(3)
    dim = wrap_dim("cross", dim, input.dim())
    if input.dim() == 0 or input.shape[dim] != 3 or other.shape[dim] != 3:
        raise RuntimeError(
            f"cross(): inputs dimension {dim} must have length 3. Got {shape_text(input.shape)} and "
            f"{shape_text(other.shape)}"
        )
    if broadcast_shapes(tuple(input.shape), tuple(other.shape)) is None:
        raise RuntimeError(
            f"cross(): the sizes of {shape_text(input.shape)} and {shape_text(other.shape)} must be equal or 1 in each "
            "dimension"
        )
    return deliver(_cross_plans[input.layout, other.layout, dim](input, other), out, "cross")
