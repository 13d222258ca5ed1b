"""The bytes behind tensors as objects of their own, and tensors that are put on other bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pellucid.autograd.methods import replace_cells
from pellucid.devices import device as Device
from pellucid.dtypes import uint8
from pellucid.layout import CPU, Layout, dense, layout_of, span
from pellucid.operators.arguments import place, sizes_of
from pellucid.operators.arrangement import require_no_leaf
from pellucid.operators.define import method, public
from pellucid.runtime import native
from pellucid.tensor import Tensor


@public
class UntypedStorage:
    """Bytes of memory, as many as ``UntypedStorage(n)`` says or those of ``UntypedStorage([1, 2, 3])``; those behind a
    tensor, which it shares with its views, are its ``untyped_storage()``."""

    __slots__ = ("_bytes", "_storage")

    def __init__(self, size: int | Sequence[int] = 0, *, device: Any = None) -> None:
        place("UntypedStorage", device)
        values = None if isinstance(size, int) else list(size)
        n = size if isinstance(size, int) else len(size)
        self._share(native.alloc(n))
        if values:
            from pellucid.operators.literals import tensor

            self._bytes.copy_(tensor(values, dtype=uint8))

    def _share(self, storage: native.Storage, ptr: int | None = None, nbytes: int | None = None) -> UntypedStorage:
        self._storage = storage
        layout = dense((storage.nbytes if nbytes is None else nbytes,), uint8)
        self._bytes: Any = native.new_tensor(layout, storage, storage.ptr if ptr is None else ptr)
        return self

    @property
    def device(self) -> Device:
        return CPU

    def data_ptr(self) -> int:
        """The address of the first byte; 0 if there is none."""
        return self._bytes.ptr if len(self) else 0

    def nbytes(self) -> int:
        return self._bytes.layout.numel

    size = __len__ = nbytes

    def element_size(self) -> int:
        return 1

    def __getitem__(self, index: int | slice) -> int | UntypedStorage:
        """A byte, or a part on the same memory."""
        if not isinstance(index, slice):
            return self._bytes[index].item()
        if index.step not in (None, 1):
            raise RuntimeError(f"Trying to slice with a step of {index.step}, but only a step of 1 is supported")
        start, stop, _ = index.indices(len(self))
        ptr, n = self._bytes.ptr + start, max(stop - start, 0)
        part = UntypedStorage.__new__(UntypedStorage)
        return part._share(native.wrap(ptr, n, self._storage))

    def __setitem__(self, index: int | slice, value: int) -> None:
        self._bytes[index] = value

    def __iter__(self) -> Iterator[int]:
        return iter(self.tolist())

    def tolist(self) -> list[int]:
        """The bytes as numbers."""
        return self._bytes.tolist()

    def fill_(self, value: int) -> UntypedStorage:
        self._bytes.fill_(value)
        return self

    def copy_(self, source: UntypedStorage, non_blocking: bool = False) -> UntypedStorage:
        self._bytes.copy_(source._bytes)
        return self

    def clone(self) -> UntypedStorage:
        return UntypedStorage(len(self)).copy_(self)

    def cpu(self) -> UntypedStorage:
        return self

    def is_shared(self) -> bool:
        """Whether other processes see the bytes."""
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and (self._bytes.ptr, len(self)) == (other._bytes.ptr, len(other))

    def __hash__(self) -> int:
        return hash((self._bytes.ptr, len(self)))

    def __repr__(self) -> str:
        lines = "\n ".join(map(str, self))
        return f" {lines}\n[torch.storage.UntypedStorage(device=cpu) of size {len(self)}]"


@public
def is_storage(obj: Any) -> bool:
    """Whether ``obj`` is a storage."""
    return isinstance(obj, UntypedStorage)


@method
def untyped_storage(input: Tensor) -> UntypedStorage:
    """The bytes that the tensor shares with its views."""
    return UntypedStorage.__new__(UntypedStorage)._share(input.storage)


@method
def set_(
    input: Tensor,
    source: Tensor | UntypedStorage | None = None,
    storage_offset: int = 0,
    size: Sequence[int] | None = None,
    stride: Sequence[int] | None = None,
) -> Tensor:
    """Put the tensor on the memory of another one, or on a storage; without arguments on none.

    ``set_(tensor)`` takes the other's shape as well. ``set_(storage)`` shows all of its bytes in one dimension. Given a
    ``size``, cell ``[i, j]`` lies at ``storage_offset + i*stride[0] + j*stride[1]``. Versions are counted apart.

    Raises:
        RuntimeError: another dtype, cells outside of the storage, a leaf that requires a gradient, or a gradient that
            would have to flow through the call.
        TypeError: neither a tensor nor a storage.
    """
    require_no_leaf(input)
    if isinstance(source, Tensor):
        _require_fit(input, source)
        storage, layout, ptr = source.storage, source.layout, source.ptr
        if size is None:
            return _put_on(input, storage, layout, ptr)
    elif isinstance(source, UntypedStorage):
        storage = source._storage
    elif source is None:
        return _put_on(input, native.alloc(0), dense((0,), input.layout.dtype), None)
    else:
        raise TypeError(f"set_(): argument 'source' must be a Tensor or a Storage, not {type(source).__name__}")
    itemsize = input.layout.dtype.itemsize
    if size is None:
        size = (storage.nbytes // itemsize,)
    layout = _arranged(input.layout, sizes_of("set_", (size,)), stride)
    _, end = span(layout)
    if storage_offset < 0:
        raise RuntimeError(f"set_(): Tensor: invalid storage offset {storage_offset}")
    if layout.numel and (storage_offset + end) * itemsize > storage.nbytes:
        raise RuntimeError(
            f"set_(): sizes {list(layout.shape)}, strides {list(layout.strides)} and offset {storage_offset} need "
            f"{(storage_offset + end) * itemsize} bytes, but the storage has {storage.nbytes}: storages do not grow"
        )
    return _put_on(input, storage, layout, storage.ptr + storage_offset * itemsize)


def _require_fit(input: Tensor, source: Tensor) -> None:
    if source.layout.dtype is not input.layout.dtype:
        raise RuntimeError(
            f"Could not set tensor of type {source.layout.dtype.scalar_name} to a tensor of type "
            f"{input.layout.dtype.scalar_name}; convert it by .to({input.layout.dtype!r})"
        )
    if native.grad_enabled() and source.tracked:
        raise RuntimeError("set_(): the source requires a gradient, which cannot flow through set_(); detach() it")


def _arranged(x: Layout, shape: tuple[int, ...], stride: Sequence[int] | None) -> Layout:
    if stride is None:
        return dense(shape, x.dtype, x.device)
    if len(stride) != len(shape):
        raise RuntimeError(f"set_(): unequal size length ({len(shape)}) and stride length ({len(stride)})")
    if any(s < 0 for s in stride):
        raise RuntimeError(f"set_(): Negative strides are not supported, got strides: {list(stride)}")
    return layout_of(shape, tuple(stride), x.dtype, x.device)


def _put_on(input: Tensor, storage: native.Storage, layout: Layout, ptr: int | None) -> Tensor:
    own = native.wrap(storage.ptr, storage.nbytes, storage)  # with a version of its own
    version = input.storage.version
    replace_cells(input, layout, own, storage.ptr if ptr is None else ptr)
    own.version = version + 1
    input.base = input.node = None
    return input
