"""DataLoader: batches from a data set, made here or ahead of time by worker processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice, repeat
from typing import Any, Generic, TypeVar
from warnings import warn

from pellucid.utils.data.collate import default_collate, default_convert
from pellucid.utils.data.dataset import IterableDataset, whole_batch
from pellucid.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler, drawn_seed
from pellucid.utils.data.workers import Exhausted, Workers, in_turn

T_co = TypeVar("T_co", covariant=True)


class DataLoader(Generic[T_co]):
    """Iterates over batches of ``dataset``.

    ``num_workers`` processes prepare ``prefetch_factor`` batches each ahead of time; the order does not depend on them.
    Each has its copy of the data set, its own random numbers and ``get_worker_info()``; an IterableDataset is iterated
    over by every one of them, so that it has to share out its samples. ``persistent_workers``: they stay for the next
    epoch. ``pin_memory`` is accepted and changes nothing on the CPU.

    Raises:
        ValueError: options that exclude each other.
    """

    __initialized = False

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
        if timeout < 0:
            raise ValueError("timeout option should be non-negative")
        _check_context(multiprocessing_context, num_workers)
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")
        self.dataset, self.batch_size, self.drop_last, self.generator = dataset, batch_size, drop_last, generator
        self.num_workers, self.worker_init_fn, self.timeout = num_workers, worker_init_fn, timeout
        self.pin_memory, self.pin_memory_device, self.in_order = pin_memory, pin_memory_device, in_order
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.persistent_workers, self.multiprocessing_context = persistent_workers, multiprocessing_context
        self._workers: Workers | None = None  # those that persist
        self._iterable = isinstance(dataset, IterableDataset)
        self._told: int | None = None  # the length of a stream, once it was asked for
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
        self.__initialized = True

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__initialized and name in _FIXED:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    def __len__(self) -> int:
        if self._iterable:
            n = len(self.dataset)
            if self.batch_size is not None:
                n = n // self.batch_size if self.drop_last else -(-n // self.batch_size)
            self._told = n
            return n
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        if self.num_workers == 0:
            drawn_seed(self.generator)  # PyTorch draws the workers' seed here, also without workers
            return map(self._fetcher(self.dataset), self._orders()) if not self._iterable else self._stream()
        workers = self._workers
        if workers is None:
            seed, context = drawn_seed(self.generator), self.multiprocessing_context
            maker = _StreamFetcher(self.collate_fn, self.batch_size, self.drop_last) if self._iterable else self._fetcher
            workers = Workers(
                self.dataset, maker, self.worker_init_fn, seed, self.num_workers, context, self.timeout
            )
            self._workers = workers if self.persistent_workers else None
        else:
            workers.begin()
        orders = repeat(None) if self._iterable else iter(self._orders())
        return self._counted(in_turn(workers, orders, self.prefetch_factor or 2, self.persistent_workers))

    @property
    def _fetcher(self) -> Callable[[Any], Callable[[Any], Any]]:
        return partial(_Fetcher, self.collate_fn, self.batch_sampler is not None)

    def _orders(self) -> Iterable[Any]:
        orders = self.sampler if self.batch_sampler is None else self.batch_sampler
        assert orders is not None
        return orders

    def _stream(self) -> Iterator[Any]:
        fetch = _StreamFetcher(self.collate_fn, self.batch_size, self.drop_last)(self.dataset)

        def batches() -> Iterator[Any]:
            while True:
                try:
                    batch = fetch(None)
                except Exhausted:
                    return
                yield batch

        return self._counted(batches())

    def _counted(self, batches: Iterator[Any]) -> Iterator[Any]:
        """The batches; a warning if there are more of them than ``len(loader)`` has told."""
        for k, batch in enumerate(batches):
            if self._told is not None and k >= self._told:
                warn(
                    f"Length of IterableDataset {self.dataset} was reported to be {self._told} (when accessing "
                    f"len(dataloader)), but {k + 1} samples have been fetched. With workers, each has to give its own "
                    "share of the samples: see get_worker_info().",
                    UserWarning,
                    stacklevel=2,
                )
            yield batch


def _check_context(context: Any, workers: int) -> None:
    """Raises ValueError or TypeError for a way to start processes that does not exist, or that nobody needs."""
    if context is None:
        return
    if workers == 0:
        raise ValueError(
            "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got num_workers=0"
        )
    methods = multiprocessing.get_all_start_methods()
    if isinstance(context, str) and context not in methods:
        raise ValueError(
            f"multiprocessing_context option should specify a valid start method in {methods}, but got {context!r}"
        )
    if not isinstance(context, str | multiprocessing.context.BaseContext):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string specifying the start method, "
            f"but got {context!r}"
        )


_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class _Fetcher:
    """Sample numbers -> a batch of a data set."""

    def __init__(self, collate: Callable[[Any], Any], batches: bool, dataset: Any) -> None:
        self.collate, self.batches, self.dataset = collate, batches, dataset

    def __call__(self, numbers: Any) -> Any:
        if not self.batches:
            return self.collate(self.dataset[numbers])
        if self.collate is default_collate:
            batch = whole_batch(self.dataset, numbers)
            if batch is not None:
                return batch
        many = getattr(self.dataset, "__getitems__", None)
        return self.collate(many(numbers) if many else [self.dataset[i] for i in numbers])


class _StreamFetcher:
    """The next samples of an IterableDataset -> a batch. (Called with the data set: begins to iterate over it.)"""

    def __init__(self, collate: Callable[[Any], Any], size: int | None, drop_last: bool) -> None:
        self.collate, self.size, self.drop_last = collate, size, drop_last

    def __call__(self, dataset: Any) -> Callable[[Any], Any]:
        return partial(self._next, iter(dataset))

    def _next(self, samples: Iterator[Any], _: Any) -> Any:
        batch = list(islice(samples, self.size or 1))
        if not batch or (len(batch) < (self.size or 1) and self.drop_last):
            raise Exhausted
        return self.collate(batch if self.size else batch[0])
