"""The linear layer's product, with its bias added in the same pass."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from pellucid.autograd.graph import Node, recorder, recording
from pellucid.errors import shape_text
from pellucid.layout import Layout
from pellucid.operators.define import deliver, public
from pellucid.operators.products import biased_plan, check_dtypes, matmul
from pellucid.plan import Plan, PlanTable
from pellucid.tensor import Tensor


class LinearRule:
    """y = x W^T + b: dx = dy W*, dW = dy^T x* (conjugates), db = the sum of dy over all rows."""

    name = "AddmmBackward0"

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return tuple(k for k, asked in ((1, needed[1]), (2, needed[0])) if asked)

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        saved, g = node.unpack(), grads[0]
        by_input = matmul(g, saved[2].conj()) if node.edges[0] is not None else None
        shape = g.layout.shape
        count = prod(shape[:-1])
        rows = g if len(shape) == 2 else g.reshape(count, shape[-1])
        by_weight = by_bias = None
        if node.edges[1] is not None:
            x = saved[1]
            by_weight = matmul(rows.t(), x.reshape(count, x.layout.shape[-1]).conj())
        if len(node.edges) > 2 and node.edges[2] is not None:
            by_bias = rows.sum(0)
        return (by_input, by_weight, by_bias)[: len(node.edges)]


def _plan(x: Layout, weight: Layout, bias: Layout | None) -> Plan:
    operands = [x, weight] if bias is None else [x, weight, bias]
    check_dtypes("linear", *operands)
    if x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise RuntimeError(
            f"linear(): mat1 and mat2 shapes cannot be multiplied: the last dimension of the input "
            f"{shape_text(x.shape)} must be in_features = {weight.shape[1]}, as the weight is "
            f"{shape_text(weight.shape)} = (out_features, in_features)"
        )
    if bias is not None and tuple(bias.shape) != (weight.shape[0],):
        raise RuntimeError(
            f"linear(): the bias {shape_text(bias.shape)} must be (out_features,) = ({weight.shape[0]},)"
        )
    plan, result = biased_plan(x, weight, bias)
    return recording(plan, recorder(LinearRule(), [result], operands))


_plans = PlanTable(_plan)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None, *, out: Tensor | None = None) -> Tensor:
    """``out[..., o] = sum_i input[..., i] * weight[o, i] + bias[o]``.

    Raises:
        RuntimeError: unfit shapes, different dtypes.
    """
    if out is not None:
        return deliver(linear(input, weight, bias), out, "linear")
    x, w = input.layout, weight.layout
    if w.ndim != 2 or not (x.dtype.is_floating_point or x.dtype.is_complex):
        product = matmul(input, weight.t())
        return product if bias is None else product + bias  # type: ignore[operator]
    if bias is None:
        return _plans[x, w, None](input, weight)
    return _plans[x, w, bias.layout](input, weight, bias)


@public
def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """``out[..., o] = sum_ij input1[..., i] weight[o, i, j] input2[..., j] + bias[o]``.

    Raises:
        RuntimeError: unfit shapes.
    """
    same = input1.dim() == input2.dim() and tuple(input1.shape[:-1]) == tuple(input2.shape[:-1])
    if not same or tuple(weight.shape[1:]) != (input1.shape[-1], input2.shape[-1]):
        raise RuntimeError(
            f"bilinear(): input1 {shape_text(input1.shape)} and input2 {shape_text(input2.shape)} must agree in all but "
            f"the last dimension, and the weight {shape_text(weight.shape)} must be (out, input1's last, input2's last)"
        )
    if bias is not None and bias.shape[0] != weight.shape[0]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias.shape[0]} but expected {weight.shape[0]}"
        )
    out, first, second = weight.shape
    count = prod(input1.shape[:-1])
    rows1, rows2 = input1.reshape(count, first), input2.reshape(count, second)
    halfway = matmul(rows1, weight.permute(1, 0, 2).reshape(first, out * second)).reshape(count, out, second)
    result: Any = matmul(halfway, rows2.unsqueeze(-1))
    result = result.reshape(*input1.shape[:-1], out)
    return result if bias is None else result + bias
