"""The processor."""

from __future__ import annotations

from pellucid.runtime import machine

_VECTORS = {64: "AVX512", 32: "AVX2"}


def get_cpu_capability() -> str:
    """The vectors that kernels use: AVX512, AVX2 or DEFAULT."""
    return _VECTORS.get(machine.vector_bytes(), "DEFAULT")
