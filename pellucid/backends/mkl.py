"""Intel's library of products: not used."""

from __future__ import annotations


def is_available() -> bool:
    """No: it is not used, OpenBLAS is."""
    return False
