"""The gradients of convolutions by themselves: with respect to the input, and to the weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pellucid.autograd import enable_grad, grad, is_grad_enabled
from pellucid.operators.convolution import conv1d, conv2d, conv3d
from pellucid.operators.creation import zeros


def _of_input(
    convolution: Callable[..., Any], size: Sequence[int], weight: Any, grad_output: Any, *options: Any
) -> Any:
    x = zeros(tuple(size), dtype=weight.dtype).requires_grad_()
    with_graph = is_grad_enabled()
    with enable_grad():
        y = convolution(x, weight, None, *options)
    return grad(y, x, grad_output, create_graph=with_graph)[0]


def _of_weight(
    convolution: Callable[..., Any], input: Any, size: Sequence[int], grad_output: Any, *options: Any
) -> Any:
    w = zeros(tuple(size), dtype=input.dtype).requires_grad_()
    with_graph = is_grad_enabled()
    with enable_grad():
        y = convolution(input, w, None, *options)
    return grad(y, w, grad_output, create_graph=with_graph)[0]


def conv1d_input(
    input_size: Sequence[int], weight: Any, grad_output: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Any:  # fmt: skip
    """The gradient of `conv1d` with respect to an input of ``input_size``."""
    return _of_input(conv1d, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv1d_weight(
    input: Any, weight_size: Sequence[int], grad_output: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Any:  # fmt: skip
    """The gradient of `conv1d` with respect to a weight of ``weight_size``."""
    return _of_weight(conv1d, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv2d_input(
    input_size: Sequence[int], weight: Any, grad_output: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Any:  # fmt: skip
    """The gradient of `conv2d` with respect to an input of ``input_size``."""
    return _of_input(conv2d, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv2d_weight(
    input: Any, weight_size: Sequence[int], grad_output: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Any:  # fmt: skip
    """The gradient of `conv2d` with respect to a weight of ``weight_size``."""
    return _of_weight(conv2d, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv3d_input(
    input_size: Sequence[int], weight: Any, grad_output: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Any:  # fmt: skip
    """The gradient of `conv3d` with respect to an input of ``input_size``."""
    return _of_input(conv3d, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv3d_weight(
    input: Any, weight_size: Sequence[int], grad_output: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Any:  # fmt: skip
    """The gradient of `conv3d` with respect to a weight of ``weight_size``."""
    return _of_weight(conv3d, input, weight_size, grad_output, stride, padding, dilation, groups)
