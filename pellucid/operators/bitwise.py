"""Bits of integers; booleans are single bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.formula.expr import Expr, const, select
from pellucid.operators.define import both, deliver, method, public, require_castable
from pellucid.operators.forms import binary, dunder, in_place_binary, infix, reflected, unary
from pellucid.operators.pointwise import SAME, common_dtype, require_tensor
from pellucid.tensor import Tensor, array_of, empty_like_layout


def _bits(
    name: str, short: str, expression: Callable[[Expr, Expr], Expr], doc: str, takes: str = "bui", kernel: str = ""
) -> Any:
    function = binary(
        name, expression, SAME, doc, numbers="one", takes=takes, kernel=kernel or f"{name}_cpu"
    )
    op = function.operator  # type: ignore[attr-defined]
    dunder(short, infix(op))
    dunder(f"r{short}", reflected(op, commutes=short in ("and", "or", "xor")))
    dunder(f"i{short}", in_place_binary(op, foreign=NotImplemented))
    return function


bitwise_and = _bits("bitwise_and", "and", lambda a, b: a & b, "``input & other``, bit by bit.")
bitwise_or = _bits("bitwise_or", "or", lambda a, b: a | b, "``input | other``, bit by bit.")
bitwise_xor = _bits("bitwise_xor", "xor", lambda a, b: a ^ b, "``input ^ other``, bit by bit.")


def _width(a: Expr) -> int:
    return 8 * a.dtype.itemsize


def _outside(a: Expr, b: Expr) -> Expr:
    """The processor has no shift by more than the width, or by a negative number."""
    too_far = b >= min(_width(a), 127)
    return (b < 0) | too_far if a.dtype.is_signed else too_far


def _shift_left(a: Expr, b: Expr) -> Expr:
    outside = _outside(a, b)
    return select(outside, const(0, a.dtype), a << select(outside, const(0, a.dtype), b))


def _shift_right(a: Expr, b: Expr) -> Expr:
    outside = _outside(a, b)
    if not a.dtype.is_signed:
        return select(outside, const(0, a.dtype), a >> select(outside, const(0, a.dtype), b))
    return a >> select(outside, const(_width(a) - 1, a.dtype), b)


bitwise_left_shift = _bits(
    "bitwise_left_shift", "lshift", _shift_left,
    "``input * 2 ** other`` without the bits that fall out; 0 for shifts outside [0, width).", "ui", "lshift_cpu",
)  # fmt: skip
bitwise_right_shift = _bits(
    "bitwise_right_shift", "rshift", _shift_right,
    "``floor(input / 2 ** other)``; what is left of shifts outside [0, width) is the sign.", "ui", "rshift_cpu",
)  # fmt: skip
bitwise_not = unary(
    "bitwise_not", lambda x: ~x, SAME, "Every bit turned over; of booleans: not.", takes="bui", kernel="bitwise_not_cpu"
)


def _invert(self: Tensor) -> Tensor:
    if self.dtype.is_floating_point or self.dtype.is_complex:
        raise TypeError(
            f"~ (operator.invert) is only implemented on integer and Boolean-type tensors; got {self.dtype}"
        )
    return bitwise_not(self)


dunder("invert", _invert)


# -- common divisors and multiples ------------------------------------------------------------------------------------


def _whole_numbers(name: str, compute: Any, doc: str) -> None:
    """Euclid's algorithm has no formula: NumPy runs it."""

    def function(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
        a, b = require_tensor(input, name), require_tensor(other, name, "other")
        common = common_dtype([a.layout, b.layout])
        if common.kind not in "ui":
            raise NotImplementedError(
                f"\"{name}_cpu\" not implemented for '{common.scalar_name}': {name}() takes integer tensors"
            )
        like = bitwise_or(a, b)  # the common dtype, shape and strides
        result = empty_like_layout(like.layout)
        wide = array_of(result)
        wide[...] = compute(array_of(a).astype(wide.dtype), array_of(b).astype(wide.dtype))
        return deliver(result, out, name)

    def in_place_form(input: Tensor, other: Tensor) -> Tensor:
        result = function(input, other)
        require_castable(name, result.dtype, input.dtype)
        return input.copy_(result)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    in_place_form.__name__ = in_place_form.__qualname__ = f"{name}_"
    in_place_form.__doc__ = f"In-place form of `{name}`."
    both(function)
    method(public(in_place_form))


_whole_numbers("gcd", np.gcd, "The greatest common divisor of the cells of two integer tensors.")
_whole_numbers("lcm", np.lcm, "The least common multiple of the cells of two integer tensors.")
