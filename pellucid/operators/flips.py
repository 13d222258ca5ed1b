"""Dimensions read backwards. As in PyTorch these are copies; ``x[::-1]`` is the view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.autograd.graph import recorder
from pellucid.autograd.views import ViewRule
from pellucid.formula.expr import load
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, like, sliced
from pellucid.operators.copying import clone
from pellucid.operators.viewing import integer, integers, view_function, wrap_dims
from pellucid.operators.views import transpose
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.runtime import native
from pellucid.tensor import Tensor


def _flip_plan(x: Layout, dims: tuple[int, ...]) -> Plan:
    wrapped = wrap_dims("flip", dims, x.ndim)
    backwards, offset = x, 0
    for d in wrapped if x.ndim and x.numel else ():
        backwards, further = sliced(backwards, d, x.shape[d] - 1, x.shape[d], -1)
        offset += further
    result = like(x)
    look = native.make_view(offset * x.dtype.itemsize, backwards, None)
    formula = Formula("flip", x.ndim, (Output(load(0, x.dtype)),))
    copy = kernel_plan(formula, (backwards,), tuple(x.shape), [result])
    rule = ViewRule("FlipBackward0", lambda g: _flips[g.layout, wrapped](g))
    record = recorder(rule, [result], [x])

    def plan(x: Tensor) -> Tensor:
        out: Tensor = copy(look(x))
        if native.recorded(x):
            record(out, x)
        return out

    return plan


_flips = PlanTable(_flip_plan)


@view_function
def flip(input: Tensor, *axes: Any, dims: Sequence[int] | None = None) -> Tensor:
    """Dimensions in reverse order: ``out[i] = input[n - 1 - i]``, for each of ``dims``; a copy."""
    if dims is None and not axes:
        raise TypeError('flip() missing 1 required positional arguments: "dims"')
    return _flips[input.layout, integers("flip", "dims", axes if dims is None else (dims,))](input)


@view_function
def fliplr(input: Tensor) -> Tensor:
    """`flip` of dimension 1."""
    if input.layout.ndim < 2:
        raise RuntimeError(f"fliplr(): Input must be >= 2-d, but has {input.layout.ndim} dimensions; use flip")
    return flip(input, 1)


@view_function
def flipud(input: Tensor) -> Tensor:
    """`flip` of dimension 0."""
    if input.layout.ndim < 1:
        raise RuntimeError("flipud(): Input must be >= 1-d, but has no dimensions")
    return flip(input, 0)


@view_function
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """A plane turned ``k`` times by 90 degrees, from the first of ``dims`` towards the second; a copy.

    Raises:
        RuntimeError: the dimensions are not two different ones.
    """
    named = integers("rot90", "dims", (dims,))
    if len(named) != 2:
        raise RuntimeError(f"rot90(): expected total rotation dims == 2, but got dims = {len(named)}")
    if input.layout.ndim < 2:
        raise RuntimeError(f"rot90(): expected total dims >= 2, but got total dims = {input.layout.ndim}")
    if named[0] == named[1] or abs(named[0] - named[1]) == input.layout.ndim:
        raise RuntimeError(
            f"rot90(): expected rotation dims to be different, but got dim0 = {named[0]} and dim1 = {named[1]}"
        )
    a, b = wrap_dims("rot90", named, input.layout.ndim)
    turns = integer("rot90", "k", k) % 4
    if turns == 1:
        return transpose(flip(input, b), a, b)
    if turns == 2:
        return flip(input, a, b)
    if turns == 3:
        return transpose(flip(input, a), a, b)
    return clone(input)
