"""Softmax, normalisations and losses against NumPy and against differences."""

from typing import Any

import numpy as np
import pytest

import pellucid
from pellucid import dtypes
from pellucid.autograd import gradcheck, gradgradcheck
from pellucid.nn import functional as F
from pellucid.tensor import array_of, tensor_on


def random_array(*shape: int) -> np.ndarray[Any, Any]:
    return np.asarray(np.random.default_rng(sum(shape)).standard_normal(shape))


def tensor_of(array: np.ndarray[Any, Any], requires_grad: bool = False) -> Any:
    return tensor_on(array, dtypes.from_numpy_dtype(array.dtype)).requires_grad_(requires_grad)


def softmax(x: np.ndarray[Any, Any], axis: int) -> np.ndarray[Any, Any]:
    power = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(power / power.sum(axis, keepdims=True))


@pytest.mark.parametrize("shape", [(1,), (5,), (3, 70), (33, 4, 9), (2, 5003), (2, 0), (0, 3)])
def test_softmax(shape: tuple[int, ...]) -> None:
    array = random_array(*shape) * 20
    x = tensor_of(array)
    for dim in range(-len(shape), len(shape)):
        if array.shape[dim] == 0:
            assert x.softmax(dim).shape == shape
            continue
        np.testing.assert_allclose(array_of(x.softmax(dim)), softmax(array, dim), rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(array_of(x.log_softmax(dim)), np.log(softmax(array, dim)), rtol=1e-9, atol=1e-12)


def test_softmax_of_infinities() -> None:
    x = tensor_of(np.array([[0.0, -np.inf, 0.0], [-np.inf] * 3, [np.inf, 1.0, 0.0]]))
    assert array_of(x.softmax(1))[0].tolist() == [0.5, 0.0, 0.5]
    assert np.isnan(array_of(x.softmax(1))[1:]).any(1).all()
    assert x.logsumexp(1).tolist() == [np.log(2.0), -np.inf, np.inf]


def test_layer_norm_by_hand() -> None:
    array, weight, bias = random_array(4, 3, 5), random_array(3, 5), random_array(3, 5) + 1
    mean, spread = array.mean((1, 2), keepdims=True), array.var((1, 2), keepdims=True)
    expected = (array - mean) / np.sqrt(spread + 1e-5) * weight + bias
    got = F.layer_norm(tensor_of(array), (3, 5), tensor_of(weight), tensor_of(bias))
    np.testing.assert_allclose(array_of(got), expected)


def test_results_larger_than_the_cache() -> None:
    """They are written past it."""
    array = random_array(2304, 4096).astype(np.float32)
    got = array_of(F.layer_norm(tensor_of(array), (4096,)))
    mean, spread = array.mean(1, keepdims=True), array.std(1, keepdims=True)
    np.testing.assert_allclose(got, (array - mean) / spread, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(array_of(tensor_of(array).softmax(1)).sum(1), 1, rtol=1e-5)


def test_running_statistics_move() -> None:
    array = random_array(6, 2, 4)
    mean, variance = tensor_of(np.zeros(2)), tensor_of(np.ones(2))
    F.batch_norm(tensor_of(array), mean, variance, training=True, momentum=0.25)
    np.testing.assert_allclose(array_of(mean), 0.25 * array.mean((0, 2)))
    np.testing.assert_allclose(array_of(variance), 0.75 + 0.25 * array.var((0, 2), ddof=1))
    assert mean._version == 1


ROWS = [
    lambda x: x.softmax(0),
    lambda x: x.log_softmax(1),
    lambda x: x.logsumexp((0, 1)),
    lambda x: x.var(1),
    lambda x: x.std(0, correction=0),
    lambda x: x.norm(),
    lambda x: x.norm(3, 1),
    lambda x: x.prod(1),
    lambda x: x.amax(0),
    lambda x: x.max(1).values,
    lambda x: x.cumsum(1),
    lambda x: x.cumprod(0),
    lambda x: x.logcumsumexp(1),
    lambda x: x.cummin(1).values,
    lambda x: x.median(1).values,
    lambda x: F.layer_norm(x, (4,)),
    lambda x: F.rms_norm(x, (4,), eps=0.1),
    lambda x: F.batch_norm(x, None, None, training=True),
    lambda x: F.group_norm(x, 2),
    lambda x: F.normalize(x),
]


@pytest.mark.parametrize("k", range(len(ROWS)))
def test_gradients_are_those_of_differences(k: int) -> None:
    x = tensor_of(random_array(3, 4), requires_grad=True)
    assert gradcheck(ROWS[k], (x,))
    assert gradgradcheck(ROWS[k], (x,))


def test_gradients_of_weights() -> None:
    x, w, b = (tensor_of(random_array(*s), requires_grad=True) for s in ((3, 4), (4,), (4,)))
    assert gradcheck(lambda x, w, b: F.layer_norm(x, (4,), w, b), (x, w, b))
    assert gradgradcheck(lambda x, w, b: F.layer_norm(x, (4,), w, b), (x, w, b))
    assert gradcheck(lambda x, w, b: F.batch_norm(x, None, None, w, b, True), (x, w, b))
    assert gradcheck(lambda x, w, b: F.group_norm(x, 2, w, b), (x, w, b))


def test_products_with_zeros() -> None:
    """The product of the others, which no division gives."""
    x = tensor_of(np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 5.0], [1.0, 2.0, 4.0]]), requires_grad=True)
    x.prod(1).sum().backward()
    assert x.grad.tolist() == [[0, 6, 0], [0, 0, 0], [8, 4, 2]]
    assert gradcheck(lambda t: t.cumprod(1), (x,))


def test_ties_share_the_gradient() -> None:
    x = tensor_of(np.array([1.0, 3.0, 3.0, 2.0]), requires_grad=True)
    x.max().backward()
    assert x.grad.tolist() == [0, 0.5, 0.5, 0]
    y = tensor_of(np.array([1.0, 3.0, 3.0, 2.0]), requires_grad=True)
    y.max(0).values.backward()
    assert y.grad.tolist() == [0, 1, 0, 0]


def test_nll_loss_is_the_loop() -> None:
    logs, target, weight = random_array(5, 3), np.array([0, 2, 1, 1, 2]), np.array([1.0, 0.5, 2.0])
    total = scale = 0.0
    for n, t in enumerate(target):
        if t != 1:
            total -= weight[t] * logs[n, t]
            scale += weight[t]
    got = F.nll_loss(tensor_of(logs), tensor_of(target), tensor_of(weight), ignore_index=1)
    assert got.item() == pytest.approx(total / scale)


def test_messages_say_what_to_do() -> None:
    x = tensor_of(random_array(2, 3))
    with pytest.raises(IndexError, match=r"Target 7 is out of bounds: there are 3 classes"):
        F.nll_loss(x, tensor_of(np.array([0, 7])))
    with pytest.raises(RuntimeError, match=r"normalized_shape=\[4\], expected input with shape \[\*, 4\].*\[2, 3\]"):
        F.layer_norm(x, (4,))
    with pytest.raises(ValueError, match=r"more than 1 value per channel"):
        F.batch_norm(tensor_of(random_array(1, 3)), None, None, training=True)
    with pytest.raises(NotImplementedError, match=r"softmax.*Long.*dtype=torch.float32"):
        tensor_of(np.ones((2, 2), np.int64)).softmax(0)
    with pytest.warns(UserWarning, match="Using a target size"):
        F.mse_loss(x, tensor_of(random_array(3)))


def test_half_precision_is_computed_in_float32() -> None:
    x = pellucid.tensor([[300.0, 301.0, 302.0]] * 2, dtype=pellucid.float16)
    assert x.softmax(1).dtype is pellucid.float16
    np.testing.assert_allclose(array_of(x.softmax(1).float()).sum(1), 1, atol=2e-3)
    many = pellucid.full((70_000,), 1.0, dtype=pellucid.float16)
    assert many.mean().item() == 1.0
