"""`save` and `load`: tensors, and containers of them, in a zip file without any code.

    index.json      the containers as a tree; a tensor is its dtype, shape, strides and place in a memory block
    blocks/0, 1, ...  the bytes of the storages, little-endian; tensors that shared one share it again

Reading such a file runs nothing that it holds, unlike a pickle. Files of PyTorch are pickles; they are read by a
machine that runs nothing either (``interop/torch_files.py``).
"""

from __future__ import annotations

import base64
import ctypes
import io
import json
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, is_zipfile

import numpy as np

from pellucid.devices import device as Device
from pellucid.dtypes import DTYPES, DType
from pellucid.interop import torch_files
from pellucid.layout import Size, layout_of, span
from pellucid.runtime import native
from pellucid.tensor import Tensor

_FORMAT = "pellucid 1"
_PART = 1 << 24  # bytes that are read or written at a time
_PLAIN = (type(None), bool, str)
_DICTIONARIES: dict[str, Callable[[Any], Any]] = {
    "dict": dict,
    "ordered": OrderedDict,
    "counter": lambda pairs: Counter(dict(pairs)),
    "default": lambda pairs: defaultdict(dict, pairs),
}


def save(obj: Any, f: Any, pickle_module: Any = None, pickle_protocol: int = 2, **options: Any) -> None:
    """Write tensors, numbers, strings and containers of them to a path or a file.

    Raises:
        TypeError: an object of another kind, such as a module; RuntimeError: the folder does not exist.
    """
    if isinstance(f, str | Path) and not Path(f).absolute().parent.is_dir():
        raise RuntimeError(f"save(): Parent directory {Path(f).absolute().parent} does not exist.")
    writer = _Writer()
    tree = writer.encode(obj, "obj")
    with ZipFile(f, "w", ZIP_STORED) as archive:
        archive.writestr("index.json", json.dumps({"format": _FORMAT, "object": tree}))
        for k, storage in enumerate(writer.storages):
            with archive.open(f"blocks/{k}", "w", force_zip64=True) as block:
                for part in _parts(storage):
                    block.write(part)


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **options: Any,
) -> Any:
    """Read what `save` has written, here or in PyTorch. Nothing that the file holds is run.

    Args:
        map_location: where tensors of other devices go; all are on the CPU.
        weights_only: with False, files of PyTorch may hold namespaces and NumPy's numbers as well.

    Raises:
        FileNotFoundError: there is no such file; RuntimeError: it was not written by `save`, or is damaged.
        UnpicklingError: a file of PyTorch that holds more than tensors, numbers, texts and containers.
    """
    if isinstance(f, str | Path) and not Path(f).exists():
        raise FileNotFoundError(2, "No such file or directory", str(f))
    if not isinstance(f, str | Path) and not hasattr(f, "seekable"):
        f = io.BytesIO(f.read())  # a reader of its own making, with less than zip files need
    if not is_zipfile(f):
        raise RuntimeError(f"load(): {_name(f)} is not a file of pellucid.save (nor a zip file at all)")
    try:
        with ZipFile(f) as archive:
            if torch_files.is_torch_file(archive):
                return torch_files.read(archive, map_location, weights_only is not False)
            return _read(archive, _name(f))
    except (BadZipFile, KeyError, ValueError, TypeError, IndexError) as error:
        raise RuntimeError(f"load(): {_name(f)} is damaged: {error}") from error


def _parts(storage: native.Storage) -> Iterator[memoryview]:
    """The memory of a storage, piece by piece."""
    for start in range(0, storage.nbytes, _PART):
        size = min(_PART, storage.nbytes - start)
        yield memoryview((ctypes.c_char * size).from_address(storage.ptr + start)).cast("B")


def _name(f: Any) -> str:
    return str(f if isinstance(f, str | Path) else getattr(f, "name", "the file"))


def _read(archive: ZipFile, name: str) -> Any:
    names = archive.namelist()
    if "index.json" not in names:
        raise RuntimeError(f"load(): {name} was written neither by pellucid.save nor by torch.save")
    index = json.loads(archive.read("index.json"))
    if index.get("format") != _FORMAT:
        raise RuntimeError(f"load(): {name} has the format {index.get('format')!r}; this version reads {_FORMAT!r}")
    return _Reader(archive).decode(index["object"])


class _Writer:
    """Objects as a tree of JSON; the storages that the tensors lie in are collected."""

    def __init__(self) -> None:
        self.storages: list[native.Storage] = []
        self.numbers: dict[int, int] = {}

    def encode(self, value: Any, place: str) -> Any:
        if isinstance(value, Tensor):
            return {"tensor": self._tensor(value)}
        if isinstance(value, _PLAIN) or (isinstance(value, int) and type(value) is int):
            return value
        if isinstance(value, float):
            return {"float": value.hex()} if type(value) is float else {"float": float(value).hex()}
        if isinstance(value, list):
            return [self.encode(v, f"{place}[{k}]") for k, v in enumerate(value)]
        if isinstance(value, Size):
            return {"size": list(value)}
        if isinstance(value, tuple | set | frozenset):
            kind = next(k.__name__ for k in (tuple, set, frozenset) if isinstance(value, k))
            return {kind: [self.encode(v, f"{place}[{k}]") for k, v in enumerate(value)]}
        if isinstance(value, dict):
            return self._dictionary(value, place)
        return self._rare(value, place)

    def _dictionary(self, value: dict[Any, Any], place: str) -> Any:
        kinds = (("ordered", OrderedDict), ("counter", Counter), ("default", defaultdict))
        kind = next((name for name, k in kinds if isinstance(value, k)), "dict")
        pairs = [[self.encode(k, place), self.encode(v, f"{place}[{k!r}]")] for k, v in value.items()]
        metadata = getattr(value, "_metadata", None)
        return {kind: pairs} if metadata is None else {kind: pairs, "metadata": self.encode(metadata, place)}

    def _rare(self, value: Any, place: str) -> Any:
        if isinstance(value, complex):
            return {"complex": [value.real.hex(), value.imag.hex()]}
        if isinstance(value, bytes):
            return {"bytes": base64.b64encode(value).decode()}
        if isinstance(value, DType):
            return {"dtype": value.name}
        if isinstance(value, Device):
            return {"device": str(value)}
        if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in "biufc":
            array = np.ascontiguousarray(value)
            text = base64.b64encode(array.tobytes()).decode()
            return {"array": [array.dtype.str, list(np.shape(value)), text, isinstance(value, np.generic)]}
        hint = " Save its state_dict() instead." if hasattr(value, "state_dict") else ""
        raise TypeError(
            f"save(): {place} is of type {type(value).__name__}, but only tensors, numbers, strings and containers of them "
            f"are saved: a file holds no code.{hint}"
        )

    def _tensor(self, t: Tensor) -> list[Any]:
        number = self.numbers.setdefault(id(t.storage), len(self.storages))
        if number == len(self.storages):
            self.storages.append(t.storage)
        layout = t.layout
        kind = "Parameter" if type(t).__name__ == "Parameter" else "Tensor"
        offset = t.ptr - t.storage.ptr if layout.numel else 0
        return [kind, number, offset, layout.dtype.name, list(layout.shape), list(layout.strides), t.tracked]


class _Reader:
    """The reverse; blocks are read when the first tensor in them is met."""

    def __init__(self, archive: ZipFile) -> None:
        self.archive = archive
        self.storages: dict[int, native.Storage] = {}

    def decode(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.decode(v) for v in node]
        if not isinstance(node, dict):
            return node
        (kind, value), *rest = node.items()
        if kind in _DICTIONARIES:
            made = _DICTIONARIES[kind]([(self.decode(k), self.decode(v)) for k, v in value])
            if rest:
                made._metadata = self.decode(rest[0][1])
            return made
        if kind == "tensor":
            return self._tensor(*value)
        if kind == "float":
            return float.fromhex(value)
        if kind in ("tuple", "set", "frozenset"):
            return {"tuple": tuple, "set": set, "frozenset": frozenset}[kind](self.decode(v) for v in value)
        return _rare_value(kind, value)

    def _tensor(
        self, kind: str, number: int, offset: int, dtype: str, shape: list[int], strides: list[int], tracked: bool
    ) -> Tensor:
        storage = self.storages.get(number)
        if storage is None:
            storage = self.storages[number] = self._block(f"blocks/{int(number)}")
        layout = layout_of(tuple(map(int, shape)), tuple(map(int, strides)), DTYPES[dtype])
        low, high = (offset + x * layout.dtype.itemsize for x in span(layout))
        if layout.numel and (low < 0 or high > storage.nbytes):
            raise ValueError(f"a tensor of shape {shape} lies outside of its block of {storage.nbytes} bytes")
        made = native.new_tensor(layout, storage, storage.ptr + offset)
        if kind == "Parameter":
            from pellucid.nn.parameter import Parameter

            return Parameter(made, bool(tracked))
        made.tracked = bool(tracked)
        return made


    def _block(self, name: str) -> native.Storage:
        storage = native.alloc(self.archive.getinfo(name).file_size)
        with self.archive.open(name) as file:
            block: Any = file
            for part in _parts(storage):
                if block.readinto(part) != len(part):
                    raise ValueError(f"{name} ends too early")
        return storage


def _rare_value(kind: str, value: Any) -> Any:
    if kind == "complex":
        return complex(*map(float.fromhex, value))
    if kind == "bytes":
        return base64.b64decode(value)
    if kind == "size":
        return Size(value)
    if kind == "dtype":
        return DTYPES[value]
    if kind == "device":
        return Device(value)
    if kind == "array":
        name, shape, text, single = value
        array = np.frombuffer(base64.b64decode(text), np.dtype(name)).reshape(shape).copy()
        return array[()] if single else array
    raise ValueError(f"unknown kind {kind!r}")
