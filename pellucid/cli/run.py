"""``pellucid run program.py arguments...``: an unchanged PyTorch program, on Pellucid."""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path
from typing import Any

from pellucid.interop import torch_names

_EPILOG = """examples:
  pellucid run train.py --epochs 3        options after the program's name are the program's
  pellucid run -m package.train           a module, as with python -m
"""


def add_command(commands: Any) -> None:
    parser = commands.add_parser(
        "run",
        help="run a PyTorch program on Pellucid",
        description="Run a PyTorch program unchanged: its `import torch` reaches Pellucid.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-m", dest="module", action="store_true", help="PROGRAM is the name of a module")
    parser.add_argument("program", metavar="PROGRAM", help="a Python file")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="the program's own arguments")
    parser.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    """Run the program as ``python PROGRAM ...`` would: its own arguments, its folder first on the path."""
    path = Path(options.program)
    if not options.module and not path.is_file():
        print(f"pellucid run: there is no file {options.program}", file=sys.stderr)
        return 2
    torch_names.install()
    sys.argv = [options.program, *options.arguments]
    sys.path.insert(0, str(Path.cwd() if options.module else path.resolve().parent))
    try:
        if options.module:
            runpy.run_module(options.program, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(str(path), run_name="__main__")
    except Exception as error:
        if isinstance(error, ImportError):
            _say_what_is_missing(error)
        _show(error)
        return 1
    return 0


def _show(error: Exception) -> None:
    """What ``python PROGRAM`` would print: the traceback begins with the program, not with what runs it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, runpy.__file__, "<frozen runpy>"):
        trace = trace.tb_next
    sys.excepthook(type(error), error.with_traceback(trace), trace)


def _say_what_is_missing(error: ImportError) -> None:
    """``from torch import x`` fails inside Python, which does not know why: say it."""
    name = getattr(error, "name_from", None) or _name_in(str(error))
    if error.name and error.name.split(".")[0] == torch_names.OURS and name:
        module = torch_names.NAME + error.name[len(torch_names.OURS) :]
        error.add_note(f"{module}.{name} is missing from Pellucid")


def _name_in(message: str) -> str | None:
    """The quoted name in "cannot import name 'x' from ..." (Python 3.11 does not keep it otherwise)."""
    parts = message.split("'")
    return parts[1] if message.startswith("cannot import name") and len(parts) > 1 else None
