"""Evaluate one Python expression with both libraries, named ``t`` in it, and compare what can be seen."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

import pellucid
from pellucid.tensor import Tensor


def evaluate(library: Any, source: str) -> tuple[Any, Exception | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return eval(source, {"t": library, "np": np}), None
        except Exception as error:
            return None, error


def check(source: str) -> None:
    """Both raise the same class, or both give equal tensors (as printed, with strides and ``requires_grad``)."""
    theirs, expected = evaluate(torch, source)
    ours, met = evaluate(pellucid, source)
    if expected is not None:
        assert isinstance(met, type(expected)), f"{source}: {met!r} instead of {expected!r}"
        return
    assert met is None, f"{source}: {met!r} instead of {theirs!r}"
    assert repr(ours) == repr(theirs), source
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, Tensor)
        assert tuple(ours.layout.strides) == theirs.stride(), source
        assert ours.requires_grad is theirs.requires_grad, source


def expressions(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]

