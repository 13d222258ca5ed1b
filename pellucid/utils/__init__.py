"""What programs use around the tensors: data loading, checkpoints of computations."""

from importlib import import_module as _import_module
from importlib.util import find_spec as _find_spec

from pellucid.utils import data as data


def __getattr__(name: str) -> object:
    """Submodules are loaded when they are first named."""
    if not name.startswith("_") and _find_spec(f"{__name__}.{name}") is not None:
        return _import_module(f"{__name__}.{name}")
    raise AttributeError(f"torch.utils.{name} is missing from Pellucid", name=name)
