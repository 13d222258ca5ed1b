"""The thread pool: every chunk once, statuses ORed, any caller, any moment, fork, exit."""

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pellucid.runtime import jit, threads

Kernel = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
ParallelFor = ctypes.CFUNCTYPE(
    ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64
)

# operands: how often each index was met; params: ignored. Returns 1 << (begin mod 8).
COUNT = """
define i64 @count(ptr %seen, ptr %unused, i64 %begin, i64 %end) {
entry:
  br label %check
check:
  %i = phi i64 [ %begin, %entry ], [ %i.next, %mark ]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %mark, label %done
mark:
  %at = getelementptr i64, ptr %seen, i64 %i
  %old = load i64, ptr %at
  %new = add i64 %old, 1
  store i64 %new, ptr %at
  %i.next = add i64 %i, 1
  br label %check
done:
  %number = and i64 %begin, 7
  %bit = shl i64 1, %number
  ret i64 %bit
}
"""


def parallel_for(kernel: object, n: int, grain: int, operands: int | None = None) -> int:
    address = kernel if isinstance(kernel, int) else ctypes.cast(kernel, ctypes.c_void_p)  # type: ignore[arg-type]
    result: int = ParallelFor(threads.parallel_for_address())(address, operands, None, n, grain)
    return result


def count_kernel() -> int:
    return jit.function_address("test of the thread pool: count", "count", lambda: COUNT)


def run_script(script: str, **environment: str) -> str:
    """Output of a fresh interpreter, which has to end by itself, and well."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = threads.get_num_threads()
    threads.set_num_threads(3)
    yield
    threads.set_num_threads(before)


def test_middling_ranges_alone_in_a_stream_and_among_long_ones() -> None:
    """Each index once, whoever is awake; what a chunk returns arrives."""
    share, kernel = ParallelFor(threads.share_if_awake_address()), count_kernel()
    for n, grain in ((1, 1), (2, 3), (5, 5), (700, 800), (3000, 3000)):
        seen, times = np.zeros(n, np.int64), 0
        for pause in (0.0, 0.001):
            for k in range(60):
                if k % 20 == 19:
                    others = np.zeros(1000, np.int64)
                    parallel_for(kernel, 1000, 10, others.ctypes.data)
                assert share(kernel, seen.ctypes.data, None, n, grain) & 1
                times += 1
                time.sleep(pause if k % 10 == 0 else 0)
        assert (seen == times).all()


@pytest.mark.parametrize("n", [0, 1, 5, 64, 1000, 4099])
@pytest.mark.parametrize("grain", [-1, 1, 7, 64, 5000])
def test_every_index_once(n: int, grain: int) -> None:
    seen = np.zeros(n + 1, np.int64)
    status = parallel_for(count_kernel(), n, grain, seen.ctypes.data)
    assert (seen[:n] == 1).all()
    assert seen[n] == 0
    begins = range(0, n, max(grain, 1))
    assert status == sum({1 << (begin % 8) for begin in begins})


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_chunks_do_not_depend_on_the_number_of_threads(count: int) -> None:
    chunks = []

    @Kernel
    def kernel(operands: int, params: int, begin: int, end: int) -> int:
        chunks.append((begin, end))
        return 1 << begin

    threads.set_num_threads(count)
    assert parallel_for(kernel, 10, 4) == 0b100010001
    assert sorted(chunks) == [(0, 4), (4, 8), (8, 10)]


def test_several_threads_work() -> None:
    workers = set()

    @Kernel
    def kernel(operands: int, params: int, begin: int, end: int) -> int:
        workers.add(threading.get_native_id())
        time.sleep(0.02)
        return 0

    parallel_for(kernel, 6, 1)
    assert 2 <= len(workers) <= 3
    assert threading.get_native_id() in workers
    assert threads.ensure_started() == 2
    assert threads.count_workers() >= 2


def test_many_short_jobs() -> None:
    seen = np.zeros(64, np.int64)
    call, address = ParallelFor(threads.parallel_for_address()), count_kernel()
    for _ in range(3000):
        call(address, seen.ctypes.data, None, 64, 8)
    assert (seen == 3000).all()


def test_jobs_after_sleeping() -> None:
    seen = np.zeros(64, np.int64)
    for _ in range(30):
        time.sleep(0.001)
        parallel_for(count_kernel(), 64, 4, seen.ctypes.data)
    assert (seen == 30).all()


def test_nested_calls_run_in_order_on_the_same_thread() -> None:
    problems: list[object] = []

    @Kernel
    def outer(operands: int, params: int, begin: int, end: int) -> int:
        here, chunks = threading.get_native_id(), []

        @Kernel
        def inner(operands: int, params: int, begin: int, end: int) -> int:
            chunks.append((begin, threading.get_native_id()))
            return 2

        status = parallel_for(inner, 5, 1)
        if status != 2 or chunks != [(i, here) for i in range(5)]:
            problems.append((status, chunks))
        return 1

    assert parallel_for(outer, 12, 1) == 1
    assert problems == []


def test_calls_from_several_threads() -> None:
    arrays = [np.zeros(512, np.int64) for _ in range(4)]

    def work(seen: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> None:
        for _ in range(300):
            parallel_for(count_kernel(), 512, 16, seen.ctypes.data)

    callers = [threading.Thread(target=work, args=(seen,)) for seen in arrays]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all((seen == 300).all() for seen in arrays)


PRELUDE = f"""
import ctypes, os, sys, threading, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy as np
from test_threads import count_kernel, parallel_for
from pellucid.runtime import threads
def use():
    seen = np.zeros(100, np.int64)
    parallel_for(count_kernel(), 100, 1, seen.ctypes.data)
    assert (seen == 1).all()
"""


def test_fork() -> None:
    script = """
use()
before = threads.count_workers()
for generation in range(3):
    child = os.fork()
    if child == 0:
        assert threads.count_workers() == 0
        use()
        print(before, threads.count_workers(), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    use()
"""
    assert run_script(PRELUDE + script, PELLUCID_NUM_THREADS="3") == "2 2\n" * 3


def test_fork_while_another_thread_has_the_pool() -> None:
    script = """
use()
stop = False
def work():
    while not stop:
        use()
threading.Thread(target=work, daemon=True).start()
for _ in range(5):
    time.sleep(0.01)
    child = os.fork()
    if child == 0:
        use()
        os._exit(7 if threads.count_workers() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
stop = True
print("done")
"""
    assert run_script(PRELUDE + script, PELLUCID_NUM_THREADS="2") == "done\n"


@pytest.mark.parametrize(
    "script",
    [
        "use(); time.sleep(0.05)",  # the workers sleep
        "use()",  # they spin
        "use(); threading.Thread(target=lambda: [use() for _ in iter(int, 1)], daemon=True).start()",
        "import atexit; atexit.register(use); use(); atexit.register(use)",  # one call after they have gone
    ],
)
def test_exit(script: str) -> None:
    assert run_script(f"{PRELUDE}{script}; print('end', flush=True)", PELLUCID_NUM_THREADS="3") == "end\n"


def test_signals_reach_the_interpreter() -> None:
    script = """
import signal
signal.signal(signal.SIGALRM, lambda *_: print("alarm", flush=True))
use()
signal.setitimer(signal.ITIMER_REAL, 0.05)
time.sleep(0.2)
worker = max(map(int, os.listdir("/proc/self/task")))
blocked = open(f"/proc/self/task/{worker}/status").read().partition("SigBlk:")[2].split()[0]
print(int(blocked, 16) >> (signal.SIGINT - 1) & 1, int(blocked, 16) >> (signal.SIGSEGV - 1) & 1)
"""
    assert run_script(PRELUDE + script, PELLUCID_NUM_THREADS="2") == "alarm\n1 0\n"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"PELLUCID_NUM_THREADS": "5", "OMP_NUM_THREADS": "3"}, 5),
        ({"PELLUCID_NUM_THREADS": "", "OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({}, None),
    ],
)
def test_number_of_threads_from_the_environment(
    environment: dict[str, str], expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PELLUCID_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert threads._initial_threads() == (expected or threads.usable_cpus())


@pytest.mark.parametrize("value", ["0", "-2", "many"])
def test_a_bad_number_in_the_environment_is_told(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("PELLUCID_NUM_THREADS", value)
    with pytest.warns(UserWarning, match=f"PELLUCID_NUM_THREADS='{value}' is not a positive integer"):
        assert threads._initial_threads() == threads.usable_cpus()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "expects a positive integer, but got 0"),
        (-1, "expects a positive integer, but got -1"),
        ("a", "expects an int, but got str"),
        (2.0, "expects an int, but got float"),
        (True, "expects an int, but got bool"),
    ],
)
def test_set_num_threads_refuses(value: int, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        threads.set_num_threads(value)
    assert threads.get_num_threads() == 3


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def version_2(root: Path) -> None:
    write(root / "cgroup", "0::/outer/inner\n")
    write(root / "fs/cpu.max", "max 100000\n")
    write(root / "fs/outer/cpu.max", "150000 100000\n")
    write(root / "fs/outer/inner/cpu.max", "400000 100000\n")


def version_1(root: Path) -> None:
    write(root / "cgroup", "5:cpu,cpuacct:/box\n4:memory:/box\n")
    write(root / "fs/cpu,cpuacct/box/cpu.cfs_quota_us", "-1\n")
    write(root / "fs/cpu,cpuacct/box/cpu.cfs_period_us", "100000\n")
    write(root / "fs/cpu,cpuacct/cpu.cfs_quota_us", "250000\n")
    write(root / "fs/cpu,cpuacct/cpu.cfs_period_us", "100000\n")


def in_a_container(root: Path) -> None:
    """The path is the host's, and the mounted tree begins at our group."""
    write(root / "cgroup", "0::/host/name\n")
    write(root / "fs/cpu.max", "50000 100000\n")


@pytest.mark.parametrize(
    ("make", "expected"),
    [(version_2, [4.0, 1.5]), (version_1, [2.5]), (in_a_container, [0.5]), (lambda root: None, [])],
)
def test_quota(make: Callable[[Path], None], expected: list[float], tmp_path: Path) -> None:
    make(tmp_path)
    assert list(threads._quotas(tmp_path / "fs", tmp_path / "cgroup")) == expected


def test_usable_cpus() -> None:
    assert 1 <= threads.usable_cpus() <= len(os.sched_getaffinity(0))
