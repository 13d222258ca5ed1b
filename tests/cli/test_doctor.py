"""`pellucid doctor`: what it finds, and its exit status."""

import platform

import pytest

import pellucid
from pellucid import cli
from pellucid.cli import doctor
from pellucid.runtime import jit


def test_findings() -> None:
    found = dict(doctor.findings())
    assert found["Pellucid"] == pellucid.__version__
    assert platform.python_version() in found["Python"]
    assert str(pellucid.get_num_threads()) in found["threads"]
    assert "OpenBLAS" in found["BLAS"]
    assert "numpy" in found["packages"]


def test_output(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    status = cli.main(["doctor"])
    text = capsys.readouterr().out
    assert status == (1 if jit.cache_info().problem else 0)
    for name, _ in doctor.findings():
        assert name in text
