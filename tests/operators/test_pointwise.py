"""Pointwise operators against NumPy: values on all kinds of strides, forms, in-place rules, errors that teach."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pellucid as torch
from pellucid.dtypes import DTYPES
from pellucid.layout import layout_of
from pellucid.runtime import native
from pellucid.tensor import array_of, tensor_on

RANDOM = np.random.default_rng(7)


def tensor(array: Any, dtype: str | None = None) -> torch.Tensor:
    a = np.array(array, dtype=None if dtype is None else DTYPES[dtype].numpy)
    return tensor_on(a, DTYPES[a.dtype.name])


def strided(shape: tuple[int, ...]) -> list[Any]:
    """Arrays of one shape, laid out in different ways."""
    plain = RANDOM.uniform(0.1, 0.9, shape).astype(np.float32)
    wide = RANDOM.uniform(0.1, 0.9, (*shape[:-1], 2 * shape[-1])).astype(np.float32)
    turned = np.ascontiguousarray(plain.T).T
    return [plain, wide[..., ::2], turned, plain[::-1], np.broadcast_to(plain[..., :1], shape)]


BINARY: list[tuple[str, Callable[..., Any]]] = [
    ("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("div", np.divide), ("remainder", np.remainder),
    ("fmod", np.fmod), ("floor_divide", np.floor_divide), ("pow", np.power), ("maximum", np.maximum), ("fmin", np.fmin),
    ("atan2", np.arctan2), ("hypot", np.hypot), ("copysign", np.copysign), ("logaddexp", np.logaddexp),
    ("lt", np.less), ("ge", np.greater_equal), ("eq", np.equal), ("logical_xor", np.logical_xor),
]  # fmt: skip
UNARY: list[tuple[str, Callable[..., Any]]] = [
    ("exp", np.exp), ("expm1", np.expm1), ("log", np.log), ("log1p", np.log1p), ("sqrt", np.sqrt), ("sin", np.sin),
    ("tan", np.tan), ("arcsin", np.arcsin), ("cosh", np.cosh), ("tanh", np.tanh), ("arctanh", np.arctanh),
    ("abs", np.abs), ("neg", np.negative), ("sign", np.sign), ("square", np.square), ("reciprocal", np.reciprocal),
    ("floor", np.floor), ("round", np.round), ("trunc", np.trunc), ("signbit", np.signbit), ("isnan", np.isnan),
    ("deg2rad", np.deg2rad), ("sinc", np.sinc), ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "reference"), BINARY)
def test_two_operands_of_any_strides(name: str, reference: Callable[..., Any]) -> None:
    for a, b in zip(strided((3, 5, 7)), strided((3, 5, 7))[::-1], strict=True):
        result = array_of(getattr(torch, name)(tensor_view(a), tensor_view(b)))
        np.testing.assert_allclose(result, reference(a, b), rtol=3e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "reference"), UNARY)
def test_one_operand_of_any_strides(name: str, reference: Callable[..., Any]) -> None:
    for a in strided((4, 9)):
        result = array_of(getattr(tensor_view(a), name)())
        np.testing.assert_allclose(result, reference(a), rtol=3e-6, atol=1e-6)


def tensor_view(array: Any) -> torch.Tensor:
    """A tensor on the array's memory, strides and all."""
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    storage = native.wrap(base.ctypes.data, base.nbytes, base)
    steps = tuple(s // array.itemsize for s in array.strides)
    return native.new_tensor(layout_of(array.shape, steps, torch.float32), storage, array.ctypes.data)


def test_shapes_broadcast_from_the_right() -> None:
    a, b = tensor(np.arange(3.0).reshape(3, 1)), tensor(np.arange(2.0).reshape(1, 2))
    assert array_of(a + b).tolist() == [[0, 1], [1, 2], [2, 3]]
    assert (tensor(np.ones((0, 3))) + tensor(np.ones(3))).shape == (0, 3)
    assert (tensor(2.0) * tensor(3.0)).shape == ()
    with pytest.raises(RuntimeError, match=r"size of tensor a \(3\) must match the size of tensor b \(2\).*dimension 0"):
        tensor(np.ones(3)) + tensor(np.ones(2))


def test_dtypes_promote_by_category() -> None:
    i, f, h = tensor([1, 2]), tensor([1, 2], "float32"), tensor([1, 2], "bfloat16")
    assert (i + 1).dtype is torch.int64
    assert (i + 1.5).dtype is torch.float32
    assert (i / 2).dtype is torch.float32
    assert (f + tensor(1.0, "float64")).dtype is torch.float32
    assert (h * 0.1).dtype is torch.bfloat16
    assert (h + f).dtype is torch.float32
    assert (f + 1j).dtype is torch.complex64
    assert (tensor([True]) + tensor([True])).dtype is torch.bool
    assert (f < i).dtype is torch.bool
    assert i.pow(2).dtype is torch.int64
    assert torch.float_power(i, 2).dtype is torch.float64


def test_numbers_of_numpy_count_as_pythons() -> None:
    f = tensor([1.0, 2.0], "float32")
    for number in (np.float64(2), np.float32(2), np.int64(2)):
        assert (f * number).dtype is torch.float32
    assert array_of(f + np.int8(1)).tolist() == [2, 3]


def test_the_default_dtype_decides_on_quotients() -> None:
    assert (tensor([1]) / 2).dtype is torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        assert (tensor([1]) / 2).dtype is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_integer_division_rounds_as_asked() -> None:
    a, b = tensor([7, -7, 7, -7]), tensor([2, 2, -2, -2])
    assert array_of(a // b).tolist() == [3, -4, -4, 3]
    assert array_of(a % b).tolist() == [1, 1, -1, -1]
    assert array_of(torch.fmod(a, b)).tolist() == [1, -1, 1, -1]
    assert array_of(torch.div(a, b, rounding_mode="trunc")).tolist() == [3, -3, -3, 3]
    for call in (lambda: a // 0, lambda: a % tensor([0, 1, 1, 1]), lambda: torch.fmod(a, 0)):
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            call()


def test_integers_wrap_around() -> None:
    u = tensor([250, 1], "uint8")
    assert array_of(u + 10).tolist() == [4, 11]
    assert array_of(u + 300).tolist() == [38, 45]
    assert array_of(-u).tolist() == [6, 255]
    assert array_of(tensor([3, -2]) ** tensor([3, 2])).tolist() == [27, 4]
    assert array_of(tensor([2, -1, 1]) ** tensor([-1, -3, -2])).tolist() == [0, -1, 1]
    with pytest.raises(RuntimeError, match="negative integer powers"):
        tensor([2]) ** -1


def test_shifts_beyond_the_width_are_defined() -> None:
    n = tensor([-8, 8])
    assert array_of(n << 1).tolist() == [-16, 16]
    assert array_of(n << 64).tolist() == [0, 0]
    assert array_of(n >> 1).tolist() == [-4, 4]
    assert array_of(n >> 99).tolist() == [-1, 0]
    assert array_of(1 << tensor([0, 3])).tolist() == [1, 8]


def test_special_values_follow_ieee() -> None:
    s = tensor([np.nan, np.inf, -np.inf, 0.0, -0.0], "float32")
    assert np.isnan(array_of(torch.maximum(s, tensor([1.0], "float32")))).tolist() == [True, False, False, False, False]
    assert array_of(torch.fmax(s, tensor([1.0], "float32"))).tolist() == [1, np.inf, 1, 1, 1]
    assert array_of(torch.nan_to_num(s, 7.0)).tolist()[0] == 7.0
    assert array_of(torch.isfinite(s)).tolist() == [False, False, False, True, True]
    assert array_of(torch.signbit(s)).tolist()[3:] == [False, True]
    assert np.signbit(array_of(s * -1))[3]
    assert array_of(torch.clamp(s, -1, 1)).tolist()[1:3] == [1, -1]
    assert not torch.equal(s, s)
    assert torch.allclose(s, s, equal_nan=True)


def test_conditions_choose() -> None:
    c, x = tensor([True, False]), tensor([1.0, 2.0], "float32")
    assert array_of(torch.where(c, x, 5)).tolist() == [1, 5]
    assert array_of(torch.where(c, 1, 2)).dtype == np.int64
    assert array_of(x.masked_fill(c, 9)).tolist() == [9, 2]
    with pytest.raises(RuntimeError, match="boolean"):
        torch.where(tensor([1, 0]), x, x)
    with pytest.raises(RuntimeError, match="only supports boolean masks"):
        x.masked_fill(tensor([1, 0]), 0)


# -- in place and out= ------------------------------------------------------------------------------------------------


def test_in_place_forms_keep_the_memory_and_count() -> None:
    x = tensor([1.0, 4.0], "float32")
    address, version = x.data_ptr(), x._version
    y = x
    x += 1
    x.mul_(2).sqrt_()
    x.add_(x, alpha=2)
    assert x is y
    assert x.data_ptr() == address
    assert x._version == version + 4
    np.testing.assert_allclose(array_of(x), 3 * np.sqrt([4.0, 10.0]), rtol=1e-6)


def test_in_place_forms_refuse_what_does_not_fit() -> None:
    i = tensor([1, 2])
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type Long"):
        i.div_(2)
    with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
        tensor([1.0]).add_(tensor([1.0, 2.0]))
    with pytest.raises(RuntimeError, match="single memory location"):
        tensor([1.0]).expand(3).add_(1)
    x = tensor(np.arange(4.0))
    with pytest.raises(RuntimeError, match="single memory location"):
        x[1:].add_(x[:-1])


def test_a_strided_part_takes_another_part() -> None:
    """Columns share a stretch of memory, but no cell."""
    x = tensor(np.arange(6.0).reshape(3, 2))
    x[:, 0] += x[:, 1]
    assert array_of(x).tolist() == [[1, 1], [5, 3], [9, 5]]
    row = tensor(np.arange(4.0))
    row.add_(row[0:1].expand(4))
    row -= row[3:].expand(4)
    assert array_of(row).tolist() == [-3, -2, -1, 0]


def test_out_receives_the_result() -> None:
    x, out = tensor([1.0, 2.0]), tensor([0.0, 0.0])
    assert torch.exp(x, out=out) is out
    np.testing.assert_allclose(array_of(out), np.exp([1.0, 2.0]))
    torch.add(x, 1, out=x)
    assert array_of(x).tolist() == [2, 3]
    with pytest.raises(RuntimeError, match="can't be cast"):
        torch.exp(x, out=tensor([0, 0]))
    with pytest.raises(TypeError, match="'out' must be Tensor"):
        torch.exp(x, out=3)
    with pytest.warns(UserWarning, match="was resized"):
        torch.exp(x, out=(longer := tensor([0.0, 0.0, 0.0])))
    assert longer.shape == (2,)


# -- foreign operands and refused dtypes ------------------------------------------------------------------------------


def test_foreign_operands_are_left_to_python() -> None:
    x = tensor([1.0])
    for call in (lambda: x + "a", lambda: "a" + x, lambda: x < None, lambda: x**[1], lambda: torch.add(x, None)):
        with pytest.raises(TypeError):
            call()
    assert (x == "a") is False
    assert (x != None) is True  # noqa: E711
    assert x.__add__("a") is NotImplemented
    assert {x: 1}[x] == 1


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda b, f: -b, RuntimeError, "Negation"),
        (lambda b, f: b - b, RuntimeError, "logical_xor"),
        (lambda b, f: ~f, TypeError, "invert"),
        (lambda b, f: f & 1, NotImplementedError, "bitwise_and_cpu.*'Float'.*takes boolean, unsigned and integer"),
        (lambda b, f: torch.floor(b), NotImplementedError, "floor_vml_cpu"),
        (lambda b, f: torch.maximum(f, 1), TypeError, "argument 'other' must be Tensor, not int"),
        (lambda b, f: torch.exp(2), TypeError, "argument 'input' must be Tensor, not int"),
        (lambda b, f: torch.clamp(f), RuntimeError, "At least one of"),
        (lambda b, f: torch.div(f, 2, rounding_mode="up"), RuntimeError, "rounding_mode"),
        (lambda b, f: torch.add(tensor([1]), 1, alpha=0.5), RuntimeError, "must not be a floating point number"),
        (lambda b, f: torch.lerp(f, tensor([1]), 0.5), RuntimeError, "expected dtype"),
    ],
)
def test_errors_say_what_is_wrong(call: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        call(tensor([True]), tensor([1.0], "float32"))


# -- derivatives ------------------------------------------------------------------------------------------------------


def gradient(f: Callable[[torch.Tensor], torch.Tensor], at: list[float]) -> list[float]:
    x = tensor(at)
    x.requires_grad_()
    f(x).backward(tensor(np.ones(len(at))))
    return array_of(x.grad).tolist()


def test_gradients_at_corners() -> None:
    assert gradient(abs, [-2.0, 0.0, 3.0]) == [-1, 0, 1]
    assert gradient(torch.relu, [-2.0, 0.0, 3.0]) == [0, 0, 1]
    assert gradient(lambda x: torch.clamp(x, 0, 1), [-1.0, 0.0, 0.5, 1.0, 2.0]) == [0, 1, 1, 1, 0]
    assert gradient(lambda x: torch.maximum(x, tensor([1.0])), [0.0, 1.0, 2.0]) == [0, 0.5, 1]
    assert gradient(lambda x: x**0, [0.0, 2.0]) == [0, 0]
    assert gradient(torch.floor, [0.5, 1.5]) == [0, 0]
    assert gradient(lambda x: torch.where(x > 0, x, torch.log(x) * 0), [1.0]) == [1]


def test_the_branch_not_taken_gives_no_gradient() -> None:
    assert gradient(lambda x: torch.where(x > 0, x, tensor([np.nan])), [1.0, 2.0]) == [1, 1]
    assert gradient(torch.nn.functional.softplus, [1000.0]) == [1]
    assert gradient(torch.nn.functional.elu, [1000.0]) == [1]


def test_functions_said_by_their_result_can_be_overwritten() -> None:
    for name in ("exp_", "sigmoid_", "tanh_", "sqrt_", "relu_", "reciprocal_"):
        x = tensor([0.5, 2.0])
        x.requires_grad_()
        y = getattr(x * 1, name)()
        y.backward(tensor([1.0, 1.0]))
        plain = gradient(lambda x, name=name: getattr(x, name[:-1])(), [0.5, 2.0])
        assert array_of(x.grad).tolist() == plain


def test_random_slopes_lie_between_the_bounds() -> None:
    torch.manual_seed(1)
    x = tensor(np.delete(np.linspace(-2.0, 2.0, 41), 20), "float32")
    slopes = array_of(torch.nn.functional.rrelu(x, 0.2, 0.3, training=True)) / array_of(x)
    assert ((slopes[:20] >= 0.2) & (slopes[:20] < 0.3)).all()
    assert (slopes[20:] == 1).all()
    assert len(set(slopes[:20].tolist())) == 20
    still = array_of(torch.nn.functional.rrelu(x, 0.2, 0.3)) / array_of(x)
    np.testing.assert_allclose(still[:20], 0.25, rtol=1e-6)


def test_functions_are_pickled_by_name() -> None:
    for function in (torch.tanh, torch.tanh_, torch.atan2, torch.zeros, torch.nn.functional.relu):
        assert pickle.loads(pickle.dumps(function)) is function
