"""Conformance tests compare with PyTorch itself; without it they are not collected."""

from importlib.util import find_spec

import pytest

REFERENCE = "2.13"

collect_ignore_glob: list[str] = []
if find_spec("torch") is None:
    collect_ignore_glob.append("test_*.py")
else:
    import torch

    # Results must not depend on it, and test processes that run side by side stay out of each other's way.
    torch.set_num_threads(1)


def pytest_report_header() -> str:
    if collect_ignore_glob:
        return "conformance tests: left out, PyTorch is not installed"
    return f"conformance tests: PyTorch {torch.__version__}"


def pytest_sessionstart() -> None:
    if not collect_ignore_glob and not torch.__version__.startswith(REFERENCE):
        pytest.exit(f"the reference is PyTorch {REFERENCE}; installed is {torch.__version__}")
