"""Arguments that many operators take: sizes, and where and how a new tensor is made."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NoReturn, final

from pellucid import dtypes
from pellucid.devices import as_device, canonical, check_available, default_device
from pellucid.devices import device as Device
from pellucid.dtypes import DType, require_dtype
from pellucid.layout import CPU, Layout
from pellucid.tensor import Tensor


@final
class layout:
    """How a tensor's cells are kept. Pellucid has one way: ``strided``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "torch.strided"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, layout | Layout)

    def __hash__(self) -> int:
        return hash("strided")

    def __reduce__(self) -> str:
        return "strided"


strided = layout()


def sizes_of(operator: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape that ``f(2, 3)``, ``f((2, 3))`` and ``f([2, 3])`` all mean.

    Raises:
        TypeError: not integers; RuntimeError: a negative one.
    """
    if len(size) == 1 and isinstance(size[0], Sequence) and not isinstance(size[0], str):
        size = tuple(size[0])
    shape = tuple([_one_size(operator, n, i) for i, n in enumerate(size)])
    if shape and min(shape) < 0:
        raise RuntimeError(
            f"{operator}: Dimension size must be non-negative, but the sizes are {shape}: trying to create tensor "
            f"with negative dimension {min(shape)}"
        )
    return shape


def _one_size(operator: str, n: Any, position: int) -> int:
    if type(n) is int:
        return n
    if not isinstance(n, bool | float | complex | str):
        try:
            return n.__index__()
        except AttributeError:
            pass
    raise TypeError(
        f"{operator}(): argument 'size' (position {position + 1}) must be tuple of ints, not {type(n).__name__}"
    )


def checked_dtype(operator: str, dtype: Any) -> DType:
    """The dtype asked for; None means the default one."""
    if dtype is None:
        return dtypes.get_default_dtype()
    return dtype if type(dtype) is DType else require_dtype(dtype, operator)


def place(operator: str, device: Any, layout: Any = None, pin_memory: bool = False) -> Device:
    """Where a new tensor goes; checks that tensors can be kept there, and in that way.

    Raises:
        AssertionError, NotImplementedError: no such device here; RuntimeError: pinned memory without a GPU;
        TypeError: another kind of layout.
    """
    if layout is not None and layout is not strided and not isinstance(layout, Layout):
        raise TypeError(
            f"{operator}(): argument 'layout' must be torch.strided (tensors here are always strided), not {layout!r}"
        )
    where = default_device() if device is None else canonical(as_device(device, operator))
    if where is not CPU:
        where = canonical(where)
        check_available(where, operator)
    if pin_memory:
        raise RuntimeError(
            f"{operator}(): Need to provide pin_memory allocator to use pin memory: no GPU is usable here"
        )
    return where


def require_out_dtype(operator: str, out: Any, dtype: Any) -> None:
    """Raises RuntimeError if a dtype is asked for that is not that of ``out``, TypeError if that is no tensor."""
    if out is not None and not isinstance(out, Tensor):
        raise TypeError(f"{operator}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if isinstance(out, Tensor) and dtype is not None and out.layout.dtype is not dtype:
        raise RuntimeError(
            f"{operator}(): dtype {dtype.scalar_name} does not match dtype of out parameter "
            f"({out.layout.dtype.scalar_name}); leave dtype= away"
        )


def require_tensor(operator: str, value: Any, argument: str = "input", position: int = 1) -> Tensor:
    """Raises TypeError for what is not a tensor."""
    if not isinstance(value, Tensor):
        not_a_tensor(operator, value, argument, position)
    return value


def not_a_tensor(operator: str, value: Any, argument: str = "input", position: int = 1) -> NoReturn:
    raise TypeError(
        f"{operator}(): argument '{argument}' (position {position}) must be Tensor, not {type(value).__name__}"
    )


def number_first(operator: str, keyword: str, number: Any) -> Any:
    """The number in ``f(x, number, tensor)``, an older order of the arguments that PyTorch still takes.

    Raises:
        TypeError: it is no number, so that there is an argument too many.
    """
    if isinstance(number, Tensor) and number.layout.ndim == 0:
        number = number.item()
    if not isinstance(number, bool | int | float | complex):
        raise TypeError(
            f"{operator}() received an invalid combination of arguments: a {type(number).__name__} stands where only a "
            f"number can, before the last tensor; write {operator}(..., {keyword}=number)"
        )
    warnings.warn(
        f"This overload of {operator} is deprecated: a number before the tensors. Write {operator}(..., {keyword}={number})",
        UserWarning,
        stacklevel=3,
    )
    return number


def finished(t: Tensor, operator: str, requires_grad: bool) -> Tensor:
    """``t`` with gradients asked for, if they are.

    Raises:
        RuntimeError: gradients of a dtype that has none.
    """
    if requires_grad:
        dtype = t.layout.dtype
        if not (dtype.is_floating_point or dtype.is_complex):
            raise RuntimeError(
                f"{operator}(): Only Tensors of floating point and complex dtype can require gradients, not {dtype!r}"
            )
        t.tracked = True
    return t


PUBLIC_NAMES = {"layout": layout, "strided": strided}
