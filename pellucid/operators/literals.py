"""Tensors from data that is there: numbers, nested lists, NumPy arrays, buffers, and other tensors."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from pellucid import dtypes
from pellucid.dtypes import DType, from_numpy_dtype
from pellucid.layout import dense
from pellucid.operators.arguments import checked_dtype, finished, place
from pellucid.operators.conversion import to
from pellucid.operators.copying import clone, converted, require_fits
from pellucid.operators.define import method, public
from pellucid.operators.nested import PYTHON_NUMBERS, from_cells, from_sequence
from pellucid.operators.reading import CELL_TYPES
from pellucid.runtime import native
from pellucid.tensor import Tensor, array_of, empty_like_layout, tensor_on

_ZERO_DIM = {d: dense((), d) for d in dtypes.DTYPES.values()}


def made_of(data: Any, dtype: DType | None, operator: str) -> Tensor:
    """A tensor with a copy of the data."""
    kind = type(data)
    if kind in PYTHON_NUMBERS:
        return _from_number(data, dtype)
    if isinstance(data, Tensor):
        bare = detached(data)
        return clone(bare) if dtype is None or dtype is bare.dtype else converted(bare, dtype)
    if isinstance(data, np.generic) and data.dtype.kind in "biufcV":
        if dtype is not None and dtype.kind in "iu":
            return _from_number(data.item(), dtype)
        return from_cells(np.asarray(data), from_numpy_dtype(data.dtype) if dtype is None else dtype)
    if isinstance(data, np.ndarray):
        return from_cells(data, _array_dtype(data) if dtype is None else dtype)
    if isinstance(data, bool | int | float | complex):
        return _from_number(data, dtype)
    if isinstance(data, str | bytes):
        raise TypeError(f"{operator}(): new(): invalid data type '{kind.__name__}': {data!r} is not numbers")
    if hasattr(data, "__array__") or hasattr(data, "__array_interface__"):
        return made_of(np.asarray(data), dtype, operator)
    if hasattr(data, "__dlpack__"):
        return made_of(np.from_dlpack(data), dtype, operator)
    if not isinstance(data, dict) and (isinstance(data, Sequence) or (hasattr(data, "__len__") and hasattr(data, "__getitem__"))):
        return from_sequence(data, dtype)
    raise RuntimeError(
        f"{operator}(): Could not infer dtype of {kind.__name__}: data must be numbers, nested lists of numbers, "
        "arrays or tensors"
    )


def _from_number(value: Any, dtype: DType | None) -> Tensor:
    wanted = dtypes.infer_scalar_dtype(value) if dtype is None else dtype
    if isinstance(value, complex) and not (wanted.is_complex or wanted is dtypes.bool_):
        raise TypeError(f"tensor(): must be real number, not complex; ask for a complex dtype instead of {wanted!r}")
    made = empty_like_layout(_ZERO_DIM[wanted])
    if wanted.kind in "iu":
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << (64 if wanted is dtypes.uint64 else 63):
            raise ValueError(f"tensor(): Overflow when unpacking long long: {value} needs more than 64 bits")
        require_fits(value, wanted, "tensor")
        value = int(value)
        if wanted.kind == "u":
            value %= 1 << 8 * wanted.itemsize
    cell = CELL_TYPES.get(wanted)
    if cell is not None:
        cell.from_address(made.ptr).value = value
        return made
    with np.errstate(over="ignore"):
        array_of(made)[()] = value if wanted.is_complex else float(value)  # ml_dtypes takes no integers of 64 bits
    return made


def _array_dtype(array: np.ndarray[Any, Any]) -> DType:
    if array.dtype == ml_dtypes.bfloat16:
        return dtypes.bfloat16
    return from_numpy_dtype(array.dtype)


def detached(x: Tensor) -> Tensor:
    return native.new_tensor(x.layout, x.storage, x.ptr)


@public
def tensor(
    data: Any, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """A tensor with a copy of ``data``: a number, nested sequences of numbers, a NumPy array.

    Without ``dtype``: bool, int64, the default dtype for floats, complex; an array keeps its own.

    Raises:
        ValueError: parts of unequal length. TypeError, RuntimeError: what is not a number, or does not fit ``dtype``.
    """
    wanted = None if dtype is None else checked_dtype("tensor", dtype)
    place("tensor", device, None, pin_memory)
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).",
            UserWarning,
            stacklevel=2,
        )
    return finished(made_of(data, wanted, "tensor"), "tensor", requires_grad)


@public
def as_tensor(data: Any, dtype: DType | None = None, device: Any = None) -> Tensor:
    """``data`` as a tensor, without a copy if it is one, or an array of that dtype; gradients keep flowing."""
    wanted = None if dtype is None else checked_dtype("as_tensor", dtype)
    place("as_tensor", device)
    if isinstance(data, Tensor):
        return data if wanted is None else to(data, wanted)
    if isinstance(data, np.ndarray) and (wanted is None or _array_dtype(data) is wanted):
        return from_numpy(data)
    return made_of(data, wanted, "as_tensor")


@public
def asarray(
    obj: Any,
    *,
    dtype: DType | None = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """``obj`` as a tensor; ``copy`` says whether memory must (True) or must not (False) be new.

    Raises:
        ValueError: ``copy=False`` where only a copy will do; RuntimeError: for a NumPy number.
    """
    wanted = None if dtype is None else checked_dtype("asarray", dtype)
    place("asarray", device)
    shared: Tensor | None = None
    if isinstance(obj, Tensor):
        shared = obj
    elif isinstance(obj, np.generic) and copy is False:
        raise RuntimeError("asarray(): can't alias NumPy scalars: leave copy=False away, or make an array of it first")
    elif isinstance(obj, np.ndarray | np.generic):
        shared = from_numpy(np.asarray(obj))
    elif hasattr(obj, "__dlpack__") or type(obj).__name__ == "PyCapsule":
        shared = from_dlpack(obj)
    elif isinstance(obj, bytes | bytearray | memoryview):
        shared = frombuffer(obj, dtype=wanted or dtypes.get_default_dtype())
    if shared is None:
        if copy is False:
            raise ValueError(
                f"asarray(): can't alias arbitrary sequence: a {type(obj).__name__} must be copied; leave copy= away"
            )
        return finished(made_of(obj, wanted, "asarray"), "asarray", requires_grad)
    if wanted is not None and wanted is not shared.dtype:
        if copy is False:
            raise ValueError(f"asarray(): can't alias tensor with dtype {shared.dtype!r} into dtype {wanted!r}")
        shared = to(shared, wanted)
    elif copy:
        shared = clone(shared)
    if requires_grad and not shared.tracked:
        return finished(detached(shared) if shared is obj else shared, "asarray", True)
    return shared if requires_grad or not shared.tracked else detached(shared)


@public
def from_numpy(ndarray: np.ndarray[Any, Any]) -> Tensor:
    """A tensor on the array's memory: writing through one shows in the other. Negative strides are welcome.

    Raises:
        TypeError: not an array, or of a dtype that tensors do not have.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy(): expected np.ndarray (got {type(ndarray).__name__}); use tensor() for lists")
    dtype = _array_dtype(ndarray)
    if any(s % dtype.itemsize for s in ndarray.strides):
        raise ValueError(
            f"from_numpy(): strides {ndarray.strides} (in bytes) are no multiples of the element size "
            f"{dtype.itemsize}; pass array.copy()"
        )
    if not ndarray.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable, and PyTorch does not support non-writable tensors. This means "
            "writing to this tensor will result in undefined behavior. Copy the array to protect its data.",
            UserWarning,
            stacklevel=2,
        )
    return tensor_on(ndarray, dtype)


@public
def frombuffer(
    buffer: Any, *, dtype: DType, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A 1-D tensor on the memory of an object with the buffer protocol, from byte ``offset`` on.

    Raises:
        ValueError: the buffer is empty, too short, or not a multiple of the element size; or it is none.
    """
    kind = checked_dtype("frombuffer", dtype)
    try:
        view = memoryview(buffer).cast("B")
    except TypeError:
        raise ValueError(
            f"frombuffer(): object does not implement Python buffer protocol: {type(buffer).__name__}; use tensor()"
        ) from None
    if not len(view) or not count:
        raise ValueError(f"frombuffer(): both buffer length ({len(view)}) and count ({count}) must not be 0")
    if not 0 <= offset < len(view):
        raise ValueError(
            f"frombuffer(): offset ({offset} bytes) must be non-negative and no greater than buffer length "
            f"({len(view)} bytes) minus 1"
        )
    left = len(view) - offset
    if count < 0:
        if left % kind.itemsize:
            raise ValueError(
                f"frombuffer(): buffer length ({left} bytes) after offset ({offset} bytes) must be a multiple of "
                f"element size ({kind.itemsize})"
            )
        count = left // kind.itemsize
    if count * kind.itemsize > left:
        raise ValueError(
            f"frombuffer(): requested buffer length ({count} * {kind.itemsize} bytes) after offset ({offset} bytes) "
            f"must not be greater than actual buffer length ({len(view)} bytes)"
        )
    if view.readonly:
        warnings.warn(
            "The given buffer is not writable, and PyTorch does not support non-writable tensors: writing to this "
            "tensor is undefined behavior. Copy the buffer to protect its data.",
            UserWarning,
            stacklevel=2,
        )
    cells = np.frombuffer(buffer, np.uint8, count * kind.itemsize, offset).view(kind.numpy)
    return finished(tensor_on(cells, kind), "frombuffer", requires_grad)


# -- DLPack -------------------------------------------------------------------------------------------------------


class _Capsule:
    """A DLPack capsule as an object that hands it out."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


@public
def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor on the memory of any object that speaks DLPack on the CPU, or of a capsule that one gave.

    Raises:
        BufferError: a tensor that requires a gradient; RuntimeError: an object that does not speak DLPack.
    """
    if type(ext_tensor).__name__ == "PyCapsule":
        ext_tensor = _Capsule(ext_tensor)
    if not hasattr(ext_tensor, "__dlpack__"):
        raise RuntimeError(f"from_dlpack(): a {type(ext_tensor).__name__} has no __dlpack__ method; use tensor()")
    if isinstance(ext_tensor, Tensor):
        _require_untracked(ext_tensor)
        return clone(detached(ext_tensor)) if copy else detached(ext_tensor)
    place("from_dlpack", device)
    array = np.from_dlpack(ext_tensor)
    return from_cells(array, _array_dtype(array)) if copy else tensor_on(array, _array_dtype(array))


@method
def __dlpack__(self: Tensor, **options: Any) -> Any:
    """The capsule that other libraries take the memory by.

    Raises:
        BufferError: the tensor requires a gradient.
    """
    _require_untracked(self)
    return self.numpy().__dlpack__(**options)


def _require_untracked(x: Tensor) -> None:
    if x.tracked:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")


@method
def __dlpack_device__(self: Tensor) -> tuple[int, int]:
    """(1, 0): the processor."""
    return 1, 0


@public
def to_dlpack(tensor: Tensor) -> Any:
    """The capsule that other libraries, and `from_dlpack`, take the memory by; it can be taken once."""
    return __dlpack__(detached(tensor))


@public
def is_tensor(obj: Any) -> bool:
    """Whether ``obj`` is a tensor."""
    return isinstance(obj, Tensor)
