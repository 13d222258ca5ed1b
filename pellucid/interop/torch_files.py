"""Files of ``torch.save`` are read without running anything that they hold.

Such a file is a zip archive: ``data.pkl`` is a pickle, a program for a small machine with a stack; ``data/0``,
``data/1`` ... are the bytes of the storages. The machine below knows the instructions that PyTorch writes. Where the
program asks for a function or a class by its name, it gets one of the few that are listed here, or an error.
"""

from __future__ import annotations

import ctypes
import re
import struct
from argparse import Namespace
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any
from zipfile import ZipFile

import numpy as np

from pellucid import dtypes
from pellucid.devices import check_available
from pellucid.devices import device as Device
from pellucid.dtypes import DTYPES, DType
from pellucid.layout import Size, layout_of, span
from pellucid.runtime import native
from pellucid.tensor import Tensor

_STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128", "UntypedStorage": "uint8",
}  # fmt: skip


def is_torch_file(archive: ZipFile) -> bool:
    """Whether the archive was written by ``torch.save``."""
    return any(name.endswith("/data.pkl") for name in archive.namelist())


def read(archive: ZipFile, map_location: Any, weights_only: bool) -> Any:
    """What was saved.

    Raises:
        UnpicklingError: the file asks for a class or function that is not a part of tensors and containers.
        RuntimeError: a tensor of another device, without ``map_location``; another order of bytes.
    """
    folder = next(name for name in archive.namelist() if name.endswith("/data.pkl"))[: -len("data.pkl")]
    if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
        raise RuntimeError("load(): the file was written on a machine with another order of bytes (big-endian)")
    blocks = _Blocks(archive, folder, map_location)
    return _Machine(archive.read(f"{folder}data.pkl"), blocks, weights_only).run()


class _Kept:
    """The memory of one storage, and the dtype of its cells."""

    def __init__(self, storage: native.Storage, dtype: DType) -> None:
        self.storage, self.dtype = storage, dtype


class _Blocks:
    """Storages by their keys, each read once: tensors that shared one share it again."""

    def __init__(self, archive: ZipFile, folder: str, map_location: Any) -> None:
        self.archive, self.folder, self.map_location = archive, folder, map_location
        self.found: dict[str, native.Storage] = {}

    def storage(self, reference: Any) -> _Kept:
        kind, dtype, key, location, _ = reference
        if kind != "storage" or not isinstance(dtype, DType) or not isinstance(key, str):
            raise UnpicklingError(f"load(): a reference to {kind!r} instead of a storage")
        self._require_place(str(location))
        if key not in self.found:
            block = self.archive.read(f"{self.folder}data/{key}")
            storage = self.found[key] = native.alloc(len(block))
            ctypes.memmove(storage.ptr, block, len(block))
        return _Kept(self.found[key], dtype)

    def _require_place(self, saved: str) -> None:
        wanted = self.map_location
        if isinstance(wanted, dict):
            wanted = wanted.get(saved, saved)
        elif callable(wanted):
            wanted = "cpu"  # it moves storages, and there is one place for them
        if wanted is None and saved.startswith("cuda"):
            raise RuntimeError(
                "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you are "
                "running on a CPU-only machine, please use torch.load with map_location=torch.device('cpu') to map your "
                "storages to the CPU."
            )
        check_available(wanted if isinstance(wanted, Device) else Device(wanted or saved), "load")


# -- what a file may ask for by name ----------------------------------------------------------------------------------


def _tensor(kept: _Kept, offset: int, size: Any, stride: Any, requires_grad: bool = False, *rest: Any) -> Tensor:
    return _tensor_of(kept, offset, size, stride, kept.dtype, requires_grad)


def _tensor_with_dtype(
    kept: _Kept, offset: int, size: Any, stride: Any, requires_grad: bool, hooks: Any, dtype: DType, *rest: Any
) -> Tensor:
    return _tensor_of(kept, offset, size, stride, dtype, requires_grad)


def _tensor_of(kept: _Kept, offset: int, size: Any, stride: Any, dtype: DType, requires_grad: bool) -> Tensor:
    layout = layout_of(tuple(map(int, size)), tuple(map(int, stride)), dtype)
    low, high = ((int(offset) + x) * dtype.itemsize for x in span(layout))
    if layout.numel and (low < 0 or high > kept.storage.nbytes):
        raise ValueError(f"a tensor of shape {tuple(size)} lies outside of its storage of {kept.storage.nbytes} bytes")
    made = native.new_tensor(layout, kept.storage, kept.storage.ptr + int(offset) * dtype.itemsize)
    made.tracked = bool(requires_grad)
    return made


def _parameter(data: Tensor, requires_grad: bool, *rest: Any) -> Tensor:
    from pellucid.nn.parameter import Parameter

    return Parameter(data, bool(requires_grad))


def _of_type(rebuild: Callable[..., Any], kind: Any, arguments: Any, state: Any) -> Any:
    """A tensor with attributes, or of a subclass: the tensor."""
    return rebuild(*arguments)


def _encoded(text: str, encoding: str) -> bytes:
    """How the second version of pickles writes bytes."""
    if encoding != "latin1":
        raise UnpicklingError(f"load(): bytes in the encoding {encoding!r}")
    return text.encode(encoding)


def _number(kind: np.dtype[Any], content: bytes) -> Any:
    return np.frombuffer(content, kind)[0]


def _numpy_dtype(name: str, *rest: Any) -> np.dtype[Any]:
    if not re.fullmatch(r"[biufc]\d{1,2}", name):
        raise UnpicklingError(f"load(): a NumPy type {name!r}")
    return np.dtype(name)


_ALWAYS: dict[str, Any] = {
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_tensor_v3": _tensor_with_dtype,
    "torch._utils _rebuild_parameter": _parameter,
    "torch._tensor _rebuild_from_type_v2": _of_type,
    "torch.nn.parameter Parameter": _parameter,
    "torch Tensor": Tensor,
    "torch Size": Size,
    "torch device": Device,
    "collections OrderedDict": OrderedDict,
    "collections Counter": Counter,
    "_codecs encode": _encoded,
    "builtins set": set,
    "builtins complex": complex,
    "builtins bytearray": bytearray,
    "__builtin__ set": set,
    "__builtin__ complex": complex,
    "__builtin__ bytearray": bytearray,
}
_ALWAYS |= {f"torch {name}": DTYPES[dtype] for name, dtype in _STORAGES.items()}
_ALWAYS |= {"torch.storage UntypedStorage": DTYPES["uint8"]}
_ALWAYS |= {f"torch {name}": d for name, d in dtypes.PUBLIC_NAMES.items() if isinstance(d, DType)}

# Harmless as well, but PyTorch reads them only with weights_only=False.
_WITH_MORE: dict[str, Any] = {
    "argparse Namespace": Namespace,
    "collections defaultdict": defaultdict,
    "numpy dtype": _numpy_dtype,
    "numpy.core.multiarray scalar": _number,
    "numpy._core.multiarray scalar": _number,
    "builtins dict": dict,
    "builtins list": list,
    "builtins int": int,
    "builtins float": float,
    "__builtin__ dict": dict,
    "__builtin__ list": list,
}


class _Machine:
    """Runs the program of a pickle, as far as PyTorch uses its instructions."""

    def __init__(self, program: bytes, blocks: _Blocks, weights_only: bool) -> None:
        self.program, self.blocks, self.weights_only = program, blocks, weights_only
        self.at = 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        while True:
            code = self._bytes(1)
            if code == b".":
                return self.stack.pop()
            step = _STEPS.get(code)
            if step is None:
                raise UnpicklingError(f"load(): the file uses the instruction {code!r} of pickles, which is not supported")
            step(self)

    # -- reading the program ------------------------------------------------------------------------------------------

    def _bytes(self, n: int) -> bytes:
        found = self.program[self.at : self.at + n]
        if len(found) < n:
            raise UnpicklingError("load(): the file ends too early")
        self.at += n
        return found

    def _int(self, form: str) -> int:
        return int(struct.unpack(form, self._bytes(struct.calcsize(form)))[0])

    def _line(self) -> str:
        end = self.program.index(b"\n", self.at)
        found, self.at = self.program[self.at : end], end + 1
        return found.decode("utf-8")

    def _since_mark(self) -> list[Any]:
        start = self.marks.pop()
        found = self.stack[start:]
        del self.stack[start:]
        return found

    # -- instructions -------------------------------------------------------------------------------------------------

    def _named(self, module: str, name: str) -> None:
        key = f"{module} {name}"
        if key in _ALWAYS:
            self.stack.append(_ALWAYS[key])
        elif key in _WITH_MORE and not self.weights_only:
            self.stack.append(_WITH_MORE[key])
        else:
            more = " It can be read with weights_only=False." if key in _WITH_MORE else ""
            raise UnpicklingError(
                f"load(): the file asks for {module}.{name}, and only tensors, numbers, texts and containers of them are "
                f"read: a file must not run code.{more or ' Save a state_dict() instead of the whole object.'}"
            )

    def _reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self._called(self.stack[-1], arguments)

    def _called(self, function: Any, arguments: Any) -> Any:
        if not callable(function) or isinstance(function, DType) or not isinstance(arguments, tuple):
            raise UnpicklingError(f"load(): a call of {function!r}")
        if function is defaultdict and arguments and arguments[0] not in (int, float, list, dict, set):
            raise UnpicklingError("load(): a defaultdict of something else than containers and numbers")
        return function(*arguments)

    def _build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, np.dtype):
            return  # its order of bytes: the machine's own
        known = isinstance(target, Namespace) or (isinstance(target, OrderedDict) and set(state) <= {"_metadata"})
        if not isinstance(state, dict) or not known:
            raise UnpicklingError(f"load(): a state for an object of type {type(target).__name__}")
        target.__dict__.update(state)

    def _set_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise UnpicklingError(f"load(): items for an object of type {type(target).__name__}")
        for k in range(0, len(pairs), 2):
            target[pairs[k]] = pairs[k + 1]

    def _append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise UnpicklingError(f"load(): elements for an object of type {type(target).__name__}")
        target.extend(values)

    def _push(self, value: Any) -> None:
        self.stack.append(value)

    def _tuple(self, n: int) -> None:
        values = self.stack[len(self.stack) - n :]
        del self.stack[len(self.stack) - n :]
        self.stack.append(tuple(values))

    def _pairs_of_two(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    def _stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._named(str(module), str(name))

    def _remember(self, place: int) -> None:
        self.memo[place] = self.stack[-1]


_Step = Callable[[_Machine], Any]
_STEPS: dict[bytes, _Step] = {
    b"\x80": lambda m: m._bytes(1),  # the version
    b"\x95": lambda m: m._bytes(8),  # the length of what follows
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"0": lambda m: m.stack.pop(),
    b"N": lambda m: m._push(None),
    b"\x88": lambda m: m._push(True),
    b"\x89": lambda m: m._push(False),
    b"J": lambda m: m._push(m._int("<i")),
    b"K": lambda m: m._push(m._int("<B")),
    b"M": lambda m: m._push(m._int("<H")),
    b"\x8a": lambda m: m._push(int.from_bytes(m._bytes(m._int("<B")), "little", signed=True)),
    b"G": lambda m: m._push(struct.unpack(">d", m._bytes(8))[0]),
    b"X": lambda m: m._push(m._bytes(m._int("<I")).decode("utf-8", "surrogatepass")),
    b"\x8c": lambda m: m._push(m._bytes(m._int("<B")).decode("utf-8", "surrogatepass")),
    b"B": lambda m: m._push(m._bytes(m._int("<I"))),
    b"C": lambda m: m._push(m._bytes(m._int("<B"))),
    b"}": lambda m: m._push({}),
    b"]": lambda m: m._push([]),
    b")": lambda m: m._push(()),
    b"\x8f": lambda m: m._push(set()),
    b"t": lambda m: m._push(tuple(m._since_mark())),
    b"l": lambda m: m._push(m._since_mark()),
    b"\x85": lambda m: m._tuple(1),
    b"\x86": lambda m: m._tuple(2),
    b"\x87": lambda m: m._tuple(3),
    b"a": lambda m: m._append([m.stack.pop()]),
    b"e": lambda m: m._append(m._since_mark()),
    b"s": lambda m: m._pairs_of_two(),
    b"u": lambda m: m._set_items(m._since_mark()),
    b"\x90": lambda m: [m.stack[-1].update([v]) for v in m._since_mark()],
    b"c": lambda m: m._named(m._line(), m._line()),
    b"\x93": lambda m: m._stack_global(),
    b"R": lambda m: m._reduce(),
    b"\x81": lambda m: m._reduce(),  # a new object of a class: a call of the class
    b"b": lambda m: m._build(),
    b"Q": lambda m: m._push(m.blocks.storage(m.stack.pop())),
    b"q": lambda m: m._remember(m._int("<B")),
    b"r": lambda m: m._remember(m._int("<I")),
    b"\x94": lambda m: m._remember(len(m.memo)),
    b"h": lambda m: m._push(m.memo[m._int("<B")]),
    b"j": lambda m: m._push(m.memo[m._int("<I")]),
}
