"""OpenMP's threads: not used."""

from __future__ import annotations


def is_available() -> bool:
    """No: they are not used, Pellucid has its own."""
    return False
