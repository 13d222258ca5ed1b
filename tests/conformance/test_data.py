"""Loading data beside PyTorch's: the order of the samples for the same seed, batches, errors."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.conformance.libraries import compare, numbers

Pair = namedtuple("Pair", ["first", "second"])


def _dataset(t: Any, n: int = 50) -> Any:
    return t.utils.data.TensorDataset(numbers(t, n, 3), t.arange(n))


def _squares(t: Any, n: int = 23) -> Any:
    class Squares(t.utils.data.Dataset):  # type: ignore[name-defined,misc]
        def __len__(self) -> int:
            return n

        def __getitem__(self, i: int) -> Any:
            return {"number": i, "square": float(i * i), "row": np.arange(3) + i, "name": f"n{i}"}

    return Squares()


def _stream(t: Any) -> Any:
    class Stream(t.utils.data.IterableDataset):  # type: ignore[name-defined,misc]
        def __iter__(self) -> Any:
            return iter([(i, t.tensor([i, -i])) for i in range(11)])

    return Stream()


def _seeded(t: Any, seed: int) -> Any:
    return t.Generator().manual_seed(seed)


LOADERS: dict[str, Callable[[Any], Any]] = {
    "in_order": lambda t: t.utils.data.DataLoader(_dataset(t), batch_size=8),
    "one_by_one": lambda t: t.utils.data.DataLoader(_dataset(t, 5)),
    "shuffled": lambda t: t.utils.data.DataLoader(_dataset(t), batch_size=8, shuffle=True),
    "shuffled_whole": lambda t: t.utils.data.DataLoader(_dataset(t), batch_size=8, shuffle=True, drop_last=True),
    "by_generator": lambda t: t.utils.data.DataLoader(
        _dataset(t), batch_size=8, shuffle=True, generator=_seeded(t, 5)
    ),
    "without_batches": lambda t: t.utils.data.DataLoader(_dataset(t, 6), batch_size=None, shuffle=True),
    "dictionaries": lambda t: t.utils.data.DataLoader(_squares(t), batch_size=4, shuffle=True),
    "stream": lambda t: t.utils.data.DataLoader(_stream(t), batch_size=4),
    "stream_whole": lambda t: t.utils.data.DataLoader(_stream(t), batch_size=4, drop_last=True),
    "collated": lambda t: t.utils.data.DataLoader(_dataset(t), batch_size=8, collate_fn=lambda batch: len(batch)),
    "with_replacement": lambda t: t.utils.data.DataLoader(
        _dataset(t), batch_size=8, sampler=t.utils.data.RandomSampler(range(50), True, 70)
    ),
    "more_than_all": lambda t: t.utils.data.DataLoader(
        _dataset(t), batch_size=8, sampler=t.utils.data.RandomSampler(range(50), num_samples=120)
    ),
    "subset": lambda t: t.utils.data.DataLoader(
        _dataset(t), sampler=t.utils.data.SubsetRandomSampler([3, 1, 4, 15, 9, 2, 6]), batch_size=2
    ),
    "weighted": lambda t: t.utils.data.DataLoader(
        _dataset(t, 5), sampler=t.utils.data.WeightedRandomSampler([0.1, 2.0, 0.0, 1.0, 0.5], 12), batch_size=5
    ),
    "batch_sampler": lambda t: t.utils.data.DataLoader(
        _dataset(t), batch_sampler=t.utils.data.BatchSampler(range(0, 50, 3), 4, False)
    ),
    "negative_numbers": lambda t: t.utils.data.DataLoader(_dataset(t), sampler=[-1, 3, -50], batch_size=2),
    "split": lambda t: t.utils.data.DataLoader(
        t.utils.data.random_split(_dataset(t), [0.7, 0.3])[1], batch_size=4, shuffle=True
    ),
    "joined": lambda t: t.utils.data.DataLoader(_dataset(t, 5) + _dataset(t, 4), batch_size=4),
    "stacked": lambda t: t.utils.data.DataLoader(
        t.utils.data.StackDataset(a=_dataset(t, 5), b=_dataset(t, 5)), batch_size=4
    ),
    "ahead": lambda t: t.utils.data.DataLoader(_dataset(t), batch_size=8, shuffle=True, num_workers=0),
    "outside": lambda t: t.utils.data.DataLoader(_dataset(t), sampler=[1, 50], batch_size=2),
    "unequal": lambda t: t.utils.data.TensorDataset(t.zeros(3), t.zeros(4)),
    "sampler_and_shuffle": lambda t: t.utils.data.DataLoader(_dataset(t), sampler=[1], shuffle=True),
    "two_samplers": lambda t: t.utils.data.DataLoader(_dataset(t), batch_sampler=[[1]], batch_size=3),
    "drop_last_of_nothing": lambda t: t.utils.data.DataLoader(_dataset(t), batch_size=None, drop_last=True),
    "stream_shuffled": lambda t: t.utils.data.DataLoader(_stream(t), shuffle=True),
    "no_batch_size": lambda t: t.utils.data.DataLoader(_dataset(t), batch_size=0),
    "empty_shuffled": lambda t: t.utils.data.DataLoader([], shuffle=True),
    "bad_split": lambda t: t.utils.data.random_split(_dataset(t), [30, 30]),
    "bad_workers": lambda t: t.utils.data.DataLoader(_dataset(t), num_workers=-1),
    "prefetch_without_workers": lambda t: t.utils.data.DataLoader(_dataset(t), prefetch_factor=2),
}


@pytest.mark.parametrize("name", LOADERS)
def test_loader(name: str) -> None:
    def program(library: Any) -> Any:
        loader = LOADERS[name](library)
        epochs = [list(loader) for _ in range(3)]
        sized = not isinstance(loader.dataset, library.utils.data.IterableDataset)
        return len(loader) if sized else None, epochs, library.rand(2)

    compare(program)


COLLATED: dict[str, Callable[[Any], Any]] = {
    "numbers": lambda t: [1, 2, 3],
    "floats": lambda t: [1.5, 2.5],
    "booleans": lambda t: [True, False],
    "arrays": lambda t: [np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32)],
    "numpy_numbers": lambda t: [np.float32(1.5), np.float32(2.5)],
    "words": lambda t: ["a", "b"],
    "tuples": lambda t: [(1, t.zeros(2)), (2, t.ones(2))],
    "lists": lambda t: [[1, 2.0], [3, 4.0]],
    "dictionaries": lambda t: [OrderedDict(a=1, b=t.ones(1)), OrderedDict(a=2, b=t.zeros(1))],
    "named": lambda t: [Pair(1, t.ones(2)), Pair(2, t.zeros(2))],
    "different_lengths": lambda t: [[1, 2], [3]],
    "different_shapes": lambda t: [t.zeros(2), t.zeros(3)],
    "objects": lambda t: [object(), object()],
    "nothing": lambda t: [None, None],
}


@pytest.mark.parametrize("name", COLLATED)
def test_collating(name: str) -> None:
    def program(library: Any) -> Any:
        made = library.utils.data.default_collate(COLLATED[name](library))
        return type(made).__name__, made

    compare(program)


def test_splitting() -> None:
    def program(library: Any) -> Any:
        parts = library.utils.data.random_split(range(17), [0.5, 0.3, 0.2], generator=_seeded(library, 42))
        return [list(part) for part in parts], [len(part) for part in parts]

    compare(program)


def test_streams_whose_length_nobody_knows() -> None:
    def program(T: Any) -> Any:
        data = T.utils.data

        class Stream(data.IterableDataset):  # type: ignore[misc]
            def __iter__(self) -> Any:
                return iter(range(3))

        joined = data.ChainDataset([Stream(), Stream()])
        return list(data.DataLoader(joined, batch_size=2)), list(data.DataLoader(joined, batch_size=None))

    compare(program)
