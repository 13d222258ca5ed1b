"""Tensors from nested lists of numbers."""

from __future__ import annotations

import ctypes
from array import array as PackedNumbers
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from pellucid import dtypes
from pellucid.dtypes import DType, bool_, from_numpy_dtype, int64
from pellucid.layout import dense
from pellucid.operators.copying import require_fits
from pellucid.operators.creation import dense_of
from pellucid.operators.reading import warn_of_gradient
from pellucid.tensor import Tensor, array_of, empty_like_layout

PYTHON_NUMBERS = frozenset({bool, int, float, complex})
_REALS = frozenset({bool, int, float})
_SEQUENCES = frozenset({list, tuple})
_MOST_DIMENSIONS = 64  # of an array
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
        if kinds <= PYTHON_NUMBERS:
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
        if type(part) in PYTHON_NUMBERS:
            self.numbers.add(type(part))
        elif isinstance(part, Tensor):
            if part.layout.numel != 1 and part.layout.ndim:
                raise ValueError("only one element tensors can be converted to Python scalars; join tensors by stack()")
            warn_of_gradient(part, 6 + depth)
            self.own.add(part.layout.dtype)
        elif isinstance(part, np.ndarray | np.generic) and part.dtype.kind in "biufcV":
            self.own.add(from_numpy_dtype(part.dtype))
        elif isinstance(part, bool | int | float | complex):
            self.numbers.add(next(kind for kind in (bool, int, float, complex) if isinstance(part, kind)))
        elif isinstance(part, str | bytes | bytearray):
            raise TypeError(f"tensor(): new(): invalid data type '{type(part).__name__}': {part!r} is not a number")
        elif isinstance(part, Sequence) or (hasattr(part, "__len__") and hasattr(part, "__getitem__")):
            self.visit([part[i] for i in range(len(part))], depth + 1)
        else:
            raise RuntimeError(f"tensor(): Could not infer dtype of {type(part).__name__}: elements must be numbers")

    def dtype(self) -> DType:
        """The dtype that holds all: floats are of the default dtype."""
        found = set(self.own)
        found |= {dtypes.infer_scalar_dtype(kind()) for kind in self.numbers}
        if not found:
            return dtypes.get_default_dtype()
        result, *others = found
        for other in others:
            result = dtypes.promote_types(result, other)
        return result


def from_sequence(data: Any, dtype: DType | None) -> Tensor:
    if type(data) in _SEQUENCES:
        made = _from_even_list(data, dtype)
        if made is not None:
            return made
    contents = _Contents()
    parts = _parts_of(data)
    _require_numbers_first(parts)
    try:
        contents.visit(parts)
    except RecursionError:
        raise TypeError("tensor(): self-referential lists are incompatible: a list holds itself") from None
    wanted = contents.dtype() if dtype is None else dtype
    if not contents.plain:
        data = _plain(data)
    if complex in contents.numbers and not (wanted.is_complex or wanted is bool_):
        raise TypeError(f"tensor(): must be real number, not complex; ask for a complex dtype instead of {wanted!r}")
    cells = _cells(data, contents.numbers, wanted)
    return from_cells(cells, wanted)


def _parts_of(data: Any) -> Any:
    """What a sequence holds.

    Raises:
        ValueError: it has a length, but does not give its parts.
    """
    if isinstance(data, list | tuple):
        return data
    try:
        return [data[i] for i in range(len(data))]
    except Exception as error:
        raise ValueError(f"tensor(): could not determine the shape of object type '{type(data).__name__}': {error!r}") from error


def _require_numbers_first(data: Any) -> None:
    """Raises ValueError where the first parts of the parts end in a text, which counts as one more dimension."""
    first = data
    for _ in range(_MOST_DIMENSIONS):
        if not isinstance(first, list | tuple) or not first:
            break
        first = first[0]
    if isinstance(first, str | bytes):
        raise ValueError(f"tensor(): too many dimensions '{type(first).__name__}': {first!r} is not a number")


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
            require_fits(int(value), wanted, "tensor")
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
        raise TypeError(f"tensor(): not a sequence: {data!r} stands where a sequence of length {shape[dim]} should")
    if len(data) != shape[dim]:
        raise ValueError(f"tensor(): expected sequence of length {shape[dim]} at dim {dim} (got {len(data)})")
    for part in data:
        _compare(part, shape, dim + 1)


