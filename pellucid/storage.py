"""Storage: bytes of memory that tensors share, and their sharing with NumPy.

A storage knows its address, its size and its ``version``, which counts the in-place writes: views share the storage
and so the counter, and what was saved for a derivative is compared with it. Memory comes from the pool, or belongs to
somebody else (``owner``). The type itself is native (``runtime/native.ll``), since one is made with every result.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from pellucid.dtypes import DType, bfloat16
from pellucid.layout import Layout, layout_of, span
from pellucid.runtime import native

Array = np.ndarray[Any, Any]


class _Memory:
    """What NumPy needs to know to look at memory; it keeps the storage alive."""

    __slots__ = ("__array_interface__", "storage")

    def __init__(self, storage: native.Storage, ptr: int, layout: Layout) -> None:
        self.storage = storage
        size = layout.dtype.itemsize
        self.__array_interface__ = {
            "version": 3,
            "shape": tuple(layout.shape),
            "typestr": f"<u{size}" if layout.dtype is bfloat16 else layout.dtype.numpy.str,
            "data": (ptr, False),
            "strides": tuple(s * size for s in layout.strides),
        }


def array_on(storage: native.Storage, ptr: int, layout: Layout) -> Array:
    """A NumPy array on a storage's memory, its first cell at ``ptr``."""
    if layout.contiguous and layout.numel:  # a buffer costs less than an array interface
        memory: Any = (ctypes.c_ubyte * layout.nbytes).from_address(ptr)
        memory.storage = storage
        return np.ndarray(layout.shape, layout.dtype.numpy, memory)
    array = np.asarray(_Memory(storage, ptr, layout))
    return array.view(layout.dtype.numpy) if layout.dtype is bfloat16 else array


_DATA = object.__basicsize__  # where an array keeps the address of its cells; asking it takes microseconds


def storage_of(array: Array, dtype: DType) -> tuple[Layout, native.Storage, int]:
    """The layout, the storage and the address of the first cell of an array's memory, which they keep alive."""
    size = dtype.itemsize
    layout = layout_of(array.shape, tuple([s // size for s in array.strides]), dtype)
    address = ctypes.c_size_t.from_address(id(array) + _DATA).value
    low, high = (0, layout.numel) if layout.contiguous else span(layout)
    return layout, native.wrap(address + low * size, (high - low) * size, array), address
