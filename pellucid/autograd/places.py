"""Which line of the user's program is running: kept with what is saved and what is written, for error messages.

Taking a place is two attribute reads; it becomes a file and a line only when a message is written.
"""

from __future__ import annotations

import linecache
import sys
from pathlib import Path
from types import CodeType
from typing import Any

Place = tuple[CodeType, int]  # the running code and where in it

ROOT = str(Path(__file__).parents[1]) + "/"
MOST_WRITES = 10_000


outside: set[str] = set()  # files that are known not to belong to this package


def place(frame: Any) -> Place | None:
    """The innermost place outside of this package, seen from a frame."""
    while frame is not None:
        code = frame.f_code
        if code.co_filename in outside:
            return code, frame.f_lasti
        if not code.co_filename.startswith(ROOT):
            outside.add(code.co_filename)
            return code, frame.f_lasti
        frame = frame.f_back
    return None


_writes: dict[int, tuple[int, Place | None]] = {}  # storage's id -> its version after the write, where


def note_write(storage: Any) -> None:
    """Remember who just wrote into this storage."""
    if len(_writes) >= MOST_WRITES:
        _writes.clear()
    _writes[id(storage)] = storage.version, place(sys._getframe(2))


def last_write(storage: Any) -> Place | None:
    """Where the storage was last written, if that was noted and nothing has written since."""
    version, where = _writes.get(id(storage), (-1, None))
    return where if version == storage.version else None


def place_text(where: Place | None) -> str:
    """``at train.py:12: y = x.exp()``; empty if the place is not known."""
    if where is None:
        return ""
    code, instruction = where
    lines = list(code.co_positions())
    line = lines[instruction // 2][0] if instruction // 2 < len(lines) else code.co_firstlineno
    line = line or code.co_firstlineno
    source = linecache.getline(code.co_filename, line).strip()
    return f" at {code.co_filename}:{line}" + (f": {source}" if source else "")
