"""`assert_close` and `make_tensor`: what passes, what the errors say, what is drawn."""

from typing import Any

import numpy as np
import pytest

import pellucid as torch
from pellucid.testing import assert_allclose, assert_close, make_tensor

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (1, 1),
        (0.1 + 0.2, 0.3),
        (np.float32(1), np.float32(1)),
        (True, np.True_),
        (None, None),
        (torch.tensor([1.0, INF]), torch.tensor([1.0 + 1e-6, INF])),
        (torch.tensor(3), torch.tensor(3)),
        (torch.zeros(0), torch.zeros(0)),
        (np.arange(3), np.arange(3)),
        ([1, (torch.ones(2), None)], (1, [torch.ones(2), None])),
        ({"a": 1, 2: [2.0]}, {2: [2.0], "a": 1}),
        (torch.ones(2, requires_grad=True), torch.ones(2)),
    ],
)
def test_close(actual: Any, expected: Any) -> None:
    assert_close(actual, expected)


@pytest.mark.parametrize(
    ("actual", "expected", "kind"),
    [
        (1, 2, AssertionError),
        (1, 1.0, AssertionError),
        (None, 1, AssertionError),
        (True, False, AssertionError),
        (NAN, NAN, AssertionError),
        (torch.ones(2), torch.ones(2, 1), AssertionError),
        (torch.ones(2), torch.ones(2, dtype=torch.float64), AssertionError),
        (torch.tensor([NAN]), torch.tensor([NAN]), AssertionError),
        (torch.tensor([INF]), torch.tensor([-INF]), AssertionError),
        ([1, 2], [1], AssertionError),
        ({"a": 1}, {"b": 1}, AssertionError),
        (torch.tensor(1.0), 1.0, TypeError),
        (np.ones(2), torch.ones(2), TypeError),
        ("text", "text", TypeError),
    ],
)
def test_not_close(actual: Any, expected: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        assert_close(actual, expected)


def test_relaxed() -> None:
    assert_close(torch.ones(2), torch.ones(2, dtype=torch.int32), check_dtype=False)
    assert_close(1, 1.0, check_dtype=False)
    assert_close(torch.tensor([NAN, 1]), torch.tensor([NAN, 1]), equal_nan=True)
    assert_close(torch.tensor([1.0]), torch.tensor([1.4]), rtol=0, atol=0.5)
    assert_close(torch.tensor([3], dtype=torch.uint64), torch.tensor([3]), check_dtype=False)
    square = torch.arange(4.0).reshape(2, 2)
    assert_close(square.t(), square.t().contiguous())
    with pytest.raises(AssertionError, match="stride"):
        assert_close(square.t(), square.t().contiguous(), check_stride=True)
    with pytest.raises(ValueError, match="no atol"):
        assert_close(1.0, 1.0, rtol=0.1)
    with pytest.raises(TypeError):
        assert_close(torch.nn.Parameter(torch.ones(2)), torch.ones(2), allow_subclasses=False)


def test_message_of_cells() -> None:
    expected = torch.tensor([[1.0, 2, 4], [4, 10, 6]])
    actual = torch.tensor([[1.0, 3, 4], [4, 15, 6]])
    with pytest.raises(AssertionError) as caught:
        assert_close(actual, expected)
    assert str(caught.value).splitlines() == [
        "Tensor-likes are not close!",
        "",
        "Mismatched elements: 2 / 6 (33.3%)",
        "Greatest absolute difference: 5.0 at index (1, 1) (up to 1e-05 allowed)",
        "Greatest relative difference: 0.5 at index (0, 1) (up to 1.3e-06 allowed)",
    ]


def test_differences_of_bytes_do_not_wrap() -> None:
    with pytest.raises(AssertionError, match="Greatest absolute difference: 255 at index"):
        assert_close(torch.tensor([0], dtype=torch.uint8), torch.tensor([255], dtype=torch.uint8))


def test_message_of_numbers_and_its_place() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_close({"loss": [1, 4]}, {"loss": [1, 2]})
    text = str(caught.value)
    assert "Scalars are not equal!" in text
    assert "Expected 2 but got 4." in text
    assert "Relative difference: 1.0" in text
    assert text.endswith("The failure occurred for item ['loss'][1]")


def test_own_message() -> None:
    with pytest.raises(AssertionError, match=r"^mine$"):
        assert_close(1, 2, msg="mine")
    with pytest.raises(AssertionError, match=r"(?s)^step 7: Scalars .* item \[0\]$"):
        assert_close([1], [2], msg=lambda text: f"step 7: {text}")


def test_structure_before_values() -> None:
    with pytest.raises(TypeError):
        assert_close([1, 1.0], [2, "text"])


def test_forerunner() -> None:
    with pytest.warns(FutureWarning, match="assert_close"):
        assert_allclose(torch.tensor([1.0, NAN]), [1.00005, NAN])
    with pytest.warns(FutureWarning), pytest.raises(AssertionError, match="mine"):
        assert_allclose(1.0, 2.0, msg="mine")


DTYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64,
    torch.complex64,
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_range(dtype: Any) -> None:
    made = make_tensor(200, dtype=dtype, device="cpu")
    assert made.dtype is dtype
    cells = (torch.view_as_real(made) if dtype.is_complex else made).double()
    assert cells.min() >= (-9 if dtype.is_signed else 0)
    assert cells.max() <= (9 if dtype is not torch.bool else 1)
    assert cells.unique().numel() > (10 if dtype is not torch.bool else 1) - (dtype is torch.uint8)


def test_layouts_and_gradients() -> None:
    made = make_tensor((2, 3), dtype=torch.float32, device="cpu", noncontiguous=True, requires_grad=True)
    assert made.shape == (2, 3)
    assert not made.is_contiguous()
    assert made.is_leaf
    assert made.requires_grad
    assert make_tensor((), dtype=torch.float32, device="cpu", noncontiguous=True).shape == ()
    pictures = make_tensor(1, 2, 3, 4, dtype=torch.int8, device="cpu", memory_format=torch.channels_last)
    assert pictures.is_contiguous(memory_format=torch.channels_last)


def test_zeros_are_left_out() -> None:
    assert make_tensor(50, dtype=torch.bool, device="cpu", exclude_zero=True).all()
    assert (make_tensor(50, dtype=torch.int8, device="cpu", low=0, high=2, exclude_zero=True) == 1).all()


def test_bounds() -> None:
    everything = make_tensor(50, dtype=torch.float16, device="cpu", low=-INF, high=INF)
    assert everything.isfinite().all()
    assert everything.abs().max() > 1e4
    for low, high in ((3, 3), (4, 3), (NAN, 1), (0, NAN), (300, 400)):
        with pytest.raises(ValueError, match="low"):
            make_tensor(3, dtype=torch.uint8, device="cpu", low=low, high=high)
    with pytest.warns(FutureWarning, match="deprecated"):
        assert make_tensor(3, dtype=torch.float32, device="cpu", low=2.0, high=2.0).tolist() == [2.0] * 3
    with pytest.raises(ValueError, match="requires_grad"):
        make_tensor(3, dtype=torch.int32, device="cpu", requires_grad=True)
    with pytest.raises(ValueError, match="memory_format"):
        make_tensor(
            (1, 2, 3, 4), dtype=torch.int8, device="cpu", noncontiguous=True, memory_format=torch.channels_last
        )
