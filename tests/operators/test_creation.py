"""New tensors: values, layouts, memory."""

from __future__ import annotations

import numpy as np
import pytest

import pellucid as torch


def test_sizes_in_every_form() -> None:
    for made in (torch.zeros(2, 3), torch.zeros((2, 3)), torch.zeros([2, 3]), torch.zeros(torch.Size([2, 3]))):
        assert made.shape == (2, 3)
        assert made.dtype is torch.float32
        assert not made.numpy().any()
    assert torch.ones(size=(4,)).tolist() == [1, 1, 1, 1]
    assert torch.zeros(()).shape == ()
    assert torch.zeros(0, 3).tolist() == []


def test_a_float_is_no_size_even_after_the_equal_integer() -> None:
    assert torch.zeros(2).shape == (2,)
    with pytest.raises(TypeError, match="must be tuple of ints, not float"):
        torch.zeros(2.0)
    with pytest.raises(RuntimeError, match="negative"):
        torch.zeros(2, -1)


def test_large_ones_are_written_completely() -> None:
    dirty = torch.full((3_000_017,), 7.5)
    assert (dirty.numpy() == 7.5).all()
    del dirty
    assert not torch.zeros(3_000_017).numpy().any()
    np.testing.assert_array_equal(torch.arange(3_000_017).numpy(), np.arange(3_000_017))


def test_full_checks_that_the_number_fits() -> None:
    assert torch.full((2,), 3).dtype is torch.int64
    assert torch.full((2,), 3.0).dtype is torch.float32
    assert torch.full((2,), True).dtype is torch.bool
    with pytest.raises(RuntimeError, match="300 cannot be converted to type uint8 without overflow"):
        torch.full((2,), 300, dtype=torch.uint8)


def test_default_dtype() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.zeros(2).dtype is torch.float64
        assert torch.tensor([1.5]).dtype is torch.float64
        assert torch.tensor(1.5).dtype is torch.float64
        assert torch.arange(2.0).dtype is torch.float64
        assert torch.rand(2).dtype is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.zeros(2).dtype is torch.float32


@pytest.mark.parametrize("arguments", [(7,), (2, 9), (9, 2, -3), (0, 1, 0.25), (-1.0, 2.0, 0.7), (3, 3), (5, 4, -1)])
def test_arange(arguments: tuple[float, ...]) -> None:
    expected = np.arange(*arguments)
    made = torch.arange(*arguments)
    assert made.shape == expected.shape
    assert made.dtype is (torch.int64 if expected.dtype.kind == "i" else torch.float32)
    np.testing.assert_allclose(made.numpy(), expected, rtol=1e-6, atol=1e-6)


def test_arange_complains() -> None:
    with pytest.raises(RuntimeError, match="step must be nonzero"):
        torch.arange(0, 3, 0)
    with pytest.raises(RuntimeError, match="inconsistent with step sign"):
        torch.arange(0, 3, -1)
    with pytest.raises(RuntimeError, match="unsupported range"):
        torch.arange(float("inf"))


def test_spaces() -> None:
    np.testing.assert_allclose(torch.linspace(-2, 5, 23).numpy(), np.linspace(-2, 5, 23), rtol=1e-6)
    np.testing.assert_allclose(torch.logspace(-2, 3, 7).numpy(), np.logspace(-2, 3, 7), rtol=1e-5)
    assert torch.linspace(3, 4, 1).tolist() == [3]
    np.testing.assert_array_equal(torch.eye(3, 5).numpy(), np.eye(3, 5, dtype=np.float32))
    np.testing.assert_array_equal(torch.tril_indices(3, 4, 1).numpy(), np.stack(np.tril_indices(3, 1, 4)))


def test_like_keeps_the_order_of_dimensions() -> None:
    x = torch.zeros(2, 3, 4).permute(2, 0, 1)
    assert torch.ones_like(x).stride() == x.stride()
    assert torch.zeros_like(x, dtype=torch.int8).dtype is torch.int8
    assert torch.full_like(x, 2, memory_format=torch.contiguous_format).is_contiguous()
    assert torch.zeros_like(torch.zeros(1, 3).expand(4, 3)).stride() == (3, 1)


def test_nested_lists() -> None:
    assert torch.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert torch.tensor([1, 2.5, True]).tolist() == [1, 2.5, 1]
    assert torch.tensor([[], []]).shape == (2, 0)
    assert torch.tensor([True, False]).dtype is torch.bool
    assert torch.tensor([1, 2j]).dtype is torch.complex64
    assert torch.tensor([torch.tensor(2), 3]).tolist() == [2, 3]
    deep = np.arange(120).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(torch.tensor(deep.tolist()).numpy(), deep)
    assert torch.tensor([2**62, -(2**62)]).tolist() == [2**62, -(2**62)]


def test_uneven_lists_are_told_where() -> None:
    with pytest.raises(ValueError, match=r"expected sequence of length 2 at dim 1 \(got 1\)"):
        torch.tensor([[1, 2], [3]])
    with pytest.raises(ValueError, match=r"expected sequence of length 3 at dim 2 \(got 2\)"):
        torch.tensor([[[1, 2, 3]], [[1, 2]]])
    with pytest.raises(TypeError, match="not a sequence"):
        torch.tensor([[1, 2], 3])


def test_from_numpy_shares_memory_in_both_directions() -> None:
    array = np.arange(6.0).reshape(2, 3)
    x = torch.from_numpy(array)
    array[0, 0] = 10
    assert x[0, 0].item() == 10
    x[1, 2] = 20
    assert array[1, 2] == 20
    assert x.numpy() is not array
    assert np.shares_memory(x.numpy(), array)
    backwards = torch.from_numpy(array[:, ::-1])
    assert backwards.stride() == (3, -1)
    np.testing.assert_array_equal(backwards.numpy(), array[:, ::-1])


def test_the_array_outlives_its_name() -> None:
    x = torch.from_numpy(np.full(1000, 3.0))
    view = torch.zeros(1000).fill_(4).numpy()
    assert x.sum().item() == 3000
    assert view.sum() == 4000


def test_as_tensor_and_asarray_copy_only_when_they_must() -> None:
    x = torch.zeros(3)
    assert torch.as_tensor(x) is x
    array = np.zeros(3, np.float32)
    assert np.shares_memory(torch.as_tensor(array).numpy(), array)
    assert not np.shares_memory(torch.as_tensor(array, dtype=torch.float64).numpy(), array)
    assert not np.shares_memory(torch.asarray(array, copy=True).numpy(), array)
    with pytest.raises(ValueError, match="alias"):
        torch.asarray([1, 2], copy=False)


def test_buffers_and_dlpack() -> None:
    memory = bytearray(8)
    x = torch.frombuffer(memory, dtype=torch.int16, offset=2)
    x[0] = 0x0102
    assert memory[2:4] == b"\x02\x01"
    array = np.arange(4.0)
    assert np.shares_memory(torch.from_dlpack(array).numpy(), array)
    y = torch.arange(4.0)
    back = np.from_dlpack(y)
    y[0] = 9
    assert back[0] == 9


def test_old_constructors() -> None:
    assert torch.Tensor(2, 3).shape == (2, 3)
    assert torch.Tensor([1, 2]).dtype is torch.float32
    assert torch.LongTensor([1, 2]).dtype is torch.int64
    assert isinstance(torch.zeros(1), torch.FloatTensor)
    assert not isinstance(torch.zeros(1), torch.LongTensor)
    assert torch.zeros(1, dtype=torch.int8).new_tensor([1.5]).dtype is torch.int8


def test_no_gpu_here() -> None:
    with pytest.raises(AssertionError, match="no GPU is usable"):
        torch.zeros(2, device="cuda")
    with pytest.raises(AssertionError, match="no GPU is usable"):
        torch.zeros(2).to("cuda:1")


def test_plans_follow_the_default_dtype() -> None:
    whole = torch.ones(2, dtype=torch.int64)
    assert (whole / 2).dtype is torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        assert (whole / 2).dtype is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert (whole / 2).dtype is torch.float32
