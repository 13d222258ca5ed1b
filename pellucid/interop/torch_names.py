"""``import torch`` reaches Pellucid: the names of an unchanged PyTorch program lead to this package.

    import torch.nn.functional as F      gives the module pellucid.nn.functional, the same object

Nothing is copied or wrapped: ``torch.nn`` *is* ``pellucid.nn``. A module that Pellucid lacks is a
ModuleNotFoundError that says so; PyTorch itself is never loaded, whether it is installed or not.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

NAME, OURS = "torch", "pellucid"


class _Loader(importlib.abc.Loader):
    """Gives the Pellucid module in place of a new one."""

    def __init__(self, ours: str) -> None:
        self.ours = ours
        self._spec: importlib.machinery.ModuleSpec | None = None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.ours)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import system has put the alias's there
        _name_loaded()


class TorchNames(importlib.abc.MetaPathFinder):
    """Finds ``torch`` and everything below it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != NAME and not fullname.startswith(NAME + "."):
            return None
        ours = OURS + fullname[len(NAME) :]
        try:
            found = importlib.util.find_spec(ours)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise ModuleNotFoundError(
                f"{fullname} is missing from Pellucid {_ours().OWN_VERSION}: there is no module {ours}", name=fullname
            )
        return importlib.machinery.ModuleSpec(fullname, _Loader(ours), is_package=found.submodule_search_locations is not None)


def _name_loaded() -> None:
    """Modules that are loaded have both names at once.

    Importing one of them under the second name would bind it in its package again, over what the package itself has put
    there: ``torch.autograd.gradcheck`` is a function, and a module.
    """
    for name, module in list(sys.modules.items()):
        if name.startswith(OURS + "."):
            sys.modules.setdefault(NAME + name[len(OURS) :], module)


def _ours() -> Any:
    return importlib.import_module(OURS)


def install() -> None:
    """Let ``torch`` mean Pellucid from here on, in this process.

    Raises:
        RuntimeError: the real PyTorch is loaded already, so that two libraries would be mixed.
    """
    loaded = sys.modules.get(NAME)
    if loaded is not None and loaded is not _ours():
        raise RuntimeError("PyTorch has been imported already in this process; start a new one with `pellucid run`")
    _dress()
    if not any(isinstance(finder, TorchNames) for finder in sys.meta_path):
        sys.meta_path.insert(0, TorchNames())


def _dress() -> None:
    """Give the package PyTorch's version, by which programs choose their ways, and the classes that programs print
    their names in PyTorch."""
    ours = _ours()
    ours.__version__ = importlib.import_module(f"{OURS}.version").__version__
    for name in ("Tensor", "Size", "device", "dtype"):
        kind = getattr(ours, name)
        kind.__module__, kind.__name__, kind.__qualname__ = NAME, name, name
    importlib.import_module(f"{OURS}.nn.parameter").Parameter.__module__ = f"{NAME}.nn.parameter"
