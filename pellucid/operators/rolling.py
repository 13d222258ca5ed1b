"""Rolling: what leaves a dimension at its end comes back at its beginning.

    roll, dim 0 by s     out[i,j] = x[(i - s) mod I, j]
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from pellucid.autograd.graph import Node, recorder
from pellucid.formula.expr import axis, given, load, size
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, View, dense
from pellucid.operators.arguments import require_tensor
from pellucid.operators.assembling import FEW_CELLS, Piece, assembly_plan
from pellucid.operators.define import both, wrap_dim
from pellucid.operators.viewing import integer
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.tensor import Tensor


class _RollRule:
    """The gradient rolls back."""

    name = "RollBackward0"

    def __init__(self, shifts: tuple[int, ...], dims: tuple[int, ...]) -> None:
        self.back, self.dims = tuple(-s for s in shifts), dims

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return ()

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        return (roll(grads[0], self.back, self.dims),)


def roll_formula(x: Layout, dims: Sequence[int]) -> Formula:
    """``out[i,j] = x[(i + lead0) mod I, j]`` with ``lead0 = -shift mod I``: remainders are of positive numbers."""
    coords = tuple((axis(d) + given(f"lead{d}")) % size(d) if d in dims else axis(d) for d in range(x.ndim))
    return Formula("roll", x.ndim, (Output(load(0, x.dtype, coords)),))


def _roll_plan(x: Layout, shifts: tuple[int, ...], dims: tuple[int, ...]) -> Plan:
    """``dims`` empty: the cells in order of the whole tensor, which is contiguous then."""
    rule = _RollRule(shifts, dims)
    result = dense(x.shape, x.dtype, x.device)
    flat = dense((x.numel,), x.dtype, x.device)
    source, target, by = (x, result, _by_dimension(x, shifts, dims)) if dims else (flat, flat, {0: shifts[0]})
    leads = {d: -s % source.shape[d] for d, s in by.items() if source.shape[d]}
    if dims and 0 < x.numel <= FEW_CELLS:
        record = recorder(rule, [result], (x,)) if x.dtype.is_floating_point or x.dtype.is_complex else None
        numbers = {f"lead{d}": lead for d, lead in leads.items()}
        return kernel_plan(
            roll_formula(x, list(leads)), (x,), tuple(x.shape), [result], record=record, given=numbers
        )
    pieces = [Piece(0, _block(source, box, 0), _block(target, box, 1)) for box in _boxes(source.shape, leads)]
    return assembly_plan(rule.name, result, (x,), pieces, [lambda g: rule.backward(None, [g])[0]])  # type: ignore[arg-type]


def _by_dimension(x: Layout, shifts: tuple[int, ...], dims: tuple[int, ...]) -> dict[int, int]:
    total: dict[int, int] = {}
    for s, dim in zip(shifts, dims, strict=True):
        d = wrap_dim("roll", dim, x.ndim)
        total[d] = total.get(d, 0) + s
    return total


Box = tuple[tuple[int, int, int], ...]  # per dimension: where it begins in the source, in the target, its length


def _boxes(shape: Sequence[int], leads: dict[int, int]) -> list[Box]:
    """Each rolled dimension is cut in two; every combination is a block that moves as a whole."""
    choices = []
    for d, n in enumerate(shape):
        lead = leads.get(d, 0)
        choices.append([(lead, 0, n - lead), (0, n - lead, lead)] if lead else [(0, 0, n)])
    return list(product(*choices))


def _block(layout: Layout, box: Box, side: int) -> View:
    offset = sum(part[side] * s for part, s in zip(box, layout.strides, strict=True))
    return layout.with_strides([length for _, _, length in box], layout.strides), offset


_rolls = PlanTable(_roll_plan)


@both
def roll(input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
    """``out[i,j] = input[(i - shift) mod I, j]`` along one or more dimensions; without ``dims`` the tensor is rolled
    as if it were flat. Shifts may be negative or larger than the dimension.

    Raises:
        RuntimeError: another number of shifts than of dims. IndexError: no such dimension.
    """
    by, along = _numbers("shifts", shifts), _numbers("dims", dims)
    if len(by) != len(along) or not along:
        layout = require_tensor("roll", input).layout
        if along or len(by) != 1:
            raise RuntimeError(
                "roll(): `shifts` required" if not by
                else f"roll(): shifts and dimensions must align. shifts: {len(by)}, dims:{len(along)}"
            )  # fmt: skip
        if not layout.contiguous:
            return roll(input.contiguous(), by)
    return _rolls[input.layout, by, along](input)


def _numbers(name: str, value: Any) -> tuple[int, ...]:
    if type(value) is int:
        return (value,)
    if value is None:
        return ()
    if isinstance(value, tuple | list):
        return tuple([v if type(v) is int else integer("roll", name, v) for v in value])
    return (integer("roll", name, value),)
