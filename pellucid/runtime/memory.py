"""What the memory pool holds, giving it back, and finding kernels that write outside of their tensors.

    reserved = in blocks (in use, rounded up to size classes) + cached (free, or not yet cut)

Freed memory stays cached for the next tensor. It goes back to the operating system by itself when a tensor of
more than 1 MiB needs new memory and

    reserved + its size > min(2 * peak + slack, 3/4 of the machine's memory),     slack = 256 MiB at first,

the largest cached blocks first. When a block that went back is wanted again, slack grows by its size, so the
reserved memory of a program that repeats itself comes to rest. `empty_cache` gives back all that is free.
"""

from __future__ import annotations

import ctypes
import warnings
from dataclasses import dataclass

from pellucid.runtime import native

_ZONE = 64  # bytes before and after a block
_found_at_free: list[Overwritten] = []


@dataclass(frozen=True)
class MemoryStats:
    """Bytes and counts of the memory pool, at one moment.

    Attributes:
        in_use: bytes that the live tensors asked for.
        peak: the most that `in_use` ever was, since the start or `reset_peak`.
        cached: bytes that are free for new tensors.
        reserved: bytes obtained from the operating system.
        allocations: storages made since the start.
        live: storages that are alive.
    """

    in_use: int
    peak: int
    cached: int
    reserved: int
    allocations: int
    live: int


@dataclass(frozen=True)
class Overwritten:
    """A block whose red zone was written to.

    Attributes:
        address: its first byte.
        nbytes: its size.
        offset: where the first overwritten byte lies, counted from `address`: below 0 or from `nbytes` on.
        freed: True when it was found as the block was freed, False when the block is alive.
    """

    address: int
    nbytes: int
    offset: int
    freed: bool

    def __str__(self) -> str:
        where = f"{-self.offset} bytes before its start" if self.offset < 0 else (
            f"{self.offset - self.nbytes} bytes after its end"
        )  # fmt: skip
        return f"the block of {self.nbytes} bytes at {self.address:#x} was overwritten {where}"


def memory_stats() -> MemoryStats:
    """The pool's counters. Does not load native code: before the first tensor all are zero."""
    if not native.is_loaded():
        return MemoryStats(0, 0, 0, 0, 0, 0)
    names = ("in_use", "peak", "in_blocks", "reserved", "allocations", "frees")
    in_use, peak, in_blocks, reserved, allocations, frees = (native.variable(name).value for name in names)
    return MemoryStats(in_use, peak, reserved - in_blocks, reserved, allocations, allocations - frees)


def reset_peak() -> None:
    """Let `peak` start again from what is in use now."""
    if native.is_loaded():
        native.variable("peak").value = native.variable("in_use").value


def empty_cache() -> int:
    """Give all free memory back to the operating system; return the number of bytes.

    An arena of 32 MiB, from which tensors of up to 1 MiB are cut, goes back when no tensor lives in it.
    """
    if not native.is_loaded():
        return 0
    # PYFUNCTYPE keeps the interpreter's lock, which protects the pool.
    give_back = ctypes.PYFUNCTYPE(ctypes.c_int64)(native.symbols()["empty_cache"])
    return int(give_back())


def redzone(enabled: bool) -> bool:
    """Give every new block 64 guarded bytes before and after it (or stop that); return the mode before.

    A guarded block that was written to outside of its bytes is reported by a RuntimeWarning when it is freed,
    and by `check_redzones` at any time. Meant for finding a wrong kernel: blocks become larger and slower.
    """
    native.symbols()
    native.set_damage_callback(_report)
    mode = native.variable("redzone")
    before = mode.value != 0
    mode.value = 2 * _ZONE if enabled else 0
    return before


def check_redzones() -> list[Overwritten]:
    """Blocks overwritten in their red zones: those alive, and those freed since the last call."""
    found = list(_found_at_free)
    _found_at_free.clear()
    if native.is_loaded():
        found += [Overwritten(address, nbytes, offset, False) for address, nbytes, offset in native.damaged()]
    return found


def _report(address: int, nbytes: int, offset: int) -> None:
    """Called by native code as a damaged block is freed."""
    damage = Overwritten(address, nbytes, offset, True)
    _found_at_free.append(damage)
    warnings.warn(f"{damage}: a kernel wrote outside of its tensor", RuntimeWarning, stacklevel=2)
