"""Measure Pellucid beside PyTorch: `python -m benchmarks.run [--only PATTERN] [--json FILE]`."""

import argparse
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from benchmarks import processes
from benchmarks.peak import flops_per_second
from benchmarks.report import Result, bounds, print_table, write_json
from benchmarks.worker import WorkerError, Workers
from benchmarks.workloads import all_workloads

BUSY = 0.5  # other work on the machine, in processes, that spoils the figures
PLAIN_WIDTH = 110  # columns of the table where the output is no terminal
Job = tuple[str, str, Callable[[], Result]]  # group, name, what measures it


def _timed_jobs(workers: Workers, rounds: int) -> Iterator[Job]:
    for row, workload in enumerate(all_workloads()):

        def measure(row: int = row, workload=workload) -> Result:
            about = (workload.group, workload.name, "s", workload.bar)
            try:
                return Result.of(*about, workers.measure(row, workload, rounds), workload.flops)
            except WorkerError as error:
                return Result.failed(*about, error)

        yield workload.group, workload.name, measure


def _process_jobs(rounds: int, threads: int) -> Iterator[Job]:
    for row in processes.PROCESS_ROWS:

        def measure(row: processes.ProcessRow = row) -> Result:
            about = (row.group, row.name, row.unit, row.bar)
            try:
                return Result.of(*about, processes.measure(row, rounds, threads))
            except RuntimeError as error:
                return Result.failed(*about, error)

        yield row.group, row.name, measure


def _size() -> Result:
    limit = processes.SIZE_LIMIT_MB
    about = ("on disk", "installed, with dependencies", "MB")
    try:
        megabytes = processes.installed_megabytes()
    except RuntimeError as error:
        return Result(*about, None, None, None, f"≤ {limit} MB", False, str(error))
    return Result(*about, None, megabytes, None, f"≤ {limit} MB", megabytes <= limit)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run",
        description="Time Pellucid beside PyTorch, each in its own process, in turns.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--only", metavar="PATTERN", default="", help="regular expression on 'group: name'")
    parser.add_argument("--rounds", type=int, default=9, help="timed pairs of blocks per row")
    parser.add_argument("--threads", type=int, default=2, help="threads of each library")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here, too")
    parser.add_argument("--list", action="store_true", help="print the rows' names and stop")
    return parser.parse_args()


def main() -> None:
    """Measure the chosen rows and print the table."""
    arguments = _parse()
    console = Console()
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    workers = Workers(arguments.threads)
    jobs = [
        *_timed_jobs(workers, arguments.rounds),
        *_process_jobs(max(3, arguments.rounds // 2), arguments.threads),
        ("on disk", "installed, with dependencies", _size),
    ]
    jobs = [job for job in jobs if re.search(arguments.only, f"{job[0]}: {job[1]}")]
    if arguments.list:
        for group, name, _ in jobs:
            console.print(f"{group}: {name}", highlight=False)
        return
    load = os.getloadavg()[0]
    results = []
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=len(jobs))
        for group, name, measure in jobs:
            progress.update(bar, description=f"{group}: {name}")
            results.append(measure())
            progress.advance(bar)
    workers.stop()
    print_table(console, results)
    missed = any(result.flops and not result.passed for result in results)
    notes = bounds(results, flops_per_second(arguments.threads), arguments.threads) if missed else []
    for note in notes:
        console.print(note, highlight=False)
    if load > BUSY:
        console.print(
            f"[bold red]the machine was busy[/] (load {load:.1f} at the start): these figures say little;"
            " PyTorch in particular slows down many times where threads wait for a core"
        )
    if arguments.json:
        write_json(arguments.json, results, arguments.threads, load, notes)


if __name__ == "__main__":
    main()
