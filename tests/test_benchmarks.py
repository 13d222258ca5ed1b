"""The arithmetic of the speed table; what is measured is another matter."""

import json
from pathlib import Path

import pytest

from benchmarks.openblas import square_product
from benchmarks.peak import flops_per_second
from benchmarks.processes import installed_megabytes
from benchmarks.readme import markdown
from benchmarks.report import Result, amount, bounds, write_json
from benchmarks.workloads import all_workloads, at_least, at_most


def test_bars() -> None:
    faster, share = at_least(3), at_most(0.6)
    assert faster.ratio(reference=6.0, pellucid=2.0) == 3
    assert share.ratio(reference=10.0, pellucid=5.0) == 0.5
    assert faster.passed(3.0)
    assert not faster.passed(2.9)
    assert share.passed(0.6)
    assert not share.passed(0.61)
    assert (str(faster), str(share)) == ("≥ 3x", "≤ 0.6")


def test_a_result_is_the_median_of_ratios() -> None:
    taken = [(3.0, 1.0), (4.0, 1.0), (100.0, 1.0)]  # the last pair was disturbed
    result = Result.of("group", "name", "s", at_least(4), taken)
    assert (result.reference, result.pellucid, result.ratio, result.passed) == (4.0, 1.0, 4.0, True)
    assert result.shown_ratio() == "4.00x"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "s", "-"),
        (1.5, "s", "1.5 s"),
        (2e-3, "s", "2 ms"),
        (4.4e-7, "s", "440 ns"),
        (48.2, "MB", "48 MB"),
    ],
)
def test_amounts(value: float | None, unit: str, text: str) -> None:
    assert amount(value, unit) == text


def test_json_and_readme(tmp_path: Path) -> None:
    failed = Result.failed("g", "b", "s", at_most(1), ValueError("no such operator"))
    results = [Result.of("g", "a", "s", at_most(1), [(2.0, 1.0)]), failed]
    write_json(tmp_path / "run.json", results, threads=2, load=0.0, notes=["c: too much"])
    lines = markdown(json.loads((tmp_path / "run.json").read_text())).splitlines()
    rows = ["| g | a | 2 s | 1 s | 0.50 | ≤ 1 |", "|  | b (missed) | - | - | - | ≤ 1 |"]
    assert lines[-4:] == [*rows, "", "c: too much."]


def test_what_the_processor_allows() -> None:
    missed = Result.of("products", "mm", "s", at_least(1.8), [(2.0, 1.9)], flops=300e9)
    reached = Result.of("products", "other", "s", at_least(1.8), [(2.0, 1.0)], flops=300e9)
    (line,) = bounds([missed, reached], 200e9, 2)
    assert line.startswith("mm: PyTorch does 150 of the 200 GFLOP/s that 2 threads")
    assert line.endswith("1.33x as fast here")


def test_the_peak_is_measured() -> None:
    assert flops_per_second(1) > 1e9


def test_names_are_unique() -> None:
    names = [(workload.group, workload.name) for workload in all_workloads()]
    assert len(set(names)) == len(names)


def test_openblas_multiplies() -> None:
    names = square_product(5, threads=1)
    names["sgemm"]()
    assert names["out"] == pytest.approx(names["a"] @ names["b"], rel=1e-5)


def test_installed_size_counts_the_compiler() -> None:
    assert 150 < installed_megabytes() < 1000
