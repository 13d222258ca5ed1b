"""The element types: what they are called, how they are stored and how they combine.

A `DType` is one interned object per type, so `is` compares types. Types combine by category,

    bool < integers < floating point < complex,

and inside a category by width. `promote_types` combines two types; `result_dtype` combines the
operands of a call, where zero-dim tensors and Python numbers only count when their category is higher.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from functools import cache
from typing import Any, Literal, NoReturn, TypeAlias, final

import ml_dtypes
import numpy as np

Number: TypeAlias = bool | int | float | complex
Kind: TypeAlias = Literal["b", "u", "i", "f", "c"]
_CATEGORY: dict[str, int] = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


@final
class DType:
    """An element type. `bool` is stored as one byte, 0 or 1; a complex number as (real, imaginary)."""

    __slots__ = (
        "abbr",
        "is_complex",
        "is_floating_point",
        "is_signed",
        "itemsize",
        "kind",
        "llvm",
        "name",
        "numpy",
        "scalar_name",
    )

    name: str
    abbr: str
    itemsize: int
    kind: Kind
    numpy: np.dtype[Any]
    llvm: str
    is_floating_point: builtins.bool
    is_complex: builtins.bool
    is_signed: builtins.bool
    scalar_name: str
    """The name inside `torch.FloatTensor` and in messages such as "expected scalar type Float"."""

    def __init__(self) -> None:
        raise TypeError("cannot create 'torch.dtype' instances; use one of: " + ", ".join(DTYPES))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"cannot set {name!r}: {self!r} is one object for the whole program")

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _named, (self.name,)

    def to_complex(self) -> DType:
        """The complex type whose two parts are of this type (bfloat16 goes to complex64)."""
        if self.is_complex:
            return self
        if self is float64:
            return complex128
        if self in (float32, bfloat16):
            return complex64
        if self is float16:
            raise NotImplementedError(
                "torch.float16 has no complex type here (complex32 does not exist in Pellucid); "
                "convert to torch.float32 first, whose complex type is torch.complex64"
            )
        raise RuntimeError(
            f"Unknown Complex ScalarType for {self.scalar_name}: {self!r} is not floating point"
        )

    def to_real(self) -> DType:
        """The type of one part of a complex type; a type that is not complex is its own answer."""
        return {"complex64": float32, "complex128": float64}.get(self.name, self)

    def tensor_type(self, device_type: str = "cpu") -> str:
        """What `tensor.type()` answers: "torch.FloatTensor", "torch.cuda.FloatTensor"."""
        place = "torch" if device_type == "cpu" else f"torch.{device_type}"
        return f"{place}.{self.scalar_name}Tensor"


def _define(name: str, abbr: str, scalar_name: str, kind: Kind, numpy_type: Any, llvm: str) -> DType:
    dtype = object.__new__(DType)
    as_numpy = np.dtype(numpy_type)
    fields = {
        "name": name,
        "abbr": abbr,
        "scalar_name": scalar_name,
        "kind": kind,
        "numpy": as_numpy,
        "llvm": llvm,
        "itemsize": as_numpy.itemsize,
        "is_floating_point": kind == "f",
        "is_complex": kind == "c",
        "is_signed": kind in "ifc",
    }
    for field, value in fields.items():
        object.__setattr__(dtype, field, value)
    return dtype


def _named(name: str) -> DType:
    return DTYPES[name]


float32 = _define("float32", "f32", "Float", "f", np.float32, "float")
float64 = _define("float64", "f64", "Double", "f", np.float64, "double")
float16 = _define("float16", "f16", "Half", "f", np.float16, "half")
bfloat16 = _define("bfloat16", "bf16", "BFloat16", "f", ml_dtypes.bfloat16, "bfloat")
int8 = _define("int8", "i8", "Char", "i", np.int8, "i8")
int16 = _define("int16", "i16", "Short", "i", np.int16, "i16")
int32 = _define("int32", "i32", "Int", "i", np.int32, "i32")
int64 = _define("int64", "i64", "Long", "i", np.int64, "i64")
uint8 = _define("uint8", "u8", "Byte", "u", np.uint8, "i8")
uint16 = _define("uint16", "u16", "UInt16", "u", np.uint16, "i16")
uint32 = _define("uint32", "u32", "UInt32", "u", np.uint32, "i32")
uint64 = _define("uint64", "u64", "UInt64", "u", np.uint64, "i64")
bool_ = _define("bool", "b8", "Bool", "b", np.bool_, "i8")
complex64 = _define("complex64", "c64", "ComplexFloat", "c", np.complex64, "{float,float}")
complex128 = _define("complex128", "c128", "ComplexDouble", "c", np.complex128, "{double,double}")

_ALL = (
    *(float32, float64, float16, bfloat16),
    *(int8, int16, int32, int64, uint8, uint16, uint32, uint64),
    *(bool_, complex64, complex128),
)
DTYPES: dict[str, DType] = {dtype.name: dtype for dtype in _ALL}
ALIASES: dict[str, DType] = {
    "float": float32,
    "double": float64,
    "half": float16,
    "short": int16,
    "int": int32,
    "long": int64,
    "cfloat": complex64,
    "cdouble": complex128,
}
PUBLIC_NAMES: dict[str, DType] = DTYPES | ALIASES
"""Every name under which the package publishes a type: DTYPES by their own names, and the aliases."""


_PYTHON_TYPES: dict[object, DType] = {
    builtins.bool: bool_,
    builtins.int: int64,
    builtins.float: float64,
    builtins.complex: complex128,
}


def require_dtype(
    value: object, function: str, argument: str = "dtype", position: int | None = None
) -> DType:
    """The dtype that an argument means: a dtype, or one of Python's bool, int, float (float64), complex.

    Raises TypeError, naming the function and the argument, for anything else.
    """
    if isinstance(value, DType):
        return value
    found = _PYTHON_TYPES.get(value) if isinstance(value, type) else None
    if found is not None:
        return found
    place = "" if position is None else f" (position {position})"
    message = f"{function}(): argument '{argument}'{place} must be torch.dtype, not {type(value).__name__}"
    if isinstance(value, str) and value in PUBLIC_NAMES:
        message += f"; write torch.{value} without quotes"
    elif isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        message += f"; NumPy's types are not taken: write torch.{np.dtype(value).name}"
    raise TypeError(message)


# --- how types combine -------------------------------------------------------------------------

_BARE_UNSIGNED = (uint16, uint32, uint64)


@cache
def _promote(a: DType, b: DType) -> DType:
    if a is b:
        return a
    low, high = sorted((a, b), key=lambda dtype: (_CATEGORY[dtype.kind], dtype.itemsize))
    if (low in _BARE_UNSIGNED or high in _BARE_UNSIGNED) and high.kind != "f":
        raise RuntimeError(
            f"Promotion for uint16, uint32, uint64 types is not supported, attempted to promote "
            f"{a.scalar_name} and {b.scalar_name}: {a!r} and {b!r} have no common type; convert one of them "
            "first, for example with .to(torch.int64)"
        )
    if high.kind == "c":
        return complex128 if float64 in (low, high) else high
    if high.kind == "f" and {low, high} == {float16, bfloat16}:
        return float32
    if uint8 in (low, high) and int8 in (low, high):
        return int16
    return high


def promote_types(type1: DType, type2: DType) -> DType:
    """The smallest type of the higher category that holds both (PyTorch's lattice).

    Raises RuntimeError when one is uint16, uint32 or uint64 and the other is neither the same nor
    floating point, TypeError when an argument is not a dtype.
    """
    a = require_dtype(type1, "promote_types", "type1", 1)
    return _promote(a, require_dtype(type2, "promote_types", "type2", 2))


def can_cast(from_: DType, to: DType) -> builtins.bool:
    """Whether a result of type `from_` may be stored as `to`: never to a lower category.

    The categories are bool < integers < floating point < complex; widths do not matter.
    """
    source = require_dtype(from_, "can_cast", "from_", 1)
    return _CATEGORY[source.kind] <= _CATEGORY[require_dtype(to, "can_cast", "to", 2).kind]


def _merge(a: DType | None, b: DType | None) -> DType | None:
    if a is None or b is None:
        return b if a is None else a
    return _promote(a, b)


def _combine(higher: DType | None, lower: DType | None) -> DType | None:
    """The type of operands of two priorities: the lower one only lifts the category."""
    if higher is None or lower is None:
        return lower if higher is None else higher
    if higher.is_complex:
        return higher
    if higher.is_floating_point:
        return higher.to_complex() if lower.is_complex else higher
    if lower.is_floating_point or lower.is_complex:
        return lower
    return _promote(higher, lower) if higher is bool_ else higher


def result_dtype(operands: Iterable[tuple[DType, int] | Number]) -> DType:
    """The common type of the operands of a call.

    Args:
        operands: (dtype, ndim) for a tensor, the number itself for a Python number.

    Tensors with dimensions decide; then zero-dim tensors, then Python numbers count, each only when
    its category is higher: int32[3] + 1.5 is float32 (the default dtype), float32[3] + float64[] is float32.
    """
    dimensioned: DType | None = None
    zero_dim: DType | None = None
    number: DType | None = None
    for operand in operands:
        if not isinstance(operand, tuple):
            number = _merge(number, _number_dtype(operand))
        elif operand[1] > 0:
            dimensioned = _merge(dimensioned, operand[0])
        else:
            zero_dim = _merge(zero_dim, operand[0])
    result = _combine(dimensioned, _combine(zero_dim, number))
    if result is None:
        raise ValueError("result_dtype(): needs at least one operand, a tensor or a number")
    return result


# --- the default type --------------------------------------------------------------------------

_default: DType = float32


def get_default_dtype() -> DType:
    """The type of a Python float in a tensor: float32 until `set_default_dtype` changes it."""
    return _default


def get_default_complex_dtype() -> DType:
    """The type of a Python complex number in a tensor: complex128 when the default dtype is float64."""
    return _default.to_complex()


def set_default_dtype(d: DType) -> None:
    """Sets the type that Python floats take; Python complex numbers follow it.

    Raises TypeError when `d` is not a floating-point dtype.
    """
    global _default
    if not isinstance(d, DType):
        raise TypeError(
            "invalid dtype object: only floating-point types are supported as the default type; "
            f"got an object of type {type(d).__name__}"
        )
    if not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type; got {d!r}")
    _default = d


def _number_dtype(value: object) -> DType:
    # NumPy's scalars count as Python numbers beside tensors: only their category matters.
    if isinstance(value, builtins.bool | np.bool_):
        return bool_
    if isinstance(value, builtins.int | np.integer):
        return int64
    if isinstance(value, builtins.float | np.floating):
        return _default
    if isinstance(value, builtins.complex | np.complexfloating):
        return _default.to_complex()
    raise RuntimeError(
        f"Could not infer dtype of {type(value).__name__}: "
        "a tensor's elements are bool, int, float or complex"
    )


def infer_scalar_dtype(value: object) -> DType:
    """The type of a tensor made from this one number.

    bool -> bool, int -> int64, float -> the default dtype, complex -> its complex type; a NumPy
    scalar keeps its own type. Raises RuntimeError for anything else.
    """
    if isinstance(value, np.generic):
        return from_numpy_dtype(value.dtype)
    return _number_dtype(value)


def from_numpy_dtype(dtype: np.dtype[Any]) -> DType:
    """The DType with the same storage as a NumPy dtype.

    Raises TypeError for a dtype without counterpart (objects, strings, dates, longdouble, records),
    ValueError for one of foreign byte order.
    """
    found = _BY_NUMPY.get(dtype)
    if found is not None:
        return found
    if not dtype.isnative and dtype.newbyteorder("=") in _BY_NUMPY:
        raise ValueError(
            f"given numpy array has byte order different from the native byte order ({dtype.str}). "
            "Conversion between byte orders is not supported; convert it with "
            "array.astype(array.dtype.newbyteorder('='))"
        )
    hint = "; a list of arrays or of unequal lists makes an object array" if dtype.kind == "O" else ""
    raise TypeError(
        f"can't convert np.ndarray of type {dtype.type.__module__}.{dtype.type.__name__}. "
        "The only supported types are: float64, float32, float16, complex64, complex128, int64, int32, "
        f"int16, int8, uint64, uint32, uint16, uint8, and bool{hint}."
    )


# `longlong` is a type of its own in NumPy, though stored as int64; its dtype compares and hashes equal.
_BY_NUMPY: dict[np.dtype[Any], DType] = {dtype.numpy: dtype for dtype in _ALL}


# --- limits of the types -----------------------------------------------------------------------


@final
class finfo:
    """Limits of a floating-point type; of a complex type: those of its parts.

    Attributes: `bits`, `dtype` (its name), `eps`, `max`, `min`, `tiny` = `smallest_normal`, `resolution`.
    """

    __slots__ = ("bits", "dtype", "eps", "max", "min", "resolution", "smallest_normal", "tiny")

    def __init__(self, type: DType | None = None) -> None:
        dtype = _default if type is None else require_dtype(type, "finfo", "type", 1)
        if not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle {dtype!r}"
            )
        real = dtype.to_real()
        limits = ml_dtypes.finfo(real.numpy)  # type: ignore[no-untyped-call]
        self.bits = real.itemsize * 8
        self.dtype = real.name
        self.eps = float(limits.eps)
        self.max = float(limits.max)
        self.min = float(limits.min)
        self.tiny = self.smallest_normal = float(limits.smallest_normal)
        # The decimal digits that survive a round trip; bfloat16 keeps two.
        self.resolution = 10.0 ** -{"float64": 15, "float32": 6, "float16": 3, "bfloat16": 2}[real.name]

    def __eq__(self, other: object) -> builtins.bool:
        return isinstance(other, finfo) and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash(("finfo", self.dtype))

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


@final
class iinfo:
    """Limits of an integer type. Attributes: `bits`, `dtype` (its name), `max`, `min`."""

    __slots__ = ("bits", "dtype", "max", "min")

    def __init__(self, type: DType) -> None:
        dtype = require_dtype(type, "iinfo", "type", 1)
        if dtype.is_floating_point or dtype.is_complex:
            raise TypeError(
                f"torch.iinfo() requires an integer input type. Use torch.finfo to handle {dtype!r}"
            )
        if dtype is bool_:
            raise TypeError("torch.bool is not supported by torch.iinfo: its values are False and True")
        limits = np.iinfo(dtype.numpy)
        self.bits = dtype.itemsize * 8
        self.dtype = dtype.name
        self.max = int(limits.max)
        self.min = int(limits.min)

    def __eq__(self, other: object) -> builtins.bool:
        return isinstance(other, iinfo) and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash(("iinfo", self.dtype))

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
