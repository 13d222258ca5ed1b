"""From what operators say to what processors do: elementary and complex functions written out."""

from __future__ import annotations

from pellucid.dtypes import float64
from pellucid.formula import complex as complex_numbers
from pellucid.formula import elementary
from pellucid.formula.expr import LEAVES, Expr, node, select
from pellucid.formula.inverse_error import erfinv, ndtri
from pellucid.formula.trigamma import trigamma

_IN_DOUBLE = {"erfinv": erfinv, "ndtri": ndtri, "trigamma": trigamma}
_NOT_COMPUTED = LEAVES | {"access", "param", "left", "right", "table"}


def expand(e: Expr) -> Expr:
    """The node in terms of simpler ones; the node itself if every target has it."""
    if e.op in _NOT_COMPUTED:
        return e
    if e.dtype.is_complex or any(a.dtype.is_complex for a in e.args):
        return complex_numbers.expand(e)
    if e.op == "relu":
        return select(e.args[0] < 0, 0, e.args[0])  # -0 stays -0
    if e.op in _IN_DOUBLE:
        return _IN_DOUBLE[e.op](e.args[0].cast(float64)).cast(e.dtype)
    if e.op in elementary.ELEMENTARY:
        return elementary.expand(e)
    return e


def expand_all(e: Expr, memo: dict[Expr, Expr]) -> Expr:
    """``e`` with every node below it expanded as well."""
    found = memo.get(e)
    if found is None:
        expanded = expand(e)
        if expanded is not e:
            found = expand_all(expanded, memo)
        else:
            args = tuple(expand_all(a, memo) for a in e.args)
            found = e if args == e.args else node(e.op, args, e.dtype, e.data)
        memo[e] = found
    return found
