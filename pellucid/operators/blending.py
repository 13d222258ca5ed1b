"""Three operands at a time: lerp, addcmul, addcdiv."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.dtypes import DType
from pellucid.formula import expr as E
from pellucid.formula.expr import Expr, select
from pellucid.layout import Layout
from pellucid.operators.arguments import number_first
from pellucid.operators.define import both, method
from pellucid.operators.pointwise import NUMBERS, SAME, Pointwise, number_or_tensor, require_tensor
from pellucid.plan import Operand
from pellucid.tensor import Tensor


def _lerp(a: Expr, b: Expr, weight: Expr) -> Expr:
    """From the nearer end, so that both ends are met exactly."""
    near = E.unary("abs", weight, weight.dtype.to_real()) < 0.5
    return select(near, a + weight * (b - a), b - (b - a) * (1 - weight))


def _refuse_lerp(operands: Sequence[Operand], common: DType) -> None:
    start, end, weight = operands
    assert isinstance(start, Layout), "lerp() is a function of a tensor"
    for x, name in ((end, "end"), (weight, "weight")):
        if isinstance(x, Layout) and x.dtype is not start.dtype and not (name == "weight" and x.ndim == 0):
            raise RuntimeError(
                f"expected dtype {start.dtype} for `{name}` but got dtype {x.dtype}: lerp() takes one dtype"
            )


_lerps = Pointwise(
    "lerp", _lerp, SAME, takes="fc", kernel="lerp_kernel_scalar", promoting=2, refuse=_refuse_lerp,
    node_name=lambda a, b, weight: f"LerpBackward{int(isinstance(weight, Layout))}",
)  # fmt: skip


def _lerp_operands(input: Any, end: Any, weight: Any) -> tuple[Tensor, Tensor, Any]:
    start, stop = require_tensor(input, "lerp"), require_tensor(end, "lerp", "end")
    return start, stop, number_or_tensor(weight, "lerp", "weight", input)


@both
def lerp(input: Tensor, end: Tensor, weight: Any, *, out: Tensor | None = None) -> Tensor:
    """Between two tensors: ``out[...] = input[...] + weight * (end[...] - input[...])``.

    Raises:
        RuntimeError: ``input`` and ``end`` have different dtypes.
    """
    if out is None and type(input) is type(end) is Tensor and type(weight) in NUMBERS:
        return _lerps.plans[input.layout, end.layout, type(weight)](input, end, weight)
    return _lerps.deliver(out, *_lerp_operands(input, end, weight))


@method
def lerp_(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """In-place form of `lerp`."""
    return _lerps.write(input, *_lerp_operands(input, end, weight))


def _refuse_integers(operands: Sequence[Operand], common: DType) -> None:
    quotient = operands[1:3]
    if all(isinstance(x, Layout) and not (x.dtype.is_floating_point or x.dtype.is_complex) for x in quotient):
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future release addcdiv will perform a "
            "true division of tensor1 and tensor2. Use input + value * torch.trunc(tensor1 / tensor2) for the former "
            "meaning, or make one of them a float"
        )


_addcmul = Pointwise(
    "addcmul", lambda x, a, b, value: x + value * a * b, SAME,
    takes="uifc", kernel="addcmul_cpu_out", promoting=3,
)  # fmt: skip
_addcdiv = Pointwise(
    "addcdiv", lambda x, a, b, value: x + value * a / b, SAME, promoting=3, refuse=_refuse_integers
)


def _operands(name: str, input: Any, tensor1: Any, tensor2: Any, value: Any) -> tuple[Any, ...]:
    tensors = [
        require_tensor(t, name, argument)
        for t, argument in ((input, "input"), (tensor1, "tensor1"), (tensor2, "tensor2"))
    ]
    return (*tensors, number_or_tensor(value, name, "value", input))


@both
def addcmul(
    input: Tensor, tensor1: Any, tensor2: Tensor, last: Tensor | None = None, *, value: Any = 1, out: Tensor | None = None
) -> Tensor:
    """``out[...] = input[...] + value * tensor1[...] * tensor2[...]``.

    ``addcmul(input, value, tensor1, tensor2)`` is an older way to say it.
    """
    if last is not None:
        value, tensor1, tensor2 = number_first("addcmul", "value", tensor1), tensor2, last
    if out is None and type(input) is type(tensor1) is type(tensor2) is Tensor and type(value) in NUMBERS:
        key = input.layout, tensor1.layout, tensor2.layout, type(value)
        return _addcmul.plans[key](input, tensor1, tensor2, value)
    return _addcmul.deliver(out, *_operands("addcmul", input, tensor1, tensor2, value))


@method
def addcmul_(input: Tensor, tensor1: Any, tensor2: Tensor, last: Tensor | None = None, *, value: Any = 1) -> Tensor:
    """In-place form of `addcmul`."""
    if last is not None:
        value, tensor1, tensor2 = number_first("addcmul_", "value", tensor1), tensor2, last
    return _addcmul.write(input, *_operands("addcmul", input, tensor1, tensor2, value))


@both
def addcdiv(
    input: Tensor, tensor1: Any, tensor2: Tensor, last: Tensor | None = None, *, value: Any = 1, out: Tensor | None = None
) -> Tensor:
    """``out[...] = input[...] + value * tensor1[...] / tensor2[...]``.

    ``addcdiv(input, value, tensor1, tensor2)`` is an older way to say it.

    Raises:
        RuntimeError: both tensors of the quotient hold integers.
    """
    if last is not None:
        value, tensor1, tensor2 = number_first("addcdiv", "value", tensor1), tensor2, last
    if out is None and type(input) is type(tensor1) is type(tensor2) is Tensor and type(value) in NUMBERS:
        key = input.layout, tensor1.layout, tensor2.layout, type(value)
        return _addcdiv.plans[key](input, tensor1, tensor2, value)
    return _addcdiv.deliver(out, *_operands("addcdiv", input, tensor1, tensor2, value))


@method
def addcdiv_(input: Tensor, tensor1: Any, tensor2: Tensor, last: Tensor | None = None, *, value: Any = 1) -> Tensor:
    """In-place form of `addcdiv`."""
    if last is not None:
        value, tensor1, tensor2 = number_first("addcdiv_", "value", tensor1), tensor2, last
    return _addcdiv.write(input, *_operands("addcdiv", input, tensor1, tensor2, value))
