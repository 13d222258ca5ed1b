"""The constructors of old: ``Tensor(2, 3)``, ``FloatTensor([1, 2])``, ``x.new(2, 3)``, and ``x.new_tensor(data)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import dtypes
from pellucid.devices import as_device
from pellucid.dtypes import DType
from pellucid.layout import Size, dense
from pellucid.operators.arguments import checked_dtype, finished, place, sizes_of
from pellucid.operators.define import method, public
from pellucid.operators.literals import detached, made_of
from pellucid.tensor import Tensor, empty_like_layout


@method
def new_tensor(
    input: Tensor, data: Any, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """``tensor(data)`` in the dtype of ``input``."""
    wanted = input.layout.dtype if dtype is None else checked_dtype("new_tensor", dtype)
    place("new_tensor", device)
    return finished(made_of(data, wanted, "new_tensor"), "new_tensor", requires_grad)


def _require_cpu(operator: str, device: Any) -> None:
    """Raises RuntimeError for a device other than the CPU: the old constructors know no other."""
    if device is not None and as_device(device, operator).type != "cpu":
        raise RuntimeError(
            f"{operator}(): legacy constructor expects device type: cpu but device type: {as_device(device, operator).type} "
            "was passed; use tensor() or empty()"
        )


def _legacy(operator: str, dtype: DType, args: tuple[Any, ...]) -> Tensor:
    """``T()``, ``T(2, 3)`` (sizes), ``T(Size)``, ``T(sequence)``, ``T(tensor)`` (the same cells)."""
    if not args:
        return empty_like_layout(dense((0,), dtype))
    (first, *others) = args
    if not others and isinstance(first, Tensor):
        if first.layout.dtype is not dtype:
            raise TypeError(
                f"{operator}(): expected a tensor of dtype {dtype!r} (got {first.dtype!r}); use .to({dtype!r})"
            )
        return detached(first)
    if not others and isinstance(first, Sequence | np.ndarray) and not isinstance(first, Size | str):
        return made_of(first, dtype, operator)
    if not others and isinstance(first, float | complex | str):
        raise TypeError(f"{operator}(): data must be a sequence (got {type(first).__name__})")
    return empty_like_layout(dense(sizes_of(operator, args), dtype))


@method
def new(input: Tensor, *args: Any, device: Any = None) -> Tensor:
    """``x.new(2, 3)``: not initialised, ``x.new([1, 2])``: these cells; in the dtype of ``input``."""
    _require_cpu("new", device)
    return _legacy("new", input.layout.dtype, args)


def _construct(cls: type, *args: Any, device: Any = None, **_: Any) -> Tensor:
    """``Tensor(2, 3)``: not initialised; ``Tensor([1, 2])``: these cells; of the default dtype."""
    _require_cpu("Tensor", device)
    if len(args) == 1 and isinstance(args[0], Tensor):
        made = detached(args[0])
        made.tracked = False
    else:
        made = _legacy("Tensor", dtypes.get_default_dtype(), args)
    if cls is not Tensor:
        made.__class__ = cls
    return made


Tensor.__new__ = _construct  # type: ignore[assignment,method-assign]


@method
def as_subclass(input: Tensor, cls: type) -> Any:
    """The same cells as a tensor of a class derived from `Tensor`; gradients keep flowing."""
    made: Any = input.view(input.layout.shape)
    made.__class__ = cls
    return made


def _make_subclass(cls: type, data: Tensor, require_grad: bool = False) -> Any:
    """A leaf of class ``cls`` on the cells of ``data``."""
    made = detached(data)
    made.__class__ = cls
    return finished(made, "_make_subclass", require_grad)


setattr(Tensor, "_make_subclass", staticmethod(_make_subclass))  # noqa: B010


class _TypedTensor(type):
    """Classes like ``FloatTensor``: called they make a tensor, and ``isinstance`` asks for the dtype."""

    dtype: DType

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.layout.dtype is cls.dtype

    def __call__(cls, *args: Any, device: Any = None) -> Tensor:
        _require_cpu(cls.__name__, device)
        if len(args) == 1 and isinstance(args[0], np.ndarray):
            return made_of(args[0], cls.dtype, cls.__name__)
        return _legacy(cls.__name__, cls.dtype, args)


for _name, _dtype in {d.scalar_name: d for d in dtypes.DTYPES.values()}.items():
    if not _dtype.is_complex and not _name.startswith("UInt"):
        _title = f"{_name}Tensor"
        public(
            _TypedTensor(_title, (), {"dtype": _dtype, "__module__": "torch", "__doc__": f"Makes {_dtype!r} tensors."}),
            _title,
        )
