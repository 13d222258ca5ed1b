"""Dtypes' rules, defaults and constants, under PyTorch's names."""

from __future__ import annotations

import math
from typing import Any

from pellucid import dtypes
from pellucid.devices import as_device, check_available, default_device
from pellucid.devices import device as Device
from pellucid.dtypes import DType
from pellucid.operators.conversion import tensor_type_dtype
from pellucid.operators.define import PUBLIC, public
from pellucid.plan import forget_plans
from pellucid.printing import set_printoptions
from pellucid.tensor import Tensor

PUBLIC |= {"dtype": DType, "inf": math.inf, "nan": math.nan, "pi": math.pi, "e": math.e, "newaxis": None}

for _function in (
    dtypes.can_cast,
    dtypes.finfo,
    dtypes.get_default_dtype,
    dtypes.iinfo,
    dtypes.promote_types,
    set_printoptions,
):
    public(_function)


@public
def set_default_dtype(d: DType) -> None:
    """The dtype of tensors made from Python floats, and of quotients of integers, from now on.

    Raises:
        TypeError: not a floating-point dtype.
    """
    dtypes.set_default_dtype(d)
    forget_plans()  # they hold result dtypes


@public
def result_type(tensor1: Any, tensor2: Any) -> DType:
    """The dtype of a result of two operands, each a tensor or a number."""
    operands = [
        (t.layout.dtype, t.layout.ndim) if isinstance(t, Tensor) else t for t in (tensor1, tensor2)
    ]
    return dtypes.result_dtype(operands)


@public
def set_default_tensor_type(t: Any) -> None:
    """``set_default_dtype`` with a tensor type, such as ``torch.DoubleTensor`` or its name."""
    set_default_dtype(tensor_type_dtype(t))


@public
def get_default_device() -> Device:
    """Where tensors are made when nothing else is said."""
    return default_device()


@public
def set_default_device(device: Any) -> None:
    """Where tensors are made from now on; None: the CPU.

    Raises:
        AssertionError, NotImplementedError: no such device here.
    """
    if device is not None:
        check_available(as_device(device, "set_default_device"), "set_default_device")


@public
def typename(obj: Any) -> str:
    """ "torch.FloatTensor" for a tensor, the full name of the class for anything else."""
    if isinstance(obj, Tensor):
        return obj.layout.dtype.tensor_type()
    kind = obj if isinstance(obj, type) else type(obj)
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"
