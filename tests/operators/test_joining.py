"""Joining, repeating, rolling, padding, diagonals: against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pellucid as torch
from pellucid.operators.combining import one_hot
from pellucid.operators.padding import pad

ARRAY = np.arange(60.0).reshape(3, 4, 5)


def forms(array: np.ndarray[Any, Any]) -> list[tuple[Any, np.ndarray[Any, Any]]]:
    """The same kind of numbers with different strides."""
    x = torch.tensor(array)
    turned, thinned = (x.transpose(0, 1), array.swapaxes(0, 1)), (x[:, ::2], array[:, ::2])
    return [(x, array), turned, thinned, (x.flip(2), array[..., ::-1])]


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_cat_and_stack(dim: int) -> None:
    for x, array in forms(ARRAY):
        np.testing.assert_array_equal(torch.cat([x, x, x], dim).numpy(), np.concatenate([array] * 3, dim))
        np.testing.assert_array_equal(torch.stack([x, x], dim).numpy(), np.stack([array] * 2, dim))


def test_large_pieces_bypass_the_cache() -> None:
    a, b = np.random.default_rng(0).random((2, 2304, 2048))
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    np.testing.assert_array_equal(torch.cat([x, y]).numpy(), np.concatenate([a, b]))
    np.testing.assert_array_equal(torch.cat([x, y], 1).numpy(), np.concatenate([a, b], 1))
    np.testing.assert_array_equal(torch.cat([x[:, :2041], y], 1).numpy(), np.concatenate([a[:, :2041], b], 1))
    np.testing.assert_array_equal(x.roll((5, -3), (0, 1)).numpy(), np.roll(a, (5, -3), (0, 1)))


def test_gradients_are_narrowed() -> None:
    x, y = torch.ones(2, 3, requires_grad=True), torch.ones(1, 3, dtype=torch.float64, requires_grad=True)
    joined = torch.cat([x, y, torch.zeros(0)])
    (joined * torch.arange(9.0).view(3, 3)).sum().backward()
    assert x.grad.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert y.grad.tolist() == [[6, 7, 8]]
    assert y.grad.dtype is torch.float64


def test_joining_complains() -> None:
    with pytest.raises(RuntimeError, match=r"Expected size 3 but got size 4 for tensor number 1"):
        torch.cat([torch.zeros(2, 3), torch.zeros(2, 4)])
    with pytest.raises(ValueError, match="non-empty list"):
        torch.cat([])
    with pytest.raises(RuntimeError, match="zero-dimensional"):
        torch.cat([torch.tensor(1.0)])
    with pytest.raises(RuntimeError, match="equal size"):
        torch.stack([torch.zeros(2), torch.zeros(3)])


@pytest.mark.parametrize("shifts", [(1, 0), (-1, 2), (7, -13), (0, 0)])
def test_roll(shifts: tuple[int, int]) -> None:
    for x, array in forms(ARRAY):
        np.testing.assert_array_equal(x.roll(shifts, (0, 2)).numpy(), np.roll(array, shifts, (0, 2)))
        np.testing.assert_array_equal(torch.roll(x, shifts[1]).numpy(), np.roll(array, shifts[1]))


def test_roll_of_many_cells_by_blocks() -> None:
    array = np.arange(40 * 30 * 20).reshape(40, 30, 20)
    x = torch.tensor(array)
    for shifts, dims in (((3, -4, 5), (0, 1, 2)), ((39,), (0,)), ((1, 1), (1, 1))):
        np.testing.assert_array_equal(x.roll(shifts, dims).numpy(), np.roll(array, shifts, dims))
    np.testing.assert_array_equal(x.transpose(0, 2).roll(2, 0).numpy(), np.roll(array.swapaxes(0, 2), 2, 0))


def test_gradient_of_roll_rolls_back() -> None:
    x = torch.arange(6.0).view(2, 3).requires_grad_()
    weights = torch.arange(6.0).view(2, 3)
    (x.roll((1, -1), (0, 1)) * weights).sum().backward()
    assert x.grad.tolist() == weights.roll((-1, 1), (0, 1)).tolist()


@pytest.mark.parametrize("repeats", [(2, 1, 3), (2, 3, 1, 1), (0, 1, 1)])
def test_repeat(repeats: tuple[int, ...]) -> None:
    for x, array in forms(ARRAY):
        np.testing.assert_array_equal(x.repeat(repeats).numpy(), np.tile(array, repeats))
    np.testing.assert_array_equal(torch.tile(torch.tensor(ARRAY), (2,)).numpy(), np.tile(ARRAY, 2))


def test_repeat_interleave() -> None:
    x = torch.tensor(ARRAY)
    for dim in (0, 1, 2):
        np.testing.assert_array_equal(x.repeat_interleave(3, dim).numpy(), ARRAY.repeat(3, dim))
    counts = [0, 2, 1, 3]
    np.testing.assert_array_equal(x.repeat_interleave(torch.tensor(counts), 1).numpy(), ARRAY.repeat(counts, 1))
    np.testing.assert_array_equal(x.repeat_interleave(2).numpy(), ARRAY.repeat(2))


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_pad(mode: str) -> None:
    names = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    for x, array in forms(ARRAY):
        before_after = ((0, 0), (1, 0), (2, 1))
        options: Any = {"constant_values": 7.0} if mode == "constant" else {}
        expected = np.pad(array, before_after, mode=names[mode], **options)
        made = pad(x, (2, 1, 1, 0), mode, 7.0 if mode == "constant" else None)
        np.testing.assert_array_equal(made.numpy(), expected)


def test_negative_pads_cut() -> None:
    x = torch.tensor(ARRAY)
    np.testing.assert_array_equal(pad(x, (-1, 2, 1, -2)).numpy()[:, 1:, :4], ARRAY[:, :2, 1:])
    with pytest.raises(RuntimeError, match="negative output size"):
        pad(x, (-3, -3))


def test_gradient_of_pads() -> None:
    x = torch.ones(1, 3, requires_grad=True)
    pad(x, (2, 1), value=5.0).sum().backward()
    assert x.grad.tolist() == [[1, 1, 1]]
    y = torch.ones(1, 3, requires_grad=True)
    pad(y, (2, 1), "reflect").sum().backward()
    assert y.grad.tolist() == [[1, 3, 2]]


@pytest.mark.parametrize("diagonal", [-2, 0, 1, 9])
def test_triangles(diagonal: int) -> None:
    for x, array in forms(ARRAY):
        np.testing.assert_array_equal(x.tril(diagonal).numpy(), np.tril(array, diagonal))
        np.testing.assert_array_equal(x.triu(diagonal).numpy(), np.triu(array, diagonal))
        y = x.clone()
        assert y.tril_(diagonal) is y
        np.testing.assert_array_equal(y.numpy(), np.tril(array, diagonal))


def test_diagonals() -> None:
    v = np.arange(4.0)
    for offset in (-1, 0, 2):
        np.testing.assert_array_equal(torch.diag(torch.tensor(v), offset).numpy(), np.diag(v, offset))
        np.testing.assert_array_equal(torch.diag(torch.tensor(ARRAY[0]), offset).numpy(), np.diag(ARRAY[0], offset))
    batch = torch.diag_embed(torch.tensor(ARRAY))
    assert batch.shape == (3, 4, 5, 5)
    np.testing.assert_array_equal(batch.diagonal(0, -2, -1).numpy(), ARRAY)


def test_grids() -> None:
    a, b = np.arange(3), np.arange(4)
    for indexing in ("ij", "xy"):
        made = torch.meshgrid(torch.tensor(a), torch.tensor(b), indexing=indexing)
        for x, expected in zip(made, np.meshgrid(a, b, indexing=indexing), strict=True):  # type: ignore[call-overload]
            np.testing.assert_array_equal(x.numpy(), expected)
    assert torch.combinations(torch.tensor([5, 6, 7])).tolist() == [[5, 6], [5, 7], [6, 7]]
    assert torch.cartesian_prod(torch.tensor([1, 2]), torch.tensor([3, 4])).tolist() == [[1, 3], [1, 4], [2, 3], [2, 4]]
    assert one_hot(torch.tensor([2, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert torch.block_diag(torch.tensor([[1, 2]]), torch.tensor([3])).tolist() == [[1, 2, 0], [0, 0, 3]]
    np.testing.assert_array_equal(torch.vander(torch.tensor([1.0, 2, 3])).numpy(), np.vander([1.0, 2, 3]))
