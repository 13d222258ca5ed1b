"""What the processor is: vector width and cache sizes, read once from the operating system."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path


@cache
def processor_flags() -> frozenset[str]:
    """The features that Linux reports in /proc/cpuinfo ("flags" on x86, "Features" on Arm)."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


@cache
def processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


@cache
def vector_bytes() -> int:
    """Bytes in the widest vector register that is worth using."""
    flags = processor_flags()
    if "avx512f" in flags and "avx512vl" in flags and "avx512bw" in flags:
        return 64
    return 32 if "avx2" in flags else 16


@cache
def last_level_cache_bytes() -> int:
    """Size of the largest cache; 8 MiB if the system does not say."""
    sizes = [8 << 20]
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text().strip()
        unit = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:], 1)
        sizes.append(int(text.rstrip("KMG")) * unit)
    return max(sizes[1:], default=sizes[0])
