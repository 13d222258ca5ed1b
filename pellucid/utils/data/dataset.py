"""Data sets: something with samples under numbers, or something to iterate over."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import floor, isclose
from typing import Any, Generic, TypeVar
from warnings import warn

import numpy as np

from pellucid.dtypes import int64
from pellucid.operators.indexing import index_select
from pellucid.operators.random_creation import randperm
from pellucid.tensor import Tensor, tensor_on

T = TypeVar("T", covariant=True)


class Dataset(Generic[T]):
    """Samples by number: subclasses define ``__getitem__`` and, for most samplers, ``__len__``."""

    def __getitem__(self, index: Any) -> T:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other: Dataset[T]) -> ConcatDataset[T]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T]):
    """Samples in the order in which ``__iter__`` gives them."""

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError("Subclasses of IterableDataset should implement __iter__.")


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Sample i is ``(t[i] for t in tensors)``."""

    def __init__(self, *tensors: Tensor) -> None:
        if any(t.shape[0] != tensors[0].shape[0] for t in tensors):
            sizes = ", ".join(str(t.shape[0]) for t in tensors)
            raise AssertionError(f"Size mismatch between tensors: the first dimensions are {sizes}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].shape[0]


class ConcatDataset(Dataset[T]):
    """Data sets one after the other."""

    def __init__(self, datasets: Iterable[Dataset[T]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        if any(isinstance(d, IterableDataset) for d in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset: use ChainDataset")
        self.cumulative_sizes = list(accumulate(len(d) for d in self.datasets))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> T:
        n = len(self)
        if index < -n:
            raise ValueError(f"absolute value of index should not exceed dataset length: {index} of {n}")
        if index >= n:  # a loop over the data set ends by it
            raise IndexError(f"ConcatDataset: sample {index} of {n}")
        index %= n
        k = bisect_right(self.cumulative_sizes, index)
        return self.datasets[k][index - (self.cumulative_sizes[k - 1] if k else 0)]


class ChainDataset(IterableDataset[T]):
    """Iterable data sets one after the other."""

    def __init__(self, datasets: Iterable[Dataset[T]]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[T]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError("ChainDataset only supports IterableDataset")
            yield from dataset

    def __len__(self) -> int:
        sizes: list[int] = [len(dataset) for dataset in self.datasets]  # type: ignore[arg-type]
        return sum(sizes)


class StackDataset(Dataset[Any]):
    """Sample i is sample i of every data set, as a tuple or, for data sets given by name, as a dictionary.

    Raises:
        ValueError: no data sets, by position and by name, or of different sizes.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError("Supported either ``tuple``- (via ``args``) or ``dict``- (via ``kwargs``) like input")
        self.datasets: Any = args or kwargs
        sizes = {len(d) for d in args or kwargs.values()}
        if len(sizes) > 1:
            raise ValueError(f"Size mismatch between datasets: {sorted(sizes)}")
        self._length = sizes.pop()

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __len__(self) -> int:
        return self._length


class Subset(Dataset[T]):
    """The samples of a data set at ``indices``."""

    def __init__(self, dataset: Dataset[T], indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: Any) -> T:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


def whole_batch(dataset: Any, numbers: Any) -> list[Tensor] | None:
    """What collating ``dataset[i] for i in numbers`` gives, picked at once; None where it has to be done one by one."""
    while type(dataset) is Subset and type(numbers) is list:
        numbers, dataset = [dataset.indices[i] for i in numbers], dataset.dataset
    if type(dataset) is not TensorDataset or type(numbers) is not list or {*map(type, numbers)} != {int}:
        return None
    if min(numbers) < 0:
        return None
    index = tensor_on(np.array(numbers, np.int64), int64)
    return [index_select(t, 0, index) for t in dataset.tensors]


def random_split(dataset: Dataset[T], lengths: Sequence[int | float], generator: Any = None) -> list[Subset[T]]:
    """Disjoint random subsets of the given lengths, or fractions that add up to 1.

    Raises:
        ValueError: the lengths do not add up to the size of the data set.
    """
    n = len(dataset)  # type: ignore[arg-type]
    if isclose(sum(lengths), 1) and sum(lengths) <= 1:
        for i, share in enumerate(lengths):
            if not 0 <= share <= 1:
                raise ValueError(f"Fraction at index {i} is not between 0 and 1")
        counts = [floor(n * x) for x in lengths]
        for i in range(n - sum(counts)):
            counts[i % len(counts)] += 1
        for i, count in enumerate(counts):
            if count == 0:
                warn(f"Length of split at index {i} is 0. This might result in an empty dataset.", stacklevel=2)
    else:
        counts = [int(x) for x in lengths]
    if sum(counts) != n:
        raise ValueError("Sum of input lengths does not equal the length of the input dataset!")
    order = randperm(n, generator=generator).tolist()
    ends = list(accumulate(counts))
    return [Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts, strict=True)]
