"""``x[...]`` and ``x[...] = value`` compared with PyTorch, on indexes written down and on random ones."""

from __future__ import annotations

import random
import warnings
from typing import Any

import numpy as np
import pytest
import torch

import pellucid
from pellucid.tensor import array_of
from tests.conformance.opdb import check, to_pellucid


@pytest.mark.parametrize("name", ["__getitem__", "index_put"])
def test_matches_pytorch(name: str) -> None:
    check(name, ("float64", "bfloat16", "bool", "complex64"))


def ours(index: Any) -> Any:
    """The same index with Pellucid's tensors."""
    if isinstance(index, torch.Tensor):
        return to_pellucid(index)
    if isinstance(index, tuple | list):
        return type(index)(map(ours, index))
    return slice(*map(ours, (index.start, index.stop, index.step))) if isinstance(index, slice) else index


INDEXES = {
    "list": [0, 1], "nested": [[0, 1], [1, 0]], "slices in a list": [slice(0, 1), 0], "tuple in a tuple": ((0, 1),),
    "list in a tuple": (0, [0, 1]), "true": True, "false": False, "numpy bool": np.True_, "numpy int": np.int64(1),
    "0-d": torch.tensor(1), "0-d byte": torch.tensor(1, dtype=torch.uint8), "0-d bool": torch.tensor(True),
    "float": 1.0, "0-d float": torch.tensor(1.0), "text": "a", "step 0": slice(None, None, 0), "too large": 5,
    "second too large": (0, 5), "too many": (0, 0, 0, 0), "two ellipses": (..., ...), "nothing": [], "empty": (),
    "ellipsis": ..., "none": None, "mask in a list": [True, False], "unfit mask": [True, False, True],
    "out of range": torch.tensor([1, 5]), "rows and columns": (torch.tensor([[0], [1]]), torch.tensor([0, 1, 2])),
    "unfit": (torch.tensor([0, 1]), torch.tensor([0, 1, 2])), "int16": torch.tensor([0, 1], dtype=torch.int16),
    "int8": torch.tensor([0, 1], dtype=torch.int8), "uint8": torch.tensor([0, 1], dtype=torch.uint8),
    "array": np.array([0, 1]), "int32 array": np.array([0, 1], np.int32), "bool array": np.array([True, False]),
    "array and int": (slice(None), torch.tensor([0, 1]), 0), "int and array": (0, slice(None), torch.tensor([0, 1])),
    "apart": (torch.tensor([0, 1]), slice(None), torch.tensor([0, 1])), "float in a slice": slice(1, 2.5),
    "tensors in a slice": slice(torch.tensor(0), torch.tensor(2)), "range": range(2), "set": {0},
    "mask": torch.arange(24).view(2, 3, 4) > 3, "mask of rows": torch.tensor([[True, False, True]] * 2),
    "true in a tuple": (slice(None), True), "object": object(), "tensor in a list": [1, torch.tensor(0)],
    "no cells": torch.tensor([], dtype=torch.long), "complex": 1j, "none between": ([0, 1], None, [0, 1]),
    "true and a list": (True, [0, 1]), "unfit mask of rows": torch.zeros(2, 2, dtype=torch.bool),
    "2-d array": np.array([[0, 1], [1, 0]]), "0-d array": np.array(1), "ellipsis first": (..., 0, ...),
    "mask and tensor": (torch.tensor([True, False]), torch.tensor([0, 2])), "many": [0] * 40,
    "four": (slice(None),) * 4,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", INDEXES)
def test_indexes(name: str) -> None:
    index, x = INDEXES[name], torch.arange(24.0).view(2, 3, 4)
    try:
        wanted = x[index]
    except Exception as error:
        with pytest.raises(type(error)):
            to_pellucid(x)[ours(index)]
        return
    y = to_pellucid(x)
    got = y[ours(index)]
    assert (tuple(got.shape), got.stride()) == (tuple(wanted.shape), wanted.stride())
    assert got.tolist() == wanted.tolist()
    assert (got.storage is y.storage) == (wanted.untyped_storage().data_ptr() == x.untyped_storage().data_ptr())


class Chance:
    """Random tensors and random indexes for them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        torch.manual_seed(seed)

    def likely(self, chance: float) -> bool:
        return self.random.random() < chance

    def tensor(self) -> torch.Tensor:
        shape = [0 if self.likely(0.04) else self.random.randint(1, 5) for _ in range(self.random.randint(0, 4))]
        t = torch.arange(float(np.prod(shape))).reshape(shape)
        if self.likely(0.5):
            t = t.permute(self.random.sample(range(t.ndim), t.ndim))
        if self.likely(0.3):
            t = t[tuple(slice(None, None, self.random.choice([1, 2])) for _ in shape)]
        return t.unsqueeze(self.random.randint(0, t.ndim)) if self.likely(0.2) else t

    def bound(self) -> int | None:
        return self.random.choice([None, self.random.randint(-6, 6)])

    def index(self, t: torch.Tensor) -> Any:
        items: list[Any] = []
        dim, together = 0, [self.random.randint(1, 3) for _ in range(self.random.randint(0, 2))]
        while dim < t.ndim and self.likely(0.85):
            n, kind = t.shape[dim], self.random.random()
            if kind < 0.2:
                items.append(self.random.randint(-n - self.likely(0.05), n - 1 + self.likely(0.05)) if n else 0)
            elif kind < 0.45:
                items.append(slice(self.bound(), self.bound(), self.random.choice([None, 1, 2, 3])))
            elif kind < 0.55:
                items.append(self.random.choice([None, True, False]))
                dim -= 1
            elif kind < 0.6 and Ellipsis not in [i for i in items if not isinstance(i, torch.Tensor)]:
                items.append(Ellipsis)
                dim += self.random.randint(0, t.ndim - dim) - 1
            elif kind < 0.9:
                items.append(self.positions(n, together))
            else:
                rank = self.random.randint(1, min(2, t.ndim - dim))
                items.append(torch.rand(t.shape[dim : dim + rank]) > 0.5)
                dim += rank - 1
            dim += 1
        return items[0] if len(items) == 1 else tuple(items)

    def positions(self, n: int, together: list[int]) -> torch.Tensor:
        shape = [m if self.likely(0.8) else 1 for m in together] if n else [0]
        if self.likely(0.2):
            shape = shape[self.random.randint(0, len(shape)) :]
        dtype = self.random.choice([torch.int64, torch.int32])
        i = torch.randint(-n, n, shape, dtype=dtype) if n else torch.zeros(0, dtype=torch.int64)
        if self.likely(0.03) and i.numel():
            i.view(-1)[0] = n + 2
        return i.t() if i.ndim == 2 and self.likely(0.3) else i

    def value(self, shape: torch.Size | None) -> Any:
        """A number, or a tensor that broadcasts to the shape (seldom: that does not)."""
        if shape is None or self.likely(0.4):
            return self.random.choice([5, 2.5, True])
        sizes = [n if self.likely(0.8) else 1 for n in shape]
        if self.likely(0.3):
            sizes = sizes[self.random.randint(0, len(sizes)) :]
        return torch.randn([*([1] if self.likely(0.2) else []), *sizes, *([7] if self.likely(0.05) else [])])


def writes_twice(shape: torch.Size, index: Any) -> bool:
    """Whether a cell is named more than once: which value stays is not defined then."""
    counted = torch.zeros(shape)
    counted[index] = 1
    return int(counted.sum()) != torch.zeros(shape)[index].numel()


@pytest.mark.parametrize("seed", range(6))
def test_random_indexes(seed: int) -> None:
    chance = Chance(seed)
    for _ in range(150):
        x = chance.tensor()
        index = chance.index(x)
        y, about = to_pellucid(x), f"{tuple(x.shape)} {x.stride()} [{index}]"
        wanted = None
        try:
            wanted = x[index]
        except Exception as error:
            with pytest.raises(type(error)):
                y[ours(index)]
        else:
            got = y[ours(index)]
            assert (tuple(got.shape), got.stride()) == (tuple(wanted.shape), wanted.stride()), about
            assert got.storage_offset() == wanted.storage_offset(), about
            assert np.array_equal(array_of(got), wanted.numpy()), about
        value = chance.value(None if wanted is None else wanted.shape)
        z = to_pellucid(x)
        before = x.clone()
        try:
            x[index] = value
        except Exception as error:
            with pytest.raises(type(error)):
                z[ours(index)] = ours(value)
            assert np.array_equal(array_of(z), before.numpy()), about
        else:
            z[ours(index)] = ours(value)
            if not isinstance(value, torch.Tensor) or not writes_twice(x.shape, index):
                assert np.array_equal(array_of(z), x.numpy()), f"{about} = {value}"


def test_assigned_values() -> None:
    for text in (
        "x[0] = z[0]", "x[[0]] = z[:1].float()", "z[0] = 1.5", "z[[0]] = 1.5", "z[z > 2] = 1.5", "x[0] = 1j",
        "x[0] = [1]", "x[0] = None", "x[[0]] = z[:1]", "x[x > 3] = 'a'", "x[0] = np.float32(3)",
        "x[0] = np.int64(3)", "x[0, 0, 0] = torch.tensor([[7.0]])", "x[[0, 0], 1] = x[:, 2]", "x[...] = 3", "x[()] = 2",
        "z[0] = True", "z[0] = -1", "x[:, [0, 2]] = x[:, [2, 0]]", "x.index_put_((z[0],), x)",
        "x.index_put_((torch.tensor([0, 1]),), x[:, 0], True)", "x.index_put_((), x)",
        "x.expand(2, 2, 3, 4)[:] = 1", "x.expand(2, 2, 3, 4)[0] = 1", "x.expand(2, 2, 3, 4)[:, 0] = z[:1, :1]",
    ):  # fmt: skip
        x, z = torch.arange(24.0).view(2, 3, 4), torch.arange(6).view(2, 3)
        names = {"x": to_pellucid(x), "z": to_pellucid(z), "np": np, "torch": pellucid}
        try:
            exec(text, {"x": x, "z": z, "np": np, "torch": torch})
        except Exception as error:
            with pytest.raises(type(error)):
                exec(text, names)
        else:
            exec(text, names)
        assert names["x"].tolist() == x.tolist(), text
        assert names["z"].tolist() == z.tolist(), text


def test_the_warnings_are_pytorchs() -> None:
    x = torch.arange(24.0).view(2, 3, 4)
    for index in (torch.tensor([1, 0], dtype=torch.uint8), [slice(0, 1), 0]):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            to_pellucid(x)[ours(index)]
        assert [w.category for w in said] == [UserWarning]
        assert said[0].filename == __file__


PROGRAMS = {
    "iadd": "y=x*1; y[0]+=w*2; (y*y).sum().backward()",
    "iadd idx": "y=x*1; y[[0,1]]+=w*2; (y*y).sum().backward()",
    "mask mul": "y=x*1; y[y>1]*=3; (y*y).sum().backward()",
    "mask set": "y=x*1; y[y>1]=(y*w)[y>1]; (y*y).sum().backward()",
    "set view of view": "y=x*1; z=y[1:]; z[0]=w; (y*y).sum().backward()",
    "t set": "y=x*1; y.t()[0]=w[:2]; (y*y).sum().backward()",
    "swap": "y=x*1; y[[0,1]]=y[[1,0]]; (y*w).sum().backward()",
    "roll": "y=x*1; y[:,1:]=y[:,:-1]*w[:2]; (y*w).sum().backward()",
    "zero": "y=x*1; y[0]=0; (y*w).sum().backward()",
    "unbind": "a,b=x.unbind(); (a*b*w).sum().backward()",
    "detach": "y=x*1; z=y.detach(); z[0]=5; (y*w).sum().backward()",
    "saved": "y=x*1; z=y*w; y[0]=5.; z.sum().backward()",
    "inplace on leaf": "x[0]=1",
    "chunk": "a,b=(x*1).chunk(2); (a@b.t()).sum().backward()",
    "unfold": "(x.unfold(1,2,1)**2).sum().backward()",
    "expand": "(x[:1].expand(4,3)*w).sum().backward()",
    "diag": "y=x*1; y.diagonal()[...]=w[:2]; (y*y).sum().backward()",
    "setitem tracked scalar": "y=torch.zeros(3); y[1]=w.sum(); (y*w).sum().backward()",
    "none": "y=x*1; y[None,0]=w; (y*y).sum().backward()",
    "double index": "y=x*1; y[0][1]=w.sum(); (y*y).sum().backward()",
    "real": "z=torch.view_as_complex(torch.stack([x,x*2],-1)); z.imag[0]=w; (z.real*z.imag).sum().backward()",
    "fill tracked": "y=x*1; y[0,1]=w[0]; y[1]=2; (y*y).sum().backward()",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_of_programs(name: str) -> None:
    """What is written in place, through views and by index, has PyTorch's gradients or its class of error."""
    found: list[Any] = []
    for library in (torch, pellucid):
        x, w = torch.tensor([[1.0, 2, 3], [4, 5, 6]]), torch.tensor([0.5, 1.5, -2.0])
        if library is pellucid:
            x, w = to_pellucid(x), to_pellucid(w)
        x.requires_grad = w.requires_grad = True
        try:
            exec(PROGRAMS[name], {"torch": library, "x": x, "w": w})
            found.append([None if t.grad is None else t.grad.tolist() for t in (x, w)])
        except RuntimeError as error:
            found.append(type(error))
    assert found[0] == found[1]
