"""Variable: what a Tensor was called that takes part in differentiation. The two are one by now."""

from __future__ import annotations

from typing import Any

from pellucid.autograd.walk import queue_callback
from pellucid.tensor import Tensor


class _VariableType(type):
    """Makes ``isinstance(t, Variable)`` a question to the tensor."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class _Engine:
    """Where programs that extend backward look for it."""

    queue_callback = staticmethod(queue_callback)


class Variable(metaclass=_VariableType):
    """``Variable(tensor, requires_grad=False)`` is a leaf on the memory of the tensor."""

    _execution_engine = _Engine()

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = False, volatile: bool = False) -> Any:
        if data is None:
            data = Tensor()
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        made: Any = data.detach()
        return made.requires_grad_(requires_grad)
