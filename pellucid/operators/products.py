"""Matrix products: which BLAS call a product is, and what it is differentiated by.

Every product here is C[b] = A[b] B[b] over a batch b. ``_product_plan`` finds how the operands lie in memory: rows or
columns adjacent go to BLAS as they are (transposed, if need be), any other arrangement is copied first. Integers have
no BLAS: their products are the formula ``out[i,j] = sum_k a[i,k] * b[k,j]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from pellucid.autograd.graph import Node, recorder, recording
from pellucid.dtypes import DType, bfloat16, bool_, float16, float32, int64
from pellucid.errors import shape_text
from pellucid.formula.expr import axis, const, load
from pellucid.formula.formula import Fold, Formula, Output, folding
from pellucid.layout import Layout, broadcast_shapes, broadcast_strides, dense
from pellucid.operators.define import both, method
from pellucid.operators.rows import deliver_same
from pellucid.plan import Plan, PlanTable, explain_status, kernel_plan
from pellucid.runtime import blas, native
from pellucid.tensor import Tensor, empty_like_layout

HALVES = (bfloat16, float16)


def check_dtypes(operator: str, *operands: Layout) -> DType:
    """Products do not promote.

    Raises:
        RuntimeError: the dtypes differ.
    """
    first = operands[0].dtype
    for x in operands[1:]:
        if x.dtype is not first:
            raise RuntimeError(
                f"{operator}(): expected m1 and m2 to have the same dtype, but got: {first!r} != {x.dtype!r}. "
                "Products do not promote: convert one operand with .to(dtype)."
            )
    return first


def unfit(operator: str, a: Layout, b: Layout) -> RuntimeError:
    """The error for inner sizes that differ, with the transpose that would fit."""
    hint = ""
    if a.ndim >= 2 and b.ndim >= 2 and a.shape[-1] == b.shape[-1]:
        hint = "; the last dimensions agree: transpose the second operand (.mT, or .T of a matrix)"
    elif a.ndim >= 2 and b.ndim >= 2 and a.shape[-2] == b.shape[-2]:
        hint = "; the rows agree: transpose the first operand (.mT, or .T of a matrix)"
    return RuntimeError(
        f"{operator}(): mat1 and mat2 shapes cannot be multiplied ({_times(a)} and {_times(b)}): the last dimension of "
        f"the first, {a.shape[-1]}, must equal the rows of the second, {b.shape[-2 if b.ndim > 1 else 0]}{hint}"
    )


def _times(x: Layout) -> str:
    return "x".join(map(str, x.shape))


class _Matrices:
    """A batch of matrices in memory as BLAS reads it: ``trans``, ``ld``, and bytes between the groups of the batch and
    between the members of a group, which are its dimensions from ``split`` on."""

    def __init__(self, x: Layout, batch: tuple[int, ...], split: int) -> None:
        rows, columns = x.shape[-2:]
        row_step, column_step = x.strides[-2:]
        steps = broadcast_strides(x, (*batch, rows, columns))[:-2]
        jump, step = _joined(batch[:split], steps[:split]), _joined(batch[split:], steps[split:])
        self.steps = ((jump or 0) * x.dtype.itemsize, (step or 0) * x.dtype.itemsize)
        self.trans, self.ld, self.fits = False, max(columns, 1), jump is not None and step is not None
        if x.numel == 0 or (rows <= 1 and columns <= 1):
            return
        if (column_step == 1 or columns == 1) and (rows == 1 or row_step >= columns):
            self.ld = row_step if rows > 1 else max(columns, 1)
        elif (row_step == 1 or rows == 1) and (columns == 1 or column_step >= rows):
            self.trans, self.ld = True, column_step if columns > 1 else max(rows, 1)
        else:
            self.fits = False


def _joined(sizes: tuple[int, ...], strides: tuple[int, ...]) -> int | None:
    """The one stride that walks all dimensions in order, or None."""
    step, run = 0, 1
    for n, stride in zip(reversed(sizes), reversed(strides), strict=True):
        if n == 1:
            continue
        if run == 1:
            step = stride
        elif stride != step * run:
            return None
        run *= n
    return step


def _best_split(batch: tuple[int, ...], operands: Sequence[Layout]) -> int:
    """Where to cut the dimensions of the batch into groups and members so that the fewest operands are copied."""

    def copies(split: int) -> int:
        return sum(not _Matrices(x, batch, split).fits for x in operands)

    return min(range(len(batch) + 1), key=copies)


def copy_plan(x: Layout, target: Layout) -> Plan:
    """Cells of ``x``, broadcast and converted to ``target``."""
    formula = Formula("copy", target.ndim, (Output(load(0, x.dtype).cast(target.dtype)),))
    return kernel_plan(formula, (x,), tuple(target.shape), [target])


def panels_plan(b: Layout) -> Plan:
    """The columns of a matrix (k, n) in panels of `blas.PANEL` side by side, each row by row; what the last one has too
    many is not set."""
    (k, n), (down, right), width = b.shape, b.strides, blas.PANEL
    whole, rest = divmod(n, width)
    target = dense((whole + (rest > 0), k, width), b.dtype)
    parts = []
    for first, count, columns in ((0, whole, width), (whole, int(rest > 0), rest)):
        if count:
            shape = (count, k, columns)
            source = b.with_strides(shape, (width * right, down, right))
            room = b.with_strides(shape, (k * width, width, 1))
            formula = Formula("copy", 3, (Output(load(0, b.dtype)),))
            write = kernel_plan(formula, (source,), shape, [room], in_place=True)
            parts.append((write, source, first * width * right * b.dtype.itemsize, room, first * k * width * b.dtype.itemsize))
    new_tensor = native.new_tensor

    def plan(x: Tensor) -> Tensor:
        out = empty_like_layout(target)
        for write, source, at, room, to in parts:
            write(new_tensor(room, out.storage, out.ptr + to), new_tensor(source, x.storage, x.ptr + at))
        return out

    return plan


def product_plan(a: Layout, b: Layout, alpha: float = 1.0) -> tuple[Plan, Layout]:
    """The plan of ``A @ B`` for operands of two or more dimensions, not recorded, and the result's layout."""
    batch = broadcast_shapes(tuple(a.shape[:-2]), tuple(b.shape[:-2]))
    assert batch is not None
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    result = dense((*batch, m, n), a.dtype)
    if a.dtype in HALVES:
        return _widened(a, b, result, alpha), result
    if not (a.dtype.is_floating_point or a.dtype.is_complex):
        return _formula_plan(a, b, batch, result), result
    rows = _joined((*batch, m), a.strides[:-1]) if b.ndim == 2 else None
    if batch and rows is not None and rows >= k and a.strides[-1] == 1:
        # All rows at once: a batch times one matrix is one product.
        flat = a.with_strides((prod(batch) * m, k), (rows, 1))
        return _gemm(flat, b, (), result, alpha), result
    return _gemm(a, b, batch, result, alpha), result


def _gemm(
    a: Layout,
    b: Layout,
    batch: tuple[int, ...],
    result: Layout,
    alpha: complex,
    summand: tuple[int, ...] | None = None,
    beta: complex = 0.0,
    in_place: bool = False,
) -> Plan:
    """One BLAS call for a batch of matrices; operands that BLAS cannot read are copied first.

    With a ``summand`` (bytes between its cells along each dimension of the result) the plan takes it third and adds
    ``beta`` times it. ``in_place``: the plan takes the result first, and adds to ``beta`` times what it holds.
    """
    split = _best_split(batch, [a, b])
    (a, left, copy_a), (b, right, copy_b) = _readable(a, batch, split), _readable(b, batch, split)
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    panels = not batch and blas.gains_by_panels(a.dtype, m, n, k, right.trans)
    if panels:
        copy_b = panels_plan(b)
    elif batch and right.trans and not left.trans and blas.gains_by_transposing(a.dtype, m, n, k):
        target = dense(b.shape, b.dtype)
        if _Matrices(target, batch, split).fits:
            b, copy_b, right = target, copy_plan(b, target), _Matrices(target, batch, split)
    product = blas.gemm_spec(
        a.dtype, m, n, k, left.trans, left.ld, right.trans and not panels, right.ld, max(n, 1),
        (prod(batch[:split]), prod(batch[split:])), left.steps, right.steps,
        alpha=alpha, beta=beta, summand=summand if summand is None else _summand_steps(summand, batch, split),
        panels=panels,
    )  # fmt: skip
    flags = (native.RELEASE_GIL if m * n * k * prod(batch) > 1 << 18 else 0) | (native.IN_PLACE if in_place else 0)
    kinds = [0, 0] if summand is None else [0, 0, 0]
    spec = native.pack_spec(
        product.kernel, product.params.buffer_info()[0], product.n, product.grain, flags, [result.nbytes], kinds
    )
    launch = native.make_launch(spec, product.params, None, explain_status, [result])
    if copy_a is None and copy_b is None:
        return launch
    same: Plan = lambda x: x  # noqa: E731
    first, second = copy_a or same, copy_b or same
    if in_place:
        return lambda out, x, y: launch(out, first(x), second(y))
    return lambda x, y, *added: launch(first(x), second(y), *added)


def accumulating_plan(a: Layout, b: Layout, result: Layout, beta: float) -> Plan:
    """``out = beta out + A B`` of floats or complex numbers, in place; takes the result first. Not recorded."""
    return _gemm(a, b, tuple(result.shape[:-2]), result, 1.0, None, beta, in_place=True)


def summed_plan(s: Layout, a: Layout, b: Layout, result: Layout, beta: complex, alpha: complex) -> Plan:
    """``beta S + alpha A B`` of floats or complex numbers, not recorded; takes the tensors in this order."""
    if result.dtype in HALVES:
        w, x, y, z = wide = [dense(operand.shape, float32) for operand in (s, a, b, result)]
        return _in_float32(summed_plan(w, x, y, z, beta, alpha), [s, a, b], wide, result)
    summand = tuple(step * s.dtype.itemsize for step in broadcast_strides(s, tuple(result.shape)))
    plan = _gemm(a, b, tuple(result.shape[:-2]), result, alpha, summand, beta)
    return lambda x, left, right: plan(left, right, x)


def _in_float32(plan: Plan, operands: Sequence[Layout], wide: Sequence[Layout], result: Layout) -> Plan:
    """Half precision: a plan over float32 operands, rounded once."""
    up = [copy_plan(x, w) for x, w in zip(operands, wide, strict=False)]
    down = copy_plan(wide[-1], result)
    return lambda *tensors: down(plan(*[f(x) for f, x in zip(up, tensors, strict=True)]))


def biased_plan(x: Layout, weight: Layout, bias: Layout | None) -> tuple[Plan, Layout]:
    """``x W^T + b`` over all rows of ``x`` in one BLAS call, not recorded, and the result's layout."""
    if x.dtype in HALVES:
        operands = [x, weight] if bias is None else [x, weight, bias]
        wide = [dense(t.shape, float32) for t in operands]
        plan, total = biased_plan(wide[0], wide[1], None if bias is None else wide[2])
        result = dense(total.shape, x.dtype)
        return _in_float32(plan, operands, [*wide, total], result), result
    result = dense((*x.shape[:-1], weight.shape[0]), x.dtype)
    transposed = weight.with_strides(weight.shape[::-1], weight.strides[::-1])
    rows = _joined(tuple(x.shape[:-1]), x.strides[:-1])
    copy = None
    if rows is None or (x.strides[-1] != 1 and x.shape[-1] > 1):
        copy, x = copy_plan(x, dense(x.shape, x.dtype)), dense(x.shape, x.dtype)
        rows = x.shape[-1]
    count = prod(x.shape[:-1])
    flat = x.with_strides((count, x.shape[-1]), (rows if count > 1 else max(x.shape[-1], 1), 1))
    summand = None if bias is None else (0, bias.strides[0] * bias.dtype.itemsize)
    plan = _gemm(flat, transposed, (), result, 1.0, summand, 0.0 if bias is None else 1.0)
    return (plan if copy is None else lambda t, *others: plan(copy(t), *others)), result


def _readable(x: Layout, batch: tuple[int, ...], split: int) -> tuple[Layout, _Matrices, Plan | None]:
    """The operand as BLAS can read it, and the plan of the copy that it takes, if any."""
    own = _Matrices(x, batch, split)
    if own.fits:
        return x, own, None
    target = dense(x.shape, x.dtype)
    if not _Matrices(target, batch, split).fits:
        target = dense((*batch, *x.shape[-2:]), x.dtype)  # broadcast in the middle of the batch
    return target, _Matrices(target, batch, split), copy_plan(x, target)


def _summand_steps(steps: tuple[int, ...], batch: tuple[int, ...], split: int) -> tuple[int, int, int, int]:
    """Bytes between the summand's groups, members, rows and columns."""
    jump, step = _joined(batch[:split], steps[:split]), _joined(batch[split:], steps[split:-2])
    assert jump is not None, "only products of one batch dimension take a summand"
    assert step is not None
    return jump, step, steps[-2], steps[-1]


def _widened(a: Layout, b: Layout, result: Layout, alpha: float) -> Plan:
    """Half precision: multiplied in float32, rounded once."""
    wide_a, wide_b = dense(a.shape, float32), dense(b.shape, float32)
    plan, wide = product_plan(wide_a, wide_b, alpha)
    return _in_float32(plan, [a, b], [wide_a, wide_b, wide], result)


def _formula_plan(a: Layout, b: Layout, batch: tuple[int, ...], result: Layout) -> Plan:
    """``out[.., i, j] = sum_k a[.., i, k] * b[.., k, j]`` for dtypes that BLAS does not have."""
    if a.dtype is bool_:
        raise RuntimeError("\"addmm_impl_cpu_\" not implemented for 'Bool': convert the operands to a number type")
    rank = len(batch) + 2
    i, j, k = rank - 2, rank - 1, rank
    left = load(0, a.dtype, (*_batch_coords(a, batch), axis(i), axis(k)))
    right = load(1, b.dtype, (*_batch_coords(b, batch), axis(k), axis(j)))
    fold = Fold(folding("sum", a.dtype), (left * right,), 0)
    formula = Formula("matmul", rank, (Output(fold.states[0]),), 1, (fold,))
    return kernel_plan(formula, (a, b), (*result.shape, a.shape[-1]), [result])


def _batch_coords(x: Layout, batch: tuple[int, ...]) -> tuple[Any, ...]:
    own = x.shape[:-2]
    first = len(batch) - len(own)
    return tuple(axis(first + d) if n == batch[first + d] else const(0, int64) for d, n in enumerate(own))


class ProductRule:
    """C = A B: dA = dC B^H, dB = A^H dC, summed over what was broadcast.

    An operand that lies in memory column by column, such as the transposed keys of attention, gets a gradient that does
    so, too: it is computed transposed, and what was transposed before finds rows again.
    """

    def __init__(self, name: str, a: Layout, b: Layout) -> None:
        self.name, self.a, self.b = name, tuple(a.shape), tuple(b.shape)
        self.turned_a, self.turned_b = _by_columns(a), _by_columns(b)

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return tuple(k for k, asked in ((1, needed[1]), (2, needed[0])) if asked)

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        saved, g = node.unpack(), grads[0]
        left = right = None
        if node.edges[0] is not None:
            b = saved[2].conj()
            whole = _times_matrices(b, g.mT).mT if self.turned_a else _times_matrices(g, b.mT)
            left = summed_to(whole, self.a)
        if node.edges[1] is not None:
            right = self._right(saved[1].conj(), g)
        return left, right

    def _right(self, a: Any, g: Any) -> Any:
        if len(self.b) == 2 and len(self.a) > 2:
            # One product over all rows, where a batch of products would have to be summed.
            count = prod(self.a[:-1])
            a, g = a.reshape(count, self.a[-1]), g.reshape(count, g.layout.shape[-1])
        whole = _times_matrices(g.mT, a).mT if self.turned_b else _times_matrices(a.mT, g)
        return summed_to(whole, self.b)


def _by_columns(x: Layout) -> bool:
    return x.strides[-2] == 1 and x.strides[-1] > 1 and x.shape[-2] > 1


def summed_to(gradient: Any, shape: tuple[int, ...]) -> Any:
    return gradient if gradient.layout.shape == shape else gradient.sum_to_size(shape)


def _build(name: str, node_name: str, a: Layout, b: Layout) -> Plan:
    """The recorded product of operands of two or more dimensions whose batches broadcast."""
    check_dtypes(name, a, b)
    if a.shape[-1] != b.shape[-2]:
        raise unfit(name, a, b)
    if broadcast_shapes(tuple(a.shape[:-2]), tuple(b.shape[:-2])) is None:
        raise RuntimeError(
            f"{name}(): the batch dimensions of {shape_text(a.shape)} and {shape_text(b.shape)} do not broadcast: "
            "aligned to the right they must be equal or 1"
        )
    plan, result = product_plan(a, b)
    if not (a.dtype.is_floating_point or a.dtype.is_complex):
        return plan
    return recording(plan, recorder(ProductRule(node_name, a, b), [result], [a, b]))


_matrix_plans = PlanTable(
    lambda a, b: _build("matmul", "MmBackward0" if a.ndim == b.ndim == 2 else "BmmBackward0", a, b)
)
_mm_plans = PlanTable(lambda a, b: _build("mm", "MmBackward0", a, b))


def _times_matrices(a: Any, b: Any) -> Any:
    return _matrix_plans[a.layout, b.layout](a, b)


def require_tensors(operator: str, **operands: Any) -> None:
    for name, x in operands.items():
        if not isinstance(x, Tensor):
            raise TypeError(f"{operator}(): argument '{name}' must be Tensor, not {type(x).__name__}")


@both
def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Matrix product: ``out[..., i, j] = sum_k input[..., i, k] * other[..., k, j]``.

    Dimensions before the last two broadcast. A 1-D operand is a row on the left, a column on the right; the dimension
    that it gained is dropped from the result.

    Raises:
        RuntimeError: unfit shapes, different dtypes, a 0-d operand.
    """
    try:
        if input.layout.ndim >= 2 and other.layout.ndim >= 2 and out is None:
            return _matrix_plans[input.layout, other.layout](input, other)
    except AttributeError:
        require_tensors("matmul", input=input, other=other)
        raise
    return deliver_same(_with_vectors(input, other), out, "matmul")


def _with_vectors(a: Any, b: Any) -> Any:
    if a.layout.ndim == 0 or b.layout.ndim == 0:
        raise RuntimeError(
            f"matmul(): both arguments to matmul need to be at least 1D, but they are {a.layout.ndim}D and "
            f"{b.layout.ndim}D; use * to multiply by a 0-d tensor"
        )
    if a.layout.ndim == 1 and b.layout.ndim == 1 and a.layout.shape != b.layout.shape:
        raise RuntimeError(
            f"matmul(): inconsistent tensor size, expected tensor {shape_text(a.layout.shape)} and src "
            f"{shape_text(b.layout.shape)} to have the same number of elements"
        )
    row, column = a.layout.ndim == 1, b.layout.ndim == 1
    result = _times_matrices(a.unsqueeze(0) if row else a, b.unsqueeze(1) if column else b)
    if column:
        result = result.squeeze(-1)
    return result.squeeze(-1 if column else -2) if row else result


@both
def mm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Product of two matrices: ``out[i, j] = sum_k input[i, k] * mat2[k, j]``; nothing is broadcast.

    Raises:
        RuntimeError: an operand is not 2-D, unfit shapes, different dtypes.
    """
    require_tensors("mm", input=input, mat2=mat2)
    for name, x in (("self", input), ("mat2", mat2)):
        if x.layout.ndim != 2:
            raise RuntimeError(
                f"mm(): {name} must be a matrix, got {shape_text(x.layout.shape)}; see matmul for batches"
            )
    return deliver_same(_mm_plans[input.layout, mat2.layout](input, mat2), out, "mm")


@both
def bmm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Products of matrices in pairs: ``out[b, i, j] = sum_k input[b, i, k] * mat2[b, k, j]``.

    Raises:
        RuntimeError: an operand is not 3-D, batches of different sizes, unfit shapes, different dtypes.
    """
    require_tensors("bmm", input=input, mat2=mat2)
    for name, x in (("batch1", input), ("batch2", mat2)):
        if x.layout.ndim != 3:
            raise RuntimeError(f"bmm(): {name} must be a 3D tensor, got {shape_text(x.layout.shape)}")
    if input.layout.shape[0] != mat2.layout.shape[0] or input.layout.shape[2] != mat2.layout.shape[1]:
        raise RuntimeError(
            f"bmm(): Expected size for first two dimensions of batch2 tensor to be: [{input.layout.shape[0]}, "
            f"{input.layout.shape[2]}] but got: {list(mat2.layout.shape[:2])} (operands {shape_text(input.layout.shape)} "
            f"and {shape_text(mat2.layout.shape)})"
        )
    return deliver_same(_times_matrices(input, mat2), out, "bmm")


def _matmul_operator(self: Tensor, other: Any) -> Any:
    return matmul(self, other) if isinstance(other, Tensor) else NotImplemented


method(_matmul_operator, "__matmul__")
method(lambda self, other: matmul(other, self) if isinstance(other, Tensor) else NotImplemented, "__rmatmul__")
