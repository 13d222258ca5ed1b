"""Pellucid: PyTorch's tensor system in Python, open to the eye."""

from __future__ import annotations

from importlib import import_module as _import_module
from importlib.util import find_spec as _find_spec
from pkgutil import iter_modules as _iter_modules
from typing import Any as _Any

from pellucid import autograd as autograd
from pellucid import dtypes as _dtypes
from pellucid import memory_format as _memory_format
from pellucid import operators as _operators
from pellucid.autograd import enable_grad as enable_grad
from pellucid.autograd import inference_mode as inference_mode
from pellucid.autograd import is_grad_enabled as is_grad_enabled
from pellucid.autograd import no_grad as no_grad
from pellucid.autograd import set_grad_enabled as set_grad_enabled
from pellucid.autograd.modes import is_inference_mode_enabled as is_inference_mode_enabled
from pellucid.devices import device as device
from pellucid.layout import Size as Size
from pellucid.operators import arguments as _arguments
from pellucid.operators.define import PUBLIC as _PUBLIC
from pellucid.runtime import memory as memory
from pellucid.runtime.threads import get_num_threads as get_num_threads
from pellucid.runtime.threads import set_num_threads as set_num_threads
from pellucid.tensor import Tensor as Tensor

__version__ = OWN_VERSION = "0.1.0"  # `pellucid run` puts PyTorch's in place of the first, which programs compare

# Every family of operators publishes its own names: a new one is a new file and nothing else.
for _family in _iter_modules(_operators.__path__):
    _import_module(f"pellucid.operators.{_family.name}")

globals().update(_dtypes.PUBLIC_NAMES)
globals().update(_memory_format.PUBLIC_NAMES)
globals().update(_arguments.PUBLIC_NAMES)
globals().update(_PUBLIC)

_ELSEWHERE = {"save": "serialization", "load": "serialization", "autocast": "amp", "GradScaler": "amp"}


def __getattr__(name: str) -> _Any:
    """Submodules are loaded when they are first named; what is in none of them is missing."""
    if name in _ELSEWHERE:
        return getattr(_import_module(f"pellucid.{_ELSEWHERE[name]}"), name)
    if not name.startswith("_") and _find_spec(f"pellucid.{name}") is not None:
        return _import_module(f"pellucid.{name}")
    raise AttributeError(f"torch.{name} is missing from Pellucid {OWN_VERSION}", name=name)
