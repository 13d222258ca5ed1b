"""Tensors' memory and the calls of plans, as builtins written in LLVM IR.

    pool.ll      where bytes come from: size classes, free lists, huge pages
    native.ll    Storage and Tensor objects
    redzones.ll  finding writes outside of a tensor
    launch.ll    the call of a plan: arguments -> operands -> kernel -> Tensors
    builtins.ll  the small functions below, and the tables that describe all to CPython

The first use of a builtin loads them (0.1 ms from the disk cache); importing this module does not. So use
them as attributes of the module, `native.alloc(n)`; `from ... import alloc` would load LLVM at import.

    Storage                        type: ptr, nbytes, version (writable), owner; weak references
    alloc(nbytes) -> Storage       memory of the pool, not initialised
    wrap(ptr, nbytes, owner)       memory that belongs to somebody else
    new_tensor(layout, storage, ptr) -> Tensor
    set_grad_enabled(mode) -> bool the mode before;   grad_enabled() -> bool     of this thread
    recorded(*operands) -> bool    whether a call with them is recorded; it also refreshes views (see below)
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from pellucid.runtime import jit, threads

RELEASE_GIL = 1  # flags of a plan's spec
IN_PLACE = 2
DIVISIBLE = 4
MAX_OPERANDS = 64
GRAD_KEY = "pellucid.grad_enabled"  # in the dict of each thread
TENSOR, FLOAT, INT = 0, 1, 2  # kinds of a plan's inputs

_BUILTINS = ("alloc", "wrap", "new_tensor", "set_grad_enabled", "grad_enabled", "recorded", "damaged")
_SLOTS = ("layout", "storage", "ptr", "tracked", "base", "seen")
_DEFAULTS: Mapping[str, object] = {
    "tracked": False, "node": None, "output_nr": 0, "gradient": None, "base": None,
    "seen": 0,
}  # fmt: skip
_TEXTS = {
    "name_launch": "launch",
    "doc_launch": "Call the plan: check the operands, allocate its outputs, run its kernel.",
    "name_view": "view",
    "doc_view": "Make the plan's view of a Tensor: the same storage, another layout.",
    "name_alloc": "alloc",
    "doc_alloc": "alloc(nbytes) -> Storage of the memory pool, not initialised.",
    "name_wrap": "wrap",
    "doc_wrap": "wrap(ptr, nbytes, owner) -> Storage on memory that `owner` keeps alive.",
    "name_new_tensor": "new_tensor",
    "doc_new_tensor": "new_tensor(layout, storage, ptr) -> Tensor",
    "name_set_grad_enabled": "set_grad_enabled",
    "doc_set_grad_enabled": "set_grad_enabled(mode) -> the mode before.",
    "name_grad_enabled": "grad_enabled",
    "doc_grad_enabled": "grad_enabled() -> whether calls record a graph.",
    "name_recorded": "recorded",
    "doc_recorded": "recorded(*operands) -> whether gradients are on and a tensor among the operands needs one.",
    "name_damaged": "damaged",
    "doc_damaged": "damaged() -> [(address, nbytes, offset of the first overwritten byte)] of live storages.",
    "name_storage": "pellucid.runtime.native.Storage",
    "doc_storage": "Bytes of memory on the CPU, shared by a tensor and its views.",
    "name_ptr": "ptr",
    "doc_ptr": "address of the first byte",
    "name_nbytes": "nbytes",
    "doc_nbytes": "size in bytes",
    "name_version": "version",
    "doc_version": "number of in-place writes so far",
    "name_owner": "owner",
    "doc_owner": "the object that the memory belongs to; None for the pool",
    "name_weaklistoffset": "__weaklistoffset__",
    "format_size": "K",
    "format_damage": "(KKL)",  # address, bytes, offset
    "message_count": "this call takes %zd operands, but %zd were given",
    "message_not_tensor": "operand %zd of this call must be a Tensor, not %R: make one by tensor(...)",
    "message_no_memory": "operand %zd of this call is a Tensor without memory: make one by empty(...)",
    "message_negative": "wrap: a size of %zd bytes is negative",
    "message_not_storage": "new_tensor: the storage must be a native Storage, not %R",
    "message_no_thread": "set_grad_enabled: the thread was not started by Python",
    "message_unconfigured": "new_tensor: no Tensor class was given to configure()",
    "message_status": "the kernel ended with status %zd, which its plan does not explain",
}

if TYPE_CHECKING:

    class Storage:
        """Bytes of memory on the CPU, shared by a tensor and its views."""

        ptr: int
        nbytes: int
        version: int
        owner: object

    def alloc(nbytes: int, /) -> Storage: ...
    def wrap(ptr: int, nbytes: int, owner: object, /) -> Storage: ...
    def new_tensor(layout: object, storage: Storage, ptr: int, /) -> Any: ...
    def set_grad_enabled(mode: bool, /) -> bool: ...
    def grad_enabled() -> bool: ...
    def recorded(*operands: object) -> bool: ...
    def damaged() -> list[tuple[int, int, int]]: ...


class OutOfMemoryError(MemoryError, RuntimeError):
    """The machine has no memory left for a tensor. (A RuntimeError too, as PyTorch's is.)"""


_symbols: Mapping[str, int] = {}
_tensor_type: type | None = None
_refresh: Callable[[Any], None] | None = None
_start_lock = Lock()
_kept: list[object] = []  # what machine code points to


def symbols() -> Mapping[str, int]:
    """Addresses of the native module's functions and variables; loads it on first use."""
    if not _symbols:
        with _start_lock:
            if not _symbols:
                _start()
    return _symbols


def is_loaded() -> bool:
    """Whether native code is in use; until then there are no storages."""
    return bool(_symbols)


def variable(name: str) -> ctypes.c_int64:
    """A 64-bit variable of the native module, e.g. `reserved`; its `.value` reads and writes it."""
    return ctypes.c_int64.from_address(symbols()[name])


def __getattr__(name: str) -> Any:
    if name in _BUILTINS or name == "Storage":
        symbols()
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _source() -> str:
    """The whole module as LLVM IR: this interpreter's offsets, the texts, the five files."""
    folder = Path(__file__).parent
    offsets = {"tuple_items": tuple.__basicsize__, "bytes_data": bytes.__basicsize__ - 1}
    parts = [f"@{name} = internal constant i64 {value}\n" for name, value in offsets.items()]
    for name, text in _TEXTS.items():
        data = text.encode() + b"\0"
        escaped = "".join(
            chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:02X}" for byte in data
        )
        parts.append(f'@{name} = internal constant [{len(data)} x i8] c"{escaped}"\n')
    files = ("pool.ll", "native.ll", "redzones.ll", "launch.ll", "builtins.ll")
    return "".join(parts) + "\n".join((folder / file).read_text() for file in files)


def _start() -> None:
    """Load the native module and make its types and builtins."""
    global _symbols
    if sys.implementation.name != "cpython" or getattr(sys, "_is_gil_enabled", lambda: True)() is False:
        raise RuntimeError(
            "pellucid needs CPython with its global interpreter lock (not a free-threaded build)"
        )
    text = _source()
    loaded = jit.load("native:" + jit.digest(text), lambda: text)
    from_spec = ctypes.pythonapi.PyType_FromSpec
    from_spec.restype, from_spec.argtypes = ctypes.py_object, [ctypes.c_void_p]
    storage = from_spec(loaded["storage_spec"])
    _kept.extend((storage, _raise_out_of_memory, GRAD_KEY))
    _store(loaded["storage_type"], id(storage))
    _store(loaded["grad_key"], id(GRAD_KEY))
    _store(loaded["out_of_memory"], id(_raise_out_of_memory))
    _store(loaded["memory_limit"], _machine_memory() * 3 // 4)
    globals()["Storage"] = storage
    for name in _BUILTINS:
        globals()[name] = _builtin(loaded["method_" + name], None)
    _symbols = loaded
    if _tensor_type is not None:
        _apply(_tensor_type)
    if _refresh is not None:
        _store(loaded["refresh"], id(_refresh))


def _store(address: int, value: int) -> None:
    ctypes.c_int64.from_address(address).value = value


def _builtin(method: int, bound: object) -> Any:
    """A builtin function from a PyMethodDef at an address; `bound` is its self."""
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    return make(method, bound, None)


def _machine_memory() -> int:
    """Bytes of memory that this process may use: the machine's, or its control group's limit."""
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limit = Path(path).read_text().strip()
        except OSError:
            continue
        if limit.isdigit():
            most = min(most, int(limit))
    return most


def _raise_out_of_memory(nbytes: int) -> None:
    in_use, blocks, reserved = (variable(name).value for name in ("in_use", "in_blocks", "reserved"))
    if nbytes >= 1 << 63:
        raise OutOfMemoryError(f"a tensor of {nbytes - (1 << 64)} bytes: its size is negative or overflowed")
    raise OutOfMemoryError(
        f"no memory for a tensor of {nbytes} bytes ({nbytes / 2**30:.3g} GiB): {in_use} bytes are in use by "
        f"tensors, {reserved - blocks} are cached. Make the tensor smaller (a smaller batch), delete tensors "
        "that are no longer needed, or give cached memory back with pellucid.memory.empty_cache()"
    )


def set_damage_callback(callback: Callable[[int, int, int], None]) -> None:
    """Call `callback(address, nbytes, offset)` when a freed block's red zone is found overwritten."""
    _kept.append(callback)
    _store(symbols()["on_damage"], id(callback))


def set_refresh_callback(callback: Callable[[Any], None]) -> None:
    """Call `callback(view)` when gradients are on and a view is used whose memory was written since it was last
    seen: its slot `seen` differs from the storage's version."""
    global _refresh
    _refresh = callback
    if _symbols:
        _store(_symbols["refresh"], id(callback))


# ------------------------------------------------------------------------------------------- Tensor's slots
def configure(tensor_type: type) -> None:
    """Tell native code which class its results are of: one with the slots layout, storage, ptr,
    tracked, node, output_nr, gradient, base, seen. Other slots of it stay empty.

    Raises:
        TypeError: the class lacks one of these slots.
    """
    global _tensor_type
    for name in dict.fromkeys((*_SLOTS, *_DEFAULTS)):
        _slot_offset(tensor_type, name)
    _tensor_type = tensor_type
    if _symbols:
        _apply(tensor_type)


def _apply(tensor_type: type) -> None:
    _kept.append(tensor_type)
    for name in _SLOTS:
        _store(_symbols["at_" + name], _slot_offset(tensor_type, name))
    for i, (name, value) in enumerate(_DEFAULTS.items()):
        _kept.append(value)
        _store(_symbols["defaults"] + 16 * i, _slot_offset(tensor_type, name))
        _store(_symbols["defaults"] + 16 * i + 8, id(value))
    _store(_symbols["default_count"], len(_DEFAULTS))
    _store(_symbols["tensor_type"], id(tensor_type))


class _MemberDef(ctypes.Structure):
    """PyMemberDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("offset", ctypes.c_ssize_t),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def _slot_offset(owner: type, name: str) -> int:
    """Where the slot lies in an instance, from the member descriptor that Python made for it."""
    descriptor = getattr(owner, name, None)
    if not isinstance(descriptor, type(_SlotProbe.probe)):  # type: ignore[attr-defined]
        raise TypeError(f"configure: {owner.__name__} has no slot {name!r}; name it in its __slots__")
    # PyMemberDescrObject: head (two words), d_type, d_name, d_qualname, then d_member.
    pointer = ctypes.c_void_p.from_address(id(descriptor) + 5 * ctypes.sizeof(ctypes.c_void_p)).value
    assert pointer is not None
    member = _MemberDef.from_address(pointer)
    if member.name != name.encode() or member.type != 16 or not 16 <= member.offset < owner.__basicsize__:
        raise TypeError(f"configure: {owner.__name__}.{name} is not a plain slot")  # T_OBJECT_EX = 16
    offset: int = member.offset
    return offset


class _SlotProbe:
    __slots__ = ("probe",)


# ------------------------------------------------------------------------------------------- plans
def pack_spec(
    kernel: int, params: int, n: int, grain: int, flags: int, nbytes: Sequence[int], kinds: Sequence[int]
) -> bytes:
    """A plan's spec for `make_launch`: addresses, range, flags, bytes of each output, kind of each input."""
    words = (kernel, params, n, grain, flags, len(nbytes), len(kinds), *nbytes, *kinds)
    return struct.pack(f"={len(words)}q", *words)


def make_launch(
    spec: bytes,
    params: object,
    record: Callable[..., object] | None,
    fail: Callable[..., object],
    layouts: Sequence[object],
) -> Callable[..., Any]:
    """The builtin that calls a plan: operands -> a Tensor, a tuple of them, or the first output in place.

    Args:
        spec: see `pack_spec`.
        params: the object that owns the memory of the kernel's parameters.
        record: called with (*outputs, *operands) when an input needs a gradient and gradients are on.
        fail: called with (status, *operands) when the kernel reports an error; raises.
        layouts: one for each output.

    Raises:
        ValueError: the spec is not well formed, or the plan has more than 64 operands.
    """
    if len(spec) < 56 or len(spec) % 8:
        raise ValueError(f"make_launch: a spec is at least seven 64-bit words, not {len(spec)} bytes")
    kernel, _, n, grain, flags, n_out, n_in, *rest = struct.unpack(f"={len(spec) // 8}q", spec)
    sizes, kinds = rest[:n_out], rest[n_out:]
    if (
        n_out < 0
        or n_in < 0
        or len(rest) != n_out + n_in
        or any(kind not in (TENSOR, FLOAT, INT) for kind in kinds)
    ):
        raise ValueError(f"make_launch: the spec of {n_out} outputs and {n_in} inputs has the words {rest}")
    if n_out + n_in > MAX_OPERANDS:
        raise ValueError(f"make_launch: {n_out + n_in} operands; a kernel takes at most {MAX_OPERANDS}")
    if not kernel or n < 0 or flags & ~(RELEASE_GIL | IN_PLACE | DIVISIBLE):
        raise ValueError(f"make_launch: kernel {kernel:#x}, range {n}, flags {flags}")
    if flags & IN_PLACE and not n_out:
        raise ValueError("make_launch: an in-place plan has an output")
    if not flags & IN_PLACE and len(layouts) != n_out:
        raise ValueError(f"make_launch: {len(layouts)} layouts for {n_out} outputs ({sizes} bytes)")
    if not callable(fail) or not (record is None or callable(record)):
        raise TypeError("make_launch: fail must be callable, and record callable or None")
    _require_tensor_type("make_launch")
    if n > grain and not variable("parallel_for").value:
        variable("parallel_for").value = threads.parallel_for_address()
    if flags & DIVISIBLE and not variable("share_if_awake").value:
        variable("share_if_awake").value = threads.share_if_awake_address()
    plan: Callable[..., Any] = _builtin(
        symbols()["method_launch"], (bytes(spec), params, record, fail, *layouts)
    )
    return plan


def make_view(offset: int, layout: object, record: Callable[..., object] | None) -> Callable[[Any], Any]:
    """The builtin that makes a view: tensor -> Tensor of `layout` on its storage, `offset` bytes further."""
    _require_tensor_type("make_view")
    view: Callable[[Any], Any] = _builtin(
        symbols()["method_view"], (struct.pack("=q", offset), layout, record)
    )
    return view


def _require_tensor_type(caller: str) -> None:
    if _tensor_type is None:
        raise RuntimeError(f"{caller}: no Tensor class was given to configure()")
    symbols()
