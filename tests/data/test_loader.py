"""DataLoader: every sample once, in order or not, with worker processes or without."""

import gc
import multiprocessing
import os
import time
from typing import Any

import pytest

import pellucid as torch
from pellucid.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset, random_split, workers


class Squares(Dataset[Any]):
    """i and i^2."""

    def __len__(self) -> int:
        return 20

    def __getitem__(self, i: int) -> Any:
        if i == 13:
            raise KeyError("thirteen")
        return torch.tensor(i), torch.tensor(i * i)


def test_batches_of_tensors_are_picked_at_once() -> None:
    x, y = torch.randn(10, 3), torch.arange(10)
    data = TensorDataset(x, y)
    one_by_one = DataLoader(data, batch_size=4, collate_fn=lambda samples: samples)
    for (a, b), samples in zip(DataLoader(data, batch_size=4), one_by_one, strict=True):
        assert torch.equal(a, torch.stack([s[0] for s in samples]))
        assert b.tolist() == [int(s[1]) for s in samples]


def test_every_sample_once() -> None:
    loader = DataLoader(TensorDataset(torch.arange(50)), batch_size=7, shuffle=True)
    epochs = [torch.cat([batch for (batch,) in loader]).tolist() for _ in range(2)]
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(50))


@pytest.mark.parametrize("count", [0, 3])
def test_workers_do_not_change_the_order(count: int) -> None:
    torch.manual_seed(1)
    loader = DataLoader(Subset(Squares(), range(13)), batch_size=2, shuffle=True, num_workers=count)
    torch.manual_seed(1)
    plain = DataLoader(Subset(Squares(), range(13)), batch_size=2, shuffle=True)
    torch.manual_seed(2)
    ours = [b.tolist() for _, b in loader]
    torch.manual_seed(2)
    assert ours == [b.tolist() for _, b in plain]


@pytest.mark.parametrize("count", [0, 2])
def test_errors_come_through(count: int) -> None:
    with pytest.raises(KeyError, match="thirteen"):
        list(DataLoader(Squares(), batch_size=4, num_workers=count))


def test_gradients_flow_into_the_data() -> None:
    x = torch.ones(6, 2, requires_grad=True)
    for (batch,) in DataLoader(TensorDataset(x), batch_size=4):
        (batch * 2).sum().backward()
    assert x.grad.tolist() == [[2.0, 2.0]] * 6


def test_splits_are_disjoint() -> None:
    parts = random_split(range(10), [4, 6])
    assert sorted([*parts[0], *parts[1]]) == list(range(10))


class Slow(Squares):
    def __getitem__(self, i: int) -> Any:
        time.sleep(30 if i == 1 else 0)
        return torch.tensor(i)


class Dying(Squares):
    def __getitem__(self, i: int) -> Any:
        os._exit(3)


def test_a_worker_that_takes_too_long() -> None:
    with pytest.raises(RuntimeError, match="timed out after 0.2 seconds"):
        list(DataLoader(Slow(), num_workers=1, timeout=0.2))


def test_a_worker_that_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PATIENCE", 0.1)
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(DataLoader(Dying(), num_workers=1))


def test_workers_end_with_the_loop() -> None:
    loader = DataLoader(Squares(), batch_size=2, num_workers=2)
    start = time.perf_counter()
    for _ in loader:
        break
    gc.collect()
    assert multiprocessing.active_children() == []
    assert time.perf_counter() - start < workers.FAREWELL


def test_samples_of_a_stream_beyond_its_length_are_warned_of() -> None:
    class Stream(IterableDataset[int]):
        def __iter__(self) -> Any:
            return iter(range(4))

        def __len__(self) -> int:
            return 4

    with pytest.warns(UserWarning, match="get_worker_info"):
        assert len(list(DataLoader(Stream(), num_workers=2))) == 8
