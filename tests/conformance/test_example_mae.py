"""examples/mae_digits.py, one and the same file, under PyTorch and under Pellucid."""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
PROGRAM = REPOSITORY / "examples" / "mae_digits.py"
LIBRARIES = {"torch": [sys.executable], "pellucid": [sys.executable, "-m", "pellucid", "run"]}
# One thread each: PyTorch slows down by an order of magnitude where threads outnumber free cores.
SETTING = ["--seed", "3", "--epochs", "10", "--threads", "1"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each library's run wrote: its output, its losses and accuracy, its picture."""
    folder = tmp_path_factory.mktemp("mae")
    runs = {}
    for library, command in LIBRARIES.items():
        losses, picture = folder / f"{library}.json", folder / f"{library}.png"
        arguments = [*SETTING, "--losses", str(losses), "--out", str(picture)]
        done = subprocess.run(
            [*command, str(PROGRAM), *arguments],
            cwd=folder,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{library}:\n{done.stdout}\n{done.stderr}"
        runs[library] = {"output": done.stdout, "picture": picture, **json.loads(losses.read_text())}
    return runs


def test_first_steps_agree(runs: dict[str, Any]) -> None:
    ours, theirs = (runs[library]["losses"][:20] for library in ("pellucid", "torch"))
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_final_loss_agrees(runs: dict[str, Any]) -> None:
    ours, theirs = (runs[library]["losses"] for library in ("pellucid", "torch"))
    assert len(ours) == len(theirs)
    assert fmean(ours[-20:]) == pytest.approx(fmean(theirs[-20:]), rel=0.02)


def test_the_network_learns(runs: dict[str, Any]) -> None:
    losses = runs["pellucid"]["losses"]
    assert fmean(losses[-20:]) < 0.5 * losses[0]
    assert runs["pellucid"]["accuracy"] > 0.9


def test_probe_accuracy_agrees(runs: dict[str, Any]) -> None:
    assert runs["pellucid"]["accuracy"] == pytest.approx(runs["torch"]["accuracy"], abs=0.01)


def test_what_people_see(runs: dict[str, Any]) -> None:
    assert "linear probe:" in runs["pellucid"]["output"]
    assert runs["pellucid"]["picture"].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("library", LIBRARIES)
def test_help(library: str) -> None:
    command = [*LIBRARIES[library], str(PROGRAM), "--help"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert "--mask-ratio" in done.stdout
