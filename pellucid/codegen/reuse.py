"""What a fold computes for every cell and a result needs again: it is left in the result's memory meanwhile.

    softmax    s = fold sum exp(x - m);   out = exp(x - m) / s

While the sum runs, ``exp(x - m)`` is written where ``out`` will be; the row is still in the cache when it is divided.
"""

from __future__ import annotations

from typing import NamedTuple

from pellucid.formula.expr import Expr, walk
from pellucid.formula.formula import Formula
from pellucid.formula.lowering import expand


class Reuse(NamedTuple):
    """Element ``element`` of the last stage is needed by the result number ``output``."""

    output: int
    element: int
    value: Expr


def reused(formula: Formula) -> Reuse | None:
    """What is worth keeping: an element with an elementary function in it, of the dtype of the only result over the
    row, which reads nothing else from memory (so that it may even overwrite an operand)."""
    over_row = [i for i, o in enumerate(formula.outputs) if o.over_row]
    if formula.scan or not formula.stages or len(over_row) != 1:
        return None
    (k,) = over_row
    result = formula.outputs[k].value
    for j, element in enumerate(formula.stages[-1].elements):
        fits = element.dtype is result.dtype and not element.dtype.is_complex
        costly = any(expand(e) is not e for e in walk(element))
        if fits and costly and element is not result and _all_but(result, element):
            return Reuse(k, j, element)
    return None


def _all_but(result: Expr, element: Expr) -> bool:
    """Whether ``result`` uses ``element``, and memory by it alone."""
    stack, found = [result], False
    while stack:
        e = stack.pop()
        if e is element:
            found = True
        elif e.op in ("load", "access", "axis"):
            return False
        else:
            stack.extend(e.args)
    return found
