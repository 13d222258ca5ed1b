"""Comparisons, tests of each cell, and logic."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pellucid.dtypes import DType, bool_
from pellucid.formula import expr as E
from pellucid.formula.expr import Expr, const, is_nan
from pellucid.operators.define import both, public
from pellucid.operators.forms import alias, binary, dunder, infix, unary
from pellucid.operators.pointwise import BOOL, FLOAT, ONLY_BOOL, Pointwise, require_tensor
from pellucid.plan import Operand
from pellucid.tensor import Tensor, array_of

INF = float("inf")

# -- comparisons ------------------------------------------------------------------------------------------------------


def _comparison(name: str, long: str, sign: str, takes: str = "buifc") -> Callable[..., Tensor]:
    function = binary(
        name, lambda a, b: E.compare(name, a, b), BOOL,
        f"Whether ``input[...] {sign} other[...]``, as booleans; false wherever one is NaN." if name != "ne" else
        "Whether ``input[...] != other[...]``, as booleans; true wherever one is NaN.",
        takes=takes, kernel=f"{name}_cpu",
    )  # fmt: skip
    if long:
        alias(long, function)
    dunder(name, infix(function.operator))  # type: ignore[attr-defined]
    return function


eq = _comparison("eq", "", "==")
ne = _comparison("ne", "not_equal", "!=")
lt = _comparison("lt", "less", "<", "buif")
le = _comparison("le", "less_equal", "<=", "buif")
gt = _comparison("gt", "greater", ">", "buif")
ge = _comparison("ge", "greater_equal", ">=", "buif")


@both
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape and the same cells (NaN equals nothing)."""
    require_tensor(input, "equal")
    require_tensor(other, "equal", "other")
    return input.shape == other.shape and bool(array_of(eq(input, other)).all())


# -- tests of each cell -----------------------------------------------------------------------------------------------


def _parts(test: Callable[[Expr], Expr], whole: bool, join: str) -> Callable[[Expr], Expr]:
    """A test of floats for all dtypes: integers give ``whole``, complex numbers join the tests of their parts."""

    def expression(x: Expr) -> Expr:
        if x.dtype.is_complex:
            part = x.dtype.to_real()
            a, b = test(E.unary("real", x, part)), test(E.unary("imag", x, part))
            return a | b if join == "or" else a & b
        return test(x) if x.dtype.is_floating_point else const(whole, bool_)

    return expression


def _refuse_complex(name: str) -> Callable[[Sequence[Operand], DType], None]:
    def refuse(operands: Sequence[Operand], common: DType) -> None:
        if common.is_complex:
            raise RuntimeError(f"{name} does not support complex inputs.")

    return refuse


isnan = unary("isnan", _parts(is_nan, False, "or"), BOOL, "Whether each cell is NaN.", out=False, twin=False)
isinf = unary(
    "isinf", _parts(lambda x: E.unary("abs", x).equals(INF), False, "or"), BOOL, "Whether each cell is infinite.",
    out=False, twin=False,
)  # fmt: skip
isfinite = unary(
    "isfinite", _parts(lambda x: E.unary("abs", x) < INF, True, "and"), BOOL,
    "Whether each cell is neither infinite nor NaN.", out=False, twin=False,
)  # fmt: skip
isposinf = unary(
    "isposinf", _parts(lambda x: x.equals(INF), False, "or"), ONLY_BOOL, "Whether each cell is +inf.",
    twin=False, refuse=_refuse_complex("isposinf"),
)  # fmt: skip
isneginf = unary(
    "isneginf", _parts(lambda x: x.equals(-INF), False, "or"), ONLY_BOOL, "Whether each cell is -inf.",
    twin=False, refuse=_refuse_complex("isneginf"),
)  # fmt: skip
isreal = unary(
    "isreal",
    lambda x: E.unary("imag", x, x.dtype.to_real()).equals(0.0) if x.dtype.is_complex else const(True, bool_),
    BOOL, "Whether the imaginary part of each cell is 0.", out=False, twin=False,
)  # fmt: skip


def _close(a: Expr, b: Expr, rtol: Expr, atol: Expr, nan: bool) -> Expr:
    """Differences are taken in floats; infinities are close only to themselves."""
    same = a.equals(b)
    if nan:
        same = same | (a.differs(a) & b.differs(b))
    part = a.dtype.to_real()
    distance = E.unary("abs", a - b, part)
    allowed = _as(atol, part) + E.unary("abs", _as(rtol, part) * E.unary("abs", b, part))
    return same | ((distance < INF) & (distance <= allowed))


def _as(e: Expr, dtype: DType) -> Expr:
    """A tolerance, which was brought to the operands' dtype, in their real one."""
    return E.unary("real", e, dtype) if e.dtype.is_complex else e


def _float_to_bool(common: DType) -> tuple[DType, DType]:
    return FLOAT(common)[0], bool_


_isclose = {
    nan: Pointwise("isclose", lambda a, b, r, t, nan=nan: _close(a, b, r, t, nan), _float_to_bool, promoting=2)
    for nan in (False, True)
}


@both
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether ``|input - other| <= atol + rtol * |other|`` in each cell; with ``equal_nan``, NaN is close to NaN.

    Raises:
        RuntimeError: the dtypes differ; a negative tolerance.
    """
    require_tensor(input, "isclose")
    require_tensor(other, "isclose", "other")
    if input.dtype is not other.dtype:
        raise RuntimeError(
            f"{input.dtype.scalar_name} did not match {other.dtype.scalar_name}: isclose() takes tensors of one dtype"
        )
    for name, value in (("rtol", rtol), ("atol", atol)):
        if not hasattr(type(value), "__float__") or (isinstance(value, Tensor) and value.requires_grad):
            raise TypeError(f"isclose(): argument '{name}' must be float, not {type(value).__name__}")
        if value < 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {value}")
    return _isclose[bool(equal_nan)](input, other, float(rtol), float(atol))


@both
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all cells are close; see `isclose`."""
    return bool(array_of(isclose(input, other, rtol, atol, equal_nan)).all())


@public
def is_nonzero(input: Tensor) -> bool:
    """Whether the only cell of ``input`` is not 0.

    Raises:
        RuntimeError: there is not exactly one cell.
    """
    if require_tensor(input, "is_nonzero").numel() != 1:
        raise RuntimeError(
            "Boolean value of Tensor with no values is ambiguous"
            if input.numel() == 0
            else "Boolean value of Tensor with more than one value is ambiguous"
        )
    return bool(array_of(input).reshape(()))


# -- logic ------------------------------------------------------------------------------------------------------------


def _logical(name: str, join: Callable[[Expr, Expr], Expr], text: str) -> Callable[..., Tensor]:
    return binary(
        name, lambda a, b: join(a.cast(bool_), b.cast(bool_)), BOOL,
        f"``input[...] {text} other[...]`` of cells that count as true where they are not 0.", numbers="none",
    )  # fmt: skip


logical_and = _logical("logical_and", lambda a, b: a & b, "and")
logical_or = _logical("logical_or", lambda a, b: a | b, "or")
logical_xor = _logical("logical_xor", lambda a, b: a ^ b, "xor")
logical_not = unary("logical_not", lambda x: ~x.cast(bool_), BOOL, "Whether each cell is 0.")

