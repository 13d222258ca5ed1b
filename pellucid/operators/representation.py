"""The numbers next to a number, and its mantissa and exponent."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.dtypes import int16, int32, int64
from pellucid.formula.expr import Expr, const, is_nan, select
from pellucid.layout import like
from pellucid.operators.define import both, deliver
from pellucid.operators.forms import binary
from pellucid.operators.functions import ldexp
from pellucid.operators.pointwise import SAME, require_tensor, working
from pellucid.return_types import return_type
from pellucid.runtime import native
from pellucid.tensor import Tensor, array_of, empty_like_layout

_BITS = {2: int16, 4: int32, 8: int64}


def _next_after(x: Expr, y: Expr) -> Expr:
    """One step in the order of the bits: away from zero if ``y`` lies further out on the side of ``x``."""
    bits_type = _BITS[x.dtype.itemsize]
    bits, wide = x.bitcast(bits_type), working(x.dtype)
    a, b = x.cast(wide), y.cast(wide)
    outward = (b > a).equals(a > 0.0)
    stepped = select(outward, bits + 1, bits - 1).bitcast(x.dtype)
    lowest = select(b > 0.0, const(1, bits_type), const(1 - (1 << (8 * x.dtype.itemsize - 1)), bits_type))
    moved = select(a.equals(0.0), lowest.bitcast(x.dtype), stepped)
    return select(is_nan(a), x, select(is_nan(b) | a.equals(b), y, moved))


nextafter = binary(
    "nextafter", _next_after, SAME, "The number next to ``input`` on the way to ``other``.",
    numbers="none", takes="f", stored=True, gradient="undefined",
)  # fmt: skip

_Frexp = return_type("frexp", "mantissa", "exponent")


@both
def frexp(input: Tensor, *, out: tuple[Tensor, Tensor] | None = None) -> Any:
    """(mantissa, exponent) with ``input = mantissa * 2 ** exponent`` and a mantissa in [0.5, 1); the exponent is int32.

    Raises:
        RuntimeError: ``input`` is not floating point.
    """
    x = require_tensor(input, "frexp")
    if not x.dtype.is_floating_point:
        raise RuntimeError(f"torch.frexp() only supports floating-point dtypes; got {x.dtype}")
    mantissa, exponent = empty_like_layout(like(x.layout)), empty_like_layout(like(x.layout, int32))
    array_of(mantissa)[...], array_of(exponent)[...] = np.frexp(array_of(x))
    if out is None:
        if x.tracked and native.grad_enabled():
            mantissa = ldexp(x, -exponent)  # type: ignore[operator]
        return _Frexp((mantissa, exponent))
    for role, target, result in zip(("mantissa", "exponent"), out, (mantissa, exponent), strict=True):
        if target.dtype is not result.dtype:
            raise RuntimeError(f"torch.frexp() expects {role} to have dtype {result.dtype} but got {target.dtype}")
        deliver(result, target, "frexp")
    return _Frexp(out)
