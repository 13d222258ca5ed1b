"""Looking values up in sorted ones, by bisection in the kernel.

    searchsorted    out[p] = how many b[j] < v[p]     (right: <=)
    isin            out[p] = any_j  x[p] == test[j]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.dtypes import DType, bfloat16, bool_, float16, float32, int32, int64, result_dtype
from pellucid.errors import shape_text
from pellucid.formula.expr import Expr, axis, const, given, load, minimum, select
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, dense
from pellucid.operators.arguments import require_tensor
from pellucid.operators.creation import filled
from pellucid.operators.define import deliver, public
from pellucid.operators.indexing import Bounds, deliver_same
from pellucid.operators.literals import tensor
from pellucid.plan import Plan, PlanTable, kernel_plan
from pellucid.tensor import Tensor

ORDERED = "uif"

# -- bisection --------------------------------------------------------------------------------------------------------


def bisection(length: int, goes_right: Callable[[Expr], Expr]) -> Expr:
    """The first place in ``[0, length)`` that ``goes_right`` does not hold of, or ``length``; the plan gives
    ``length``. The steps are unrolled, so a kernel serves all lengths of as many bits."""
    low, high = const(0, int64), given("length")
    for _ in range(length.bit_length()):
        middle = low + ((high - low) >> 1)
        right = (low < high) & goes_right(minimum(middle, given("length") - 1))
        left = (low < high) & ~right
        low, high = select(right, middle + 1, low), select(left, middle, high)
    return low


def _working(dtype: DType) -> DType:
    return float32 if dtype in (float16, bfloat16) else dtype


def _common(operator: str, kernel: str, *operands: Tensor) -> DType:
    dtype = result_dtype([(t.layout.dtype, t.layout.ndim) for t in operands])
    if dtype.kind not in ORDERED:
        raise NotImplementedError(
            f"\"{kernel}\" not implemented for '{dtype.scalar_name}': {operator}() takes numbers that have an order"
        )
    return dtype


# -- searchsorted -----------------------------------------------------------------------------------------------------


def _search_plan(
    operator: str, sequence: Layout, values: Layout, sorter: Layout | None, dtype: DType, right: bool, result: DType
) -> Plan:
    rank, n = values.ndim, sequence.shape[-1]
    inner = _working(dtype)
    row = tuple(axis(k) for k in range(sequence.ndim - 1))
    value = load(1, values.dtype).cast(inner)

    def goes_right(place: Expr) -> Expr:
        if sorter is not None:
            place = load(2, int64, (*row, place))
        cell = load(0, sequence.dtype, (*row, place)).cast(inner)
        return ~(cell > value) if right else ~(cell >= value)

    found = bisection(n, goes_right).cast(result)
    operands = [sequence, values] if sorter is None else [sequence, values, sorter]

    formula = Formula(operator, rank, (Output(found),))
    result_layout = [dense(values.shape, result)]
    plan = kernel_plan(formula, operands, tuple(values.shape), result_layout, given={"length": n})
    if sorter is None:
        return plan
    look = Bounds("searchsorted: sorter index out of range: searchsorted", rank - 1, n, RuntimeError).checker(sorter)

    def checked(sequence: Tensor, values: Tensor, order: Tensor) -> Tensor:
        look(order)
        return plan(sequence, values, order)

    return checked


_searches = PlanTable(_search_plan)


def _as_tensor(value: Any, like: Tensor, operator: str, argument: str, position: int) -> Tensor:
    """A number as a tensor without dimensions, in the dtype that it has beside ``like``."""
    if isinstance(value, bool | int | float):
        return tensor(value, dtype=result_dtype([(like.layout.dtype, like.layout.ndim), type(value)()]))
    return require_tensor(operator, value, argument, position)


def _require_sequence(sequence: Tensor, values: Tensor, sorter: Any) -> None:
    name = "torch.searchsorted()"
    own, wanted = sequence.layout.shape, values.layout.shape
    if not own:
        raise RuntimeError(f"{name}: boundaries tensor should have positive dimension, but got 0 dimension")
    if not wanted and len(own) != 1:
        raise RuntimeError(
            f"{name}: input value can be a scalar only when boundaries tensor dimension is 1, but got boundaries tensor "
            f"dim({len(own)}) and input value's dim(0) numel(1)"
        )
    if len(own) > 1 and (len(own) != len(wanted) or own[:-1] != wanted[:-1]):
        raise RuntimeError(
            f"{name}: boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and "
            f"input value tensor must match, but we got boundaries tensor {list(own)} and input value tensor {list(wanted)}"
        )
    if sorter is None:
        return
    if require_tensor("searchsorted", sorter, "sorter").layout.shape != own:
        raise RuntimeError(
            f"{name}: boundary and sorter must have the same size, but got boundary tensor {list(own)} and got sorter "
            f"tensor {list(sorter.layout.shape)}"
        )
    if sorter.layout.dtype is not int64:
        raise RuntimeError(
            f"{name}: sorter must be a tensor of long dtype but got dtype {sorter.layout.dtype.scalar_name}"
        )


@public
def searchsorted(
    sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    out: Tensor | None = None, sorter: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Where values belong in sorted rows: ``out[i,p] = how many sorted_sequence[i,j] < input[i,p]``.

    Args:
        right: count equal ones as well; ``side="right"`` says the same.
        out_int32: the result is int32, not int64.
        sorter: the places of the row's cells in order, if the rows themselves are not sorted.

    Raises:
        RuntimeError: unfit shapes, contradictory sides, a sorter that is not made of places.
    """
    require_tensor("searchsorted", sorted_sequence, "sorted_sequence")
    values = _as_tensor(input, sorted_sequence, "searchsorted", "self", 2)
    if side not in (None, "left", "right"):
        raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True"
        )
    _require_sequence(sorted_sequence, values, sorter)
    return _found("searchsorted", sorted_sequence, values, right or side == "right", out_int32, out, sorter)


def _found(
    operator: str, sequence: Tensor, values: Tensor, right: bool, out_int32: bool, out: Any, sorter: Any = None
) -> Tensor:
    dtype = _common(operator, "searchsorted_out_cpu", sequence, values)
    result_type = int32 if out_int32 else int64
    if out is not None and require_tensor(operator, out, "out").layout.dtype is not result_type:
        raise RuntimeError(
            f"torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or Long(int64) depending "
            f"on whether out_int32 flag is True, but we got output tensor's dtype {out.layout.dtype.scalar_name} and "
            f"out_int32 flag is {out_int32}"
        )
    order = None if sorter is None else sorter.layout
    plan = _searches[operator, sequence.layout, values.layout, order, dtype, bool(right), result_type]
    result = plan(sequence, values) if sorter is None else plan(sequence, values, sorter)
    return result if out is None else deliver(result, out, operator)


@public
def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False, out: Tensor | None = None
) -> Tensor:
    """The bucket of each value: ``out[p] = how many boundaries[j] < input[p]`` (``right``: ``<=``).

    Raises:
        RuntimeError: boundaries that are not a vector.
    """
    require_tensor("bucketize", boundaries, "boundaries", 2)
    if boundaries.layout.ndim != 1:
        raise RuntimeError(
            f"bucketize(): boundaries tensor must be 1 dimension, but got dim({boundaries.layout.ndim}): shape "
            f"{shape_text(boundaries.layout.shape)}"
        )
    values = _as_tensor(input, boundaries, "bucketize", "input", 1)
    return _found("bucketize", boundaries, values, right, out_int32, out)


# -- isin -------------------------------------------------------------------------------------------------------------


def _isin_plan(x: Layout, tests: Layout, dtype: DType, invert: bool) -> Plan:
    inner, n = _working(dtype), tests.shape[0]
    value = load(0, x.dtype).cast(inner)
    cell: Callable[[Expr], Expr] = lambda place: load(1, tests.dtype, (place,)).cast(inner)  # noqa: E731
    place = bisection(n, lambda middle: ~(cell(middle) >= value))
    hit = cell(minimum(place, given("length") - 1)).equals(value)
    formula = Formula("isin", x.ndim, (Output(~hit if invert else hit),))
    return kernel_plan(formula, (x, tests), tuple(x.shape), [dense(x.shape, bool_)], given={"length": n})


_memberships = PlanTable(_isin_plan)


@public
def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False, out: Tensor | None = None
) -> Tensor:
    """Whether each cell of ``elements`` equals one of ``test_elements`` (or none of them: ``invert``). One of the two
    may be a number; NaN equals nothing.

    Raises:
        TypeError: both are numbers; RuntimeError: booleans or complex numbers.
    """
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError(
            "isin() received an invalid combination of arguments: one of elements and test_elements must be a tensor, "
            f"not {type(elements).__name__} and {type(test_elements).__name__}"
        )
    x: Any = elements if isinstance(elements, Tensor) else _as_tensor(elements, test_elements, "isin", "elements", 1)
    tests: Any = _as_tensor(test_elements, x, "isin", "test_elements", 2)
    for t in (x, tests):
        if t.layout.dtype.kind not in ORDERED:
            raise RuntimeError(f"Unsupported input type encountered for isin(): {t.layout.dtype.scalar_name}")
    if tests.layout.numel == 0:
        return deliver_same(filled(dense(x.layout.shape, bool_), bool(invert)), out, "isin", x)
    ranked = tests.detach().reshape(-1).sort().values
    dtype = result_dtype([(t.layout.dtype, t.layout.ndim) for t in (x, tests)])
    result = _memberships[x.layout, ranked.layout, dtype, bool(invert)](x, ranked)
    return result if out is None else deliver_same(result, out, "isin", x, tests)
