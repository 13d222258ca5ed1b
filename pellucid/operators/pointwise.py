"""Pointwise operators: each cell of the result comes from the cells at the same place of the operands.

A ``Pointwise`` holds an operator's formula and its plans; ``forms.py`` publishes it. The operators themselves are in
``arithmetic.py``, ``comparison.py``, ``functions.py``, ``activations.py``, ``bitwise.py``, ``selecting.py`` and
``blending.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid import dtypes
from pellucid.autograd.derived import DerivedRule, StatedRule, differentiable_plan, grad_fn_name
from pellucid.autograd.fresh import zeros
from pellucid.autograd.graph import Node, Rule, recorder
from pellucid.dtypes import DType, bfloat16, bool_, complex64, complex128, float16, float32
from pellucid.formula import expr as E
from pellucid.formula.derivative import renumbered
from pellucid.formula.expr import Expr
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, broadcast_shapes, dense, elementwise, layout_of, overlaps_itself
from pellucid.operators.copying import clone, require_fits
from pellucid.operators.define import (
    deliver,
    in_place,
    key_of,
    require_castable,
    require_writable,
)
from pellucid.plan import Operand, Plan, PlanTable, kernel_plan
from pellucid.runtime import native
from pellucid.tensor import Tensor, array_of, empty_like_layout

Kind = Callable[[DType], tuple[DType, DType]]
"""The dtype that the operands have in common -> (the dtype that they are converted to, the dtype of the result)."""
NUMBERS = frozenset({bool, int, float})


def SAME(common: DType) -> tuple[DType, DType]:
    return common, common


def FLOAT(common: DType) -> tuple[DType, DType]:
    """Integers and booleans become the default dtype."""
    floats = common if common.is_floating_point or common.is_complex else dtypes.get_default_dtype()
    return floats, floats


def BOOL(common: DType) -> tuple[DType, DType]:
    return common, bool_


def ONLY_BOOL(common: DType) -> tuple[DType, DType]:
    """As `BOOL`, and ``out`` must be boolean as well."""
    return common, bool_


def REAL(common: DType) -> tuple[DType, DType]:
    """The result of complex operands is real."""
    return common, common.to_real()


def working(dtype: DType) -> DType:
    """What is computed with: half precision in float32, everything else as it is."""
    return float32 if dtype is bfloat16 or dtype is float16 else dtype


class Pointwise:
    """The formula of one operator for all dtypes and shapes, and its plans.

    Args:
        name: as programs call it.
        expression: the result's cell from the operands' cells, which have been brought to one dtype.
        kind: which dtype that is, and the result's.
        takes: kinds of the common dtype that are allowed ("b" bool, "u" "i" integers, "f" floats, "c" complex).
        kernel: what PyTorch calls it in the error for other dtypes.
        node_name: how ``grad_fn`` prints, if not by ``name``; may depend on the operands.
        promoting: how many of the operands take part in type promotion; further ones are plain parameters.
        refuse: raises for operands that have an error of their own; called with them and their common dtype.
        stored: hand operands over in the dtype itself, also where it is computed with a wider one.
        rounded: how many of the operands are rounded to the common dtype before it is computed with a wider one, if
            not those that take part in type promotion.
        precise: a number as the second operand is not rounded.
        fitting: which operands, if they are numbers, must not be out of the range of the common dtype.
        gradient: "derived" from the formula, "zero" for steps, or "undefined": `backward` raises. For operators of one
            tensor also an expression: the operand's gradient from the result's and the arguments of ``expression``.
    """

    def __init__(
        self,
        name: str,
        expression: Callable[..., Expr],
        kind: Kind,
        *,
        takes: str = "buifc",
        kernel: str | None = None,
        node_name: str | Callable[..., str] | None = None,
        promoting: int | None = None,
        refuse: Callable[[Sequence[Operand], DType], None] | None = None,
        gradient: str | Callable[..., Expr] = "derived",
        stored: bool = False,
        rounded: int | None = None,
        precise: bool = False,
        fitting: tuple[int, ...] = (),
    ) -> None:
        self.fitting = fitting
        self.gradient, self.stored, self.precise = gradient, stored, precise
        self.rounded = promoting if rounded is None else rounded
        self.name, self.expression, self.kind, self.takes = name, expression, kind, takes
        self.kernel, self.node_name, self.promoting, self.refuse = kernel or name, node_name, promoting, refuse
        self.plans = PlanTable(self.build)
        self.writes = PlanTable(self.build_write)
        self.records = PlanTable(self.build_record)

    # -- what is computed ---------------------------------------------------------------------------------------------

    def common(self, operands: Sequence[Operand]) -> DType:
        """The dtype of the operands by PyTorch's rules of type promotion.

        Raises:
            NotImplementedError: the operator is not defined for it.
        """
        found = common_dtype(operands if self.promoting is None else operands[: self.promoting])
        if self.refuse is not None:
            self.refuse(operands, found)
        if found.kind not in self.takes:
            raise NotImplementedError(
                f"\"{self.kernel}\" not implemented for '{found.scalar_name}': {self.name}() takes "
                f"{kinds_text(self.takes)} tensors; got {found!r}. {self._remedy()}"
            )
        return found

    def _remedy(self) -> str:
        if "f" in self.takes:
            return "Convert the operands first, for example by .float()."
        return "Convert the operands first, for example by .long(), or compare them: tests give booleans."

    def arguments(self, operands: Sequence[Operand], inner: DType) -> list[Expr]:
        """The operands' cells in the dtype to compute with, after rounding to ``inner`` itself: ``bfloat16 == 0.1``
        compares what would be stored. Parameters, and a number that divides or multiplies, keep their digits."""
        args = []
        for k, x in enumerate(operands):
            number = not (isinstance(x, Layout) and x.ndim)
            rounded = (self.rounded is None or k < self.rounded) and not (self.precise and k == 1 and number)
            value = operand_expr(k, x).cast(inner) if rounded else operand_expr(k, x)
            args.append(value if self.stored and rounded else value.cast(working(inner)))
        return args

    def formula(self, operands: Sequence[Operand], rank: int) -> Formula:
        inner, result = self.kind(self.common(operands))
        value = self.expression(*self.arguments(operands, inner))
        return Formula(self.name, rank, (Output(value.cast(result)),))

    def shape(self, operands: Sequence[Operand]) -> tuple[int, ...]:
        shapes = [tuple(x.shape) for x in operands if isinstance(x, Layout)]
        shape = broadcast_shapes(*shapes)
        if shape is None:
            raise RuntimeError(broadcast_message(self.name, shapes))
        return shape

    def backward_name(self, operands: Sequence[Operand]) -> str | None:
        return self.node_name(*operands) if callable(self.node_name) else self.node_name

    # -- plans --------------------------------------------------------------------------------------------------------

    def result(self, shape: tuple[int, ...], tensors: list[Layout], dtype: DType) -> Layout:
        """How a new result lies in memory: as the operands do."""
        return elementwise(shape, tensors, dtype)

    def build(self, *operands: Operand) -> Plan:
        shape = self.shape(operands)
        formula = self.formula(operands, len(shape))
        result = self.result(shape, [x for x in operands if isinstance(x, Layout)], formula.outputs[0].value.dtype)
        if self.gradient == "derived":
            plan = differentiable_plan(formula, operands, shape, [result], name=self.backward_name(operands))
            return self.checking(plan, operands)
        record = None
        if result.dtype.is_floating_point or result.dtype.is_complex:
            record = recorder(self.rule(formula, operands, shape), [result], operands)
        return self.checking(kernel_plan(formula, operands, shape, [result], record=record), operands)

    def checking(self, plan: Plan, operands: Sequence[Operand], first: int = 0) -> Plan:
        """The plan, which refuses numbers that the common dtype does not hold. Of the wide dtypes all pass, so that
        their plan stays a single native call. ``first``: at which argument the operands begin."""
        common = self.common(operands)
        narrow = [k for k in self.fitting if not isinstance(operands[k], Layout) and _is_narrow(common, operands[k])]
        if not narrow:
            return plan

        def checked(*values: Any) -> Any:
            for k in narrow:
                require_fits(values[first + k], common, self.name)
            return plan(*values)

        return checked

    def rule(self, formula: Formula, operands: Sequence[Operand], shape: tuple[int, ...]) -> Rule:
        name = self.backward_name(operands) or grad_fn_name(self.name)
        if callable(self.gradient):
            return StatedRule(formula, self._stated(self.gradient, operands, len(shape)), tuple(operands), shape, name)
        if self.gradient == "derived":
            return DerivedRule(formula, tuple(operands), shape, None, name)
        return ZeroRule(name, operands) if self.gradient == "zero" else UndefinedRule(self.name)

    def _stated(self, gradient: Callable[..., Expr], operands: Sequence[Operand], rank: int) -> Formula:
        """The formula of a gradient that was said by hand, its operands numbered as those of a pullback."""
        inner, result = self.kind(self.common(operands))
        own = [E.rewrite(e, renumbered) for e in self.arguments(operands, inner)]
        value = gradient(E.load(0, result).cast(own[0].dtype), *own)
        return Formula(f"{self.name}_backward", rank, (Output(value.cast(inner)),))

    def require_cells_apart(self, target: Layout) -> None:
        """Raises RuntimeError if a cell would be written several times."""
        if overlaps_itself(target):
            raise RuntimeError(
                f"{self.name}(): unsupported operation: more than one element of the written-to tensor "
                f"{tuple(target.shape)} refers to a single memory location (it was expanded). "
                "Please clone() the tensor before performing the operation."
            )

    def _writing(self, target: Layout, operands: Sequence[Operand]) -> tuple[Formula, tuple[int, ...]]:
        shape = self.shape(operands)
        self.require_cells_apart(target)
        if shape != target.shape:
            raise RuntimeError(
                f"{self.name}_(): output with shape {list(target.shape)} doesn't match the broadcast shape "
                f"{list(shape)}: an in-place operation cannot grow the tensor it writes into"
            )
        formula = self.formula(operands, len(shape))
        value = formula.outputs[0].value
        self._require_target(target.dtype, value.dtype, operands)
        return Formula(self.name, len(shape), (Output(value.cast(target.dtype)),)), shape

    def is_exact(self, operands: Sequence[Operand], result: DType) -> bool:
        """Whether the result may be written in its own dtype only: so are the operators that keep that of their operand."""
        if (self.promoting or len(operands)) > 1:
            return False
        return self.kind is SAME or (self.kind is REAL and result is self.common(operands))

    def _require_target(self, target: DType, result: DType, operands: Sequence[Operand]) -> None:
        """Raises RuntimeError unless the result may be written as ``target``: dtypes may be widened by most operators."""
        require_castable(self.name, result, target)
        if self.kind is ONLY_BOOL and target is not bool_:
            raise RuntimeError(f"{self.name} does not support non-boolean outputs; got {target}.")
        if target is not result and self.is_exact(operands, result):
            raise RuntimeError(
                f"{self.name}(): Found dtype {target.scalar_name} but expected {result.scalar_name}: out must have the "
                f"dtype of the result; convert the input by .to({target!r})"
            )

    def build_write(self, target: Layout, *operands: Operand) -> Plan:
        """The plan that writes into a tensor of layout ``target``."""
        formula, shape = self._writing(target, operands)
        return self.checking(kernel_plan(formula, operands, shape, [target], in_place=True), operands, first=1)

    def build_record(self, target: Layout, *operands: Operand) -> Any:
        """The recorder of a write, or None if the target cannot have a gradient."""
        if not (target.dtype.is_floating_point or target.dtype.is_complex):
            return None
        formula, shape = self._writing(target, operands)
        return recorder(self.rule(formula, operands, shape), [target], operands)

    # -- calls --------------------------------------------------------------------------------------------------------

    def __call__(self, *operands: Any) -> Any:
        key = tuple([x.layout if isinstance(x, Tensor) else type(x) for x in operands])
        return self.plans[key](*operands)

    def write(self, x: Tensor, *operands: Any) -> Tensor:
        """Write the result into ``x`` (which may be one of the operands), as the in-place forms do."""
        key: list[Any] = [x.layout]
        tracked, shared = x.tracked or (x.base is not None and x.base.tracked), False
        for y in operands:
            if isinstance(y, Tensor):
                key.append(y.layout)
                tracked = tracked or y.tracked
                shared = shared or (y is not x and y.storage is x.storage)
            else:
                key.append(type(y))
        if shared:
            require_writable(self.name, x, operands)
            operands = tuple([apart(y, x) for y in operands])
            key[1:] = [key_of(y) for y in operands]
        plan = self.writes[tuple(key)]
        record: Any = self.records[tuple(key)] if tracked and native.grad_enabled() else None
        if record is None:
            return plan(x, *operands)
        return in_place(x, lambda: plan(x, *operands), record, *operands)

    def deliver(self, out: Any, *operands: Any) -> Any:
        """The result, or ``out`` with the result written into it."""
        if out is None:
            return self(*operands)
        if not isinstance(out, Tensor):
            return deliver(self(*operands), out, self.name, follow=True)
        keys: list[Any] = []
        tracked, shared = out.tracked, False
        for x in operands:
            if isinstance(x, Tensor):
                keys.append(x.layout)
                tracked = tracked or x.tracked
                shared = shared or (x is not out and x.storage is out.storage)
            else:
                keys.append(type(x))
        if tracked and native.grad_enabled():
            return deliver(self(*operands), out, self.name, follow=True)
        plan = self.writes.get((out.layout, *keys))
        if plan is not None and not shared:
            return plan(out, *operands)
        if out.layout.shape == self.shape(keys):
            return self.write(out, *operands)
        result = self(*operands)
        self._require_target(out.layout.dtype, result.layout.dtype, keys)
        if any(x is out for x in operands):
            raise RuntimeError(
                f"{self.name}(): output with shape {list(out.layout.shape)} doesn't match the broadcast shape "
                f"{list(result.layout.shape)}: an operand that is out as well cannot be resized"
            )
        return deliver(result, out, self.name, follow=True)


def apart(y: Any, x: Tensor) -> Any:
    """``y``, in memory of its own if writing ``x`` cell by cell could change what is still to be read of it."""
    if not isinstance(y, Tensor) or y is x or y.storage is not x.storage:
        return y
    return y if y.ptr == x.ptr and y.layout.strides == x.layout.strides else clone(y)


class ZeroRule:
    """The derivative of steps: zero wherever there is one."""

    def __init__(self, name: str, operands: Sequence[Operand]) -> None:
        self.name, self.operands = name, operands

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return ()

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        return [
            None if edge is None or not isinstance(x, Layout) else zeros(dense(x.shape, x.dtype))
            for edge, x in zip(node.edges, self.operands, strict=True)
        ]


class UndefinedRule:
    """For operators without a derivative: asking for it is an error."""

    def __init__(self, operator: str) -> None:
        self.operator, self.name = operator, "torch::autograd::NotImplemented"

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return ()

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        raise RuntimeError(
            f"derivative for aten::{self.operator} is not implemented: no gradient flows through {self.operator}(). "
            "Call it on x.detach(), or use an operator that has a derivative."
        )



# -- operands ---------------------------------------------------------------------------------------------------------


def _is_narrow(dtype: DType, number: Any) -> bool:
    """Whether numbers of this kind may be out of its range. Those beyond float32's own become infinite."""
    if dtype.is_complex or dtype in (bool_, float32, dtypes.float64):
        return False
    return not (dtype is dtypes.int64 and number is not float)


def common_dtype(operands: Sequence[Operand]) -> DType:
    known: list[Any] = [(x.dtype, x.ndim) if isinstance(x, Layout) else x() for x in operands]
    return dtypes.result_dtype(known)


def operand_expr(k: int, operand: Operand) -> Expr:
    """Operand ``k`` at the cell: a load, or a Python number."""
    if isinstance(operand, Layout):
        return E.load(k, operand.dtype)
    return E.scalar(k, dtypes.float64 if operand is float else bool_ if operand is bool else dtypes.int64)


def number_or_tensor(value: Any, operator: str, argument: str, like: Any = None) -> Any:
    """What a plan takes: tensors as they are, NumPy's scalars as Python's; a complex number becomes a 0-d tensor of
    the dtype that it has beside ``like``.

    Raises:
        TypeError: it is neither a tensor nor a number.
    """
    kind = type(value)
    if kind in NUMBERS or isinstance(value, Tensor):
        return value
    if isinstance(value, (complex, np.complexfloating)):
        return complex_operand(complex(value), like)
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value)
    raise TypeError(f"{operator}(): argument '{argument}' must be Tensor or a number, not {kind.__name__}")


def complex_operand(value: complex, like: Any) -> Tensor:
    dtype = dtypes.get_default_complex_dtype()
    if isinstance(like, Tensor):
        if like.dtype.is_complex:
            dtype = like.dtype
        elif like.dtype.is_floating_point:
            dtype = complex128 if like.dtype is dtypes.float64 else complex64
    result = empty_like_layout(layout_of((), (), dtype))
    array_of(result)[()] = value
    return result


def require_tensor(value: Any, operator: str, argument: str = "input") -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"{operator}(): argument '{argument}' must be Tensor, not {type(value).__name__}")
    return value


def kinds_text(takes: str) -> str:
    words = {"b": "boolean", "u": "unsigned", "i": "integer", "f": "floating-point", "c": "complex"}
    named = [words[k] for k in takes]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


def broadcast_message(operator: str, shapes: Sequence[tuple[int, ...]]) -> str:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    d = next(d for d in range(rank) if len({s[d] for s in padded} - {1}) > 1)
    first = next(s[d] for s in padded if s[d] != 1)
    second = next(s[d] for s in padded if s[d] not in (1, first))
    listed = " and ".join(str(s) for s in shapes)
    return (
        f"{operator}(): The size of tensor a ({first}) must match the size of tensor b ({second}) at non-singleton "
        f"dimension {d}: shapes {listed} do not broadcast. "
        "Sizes are aligned to the right and must be equal or 1; reshape or unsqueeze one of them."
    )
