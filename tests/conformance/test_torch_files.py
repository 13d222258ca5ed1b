"""Files written by PyTorch, read by Pellucid."""

from __future__ import annotations

import argparse
import io
import pickle
import zipfile
from collections import Counter, OrderedDict
from typing import Any

import numpy as np
import pytest
import torch

import pellucid
import pellucid.nn
import pellucid.optim
from tests.conformance.test_seeds import assert_same, described


def written(value: Any) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return file


def read(value: Any, **options: Any) -> Any:
    return pellucid.load(written(value), **options)


DTYPES = """
float32 float64 float16 bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 bool complex64 complex128
"""


@pytest.mark.parametrize("dtype", DTYPES.split())
def test_dtypes(dtype: str) -> None:
    x = torch.arange(6).view(2, 3).to(getattr(torch, dtype))
    for t in (x, x.T, x[1], x[:, 1:], x[0, 0], x[:0]):
        assert_same(described(read(t)), described(t))


def test_containers() -> None:
    value = {
        "list": [1, -2, 300, 70000, 2**40, -(2**70), 1.5, True, None, "text \u00e9"], "tuple": (1, (2, 3, 4, 5), ()),
        "set": {1, 2}, "bytes": b"\x00\xff", "complex": 1 - 2j, "size": torch.Size([2, 3]), 3: {"nested": [[], {}]},
        "ordered": OrderedDict(b=1, a=2), "counter": Counter("aab"), "long": list(range(2000)),
    }  # fmt: skip
    assert read(value) == value
    assert read({"dtype": torch.bfloat16, "device": torch.device("cpu")}) == {
        "dtype": pellucid.bfloat16,
        "device": pellucid.device("cpu"),
    }


def test_shared_memory_is_shared_again() -> None:
    x = torch.zeros(4)
    back = read({"all": x, "part": x[1:3]})
    back["part"].fill_(7)
    assert back["all"].tolist() == [0, 7, 7, 0]


def test_a_training_goes_on() -> None:
    def made(T: Any) -> tuple[Any, Any]:
        T.manual_seed(0)
        net = T.nn.Sequential(T.nn.Linear(3, 4), T.nn.Tanh(), T.nn.BatchNorm1d(4), T.nn.Linear(4, 1))
        return net, T.optim.AdamW(net.parameters(), lr=0.1)

    def step(T: Any, net: Any, optimizer: Any) -> None:
        optimizer.zero_grad()
        net(T.arange(12.0).view(4, 3)).pow(2).mean().backward()
        optimizer.step()

    net, optimizer = made(torch)
    step(torch, net, optimizer)
    file = written({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "weight": net[0].weight})
    step(torch, net, optimizer)
    ours, own_optimizer = made(pellucid)
    found = pellucid.load(file, map_location="cpu", weights_only=True)
    assert isinstance(found["weight"], pellucid.nn.Parameter)
    assert found["weight"].requires_grad
    ours.load_state_dict(found["net"])
    own_optimizer.load_state_dict(found["optimizer"])
    step(pellucid, ours, own_optimizer)
    assert_same(described(dict(ours.state_dict())), described(dict(net.state_dict())))


def test_nothing_is_run() -> None:
    class Bad:
        def __reduce__(self) -> Any:
            return print, ("run",)

    for value in (torch.nn.Linear(1, 1), Bad(), [np.arange(3)]):
        file = written(value) if not isinstance(value, Bad) else _pickled(value)
        with pytest.raises(pickle.UnpicklingError, match="the file asks for"):
            pellucid.load(file, weights_only=False)


def _pickled(value: Any) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(value, 2))
    return file


def test_more_if_asked() -> None:
    value = {"args": argparse.Namespace(lr=0.1, name="x"), "best": np.float64(0.5)}
    with pytest.raises(pickle.UnpicklingError, match="weights_only=False"):
        read(value)
    assert read(value, weights_only=False) == value


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_versions_of_pickles(protocol: int) -> None:
    value = {"a": [1, 2.5, "x", (True, None)], "s": {1}, "t": {"k": b"x"}}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(value, protocol))
    assert pellucid.load(file) == value


def test_another_device() -> None:
    old = written({"x": torch.ones(2)})
    file = io.BytesIO()
    with zipfile.ZipFile(old) as before, zipfile.ZipFile(file, "w") as after:
        for name in before.namelist():
            content = before.read(name).replace(b"X\x03\0\0\0cpu", b"X\x06\0\0\0cuda:0")
            after.writestr(name, content)
    with pytest.raises(RuntimeError, match="map_location"):
        pellucid.load(file)
    for where in ("cpu", pellucid.device("cpu"), {"cuda:0": "cpu"}, lambda storage, location: storage):
        assert pellucid.load(file, map_location=where)["x"].tolist() == [1, 1]


def test_damaged_files() -> None:
    whole = written(torch.ones(100)).getvalue()
    with pytest.raises(RuntimeError):
        pellucid.load(io.BytesIO(whole[:200]))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00")
    with pytest.raises(pickle.UnpicklingError, match="ends too early"):
        pellucid.load(file)
