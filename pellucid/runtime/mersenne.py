"""The random engine mt19937, PyTorch's on the CPU: a stream of 32-bit words from a 32-bit seed.

The native code is in mersenne.ll. It fills memory at some two numbers a nanosecond.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pellucid.runtime import jit

WORDS = 624
WORDS_32, WORDS_64, FLOATS, DOUBLES = range(4)  # what `draw` fills memory with


class Engine:
    """One stream. ``key`` are its 624 words; ``position`` counts those that have been used."""

    __slots__ = ("_address", "_native", "_pending", "_state")
    _native: _Functions | None  # None until the first use: loading it loads LLVM

    def __init__(self) -> None:
        self.__setstate__((np.zeros(WORDS + 1, np.uint32), 0))

    def __getstate__(self) -> tuple[npt.NDArray[np.uint32], int | None]:
        return self._state, self._pending

    def __setstate__(self, state: tuple[npt.NDArray[np.uint32], int | None]) -> None:
        words, self._pending = state
        self._state = words.copy()
        self._address, self._native = self._state.ctypes.data, None

    def seed(self, value: int) -> None:
        """Start the stream of this seed, a number of 32 bits."""
        self._pending = value

    def _ready(self) -> _Functions:
        """The native functions, once the words are those of the seed."""
        native = self._native
        if native is None:
            native = self._native = _functions()
        if self._pending is not None:
            native.seed(self._address, self._pending)
            self._pending = None
        return native

    def draw(self, address: int, count: int, kind: int) -> None:
        """Write ``count`` numbers to memory: words r32, or r64 (the first of two words is the high one), or floats
        (r32 mod 2^24) 2^-24, or doubles (r64 mod 2^53) 2^-53."""
        self._ready().draw(self._address, address, count, kind)

    def integers(self, address: int, count: int, low: int, span: int) -> None:
        """Write ``count`` int64 numbers low + r32 mod span; span < 2^28."""
        self._ready().integers(self._address, address, count, low, span)

    def coins(self, address: int, count: int, threshold: int) -> None:
        """Write ``count`` float32 numbers: 1 where r64 mod 2^53 is below the threshold, else 0."""
        self._ready().coins(self._address, address, count, threshold)

    @property
    def key(self) -> npt.NDArray[np.uint32]:
        self._ready()
        return self._state[:WORDS]

    @property
    def position(self) -> int:
        self._ready()
        return int(self._state[WORDS])

    def restore(self, key: npt.NDArray[np.uint32], position: int) -> None:
        """Continue from these words, ``position`` of which have been used."""
        self._state[:WORDS], self._state[WORDS], self._pending = key, position, None


class _Functions(NamedTuple):
    """What mersenne.ll exports."""

    seed: Callable[..., Any]
    draw: Callable[..., Any]
    integers: Callable[..., Any]
    coins: Callable[..., Any]


@cache
def _functions() -> _Functions:
    text = Path(__file__).with_suffix(".ll").read_text()
    module = jit.load("mersenne:" + jit.digest(text), lambda: text, optimize="vectorize")
    word, pointer, number = ctypes.c_uint32, ctypes.c_void_p, ctypes.c_int64
    types = {
        "seed": (pointer, word),
        "draw": (pointer, pointer, number, number),
        "integers": (pointer, pointer, number, number, number),
        "coins": (pointer, pointer, number, number),
    }
    return _Functions(**{name: ctypes.CFUNCTYPE(None, *types[name])(module[name]) for name in types})
