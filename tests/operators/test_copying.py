"""Copies, conversions and fills."""

from __future__ import annotations

import numpy as np
import pytest

import pellucid as torch
from pellucid.dtypes import DTYPES

NUMBERS = np.array([[0, 1, 2], [3, 50, 100]])


@pytest.mark.filterwarnings("ignore:Casting complex values to real")
@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("target", DTYPES)
def test_every_conversion(source: str, target: str) -> None:
    a, b = DTYPES[source], DTYPES[target]
    array = NUMBERS.astype(a.numpy)
    x = torch.tensor(array).to(b)
    expected = (array.real if a.is_complex and not b.is_complex and b is not torch.bool else array).astype(b.numpy)
    assert x.dtype is b
    assert x.tolist() == torch.tensor(expected).tolist()


def test_to_returns_the_tensor_itself_when_nothing_changes() -> None:
    x = torch.zeros(2, 3)
    assert x.to(torch.float32) is x
    assert x.to("cpu") is x
    assert x.float() is x
    assert x.to(torch.zeros(1)) is x
    copy = x.to(torch.float32, copy=True)
    assert copy.data_ptr() != x.data_ptr()
    assert x.to(torch.zeros(1, dtype=torch.int8)).dtype is torch.int8


def test_contiguous_copies_only_when_it_must() -> None:
    x = torch.arange(6).view(2, 3)
    assert x.contiguous() is x
    y = x.t().contiguous()
    assert y.is_contiguous()
    assert y.tolist() == [[0, 3], [1, 4], [2, 5]]


def test_clone_keeps_the_order_of_dimensions() -> None:
    x = torch.arange(24).view(2, 3, 4).permute(2, 0, 1)
    assert x.clone().stride() == x.stride()
    assert x.clone(memory_format=torch.contiguous_format).stride() == (6, 3, 1)
    assert x[::2].clone().tolist() == x[::2].tolist()


def test_copy_broadcasts_and_converts() -> None:
    x = torch.zeros(2, 3)
    x.copy_(torch.arange(3))
    assert x.tolist() == [[0, 1, 2], [0, 1, 2]]
    with pytest.raises(RuntimeError, match="does not broadcast"):
        x.copy_(torch.arange(2))
    with pytest.raises(RuntimeError, match="cannot grow"):
        torch.zeros(3).copy_(torch.zeros(2, 3))
    with pytest.raises(RuntimeError, match="single memory location"):
        torch.zeros(1).expand(3).copy_(torch.ones(3))


@pytest.mark.parametrize("shift", [1, -1, 3])
def test_overlapping_copies_read_what_was_there_before(shift: int) -> None:
    expected = np.arange(40.0).reshape(5, 8)
    x = torch.from_numpy(expected.copy())
    if shift > 0:
        expected[:, shift:] = expected[:, :-shift].copy()
        x[:, shift:].copy_(x[:, :-shift])
    else:
        expected[:, :shift] = expected[:, -shift:].copy()
        x[:, :shift].copy_(x[:, -shift:])
    np.testing.assert_array_equal(x.numpy(), expected)


def test_a_tensor_can_be_reversed_and_transposed_into_itself() -> None:
    x = torch.arange(9.0).view(3, 3)
    x.copy_(x.t())
    assert x.tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    y = torch.arange(4)
    y.copy_(y.flip(0))
    assert y.tolist() == [3, 2, 1, 0]


def test_fills() -> None:
    x = torch.zeros(2, 3, dtype=torch.uint8)
    assert x.fill_(7) is x
    assert x.tolist() == [[7] * 3] * 2
    assert x[:, 1].fill_(-1).tolist() == [255, 255]
    assert x.zero_().sum().item() == 0
    assert torch.zeros(2, dtype=torch.complex64).fill_(1 + 2j).tolist() == [1 + 2j] * 2
    assert torch.zeros(2, dtype=torch.uint64).fill_(2**64 - 1).tolist() == [2**64 - 1] * 2
    with pytest.raises(RuntimeError, match="without overflow"):
        x.fill_(256)
    with pytest.raises(RuntimeError, match="0-dimension value tensor"):
        x.fill_(torch.zeros(1))
    with pytest.raises(TypeError, match="must be a number"):
        x.fill_("1")


def test_gradients_of_copies() -> None:
    x = torch.ones(3, requires_grad=True)
    y = torch.zeros(2, 3)
    y.copy_(x)
    (y * torch.tensor([[1.0, 2, 3], [10, 20, 30]])).sum().backward()
    assert x.grad.tolist() == [11, 22, 33]
    z = torch.ones(2, dtype=torch.float64, requires_grad=True)
    (z.float() * 2).sum().backward()
    assert z.grad.dtype is torch.float64
    assert z.grad.tolist() == [2, 2]
    w = torch.ones(2, requires_grad=True)
    v = w.clone()
    v.fill_(3)
    v.sum().backward()
    assert w.grad.tolist() == [0, 0]


def test_a_leaf_that_requires_grad_is_not_written_into() -> None:
    x = torch.ones(3, requires_grad=True)
    for write in (lambda: x.fill_(1), lambda: x.copy_(torch.zeros(3)), lambda: x.uniform_()):
        with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
            write()
    with torch.no_grad():
        x.zero_()
    assert x.tolist() == [0, 0, 0]


def test_writes_are_counted() -> None:
    x = torch.zeros(3)
    before = x._version
    x.fill_(1)
    x.copy_(torch.ones(3))
    x.uniform_()
    assert x._version == before + 3


def test_resize() -> None:
    x = torch.arange(6)
    assert x.resize_(2, 2).tolist() == [[0, 1], [2, 3]]
    assert x.resize_(3, 4).shape == (3, 4)
    assert x.flatten()[:6].tolist() == [0, 1, 2, 3, 4, 5]


def test_type_names() -> None:
    assert torch.zeros(1).type() == "torch.FloatTensor"
    assert torch.zeros(1).type("torch.LongTensor").dtype is torch.int64
    assert torch.zeros(1).type(torch.DoubleTensor).dtype is torch.float64
    with pytest.raises(ValueError, match="invalid type"):
        torch.zeros(1).type("LongTensor")
