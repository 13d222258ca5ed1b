"""Products added to something: addmm, addmv, addbmm, baddbmm, addr.

    out = beta * input + alpha * (a product)

One BLAS call does both where BLAS has the dtype. With ``beta = 0`` the input is not read: NaN in it stays out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from pellucid.autograd.graph import Node, recorder, recording
from pellucid.dtypes import DType, bool_, promote_types
from pellucid.errors import shape_text
from pellucid.layout import Layout, broadcast_shapes, dense
from pellucid.operators.arguments import number_first
from pellucid.operators.define import both, deliver, method
from pellucid.operators.products import check_dtypes, matmul, require_tensors, summed_plan, summed_to, unfit
from pellucid.operators.rows import deliver_same
from pellucid.plan import Plan, PlanTable
from pellucid.tensor import Tensor


class AddedRule:
    """C = beta S + alpha A B: dS = beta dC, dA = alpha dC B^H, dB = alpha A^H dC, summed over what was broadcast."""

    def __init__(self, name: str, shape: tuple[int, ...], beta: complex, alpha: complex) -> None:
        self.name, self.shape = name, shape
        self.beta, self.alpha = beta.conjugate(), alpha.conjugate()

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return tuple(k for k, asked in ((2, needed[2]), (3, needed[1])) if asked)

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        saved, g = node.unpack(), grads[0]
        added, left, right = (edge is not None for edge in node.edges)
        return (
            summed_to(_scaled(g, self.beta), self.shape) if added else None,
            _scaled(matmul(g, saved[3].mH), self.alpha) if left else None,
            _scaled(matmul(saved[2].mH, g), self.alpha) if right else None,
        )


def _scaled(g: Any, factor: complex) -> Any:
    return g if factor == 1 else g * factor


def _plan(name: str, s: Layout, a: Layout, b: Layout, beta: complex, alpha: complex) -> Plan:
    result = _result(name, s, a, b)
    rule = AddedRule(f"{name.capitalize()}Backward0", tuple(s.shape), beta, alpha)
    return recording(summed_plan(s, a, b, result, beta, alpha), recorder(rule, [result], [s, a, b]))


_plans = PlanTable(_plan)


def _result(name: str, s: Layout, a: Layout, b: Layout) -> Layout:
    """The layout of the sum.

    Raises:
        RuntimeError: unfit shapes, different dtypes, an input that does not broadcast to the product.
    """
    check_dtypes(name, s, a, b)
    if a.shape[:-2] != b.shape[:-2] or a.shape[-1] != b.shape[-2]:
        raise unfit(name, a, b)
    result = dense((*a.shape[:-1], b.shape[-1]), a.dtype)
    if broadcast_shapes(tuple(s.shape), tuple(result.shape)) != tuple(result.shape):
        raise RuntimeError(
            f"{name}(): The expanded size of the input must match the product's: input {shape_text(s.shape)} does not "
            f"broadcast to {shape_text(result.shape)}"
        )
    return result


def _require_real(name: str, dtype: DType, **factors: Any) -> None:
    for word, value in factors.items():
        if isinstance(value, complex) and not dtype.is_complex:
            raise RuntimeError(
                f"{name}(): value cannot be converted to type {dtype.scalar_name}: {word} = {value} is complex, the "
                "tensors are not"
            )


def _added(name: str, input: Any, a: Any, b: Any, beta: Any, alpha: Any) -> Any:
    s, x, y = input.layout, a.layout, b.layout
    _require_real(name, x.dtype, beta=beta, alpha=alpha)
    if x.dtype.is_floating_point or x.dtype.is_complex:
        return _plans[name, s, x, y, beta, alpha](input, a, b)
    _result(name, s, x, y)
    return _sum(input, matmul(a, b), int(beta), int(alpha))  # as in PyTorch, fractions are cut off


def _sum(input: Any, product: Any, beta: Any, alpha: Any) -> Any:
    product = product if alpha == 1 else product * alpha
    return product if beta == 0 else (input if beta == 1 else input * beta) + product


def _require_ranks(name: str, ranks: dict[str, tuple[Any, int]]) -> None:
    words = {1: "vector, 1-D", 2: "matrix, 2-D", 3: "3-D tensor"}
    require_tensors(name, **{argument: x for argument, (x, _) in ranks.items()})
    for argument, (x, rank) in ranks.items():
        if x.layout.ndim != rank:
            raise RuntimeError(f"{name}(): {argument} must be a {words[rank]}; got {shape_text(x.layout.shape)}")


def _older_order(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Takes the numbers before the tensors as well: ``f(beta, input, alpha, a, b)``, ``input.f(beta, alpha, a, b)``, each
    with or without alpha."""

    @wraps(function)
    def taking(input: Any, *args: Any, **options: Any) -> Tensor:
        if len(args) > 2:
            name = function.__name__
            if not isinstance(input, Tensor):
                input, *args = (args[0], input, *args[1:])  # type: ignore[assignment]
            options["beta"] = number_first(name, "beta", args[0])
            if len(args) > 3:
                options["alpha"] = number_first(name, "alpha", args[1])
            args = tuple(args[-2:])
        return function(input, *args, **options)

    return taking


@both
@_older_order
def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None
) -> Tensor:
    """``out[i, j] = beta * input[i, j] + alpha * sum_k mat1[i, k] * mat2[k, j]``; the input is broadcast.

    Raises:
        RuntimeError: an operand is not a matrix, unfit shapes, different dtypes.
    """
    require_tensors("addmm", input=input)
    _require_ranks("addmm", {"mat1": (mat1, 2), "mat2": (mat2, 2)})
    return deliver_same(_added("addmm", input, mat1, mat2, beta, alpha), out, "addmm")


@both
@_older_order
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None
) -> Tensor:
    """``out[b, i, j] = beta * input[b, i, j] + alpha * sum_k batch1[b, i, k] * batch2[b, k, j]``.

    Raises:
        RuntimeError: a batch is not 3-D, unfit shapes, different dtypes.
    """
    require_tensors("baddbmm", input=input)
    _require_ranks("baddbmm", {"batch1": (batch1, 3), "batch2": (batch2, 3)})
    return deliver_same(_added("baddbmm", input, batch1, batch2, beta, alpha), out, "baddbmm")


@both
@_older_order
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None
) -> Tensor:
    """``out[i, j] = beta * input[i, j] + alpha * sum_bk batch1[b, i, k] * batch2[b, k, j]``: one long product.

    Raises:
        RuntimeError: a batch is not 3-D, unfit shapes, different dtypes.
    """
    require_tensors("addbmm", input=input)
    _require_ranks("addbmm", {"batch1": (batch1, 3), "batch2": (batch2, 3)})
    left, right = batch1.layout, batch2.layout
    if left.shape[0] != right.shape[0] or left.shape[2] != right.shape[1]:
        raise unfit("addbmm", left, right)
    long = left.shape[0] * left.shape[2]
    rows: Any = batch1.transpose(0, 1).reshape(left.shape[1], long)
    columns: Any = batch2.reshape(long, right.shape[2])
    return deliver_same(_added("addbmm", input, rows, columns, beta, alpha), out, "addbmm")


@both
@_older_order
def addmv(input: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """``out[i] = beta * input[i] + alpha * sum_k mat[i, k] * vec[k]``; the input is broadcast.

    Raises:
        RuntimeError: ``mat`` is not a matrix or ``vec`` not a vector, unfit shapes, different dtypes.
    """
    require_tensors("addmv", input=input)
    _require_ranks("addmv", {"mat": (mat, 2), "vec": (vec, 1)})
    if input.dim() > 1:
        raise RuntimeError(f"addmv(): input must have at most 1 dimension; got {shape_text(input.shape)}")
    column = _added("addmv", input.unsqueeze(-1), mat, vec.unsqueeze(1), beta, alpha)
    return deliver_same(column.squeeze(1), out, "addmv")


@both
@_older_order
def addr(input: Any, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """``out[i, j] = beta * input[i, j] + alpha * vec1[i] * vec2[j]``; the dtypes are promoted.

    Raises:
        RuntimeError: an operand is not a vector, an input that does not broadcast to the product.
    """
    require_tensors("addr", input=input)
    _require_ranks("addr", {"vec1": (vec1, 1), "vec2": (vec2, 1)})
    product: Any = vec1.unsqueeze(1) * vec2
    beta, alpha = _addr_factors(promote_types(input.layout.dtype, product.layout.dtype), beta, alpha)
    if broadcast_shapes(tuple(input.shape), tuple(product.shape)) != tuple(product.shape):
        raise RuntimeError(
            f"addr(): size mismatch, input: {shape_text(input.shape)} does not broadcast to {shape_text(product.shape)}, "
            "the size of vec1 by that of vec2"
        )
    total = _sum(input, product, beta, alpha)
    if beta == 0 and input.layout.dtype is not total.layout.dtype:
        total = total + input.new_zeros(())
    return deliver(total, out, "addr")


def _addr_factors(dtype: DType, beta: Any, alpha: Any) -> tuple[Any, Any]:
    _require_real("addr", dtype, beta=beta, alpha=alpha)
    if dtype is bool_:
        return bool(beta), bool(alpha)
    for word, value in (("beta", beta), ("alpha", alpha)):
        if isinstance(value, float) and not (dtype.is_floating_point or dtype.is_complex):
            raise RuntimeError(
                f"addr(): For integral input tensors, argument {word} must not be a floating point number; got {value}"
            )
        if isinstance(value, bool):
            raise RuntimeError(f"addr(): Boolean {word} only supported for Boolean results; got {dtype!r} tensors")
    return beta, alpha


def _twin(function: Callable[..., Any]) -> None:
    name = function.__name__

    def write(self: Any, *operands: Any, beta: Any = 1, alpha: Any = 1) -> Any:
        result = function(self, *operands, beta=beta, alpha=alpha)
        if self.layout.shape != result.layout.shape:
            raise RuntimeError(
                f"{name}_(): output with shape {shape_text(self.layout.shape)} doesn't match the broadcast shape "
                f"{shape_text(result.layout.shape)}: an in-place operation cannot grow the tensor it writes into"
            )
        if self.layout.dtype is not result.layout.dtype:
            raise RuntimeError(
                f"{name}_(): result type {result.layout.dtype.scalar_name} can't be cast to the desired output type "
                f"{self.layout.dtype.scalar_name}"
            )
        return self.copy_(result)

    write.__doc__ = f"`{name}` in place."
    write.__name__ = f"{name}_"
    method(write, f"{name}_")


for _function in (addmm, addmv, addbmm, baddbmm, addr):
    _twin(_function)
