"""Kernels: nests compiled for this machine, found by what their code depends on."""

from __future__ import annotations

from functools import cache

from pellucid.codegen.cpu import CpuKernel
from pellucid.codegen.schedule import Nest
from pellucid.runtime import jit
from pellucid.runtime.machine import vector_bytes

_addresses: dict[Nest, int] = {}


def kernel_address(nest: Nest) -> int:
    """The address of the nest's kernel: of this process, from the disk cache, or compiled now."""
    found = _addresses.get(nest)
    if found is None:
        width = vector_bytes()
        found = jit.function_address(f"cpu{width}|{nest.key()}", "kernel", lambda: CpuKernel(nest, width).text())
        _addresses[nest] = found
    return found


@cache
def kernel_text(nest: Nest) -> str:
    """The kernel's LLVM IR, for readers and tests."""
    return CpuKernel(nest, vector_bytes()).text()
