"""Parameter: a tensor that a module trains. Buffer: one that it only keeps. Both may wait for their shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.devices import device as Device
from pellucid.dtypes import DType
from pellucid.layout import Layout
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




# -- without a shape yet ----------------------------------------------------------------------------------------------

_layout: Any = vars(Tensor)["layout"]  # the slot itself: what waits for its shape hides it


class UninitializedTensorMixin:
    """A tensor that has a dtype and a device, and gets its shape when its module sees the first input.

    Everything that needs cells raises ValueError; ``shape`` raises RuntimeError.
    """

    __slots__ = ()
    becomes: type[Tensor]

    def materialize(self, shape: Sequence[int], device: Any = None, dtype: DType | None = None) -> None:
        """Become an ordinary parameter or buffer of this shape, without values."""
        own = self._held
        made = empty(tuple(shape), device=device or own.device, dtype=dtype or own.dtype)
        self.__class__ = self.becomes  # type: ignore[assignment]
        _take(self, made)

    def stand_in(self) -> Tensor:
        """A tensor without cells, of this dtype and on this device."""
        return empty(0, device=self._held.device, dtype=self._held.dtype)

    def take_kind_of(self, other: Tensor) -> None:
        """Have the dtype and the device of another tensor from now on."""
        held = other.stand_in() if isinstance(other, UninitializedTensorMixin) else other
        self.__class__, own = self.becomes, type(self)  # type: ignore[assignment]
        _take(self, empty(0, device=held.device, dtype=held.dtype))
        self.__class__ = own

    @property
    def _held(self) -> Layout:
        return _layout.__get__(self)

    @property
    def layout(self) -> Layout:
        raise ValueError(
            "Attempted to use an uninitialized parameter or buffer: its module is lazy and has not seen an input yet. Call "
            "`forward` with a first batch before the parameters are used"
        )

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
            "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call `forward` to "
            "initialize the parameters before accessing their attributes."
        )

    @property
    def dtype(self) -> DType:
        return self._held.dtype

    @property
    def device(self) -> Device:
        return self._held.device

    @property
    def is_leaf(self) -> bool:
        return True

    def detach(self) -> Any:
        """Itself: there is nothing to share."""
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def _take(own: Any, other: Tensor) -> None:
    own.layout, own.storage, own.ptr = other.layout, other.storage, other.ptr


class UninitializedParameter(UninitializedTensorMixin, Parameter):  # type: ignore[override]
    """A parameter that waits for its shape."""

    __slots__ = ()
    becomes = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: DType | None = None) -> Any:
        made = Parameter(empty(0, device=device, dtype=dtype), requires_grad)
        made.__class__ = cls
        return made

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Whether it will be trained."""
        self.tracked = requires_grad
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.tracked, self.device, self.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (self.tracked, self.device, self.dtype)


class UninitializedBuffer(UninitializedTensorMixin, Tensor):  # type: ignore[override]
    """A buffer that waits for its shape."""

    __slots__ = ()
    becomes = Tensor

    def __new__(cls, requires_grad: bool = False, device: Any = None, dtype: DType | None = None) -> Any:
        made: Any = empty(0, device=device, dtype=dtype)
        made.tracked, made.__class__ = requires_grad, cls
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.tracked, self.device, self.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (self.tracked, self.device, self.dtype)


def is_lazy(param: Any) -> bool:
    """Whether it waits for its shape."""
    return isinstance(param, UninitializedTensorMixin)
