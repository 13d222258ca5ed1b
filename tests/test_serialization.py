"""Saving and loading: values, dtypes, strides and shared memory come back; nothing else gets in or out."""

import io
import json
import pickle
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as torch
from pellucid import nn, optim, serialization


def again(value: Any) -> Any:
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "bfloat16", "int8", "int64", "uint8", "bool", "complex64"]
)
def test_tensors(dtype: str) -> None:
    t = torch.arange(24).reshape(2, 3, 4).to(getattr(torch, dtype))
    for x in (t, t.transpose(0, 2), t[:, 1], t[1, 2, 3], t[:0]):
        back = again(x)
        assert back.dtype is x.dtype
        assert back.shape == x.shape
        assert back.stride() == x.stride()
        assert torch.equal(back, x)


def test_shared_memory_is_shared_again() -> None:
    t = torch.zeros(4)
    back = again({"all": t, "part": t[1:3]})
    back["part"].fill_(7)
    assert back["all"].tolist() == [0, 7, 7, 0]


def test_values_that_are_not_tensors() -> None:
    values = {
        "none": None, "flag": True, 3: "three", "large": 10**30, "nan": float("inf"), "pi": 3.141592653589793,
        "complex": 1 - 2j, "tuple": (1, [2, (3,)]), "set": {1, 2}, "bytes": b"\x00\xff", "dtype": torch.bfloat16,
        "device": torch.device("cpu"), "size": torch.Size([2, 3]), ("a", 1): 0, "counter": Counter({3: 2}),
        "ordered": OrderedDict(b=1, a=2), "array": np.arange(6.0).reshape(2, 3), "number": np.float32(1.5),
    }  # fmt: skip
    back = again(values)
    assert list(back) == list(values)
    for key, value in values.items():
        assert type(back[key]) is type(value)
        assert np.array_equal(back[key], value) if isinstance(value, np.ndarray) else back[key] == value


def test_checkpoint(tmp_path: Path) -> None:
    def made() -> tuple[Any, Any]:
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        return model, optim.AdamW(model.parameters())

    model, optimizer = made()
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, tmp_path / "c.pt")
    loaded = torch.load(tmp_path / "c.pt", map_location="cpu")
    other, other_optimizer = made()
    assert str(other.load_state_dict(loaded["model"])) == "<All keys matched successfully>"
    other_optimizer.load_state_dict(loaded["optimizer"])
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), model.parameters(), strict=True))
    assert other_optimizer.state_dict()["state"][0]["step"].item() == 1
    assert loaded["model"]._metadata["1"] == {"version": 2}


def test_parameters_stay_parameters() -> None:
    back = again([nn.Parameter(torch.ones(2)), torch.ones(2, requires_grad=True)])
    assert isinstance(back[0], nn.Parameter)
    assert back[1].requires_grad


def test_modules_are_refused() -> None:
    with pytest.raises(TypeError, match=r"obj\['m'\] is of type Linear.*state_dict"):
        torch.save({"m": nn.Linear(1, 1)}, io.BytesIO())


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="Parent directory"):
        torch.save(1, tmp_path / "none" / "x.pt")
    with pytest.raises(FileNotFoundError):
        torch.load(tmp_path / "x.pt")


def test_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(RuntimeError, match="not a file of"):
        torch.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": print}))
    with pytest.raises(pickle.UnpicklingError, match="the file asks for builtins.print"):
        torch.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("something", "else")
    with pytest.raises(RuntimeError, match="neither by pellucid.save nor by torch.save"):
        torch.load(path)


@pytest.mark.parametrize(
    "node",
    [
        {"tensor": ["Tensor", 0, 0, "float32", [100], [1], False]},
        {"tensor": ["Tensor", 0, -8, "float32", [2], [1], False]},
        {"tensor": ["Tensor", 1, 0, "float32", [2], [1], False]},
        {"tensor": ["Tensor", 0, 0, "code", [2], [1], False]},
        {"tensor": ["Tensor", 0, 0]},
        {"call": ["os.system", "true"]},
    ],
)
def test_damaged_files(node: Any) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("index.json", json.dumps({"format": "pellucid 1", "object": node}))
        archive.writestr("blocks/0", b"\x00" * 16)
    with pytest.raises(RuntimeError, match="damaged"):
        torch.load(file)


def test_large_blocks_go_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serialization, "_PART", 1000)
    for count in (0, 1, 250, 251, 3000):
        t = torch.arange(count, dtype=torch.float32)
        assert torch.equal(again(t), t)


class Pipe:
    """Reads and writes, and nothing more."""

    def __init__(self) -> None:
        self.file = io.BytesIO()
        self.write, self.flush, self.read = self.file.write, self.file.flush, self.file.read


def test_plain_readers_and_writers() -> None:
    pipe = Pipe()
    torch.save({"a": torch.ones(3)}, pipe)
    pipe.file.seek(0)
    assert torch.load(pipe)["a"].tolist() == [1.0, 1.0, 1.0]
