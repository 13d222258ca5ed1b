"""Apple's GPUs."""

from __future__ import annotations

from pellucid.devices import usable


def is_available() -> bool:
    """Whether tensors can be kept on one."""
    return usable("mps") > 0


def is_built() -> bool:
    """Whether they are linked in: no."""
    return False
