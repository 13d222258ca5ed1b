"""Plans: everything about a call that can be known before it.

An operator keeps a ``PlanTable`` keyed by its operands' layouts and its static arguments. The first call with a key
builds the plan: shapes and dtypes are checked, the formula is chosen, loops are scheduled, the kernel is compiled or
found. What is kept is a builtin function that takes the operands and gives the results; later calls only look it up.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NoReturn
from weakref import WeakValueDictionary

from pellucid.codegen.emit import DIVISION_ERROR
from pellucid.codegen.kernels import kernel_address
from pellucid.codegen.schedule import GRAIN, Schedule, schedule
from pellucid.dtypes import int64
from pellucid.formula.expr import Expr, axis, load, node, rewrite, walk
from pellucid.formula.formula import Fold, Formula, Output, Scatter
from pellucid.layout import Layout, dense
from pellucid.runtime import machine, native

Plan = Callable[..., Any]
Operand = Layout | type  # a tensor's layout, or float, int, bool for a Python number
Fail = Callable[..., Any]

MOST_PLANS = 20_000  # per operator; a program that makes more shapes than this starts anew
RELEASE_CELLS = 1 << 15  # other Python threads may run while a kernel visits more cells than this


class PlanTable(dict[Any, Plan]):
    """Plans by key; ``build(*key)`` makes a missing one. A key is a tuple, or the single argument itself."""

    def __init__(self, build: Callable[..., Plan]) -> None:
        super().__init__()
        self.build = build
        _tables[id(self)] = self

    def __missing__(self, key: Any) -> Plan:
        plan = self.build(*key) if type(key) is tuple else self.build(key)
        if len(self) >= MOST_PLANS:
            self.clear()
        self[key] = plan
        return plan


_tables: WeakValueDictionary[int, PlanTable] = WeakValueDictionary()


def forget_plans() -> None:
    """Build every plan anew: something that plans depend on, and that is in no key, has changed."""
    for table in list(_tables.values()):
        table.clear()


def kernel_plan(
    formula: Formula | Scatter,
    operands: Sequence[Operand],
    sizes: tuple[int, ...],
    results: Sequence[Layout],
    *,
    record: Callable[..., Any] | None = None,
    fail: Fail | None = None,
    in_place: bool = False,
    stream: bool = False,
    given: Mapping[str, int | float] | None = None,
) -> Plan:
    """The builtin that runs ``formula`` over axes of ``sizes``.

    It takes the operands and gives the results; with ``in_place`` it takes the results first and writes into them.
    ``stream``: what is written in place is fresh memory, rows aligned to 64 bytes, that may bypass the cache.
    ``fail(status, *operands)`` turns a kernel's complaint into an error.
    """
    made = _schedule(formula, operands, sizes, results, stream or not in_place, 0, given)
    length = 0 if in_place else _split_length(formula, sizes, made)
    if length:
        assert isinstance(formula, Formula)
        return _split_plan(formula, operands, sizes, results, length, record, fail, given)
    return _launch(made, operands, sizes, results, record, fail, in_place)


def _schedule(
    formula: Formula | Scatter,
    operands: Sequence[Operand],
    sizes: tuple[int, ...],
    results: Sequence[Layout],
    fresh: bool,
    split: int,
    given: Mapping[str, int | float] | None,
) -> Schedule:
    return schedule(
        formula,
        [x if isinstance(x, Layout) else None for x in operands],
        sizes,
        list(results),
        cache_bytes=machine.last_level_cache_bytes(),
        nontemporal=fresh,
        split=split,
        given=given,
    )


def _launch(
    made: Schedule,
    operands: Sequence[Operand],
    sizes: tuple[int, ...],
    results: Sequence[Layout],
    record: Callable[..., Any] | None,
    fail: Fail | None,
    in_place: bool,
) -> Plan:
    params = array("q", made.params)
    flags = (native.IN_PLACE if in_place else 0) | (native.RELEASE_GIL if prod(sizes) > RELEASE_CELLS else 0)
    if isinstance(made.nest.formula, Formula) and made.grain < 2 * made.cells <= 2 * made.grain and made.cells > 1:
        flags |= native.DIVISIBLE
    spec = native.pack_spec(
        kernel_address(made.nest),
        params.buffer_info()[0],
        made.cells,
        made.grain,
        flags,
        [x.nbytes for x in results],
        [_kind(x) for x in operands],
    )
    return native.make_launch(spec, params, record, fail or explain_status, list(results))


def _kind(operand: Operand) -> int:
    if isinstance(operand, Layout):
        return native.TENSOR
    return native.FLOAT if operand is float else native.INT


def explain_status(status: int, *operands: Any) -> NoReturn:
    """The error of a kernel whose operator has no better words."""
    if status & DIVISION_ERROR:
        raise RuntimeError("ZeroDivisionError: an integer was divided by zero; floats give inf or nan instead")
    raise IndexError("index out of range: a coordinate lies outside the tensor that it indexes")


# -- long rows --------------------------------------------------------------------------------------------------------


def _split_length(formula: Formula | Scatter, sizes: tuple[int, ...], made: Schedule) -> int:
    """Cells per part if the row is worth cutting into parts that run in parallel, else 0. It depends on the schedule
    only, so results are the same for every number of threads."""
    if isinstance(formula, Scatter) or formula.scan or len(formula.stages) != 1 or formula.row != 1:
        return 0
    if any(o.over_row or any(e.op == "load" for e in walk(o.value)) for o in formula.outputs):
        return 0
    outer, row = prod(sizes[: formula.rank]), sizes[formula.rank]
    few_rows = outer < (64 if made.nest.horizontal else 4 * row if made.nest.columns else row)
    if outer * row < 4 * GRAIN or row < 512 or not few_rows:
        return 0
    parts = max(2, min(64, outer * row // GRAIN, row // 128))
    return -(-row // parts)


def _split_plan(
    formula: Formula,
    operands: Sequence[Operand],
    sizes: tuple[int, ...],
    results: Sequence[Layout],
    length: int,
    record: Callable[..., Any] | None,
    fail: Fail | None,
    given: Mapping[str, int | float] | None,
) -> Plan:
    """Fold parts of the row first, then the parts."""
    (stage,) = formula.stages
    rank, parts = formula.rank, -(-sizes[formula.rank] // length)
    outer = sizes[:rank]
    first_formula = _shifted(formula, stage)
    partial = [dense((parts, *outer), e.dtype) for e in stage.elements]
    whole = (parts, *sizes)
    made = _schedule(first_formula, operands, whole, partial, True, length, given)
    first = _launch(made, operands, whole, partial, None, fail, False)
    second = kernel_plan(_merging(formula, stage), partial, (*outer, parts), results, given=given)
    single = len(partial) == 1

    def plan(*tensors: Any) -> Any:
        parts_of_row = first(*tensors)
        result = second(parts_of_row) if single else second(*parts_of_row)
        if record is not None and native.recorded(*tensors):
            record(*(result if isinstance(result, tuple) else (result,)), *tensors)
        return result

    return plan


def _shifted(formula: Formula, stage: Fold) -> Formula:
    """The fold of one part: axis 0 counts the parts, the other axes move up by one."""
    def leaf(e: Expr) -> Expr | None:
        if e.op in ("axis", "size"):
            return node(e.op, (), int64, e.data + 1)
        return None

    elements = tuple(rewrite(e, leaf) for e in stage.elements)
    moved = Fold(stage.reducer, elements, 0)
    outputs = tuple(Output(s) for s in moved.states)
    return Formula(f"{formula.name}_parts", formula.rank + 1, outputs, 1, (moved,))


def _merging(formula: Formula, stage: Fold) -> Formula:
    """The merge of the parts: their axis is the row."""
    rank = formula.rank
    coords = (axis(rank), *(axis(a) for a in range(rank)))
    loads = tuple(load(k, e.dtype, coords) for k, e in enumerate(stage.elements))
    return Formula(f"{formula.name}_merged", rank, formula.outputs, 1, (Fold(stage.reducer, loads, stage.first),))

