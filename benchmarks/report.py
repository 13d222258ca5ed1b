"""The results of a run: a table for people, JSON for programs."""

import json
import platform
import statistics
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.workloads import Bar


@dataclass(frozen=True)
class Result:
    """One row of the table; `reference` and `pellucid` are medians in `unit` ("s" or "MB")."""

    group: str
    name: str
    unit: str
    reference: float | None
    pellucid: float | None
    ratio: float | None
    bar: str
    passed: bool
    error: str = ""
    flops: float = 0.0

    @classmethod
    def of(
        cls, group: str, name: str, unit: str, bar: Bar, taken: list[tuple[float, float]], flops: float = 0.0
    ) -> "Result":
        """The medians of pairs (reference, pellucid), and the median of their ratios."""
        ratio = statistics.median(bar.ratio(*pair) for pair in taken)
        reference, pellucid = (statistics.median(side) for side in zip(*taken, strict=True))
        return cls(group, name, unit, reference, pellucid, ratio, str(bar), bar.passed(ratio), flops=flops)

    @classmethod
    def failed(cls, group: str, name: str, unit: str, bar: Bar, error: Exception) -> "Result":
        """A row that could not be measured."""
        return cls(group, name, unit, None, None, None, str(bar), False, str(error))

    def shown_ratio(self) -> str:
        """The ratio for people: 1.20x is a speed-up, 0.40 a share."""
        if self.ratio is None:
            return "-"
        return f"{self.ratio:.2f}" + ("x" if self.bar.startswith("≥") else "")


def bounds(results: list[Result], peak: float, threads: int) -> list[str]:
    """For people: the rows that miss a bar which lies above what the processor allows, and how much it does allow.

    Args:
        peak: float32 operations a second that the processor reaches (see `benchmarks.peak`).
    """
    lines = []
    for result in results:
        if result.passed or not result.flops or result.reference is None:
            continue
        rate = result.flops / result.reference
        lines.append(
            f"{result.name}: PyTorch does {rate / 1e9:.0f} of the {peak / 1e9:.0f} GFLOP/s that {threads} threads of "
            f"this processor can do in float32 (measured): nothing could be more than {peak / rate:.2f}x as fast here"
        )
    return lines


def amount(value: float | None, unit: str) -> str:
    """A time or a size for people: 1.2 ms, 48 MB."""
    if value is None:
        return "-"
    if unit == "MB":
        return f"{value:.0f} MB"
    for factor, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= factor:
            return f"{value / factor:.3g} {name}"
    return f"{value / 1e-9:.0f} ns"


def print_table(console: Console, results: list[Result]) -> None:
    """Print every row with its ratio, its bar and whether it reaches it."""
    table = Table(title="Pellucid beside PyTorch", title_justify="left", header_style="bold")
    table.add_column("workload", no_wrap=True)
    for heading in ("reference", "Pellucid", "ratio", "bar"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    group = None
    for result in results:
        if result.group != group:
            table.add_section()
            table.add_row(f"[bold]{result.group}[/]")
            group = result.group
        table.add_row(
            f"  {escape(result.name)}",
            amount(result.reference, result.unit),
            amount(result.pellucid, result.unit),
            result.shown_ratio(),
            result.bar,
            "[green]✓[/]" if result.passed else "[bold red]✗[/]",
        )
    console.print(table)
    console.print("reference: PyTorch, or OpenBLAS where the row says so")
    console.print("ratio: the median over pairs; with x, how many times faster; else Pellucid's share")
    for result in results:
        if result.error:
            console.print(f"[red]{result.group}, {escape(result.name)}[/]: {escape(result.error)}", highlight=False)
    reached = sum(result.passed for result in results)
    console.print(f"[bold]{reached} of {len(results)}[/] bars reached")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def write_json(path: Path, results: list[Result], threads: int, load: float, notes: list[str]) -> None:
    """Write the results, the machine they were measured on, and what there is to say about them."""
    versions = {name: _version(name) for name in ("pellucid", "torch", "numpy", "llvmlite")}
    document = {
        "processor": _processor(),
        "threads": threads,
        "load_at_start": load,
        "python": sys.version.split()[0],
        "versions": versions,
        "notes": notes,
        "rows": [asdict(result) for result in results],
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
