"""Convolutions as matrix products: windows are laid out as columns, and BLAS multiplies them by the weight.

out[n, o, y, x] = bias[o] + sum over c, i, j of weight[o, c, i, j] * input[n, c, y*s + i*d - p, x*s + j*d - p]
"""

from __future__ import annotations

from typing import Any

from pellucid.dtypes import float32
from pellucid.errors import shape_text
from pellucid.operators.define import public
from pellucid.operators.products import HALVES
from pellucid.operators.windows import Window, fold_windows, pair, require_room, unfold_windows, window_of
from pellucid.tensor import Tensor


def _padding(operator: str, padding: Any, window: Window) -> tuple[Any, tuple[int, int]]:
    """Symmetric padding for the windows, and what 'same' adds on the far side: ((p, p), (extra rows, columns))."""
    if not isinstance(padding, str):
        return padding, (0, 0)
    if padding == "valid":
        return 0, (0, 0)
    if padding != "same":
        raise RuntimeError(f"{operator}(): Invalid padding string: '{padding}'; it must be 'same' or 'valid'")
    if window.stride != (1, 1):
        raise RuntimeError(f"{operator}(): padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for k, d in zip(window.kernel, window.dilation, strict=True)]
    return (total[0] // 2, total[1] // 2), (total[0] % 2, total[1] % 2)


def _check(operator: str, input: Tensor, weight: Tensor, bias: Tensor | None, groups: int, dims: int) -> None:
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
    _check("conv2d", input, weight, bias, groups, 2)
    if input.dim() == 3:
        return conv2d(input.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)
    if input.dtype in HALVES:
        x, w, b = (None if t is None else t.to(float32) for t in (input, weight, bias))
        return conv2d(x, w, b, stride, padding, dilation, groups).to(input.dtype)
    kernel = tuple(weight.shape[2:])
    plain = window_of("conv2d", kernel, stride, 0, dilation)
    padding, extra = _padding("conv2d", padding, plain)
    if extra != (0, 0):
        from pellucid.operators.padding import pad

        input = pad(input, (0, extra[1], 0, extra[0]))
    window = window_of("conv2d", kernel, stride, padding, dilation)
    require_room("conv2d", input.layout, window.count(tuple(input.shape[2:])), window)
    return _multiplied(_columns(input, window), input, weight, bias, groups, window)


def _columns(input: Any, window: Window) -> Any:
    """(N, C * kernel cells, positions). Windows of one cell are the input itself."""
    n, c = input.shape[:2]
    if window == Window((1, 1), (1, 1), (0, 0), window.dilation):
        return input.reshape(n, c, -1)
    windows = unfold_windows(input, window)
    return windows.view(n, c * window.kernel[0] * window.kernel[1], -1)


def _multiplied(columns: Any, input: Any, weight: Any, bias: Any, groups: int, window: Window) -> Any:
    n, out = input.shape[0], weight.shape[0]
    if groups == 1:
        product = weight.reshape(out, -1) @ columns
    else:
        by_group = columns.reshape(n, groups, -1, columns.shape[-1])
        product = weight.reshape(groups, out // groups, -1) @ by_group
    result = product.reshape(n, out, *window.count(tuple(input.shape[2:])))
    return result if bias is None else result + bias.view(1, -1, 1, 1)


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
    """One-dimensional convolution of (N, C, L) or (C, L): a ``conv2d`` of height 1."""
    _check("conv1d", input, weight, bias, groups, 1)
    one = [v if isinstance(v, int | str) else v[0] for v in (stride, padding, dilation)]
    across = one[1] if isinstance(one[1], str) else (0, one[1])
    result = conv2d(input.unsqueeze(-2), weight.unsqueeze(-2), bias, (1, one[0]), across, (1, one[2]), groups)
    return result.squeeze(-2)


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
    options = (stride, padding, output_padding, groups, dilation)
    if input.dim() == 3:
        return conv_transpose2d(input.unsqueeze(0), weight, bias, *options).squeeze(0)
    n, c, height, width = input.shape
    if weight.dim() != 4 or c != weight.shape[0] or c % groups:
        raise RuntimeError(
            f"conv_transpose2d(): Given transposed=1, weight of size {list(weight.shape)}, expected input"
            f"{list(input.shape)} to have {weight.shape[0]} channels, but got {c} channels instead"
        )
    if input.dtype in HALVES:
        x, w, b = (None if t is None else t.to(float32) for t in (input, weight, bias))
        return conv_transpose2d(x, w, b, *options).to(input.dtype)
    window = window_of("conv_transpose2d", tuple(weight.shape[2:]), stride, padding, dilation)
    extra = pair("conv_transpose2d", "output_padding", output_padding)
    size = tuple(
        (m - 1) * s - 2 * p + d * (k - 1) + e + 1
        for m, k, s, p, d, e in zip((height, width), *window._parts(), extra, strict=True)
    )
    cells, out = window.kernel[0] * window.kernel[1], weight.shape[1]
    by_group = weight.reshape(groups, c // groups, out * cells).transpose(1, 2)
    columns = by_group @ input.reshape(n, groups, c // groups, height * width)
    windows = columns.reshape(n, groups * out, *window.kernel, height, width)
    result = fold_windows(windows, (size[0], size[1]), window)
    return result if bias is None else result + bias.view(1, -1, 1, 1)


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
    """The transpose of ``conv1d``: a ``conv_transpose2d`` of height 1; ``weight`` is (C, O / groups, kL)."""
    step, edge, extra, apart = (v if isinstance(v, int) else v[0] for v in (stride, padding, output_padding, dilation))
    result = conv_transpose2d(
        input.unsqueeze(-2), weight.unsqueeze(-2), bias, (1, step), (0, edge), (0, extra), groups, (1, apart)
    )
    return result.squeeze(-2)
