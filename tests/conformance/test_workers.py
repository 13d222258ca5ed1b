"""Worker processes of a DataLoader, beside PyTorch's."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.conformance.libraries import compare

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch warns of more workers than processors


def _samples(t: Any) -> Any:
    class Samples(t.utils.data.Dataset):  # type: ignore[name-defined,misc]
        def __len__(self) -> int:
            return 11

        def __getitem__(self, i: int) -> Any:
            return i, t.rand(2), random.random(), np.random.rand()

    return Samples()


def _stream(t: Any, share: bool) -> Any:
    class Stream(t.utils.data.IterableDataset):  # type: ignore[name-defined,misc]
        def __iter__(self) -> Iterator[int]:
            info = t.utils.data.get_worker_info()
            return iter(range(info.id, 10, info.num_workers) if share and info else range(3))

    return Stream()


def _random_numbers(t: Any) -> Any:
    t.manual_seed(3)
    loader = t.utils.data.DataLoader(_samples(t), batch_size=3, shuffle=True, num_workers=2)
    return [list(loader), list(loader), t.rand(1)]


def _streams(t: Any) -> Any:
    make: Any = t.utils.data.DataLoader
    return [
        list(make(_stream(t, share), batch_size=size, drop_last=drop, num_workers=workers))
        for share in (False, True)
        for size, drop in ((2, False), (2, True), (None, False))
        for workers in (1, 3)
    ]


def _what_a_worker_knows(t: Any) -> Any:
    class Asking(t.utils.data.Dataset):  # type: ignore[name-defined,misc]
        offset = 0

        def __len__(self) -> int:
            return 4

        def __getitem__(self, i: int) -> Any:
            info = t.utils.data.get_worker_info()
            return i, info.id, info.num_workers, info.seed == t.initial_seed(), info.dataset is self, self.offset

    def begin(worker: int) -> None:
        t.utils.data.get_worker_info().dataset.offset = 10 * worker

    data = Asking()
    loader = t.utils.data.DataLoader(data, num_workers=2, worker_init_fn=begin, collate_fn=lambda samples: samples)
    return list(loader), data.offset, t.utils.data.get_worker_info()


def _persistent(t: Any) -> Any:
    t.manual_seed(5)
    loader = t.utils.data.DataLoader(_samples(t), batch_size=4, num_workers=2, persistent_workers=True)
    first = list(loader)
    for _ in loader:  # the rest of this epoch is thrown away
        break
    return first, len(list(loader))


def _failing(kind: type[Exception]) -> Callable[[Any], Any]:
    def program(t: Any) -> Any:
        class Failing(t.utils.data.Dataset):  # type: ignore[name-defined,misc]
            def __len__(self) -> int:
                return 4

            def __getitem__(self, i: int) -> Any:
                if i == 2:
                    raise kind("two")
                return i

        seen: list[Any] = []
        try:
            seen.extend(t.utils.data.DataLoader(Failing(), num_workers=2))
        except kind as error:
            return seen, "in DataLoader worker process 0" in str(error), "two" in str(error)

    return program


def _failing_start(t: Any) -> Any:
    def begin(worker: int) -> None:
        raise ValueError("no")

    list(t.utils.data.DataLoader(_samples(t), num_workers=1, worker_init_fn=begin))


def _fixed_attribute(t: Any) -> Any:
    t.utils.data.DataLoader(_samples(t)).batch_size = 4


def _concatenated(t: Any) -> Any:
    data = t.utils.data.ConcatDataset([[1, 2], [3]])
    return list(data), data[-3]


def _samplers_draw_when_asked(t: Any) -> Any:
    weights, data = [0.1, 0.9, 0.4, 0.7, 3.0, 0.6], range(10)
    samplers = t.utils.data
    seen = []
    for sampler in (
        samplers.RandomSampler(data, num_samples=5, replacement=True),
        samplers.RandomSampler(data),
        samplers.WeightedRandomSampler(weights, 5),
        samplers.WeightedRandomSampler(weights, 5, False),
        samplers.SubsetRandomSampler(data),
    ):
        numbers = iter(sampler)
        t.manual_seed(0)
        seen.append([int(i) for i in numbers])
    return seen


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "random_numbers": _random_numbers,
    "streams": _streams,
    "what_a_worker_knows": _what_a_worker_knows,
    "persistent": _persistent,
    "value_error": _failing(ValueError),
    "key_error": _failing(KeyError),
    "failing_start": _failing_start,
    "fixed_attribute": _fixed_attribute,
    "concatenated": _concatenated,
    "concatenated_too_far": lambda t: t.utils.data.ConcatDataset([[1, 2], [3]])[3],
    "concatenated_too_far_back": lambda t: t.utils.data.ConcatDataset([[1, 2], [3]])[-4],
    "concatenated_stream": lambda t: t.utils.data.ConcatDataset([_stream(t, True)]),
    "samplers": _samplers_draw_when_asked,
    "context_without_workers": lambda t: t.utils.data.DataLoader(_samples(t), multiprocessing_context="fork"),
    "bad_context": lambda t: t.utils.data.DataLoader(_samples(t), num_workers=1, multiprocessing_context="bad"),
    "no_context": lambda t: t.utils.data.DataLoader(_samples(t), num_workers=1, multiprocessing_context=3),
    "subscript": lambda t: t.utils.data.DataLoader[int] is not None,
    "persistent_nobody": lambda t: t.utils.data.DataLoader(_samples(t), persistent_workers=True),
    "negative_timeout": lambda t: t.utils.data.DataLoader(_samples(t), timeout=-1),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_workers(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compare(PROGRAMS[name])
