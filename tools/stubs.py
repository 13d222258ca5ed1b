"""Writes pellucid/__init__.pyi: every public name with its signature, for editors and type checkers.

Operators publish themselves while the package is imported, which tools that only read the source cannot follow.

    python tools/stubs.py           write the file
    python tools/stubs.py --check   exit with 1 if it is out of date
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pellucid
from pellucid import dtypes
from pellucid.operators.define import PUBLIC

TARGET = Path(pellucid.__file__).with_name("__init__.pyi")
_HEAD = '''"""Written by tools/stubs.py; do not edit."""

# mypy: disable-error-code="misc, override, no-redef"
import builtins
from collections.abc import Sequence
from typing import Any

from pellucid import autograd as autograd
from pellucid.autograd import enable_grad as enable_grad
from pellucid.autograd import inference_mode as inference_mode
from pellucid.autograd import is_grad_enabled as is_grad_enabled
from pellucid.autograd import no_grad as no_grad
from pellucid.autograd import set_grad_enabled as set_grad_enabled
from pellucid.autograd.modes import is_inference_mode_enabled as is_inference_mode_enabled
from pellucid.devices import device as device
from pellucid.dtypes import DType
from pellucid.layout import Size as Size

__version__: str
OWN_VERSION: str
dtype = DType
'''
_KNOWN = {"Tensor", "int", "float", "bool", "str", "complex", "None", "Any", "Sequence", "tuple", "list", "object", "DType"}


def annotation(value: Any) -> str:
    """The annotation as text, or Any if it names something that users do not import."""
    if value is inspect.Parameter.empty:
        return "Any"
    text = value if isinstance(value, str) else getattr(value, "__name__", "Any")
    text = text.replace("builtins.", "")
    if not set(re.findall(r"[A-Za-z_]\w*", text)) <= _KNOWN:
        return "Any"
    # Names such as int and float are dtypes here, and methods of Tensor.
    return re.sub(r"\b(int|float|bool|str|complex|tuple|list|object)\b", r"builtins.\1", text)


def signature(function: Any, first: str | None = None) -> str | None:
    """``(parameters) -> result``; ``first`` renames the first parameter (``self``)."""
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    parts, star = [], False
    for i, p in enumerate(found.parameters.values()):
        if p.kind is p.VAR_POSITIONAL:
            star = True
            parts.append(f"*{p.name}: Any")
            continue
        if p.kind is p.VAR_KEYWORD:
            parts.append(f"**{p.name}: Any")
            continue
        if p.kind is p.KEYWORD_ONLY and not star:
            star = True
            parts.append("*")
        name = first if first and i == 0 else f"{p.name}: {annotation(p.annotation)}"
        parts.append(name if p.default is p.empty else f"{name} = ...")
    return f"({', '.join(parts)}) -> {annotation(found.return_annotation)}"


def text() -> str:
    """The whole file."""
    lines = [_HEAD]
    names = {**dtypes.PUBLIC_NAMES}
    lines += [f"{name}: DType" for name in sorted(names) if isinstance(names[name], dtypes.DType)]
    lines += ["", "class Tensor:"]
    for name in sorted(dir(pellucid.Tensor)):
        lines += [f"    {line}" for line in member(name)]
    lines.append("")
    for name in sorted(PUBLIC):
        if name.isidentifier():
            lines.append(declaration(name, PUBLIC[name]))
    return "\n".join(lines) + "\n"


def member(name: str) -> list[str]:
    value = inspect.getattr_static(pellucid.Tensor, name)
    if isinstance(value, property):
        return ["@property", f"def {name}(self) -> Any: ..."]
    wanted = not name.startswith("_") or (name.startswith("__") and callable(value) and name not in vars(object))
    if not callable(value) or not wanted or name in ("__class__", "__weakref__", "__dict__"):
        return []
    found = signature(value, "self")
    return [f"def {name}{found or '(self, *args: Any, **kwargs: Any) -> Any'}: ..."]


def declaration(name: str, value: Any) -> str:
    if inspect.isclass(value) or not callable(value):
        return f"{name}: Any"
    return f"def {name}{signature(value) or '(*args: Any, **kwargs: Any) -> Any'}: ..."


def main() -> int:
    new = text()
    if "--check" in sys.argv:
        current = TARGET.read_text() if TARGET.exists() else ""
        if current != new:
            print(f"{TARGET.name} is out of date: run python tools/stubs.py")
        return int(current != new)
    TARGET.write_text(new)
    print(f"{TARGET}: {new.count('def ')} functions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
