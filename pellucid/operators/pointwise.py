"""Pointwise operators: each cell of the result comes from the cells at the same place of the operands.

    exp = unary("exp", lambda x: E.unary("exp", x), FLOAT, "The exponential function, exp(x).")

defines everything there is to it: ``pellucid.exp``, ``Tensor.exp``, ``Tensor.exp_``, ``out=``, the kernel for every
dtype, its derivatives of every order, and the printed loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pellucid import dtypes
from pellucid.autograd.derived import DerivedRule, differentiable_plan
from pellucid.autograd.graph import recorder
from pellucid.dtypes import DType, bfloat16, bool_, float16, float32
from pellucid.formula import expr as E
from pellucid.formula.expr import Expr
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, broadcast_shapes, elementwise
from pellucid.operators.define import (
    both,
    deliver,
    in_place,
    key_of,
    method,
    require_castable,
    require_writable,
)
from pellucid.plan import Operand, Plan, PlanTable, kernel_plan
from pellucid.tensor import Tensor

Kind = Callable[[DType], DType]  # the dtype that the operands have in common -> the dtype of the result
NUMBERS = frozenset({bool, int, float})


def SAME(common: DType) -> DType:  # noqa: N802 - these read as constants where operators are defined
    return common


def FLOAT(common: DType) -> DType:  # noqa: N802
    """Integers and booleans become the default dtype."""
    return common if common.is_floating_point or common.is_complex else dtypes.get_default_dtype()


def BOOL(common: DType) -> DType:  # noqa: N802
    return bool_


def working(dtype: DType) -> DType:
    """What is computed with: half precision in float32, everything else as it is."""
    return float32 if dtype in (bfloat16, float16) else dtype


class Pointwise:
    """The formula of one operator for all dtypes and shapes, and its plans."""

    def __init__(self, name: str, expression: Callable[..., Expr], kind: Kind, node_name: str | None = None) -> None:
        self.name, self.expression, self.kind, self.node_name = name, expression, kind, node_name
        self.plans = PlanTable(self.build)
        self.in_place_plans = PlanTable(self.build_in_place)

    def common(self, operands: Sequence[Operand]) -> DType:
        """The dtype that the operands are converted to."""
        known = [(x.dtype, x.ndim) if isinstance(x, Layout) else x() for x in operands]
        return dtypes.result_dtype(known)

    def formula(self, operands: Sequence[Operand], rank: int) -> Formula:
        common = self.common(operands)
        result = self.kind(common)
        inner = working(common if result is bool_ else result)
        args = [operand_expr(k, x).cast(inner) for k, x in enumerate(operands)]
        return Formula(self.name, rank, (Output(self.expression(*args).cast(result)),))

    def shape(self, operands: Sequence[Operand]) -> tuple[int, ...]:
        shapes = [tuple(x.shape) for x in operands if isinstance(x, Layout)]
        shape = broadcast_shapes(*shapes)
        if shape is None:
            raise RuntimeError(broadcast_message(self.name, shapes))
        return shape

    def build(self, *operands: Operand) -> Plan:
        shape = self.shape(operands)
        formula = self.formula(operands, len(shape))
        result = elementwise(shape, [x for x in operands if isinstance(x, Layout)], formula.outputs[0].value.dtype)
        return differentiable_plan(formula, operands, shape, [result], name=self.node_name)

    def build_in_place(self, target: Layout, *operands: Operand) -> Plan:
        """The plan that writes into ``target``, with the recorder of the call as attribute of a pair."""
        shape = self.shape(operands)
        if shape != target.shape:
            raise RuntimeError(
                f"{self.name}_(): output with shape {list(target.shape)} doesn't match the broadcast shape "
                f"{list(shape)}: an in-place operation cannot grow the tensor it writes into"
            )
        formula = self.formula(operands, len(shape))
        value = formula.outputs[0].value
        require_castable(f"{self.name}_", value.dtype, target.dtype)
        formula = Formula(self.name, len(shape), (Output(value.cast(target.dtype)),))
        record = None
        if target.dtype.is_floating_point or target.dtype.is_complex:
            rule = DerivedRule(formula, tuple(operands), shape, None, self.node_name)
            record = recorder(rule, [target], operands)
        write = kernel_plan(formula, operands, shape, [target], in_place=True)
        return lambda x, *values: in_place(x, lambda: write(x, *values), record, *values)

    def __call__(self, *operands: Any) -> Any:
        return self.plans[tuple([key_of(x) for x in operands])](*operands)

    def write(self, x: Tensor, *operands: Any) -> Tensor:
        """The in-place form: the result goes into ``x``."""
        require_writable(f"{self.name}_", x, operands)
        plan = self.in_place_plans[x.layout, *[key_of(y) for y in operands]]
        return plan(x, *operands)  # type: ignore[no-any-return]


def operand_expr(k: int, operand: Operand) -> Expr:
    """Operand ``k`` at the cell: a load, or a Python number."""
    if isinstance(operand, Layout):
        return E.load(k, operand.dtype)
    return E.scalar(k, dtypes.float64 if operand is float else bool_ if operand is bool else dtypes.int64)


def broadcast_message(operator: str, shapes: Sequence[tuple[int, ...]]) -> str:
    rank = max(map(len, shapes))
    for d in range(rank):
        sizes = {s[d - rank + len(s)] for s in shapes if d - rank + len(s) >= 0} - {1}
        if len(sizes) > 1:
            break
    listed = " and ".join(str(s) for s in shapes)
    return (
        f"{operator}: The size of tensor a ({shapes[0][d - rank + len(shapes[0])]}) must match the size of tensor b "
        f"({shapes[1][d - rank + len(shapes[1])]}) at non-singleton dimension {d}: shapes {listed} do not broadcast. "
        "Sizes are aligned to the right and must be equal or 1; reshape or unsqueeze one of them."
    )


def unary(
    name: str, expression: Callable[[Expr], Expr], kind: Kind, doc: str, *, node_name: str | None = None
) -> Callable[..., Tensor]:
    """Define ``name(input, *, out=None)`` with its method and in-place twin."""
    op = Pointwise(name, expression, kind, node_name)
    plans = op.plans

    def function(input: Tensor, *, out: Tensor | None = None) -> Tensor:
        if out is None:
            try:
                return plans[input.layout,](input)  # type: ignore[no-any-return]
            except AttributeError:
                if isinstance(input, Tensor):
                    raise
                raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}") from None
        return deliver(op(input), out, name)  # type: ignore[no-any-return]

    def twin(input: Tensor) -> Tensor:
        return op.write(input, input)

    return _publish(op, function, twin, doc)


def binary(
    name: str, expression: Callable[[Expr, Expr], Expr], kind: Kind, doc: str, *, node_name: str | None = None
) -> Callable[..., Tensor]:
    """Define ``name(input, other, *, out=None)`` with its method and in-place twin."""
    op = Pointwise(name, expression, kind, node_name)
    plans = op.plans

    def function(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
        if out is None:
            if type(other) in NUMBERS:
                return plans[input.layout, type(other)](input, other)  # type: ignore[no-any-return]
            return plans[input.layout, other.layout](input, other)  # type: ignore[no-any-return]
        return deliver(op(input, other), out, name)  # type: ignore[no-any-return]

    def twin(input: Tensor, other: Any) -> Tensor:
        return op.write(input, input, other)

    return _publish(op, function, twin, doc)


def _publish(op: Pointwise, function: Any, twin: Any, doc: str) -> Any:
    function.__name__, function.__qualname__, function.__doc__ = op.name, op.name, doc
    twin.__name__ = twin.__qualname__ = f"{op.name}_"
    twin.__doc__ = f"In-place form of `{op.name}`."
    function.operator = op
    method(twin)
    return both(function)


exp = unary("exp", lambda x: E.unary("exp", x), FLOAT, "The exponential function, ``exp(x)``, of each cell.")
mul = binary("mul", lambda a, b: a * b, SAME, "Products: ``out[...] = input[...] * other[...]``.")
add = binary("add", lambda a, b: a + b, SAME, "Sums: ``out[...] = input[...] + other[...]``.")
