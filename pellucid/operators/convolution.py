"""Convolutions and their transposes; correlation.py holds the products that they are.

out[n, o, y, x] = bias[o] + sum over c, i, j of weight[o, c, i, j] * input[n, c, y*s + i*d - p, x*s + j*d - p]
"""

from __future__ import annotations

from typing import Any

from pellucid.dtypes import float32
from pellucid.errors import shape_text
from pellucid.operators.arguments import require_tensor
from pellucid.operators.correlation import Geometry, correlate, spread
from pellucid.operators.define import public
from pellucid.operators.products import HALVES
from pellucid.operators.windows import Window, require_room, sizes_of, window_of


def _padding(operator: str, padding: Any, window: Window) -> tuple[Any, tuple[int, ...]]:
    """Symmetric padding for the windows, and what 'same' adds on the far side of each dimension."""
    none = (0,) * window.rank
    if not isinstance(padding, str):
        return padding, none
    if padding == "valid":
        return 0, none
    if padding != "same":
        raise RuntimeError(f"{operator}(): Invalid padding string: '{padding}'; it must be 'same' or 'valid'")
    if any(s != 1 for s in window.stride):
        raise RuntimeError(f"{operator}(): padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for k, d in zip(window.kernel, window.dilation, strict=True)]
    return tuple(t // 2 for t in total), tuple(t % 2 for t in total)


def _check(operator: str, input: Any, weight: Any, bias: Any, groups: int, dims: int) -> None:
    require_tensor(operator, input)
    require_tensor(operator, weight, "weight", 2)
    x, w = input.layout, weight.layout
    if w.ndim != dims + 2 or x.ndim not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"{operator}(): Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {operator}, but got "
            f"input of size: {list(x.shape)} and weight of size: {list(w.shape)}"
        )
    if x.dtype is not w.dtype or (bias is not None and bias.layout.dtype is not w.dtype):
        raise RuntimeError(
            f"{operator}(): Input type ({x.dtype!r}) and weight type ({w.dtype!r}) and bias type should be the same"
        )
    channels = x.shape[-dims - 1]
    if groups <= 0 or w.shape[0] % groups or channels != w.shape[1] * groups:
        raise RuntimeError(
            f"{operator}(): Given groups={groups}, weight of size {list(w.shape)}, expected input{list(x.shape)} to "
            f"have {w.shape[1] * groups} channels, but got {channels} channels instead"
        )
    if bias is not None and tuple(bias.layout.shape) != (w.shape[0],):
        raise RuntimeError(
            f"{operator}(): Given weight of size {list(w.shape)}, expected bias to be 1-dimensional with {w.shape[0]} "
            f"elements, but got bias of size {shape_text(bias.layout.shape)} instead"
        )


def _convolution(
    operator: str, rank: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    """The convolution over the last ``rank`` dimensions."""
    _check(operator, input, weight, bias, groups, rank)
    if input.dim() == rank + 1:
        options = (stride, padding, dilation, groups)
        return _convolution(operator, rank, input.unsqueeze(0), weight, bias, *options).squeeze(0)
    if input.dtype in HALVES:
        x, w, b = (None if t is None else t.to(float32) for t in (input, weight, bias))
        return _convolution(operator, rank, x, w, b, stride, padding, dilation, groups).to(input.dtype)
    kernel = tuple(weight.shape[2:])
    plain = window_of(operator, kernel, stride, 0, dilation, rank)
    padding, extra = _padding(operator, padding, plain)
    if any(extra):
        from pellucid.operators.padding import pad

        input = pad(input, [n for e in reversed(extra) for n in (0, e)])
    window = window_of(operator, kernel, stride, padding, dilation, rank)
    require_room(operator, input.layout, window.count(tuple(input.shape[2:])), window)
    return correlate(input, weight, bias, Geometry(window, groups))


@public
def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """One-dimensional convolution of (N, C, L) or (C, L) by ``weight`` (O, C / groups, kL)."""
    return _convolution("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


@public
def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """Two-dimensional convolution of (N, C, H, W) or (C, H, W) by ``weight`` (O, C / groups, kH, kW).

    ``padding``: numbers, 'valid' or 'same'.

    Raises:
        RuntimeError: unfit shapes, different dtypes, a kernel larger than the padded input.
    """
    return _convolution("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


@public
def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """Three-dimensional convolution of (N, C, D, H, W) or (C, D, H, W) by ``weight`` (O, C / groups, kD, kH, kW)."""
    return _convolution("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


# -- transposed -------------------------------------------------------------------------------------------------------


def _transposed(
    operator: str, rank: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any,
    groups: int, dilation: Any,
) -> Any:  # fmt: skip
    """The transpose of ``_convolution``: every cell is multiplied by the kernel and added where its window lay."""
    options = (stride, padding, output_padding, groups, dilation)
    if input.dim() == rank + 1:
        return _transposed(operator, rank, input.unsqueeze(0), weight, bias, *options).squeeze(0)
    if input.dim() != rank + 2 or weight.dim() != rank + 2:
        raise RuntimeError(
            f"{operator}(): Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input and {rank + 2}D weight, but "
            f"got input of size: {list(input.shape)} and weight of size: {list(weight.shape)}"
        )
    c, *count = input.shape[1:]
    if c != weight.shape[0] or groups <= 0 or c % groups:
        raise RuntimeError(
            f"{operator}(): Given transposed=1, groups={groups}, weight of size {list(weight.shape)}, expected input"
            f"{list(input.shape)} to have {weight.shape[0]} channels, but got {c} channels instead"
        )
    if input.dtype in HALVES:
        x, w, b = (None if t is None else t.to(float32) for t in (input, weight, bias))
        return _transposed(operator, rank, x, w, b, *options).to(input.dtype)
    window = window_of(operator, tuple(weight.shape[2:]), stride, padding, dilation, rank)
    extra = sizes_of(operator, "output_padding", output_padding, rank)
    if any(e >= max(s, d) or e < 0 for e, s, d in zip(extra, window.stride, window.dilation, strict=True)):
        raise RuntimeError(
            f"{operator}(): output padding must be smaller than either stride or dilation, but got output_padding="
            f"{extra}, stride={window.stride} and dilation={window.dilation}"
        )
    size = tuple(
        (m - 1) * s - 2 * p + d * (k - 1) + e + 1
        for m, k, s, p, d, e in zip(count, *window.parts(), extra, strict=True)
    )
    if min(size) < 1:
        raise RuntimeError(
            f"{operator}(): Given input size per channel {tuple(count)}, the calculated output size per channel {size} "
            "is too small"
        )
    result: Any = spread(input, weight, Geometry(window, groups), size)
    return result if bias is None else result + bias.view(1, -1, *(1,) * rank)


@public
def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """The transpose of ``conv1d``; ``weight`` is (C, O / groups, kL)."""
    return _transposed("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


@public
def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """The transpose of ``conv2d``: every cell of the input is multiplied by the kernel and added where it lay.

    ``weight`` is (C, O / groups, kH, kW).

    Raises:
        RuntimeError: unfit shapes, different dtypes.
    """
    return _transposed("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


@public
def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """The transpose of ``conv3d``; ``weight`` is (C, O / groups, kD, kH, kW)."""
    return _transposed("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)
