"""Storage: bytes of memory that tensors share, and their sharing with NumPy.

A storage knows its address, its size and its ``version``, which counts the in-place writes: views share the storage
and so the counter, and what was saved for a derivative is compared with it. Memory comes from the pool, or belongs to
somebody else (``owner``). The type itself is native (``runtime/native.ll``), since one is made with every result.
"""

from __future__ import annotations

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
    array = np.asarray(_Memory(storage, ptr, layout))
    return array.view(layout.dtype.numpy) if layout.dtype is bfloat16 else array


def storage_of(array: Array, dtype: DType) -> tuple[Layout, native.Storage, int]:
    """The layout, the storage and the address of the first cell of an array's memory, which they keep alive."""
    layout = layout_of(array.shape, tuple([s // dtype.itemsize for s in array.strides]), dtype)
    address = array.__array_interface__["data"][0]
    low, high = span(layout)
    return layout, native.wrap(address + low * dtype.itemsize, (high - low) * dtype.itemsize, array), address
