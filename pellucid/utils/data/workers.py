"""Worker processes of a DataLoader: each fetches the batches that it is told to, the parent hands them out in order.

    parent  --(number, sample numbers)-->  tasks of worker k  --(number, batch)-->  results of all workers  -->  parent
"""

from __future__ import annotations

import multiprocessing
import queue
import random
import traceback
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Any

import numpy as np

from pellucid.operators.generators import manual_seed
from pellucid.runtime.threads import set_num_threads

PATIENCE = 5.0  # seconds between looks at whether the workers still live
FAREWELL = 5.0  # seconds that a worker has to end by itself

Fetch = Callable[[Any], Any]


class WorkerInfo:
    """What a worker process knows of itself: ``id``, ``num_workers``, ``seed`` and its copy of the ``dataset``."""

    def __init__(self, **known: Any) -> None:
        self.__dict__.update(known)

    def __setattr__(self, name: str, value: Any) -> None:
        raise RuntimeError(f"Cannot assign attributes to {type(self).__name__} objects")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in self.__dict__.items())})"


_here: list[WorkerInfo] = []


def get_worker_info() -> WorkerInfo | None:
    """In a worker process of a DataLoader: which one it is. None in the main process."""
    return _here[-1] if _here else None


class Failure:
    """An exception of a worker, on its way to the parent."""

    def __init__(self, error: BaseException, where: str) -> None:
        self.kind, self.where = type(error), where
        self.text = "".join(traceback.format_exception(error))

    def reraise(self) -> None:
        """Raise an exception of the same class that tells where it came from."""
        message = f"Caught {self.kind.__name__} {self.where}.\nOriginal {self.text}"
        try:
            error = self.kind(message)
        except Exception:  # a class that takes other arguments
            error = RuntimeError(message)
        raise error


class Exhausted(Exception):
    """The samples of an IterableDataset have come to their end."""


# -- in the worker ----------------------------------------------------------------------------------------------------


def _seed_all(base: int, worker: int) -> int:
    seed = base + worker
    random.seed(seed)
    manual_seed(seed)
    np.random.seed(np.random.SeedSequence([worker, base & 0xFFFFFFFF, base >> 32, 0]).generate_state(4))
    return seed


def _work(
    dataset: Any, fetcher_of: Callable[[Any], Fetch], init: Callable[[int], None] | None, base: int, worker: int,
    count: int, tasks: Any, results: Any, stop: Any,
) -> None:  # fmt: skip
    """A worker's life: fetch what is asked for until None comes."""
    set_num_threads(1)
    _here.append(WorkerInfo(id=worker, num_workers=count, seed=_seed_all(base, worker), dataset=dataset))
    where = f"in DataLoader worker process {worker}"
    fetch: Fetch | None = None
    try:
        broken = _begun(init, worker, where)
        while (task := tasks.get()) is not None:
            epoch, number, wanted = task
            if wanted == RESUME:
                fetch = None
            elif not stop.is_set():
                try:
                    fetch = fetch or fetcher_of(dataset)
                    answer: Any = broken or fetch(wanted)
                except Exhausted as end:
                    answer = end
                except Exception as error:
                    answer = Failure(error, where)
                results.put((epoch, number, worker, answer))
                del answer
    except KeyboardInterrupt:
        pass  # the parent got it, too
    if stop.is_set():  # nobody reads what is left
        results.cancel_join_thread()


def _begun(init: Callable[[int], None] | None, worker: int, where: str) -> Failure | None:
    try:
        if init is not None:
            init(worker)
    except Exception as error:
        return Failure(error, where)
    return None


RESUME = "resume"  # a task that begins another epoch


# -- in the parent ----------------------------------------------------------------------------------------------------


class Workers:
    """The processes and the way to them. They end when this object goes.

    Raises:
        RuntimeError: a worker died, or nothing came for ``timeout`` seconds.
    """

    def __init__(
        self, dataset: Any, fetcher_of: Callable[[Any], Fetch], init: Any, base_seed: int, count: int, context: Any,
        timeout: float,
    ) -> None:  # fmt: skip
        if isinstance(context, str) or context is None:
            methods = multiprocessing.get_all_start_methods()
            context = multiprocessing.get_context(context or ("fork" if "fork" in methods else None))
        self.timeout, self.epoch = timeout, 0
        self.results, self.stop = context.Queue(), context.Event()
        self.tasks, self.processes = [], []
        for worker in range(count):
            tasks = context.Queue()
            tasks.cancel_join_thread()
            arguments = (dataset, fetcher_of, init, base_seed, worker, count, tasks, self.results, self.stop)
            process = context.Process(target=_work, args=arguments, daemon=True)
            process.start()
            self.tasks.append(tasks)
            self.processes.append(process)

    def ask(self, worker: int, number: int, wanted: Any) -> None:
        self.tasks[worker].put((self.epoch, number, wanted))

    def begin(self) -> None:
        """Another epoch: what is still on its way from the last one is thrown away."""
        self.epoch += 1
        for worker in range(len(self.tasks)):
            self.ask(worker, -1, RESUME)

    def answer(self) -> tuple[int, int, Any]:
        """The next result: (number, worker, batch)."""
        while True:
            try:
                epoch, number, worker, batch = self.results.get(timeout=self.timeout or PATIENCE)
            except queue.Empty:
                dead = [str(p.pid) for p in self.processes if not p.is_alive()]
                if dead:
                    raise RuntimeError(f"DataLoader worker (pid(s) {', '.join(dead)}) exited unexpectedly") from None
                if self.timeout:
                    raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds") from None
                continue
            if epoch == self.epoch:
                return number, worker, batch

    def shut_down(self) -> None:
        processes, self.processes = self.processes, []
        self.stop.set()
        for tasks in self.tasks:
            tasks.put(None)
        for process in processes:
            process.join(FAREWELL)
            if process.is_alive():
                process.terminate()
        for tasks in self.tasks:
            tasks.close()
        self.results.close()

    def __del__(self) -> None:
        if getattr(self, "processes", None):
            self.shut_down()


def in_turn(workers: Workers, orders: Iterator[Any], ahead: int, persistent: bool) -> Iterator[Any]:
    """The batches in the order in which they were asked for: worker after worker, ``ahead`` batches before they are
    needed. A worker whose samples have come to their end (IterableDataset) is left out from there on."""
    alive = set(range(len(workers.tasks)))
    turns = cycle(range(len(workers.tasks)))
    asked = handed = 0
    waiting: dict[int, Any] = {}  # results that came before their turn

    def ask() -> bool:
        nonlocal asked
        if not alive:
            return False
        for wanted in islice(orders, 1):
            worker = next(w for w in turns if w in alive)
            workers.ask(worker, asked, wanted)
            asked += 1
            return True
        return False

    try:
        for _ in range(ahead * len(workers.tasks)):
            ask()
        while handed < asked:
            while handed not in waiting:
                number, worker, batch = workers.answer()
                if isinstance(batch, Exhausted):
                    alive.discard(worker)
                waiting[number] = batch
            batch = waiting.pop(handed)
            handed += 1
            ask()
            if isinstance(batch, Exhausted):
                continue
            if isinstance(batch, Failure):
                batch.reraise()
            yield batch
    finally:
        if not persistent:
            workers.shut_down()
