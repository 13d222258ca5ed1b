"""DataLoader: batches from a data set, made here or ahead of time by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

from pellucid.utils.data.collate import default_collate, default_convert
from pellucid.utils.data.dataset import IterableDataset, whole_batch
from pellucid.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler, drawn_seed


class DataLoader:
    """Iterates over batches of ``dataset``.

    ``num_workers`` threads prepare ``prefetch_factor`` batches each ahead of time; the order does not depend on them.
    ``pin_memory``, ``multiprocessing_context`` and ``persistent_workers`` are accepted and change nothing on the CPU.

    Raises:
        ValueError: options that exclude each other.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if num_workers < 0:
            raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError("prefetch_factor option could only be specified when num_workers > 0")
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last")
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        self.dataset, self.batch_size, self.drop_last, self.generator = dataset, batch_size, drop_last, generator
        self.num_workers, self.worker_init_fn, self.timeout = num_workers, worker_init_fn, timeout
        self.pin_memory, self.prefetch_factor = pin_memory, prefetch_factor or 2
        self._iterable = isinstance(dataset, IterableDataset)
        if self._iterable and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError("DataLoader with IterableDataset: the data set gives the order, so shuffle, sampler and "
                             "batch_sampler cannot be set")  # fmt: skip
        if sampler is None and not self._iterable:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None and not self._iterable:
            assert sampler is not None
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.sampler, self.batch_sampler = sampler, batch_sampler
        batches = batch_size is not None or batch_sampler is not None
        self.collate_fn = collate_fn or (default_collate if batches else default_convert)

    def __len__(self) -> int:
        if self._iterable:
            n = len(self.dataset)
            if self.batch_size is None:
                return n
            return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        drawn_seed(self.generator)  # PyTorch draws the workers' base seed here, also without workers
        if self._iterable:
            return self._stream()
        return self._here() if self.num_workers == 0 else self._ahead()

    def _fetch(self, numbers: Any) -> Any:
        if self.batch_sampler is None:
            return self.collate_fn(self.dataset[numbers])
        if self.collate_fn is default_collate:
            batch = whole_batch(self.dataset, numbers)
            if batch is not None:
                return batch
        many = getattr(self.dataset, "__getitems__", None)
        return self.collate_fn(many(numbers) if many else [self.dataset[i] for i in numbers])

    def _orders(self) -> Iterable[Any]:
        orders = self.sampler if self.batch_sampler is None else self.batch_sampler
        assert orders is not None
        return orders

    def _here(self) -> Iterator[Any]:
        for numbers in self._orders():
            yield self._fetch(numbers)

    def _ahead(self) -> Iterator[Any]:
        """Threads fetch; the results are handed out in the order in which they were asked for."""
        with ThreadPoolExecutor(self.num_workers, "pellucid-loader") as pool:
            if self.worker_init_fn is not None:
                for worker in range(self.num_workers):
                    self.worker_init_fn(worker)
            orders, waiting = iter(self._orders()), deque[Future[Any]]()
            for numbers in islice(orders, self.num_workers * self.prefetch_factor):
                waiting.append(pool.submit(self._fetch, numbers))
            while waiting:
                batch = waiting.popleft().result(self.timeout or None)
                for numbers in islice(orders, 1):
                    waiting.append(pool.submit(self._fetch, numbers))
                yield batch

    def _stream(self) -> Iterator[Any]:
        samples = iter(self.dataset)
        if self.batch_size is None:
            for sample in samples:
                yield self.collate_fn(sample)
            return
        while batch := list(islice(samples, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield self.collate_fn(batch)
