"""What only a whole process shows: import time, a fresh process's first result, peak memory, size on disk."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from benchmarks.workloads import Bar, at_most

# What the processes run; {0} is the library's name, {1} the number of threads.
IMPORT = "import {0}"
PRODUCT = "import {0} as torch; x = torch.ones(64, 64); print((x @ x.T).sum().item())"
STEPS = """
import {0} as torch
from benchmarks.networks import training_step
torch.set_num_threads({1})
step = training_step(torch)
for _ in range(12):
    step()
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@dataclass(frozen=True)
class ProcessRow:
    """One row measured on processes of its own."""

    group: str
    name: str
    code: str
    bar: Bar
    unit: str  # "s": the process's time; "MB": what it prints, in KiB


PROCESS_ROWS = (
    ProcessRow("training", "peak memory of that program", STEPS, at_most(1.0), "MB"),
    ProcessRow("fresh process", "import", IMPORT, at_most(0.25), "s"),
    ProcessRow("fresh process", "(x @ x.T).sum(), kernels cached", PRODUCT, at_most(0.35), "s"),
)
SIZE_LIMIT_MB = 320


def _run(row: ProcessRow, library: str, threads: int) -> float:
    started = time.perf_counter()
    command = [sys.executable, "-c", row.code.format(library, threads)]
    # An installed package runs from its bytecode: a setting of this shell must not make one library compile anew.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(done.stderr.strip().rsplit("\n", 1)[-1] or f"exit code {done.returncode}")
    return seconds if row.unit == "s" else int(done.stdout) * 1024 / 1e6


def measure(row: ProcessRow, rounds: int, threads: int) -> list[tuple[float, float]]:
    """(PyTorch, Pellucid) once a round, the two taking turns, after one run of each that is not counted."""
    for library in ("torch", "pellucid"):
        _run(row, library, threads)
    return [(_run(row, "torch", threads), _run(row, "pellucid", threads)) for _ in range(rounds)]


def _needed(name: str, found: dict[str, metadata.Distribution]) -> None:
    """Collect the installed distribution `name` and all that it needs at run time."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in found:
        return
    try:
        found[key] = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return  # needed on other systems or other Pythons only
    for requirement in found[key].requires or ():
        if "extra ==" not in requirement:
            _needed(re.match(r"[A-Za-z0-9._-]+", requirement)[0], found)  # type: ignore[index]


def _folder_bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def installed_megabytes() -> float:
    """What Pellucid and all that it needs take on disk, compiled Python files included.

    Raises:
        RuntimeError: Pellucid is not installed, so nothing tells what it needs.
    """
    found: dict[str, metadata.Distribution] = {}
    _needed("pellucid", found)
    if not found:
        raise RuntimeError("Pellucid is not installed here: pip install --editable .")
    tops = {Path(__file__).parents[1] / "pellucid"}
    for key, distribution in found.items():
        if key == "pellucid":
            continue  # installed in place: its folder stands above
        names = {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}
        tops |= {Path(str(distribution.locate_file(name))) for name in names - {"__pycache__"}}
    return sum(_folder_bytes(top) for top in tops) / 1e6
