"""`device` takes and refuses what PyTorch's does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pellucid import devices


def outcome(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    try:
        made = function(*args, **kwargs)
    except (AssertionError, RuntimeError, TypeError) as error:
        return type(error).__name__
    return f"{made} {made!r} {made.type} {made.index}"


STRINGS = [
    "cpu",
    "cuda",
    "cuda:1",
    "cpu:0",
    "meta",
    "mps",
    "privateuseone",
    "foo",
    "cuda:x",
    "cuda:",
    "",
    "cuda:-1",
]
STRINGS += ["cuda:01", "cuda:1:2", ":1", "CPU", " cpu", "cpu ", "cuda:127", "cuda: 1", "cuda:٣"]
PAIRS: list[Any] = [
    ("cuda", 1),
    ("cpu", 0),
    ("cuda", -1),
    ("cuda:1", 1),
    ("cpu", True),
    ("cpu", "1"),
    ("cpu", None),
]
PAIRS += [("cpu", 1, 2), (), (None,), (1.5,), (True,), (-1,), (None, 1), ("", 1), ("foo", 1)]
KEYWORDS = [
    {"type": "cuda", "index": 1},
    {"type": "cuda"},
    {"device": "cuda"},
    {"index": 1},
    {"type": "cuda:1"},
    {"type": "cuda", "index": None},
    {"type": 1},
    {"place": "cpu"},
]


@pytest.mark.parametrize("text", STRINGS)
def test_strings(text: str) -> None:
    assert outcome(devices.device, text) == outcome(torch.device, text)


@pytest.mark.parametrize("args", PAIRS, ids=str)
def test_arguments(args: tuple[Any, ...]) -> None:
    assert outcome(devices.device, *args) == outcome(torch.device, *args)


@pytest.mark.parametrize("kwargs", KEYWORDS, ids=str)
def test_keywords(kwargs: dict[str, Any]) -> None:
    assert outcome(devices.device, **kwargs) == outcome(torch.device, **kwargs)


def test_device_and_more() -> None:
    for make in (torch.device, devices.device):
        assert outcome(make, make("cuda"), 1) == "TypeError"
        assert outcome(make, make("cuda:1")) == "cuda:1 device(type='cuda', index=1) cuda 1"


@pytest.mark.skipif(torch.cuda.is_available(), reason="the error is that of a machine without GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:1", "xpu", "mps", "hip", "cpu:1"])
def test_class_of_the_error(name: str) -> None:
    expected = got = "none"
    try:
        torch.zeros(1, device=name)
    except (AssertionError, RuntimeError, TypeError) as error:
        expected = type(error).__name__
    try:
        devices.check_available(devices.device(name), "zeros")
    except (AssertionError, RuntimeError, TypeError) as error:
        got = type(error).__name__
    assert got == expected
