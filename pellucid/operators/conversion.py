"""Another dtype or another device for a tensor: ``to`` and its short forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid import dtypes
from pellucid.autograd.methods import replace_cells
from pellucid.devices import as_device, canonical, check_available
from pellucid.devices import device as Device
from pellucid.dtypes import DType, require_dtype
from pellucid.layout import Layout, dense
from pellucid.memory_format import format_of, formatted, memory_format, preserve_format, require_memory_format
from pellucid.operators.copying import clone, converted
from pellucid.operators.define import both, method
from pellucid.runtime import native
from pellucid.tensor import Tensor


@method
def to(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """``to(dtype)``, ``to(device, dtype)``, ``to(other)``; with ``non_blocking``, ``copy`` and ``memory_format``.

    Returns ``input`` itself when nothing changes and no copy was asked for. Gradients flow back in its own dtype.

    Raises:
        TypeError: arguments of other kinds; AssertionError: a GPU where none is usable.
    """
    if len(args) == 1 and not kwargs and type(args[0]) is DType:
        return input if args[0] is input.layout.dtype else converted(input, args[0])
    dtype, device, copy, format = _parse_to(args, kwargs)
    if device is not None:
        device = canonical(device)
        if device is not input.layout.device:
            check_available(device, "Tensor.to")
    target = input.layout.dtype if dtype is None else dtype
    if target is not input.layout.dtype:
        return converted(input, target, format)
    if copy:
        return clone(input, memory_format=format)
    return _following(input, format)


def _following(input: Tensor, format: memory_format) -> Tensor:
    """``input`` itself if its strides follow the format, also with holes; else a copy in it."""
    if format is preserve_format or format_of(input.layout) is format:
        return input
    return clone(input, memory_format=format)


def _parse_to(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[DType | None, Device | None, bool, memory_format]:
    given = dict(kwargs)
    names: tuple[str, ...] = ("device", "dtype", "non_blocking", "copy")
    if args and isinstance(args[0], Tensor):
        names = ("other", "non_blocking", "copy")
    elif args and (isinstance(args[0], DType) or args[0] in (bool, int, float, complex)) and args[0] is not True:
        names = ("dtype", "non_blocking", "copy")
    if len(args) > len(names):
        raise TypeError(
            f"to() received an invalid combination of arguments - got {len(args)} positional ones; write to(dtype), "
            "to(device), to(device, dtype) or to(other)"
        )
    for name, value in zip(names, args, strict=False):
        if name in given:
            raise TypeError(f"to() got multiple values for argument '{name}'")
        given[name] = value
    other = given.pop("other", None)
    if other is not None:
        given.setdefault("dtype", other.dtype)
        given.setdefault("device", other.device)
    unknown = set(given) - {"device", "dtype", "non_blocking", "copy", "memory_format"}
    if unknown:
        raise TypeError(f"to() got an unexpected keyword argument '{sorted(unknown)[0]}'")
    dtype, device, format = given.get("dtype"), given.get("device"), given.get("memory_format")
    return (
        None if dtype is None else require_dtype(dtype, "to"),
        None if device is None else as_device(device, "to"),
        bool(given.get("copy", False)),
        preserve_format if format is None else require_memory_format(format, "to"),
    )


def _short_form(name: str, dtype: DType) -> Callable[..., Tensor]:
    def function(input: Tensor, memory_format: memory_format = preserve_format) -> Tensor:
        if input.layout.dtype is dtype:
            return _following(input, memory_format)
        return converted(input, dtype, memory_format)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``to({dtype!r})``."
    return method(function)


_SHORT_FORMS = {
    "float": dtypes.float32,
    "double": dtypes.float64,
    "half": dtypes.float16,
    "bfloat16": dtypes.bfloat16,
    "long": dtypes.int64,
    "int": dtypes.int32,
    "short": dtypes.int16,
    "char": dtypes.int8,
    "byte": dtypes.uint8,
    "bool": dtypes.bool_,
    "cfloat": dtypes.complex64,
    "cdouble": dtypes.complex128,
}
for _name, _dtype in _SHORT_FORMS.items():
    _short_form(_name, _dtype)

_TYPE_NAMES = {d.tensor_type(): d for d in dtypes.DTYPES.values()}


def type_(input: Tensor, dtype: Any = None, non_blocking: bool = False) -> str | Tensor:
    """Without ``dtype`` the name of the tensor's type ("torch.FloatTensor"), else the conversion to it.

    ``dtype`` is a dtype, such a name, or such a class.

    Raises:
        ValueError: a name that names no type.
    """
    if dtype is None:
        return input.layout.dtype.tensor_type(input.layout.device.type)
    return to(input, tensor_type_dtype(dtype))


method(type_, "type")


def tensor_type_dtype(value: Any) -> DType:
    """The dtype that a dtype, a name like "torch.FloatTensor" or a class ``torch.FloatTensor`` means."""
    if isinstance(value, str):
        found = _TYPE_NAMES.get(value)
        if found is None:
            raise ValueError(f"invalid type: '{value}'; write for example 'torch.FloatTensor' or a dtype")
        return found
    if isinstance(value, DType):
        return value
    if value is Tensor:
        return dtypes.get_default_dtype()
    return value.dtype if isinstance(getattr(value, "dtype", None), DType) else require_dtype(value, "type")


@method
def type_as(input: Tensor, other: Tensor) -> Tensor:
    """``input`` in the dtype of ``other``."""
    if not isinstance(other, Tensor):
        raise TypeError(
            f"type_as(): argument 'other' (position 1) must be Tensor, not {type(other).__name__}"
        )
    return to(input, other.layout.dtype)


@method
def cpu(input: Tensor, memory_format: memory_format = preserve_format) -> Tensor:
    """``input`` in the processor's memory: itself, if it is there."""
    return _following(input, memory_format)


@method
def cuda(
    input: Tensor,
    device: Device | int | str | None = None,
    non_blocking: bool = False,
    memory_format: memory_format = preserve_format,
) -> Tensor:
    """``input`` in the memory of a GPU.

    Raises:
        AssertionError: no GPU is usable.
    """
    where = Device("cuda") if device is None else Device(device)
    check_available(where, "Tensor.cuda")
    return to(input, where, memory_format=memory_format)


@method
def resize_(input: Tensor, *sizes: Any, memory_format: memory_format | None = None) -> Tensor:
    """Give ``input`` another shape in place; cells keep their order in memory, new ones hold what memory held.

    Memory that is too small is replaced (views of the tensor then keep the old one).

    Args:
        memory_format: the order of the dimensions in memory; otherwise contiguous, or as it is if the shape is the same.

    Raises:
        RuntimeError: ``input`` takes part in a graph, a size is negative, or no memory is as large.
    """
    shape = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else tuple(sizes)
    if input.tracked:
        raise RuntimeError("resize_(): cannot resize variables that require grad; use detach() or reshape()")
    if any(n < 0 for n in shape):
        raise RuntimeError(f"resize_(): a size must not be negative, but the sizes are {shape}")
    old = input.layout
    if memory_format is None:
        return input if shape == old.shape else _rearranged(input, dense(shape, old.dtype, old.device))
    if memory_format is preserve_format:
        raise RuntimeError("resize_(): Unsupported memory format preserve_format: there is no tensor to follow")
    return _rearranged(input, formatted(dense(shape, old.dtype, old.device), memory_format, "resize_"))


def _rearranged(input: Tensor, layout: Layout) -> Tensor:
    """``input`` with the layout, in new memory if its own is too small."""
    storage, ptr = input.storage, input.ptr
    if layout.numel and ptr + layout.nbytes > storage.ptr + storage.nbytes:
        storage, ptr = _moved(input, layout.nbytes)
    replace_cells(input, layout, storage, ptr)
    return input


@both
def resize_as_(input: Tensor, the_template: Tensor, *, memory_format: memory_format | None = None) -> Tensor:
    """``resize_`` to the shape of another tensor; with ``preserve_format`` also to its format."""
    if memory_format is preserve_format:
        memory_format = format_of(the_template.layout)
    return resize_(input, tuple(the_template.layout.shape), memory_format=memory_format)


def _moved(t: Tensor, nbytes: int) -> tuple[native.Storage, int]:
    """Memory that is large enough, with what the old one holds, and where the first cell is; the offset stays."""
    import ctypes

    old, offset = t.storage, t.ptr - t.storage.ptr
    storage = native.alloc(offset + nbytes)
    ctypes.memmove(storage.ptr, old.ptr, old.nbytes)
    return storage, storage.ptr + offset
