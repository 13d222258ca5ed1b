"""Parameter: a tensor that a module trains. Buffer: one that it only keeps."""

from __future__ import annotations

from typing import Any

from pellucid.operators.creation import empty
from pellucid.tensor import Tensor


class Parameter(Tensor):
    """A tensor that becomes a parameter of the module it is assigned to.

    It shares the memory of ``data`` and starts its own history. Results of operators on it are plain tensors.
    """

    __slots__ = ()

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = empty(0)
        return share(cls, data, requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.detach().clone(), self.tracked)
        return memo[id(self)]

    def __repr__(self) -> str:
        plain: Any = self.detach()
        plain.tracked = self.tracked
        return f"Parameter containing:\n{plain!r}"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (self.detach(), self.tracked)


class _BufferType(type):
    """Makes ``isinstance(t, Buffer)`` a question to the tensor."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and "_is_buffer" in instance.__dict__


class Buffer(metaclass=_BufferType):
    """A tensor that becomes a buffer of the module it is assigned to; otherwise it is a plain tensor.

    It shares the memory of ``data``.
    """

    persistent: bool

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Any:
        made: Any = empty(0) if data is None else data.detach()
        made.tracked = data is not None and data.tracked
        made.persistent, made._is_buffer = persistent, True
        return made


def share(cls: Any, data: Tensor, requires_grad: bool) -> Any:
    """An instance of a Tensor class on the memory of ``data``, a leaf."""
    if requires_grad and not (data.layout.dtype.is_floating_point or data.layout.dtype.is_complex):
        raise RuntimeError(
            f"Only Tensors of floating point and complex dtype can require gradients, not {data.layout.dtype!r}: "
            "pass requires_grad=False"
        )
    made = object.__new__(cls)
    made.layout, made.storage, made.ptr = data.layout, data.storage, data.ptr
    made.tracked, made.node, made.output_nr, made.gradient, made.base = requires_grad, None, 0, None, None
    return made


