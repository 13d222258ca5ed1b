"""One of several values for each cell: the larger, the smaller, by a condition, within bounds."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid.dtypes import DType, bool_, can_cast, finfo, uint8
from pellucid.formula import expr as E
from pellucid.formula.expr import Expr, const, copysign, is_nan, maximum, minimum, select
from pellucid.layout import Layout, dense, overlaps_itself
from pellucid.operators.copying import require_value_fits
from pellucid.operators.define import both, method, public
from pellucid.operators.forms import alias, binary
from pellucid.operators.pointwise import (
    FLOAT,
    NUMBERS,
    SAME,
    Pointwise,
    common_dtype,
    number_or_tensor,
    operand_expr,
    require_tensor,
    working,
)
from pellucid.plan import Operand, Plan
from pellucid.tensor import Tensor, array_of

# -- the larger and the smaller ---------------------------------------------------------------------------------------


def _refuse_complex(name: str) -> Callable[[Sequence[Operand], DType], None]:
    def refuse(operands: Sequence[Operand], common: DType) -> None:
        if common.is_complex:
            raise RuntimeError(f"{name} not implemented for complex tensors: complex numbers have no order.")

    return refuse


def _larger_number(a: Expr, b: Expr) -> Expr:
    return select((a >= b) | is_nan(b), a, b) if a.dtype.is_floating_point else E.maximum(a, b)


def _smaller_number(a: Expr, b: Expr) -> Expr:
    return select((a <= b) | is_nan(b), a, b) if a.dtype.is_floating_point else E.minimum(a, b)


def _of_two(name: str, expression: Callable[[Expr, Expr], Expr], doc: str) -> Callable[..., Tensor]:
    return binary(name, expression, SAME, doc, numbers="none", twin=False, refuse=_refuse_complex(name))


larger = _of_two("maximum", maximum, "The larger of two cells; NaN if one is NaN. Equal ones share the gradient.")
smaller = _of_two("minimum", minimum, "The smaller of two cells; NaN if one is NaN. Equal ones share the gradient.")
fmax = _of_two("fmax", _larger_number, "The larger of two cells, or the one that is not NaN.")
fmin = _of_two("fmin", _smaller_number, "The smaller of two cells, or the one that is not NaN.")

# -- within bounds ----------------------------------------------------------------------------------------------------


def _at_least(x: Expr, low: Expr) -> Expr:
    """NaN of either stays; at the bound itself the gradient goes to ``x``, at NaN nowhere."""
    if not x.dtype.is_floating_point:
        return maximum(x, low)
    return select(x >= low, x, select(is_nan(x), float("nan"), low))


def _at_most(x: Expr, high: Expr) -> Expr:
    if not x.dtype.is_floating_point:
        return minimum(x, high)
    return select(x <= high, x, select(is_nan(x), float("nan"), high))


def _clamp_name(x: Operand, bound: Operand, *_: Operand) -> str:
    return f"ClampBackward{int(not isinstance(bound, Layout))}"


def _refuse_clamp(operands: Sequence[Operand], common: DType) -> None:
    if common.is_complex:
        raise NotImplementedError("clamp is not supported for complex types: complex numbers have no order")
    tensors = all(isinstance(x, Layout) for x in operands)
    if common is bool_ and not (tensors and len(operands) == 2):
        kernel = "clamp_cpu" if tensors else "clamp_scalar_cpu"
        raise NotImplementedError(f"\"{kernel}\" not implemented for 'Bool': use logical_or() and logical_and()")


class Bounded(Pointwise):
    """Numbers beside the operand do not widen what may be written."""

    def is_exact(self, operands: Sequence[Operand], result: DType) -> bool:
        return not any(isinstance(x, Layout) for x in operands[1:])


_between = Bounded(
    "clamp", lambda x, low, high: _at_most(_at_least(x, low), high), SAME,
    node_name=_clamp_name, refuse=_refuse_clamp, fitting=(1, 2),
)  # fmt: skip
_above = Bounded("clamp", _at_least, SAME, node_name=_clamp_name, refuse=_refuse_clamp, fitting=(1,))
_below = Bounded("clamp", _at_most, SAME, node_name=_clamp_name, refuse=_refuse_clamp, fitting=(1,))


def _clamp_form(input: Any, min: Any, max: Any) -> tuple[Pointwise, tuple[Any, ...]]:
    require_tensor(input, "clamp")
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    bounds = tuple(
        number_or_tensor(b, "clamp", name, input) for name, b in (("min", min), ("max", max)) if b is not None
    )
    if len({isinstance(b, Tensor) for b in bounds}) > 1:
        # Beside a number, a 0-d tensor counts as one.
        bounds = tuple(array_of(b).item() if isinstance(b, Tensor) and b.ndim == 0 else b for b in bounds)
    if len({isinstance(b, Tensor) for b in bounds}) > 1:
        raise TypeError(
            "clamp(): 'min' and 'max' must both be tensors or both be numbers; got "
            f"{type(min).__name__} and {type(max).__name__}"
        )
    if len(bounds) == 2:
        return _between, bounds
    return (_above if max is None else _below), bounds


@both
def clamp(input: Tensor, min: Any = None, max: Any = None, *, out: Tensor | None = None) -> Tensor:
    """``min(max(input[...], min), max)``; bounds are numbers or tensors, one of them may be left out.

    ``max`` wins where the bounds cross. NaN stays NaN, of bounds as well. The gradient goes to ``input`` at the bounds
    themselves.
    """
    if isinstance(input, Tensor) and out is None:
        low, high = type(min), type(max)
        if low in NUMBERS and high in NUMBERS:
            return _between.plans[input.layout, low, high](input, min, max)
        if low in NUMBERS and max is None:
            return _above.plans[input.layout, low](input, min)
        if high in NUMBERS and min is None:
            return _below.plans[input.layout, high](input, max)
    op, bounds = _clamp_form(input, min, max)
    return op.deliver(out, input, *bounds)


@method
def clamp_(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """In-place form of `clamp`."""
    if type(min) in NUMBERS and type(max) in NUMBERS:
        return _between.write(input, input, min, max)
    op, bounds = _clamp_form(input, min, max)
    return op.write(input, input, *bounds)


public(clamp_)
alias("clip", clamp)
public(clamp_, "clip_")


def _bound_name(kind: str) -> Callable[[Operand, Operand], str]:
    return lambda x, bound: f"Clamp{kind}Backward{int(isinstance(bound, Layout))}"


def clamp_min(input: Tensor, min: Any, *, out: Tensor | None = None) -> Tensor:
    """`clamp` with a lower bound only."""
    bound = number_or_tensor(min, "clamp_min", "min", require_tensor(input, "clamp_min"))
    return _lower.deliver(out, input, bound)


def clamp_max(input: Tensor, max: Any, *, out: Tensor | None = None) -> Tensor:
    """`clamp` with an upper bound only."""
    bound = number_or_tensor(max, "clamp_max", "max", require_tensor(input, "clamp_max"))
    return _upper.deliver(out, input, bound)


_lower = Bounded("clamp_min", _at_least, SAME, node_name=_bound_name("Min"), refuse=_refuse_clamp, fitting=(1,))
_upper = Bounded("clamp_max", _at_most, SAME, node_name=_bound_name("Max"), refuse=_refuse_clamp, fitting=(1,))


def clamp_min_(input: Tensor, min: Any) -> Tensor:
    """In-place form of `clamp_min`."""
    return _lower.write(input, input, number_or_tensor(min, "clamp_min_", "min", input))


def clamp_max_(input: Tensor, max: Any) -> Tensor:
    """In-place form of `clamp_max`."""
    return _upper.write(input, input, number_or_tensor(max, "clamp_max_", "max", input))


for _function in (clamp_min, clamp_max, clamp_min_, clamp_max_):
    both(_function)

# -- by a condition ---------------------------------------------------------------------------------------------------


class Where(Pointwise):
    """The first operand is the condition; the other two are promoted."""

    def common(self, operands: Sequence[Operand]) -> DType:
        condition = operands[0]
        dtype = condition.dtype if isinstance(condition, Layout) else None
        if dtype not in (bool_, uint8):
            met = dtype.scalar_name if dtype is not None else "number"
            raise RuntimeError(
                f"where expected condition to be a boolean tensor, but got a tensor with dtype {met}: compare first, "
                "for example condition != 0"
            )
        return common_dtype(operands[1:])

    def is_exact(self, operands: Sequence[Operand], result: DType) -> bool:
        return True

    def checking(self, plan: Plan, operands: Sequence[Operand], first: int = 0) -> Plan:
        """Floats become infinite beyond the range of half precision, as those of tensors do."""
        return plan if self.common(operands).is_floating_point else super().checking(plan, operands, first)

    def arguments(self, operands: Sequence[Operand], inner: DType) -> list[Expr]:
        condition, *values = [operand_expr(k, x) for k, x in enumerate(operands)]
        return [condition.cast(bool_), *(v.cast(working(inner)) for v in values)]


_where = Where("where", select, SAME, fitting=(1, 2))
_choices = _where.plans


@public
def where(condition: Tensor, input: Any = None, other: Any = None, *, out: Tensor | None = None) -> Any:
    """``out[...] = input[...] if condition[...] else other[...]``, broadcast and promoted; both may be numbers.

    With the condition alone: the coordinates of its true cells, one index tensor per dimension.

    Raises:
        RuntimeError: the condition is not boolean.
    """
    if out is None and isinstance(condition, Tensor) and isinstance(input, Tensor) and isinstance(other, Tensor):
        return _choices[condition.layout, input.layout, other.layout](condition, input, other)
    require_tensor(condition, "where", "condition")
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    a = number_or_tensor(input, "where", "input", other)
    return _where.deliver(out, condition, a, number_or_tensor(other, "where", "other", input))


def _where_method(input: Tensor, condition: Tensor, other: Any) -> Any:
    """``out[...] = input[...] if condition[...] else other[...]``; see `where`."""
    return where(condition, input, other)


method(_where_method, "where")


class MaskedFill(Pointwise):
    """The result has the dtype of the first operand, whatever the value is."""

    def common(self, operands: Sequence[Operand]) -> DType:
        x, mask, value = operands
        assert isinstance(x, Layout), "masked_fill() is a function of a tensor"
        assert isinstance(mask, Layout), "masked_fill() takes a mask"
        if mask.dtype is not bool_:
            raise RuntimeError(
                f"masked_fill_ only supports boolean masks, but got mask with dtype {mask.dtype}: compare first, for "
                "example mask != 0"
            )
        if isinstance(value, Layout):
            if value.ndim:
                raise RuntimeError(
                    "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                    f"{value.ndim} dimension(s): use where() for one value per cell"
                )
            if not can_cast(value.dtype, x.dtype) and value.dtype.is_complex:
                raise RuntimeError(
                    f"value cannot be converted to type {x.dtype.scalar_name} without losing its imaginary part"
                )
        return x.dtype

    def result(self, shape: tuple[int, ...], tensors: list[Layout], dtype: DType) -> Layout:
        return dense(shape, dtype)  # PyTorch fills a contiguous copy

    def require_cells_apart(self, target: Layout) -> None:
        """A value that is the same for all may be written several times."""

    def build_write(self, target: Layout, *operands: Operand) -> Plan:
        if not overlaps_itself(target):
            return super().build_write(target, *operands)
        self._writing(target, operands)  # checks them

        def plan(x: Tensor, _: Tensor, mask: Tensor, value: Any) -> Tensor:
            warnings.warn(
                "Use of masked_fill_ on expanded tensors is deprecated. Please clone() the tensor before performing this "
                "operation. This also applies to advanced indexing e.g. tensor[mask] = scalar",
                UserWarning,
                stacklevel=4,
            )
            cells = array_of(x)
            cells[np.broadcast_to(array_of(mask), cells.shape)] = value.item() if isinstance(value, Tensor) else value
            x.storage.version += 1
            return x

        return plan

    def arguments(self, operands: Sequence[Operand], inner: DType) -> list[Expr]:
        x, mask, value = [operand_expr(k, o) for k, o in enumerate(operands)]
        return [x.cast(working(inner)), mask, value.cast(inner).cast(working(inner))]


_masked_fill = MaskedFill(
    "masked_fill", lambda x, mask, value: select(mask, value, x), SAME,
    node_name=lambda x, mask, value: f"MaskedFillBackward{int(isinstance(value, Layout))}", fitting=(2,),
)  # fmt: skip
_fills = _masked_fill.plans


@both
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """``out[...] = value if mask[...] else input[...]``; the mask is boolean and broadcasts, the value is one number.

    Raises:
        RuntimeError: the mask is not boolean; a value tensor with dimensions.
    """
    if type(value) in NUMBERS and isinstance(mask, Tensor) and isinstance(input, Tensor):
        return _fills[input.layout, mask.layout, type(value)](input, mask, value)
    require_tensor(input, "masked_fill")
    require_tensor(mask, "masked_fill", "mask")
    if isinstance(value, Tensor) and value.layout.ndim == 0 and not value.layout.dtype.is_complex:
        require_value_fits(value, input.layout.dtype, "masked_fill")
    return _masked_fill(input, mask, number_or_tensor(value, "masked_fill", "value", input))


@method
def masked_fill_(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """In-place form of `masked_fill`."""
    require_tensor(mask, "masked_fill_", "mask")
    if isinstance(value, Tensor) and value.layout.ndim == 0 and not value.layout.dtype.is_complex:
        require_value_fits(value, input.layout.dtype, "masked_fill_")
    return _masked_fill.write(input, input, mask, number_or_tensor(value, "masked_fill_", "value", input))


# -- by the value itself ----------------------------------------------------------------------------------------------


def _refuse_heaviside(operands: Sequence[Operand], common: DType) -> None:
    if common.is_complex:
        raise RuntimeError("heaviside is not yet implemented for complex tensors.")
    kinds = {x.dtype for x in operands if isinstance(x, Layout)}
    if len(kinds) > 1:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")


def _step(x: Expr, at_zero: Expr) -> Expr:
    zero, one = const(0, x.dtype), const(1, x.dtype)
    if x.dtype is bool_:
        return select(x, one, at_zero)
    return select(x.equals(zero), at_zero, select(x > zero, one, zero))


heaviside = binary(
    "heaviside", _step, SAME, "0 below 0 and for NaN, 1 above 0, ``values`` at 0.", numbers="none", argument="values",
    gradient="undefined", refuse=_refuse_heaviside,
)  # fmt: skip


def _copy_sign(a: Expr, b: Expr) -> Expr:
    return copysign(a, b)


copied_sign = binary(
    "copysign", _copy_sign, FLOAT, "The size of ``input`` with the sign of ``other`` (which zeros and NaN have too).",
    takes="buif", node_name=lambda a, b: f"CopysignBackward{int(not isinstance(b, Layout))}",
)  # fmt: skip


def _finite(x: Expr, nan: Expr, high: Expr, low: Expr) -> Expr:
    if x.dtype.is_complex:
        part = x.dtype.to_real()
        numbers = [E.unary("real", e, part) for e in (nan, high, low)]
        parts = tuple(_finite(E.unary(name, x, part), *numbers) for name in ("real", "imag"))
        return E.node("complex", parts, x.dtype)
    if not x.dtype.is_floating_point:
        return x
    x = select(x.equals(float("inf")), high, select(x.equals(float("-inf")), low, x))
    return select(is_nan(x), nan, x)


_nan_to_num = Bounded("nan_to_num", _finite, SAME, promoting=1)


def _finite_numbers(input: Tensor, nan: float | None, posinf: float | None, neginf: float | None) -> tuple[float, ...]:
    dtype = require_tensor(input, "nan_to_num").dtype
    if not (dtype.is_floating_point or dtype.is_complex):
        return 0.0, 0.0, 0.0
    limits = finfo(dtype)
    return (
        0.0 if nan is None else float(nan),
        limits.max if posinf is None else float(posinf),
        limits.min if neginf is None else float(neginf),
    )


@both
def nan_to_num(
    input: Tensor,
    nan: float | None = None,
    posinf: float | None = None,
    neginf: float | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Numbers in place of NaN (0), inf (the largest of the dtype) and -inf (the lowest)."""
    return _nan_to_num.deliver(out, input, *_finite_numbers(input, nan, posinf, neginf))


@method
def nan_to_num_(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """In-place form of `nan_to_num`."""
    return _nan_to_num.write(input, input, *_finite_numbers(input, nan, posinf, neginf))


public(nan_to_num_)
