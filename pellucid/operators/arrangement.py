"""How a tensor lies in memory: its sizes and strides, and views that take the tensor's own place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

from pellucid.layout import Size
from pellucid.memory_format import contiguous_format, has_format, memory_format, require_memory_format
from pellucid.operators import parts, views
from pellucid.operators.define import method, wrap_dim
from pellucid.runtime import native
from pellucid.tensor import Tensor


@overload
def size(input: Tensor, dim: None = None) -> Size: ...
@overload
def size(input: Tensor, dim: int) -> int: ...
@method
def size(input: Tensor, dim: int | None = None) -> Size | int:
    """The shape, or the size of one dimension."""
    layout = input.layout
    return layout.shape if dim is None else layout.shape[_existing("size", dim, layout.ndim)]


@method
def stride(input: Tensor, dim: int | None = None) -> tuple[int, ...] | int:
    """How many cells of memory lie between neighbours: along each dimension, or along one."""
    layout = input.layout
    return layout.strides if dim is None else layout.strides[_existing("stride", dim, layout.ndim)]


def _existing(operator: str, dim: int, ndim: int) -> int:
    if ndim == 0:
        raise IndexError(f"{operator}(): Dimension specified as {dim} but tensor has no dimensions")
    return wrap_dim(operator, dim, ndim)


@method
def is_contiguous(input: Tensor, memory_format: memory_format = contiguous_format) -> bool:
    """Whether the cells lie in memory in their order, the last dimension fastest (or in another format's order)."""
    if memory_format is contiguous_format:
        return input.layout.contiguous
    return has_format(input.layout, require_memory_format(memory_format, "is_contiguous"), "is_contiguous")


@method
def is_set_to(input: Tensor, tensor: Tensor) -> bool:
    """Whether both are the same view of the same memory."""
    return input.storage.ptr == tensor.storage.ptr and input.ptr == tensor.ptr and input.layout is tensor.layout


@method
def _is_view(input: Tensor) -> bool:
    """Whether the tensor was made as a view of another one, ``input._base``."""
    return input.base is not None


Tensor._base = property(lambda x: x.base, doc="The tensor that this one is a view of, or None.")  # type: ignore[attr-defined]


# -- a view in the tensor's own place ---------------------------------------------------------------------------------


def require_no_leaf(x: Tensor) -> None:
    """Raises RuntimeError for a leaf that requires a gradient, where gradients are recorded."""
    if native.grad_enabled() and x.tracked and x.node is None:
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation. Take a view of it instead "
            "(x.t() for x.t_()), or change it under torch.no_grad()."
        )


def _become(x: Tensor, view: Callable[[Tensor], Tensor]) -> Tensor:
    """``x`` itself becomes the view ``view(x)``; its memory stays as it is.

    Raises:
        RuntimeError: ``x`` is a leaf that requires a gradient.
    """
    require_no_leaf(x)
    before = native.new_tensor(x.layout, x.storage, x.ptr)
    before.node, before.output_nr, before.tracked = x.node, x.output_nr, x.tracked
    seen = view(before)
    x.layout, x.ptr = seen.layout, seen.ptr
    if seen.tracked:
        x.node, x.output_nr = seen.node, seen.output_nr
    return x


@method
def squeeze_(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """`squeeze` of the tensor itself."""
    return _become(input, lambda x: views.squeeze(x, dim))


@method
def unsqueeze_(input: Tensor, dim: int) -> Tensor:
    """`unsqueeze` of the tensor itself."""
    return _become(input, lambda x: views.unsqueeze(x, dim))


@method
def transpose_(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """`transpose` of the tensor itself."""
    return _become(input, lambda x: views.transpose(x, dim0, dim1))


@method
def swapaxes_(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """`swapaxes` of the tensor itself."""
    return transpose_(input, axis0, axis1)


@method
def swapdims_(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """`swapdims` of the tensor itself."""
    return transpose_(input, dim0, dim1)


@method
def t_(input: Tensor) -> Tensor:
    """`t` of the tensor itself."""
    return _become(input, views.t)


@method
def as_strided_(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """`as_strided` of the tensor itself."""
    return _become(input, lambda x: parts.as_strided(x, size, stride, storage_offset))
