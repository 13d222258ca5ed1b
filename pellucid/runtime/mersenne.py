"""The random engine mt19937, PyTorch's on the CPU: a stream of 32-bit words from a 32-bit seed.

The native code is in mersenne.ll. It fills memory at some two numbers a nanosecond.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.runtime import jit

WORDS = 624
WORDS_32, WORDS_64, FLOATS, DOUBLES = range(4)  # what `draw` fills memory with


class Engine:
    """One stream. ``key`` are its 624 words; ``position`` counts those that have been used."""

    __slots__ = ("_address", "_draw", "_state")

    def __init__(self) -> None:
        self.__setstate__(np.zeros(WORDS + 1, np.uint32))

    def __getstate__(self) -> npt.NDArray[np.uint32]:
        return self._state

    def __setstate__(self, state: npt.NDArray[np.uint32]) -> None:
        self._state = state.copy()
        self._address = self._state.ctypes.data
        self._draw = _functions()[1]

    def seed(self, value: int) -> None:
        """Start the stream of this seed, a number of 32 bits."""
        _functions()[0](self._address, value)

    def draw(self, address: int, count: int, kind: int) -> None:
        """Write ``count`` numbers to memory: words r32, or r64 (the first of two words is the high one), or floats
        (r32 mod 2^24) 2^-24, or doubles (r64 mod 2^53) 2^-53."""
        self._draw(self._address, address, count, kind)

    @property
    def key(self) -> npt.NDArray[np.uint32]:
        return self._state[:WORDS]

    @property
    def position(self) -> int:
        return int(self._state[WORDS])

    def restore(self, key: npt.NDArray[np.uint32], position: int) -> None:
        """Continue from these words, ``position`` of which have been used."""
        self._state[:WORDS], self._state[WORDS] = key, position


@cache
def _functions() -> tuple[Callable[..., Any], Callable[..., Any]]:
    text = Path(__file__).with_suffix(".ll").read_text()
    module = jit.load("mersenne:" + jit.digest(text), lambda: text, optimize="vectorize")
    word, pointer, count = ctypes.c_uint32, ctypes.c_void_p, ctypes.c_int64
    seed = ctypes.CFUNCTYPE(None, pointer, word)(module["seed"])
    draw = ctypes.CFUNCTYPE(None, pointer, pointer, count, count)(module["draw"])
    return seed, draw
