"""Intel's library of network layers (oneDNN): not used."""

from __future__ import annotations

enabled = False


def is_available() -> bool:
    """No: layers are Pellucid's own kernels."""
    return False
