"""``pellucid doctor``: what this machine offers and what Pellucid makes of it."""

from __future__ import annotations

import argparse
import platform
from importlib import metadata
from typing import Any

from pellucid.runtime import blas, jit, machine, threads

_PACKAGES = ("numpy", "llvmlite", "scipy-openblas32", "ml_dtypes", "opt_einsum", "rich")


def add_command(commands: Any) -> None:
    text = "Print processor, threads, BLAS kernel, cache folder and versions; say what is wrong, if anything is."
    parser = commands.add_parser("doctor", help="show processor, threads, BLAS, cache and versions", description=text)
    parser.set_defaults(carry_out=carry_out)


def findings() -> list[tuple[str, str]]:
    """What there is to tell, line by line."""
    import pellucid

    cache = jit.cache_info()
    size = f"{cache.files} kernels, {cache.bytes / 1e6:.1f} MB"
    return [
        ("Pellucid", pellucid.__version__),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("processor", f"{machine.processor_name()}, vectors of {8 * machine.vector_bytes()} bits"),
        ("last-level cache", f"{machine.last_level_cache_bytes() >> 20} MiB"),
        ("threads", f"{threads.get_num_threads()} of {threads.usable_cpus()} usable processors"),
        ("BLAS", f"OpenBLAS {blas.version()}, kernels for {blas.kernel_in_use()}"),
        ("kernel cache", f"{cache.folder} ({size})" if not cache.problem else f"not in use: {cache.problem}"),
        ("packages", ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)),
    ]


def carry_out(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in findings():
        table.add_row(name, text)
    Console().print(table)
    return 1 if jit.cache_info().problem else 0
