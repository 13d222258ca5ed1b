"""Kernels: nests compiled for this machine, found by what their code depends on."""

from __future__ import annotations

from pellucid.codegen.columns import ColumnLoops
from pellucid.codegen.cpu import CpuKernel
from pellucid.codegen.lanes import LaneLoops
from pellucid.codegen.rows import RowLoops
from pellucid.codegen.scatters import ScatterLoops
from pellucid.codegen.schedule import Nest
from pellucid.codegen.tiles import TileLoops
from pellucid.formula.formula import Scatter
from pellucid.runtime import jit
from pellucid.runtime.machine import vector_bytes

_addresses: dict[Nest, int] = {}


def kernel_address(nest: Nest) -> int:
    """The address of the nest's kernel: of this process, from the disk cache, or compiled now."""
    found = _addresses.get(nest)
    if found is None:
        key = f"cpu{vector_bytes()}|{nest.key()}"
        _addresses[nest] = found = jit.function_address(key, "kernel", lambda: kernel_text(nest))
    return found


def kernel_text(nest: Nest) -> str:
    """The kernel's LLVM IR."""
    kernel, formula = CpuKernel(nest, vector_bytes()), nest.formula
    if isinstance(formula, Scatter):
        ScatterLoops(kernel, formula).write()
    elif nest.horizontal:
        RowLoops(kernel, formula).write_rows()
    elif nest.columns:
        ColumnLoops(kernel, formula).write_cells()
    elif nest.tile >= 0:
        TileLoops(kernel, formula).write_blocks()
    else:
        LaneLoops(kernel, formula).write_cells()
    return kernel.finish()
