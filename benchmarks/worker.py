"""One library in a process of its own, timing workloads on request.

Each library has its own process, so that neither its threads nor its memory disturb the other's; the
parent lets them work in turns.
"""

import multiprocessing
import os
import time
from importlib import import_module
from multiprocessing.connection import Connection
from timeit import Timer
from typing import Any

from benchmarks.workloads import Workload, all_workloads

SETTLE_S = 0.1  # idle threads of the other library may still spin: OpenBLAS's do so for some 30 ms
BLOCK_S = 0.04  # how long one timed block lasts, about
LEAST_BLOCK = 3  # calls in a timed block, if one call takes longer than all of BLOCK_S


class WorkerError(Exception):
    """A library could not do what was asked; the text is its own error."""


def _timer(library: str, row: int, threads: int) -> Timer:
    workload = all_workloads()[row]
    if library == "openblas":
        assert workload.rival_setup is not None
        return Timer("sgemm()", globals=workload.rival_setup(threads))
    torch = import_module(library)
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    return Timer(workload.statement, globals=workload.setup(torch))


def _seconds_per_call(timer: Timer, calls: int) -> float:
    time.sleep(SETTLE_S)
    timer.timeit(1 + calls // 100)  # wakes threads, fills caches
    return timer.timeit(calls) / calls


def _serve(connection: Connection, library: str, threads: int) -> None:
    timer: Timer | None = None
    for order, argument in iter(connection.recv, ("stop", 0)):
        try:
            if order == "prepare":
                timer = None  # the previous row's tensors go first
                timer = _timer(library, argument, threads)
                timer.timeit(2)  # compiles what must be compiled
                answer = timer.timeit(1)
            else:
                assert timer is not None
                answer = _seconds_per_call(timer, argument)
        except Exception as error:  # whatever a library raises is its result
            connection.send(WorkerError(f"{type(error).__name__}: {error}"))
        else:
            connection.send(answer)


class Worker:
    """A process that holds one library: "torch", "pellucid" or "openblas"."""

    def __init__(self, library: str, threads: int) -> None:
        os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
        context = multiprocessing.get_context("spawn")
        self.library = library
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, library, threads), daemon=True)
        self._process.start()
        theirs.close()

    def _ask(self, order: str, argument: int) -> float:
        self._connection.send((order, argument))
        try:
            answer: Any = self._connection.recv()
        except EOFError:
            self._process.join()
            raise WorkerError(f"its process ended with code {self._process.exitcode}") from None
        if isinstance(answer, WorkerError):
            raise answer
        return float(answer)

    def prepare(self, row: int) -> int:
        """Set row `row` of the workloads up; returns how many calls make a block."""
        seconds = self._ask("prepare", row)
        return max(LEAST_BLOCK, min(20_000, int(BLOCK_S / max(seconds, 1e-7))))

    def time(self, calls: int) -> float:
        """Run one block; returns the seconds of one call."""
        return self._ask("time", calls)

    def stop(self) -> None:
        """End the process."""
        if self._process.is_alive():
            self._connection.send(("stop", 0))
        self._process.join()


class Workers:
    """The processes, started when first needed and again after one has died."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._running: dict[str, Worker] = {}

    def measure(self, row: int, workload: Workload, rounds: int) -> list[tuple[float, float]]:
        """Seconds of one call as (rival, pellucid), once a round, the two taking turns."""
        pair = [self._get(workload.rival), self._get("pellucid")]
        try:
            calls = [worker.prepare(row) for worker in pair]
            taken = []
            for turn in range(rounds):
                order = (0, 1) if turn % 2 == 0 else (1, 0)
                seconds = {i: pair[i].time(calls[i]) for i in order}
                taken.append((seconds[0], seconds[1]))
        except WorkerError:
            self.stop()  # a library that failed may be in any state
            raise
        return taken

    def _get(self, library: str) -> Worker:
        if library not in self._running:
            self._running[library] = Worker(library, self._threads)
        return self._running[library]

    def stop(self) -> None:
        """End all processes."""
        for worker in self._running.values():
            worker.stop()
        self._running.clear()
