"""What all tests share: the Pellucid under test is this repository's, and random tests repeat."""

from pathlib import Path

import hypothesis
import pytest

import pellucid

REPOSITORY = Path(__file__).parents[1]

# A first call may compile a kernel, so a single example has no time limit. Examples are the same in each
# run; `--hypothesis-profile=explore` looks for new ones.
hypothesis.settings.register_profile("repeat", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
hypothesis.settings.load_profile("repeat")


def pytest_sessionstart() -> None:
    found = Path(next(iter(pellucid.__path__))).resolve()
    if found != REPOSITORY / "pellucid":
        pytest.exit(f"these tests are for {REPOSITORY / 'pellucid'}, but `import pellucid` finds {found}")
