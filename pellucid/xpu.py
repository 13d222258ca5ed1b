"""Intel's GPUs: what programs ask before they choose a device."""

from __future__ import annotations

from pellucid.devices import usable


def is_available() -> bool:
    """Whether tensors can be kept on one."""
    return usable("xpu") > 0


def device_count() -> int:
    """How many can be used."""
    return usable("xpu")


def manual_seed(seed: int) -> None:
    """Seed the generator of the current one. `pellucid.manual_seed` seeds all."""


def empty_cache() -> None:
    """Give freed memory on it back."""
