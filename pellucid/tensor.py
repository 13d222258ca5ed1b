"""Tensor: a layout on a storage. Operators add their methods to it (see ``operators/``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.devices import device as Device
from pellucid.dtypes import DType
from pellucid.layout import Layout, Size
from pellucid.runtime import native
from pellucid.storage import array_on, storage_of

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
        "__dict__",
        "__weakref__",
        "base",
        "gradient",
        "layout",
        "node",
        "output_nr",
        "ptr",
        "seen",
        "storage",
        "tracked",
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
        def __getitem__(self, index: Any) -> Any: ...
        def __iter__(self) -> Any: ...

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

    def __hash__(self) -> int:
        return id(self)


native.configure(Tensor)


def empty_like_layout(layout: Layout) -> Tensor:
    """A tensor of this (dense) layout; its cells hold whatever the memory held."""
    storage = native.alloc(layout.nbytes)
    return native.new_tensor(layout, storage, storage.ptr)


def array_of(t: Tensor) -> np.ndarray[Any, Any]:
    """The tensor's cells as a NumPy array on the same memory (bfloat16 as ml_dtypes' type)."""
    return array_on(t.storage, t.ptr, t.layout)


def tensor_on(array: np.ndarray[Any, Any], dtype: DType) -> Tensor:
    """A tensor on the array's memory, which it keeps alive."""
    return native.new_tensor(*storage_of(array, dtype))
