"""How an operator becomes a function, a method, an in-place twin and an ``out=`` form.

    @public                 pellucid.f(...)
    @method                 tensor.f(...)
    @public @method         both

``deliver`` serves ``out=``, ``in_place`` serves the twins with a trailing underscore.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from operator import index
from types import FunctionType
from typing import Any, TypeVar

from pellucid.autograd import inplace
from pellucid.autograd.methods import replace_cells
from pellucid.dtypes import DType, can_cast
from pellucid.errors import shape_text
from pellucid.layout import Layout, is_dense, layout_of, overlaps_itself, span
from pellucid.runtime import native
from pellucid.tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])

PUBLIC: dict[str, Any] = {}


def public(function: F, name: str | None = None) -> F:
    """Publish as ``pellucid.<name>`` (a trailing underscore that avoids a Python name is dropped by ``name``)."""
    PUBLIC[name or function.__name__] = function
    if isinstance(function, FunctionType) and function.__qualname__ == (name or function.__name__):
        function.__module__ = "pellucid"  # where pickle finds it
    return function


def method(function: F, name: str | None = None) -> F:
    """Publish as ``Tensor.<name>``; the first parameter is the tensor."""
    setattr(Tensor, name or function.__name__, function)
    return function


def both(function: F, name: str | None = None) -> F:
    return method(public(function, name), name)


def key_of(operand: Any) -> Layout | type:
    """What a plan must know of an operand: a tensor's layout, a Python number's type."""
    return operand.layout if isinstance(operand, Tensor) else type(operand)


def wrap_dim(operator: str, dim: int, ndim: int) -> int:
    """A dimension counted from the front; a 0-d tensor has the dimensions -1 and 0.

    Raises:
        IndexError: there is no such dimension. TypeError: it is not a whole number, or none was given.
    """
    if type(dim) is not int:
        dim = _whole(operator, dim)
    most = max(ndim, 1)
    if not -most <= dim < most:
        raise IndexError(
            f"{operator}(): Dimension out of range (expected to be in range of [{-most}, {most - 1}], but got {dim})"
        )
    return dim + most if dim < 0 else dim


def _whole(operator: str, dim: Any) -> int:
    """A dimension given as another kind of integer: NumPy's, or a tensor without dimensions."""
    if dim is None:
        raise TypeError(f"{operator}() missing 1 required positional argument: 'dim'")
    try:
        return index(dim)
    except TypeError:
        raise TypeError(f"{operator}(): argument 'dim' must be int, not {type(dim).__name__}") from None


def deliver(result: Any, out: Tensor | None, operator: str, follow: bool = False) -> Any:
    """Hand ``result`` over; with ``out``, write it there (resized if its shape is another) and hand that over.

    Args:
        follow: an ``out`` that is resized gets the strides of the result; otherwise it is contiguous.

    Raises:
        RuntimeError: the result's dtype cannot be cast to that of ``out``; gradients are asked through ``out``.
    """
    if out is None:
        return result
    if not isinstance(out, Tensor):
        raise TypeError(f"{operator}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if native.grad_enabled() and (result.tracked or out.tracked):
        raise RuntimeError(
            f"{operator}(): functions with out=... arguments don't support automatic differentiation, but one of the "
            "arguments requires grad. Use the form without out=, or torch.no_grad()."
        )
    require_castable(operator, result.layout.dtype, out.layout.dtype)
    if out.layout.shape != result.layout.shape:
        resize_out(out, result.layout, operator, follow)
    out.copy_(result)
    return out


def resize_out(out: Tensor, wanted: Layout, operator: str, follow: bool = False) -> None:
    """Give ``out`` the result's shape, in new memory if its own is too small; ``follow``: and its strides."""
    if out.layout.numel:
        warnings.warn(
            f"An output with one or more elements was resized since it had shape {list(out.layout.shape)}, which does "
            f"not match the required output shape {list(wanted.shape)}. This behavior is deprecated, and in a future "
            f"release outputs will not be resized unless they have zero elements ({operator}). You can explicitly "
            "reuse an out tensor t by resizing it, inplace, to zero elements with t.resize_(0).",
            UserWarning,
            stacklevel=4,
        )
    out.resize_(wanted.shape)
    if follow and wanted.strides != out.layout.strides:
        replace_cells(out, layout_of(wanted.shape, wanted.strides, out.layout.dtype, wanted.device), out.storage, out.ptr)


def require_castable(operator: str, source: DType, target: DType) -> None:
    if not can_cast(source, target):
        raise RuntimeError(
            f"{operator}(): result type {source.scalar_name} can't be cast to the desired output type "
            f"{target.scalar_name}. Convert the operands first, for example with .to({target!r})."
        )


def require_writable(operator: str, x: Tensor, operands: tuple[Any, ...]) -> None:
    """No two cells of ``x`` share memory, and no operand overlaps it unless it is exactly ``x``.

    Raises:
        RuntimeError: what is written would also be read, or written twice.
    """
    if overlaps_itself(x.layout):
        raise RuntimeError(
            f"{operator}(): unsupported operation: more than one element of the written-to tensor "
            f"{shape_text(x.layout.shape)} refers to a single memory location (it was expanded). "
            "Please clone() the tensor before performing the operation."
        )
    for y in operands:
        if isinstance(y, Tensor) and y is not x and y.storage is x.storage and _partly_overlap(x, y):
            raise RuntimeError(
                f"{operator}(): unsupported operation: some elements of the input tensor and the written-to tensor "
                "refer to a single memory location. Please clone() the tensor before performing the operation."
            )


def _partly_overlap(x: Tensor, y: Tensor) -> bool:
    """Whether two blocks of memory overlap without being the same; parts with holes may lie between each other."""
    if not (is_dense(x.layout) and is_dense(y.layout)):
        return False
    if x.ptr == y.ptr and x.layout.strides == y.layout.strides and x.layout.shape == y.layout.shape:
        return False
    (a, b), (c, d) = (span(t.layout) for t in (x, y))
    size_x, size_y = x.layout.dtype.itemsize, y.layout.dtype.itemsize
    return x.ptr + a * size_x < y.ptr + d * size_y and y.ptr + c * size_y < x.ptr + b * size_x


in_place = inplace.in_place
