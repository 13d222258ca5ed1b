"""Tensor: a layout on a storage. Operators add their methods to it (see ``operators/``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.devices import device as Device
from pellucid.dtypes import DType, bfloat16
from pellucid.layout import Layout, Size
from pellucid.runtime import native

if TYPE_CHECKING:
    from pellucid.autograd.graph import Node


class Tensor:
    """Cells of one dtype, arranged by a layout in a storage that views may share.

    ``ptr`` is the address of the first cell. ``tracked`` says that gradients flow to it; ``node`` is the call that
    made it (None for a leaf) and ``output_nr`` which of its results it is; ``gradient`` is what ``grad`` shows;
    ``base`` is the tensor that a view was taken from (never itself a view), and ``seen`` the storage's version at
    which the view's ``node`` was right (-1 - that version: the view was made while gradients were off).
    """

    __slots__ = (
        "layout", "storage", "ptr", "tracked", "node", "output_nr", "gradient", "base", "seen", "__dict__", "__weakref__",
    )  # fmt: skip
    layout: Layout
    storage: native.Storage
    ptr: int
    tracked: bool
    node: Node | None
    output_nr: int
    gradient: Tensor | None
    base: Tensor | None
    seen: int

    if TYPE_CHECKING:
        # Operators attach their methods when the package is imported (pellucid/__init__.pyi lists them).
        def __getattr__(self, name: str) -> Any: ...

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        return self.layout.shape

    @property
    def dtype(self) -> DType:
        return self.layout.dtype

    @property
    def device(self) -> Device:
        return self.layout.device

    @property
    def ndim(self) -> int:
        return self.layout.ndim

    @property
    def itemsize(self) -> int:
        return self.layout.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.layout.nbytes

    @property
    def _version(self) -> int:
        return self.storage.version

    def dim(self) -> int:
        return self.layout.ndim

    def numel(self) -> int:
        return self.layout.numel

    def data_ptr(self) -> int:
        """The address of the first cell."""
        return self.ptr if self.layout.numel else 0

    def element_size(self) -> int:
        return self.layout.dtype.itemsize

    def storage_offset(self) -> int:
        return (self.ptr - self.storage.ptr) // self.layout.dtype.itemsize

    def __len__(self) -> int:
        if self.layout.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.layout.shape[0]

    __hash__ = object.__hash__


native.configure(Tensor)


def empty_like_layout(layout: Layout) -> Tensor:
    """A tensor of this (dense) layout; its cells hold whatever the memory held."""
    storage = native.alloc(layout.nbytes)
    return native.new_tensor(layout, storage, storage.ptr)


class _Memory:
    """What NumPy needs to know to look at a tensor's memory; it keeps the storage alive."""

    __slots__ = ("__array_interface__", "storage")

    def __init__(self, t: Tensor) -> None:
        self.storage = t.storage
        layout, size = t.layout, t.layout.dtype.itemsize
        kind = f"<u{size}" if layout.dtype is bfloat16 else layout.dtype.numpy.str
        self.__array_interface__ = {
            "version": 3,
            "shape": tuple(layout.shape),
            "typestr": kind,
            "data": (t.ptr, False),
            "strides": tuple(s * size for s in layout.strides),
        }


def array_of(t: Tensor) -> np.ndarray[Any, Any]:
    """The tensor's cells as a NumPy array on the same memory (bfloat16 as ml_dtypes' type)."""
    array = np.asarray(_Memory(t))
    return array.view(t.layout.dtype.numpy) if t.layout.dtype is bfloat16 else array


def tensor_on(array: np.ndarray[Any, Any], dtype: DType) -> Tensor:
    """A tensor on the array's memory, which it keeps alive."""
    from pellucid.layout import layout_of, span

    strides = tuple([s // dtype.itemsize for s in array.strides])
    layout = layout_of(array.shape, strides, dtype)
    address = array.__array_interface__["data"][0]
    low, high = span(layout)
    storage = native.wrap(address + low * dtype.itemsize, (high - low) * dtype.itemsize, array)
    return native.new_tensor(layout, storage, address)
