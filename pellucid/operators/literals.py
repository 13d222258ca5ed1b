"""Tensors from data that is there: numbers, nested lists, NumPy arrays, buffers, and other tensors."""

from __future__ import annotations

import ctypes
import warnings
from array import array as PackedNumbers
from collections.abc import Sequence
from itertools import chain
from typing import Any

import ml_dtypes
import numpy as np

from pellucid import dtypes
from pellucid.dtypes import DType, bool_, float32, from_numpy_dtype, int64
from pellucid.layout import dense
from pellucid.operators.arguments import checked_dtype, finished, place
from pellucid.operators.conversion import to
from pellucid.operators.copying import clone, require_fits
from pellucid.operators.creation import dense_of
from pellucid.operators.define import method, public
from pellucid.operators.reading import CELL_TYPES
from pellucid.tensor import Tensor, array_of, empty_like_layout, tensor_on

_PYTHON = frozenset({bool, int, float, complex})
_REALS = frozenset({bool, int, float})
_SEQUENCES = frozenset({list, tuple})
_ZERO_DIM = {d: dense((), d) for d in dtypes.DTYPES.values()}
_CODES = {  # of Python's array module
    dtypes.float32: "f", dtypes.float64: "d", dtypes.int64: "q", dtypes.int32: "i", dtypes.int16: "h",
    dtypes.int8: "b", dtypes.uint8: "B", dtypes.uint16: "H", dtypes.uint32: "I", dtypes.uint64: "Q",
}  # fmt: skip


def from_cells(array: np.ndarray[Any, Any], dtype: DType) -> Tensor:
    """A tensor with the array's cells, converted, in memory of the pool."""
    made = empty_like_layout(dense(array.shape, dtype))
    if array.size:
        cells = array_of(made)
        if array.dtype.kind == "c" and not dtype.is_complex:
            array = array.real
        with np.errstate(all="ignore"):
            np.copyto(cells, array, casting="unsafe")
    return made


# -- nested lists -------------------------------------------------------------------------------------------------


def _from_even_list(data: Any, dtype: DType | None) -> Tensor | None:
    """A tensor of an even nested list of Python numbers that its dtype takes as they are; None if it is not that."""
    shape = [len(data)]
    while data and type(data[0]) in _SEQUENCES:
        lengths = set(map(len, data)) if set(map(type, data)) <= _SEQUENCES else ()
        if len(lengths) != 1:
            return None
        shape.extend(lengths)
        data = list(chain.from_iterable(data))
    kinds = set(map(type, data))
    if not kinds <= _REALS:
        return None
    wanted = dtype or _dtype_of_numbers(kinds)
    code = "B" if wanted is bool_ and kinds <= {bool} else _CODES.get(wanted)
    if code is None:
        return None
    try:
        cells = PackedNumbers(code, data)
    except (OverflowError, TypeError):
        return None
    made = empty_like_layout(dense_of[tuple(shape), wanted])
    ctypes.memmove(made.ptr, cells.buffer_info()[0], made.layout.nbytes)
    return made


def _dtype_of_numbers(kinds: set[type]) -> DType:
    if float in kinds or not kinds:
        return dtypes.get_default_dtype()
    return int64 if int in kinds else bool_


class _Contents:
    """What a nested sequence holds: types of Python numbers, dtypes of everything else."""

    __slots__ = ("numbers", "own", "plain")

    def __init__(self) -> None:
        self.numbers: set[type] = set()
        self.own: set[DType] = set()
        self.plain = True  # nothing but lists, tuples and Python numbers

    def visit(self, data: Any, depth: int = 0) -> None:
        """Types are collected a list at a time, so that long lists cost little."""
        kinds = set(map(type, data))
        if kinds <= _PYTHON:
            self.numbers |= kinds
            return
        if kinds <= {list, tuple}:
            for part in data:
                self.visit(part, depth + 1)
            return
        self.plain = False
        for part in data:
            self.visit_one(part, depth)

    def visit_one(self, part: Any, depth: int) -> None:
        if type(part) in _PYTHON:
            self.numbers.add(type(part))
        elif isinstance(part, Tensor):
            if part.layout.numel != 1 and part.layout.ndim:
                raise ValueError("only one element tensors can be converted to Python scalars; join tensors by stack()")
            self.own.add(part.layout.dtype)
        elif isinstance(part, np.ndarray | np.generic) and part.dtype.kind in "biufcV":
            self.own.add(from_numpy_dtype(part.dtype))
        elif isinstance(part, bool | int | float | complex):
            self.numbers.add(next(kind for kind in (bool, int, float, complex) if isinstance(part, kind)))
        elif isinstance(part, str):
            raise ValueError(f"tensor(): too many dimensions 'str': {part!r} is not a number")
        elif isinstance(part, Sequence) or (hasattr(part, "__len__") and hasattr(part, "__getitem__")):
            self.visit([part[i] for i in range(len(part))], depth + 1)
        else:
            raise RuntimeError(f"tensor(): Could not infer dtype of {type(part).__name__}: elements must be numbers")

    def dtype(self) -> DType:
        """The dtype that holds all: floats are of the default dtype."""
        found = set(self.own)
        default = dtypes.get_default_dtype()
        names = {bool: bool_, int: int64, float: default, complex: dtypes.get_default_complex_dtype()}
        found |= {names[kind] for kind in self.numbers}
        if not found:
            return default
        result, *others = found
        for other in others:
            result = dtypes.promote_types(result, other)
        return result


def _from_sequence(data: Any, dtype: DType | None) -> Tensor:
    if type(data) in _SEQUENCES:
        made = _from_even_list(data, dtype)
        if made is not None:
            return made
    contents = _Contents()
    contents.visit(data if isinstance(data, list | tuple) else [data[i] for i in range(len(data))])
    wanted = contents.dtype() if dtype is None else dtype
    if not contents.plain:
        data = _plain(data)
    if complex in contents.numbers and not wanted.is_complex:
        raise TypeError(f"tensor(): must be real number, not complex; ask for a complex dtype instead of {wanted!r}")
    cells = _cells(data, contents.numbers, wanted)
    return from_cells(cells, wanted)


def _cells(data: Any, numbers: set[type], wanted: DType) -> np.ndarray[Any, Any]:
    """The numbers as an array that is exact for them."""
    try:
        if wanted.kind in "iu" and float not in numbers:
            return _integers(data, wanted)
        if wanted.kind in "iu":
            array = np.array(data, np.float64)
            _require_range(array, wanted)
            return array
        if wanted is bool_:
            return np.array(data, np.complex128 if complex in numbers else np.float64) != 0
        return np.array(data, np.complex128 if wanted.is_complex else np.float64)
    except OverflowError as e:
        raise ValueError(f"tensor(): Overflow when unpacking long long: {e}") from None
    except (ValueError, TypeError):
        _require_even(data)
        raise


def _integers(data: Any, wanted: DType) -> np.ndarray[Any, Any]:
    inner = np.uint64 if wanted is dtypes.uint64 else np.int64
    try:
        array = np.array(data, inner)
    except OverflowError:
        array = np.array(data, object)  # negative numbers in uint64 wrap, larger ones are an error
        if inner is np.int64:
            raise
        for value in array.reshape(-1):
            require_fits(value, wanted, "tensor")
        return (array % (1 << 64)).astype(np.uint64)
    if wanted.itemsize < 8:
        _require_range(array, wanted)
    return array


def _require_range(array: np.ndarray[Any, Any], wanted: DType) -> None:
    if array.size:
        low, high = array.min(), array.max()
        for value in (low.item(), high.item()):
            if value != value:
                raise RuntimeError(f"tensor(): value nan cannot be converted to type {wanted.name} without overflow")
            require_fits(value, wanted, "tensor")


def _plain(data: Any) -> Any:
    """Nested lists of Python numbers (and NumPy's) from anything that nests."""
    if isinstance(data, Tensor):
        return data.item()
    if isinstance(data, np.ndarray):
        return data.tolist()
    if isinstance(data, np.generic):
        return data.item()
    if isinstance(data, bool | int | float | complex):
        return data
    return [_plain(data[i]) for i in range(len(data))]


def _require_even(data: Any) -> None:
    """Raises the error of a ragged list: the first part that is not like the first of its kind."""
    shape: list[int] = []
    first = data
    while isinstance(first, list | tuple):
        shape.append(len(first))
        if not first:
            break
        first = first[0]
    _compare(data, shape, 0)


def _compare(data: Any, shape: list[int], dim: int) -> None:
    if dim == len(shape):
        if isinstance(data, list | tuple):
            raise TypeError(
                f"tensor(): 'list' object cannot be interpreted as a number: a list stands at depth {dim}, where the "
                "first element is a number"
            )
        return
    if not isinstance(data, list | tuple):
        raise TypeError(f"tensor(): not a sequence: {data!r} stands where a sequence of length {shape[dim]} is expected")
    if len(data) != shape[dim]:
        raise ValueError(f"tensor(): expected sequence of length {shape[dim]} at dim {dim} (got {len(data)})")
    for part in data:
        _compare(part, shape, dim + 1)


# -- the functions ------------------------------------------------------------------------------------------------


def _made_of(data: Any, dtype: DType | None, operator: str) -> Tensor:
    """A tensor with a copy of the data."""
    kind = type(data)
    if kind in _PYTHON:
        return _from_number(data, dtype)
    if isinstance(data, Tensor):
        from pellucid.operators.copying import converted

        bare = _detached(data)
        return clone(bare) if dtype is None or dtype is bare.dtype else converted(bare, dtype)
    if isinstance(data, np.generic) and data.dtype.kind in "biufcV":
        return from_cells(np.asarray(data), from_numpy_dtype(data.dtype) if dtype is None else dtype)
    if isinstance(data, np.ndarray):
        return from_cells(data, _array_dtype(data) if dtype is None else dtype)
    if isinstance(data, bool | int | float | complex):
        return _from_number(data, dtype)
    if isinstance(data, str):
        raise TypeError(f"{operator}(): new(): invalid data type 'str': {data!r} is not numbers")
    if hasattr(data, "__array__") or hasattr(data, "__array_interface__"):
        return _made_of(np.asarray(data), dtype, operator)
    if hasattr(data, "__dlpack__"):
        return _made_of(np.from_dlpack(data), dtype, operator)
    if isinstance(data, Sequence) or (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        return _from_sequence(data, dtype)
    raise RuntimeError(
        f"{operator}(): Could not infer dtype of {kind.__name__}: data must be numbers, nested lists of numbers, arrays "
        "or tensors"
    )


def _from_number(value: Any, dtype: DType | None) -> Tensor:
    wanted = dtypes.infer_scalar_dtype(value) if dtype is None else dtype
    if isinstance(value, complex) and not wanted.is_complex:
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
        array_of(made)[()] = value
    return made


def _array_dtype(array: np.ndarray[Any, Any]) -> DType:
    if array.dtype == ml_dtypes.bfloat16:
        return dtypes.bfloat16
    return from_numpy_dtype(array.dtype)


def _detached(x: Tensor) -> Tensor:
    from pellucid.runtime import native

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
    return finished(_made_of(data, wanted, "tensor"), "tensor", requires_grad)


@public
def as_tensor(data: Any, dtype: DType | None = None, device: Any = None) -> Tensor:
    """``data`` as a tensor, without a copy if it is one, or an array of that dtype; gradients keep flowing."""
    wanted = None if dtype is None else checked_dtype("as_tensor", dtype)
    place("as_tensor", device)
    if isinstance(data, Tensor):
        return data if wanted is None else to(data, wanted)
    if isinstance(data, np.ndarray) and (wanted is None or _array_dtype(data) is wanted):
        return from_numpy(data)
    return _made_of(data, wanted, "as_tensor")


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
        ValueError: ``copy=False`` where only a copy will do.
    """
    wanted = None if dtype is None else checked_dtype("asarray", dtype)
    place("asarray", device)
    shared: Tensor | None = None
    if isinstance(obj, Tensor):
        shared = obj
    elif isinstance(obj, np.ndarray | np.generic):
        shared = from_numpy(np.asarray(obj))
    elif hasattr(obj, "__dlpack__"):
        shared = from_dlpack(obj)
    elif isinstance(obj, bytes | bytearray | memoryview):
        shared = frombuffer(obj, dtype=wanted or dtypes.get_default_dtype())
    if shared is None:
        if copy is False:
            raise ValueError(
                f"asarray(): can't alias arbitrary sequence: a {type(obj).__name__} must be copied; leave copy=False away"
            )
        return finished(_made_of(obj, wanted, "asarray"), "asarray", requires_grad)
    if wanted is not None and wanted is not shared.dtype:
        if copy is False:
            raise ValueError(f"asarray(): can't alias tensor with dtype {shared.dtype!r} into dtype {wanted!r}")
        shared = to(shared, wanted)
    elif copy:
        shared = clone(shared)
    if requires_grad and not shared.tracked:
        return finished(_detached(shared) if shared is obj else shared, "asarray", True)
    return shared if requires_grad or not shared.tracked else _detached(shared)


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
            f"from_numpy(): strides {ndarray.strides} (in bytes) are no multiples of the element size {dtype.itemsize}; "
            "pass array.copy()"
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
        ValueError: the buffer is empty, too short, or not a multiple of the element size.
    """
    kind = checked_dtype("frombuffer", dtype)
    view = memoryview(buffer).cast("B")
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


@public
def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor on the memory of any object that speaks DLPack on the CPU."""
    if isinstance(ext_tensor, Tensor):
        return clone(_detached(ext_tensor)) if copy else _detached(ext_tensor)
    place("from_dlpack", device)
    array = np.from_dlpack(ext_tensor)
    return from_cells(array, _array_dtype(array)) if copy else tensor_on(array, _array_dtype(array))


@method
def __dlpack__(self: Tensor, **options: Any) -> Any:  # noqa: N807
    """The capsule that other libraries take the memory by."""
    return self.numpy().__dlpack__(**options)


@method
def __dlpack_device__(self: Tensor) -> tuple[int, int]:  # noqa: N807
    """(1, 0): the processor."""
    return 1, 0


# -- as a method, and the constructors of old ---------------------------------------------------------------------


@method
def new_tensor(
    input: Tensor, data: Any, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """``tensor(data)`` in the dtype of ``input``."""
    wanted = input.layout.dtype if dtype is None else checked_dtype("new_tensor", dtype)
    place("new_tensor", device)
    return finished(_made_of(data, wanted, "new_tensor"), "new_tensor", requires_grad)


def _legacy(operator: str, dtype: DType, args: tuple[Any, ...]) -> Tensor:
    """``T()``, ``T(2, 3)`` (sizes), ``T(Size)``, ``T(sequence)``, ``T(tensor)`` (the same cells)."""
    from pellucid.layout import Size
    from pellucid.operators.arguments import sizes_of

    if not args:
        return empty_like_layout(dense((0,), dtype))
    (first, *others) = args
    if not others and isinstance(first, Tensor):
        if first.layout.dtype is not dtype:
            raise TypeError(
                f"{operator}(): expected a tensor of dtype {dtype!r} (got {first.dtype!r}); convert it by .to({dtype!r})"
            )
        return _detached(first)
    if not others and isinstance(first, Sequence | np.ndarray) and not isinstance(first, Size | str):
        return _made_of(first, dtype, operator)
    if not others and isinstance(first, float | complex | str):
        raise TypeError(f"{operator}(): data must be a sequence (got {type(first).__name__})")
    return empty_like_layout(dense(sizes_of(operator, args), dtype))


@method
def new(input: Tensor, *args: Any, device: Any = None) -> Tensor:
    """``x.new(2, 3)``: not initialised, ``x.new([1, 2])``: these cells; in the dtype of ``input``."""
    place("new", device)
    return _legacy("new", input.layout.dtype, args)


def _construct(cls: type, *args: Any, device: Any = None, **_: Any) -> Tensor:
    """``Tensor(2, 3)``: not initialised; ``Tensor([1, 2])``: these cells; of the default dtype."""
    place("Tensor", device)
    if len(args) == 1 and isinstance(args[0], Tensor):
        made = _detached(args[0])
        made.tracked = False
    else:
        made = _legacy("Tensor", dtypes.get_default_dtype(), args)
    if cls is not Tensor:
        made.__class__ = cls
    return made


Tensor.__new__ = _construct  # type: ignore[assignment,method-assign]


class _TypedTensor(type):
    """Classes like ``FloatTensor``: called they make a tensor, and ``isinstance`` asks for the dtype."""

    dtype: DType

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.layout.dtype is cls.dtype

    def __call__(cls, *args: Any, device: Any = None) -> Tensor:
        place(cls.__name__, device)
        if len(args) == 1 and isinstance(args[0], np.ndarray):
            return _made_of(args[0], cls.dtype, cls.__name__)
        return _legacy(cls.__name__, cls.dtype, args)


for _name, _dtype in {d.scalar_name: d for d in dtypes.DTYPES.values()}.items():
    if not _dtype.is_complex and not _name.startswith("UInt"):
        _title = f"{_name}Tensor"
        public(
            _TypedTensor(_title, (), {"dtype": _dtype, "__module__": "torch", "__doc__": f"Makes {_dtype!r} tensors."}),
            _title,
        )




@public
def is_tensor(obj: Any) -> bool:
    """Whether ``obj`` is a tensor."""
    return isinstance(obj, Tensor)
