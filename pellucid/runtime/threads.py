"""The thread pool: how many threads, and the native `parallel_for` that shares a range among them.

    i64 parallel_for(kernel, operands, params, i64 n, i64 grain)
    kernel: i64 (operands, params, i64 begin, i64 end)

cuts [0, n) into chunks of `grain` (the last one may be shorter), lets the workers and the caller take chunks
until none is left, and returns the OR of what the chunks returned. Each thread begins with a share of its own,
the same part of every range: what it finds there often lies in its own cache. Then it helps the others. Chunks
are the same for every number of threads, and each call of the kernel covers exactly one of them; which thread
runs it, and when, is not fixed.

A call that finds the pool at work (from inside a chunk, or from another Python thread) runs its chunks in
order on its own thread, so nothing ever waits for the pool. The code is in threads.ll; workers are threads
of the operating system that never touch the interpreter. They start with the first range that has several
chunks, spin for some 50 to 120 us after each job, and then sleep in the kernel.

A middling range, of some microseconds, is not worth a wake-up. `share_if_awake` cuts it into as many chunks as
there are threads if all workers spin; otherwise its caller works alone, until such ranges follow each other so
closely that awake workers would be busy.
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import math
import os
import platform
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pellucid.runtime import jit

_MACHINES = {  # what threads.ll leaves open for the processor
    "x86_64": {"FUTEX_NUMBER": "202", "PAUSE_ARGUMENT": "", "PAUSE_TYPE": "", "PAUSE": "llvm.x86.sse2.pause"},
    "aarch64": {
        "FUTEX_NUMBER": "98",
        "PAUSE_ARGUMENT": "i32 15",
        "PAUSE_TYPE": "i32",
        "PAUSE": "llvm.aarch64.isb",
    },
}
_SPINS = 3000  # 50 us on a Zen 4, 120 us on a Skylake
_FEW_CPUS = (
    4  # up to here Linux may put a woken worker on the busy CPU of its caller; see make_way in threads.ll
)

_lock = threading.RLock()
_threads: int | None = None  # None until somebody asks
_functions: Mapping[str, int] | None = None  # addresses of what threads.ll exports; None until the first use


def get_num_threads() -> int:
    """Number of threads that one operation may use, the caller's included."""
    global _threads
    if _threads is None:
        _threads = _initial_threads()
    return _threads


def set_num_threads(n: int) -> None:
    """Use `n` threads from the next operation on. Results do not depend on `n`.

    Raises:
        RuntimeError: `n` is not an int, or not positive.
    """
    global _threads
    if isinstance(n, bool) or not isinstance(n, int):
        # RuntimeError, as in PyTorch.
        raise RuntimeError(
            f"set_num_threads expects an int, but got {type(n).__name__}; pass e.g. {usable_cpus()}"
        )
    if n < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, but got {n}; 1 switches threads off")
    with _lock:
        _threads = n
        if _functions is not None:
            _configure(_functions)


def parallel_for_address() -> int:
    """Address of the native `parallel_for`."""
    return _library()["parallel_for"]


def share_if_awake_address() -> int:
    """Address of the native `share_if_awake`: `parallel_for` for a range that is not worth waking a worker."""
    return _library()["share_if_awake"]


def blas_callback_address() -> int:
    """Address of the function that runs OpenBLAS's jobs; see `openblas_set_threads_callback_function`."""
    return _library()["blas_callback"]


def ensure_started() -> int:
    """Start the workers now rather than with the first large range; return how many can help now."""
    return _call("start")


def count_workers() -> int:
    """Number of workers that run, at most `get_num_threads() - 1` if that number never sank."""
    return _call("count_workers")


@cache
def usable_cpus() -> int:
    """CPUs that this process may use: its affinity, cut down to the CPU quota of its control groups."""
    quota = min((*_quotas(), math.inf))
    cpus = len(os.sched_getaffinity(0))
    return cpus if math.isinf(quota) else max(1, min(cpus, int(quota)))


def _initial_threads() -> int:
    """PELLUCID_NUM_THREADS, else OMP_NUM_THREADS (of a list the first number), else the usable CPUs."""
    for name in ("PELLUCID_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "").partition(",")[0].strip()
        if value.isdecimal() and int(value) > 0:
            return int(value)
        if value:
            warnings.warn(
                f"{name}={value!r} is not a positive integer and is ignored", UserWarning, stacklevel=3
            )
    return usable_cpus()


def _quotas(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> Iterator[float]:
    """CPUs granted by each control group above this process, as far as they set a limit.

    A line of `membership` is number:controllers:path; version 2 has the number 0 and names no controllers.
    """
    for line in _read(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            homes, files = (root, root / "unified"), ["cpu.max"]
        elif "cpu" in controllers.split(","):
            homes, files = (root / controllers, root / "cpu"), ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        for home in homes:
            group = home / path.strip("/")
            for folder in (group, *group.parents):
                quota = _quota(" ".join(_read(folder / file) for file in files))
                if quota is not None and folder.is_relative_to(home):
                    yield quota


def _quota(text: str) -> float | None:
    """CPUs from "quota period" in microseconds; None where there is no limit ("max", -1, or no such file)."""
    match text.split():
        case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period):
            return int(quota) / int(period)
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _library() -> Mapping[str, int]:
    return _load() if _functions is None else _functions


def _load() -> Mapping[str, int]:
    global _functions
    machine = platform.machine()
    if machine not in _MACHINES:
        raise RuntimeError(
            f"the thread pool knows the processors {', '.join(_MACHINES)}; this one is {machine!r}"
        )
    text = Path(__file__).with_suffix(".ll").read_text()
    for name, value in _MACHINES[machine].items():
        text = text.replace(name, value)
    with _lock:
        if _functions is None:
            functions = jit.load(f"threads {hashlib.sha256(text.encode()).hexdigest()}", lambda: text)
            _configure(functions)
            atexit.register(_stop)
            _functions = functions
        return _functions


def _configure(functions: Mapping[str, int]) -> None:
    count = get_num_threads()
    spins = _SPINS if count <= usable_cpus() else 0  # spinning would take the CPU from those that work
    cpus = os.sched_getaffinity(0)
    mask = None
    if 1 < len(cpus) <= _FEW_CPUS and max(cpus) < 1024:
        mask = sum(1 << cpu for cpu in cpus).to_bytes(128, "little")
    _function(functions["configure"], None, ctypes.c_int64, ctypes.c_int64, ctypes.c_char_p)(
        count, spins, mask
    )


def _function(address: int, result: Any, *arguments: Any) -> Callable[..., Any]:
    return ctypes.CFUNCTYPE(result, *arguments)(address)


def _call(name: str) -> int:
    result: int = _function(_library()[name], ctypes.c_int64)()
    return result


def _stop() -> None:
    """At exit, before the code that the workers run could be taken away."""
    _call("stop")


def _forget() -> None:
    """In a forked child: it has no workers yet, whatever the parent had, and its locks are open."""
    global _lock
    _lock = threading.RLock()
    if _functions is not None:
        _function(_functions["forget"], None)()


os.register_at_fork(after_in_child=_forget)
