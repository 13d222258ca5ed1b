"""Elementary functions of each cell: roots, exponentials, logarithms, trigonometry, rounding, complex parts."""

from __future__ import annotations

from collections.abc import Sequence
from math import log as _log
from math import pi
from typing import Any

from pellucid.dtypes import DType, bfloat16
from pellucid.formula import expr as E
from pellucid.formula.expr import Expr, const, is_nan, select
from pellucid.layout import Layout
from pellucid.operators.define import both, deliver, method, public
from pellucid.operators.forms import alias, binary, unary
from pellucid.operators.pointwise import FLOAT, SAME, Pointwise, require_tensor
from pellucid.plan import Operand
from pellucid.tensor import Tensor

REAL_ONLY = "buif"


def _elementary(name: str, doc: str, takes: str = "buifc", kernel: str = "") -> Any:
    """A function that the formula language has under its own name."""
    return unary(
        name, lambda x: E.unary(name, x), FLOAT, doc + " Integers give the default floating-point dtype.",
        takes=takes, kernel=kernel or f"{name}_vml_cpu",
    )  # fmt: skip


# -- roots ------------------------------------------------------------------------------------------------------------

sqrt = _elementary("sqrt", "Square roots; NaN below 0.")
rsqrt = _elementary("rsqrt", "``1 / sqrt(input)``.")
reciprocal = _elementary("reciprocal", "``1 / input``.")

# -- exponentials and logarithms --------------------------------------------------------------------------------------

exp = _elementary("exp", "The exponential function.")
exp2 = _elementary("exp2", "``2 ** input``.")
expm1 = _elementary("expm1", "``exp(input) - 1``, exact near 0.")
log = _elementary("log", "The natural logarithm; -inf at 0, NaN below.")
log2 = _elementary("log2", "The logarithm to base 2.")
log10 = _elementary("log10", "The logarithm to base 10.")
log1p = _elementary("log1p", "``log(1 + input)``, exact near 0.")
sigmoid = _elementary("sigmoid", "``1 / (1 + exp(-input))``.")
erf = _elementary("erf", "The error function.", REAL_ONLY)
erfc = _elementary("erfc", "``1 - erf(input)``, exact for large inputs.", REAL_ONLY)

erfinv = _elementary("erfinv", "The inverse of `erf`; infinite at -1 and 1, NaN beyond.", REAL_ONLY)
lgamma = _elementary("lgamma", "The logarithm of ``|gamma(input)|``.", REAL_ONLY)
digamma = _elementary("digamma", "The derivative of `lgamma`.", REAL_ONLY, "digamma")
_trigamma = Pointwise("polygamma", lambda x: E.unary("trigamma", x), FLOAT, takes=REAL_ONLY)


@public
def polygamma(n: int, input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The derivative of order ``n`` of `digamma`; 0 and 1 are there.

    Raises:
        NotImplementedError: another order.
    """
    x = require_tensor(input, "polygamma")
    if n not in (0, 1):
        raise NotImplementedError(f"polygamma(n, x) is implemented for n = 0 and n = 1; got n = {n}")
    return digamma(x, out=out) if n == 0 else _trigamma.deliver(out, x)


method(lambda input, n: polygamma(n, input), "polygamma")


@both
def mvlgamma(input: Tensor, p: int, *, out: Tensor | None = None) -> Tensor:
    """The logarithm of the gamma function of dimension ``p``: ``p (p - 1) / 4 log(pi) + sum_j lgamma(input - j / 2)``."""
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    x: Any = require_tensor(input, "mvlgamma")
    total = lgamma(x)
    for j in range(1, p):
        total = total + lgamma(x - j / 2)
    return deliver(total + p * (p - 1) / 4 * _log(pi), out, "mvlgamma")


# -- trigonometry -----------------------------------------------------------------------------------------------------

sin = _elementary("sin", "The sine (radians).")
cos = _elementary("cos", "The cosine (radians).")
tan = _elementary("tan", "The tangent (radians).")
asin = _elementary("asin", "The inverse sine; NaN outside [-1, 1].")
acos = _elementary("acos", "The inverse cosine; NaN outside [-1, 1].")
atan = _elementary("atan", "The inverse tangent.")
sinh = _elementary("sinh", "The hyperbolic sine.")
cosh = _elementary("cosh", "The hyperbolic cosine.")
tanh = _elementary("tanh", "The hyperbolic tangent.")
asinh = _elementary("asinh", "The inverse hyperbolic sine.")
acosh = _elementary("acosh", "The inverse hyperbolic cosine; NaN below 1.")
atanh = _elementary("atanh", "The inverse hyperbolic tangent; NaN outside [-1, 1].")
for _long, _short in (
    ("arcsin", asin), ("arccos", acos), ("arctan", atan), ("arcsinh", asinh), ("arccosh", acosh), ("arctanh", atanh),
):  # fmt: skip
    alias(_long, _short)

atan2 = binary(
    "atan2", lambda y, x: E.node("atan2", (y, x), y.dtype), FLOAT,
    "The angle of the point (other, input), in (-pi, pi].", numbers="none", takes=REAL_ONLY, kernel="atan2_cpu",
)  # fmt: skip
alias("arctan2", atan2)
hypot = binary(
    "hypot", lambda a, b: E.node("hypot", (a, b), a.dtype), SAME,
    "``sqrt(input ** 2 + other ** 2)`` without overflow.", numbers="none", takes="f", kernel="hypot_cpu",
)  # fmt: skip
deg2rad = unary(
    "deg2rad", lambda x: x * (pi / 180), FLOAT, "Degrees to radians.", takes=REAL_ONLY
)
rad2deg = unary(
    "rad2deg", lambda x: x * (180 / pi), FLOAT, "Radians to degrees.", takes=REAL_ONLY
)


def _sinc(x: Expr) -> Expr:
    zero = x.equals(0.0 if not x.dtype.is_complex else 0)
    scaled = select(zero, const(1, x.dtype), x * pi)
    return select(zero, const(1, x.dtype), E.unary("sin", scaled) / scaled)


sinc = unary("sinc", _sinc, FLOAT, "``sin(pi x) / (pi x)``; 1 at 0.")

# -- logarithms of sums and products ----------------------------------------------------------------------------------


def _logaddexp(a: Expr, b: Expr, base: str) -> Expr:
    """The larger one plus what the smaller one adds; equal infinities are their own answer.

    Both terms choose by one comparison: where the operands are equal, derivatives of every order then agree.
    """
    if a.dtype.is_complex:
        first = E.unary("real", a, a.dtype.to_real()) >= E.unary("real", b, a.dtype.to_real())
        return select(first, a, b) + E.unary("log1p", E.unary("exp", select(first, b - a, a - b)))
    same = a.equals(b) & E.unary("abs", a).equals(float("inf"))
    below = a < b
    distance = select(same, 0.0, select(below, b - a, a - b))
    if base == "e":
        added = E.unary("log1p", E.unary("exp", -distance))
    else:
        added = E.unary("log2", E.unary("exp2", -distance) + 1.0)
    return select(same, a, select(below, b, a) + added)


logaddexp = binary(
    "logaddexp", lambda a, b: _logaddexp(a, b, "e"), SAME, "``log(exp(input) + exp(other))`` without overflow.",
    numbers="none", takes="fc", kernel="logaddexp_cpu", twin=False,
)  # fmt: skip
logaddexp2 = binary(
    "logaddexp2", lambda a, b: _logaddexp(a, b, "2"), SAME, "``log2(2 ** input + 2 ** other)`` without overflow.",
    numbers="none", takes="f", kernel="logaddexp2_cpu", twin=False,
)  # fmt: skip


def _xlogy(a: Expr, b: Expr) -> Expr:
    nothing = a.equals(0.0) & ~is_nan(b) & ((b <= 0.0) | b.equals(float("inf")))
    product = a * E.unary("log", select(nothing, 1.0, b))
    return select(nothing, 0.0, select(a.equals(0.0), product + 0.0, product))  # 0, not -0, also where log(b) < 0


def _xlogy_name(a: Operand, b: Operand) -> str:
    return f"XlogyBackward{1 if not isinstance(a, Layout) else 0 if isinstance(b, Layout) else 2}"


xlogy = binary(
    "xlogy", _xlogy, FLOAT, "``input * log(other)``; 0 where ``input`` is 0 and ``other`` is not NaN.",
    numbers="one", takes=REAL_ONLY, kernel="xlogy_cpu", node_name=_xlogy_name,
)  # fmt: skip


ldexp = binary(
    "ldexp", lambda a, b: a * E.unary("exp2", b), FLOAT, "``input * 2 ** other``.",
    numbers="none",
)  # fmt: skip


def _logit(x: Expr, *eps: Expr) -> Expr:
    if not eps:
        return E.unary("log", x / (1.0 - x))
    low, high = eps[0], 1.0 - eps[0]
    inside = select(x < low, low, select(x > high, high, x))
    return E.unary("log", inside / (1.0 - inside))


_logits = Pointwise("logit", _logit, FLOAT, takes=REAL_ONLY, promoting=1)


@both
def logit(input: Tensor, eps: float | None = None, *, out: Tensor | None = None) -> Tensor:
    """The inverse of `sigmoid`: ``log(z / (1 - z))`` of z = input, or of input kept in [eps, 1 - eps]."""
    return _logits.deliver(out, require_tensor(input, "logit"), *(() if eps is None else (float(eps),)))


@method
def logit_(input: Tensor, eps: float | None = None) -> Tensor:
    """In-place form of `logit`."""
    return _logits.write(input, input, *(() if eps is None else (float(eps),)))


public(logit_)

# -- rounding ---------------------------------------------------------------------------------------------------------


def _refuse_complex(name: str) -> Any:
    def refuse(operands: Sequence[Operand], common: DType) -> None:
        if common.is_complex:
            raise NotImplementedError(f"{name} is not supported for complex inputs: round the real and imaginary parts")

    return refuse


def _rounding(name: str, doc: str) -> Any:
    return unary(
        name, lambda x: E.unary(name, x) if x.dtype.is_floating_point else x, SAME, doc + " Integers stay as they are.",
        takes="uif", kernel=f"{name}_vml_cpu", gradient="zero", refuse=_refuse_complex(name),
    )  # fmt: skip


floor = _rounding("floor", "The largest whole number that is not above the cell.")
ceil = _rounding("ceil", "The smallest whole number that is not below the cell.")
trunc = _rounding("trunc", "The cell without its fraction.")
alias("fix", trunc)
frac = unary(
    "frac", lambda x: x - E.unary("trunc", x), SAME, "The fraction: ``input - trunc(input)``.",
    takes="f", kernel="frac_cpu",
)  # fmt: skip

_round = Pointwise(
    "round", lambda x: E.unary("round", x) if x.dtype.is_floating_point else x, SAME,
    takes="uif", kernel="round_vml_cpu", gradient="zero", refuse=_refuse_complex("round"),
)  # fmt: skip
_round_fraction = Pointwise(
    "round", lambda x, scale: E.unary("round", x * scale) / scale, SAME,
    takes="f", kernel="round_cpu", promoting=1, gradient="zero", node_name="RoundBackward1",
)  # fmt: skip
_round_tens = Pointwise(
    "round", lambda x, scale: E.unary("round", x / scale) * scale, SAME,
    takes="f", kernel="round_cpu", promoting=1, gradient="zero", node_name="RoundBackward1",
)  # fmt: skip


def _round_form(decimals: int) -> tuple[Pointwise, tuple[float, ...]]:
    if decimals == 0:
        return _round, ()
    return (_round_fraction if decimals > 0 else _round_tens), (10.0 ** abs(decimals),)


@both
def round(input: Tensor, *, decimals: int = 0, out: Tensor | None = None) -> Tensor:
    """The nearest whole number, halves to the even one; or the nearest multiple of ``10 ** -decimals``."""
    op, scale = _round_form(decimals)
    return op.deliver(out, require_tensor(input, "round"), *scale)


@method
def round_(input: Tensor, *, decimals: int = 0) -> Tensor:
    """In-place form of `round`."""
    op, scale = _round_form(decimals)
    return op.write(input, input, *scale)


public(round_)

# -- complex numbers --------------------------------------------------------------------------------------------------


def _angle(x: Expr) -> Expr:
    if x.dtype.is_complex:
        part = x.dtype.to_real()
        return E.node("atan2", (E.unary("imag", x, part), E.unary("real", x, part)), part)
    return select(x < 0.0, const(pi, x.dtype), select(is_nan(x), x, 0.0))


def _floats_to_real(common: DType) -> tuple[DType, DType]:
    inner, _ = FLOAT(common)
    return inner, inner.to_real()


angle = unary(
    "angle", _angle, _floats_to_real, "The angle of each number in the plane: 0 or pi of real ones.", twin=False
)
_conjugates = unary(
    "conj_physical", lambda x: E.unary("conj", x) if x.dtype.is_complex else x, SAME, "Complex conjugates.",
)  # fmt: skip


@both
def conj_physical(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Complex conjugates; a real tensor is returned itself."""
    x = require_tensor(input, "conj_physical")
    return x if out is None and not x.dtype.is_complex else _conjugates(x, out=out)


@both
def conj(input: Tensor) -> Tensor:
    """Complex conjugates; a real tensor is returned itself."""
    return conj_physical(input) if require_tensor(input, "conj").dtype.is_complex else input


@both
def resolve_conj(input: Tensor) -> Tensor:
    """``input``: conjugates are computed at once here, none is pending."""
    return require_tensor(input, "resolve_conj")


@both
def resolve_neg(input: Tensor) -> Tensor:
    """``input``: negations are computed at once here, none is pending."""
    return require_tensor(input, "resolve_neg")


_complex = Pointwise(
    "complex", lambda re, im: E.node("complex", (re, im), re.dtype.to_complex()), lambda c: (c, c.to_complex()),
    takes="f",
)  # fmt: skip


@public
def complex(real: Tensor, imag: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Complex numbers from their parts, which have the same floating-point dtype.

    Raises:
        RuntimeError: other dtypes, or two different ones.
    """
    _require_parts("complex", real, imag)
    if out is not None and out.dtype is not real.dtype.to_complex():
        raise RuntimeError(
            f"Expected object of scalar type {real.dtype.to_complex().scalar_name} but got scalar type "
            f"{out.dtype.scalar_name} for argument 'out'"
        )
    return _complex.deliver(out, real, imag)


def _polar_parts(size: Expr, angle: Expr) -> Expr:
    return E.node("complex", (size * E.unary("cos", angle), size * E.unary("sin", angle)), size.dtype.to_complex())


_polar = Pointwise("polar", _polar_parts, lambda c: (c, c.to_complex()), takes="f")


@public
def polar(abs: Tensor, angle: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Complex numbers from size and angle: ``abs * (cos(angle) + i sin(angle))``."""
    _require_parts("polar", abs, angle)
    return _polar.deliver(out, abs, angle)


def _require_parts(name: str, a: Tensor, b: Tensor) -> None:
    first, second = ("real", "imag") if name == "complex" else ("abs", "angle")
    require_tensor(a, name, first)
    require_tensor(b, name, second)
    for t in (a, b):
        if not t.dtype.is_floating_point or t.dtype is bfloat16:
            raise RuntimeError(
                f"Expected both inputs to be Half, Float or Double tensors but got {a.dtype.scalar_name} and "
                f"{b.dtype.scalar_name}: {name}() makes complex numbers of real parts"
            )
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {a.dtype.scalar_name} but got scalar type {b.dtype.scalar_name} for "
            f"second argument: both parts that {name}() takes have one dtype"
        )
