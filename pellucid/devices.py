"""Devices: where a tensor's memory lies.

`device` objects are interned: equal devices are the same object. A device can be named without being
usable here; `check_available` is asked before memory is taken on one.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Any, NoReturn, final

_TYPES = (
    *("cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga", "maia", "xla"),
    *("lazy", "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone"),
)
_PATTERN = re.compile(r"([a-zA-Z_]+)(?::(0|[1-9][0-9]*))?")
_MAX_INDEX = 127  # PyTorch keeps the index in a signed byte

_interned: dict[tuple[str, int | None], device] = {}
_parsed: dict[str, device] = {}
_usable: dict[str, int] = {"cpu": 1}
_entered: ContextVar[tuple[device, ...]] = ContextVar("entered_devices", default=())


@final
class device:
    """A device: `device("cpu")`, `device("cuda:1")`, `device("cuda", 1)`, `device(1)` (the second GPU).

    As a context manager it is the device of tensors created inside without `device=`.

    Raises RuntimeError for a string that names no device, TypeError for arguments of other types.
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __new__(cls, *args: Any, **kwargs: Any) -> device:
        if len(args) == 1 and not kwargs and isinstance(args[0], str):
            found = _parsed.get(args[0])
            return _parse(args[0]) if found is None else found
        return _from_arguments(args, kwargs)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"attribute {name!r} of 'torch.device' objects is not writable; make another device"
        )

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (self.type,) if self.index is None else (self.type, self.index)

    def __enter__(self) -> device:
        _entered.set((*_entered.get(), self))
        return self

    def __exit__(self, *exception: object) -> None:
        _entered.set(_entered.get()[:-1])


def _intern(kind: str, index: int | None) -> device:
    found = _interned.get((kind, index))
    if found is not None:
        return found
    if index is not None and index > _MAX_INDEX:
        raise RuntimeError(f"Device index must be at most {_MAX_INDEX}; got {kind}:{index}")
    made = object.__new__(device)
    object.__setattr__(made, "type", kind)
    object.__setattr__(made, "index", index)
    # setdefault is atomic: two threads that get here together leave with the same object.
    return _interned.setdefault((kind, index), made)


def _parse(text: str) -> device:
    if not text:
        raise RuntimeError("Device string must not be empty; write for example 'cpu' or 'cuda:0'")
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise RuntimeError(
            f"Invalid device string: '{text}'; write a device type and perhaps an index, "
            "as in 'cpu' or 'cuda:0' (dtypes are objects, not text: torch.float32)"
        )
    kind, digits = match.groups()
    if kind not in _TYPES:
        raise RuntimeError(
            f"Expected one of {', '.join(_TYPES)} device type at start of device string: {kind}"
            + (
                f"; device types are written in lower case: '{text.lower()}'"
                if kind.lower() in _TYPES
                else ""
            )
        )
    return _parsed.setdefault(text, _intern(kind, None if digits is None else int(digits)))


def _from_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> device:
    """The forms other than one string: (device), (int), (type, index), with keywords."""
    if len(args) + len(kwargs) == 1:
        only = args[0] if args else kwargs.get("device", kwargs.get("type"))
        if isinstance(only, device):
            return only
        if isinstance(only, str):
            if "type" in kwargs and ":" in only:
                raise RuntimeError(
                    f"type (string) must not include an index; got {only}: write device('{only}')"
                )
            return _parse(only)
        if isinstance(only, int) and not isinstance(only, bool) and "type" not in kwargs:
            return _accelerator(only)
    names = ("type", "index")
    given = dict(zip(names, args, strict=False)) | kwargs
    fits = len(args) <= 2 and len(given) == len(args) + len(kwargs) and set(given) <= set(names)
    if not fits or not isinstance(given.get("type"), str):
        got = [type(value).__name__ for value in args] + [
            f"{k}={type(v).__name__}" for k, v in kwargs.items()
        ]
        raise TypeError(
            f"device() received an invalid combination of arguments - got ({', '.join(got)}), "
            "but expected one of:\n"
            " * (torch.device device)\n * (str type, int index = -1)"
        )
    return _with_index(given["type"], given.get("index"))


def _with_index(kind: str, index: Any) -> device:
    if index is None:
        return _parse(kind)
    if not isinstance(index, int) or isinstance(index, bool):
        raise TypeError(f"device(): argument 'index' (position 2) must be int, not {type(index).__name__}")
    if index < 0:
        raise RuntimeError(f"Device index must not be negative; got {index}")
    if ":" in kind:
        raise RuntimeError(
            f"type (string) must not include an index because index was passed explicitly: {kind}"
        )
    return _intern(_parse(kind).type, index)


def _accelerator(index: int) -> device:
    if index < 0:
        raise RuntimeError(f"Device index must not be negative; got {index}")
    if "cuda" not in _usable:
        raise RuntimeError(
            f"Cannot access accelerator device when none is available. The device {index} means "
            f"GPU number {index}, and Pellucid can use no GPU on this machine; write 'cpu' for the processor"
        )
    return _intern("cuda", index)


cpu = device("cpu")


def as_device(value: device | str | int | None, function: str = "device") -> device:
    """The device that a `device=` argument means; None is the current default device."""
    if value is None:
        return default_device()
    if isinstance(value, device):
        return value
    if isinstance(value, str | int) and not isinstance(value, bool):
        return device(value)
    raise TypeError(f"{function}(): argument 'device' must be torch.device, not {type(value).__name__}")


def default_device() -> device:
    """Where tensors are created when nothing else is said: the innermost `with device(...)`, else the CPU."""
    entered = _entered.get()
    return entered[-1] if entered else cpu


def canonical(where: device) -> device:
    """The device as tensors report it: every "cpu:n" is "cpu", and "cuda" without an index is "cuda:0"."""
    if where.type == "cpu":
        return cpu
    return _intern("cuda", 0) if where.type == "cuda" and where.index is None else where


def make_usable(kind: str, count: int) -> None:
    """Declares that `count` devices of this type can hold tensors; the room that drives them calls this."""
    _usable[kind] = count


def usable(kind: str) -> int:
    """How many devices of this type can hold tensors."""
    return _usable.get(kind, 0)


def check_available(where: device, what: str) -> None:
    """Raises unless tensors can be kept on this device.

    Args:
        where: the device that the program asks for.
        what: the call that asks, for the message: "zeros", "Tensor.cuda".

    Raises AssertionError for CUDA and XPU, NotImplementedError for other device types, RuntimeError
    when there are such devices but none of this index: the same classes as PyTorch.
    """
    count = _usable.get(where.type)
    if count is not None:
        if where.type != "cpu" and (where.index or 0) >= count:
            raise RuntimeError(
                f"{what}(): invalid device ordinal: '{where}' does not exist; this machine has {count} "
                f"{where.type} device(s), counted from 0"
            )
        return
    if where.type == "cuda":
        raise AssertionError(
            f"{what}(): device '{where}' asked for, but no GPU is usable by Pellucid on this machine. Use "
            "device='cpu', or let the program choose: device = 'cuda' if torch.cuda.is_available() else 'cpu'"
        )
    if where.type == "xpu":
        raise AssertionError(
            f"{what}(): device '{where}' asked for, but Pellucid cannot use XPU devices; use 'cpu'"
        )
    raise NotImplementedError(
        f"{what}(): device '{where}' asked for, but Pellucid has no kernels for '{where.type}'; "
        f"usable device types on this machine: {', '.join(_usable)}"
    )
