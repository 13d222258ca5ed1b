"""Parameter: a tensor that a module trains. Buffer: one that it only keeps."""

from __future__ import annotations

from typing import Any

from pellucid.tensor import Tensor


class Parameter(Tensor):
    """A tensor that becomes a parameter of the module it is assigned to.

    It shares the memory of ``data`` and starts its own history. Results of operators on it are plain tensors.
    """

    __slots__ = ()

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            from pellucid.operators.creation import empty

            data = empty(0)
        return share(cls, data, requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.detach().clone(), self.tracked)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (self.detach(), self.tracked)


class Buffer(Tensor):
    """A tensor that becomes a buffer of the module it is assigned to."""

    __slots__ = ("persistent",)
    persistent: bool

    def __new__(cls, data: Tensor, *, persistent: bool = True) -> Buffer:
        made = share(cls, data, False)
        made.persistent = persistent
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


