"""The command line: ``pellucid run program.py``, ``pellucid doctor``."""

from __future__ import annotations

import argparse
import sys

from pellucid.cli import doctor, run

_DESCRIPTION = "PyTorch's tensor system in Python: run PyTorch programs on it, see how it works."


def main(arguments: list[str] | None = None) -> int:
    """Carry out one command; the result is the exit status."""
    parser = argparse.ArgumentParser(prog="pellucid", description=_DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run.add_command(commands)
    doctor.add_command(commands)
    given = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(given)
    return int(options.carry_out(options) or 0)
