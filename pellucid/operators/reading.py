"""A tensor's numbers as Python and NumPy see them."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any
from warnings import warn

import numpy as np

from pellucid import dtypes
from pellucid.dtypes import DType, bfloat16
from pellucid.errors import shape_text
from pellucid.operators.define import method
from pellucid.printing import tensor_repr
from pellucid.runtime import native
from pellucid.tensor import Tensor, array_of, tensor_on

CELL_TYPES: dict[DType, Any] = {
    dtypes.float32: ctypes.c_float,
    dtypes.float64: ctypes.c_double,
    dtypes.int64: ctypes.c_int64,
    dtypes.int32: ctypes.c_int32,
    dtypes.int16: ctypes.c_int16,
    dtypes.int8: ctypes.c_int8,
    dtypes.uint8: ctypes.c_uint8,
    dtypes.uint16: ctypes.c_uint16,
    dtypes.uint32: ctypes.c_uint32,
    dtypes.uint64: ctypes.c_uint64,
    dtypes.bool_: ctypes.c_bool,
}


def _not_single(x: Tensor) -> str:
    return (
        f"a Tensor with {x.layout.numel} elements cannot be converted to Scalar (only one element tensors can be "
        f"converted to Python scalars): its shape is {shape_text(x.layout.shape)}; pick one element by an index, or "
        "reduce it by sum(), mean() or max()"
    )


@method
def item(input: Tensor) -> Any:
    """The only element, as a Python number.

    Raises:
        RuntimeError: there are more elements, or none.
    """
    layout = input.layout
    if layout.numel != 1:
        raise RuntimeError(_not_single(input))
    cell = CELL_TYPES.get(layout.dtype)
    if cell is not None:
        return cell.from_address(input.ptr).value
    value = array_of(input).reshape(-1)[0]
    return complex(value) if layout.dtype.is_complex else float(value)


@method
def tolist(input: Tensor) -> Any:
    """The elements as nested lists of Python numbers; a tensor without dimensions gives the number."""
    layout = input.layout
    cell = CELL_TYPES.get(layout.dtype)
    if layout.ndim == 1 and layout.contiguous and cell is not None:
        return (cell * layout.numel).from_address(input.ptr)[:]
    array = array_of(input)
    return (array.astype(np.float32) if input.layout.dtype is bfloat16 else array).tolist()


@method
def numpy(input: Tensor, *, force: bool = False) -> np.ndarray[Any, Any]:
    """A NumPy array on the same memory; writing through one shows in the other.

    Args:
        force: detach the tensor first if gradients flow through it.

    Raises:
        RuntimeError: gradients flow through the tensor, and are on. TypeError: NumPy has no such type (bfloat16).
    """
    if input.tracked and not force and native.grad_enabled():
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
    if input.layout.dtype is bfloat16:
        raise TypeError("numpy(): Got unsupported ScalarType BFloat16: NumPy has no bfloat16; use .float().numpy()")
    return array_of(input)


def __array__(self: Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
    array = numpy(self)
    if dtype is not None and np.dtype(dtype) != array.dtype:
        if copy is False:
            raise ValueError(f"__array__(): a copy is needed to go from {array.dtype} to {np.dtype(dtype)}")
        return array.astype(dtype)
    return array.copy() if copy else array


def __array_wrap__(self: Tensor, array: Any, context: Any = None, return_scalar: bool = False) -> Tensor:
    from pellucid.operators.literals import from_numpy

    return from_numpy(np.asarray(array))


def _number(x: Tensor) -> Any:
    if x.layout.numel != 1:
        raise ValueError(_not_single(x))
    return item(x)


_told_of_gradients = False


def warn_of_gradient(x: Tensor, stacklevel: int) -> None:
    """Say, once per process, that a number that is read from ``x`` has no gradient."""
    global _told_of_gradients
    if x.tracked and native.grad_enabled() and not _told_of_gradients:
        _told_of_gradients = True
        warn(
            "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\n"
            "Consider using tensor.detach() first.",
            UserWarning,
            stacklevel=stacklevel + 1,
        )


def __float__(self: Tensor) -> float:
    warn_of_gradient(self, 2)
    return float(_real(_number(self), "float"))


def __int__(self: Tensor) -> int:
    return int(_real(_number(self), "int"))


def _real(value: Any, kind: str) -> Any:
    if isinstance(value, complex):
        if value.imag:
            raise RuntimeError(
                f"value cannot be converted to type {kind} without overflow: {value} is complex; use .real"
            )
        return value.real
    return value


def __complex__(self: Tensor) -> complex:
    warn_of_gradient(self, 2)
    return complex(_number(self))


def __bool__(self: Tensor) -> bool:
    n = self.layout.numel
    if n != 1:
        raise RuntimeError(
            "Boolean value of Tensor with "
            + ("no values" if n == 0 else "more than one value")
            + f" is ambiguous: its shape is {shape_text(self.layout.shape)}; use .any() or .all()"
        )
    return bool(item(self))


def __index__(self: Tensor) -> int:
    dtype = self.layout.dtype
    if self.layout.numel != 1 or dtype.kind not in "iub":
        raise TypeError(
            "only integer tensors of a single element can be converted to an index, not "
            f"{dtype.name} {shape_text(self.layout.shape)}"
        )
    return int(item(self))


def __repr__(self: Tensor, *, tensor_contents: str | None = None) -> str:
    """As PyTorch prints it; the values, then what is not implied by them."""
    layout = self.layout
    array = array_of(self)
    name = None if self.node is None else self.node.name()
    requires = self.tracked and self.node is None
    title = "tensor" if type(self) is Tensor else type(self).__name__
    return tensor_repr(array, layout.dtype, requires_grad=requires, grad_fn_name=name, class_name=title)


def __format__(self: Tensor, spec: str) -> str:
    if self.layout.ndim == 0:
        return item(self).__format__(spec)
    return object.__format__(self, spec)


def __contains__(self: Tensor, element: Any) -> bool:
    if isinstance(element, Tensor | bool | int | float | complex):
        equal: Any = self == element
        return bool(equal.any())
    raise RuntimeError(
        f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element).__name__}."
    )


def __iter__(self: Tensor) -> Iterator[Tensor]:
    if self.layout.ndim == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(self.unbind(0))


def __reversed__(self: Tensor) -> Tensor:
    if self.layout.ndim == 0:
        return self
    return self.flip(0)


def __deepcopy__(self: Tensor, memo: dict[int, Any]) -> Tensor:
    """A copy with its own storage; tensors that share a storage share the copied one. Only leaves have copies."""
    if self.node is not None:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment. "
            "Use clone() or detach()."
        )
    if id(self) in memo:
        return memo[id(self)]
    storage = memo.get(id(self.storage))
    if storage is None:
        storage = native.alloc(self.storage.nbytes)
        ctypes.memmove(storage.ptr, self.storage.ptr, self.storage.nbytes)
        memo[id(self.storage)] = storage
    made = native.new_tensor(self.layout, storage, storage.ptr + (self.ptr - self.storage.ptr))
    return _dressed(self, made, memo)


def _dressed(source: Tensor, made: Tensor, memo: dict[int, Any]) -> Tensor:
    """``made`` with the class, attributes, gradient and requires_grad of ``source``."""
    import copy

    if type(source) is not Tensor:
        made.__class__ = type(source)
    memo[id(source)] = made
    made.tracked = source.tracked
    if source.gradient is not None:
        made.gradient = copy.deepcopy(source.gradient, memo)
    made.__dict__.update(copy.deepcopy(source.__dict__, memo))
    return made


def _rebuild(
    kind: type, array: np.ndarray[Any, Any], dtype: DType, tracked: bool, attributes: dict[str, Any]
) -> Tensor:
    t = tensor_on(array.view(dtype.numpy) if dtype is bfloat16 else array, dtype)
    if kind is not Tensor:
        t.__class__ = kind
    t.tracked = tracked
    t.__dict__.update(attributes)
    return t


def __reduce_ex__(self: Tensor, protocol: Any) -> tuple[Any, ...]:
    """Pickled through NumPy: the values, dtype, class and ``requires_grad``."""
    if self.node is not None:
        raise RuntimeError(
            "cannot pickle a tensor that a recorded operation made (it is not a leaf); use detach() or clone().detach()"
        )
    array = array_of(self)
    if self.layout.dtype is bfloat16:
        array = array.view(np.uint16)
    if not array.flags.c_contiguous and not array.flags.f_contiguous:
        array = np.ascontiguousarray(array)
    return _rebuild, (type(self), array, self.layout.dtype, self.tracked, dict(self.__dict__))


for _function in (
    __array__, __array_wrap__, __float__, __int__, __complex__, __bool__, __index__, __repr__, __format__,
    __contains__, __iter__, __reversed__, __deepcopy__, __reduce_ex__,
):  # fmt: skip
    method(_function)
Tensor.__array_priority__ = 1000  # type: ignore[attr-defined]
