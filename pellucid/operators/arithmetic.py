"""Sums, products, quotients, powers, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid import dtypes
from pellucid.dtypes import DType, bool_, int64
from pellucid.formula import expr as E
from pellucid.formula.expr import Expr, const, copysign, select
from pellucid.layout import Layout, layout_of
from pellucid.operators.arguments import number_first
from pellucid.operators.define import both, key_of, method, public
from pellucid.operators.forms import (
    alias,
    binary,
    dunder,
    in_place_binary,
    infix,
    reflected,
    unary,
)
from pellucid.operators.pointwise import (
    FLOAT,
    NUMBERS,
    ONLY_BOOL,
    REAL,
    SAME,
    Pointwise,
    common_dtype,
    number_or_tensor,
    require_tensor,
    working,
)
from pellucid.plan import Operand
from pellucid.tensor import Tensor, array_of, empty_like_layout

# -- sums and differences ---------------------------------------------------------------------------------------------


def _refuse_bool_sub(operands: Sequence[Operand], common: DType) -> None:
    kinds = [x.dtype if isinstance(x, Layout) else bool_ if x is bool else None for x in operands[:2]]
    if bool_ in kinds:
        which, instead = "a bool tensor", "If you are trying to invert a mask, use the `~` or `logical_not()`"
        if kinds == [bool_, bool_]:
            which, instead = "two bool tensors", "Use the `^` or `logical_xor()`"
        raise RuntimeError(f"Subtraction, the `-` operator, with {which} is not supported. {instead} operator instead.")


def _rsub_name(a: Operand, b: Operand, *_: Operand) -> str:
    return "SubBackward0" if isinstance(a, Layout) else "RsubBackward1"


_add = Pointwise("add", lambda a, b: a + b, SAME)
_sub = Pointwise("sub", lambda a, b: a - b, SAME, refuse=_refuse_bool_sub, node_name=_rsub_name)
_rsub = Pointwise("rsub", lambda a, b: b - a, SAME, refuse=_refuse_bool_sub)
_scaled_add = Pointwise("add", lambda a, b, alpha: a + alpha * b, SAME, promoting=2, rounded=3)
_scaled_sub = Pointwise("sub", lambda a, b, alpha: a - alpha * b, SAME, promoting=2, rounded=3, refuse=_refuse_bool_sub)


def _scaled(plain: Pointwise, scaled: Pointwise, target: Any, input: Any, other: Any, alpha: Any, out: Any) -> Any:
    """``input + alpha * other`` (or minus), into ``target`` or ``out`` if there is one."""
    name = plain.name
    a = input if type(input) is Tensor else number_or_tensor(input, name, "input", other)
    b = other if type(other) is Tensor else number_or_tensor(other, name, "other", input)
    if type(alpha) is int and alpha == 1:
        return plain.deliver(out, a, b) if target is None else plain.write(target, a, b)
    _check_alpha(name, a, b, alpha)
    c = number_or_tensor(alpha, name, "alpha", a)
    return scaled.deliver(out, a, b, c) if target is None else scaled.write(target, a, b, c)


def _check_alpha(name: str, a: Any, b: Any, alpha: Any) -> None:
    if not isinstance(alpha, (bool, int, float, complex)) and not hasattr(alpha, "dtype"):
        raise TypeError(f"{name}(): argument 'alpha' must be Number, not {type(alpha).__name__}")
    common = common_dtype([key_of(a), key_of(b)])
    if isinstance(alpha, bool) and common is not bool_:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, float) and not (common.is_floating_point or common.is_complex):
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if isinstance(alpha, complex) and not common.is_complex:
        raise RuntimeError("For non-complex input tensors, argument alpha must not be a complex number.")


_plus, _minus = _add.plans, _sub.plans


@both
def add(input: Tensor, other: Any, last: Any = None, *, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """Sums: ``out[...] = input[...] + alpha * other[...]``, broadcast and promoted.

    ``add(input, alpha, other)`` is an older way to say it.
    """
    if last is not None:
        other, alpha = last, number_first("add", "alpha", other)
    if out is None and alpha is _ONE and isinstance(input, Tensor):
        if isinstance(other, Tensor):
            return _plus[input.layout, other.layout](input, other)
        if type(other) in NUMBERS:
            return _plus[input.layout, type(other)](input, other)
    return _scaled(_add, _scaled_add, None, input, other, alpha, out)


@both
def sub(input: Tensor, other: Any, last: Any = None, *, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """Differences: ``out[...] = input[...] - alpha * other[...]``; not defined for two boolean tensors.

    ``sub(input, alpha, other)`` is an older way to say it.
    """
    if last is not None:
        other, alpha = last, number_first("sub", "alpha", other)
    if out is None and alpha is _ONE and isinstance(input, Tensor):
        if isinstance(other, Tensor):
            return _minus[input.layout, other.layout](input, other)
        if type(other) in NUMBERS:
            return _minus[input.layout, type(other)](input, other)
    return _scaled(_sub, _scaled_sub, None, input, other, alpha, out)


_ONE = 1
_add_in_place, _sub_in_place = in_place_binary(_add), in_place_binary(_sub)


@method
def add_(input: Tensor, other: Any, last: Any = None, *, alpha: Any = 1) -> Tensor:
    """In-place form of `add`."""
    if last is not None:
        other, alpha = last, number_first("add_", "alpha", other)
    if alpha is _ONE:
        return _add_in_place(input, other)
    return _scaled(_add, _scaled_add, input, input, other, alpha, None)


@method
def sub_(input: Tensor, other: Any, last: Any = None, *, alpha: Any = 1) -> Tensor:
    """In-place form of `sub`."""
    if last is not None:
        other, alpha = last, number_first("sub_", "alpha", other)
    if alpha is _ONE:
        return _sub_in_place(input, other)
    return _scaled(_sub, _scaled_sub, input, input, other, alpha, None)


@public
def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """``out[...] = other[...] - alpha * input[...]``."""
    if isinstance(other, Tensor) and type(alpha) is int and alpha == 1:
        return _rsub(require_tensor(input, "rsub"), other)
    return sub(other, require_tensor(input, "rsub"), alpha=alpha)


alias("subtract", sub)

# -- products and quotients -------------------------------------------------------------------------------------------

mul = binary(
    "mul", lambda a, b: a * b, SAME, "Products: ``out[...] = input[...] * other[...]``; of booleans: and.",
    numbers="either", precise=True,
)  # fmt: skip
alias("multiply", mul)


def truncated_quotient(a: Expr, b: Expr) -> Expr:
    """The quotient, rounded to the dtype, then toward zero."""
    if not a.dtype.is_floating_point:
        return a / b
    wide = working(a.dtype)
    return E.unary("trunc", (a.cast(wide) / b.cast(wide)).cast(a.dtype).cast(wide))


def floored_quotient(a: Expr, b: Expr) -> Expr:
    """The largest whole number that is not above the quotient, exact also where ``a / b`` rounds up to the next."""
    if not a.dtype.is_floating_point:
        quotient = a / b
        if not a.dtype.is_signed:
            return quotient
        inexact = (a - quotient * b).differs(0)
        return select(inexact & (a < 0).differs(b < 0), quotient - 1, quotient)
    remainder = a % b
    other_side = remainder.differs(0.0) & (b < 0.0).differs(remainder < 0.0)
    quotient = (a - remainder) / b
    quotient = select(other_side, quotient - 1.0, quotient)
    whole = E.unary("floor", quotient)
    whole = select(quotient - whole > 0.5, whole + 1.0, whole)
    whole = select(quotient.equals(0.0), copysign(const(0.0, a.dtype), a / b), whole)
    return select(b.equals(0.0), a / b, whole)


def floored_remainder(a: Expr, b: Expr) -> Expr:
    """What is left of ``a`` by whole multiples of ``b``, with the sign of ``b``."""
    rest = a % b
    if not (a.dtype.is_floating_point or a.dtype.is_signed):
        return rest
    zero = const(0.0, a.dtype) if a.dtype.is_floating_point else const(0, a.dtype)
    return select(rest.differs(zero) & (b < zero).differs(rest < zero), rest + b, rest)


def number_over(x: Expr, number: Expr) -> Expr:
    """``number / x`` as PyTorch computes it: the reciprocal, rounded to the dtype, times the number."""
    wide = working(x.dtype)
    inverse = E.unary("reciprocal", x.cast(wide)).cast(x.dtype)
    return inverse.cast(wide) * number.cast(wide)


_div = Pointwise("div", lambda a, b: a / b, FLOAT, precise=True)
_div_trunc = Pointwise(
    "div", truncated_quotient, SAME,
    takes="uif", kernel="div_trunc_cpu", node_name="DivBackward2", gradient="zero", stored=True,
)  # fmt: skip
_div_floor = Pointwise(
    "div", floored_quotient, SAME,
    takes="uif", kernel="div_floor_cpu", node_name="DivBackward2", gradient="zero", precise=True,
)  # fmt: skip
_number_over = Pointwise(
    "div", number_over, FLOAT, node_name="MulBackward0", stored=True, precise=True,
)  # fmt: skip
_divisions = {None: _div, "trunc": _div_trunc, "floor": _div_floor}
_quotients = _div.plans


def _division(rounding_mode: str | None) -> Pointwise:
    found = _divisions.get(rounding_mode)
    if found is None:
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        )
    return found


@both
def div(input: Tensor, other: Any, *, rounding_mode: str | None = None, out: Tensor | None = None) -> Tensor:
    """Quotients: ``out[...] = input[...] / other[...]``; integers give the default floating-point dtype.

    With ``rounding_mode`` "trunc" or "floor" the quotient is rounded toward zero or down, and keeps the dtype.

    Raises:
        RuntimeError: an integer is divided by zero with rounding; another rounding mode.
    """
    if out is None and rounding_mode is None and isinstance(input, Tensor):
        if isinstance(other, Tensor):
            return _quotients[input.layout, other.layout](input, other)
        if type(other) in NUMBERS:
            return _quotients[input.layout, type(other)](input, other)
    op = _division(rounding_mode)
    first = number_or_tensor(input, "div", "input", other)
    return op.deliver(out, first, number_or_tensor(other, "div", "other", input))


_divide_in_place = {mode: in_place_binary(op) for mode, op in _divisions.items()}


@method
def div_(input: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """In-place form of `div`."""
    _division(rounding_mode)
    return _divide_in_place[rounding_mode](input, other)


def true_divide(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
    """Quotients: ``out[...] = input[...] / other[...]``."""
    return div(input, other, out=out)


alias("divide", div)
both(true_divide)
method(lambda input, other: div_(input, other), "true_divide_")

floor_divide = binary(
    "floor_divide", floored_quotient, SAME,
    "Quotients rounded down: ``out[...] = floor(input[...] / other[...])``.\n\n"
    "Raises:\n    RuntimeError: an integer is divided by zero.",
    numbers="either", takes="uif", kernel="div_floor_cpu", gradient="undefined", precise=True,
)  # fmt: skip
remainder = binary(
    "remainder", floored_remainder, SAME,
    "Python's ``%``: what is left of ``input`` by whole multiples of ``other``, with the sign of ``other``.\n\n"
    "Raises:\n    RuntimeError: an integer is divided by zero.",
    numbers="one", takes="uif", kernel="remainder_cpu",
    node_name=lambda a, b: f"RemainderBackward{int(isinstance(b, Layout))}",
)  # fmt: skip
fmod = binary(
    "fmod", lambda a, b: a % b, SAME,
    "C's remainder: it has the sign of ``input``.\n\nRaises:\n    RuntimeError: an integer is divided by zero.",
    takes="uif", kernel="fmod_cpu", node_name=lambda a, b: f"FmodBackward{int(isinstance(b, Layout))}",
)  # fmt: skip

# -- powers -----------------------------------------------------------------------------------------------------------


def power(a: Expr, b: Expr) -> Expr:
    if a.dtype.is_floating_point or a.dtype.is_complex:
        return E.node("pow", (a, b), a.dtype)
    return integer_power(a, b)


def integer_power(a: Expr, b: Expr) -> Expr:
    """By squaring, modulo the width of the dtype. A negative power is 0, but for bases 1 and -1."""
    result, square = const(1, a.dtype), a
    for bit in range(8 * a.dtype.itemsize - a.dtype.is_signed):
        result = select(((b >> bit) & 1).differs(0), result * square, result)
        square = square * square
    if not a.dtype.is_signed:
        return result
    sign = select((b & 1).differs(0), const(-1, a.dtype), 1)
    negative = select(a.equals(1), const(1, a.dtype), select(a.equals(-1), sign, 0))
    return select(b < 0, negative, result)


def _integers(common: DType) -> tuple[DType, DType]:
    """An integer exponent makes integers of booleans."""
    return (int64, int64) if common is bool_ else (common, common)


_pow = Pointwise(
    "pow", power, SAME, takes="uifc", fitting=(1,),
    node_name=lambda a, b: "PowBackward2" if not isinstance(a, Layout) else f"PowBackward{int(isinstance(b, Layout))}",
)  # fmt: skip


def _special_power(exponent: float, expression: Any) -> dict[Any, Pointwise]:
    found: dict[Any, Pointwise] = {
        (float, float(exponent)): Pointwise("pow", expression, FLOAT, node_name="PowBackward0")
    }
    if exponent in (2, 3):
        found[int, int(exponent)] = Pointwise("pow", expression, _integers, node_name="PowBackward0")
    return found


# Powers that are cheaper than the general one; keyed by the exponent's type as well, which decides on the dtype.
_POWERS = {
    **_special_power(2, lambda x: x * x),
    **_special_power(3, lambda x: x * x * x),
    **_special_power(0.5, lambda x: E.unary("sqrt", x)),
}
_power_plans = _pow.plans


def _require_positive_exponent(base: Any, exponent: Any) -> None:
    if type(exponent) is int and exponent < 0 and isinstance(base, Tensor) and base.dtype.kind in "uib":
        raise RuntimeError(
            "Integers to negative integer powers are not allowed. Convert the base to a floating-point dtype, or "
            "use a floating-point exponent."
        )


def _power_of(input: Any, exponent: Any, out: Tensor | None = None) -> Any:
    if not isinstance(input, Tensor):
        require_tensor(exponent, "pow", "exponent")
    a = number_or_tensor(input, "pow", "input", exponent)
    b = number_or_tensor(exponent, "pow", "exponent", input)
    _require_positive_exponent(a, b)
    if not isinstance(b, Tensor):
        special = _POWERS.get((type(b), b))
        if special is not None:
            return special.deliver(out, a)
    return _pow.deliver(out, a, b)


@both
def pow(input: Any, exponent: Any, *, out: Tensor | None = None) -> Tensor:
    """Powers: ``out[...] = input[...] ** exponent[...]``; one of the two may be a number.

    Integers stay integers and wrap around; a negative exponent then gives 0 unless the base is 1 or -1.

    Raises:
        RuntimeError: integers to a negative integer number.
    """
    return _power_of(input, exponent, out)


@method
def pow_(input: Tensor, exponent: Any) -> Tensor:
    """In-place form of `pow`."""
    b = number_or_tensor(exponent, "pow_", "exponent", input)
    _require_positive_exponent(input, b)
    special = None if isinstance(b, Tensor) else _POWERS.get((type(b), b))
    return _pow.write(input, input, b) if special is None else special.write(input, input)


def _power_method(self: Tensor, other: Any) -> Any:
    kind = type(other)
    if kind in NUMBERS:
        special = _POWERS.get((kind, other))
        if special is not None:
            return special.plans[self.layout](self)
        if kind is not float:
            _require_positive_exponent(self, other)
        return _power_plans[self.layout, kind](self, other)
    try:
        return _power_of(self, other)
    except TypeError:
        return NotImplemented


def _power_in_place(self: Tensor, other: Any) -> Any:
    try:
        return pow_(self, other)
    except TypeError:
        return NotImplemented


class _InDouble(Pointwise):
    """Computed in double precision, whatever the operands are."""

    def common(self, operands: Sequence[Operand]) -> DType:
        found = [x for x in operands if isinstance(x, Layout)]
        return dtypes.complex128 if any(x.dtype.is_complex for x in found) else dtypes.float64


_float_power = _InDouble("float_power", power, SAME, node_name="PowBackward1")


def _double_operands(name: str, input: Any, exponent: Any, target: Any, role: str) -> tuple[Any, Any]:
    """Base and exponent as plans take them.

    Raises:
        RuntimeError: ``target``, if there is one, is not of the result's dtype.
    """
    if not isinstance(input, Tensor):
        require_tensor(exponent, name, "exponent")
    pair = []
    for value, argument in ((input, "input"), (exponent, "exponent")):
        if isinstance(value, complex):
            number = empty_like_layout(layout_of((), (), dtypes.complex128))
            array_of(number)[()] = value
            value = number
        pair.append(number_or_tensor(value, name, argument))
    wanted = _float_power.common([key_of(x) for x in pair])
    if isinstance(target, Tensor) and target.dtype is not wanted:
        raise RuntimeError(
            f"the {role} given to {name} has dtype {target.dtype.scalar_name} but the operation's result requires "
            f"dtype {wanted.scalar_name}"
        )
    return pair[0], pair[1]


@both
def float_power(input: Any, exponent: Any, *, out: Tensor | None = None) -> Tensor:
    """Powers in double precision: ``out[...] = double(input[...]) ** double(exponent[...])``.

    Raises:
        RuntimeError: ``out`` is not torch.float64, or torch.complex128 where an operand is complex.
    """
    return _float_power.deliver(out, *_double_operands("float_power", input, exponent, out, "output"))


@method
def float_power_(input: Tensor, exponent: Any) -> Tensor:
    """In-place form of `float_power`, for tensors of torch.float64 and torch.complex128."""
    return _float_power.write(input, *_double_operands("float_power_", input, exponent, input, "base"))


square = unary(
    "square", lambda x: x * x, _integers, "``out[...] = input[...] ** 2``.", node_name="PowBackward0"
)

# -- signs ------------------------------------------------------------------------------------------------------------


def _refuse_bool_neg(operands: Sequence[Operand], common: DType) -> None:
    if common is bool_:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use "
            "the `~` or `logical_not()` operator instead."
        )


def _refuse_complex_sign(operands: Sequence[Operand], common: DType) -> None:
    if common.is_complex:
        raise NotImplementedError(
            "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead."
        )


def sign_of(x: Expr) -> Expr:
    """-1, 0 or 1; 0 for NaN. Of a complex number: the number of size 1 in its direction."""
    if x.dtype is bool_:
        return x
    if x.dtype.is_complex:
        size = E.unary("abs", x, x.dtype.to_real())
        return select(size.equals(0.0), const(0, x.dtype), x / select(size.equals(0.0), 1.0, size).cast(x.dtype))
    one, zero = (const(1.0, x.dtype), const(0.0, x.dtype)) if x.dtype.is_floating_point else (1, 0)
    positive = select(x > zero, const(1, x.dtype) if one == 1 else one, zero)
    return select(x < zero, -const(1, x.dtype) if one == 1 else -one, positive) if x.dtype.is_signed else positive


def _sign_bit(x: Expr) -> Expr:
    if x.dtype.is_floating_point:
        return copysign(const(1.0, x.dtype), x) < 0.0
    return x < 0 if x.dtype.is_signed else const(False, bool_)


neg = unary("neg", lambda x: -x, SAME, "``out[...] = -input[...]``; unsigned integers wrap.", refuse=_refuse_bool_neg)
abs = unary(
    "abs", lambda x: E.unary("abs", x, x.dtype.to_real()), REAL,
    "Absolute values; of complex numbers: their size, which is real.", takes="uifc", kernel="abs_cpu",
)  # fmt: skip
sign = unary(
    "sign", sign_of, SAME, "-1, 0 or 1 by the sign of each cell; 0 for NaN.",
    gradient="zero", refuse=_refuse_complex_sign,
)  # fmt: skip
sgn = unary("sgn", sign_of, SAME, "`sign`; of complex numbers: ``input / abs(input)``, 0 for 0.")
signbit = unary(
    "signbit", _sign_bit, ONLY_BOOL, "Whether the sign is negative; true for -0.0.",
    takes="buif", kernel="signbit_cpu", twin=False,
)  # fmt: skip
alias("negative", neg)
alias("absolute", abs)


@both
def positive(input: Tensor) -> Tensor:
    """``input`` itself; the `+` operator."""
    if require_tensor(input, "positive").dtype is bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported. Convert it first, by .to(torch.int64)")
    return input


# -- as operators -----------------------------------------------------------------------------------------------------

for _name, _op, _reflected in (
    ("add", _add, reflected(_add, commutes=True)),
    ("sub", _sub, reflected(_sub)),
    ("mul", mul.operator, reflected(mul.operator, commutes=True)),  # type: ignore[attr-defined]
    ("truediv", _div, reflected(_number_over, commutes=True)),
    ("floordiv", floor_divide.operator, reflected(floor_divide.operator)),  # type: ignore[attr-defined]
    ("mod", remainder.operator, reflected(remainder.operator)),  # type: ignore[attr-defined]
):
    dunder(_name, infix(_op))
    dunder(f"r{_name}", _reflected)
    dunder(f"i{_name}", in_place_binary(_op, foreign=NotImplemented))
for _old, _name in (("__div__", "__truediv__"), ("__rdiv__", "__rtruediv__"), ("__idiv__", "__itruediv__")):
    method(getattr(Tensor, _name), _old)
dunder("pow", _power_method)
dunder("rpow", reflected(_pow))
dunder("ipow", _power_in_place)
dunder("neg", lambda self: neg(self))
dunder("pos", lambda self: positive(self))
dunder("abs", lambda self: abs(self))
