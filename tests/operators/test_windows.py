"""Convolutions, pooling, unfold and fold, against loops."""

from typing import Any

import numpy as np
import pytest

import pellucid as torch_
import pellucid.nn.functional as functional
from pellucid.autograd.gradcheck import gradcheck
from pellucid.operators import correlation
from pellucid.plan import forget_plans

torch: Any = torch_
F: Any = functional
RNG = np.random.default_rng(0)


def tensor(*shape: int, grad: bool = False) -> Any:
    return torch.tensor(RNG.standard_normal(shape).tolist(), dtype=torch.float64, requires_grad=grad)


def windows_of(x: Any, kernel: int, stride: int, padding: int, fill: float) -> Any:
    """(N, C, rows, columns, kernel, kernel) by loops."""
    edge = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    x = np.pad(x, edge, constant_values=fill)
    rows, columns = ((n - kernel) // stride + 1 for n in x.shape[2:])
    places = [[(slice(y * stride, y * stride + kernel), slice(z * stride, z * stride + kernel)) for z in range(columns)]
              for y in range(rows)]  # fmt: skip
    return np.stack([np.stack([x[:, :, a, b] for a, b in line], 2) for line in places], 2)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (3, 2)])
def test_convolution_and_its_transpose(stride: int, padding: int) -> None:
    x, w = tensor(2, 3, 8, 7), tensor(4, 3, 3, 3)
    windows = windows_of(x.numpy(), 3, stride, padding, 0)
    expected = np.einsum("ncyxij,ocij->noyx", windows, w.numpy())
    y = F.conv2d(x, w, stride=stride, padding=padding)
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-12)
    # <conv(x), z> = <x, transpose(z)> for every z.
    z = torch.randn_like(y)
    extra = tuple((n + 2 * padding - 3) % stride for n in (8, 7))
    back = F.conv_transpose2d(z, w, stride=stride, padding=padding, output_padding=extra)
    assert back.shape == x.shape
    np.testing.assert_allclose((y * z).sum().item(), (x * back).sum().item())


def test_groups_are_convolutions_of_their_own() -> None:
    x, w, b = tensor(2, 4, 5, 5), tensor(6, 2, 3, 3), tensor(6)
    whole = F.conv2d(x, w, b, groups=2)
    parts = [F.conv2d(x[:, 2 * g : 2 * g + 2], w[3 * g : 3 * g + 3], b[3 * g : 3 * g + 3]) for g in (0, 1)]
    np.testing.assert_allclose(whole.numpy(), torch.cat(parts, 1).numpy())


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 1)])
def test_pooling(kernel: int, stride: int, padding: int) -> None:
    x = tensor(2, 3, 7, 6)
    largest = windows_of(x.numpy(), kernel, stride, padding, -np.inf).max((-2, -1))
    values, places = F.max_pool2d(x, kernel, stride, padding, return_indices=True)
    np.testing.assert_array_equal(values.numpy(), largest)
    np.testing.assert_array_equal(x.flatten(2).gather(2, places.flatten(2)).numpy(), largest.reshape(2, 3, -1))
    mean = windows_of(x.numpy(), kernel, stride, padding, 0).mean((-2, -1))
    np.testing.assert_allclose(F.avg_pool2d(x, kernel, stride, padding).numpy(), mean)


def test_the_largest_of_nan_is_nan() -> None:
    x = torch.tensor([[[1.0, float("nan"), 3.0, 2.0]]])
    values = F.max_pool1d(x, 2)
    assert values.isnan().tolist() == [[[True, False]]]


def test_adaptive_means() -> None:
    x = tensor(1, 2, 5, 7)
    got = F.adaptive_avg_pool2d(x, (3, 2)).numpy()
    for y in range(3):
        for z in range(2):
            part = x.numpy()[:, :, y * 5 // 3 : -(-(y + 1) * 5 // 3), z * 7 // 2 : -(-(z + 1) * 7 // 2)]
            np.testing.assert_allclose(got[:, :, y, z], part.mean((-2, -1)))


def test_fold_counts_how_often_a_cell_is_covered() -> None:
    x = torch.ones(1, 1, 4, 4)
    back = F.fold(F.unfold(x, 3), (4, 4), 3)
    assert back[0, 0].tolist() == [[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]


def test_gradients() -> None:
    x, w, b = tensor(1, 2, 5, 4, grad=True), tensor(2, 2, 3, 2, grad=True), tensor(2, grad=True)
    assert gradcheck(lambda *t: F.conv2d(*t, stride=2, padding=1), (x, w, b))
    assert gradcheck(lambda *t: F.conv_transpose2d(*t, stride=2, output_padding=1), (x, w, b))
    assert gradcheck(lambda t: F.max_pool2d(t, 2, 1), (x,))
    assert gradcheck(lambda t: F.avg_pool2d(t, 2, ceil_mode=True), (x,))
    assert gradcheck(lambda t: F.adaptive_avg_pool2d(t, 3), (x,))


def test_errors_teach() -> None:
    x = torch.ones(1, 3, 5, 5)
    with pytest.raises(RuntimeError, match="to have 2 channels, but got 3"):
        F.conv2d(x, torch.ones(4, 2, 3, 3))
    with pytest.raises(RuntimeError, match="greater than actual input size"):
        F.conv2d(x, torch.ones(4, 3, 6, 3))
    with pytest.raises(RuntimeError, match="at most half"):
        F.max_pool2d(x, 3, padding=2)


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("most", [1, 20_000, 1 << 22])
def test_convolutions_by_columns_and_by_formula(groups: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole numbers go by the formula, floats by products of a few samples at a time: the same numbers."""
    monkeypatch.setattr(correlation, "COLUMNS", most)
    forget_plans()
    x = torch.randint(-4, 5, (5, 12, 9, 8)).transpose(2, 3)
    w = torch.randint(-4, 5, (18, 12 // groups, 3, 2))
    options = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": groups}
    exact = F.conv2d(x, w, **options)
    a, b, bias = x.double().requires_grad_(), w.double().requires_grad_(), torch.arange(18.0, dtype=torch.float64)
    y = F.conv2d(a, b, bias, **options)
    assert torch.equal(y, exact.double() + bias.view(1, -1, 1, 1))
    g = torch.randint(-4, 5, tuple(y.shape))
    y.backward(g.double())
    back = F.conv_transpose2d(g, w, output_padding=(1, 0), **options)
    assert torch.equal(a.grad, back.double())
    window = correlation.Window((3, 2), (2, 1), (1, 2), (1, 2))
    assert torch.equal(b.grad, correlation.weigh(x, g, correlation.Geometry(window, groups)).double())
