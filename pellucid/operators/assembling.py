"""Results that are put together from pieces, each a copy of a part of an operand into a part of the result.

Joining, repeating, rolling and padding all move whole blocks of memory: a block per piece is as fast as memory is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pellucid.autograd.graph import Node, recorder
from pellucid.formula.expr import Expr, load, select
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, View, span
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.runtime import machine, native
from pellucid.tensor import Tensor, empty_like_layout

GiveBack = Callable[[Tensor], Tensor]  # the gradient of the result -> the gradient of one operand

FEW_CELLS = 4096  # up to here one kernel that picks the operand for each cell costs less than a copy per piece
FEW_OPERANDS = 8
_LINE = 64  # bytes


@dataclass(frozen=True)
class Piece:
    """``result[target] = operand[source]``; views are layouts of one shape with their offsets in elements."""

    operand: int
    source: View
    target: View


class PiecesRule:
    """The derivative of an assembly: each operand takes its part of the gradient."""

    def __init__(self, name: str, gives: Sequence[GiveBack]) -> None:
        self.name, self.gives = name, gives

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return ()

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        pairs = zip(node.edges, self.gives, strict=True)
        return [give(grads[0]) if edge is not None else None for edge, give in pairs]


def picking_plan(
    name: str,
    result: Layout,
    operands: Sequence[Layout],
    choices: Sequence[tuple[int, Expr, tuple[Expr, ...]]],
    given: dict[str, int | float],
    gives: Sequence[GiveBack],
) -> Plan:
    """The plan of a small result: each cell comes from the first choice whose condition holds, else from the last.

    Args:
        choices: number of the operand, condition, coordinates there.
    """
    record = None
    if result.dtype.is_floating_point or result.dtype.is_complex:
        record = recorder(PiecesRule(name, gives), [result], operands)
    value: Expr | None = None
    for k, condition, coords in reversed(choices):
        cell = load(k, operands[k].dtype, coords, fill=0).cast(result.dtype)
        value = cell if value is None else select(condition, cell, value)
    assert value is not None
    formula = Formula(name, result.ndim, (Output(value),))
    return kernel_plan(formula, operands, tuple(result.shape), [result], record=record, given=given)


def _write_plan(source: Layout, target: Layout, stream: bool) -> Plan:
    formula = Formula("copy", source.ndim, (Output(load(0, source.dtype).cast(target.dtype)),))
    return kernel_plan(formula, (source,), tuple(source.shape), [target], in_place=True, stream=stream)


_writes = PlanTable(_write_plan)


def assembly_plan(
    name: str,
    result: Layout,
    operands: Sequence[Layout],
    pieces: Sequence[Piece],
    gives: Sequence[GiveBack],
) -> Plan:
    """The plan that takes the operands and gives the assembled result.

    Pieces that do not cover every cell are written into what the call passes as ``out``.

    Args:
        name: as in ``grad_fn``.
        gives: for each operand, how it takes its gradient from that of the result.
    """
    record = None
    if result.dtype.is_floating_point or result.dtype.is_complex:
        record = recorder(PiecesRule(name, gives), [result], operands)
    large = result.nbytes > machine.last_level_cache_bytes()
    steps = [_step(p, operands, result, large) for p in pieces if p.source[0].numel]
    new_tensor = native.new_tensor

    def plan(*tensors: Tensor, out: Tensor | None = None) -> Tensor:
        if out is None:
            out = empty_like_layout(result)
        storage, begin = out.storage, out.ptr
        for write, k, source, at, target, to in steps:
            x = tensors[k]
            part = x if source is None else new_tensor(source, x.storage, x.ptr + at)
            write(new_tensor(target, storage, begin + to), part)
        if record is not None and native.recorded(*tensors):
            record(out, *tensors)
        return out

    return plan


def _step(
    piece: Piece, operands: Sequence[Layout], result: Layout, large: bool
) -> tuple[Plan, int, Layout | None, int, Layout, int]:
    """How to write the piece; a source of None is the whole operand."""
    (source, at), (target, to) = piece.source, piece.target
    whole = operands[piece.operand]
    at, to = at * whole.dtype.itemsize, to * result.dtype.itemsize
    write = _writes[source, target, large and _on_lines(target, to)]
    return write, piece.operand, None if source is whole and at == 0 else source, at, target, to


def _on_lines(target: Layout, offset: int) -> bool:
    """Whether every row of the part begins with a cache line."""
    steps = [s * target.dtype.itemsize for n, s in zip(target.shape, target.strides, strict=True) if n > 1 and s != 1]
    return span(target)[0] == 0 and all(step % _LINE == 0 for step in [offset, *steps])
