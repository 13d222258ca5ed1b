"""Versions: PyTorch's whose behaviour this is, this package's own, and of the GPU libraries (none is linked)."""

from __future__ import annotations

import re
from typing import Any

from pellucid import OWN_VERSION

PYTORCH = "2.13.0"
cuda: str | None = None
hip: str | None = None
xpu: str | None = None
debug = False

_TEXT = re.compile(r"\s*v?(\d+(?:\.\d+)*)([^+]*)(?:\+(.*))?")


class TorchVersion(str):
    """A version that is ordered by its numbers: against another, a text ("2.5") or numbers ((2, 5))."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        theirs = _key(other)
        return theirs is not None and _key(self) == theirs

    def __hash__(self) -> int:
        return str.__hash__(self)

    def __lt__(self, other: Any) -> bool:
        return _numbers(self) < _numbers(other)

    def __le__(self, other: Any) -> bool:
        return _numbers(self) <= _numbers(other)

    def __gt__(self, other: Any) -> bool:
        return _numbers(self) > _numbers(other)

    def __ge__(self, other: Any) -> bool:
        return _numbers(self) >= _numbers(other)


def _numbers(version: object) -> tuple[Any, ...]:
    found = _key(version)
    if found is None:
        raise TypeError(f"{version!r} is no version: write '2.5' or (2, 5)")
    return found


def _key(version: object) -> tuple[Any, ...] | None:
    """The release's numbers without zeros at the end, whether it is final, the local part; None: no version."""
    if isinstance(version, tuple | list):
        version = ".".join(str(part) for part in version)
    match = _TEXT.fullmatch(version) if isinstance(version, str) else None
    if match is None:
        return None
    numbers = [int(n) for n in match[1].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers), not match[2], match[2], match[3] or ""


# What unchanged programs compare: PyTorch's version, with a local part that tells who answers.
__version__ = TorchVersion(f"{PYTORCH}+pellucid{OWN_VERSION}")
