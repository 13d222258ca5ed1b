"""The forms that a pointwise operator is published in: function, method, in-place twin, ``out=``, Python operator.

    exp = unary("exp", lambda x: E.unary("exp", x), FLOAT, "The exponential function of each cell.")

defines everything there is to it: ``pellucid.exp``, ``Tensor.exp``, ``Tensor.exp_``, ``out=``, the kernel for every
dtype, its derivatives of every order, and the printed loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.formula.expr import Expr
from pellucid.operators.define import both, method, public
from pellucid.operators.pointwise import NUMBERS, REAL, Kind, Pointwise, number_or_tensor, require_tensor
from pellucid.tensor import Tensor


def unary(
    name: str,
    expression: Callable[[Expr], Expr],
    kind: Kind,
    doc: str,
    *,
    out: bool = True,
    twin: bool = True,
    publish: bool = True,
    **options: Any,
) -> Callable[..., Tensor]:
    """Define ``name(input, *, out=None)``, its method and its in-place twin; ``options`` are those of `Pointwise`.

    ``out`` and ``twin`` say whether there are those forms; without ``publish`` the function is only returned.
    """
    op = Pointwise(name, expression, kind, **options)
    plans = op.plans

    def function(input: Tensor) -> Tensor:
        try:
            return plans[input.layout](input)
        except AttributeError:
            require_tensor(input, name)
            raise

    def function_out(input: Tensor, *, out: Tensor | None = None) -> Tensor:
        if out is None:
            try:
                return plans[input.layout](input)
            except AttributeError:
                require_tensor(input, name)
                raise
        return op.deliver(out, require_tensor(input, name))

    def in_place_form(input: Tensor) -> Tensor:
        if kind is REAL and input.dtype.is_complex:
            raise RuntimeError(f"In-place {name} is not supported for complex tensors: the result is real.")
        return op.write(input, input)

    return _publish(op, function_out if out else function, in_place_form if twin else None, doc, publish)


def binary(
    name: str,
    expression: Callable[[Expr, Expr], Expr],
    kind: Kind,
    doc: str,
    *,
    numbers: str = "second",
    twin: bool = True,
    publish: bool = True,
    argument: str = "other",
    **options: Any,
) -> Callable[..., Tensor]:
    """Define ``name(input, other, *, out=None)``, its method and its in-place twin.

    ``argument`` names the second operand, "other" or "values". ``numbers`` says where a Python number is allowed:
    "second", "one" of the two, "either" or both, or "none".
    """
    op = Pointwise(name, expression, kind, **options)
    plans, fast = op.plans, NUMBERS if numbers != "none" else frozenset()

    def slow(input: Any, other: Any, out: Tensor | None = None) -> Any:
        if numbers != "either" and not (numbers == "one" and isinstance(other, Tensor)):
            require_tensor(input, name)
        if numbers == "none":
            require_tensor(other, name, argument)
        first = number_or_tensor(input, name, "input", other)
        return op.deliver(out, first, number_or_tensor(other, name, argument, input))

    if argument == "values":

        def function(input: Tensor, values: Any, *, out: Tensor | None = None) -> Tensor:
            return slow(input, values, out)

    else:

        def function(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:  # type: ignore[misc]
            if out is None and isinstance(input, Tensor):
                kind = type(other)
                if isinstance(other, Tensor):
                    return plans[input.layout, other.layout](input, other)
                if kind in fast:
                    return plans[input.layout, kind](input, other)
            return slow(input, other, out)

    return _publish(op, function, in_place_binary(op, numbers) if twin else None, doc, publish)


def in_place_binary(op: Pointwise, numbers: str = "second", foreign: Any = None) -> Callable[[Tensor, Any], Any]:
    """``x.f_(other)``; given ``foreign=NotImplemented``, ``x += other``, which leaves foreign operands to Python."""
    writes, name = op.writes, op.name

    def in_place_form(input: Tensor, other: Any) -> Any:
        kind, base = type(other), input.base
        if base is not None and base.tracked:  # a view of what gradients flow to
            pass
        elif kind is Tensor:
            if not (input.tracked or other.tracked) and (other is input or other.storage is not input.storage):
                return writes[input.layout, input.layout, other.layout](input, input, other)
        elif kind in NUMBERS and numbers != "none" and not input.tracked:
            return writes[input.layout, input.layout, kind](input, input, other)
        if numbers == "none":
            require_tensor(other, f"{name}_", "other")
        try:
            value = number_or_tensor(other, f"{name}_", "other", input)
        except TypeError:
            if foreign is not None:
                return foreign
            raise
        return op.write(input, input, value)

    return in_place_form


def infix(op: Pointwise) -> Callable[[Tensor, Any], Any]:
    """``x + other`` as a method: one lookup, one call; NotImplemented for what is neither tensor nor number."""
    plans = op.plans

    def forward(self: Tensor, other: Any) -> Any:
        kind = type(other)
        if kind is Tensor:
            return plans[self.layout, other.layout](self, other)
        if kind in NUMBERS:
            return plans[self.layout, kind](self, other)
        if isinstance(other, Tensor):
            return plans[self.layout, other.layout](self, other)
        try:
            value = number_or_tensor(other, op.name, "other", self)
        except TypeError:
            return NotImplemented
        return op(self, value)

    return forward


def reflected(op: Pointwise, commutes: bool = False) -> Callable[[Tensor, Any], Any]:
    """``other - x``: ``other`` comes first unless the order does not matter."""
    plans = op.plans

    def backward(self: Tensor, other: Any) -> Any:
        kind = type(other)
        if kind in NUMBERS:
            layout = require_tensor(self, op.name).layout
            return plans[layout, kind](self, other) if commutes else plans[kind, layout](other, self)
        require_tensor(self, op.name)
        try:
            value = number_or_tensor(other, op.name, "other", self)
        except TypeError:
            return NotImplemented
        return op(self, value) if commutes else op(value, self)

    return backward


def dunder(name: str, function: Callable[..., Any]) -> None:
    """Publish ``function`` as ``Tensor.__name__``."""
    function.__name__ = f"__{name}__"
    function.__qualname__ = f"Tensor.__{name}__"
    method(function)


def alias(name: str, function: Callable[..., Any], twin: bool = True) -> None:
    """Publish a second name of an operator, and of its in-place form."""
    both(function, name)
    if twin:
        in_place_form = getattr(Tensor, f"{function.__name__}_")
        method(in_place_form, f"{name}_")
        if name in _ALSO_FUNCTIONS:
            public(in_place_form, f"{name}_")


def _publish(
    op: Pointwise, function: Any, twin: Any, doc: str, publish: bool
) -> Callable[..., Tensor]:
    function.__name__, function.__qualname__, function.__doc__ = op.name, op.name, doc
    function.operator = op
    function.write = op.write
    if twin is not None:
        twin.__name__ = twin.__qualname__ = f"{op.name}_"
        twin.__doc__ = f"In-place form of `{op.name}`."
        function.in_place = twin
        if publish:
            method(twin)
            if op.name in _ALSO_FUNCTIONS:
                public(twin)
    if publish:
        both(function)
    return function


# In-place forms that PyTorch publishes as functions too.
_ALSO_FUNCTIONS = frozenset([
    "abs", "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "asin", "asinh",
    "atan", "atanh", "ceil", "conj_physical", "cos", "cosh", "deg2rad", "erf", "erfc", "exp", "exp2", "expm1", "fix", "floor",
    "frac", "ldexp", "log", "log10", "log1p", "log2", "neg", "negative", "rad2deg", "reciprocal", "rsqrt",
    "sigmoid", "sin", "sinc", "sinh", "sqrt", "square", "tan", "tanh", "trunc", "xlogy", "i0",
])  # fmt: skip
