"""Numbers out of tensors: for Python, for NumPy, for printing, for storage."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import pellucid as torch
from pellucid.operators import reading


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("float32", 1.5), ("float64", 0.1), ("bfloat16", -2.5), ("float16", 3.0), ("int8", -7), ("uint8", 200),
     ("int64", 2**62), ("uint64", 2**63), ("bool", True), ("complex64", 1 - 2j)],
)  # fmt: skip
def test_item(dtype: str, value: complex) -> None:
    x = torch.tensor(value, dtype=getattr(torch, dtype))
    assert x.item() == value
    assert type(x.item()) is type(value)
    assert x.tolist() == value
    assert torch.stack([x, x]).tolist() == [value, value]
    assert torch.stack([x, x])[1].item() == value


@pytest.mark.parametrize("read", [float, complex, lambda x: torch.tensor([x, 2.0]), lambda x: torch.tensor([[x]])])
def test_a_number_without_its_gradient_is_told_once(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_told_of_gradients", False)
    x = torch.ones((), requires_grad=True)
    assert [int(x), bool(x), x.item(), float(x.detach())] == [1, True, 1.0, 1.0]
    with torch.no_grad():
        read(x)
    with pytest.warns(UserWarning, match=r"Consider using tensor.detach\(\) first") as caught:
        read(x)
    assert [w.filename for w in caught] == [__file__]
    read(x)


def test_tensors_are_keys_by_identity() -> None:
    x, y = torch.ones(2), torch.nn.Parameter(torch.ones(2))
    assert (hash(x), hash(y)) == (id(x), id(y))
    assert {x: 1, y: 2}[y] == 2


def test_one_number_is_wanted() -> None:
    x = torch.tensor([[2.5]])
    assert (float(x), int(x), bool(x), complex(x)) == (2.5, 2, True, 2.5)
    assert [10, 20, 30][torch.tensor(1)] == 20
    with pytest.raises(RuntimeError, match="2 elements cannot be converted to Scalar"):
        torch.zeros(2).item()
    with pytest.raises(ValueError, match="only one element tensors"):
        float(torch.zeros(2))
    with pytest.raises(RuntimeError, match="more than one value is ambiguous"):
        bool(torch.zeros(2))
    with pytest.raises(RuntimeError, match="no values"):
        bool(torch.zeros(0))
    with pytest.raises(TypeError, match="integer tensors"):
        [1][torch.tensor(0.0)]


def test_numpy_shares_memory() -> None:
    x = torch.arange(6.0).view(2, 3)
    x.t().numpy()[2, 1] = 50
    assert x[1, 2].item() == 50
    assert np.asarray(x).sum() == x.sum().item()
    assert np.array(x, dtype=np.int32).dtype == np.int32
    with pytest.raises(RuntimeError, match=r"Use tensor.detach\(\).numpy\(\)"):
        torch.zeros(2, requires_grad=True).numpy()
    assert torch.zeros(2, requires_grad=True).numpy(force=True).tolist() == [0, 0]
    with pytest.raises(TypeError, match="bfloat16"):
        torch.zeros(2, dtype=torch.bfloat16).numpy()


def test_walking_and_asking() -> None:
    x = torch.arange(6).view(3, 2)
    assert [row.tolist() for row in x] == [[0, 1], [2, 3], [4, 5]]
    assert [row.tolist() for row in reversed(x)] == [[4, 5], [2, 3], [0, 1]]
    assert 5 in x
    assert 6 not in x
    with pytest.raises(TypeError, match="iteration over a 0-d tensor"):
        iter(torch.tensor(1))
    a, b = torch.tensor([1, 2])
    assert (a.item(), b.item()) == (1, 2)


def test_printing() -> None:
    assert repr(torch.tensor([1.0, 2.5])) == "tensor([1.0000, 2.5000])"
    assert repr(torch.zeros(2, requires_grad=True)) == "tensor([0., 0.], requires_grad=True)"
    assert "grad_fn=<CloneBackward0>" in repr(torch.zeros(2, requires_grad=True).clone())
    assert f"{torch.tensor(2.5):.2f}" == "2.50"


def test_deepcopy_keeps_what_is_shared() -> None:
    x = torch.arange(6.0)
    pair = [x, x[2:4]]
    a, b = copy.deepcopy(pair)
    b[0] = 9
    assert a[2].item() == 9
    assert x[2].item() == 2
    leaf = torch.ones(2, requires_grad=True)
    leaf.sum().backward()
    twin = copy.deepcopy(leaf)
    assert twin.requires_grad
    assert twin.grad.tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(leaf * 2)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "bool", "complex128", "int64"])
def test_pickling(dtype: str) -> None:
    x = torch.tensor([[0, 1, 2], [3, 4, 5]]).to(getattr(torch, dtype))
    for t in (x, x.t(), x[:, ::2]):
        back = pickle.loads(pickle.dumps(t))
        assert back.dtype is t.dtype
        assert back.tolist() == t.tolist()
    leaf = torch.ones(2, requires_grad=True)
    assert pickle.loads(pickle.dumps(leaf)).requires_grad


def test_questions() -> None:
    x = torch.zeros(2, 3, dtype=torch.int8)
    assert (x.is_floating_point(), x.is_complex(), x.is_signed()) == (False, False, True)
    assert (x.is_cuda, x.is_cpu) == (False, True)
    assert (x.nelement(), x.ndimension(), torch.numel(x), x.get_device()) == (6, 2, 6, -1)
    assert x.t().dim_order() == (1, 0)
    assert torch.result_type(x, 1.5) is torch.float32
    assert x.apply_(lambda v: v + 2).tolist() == [[2] * 3] * 2
    assert torch.zeros(4, 2).fill_diagonal_(1, wrap=True).tolist() == [[1, 0], [0, 1], [0, 0], [1, 0]]
