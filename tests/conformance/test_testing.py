"""`assert_close` and `make_tensor` against PyTorch: verdicts, error classes and texts, numbers drawn."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.testing

import pellucid
import pellucid.testing
from tests.conformance.libraries import assert_equal, plain

PAIRS = """
1, 1.
1, 2
3., 3.0000001
2+1j, 2+1.1j
0., 1e-30, rtol=0, atol=0
float("nan"), float("nan")
float("nan"), float("nan"), equal_nan=True
float("inf"), float("inf")
1., float("inf")
True, np.False_
np.float32(1), 1.
None, 0
"a", "a"
[1, 2, 3], [1, 2]
[[1, 2], [3, 4]], [[1, 2], [3, 5]]
{"a": 1, "b": 2}, {"a": 1, "c": 2}
{"a": [1, 2.5]}, {"a": [1, 2.75]}
np.arange(3), np.arange(3)
np.arange(3), np.array([0, 5, 2])
np.arange(3), t.arange(3)
t.ones(2), [1., 1.]
t.ones(2), t.ones(2, dtype=t.float64)
t.ones(2), t.full((2,), 1.5, dtype=t.float64), check_dtype=False
t.ones(2), t.ones(2, 1)
t.ones(2, 2).t(), t.ones(2, 2), check_stride=True
t.arange(6.).view(2, 3).t(), t.arange(6.).view(3, 2)
t.arange(6.).view(2, 3).t(), t.arange(6.).view(3, 2), check_stride=True
t.tensor(1.), t.tensor(2.)
t.tensor(1), t.tensor(2)
t.tensor([1., 2., 3.]), t.tensor([1., 2.5, 0.])
t.tensor([1., 2., 3.]), t.tensor([1., 2.5, 0.]), rtol=0, atol=0
t.tensor([[True, False]]), t.tensor([[True, True]])
t.tensor([200], dtype=t.uint8), t.tensor([10], dtype=t.uint8)
t.tensor([1j, 2]), t.tensor([1j, 2+3j])
t.tensor([1., float("nan")]), t.tensor([1., float("nan")])
t.tensor([1., float("nan")]), t.tensor([1., float("nan")]), equal_nan=True
t.tensor([1., 0.5]).bfloat16(), t.tensor([1.01, 0.75]).bfloat16()
t.tensor([1., 0.5]).half(), t.tensor([1.01, 0.5]).half()
t.ones(2), t.zeros(2), msg="mine"
t.ones(2), t.zeros(2), msg=lambda text: "!" + text
[t.ones(2)], [t.zeros(2)], msg=lambda text: "!" + text
t.ones(2), t.ones(2), rtol=1.
t.ones(2), t.ones(2), atol=1.
t.zeros(0), t.zeros(0)
t.zeros(0, 2), t.zeros(2, 0)
"""


def verdict(library: Any, arguments: str) -> tuple[str, str]:
    """The class and the text of the error; nothing if the two are close."""
    names = {"t": library, "np": np, "check": library.testing.assert_close}
    try:
        eval(f"check({arguments})", names)
    except (AssertionError, TypeError, ValueError) as error:
        return type(error).__name__, str(error)
    return "", ""


@pytest.mark.parametrize("arguments", PAIRS.strip().splitlines())
def test_assert_close(arguments: str) -> None:
    kind, text = verdict(torch, arguments)
    our_kind, our_text = verdict(pellucid, arguments)
    assert our_kind == kind
    if kind != "TypeError":  # whose text names classes
        assert our_text == text


DRAWS = """
2, 3, dtype=t.float32
(2, 3), dtype=t.float64, low=-1, high=1
(), dtype=t.float32
0, dtype=t.int32
5, dtype=t.bool
[3, 4], dtype=t.uint8
7, dtype=t.int8, low=-100, high=1000
7, dtype=t.int16, low=0.5, high=3.5
7, dtype=t.int64, exclude_zero=True, low=-1, high=2
3, 4, dtype=t.bfloat16, noncontiguous=True
3, 4, dtype=t.float16, low=float("-inf"), high=float("inf")
3, 4, dtype=t.float32, low=float("-inf"), high=float("inf")
3, 4, dtype=t.complex64, noncontiguous=True
2, 3, 4, 5, dtype=t.float32, memory_format=t.channels_last
3, dtype=t.float32, requires_grad=True
3, dtype=t.float32, low=1, high=1
3, dtype=t.float32, low=2, high=1
3, dtype=t.int32, low=1, high=1
3, dtype=t.uint8, low=-5, high=-1
3, dtype=t.int32, requires_grad=True
3, dtype=t.float32, low=float("nan")
2, 3, 4, 5, dtype=t.float32, memory_format=t.channels_last, noncontiguous=True
"""


def drawn(library: Any, arguments: str) -> Any:
    library.manual_seed(3)
    try:
        made = eval(f"make({arguments}, device='cpu')", {"t": library, "make": library.testing.make_tensor})
    except ValueError as error:
        return type(error).__name__
    return plain(made), list(made.stride()), made.requires_grad


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("arguments", DRAWS.strip().splitlines())
def test_make_tensor(arguments: str) -> None:
    assert_equal(drawn(pellucid, arguments), drawn(torch, arguments), 0, 0)
