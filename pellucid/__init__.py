"""Pellucid: PyTorch's tensor system in Python, open to the eye."""

from __future__ import annotations

from pellucid import autograd
from pellucid import dtypes as _dtypes
from pellucid.autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from pellucid.devices import device
from pellucid.layout import Size
from pellucid.memory_format import PUBLIC_NAMES as _MEMORY_FORMATS
from pellucid.operators import (
    conversion,
    copying,
    creation,
    extremes,
    indexing,
    literals,
    normalisation,
    pointwise,
    reading,
    reductions,
    sequences,
    standardising,
    statistics,
)
from pellucid.operators.arguments import PUBLIC_NAMES as _LAYOUTS
from pellucid.operators.define import PUBLIC as _PUBLIC
from pellucid.tensor import Tensor

__version__ = "0.1.0"

globals().update(_dtypes.PUBLIC_NAMES)
globals().update(_MEMORY_FORMATS)
globals().update(_LAYOUTS)
globals().update(_PUBLIC)
