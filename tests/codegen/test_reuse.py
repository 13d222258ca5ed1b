"""What a fold leaves in the result's memory for later."""

from pellucid.codegen.reuse import reused
from pellucid.dtypes import bfloat16, float32
from pellucid.formula.expr import axis, load, unary
from pellucid.formula.formula import Fold, Formula, Output, folding

CELL = load(0, float32, (axis(0), axis(1)))
POWER = unary("exp", CELL)
TOTAL = Fold(folding("sum", float32), (POWER,), 0)
S = TOTAL.states[0]


def formula(*outputs: Output) -> Formula:
    return Formula("test", 1, outputs, 1, (TOTAL,))


def test_an_element_that_the_result_needs_again() -> None:
    found = reused(formula(Output(POWER / S, True, (0, 1))))
    assert found is not None
    assert found.value is POWER
    assert (found.output, found.element) == (0, 0)


def test_nothing_when_it_would_not_pay_or_not_be_right() -> None:
    plain = Fold(folding("sum", float32), (CELL * CELL,), 0)
    assert reused(Formula("test", 1, (Output(CELL * CELL / S, True, (0, 1)),), 1, (plain,))) is None
    assert reused(formula(Output(CELL - unary("log", S), True, (0, 1)))) is None  # not of the element
    assert reused(formula(Output(POWER / S + CELL, True, (0, 1)))) is None  # reads the operand as well
    assert reused(formula(Output((POWER / S).cast(bfloat16), True, (0, 1)))) is None  # would be rounded
    assert reused(formula(Output(S, False, (0,)))) is None  # nothing per cell
