"""Whatever device is beside the processor: what programs ask before they choose one."""

from __future__ import annotations

from pellucid.devices import device, usable


def _kind() -> str | None:
    return next((kind for kind in ("cuda", "mps", "xpu") if usable(kind)), None)


def is_available() -> bool:
    """Whether there is one that can hold tensors."""
    return _kind() is not None


def device_count() -> int:
    """How many there are."""
    kind = _kind()
    return usable(kind) if kind else 0


def current_accelerator(check_available: bool = False) -> device | None:
    """Its type of device; None if there is none."""
    kind = _kind()
    return device(kind) if kind else None
