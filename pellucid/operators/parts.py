"""Views of parts: one row, a range, a diagonal, windows, pieces side by side. Nothing is copied."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from pellucid.autograd.derived import differentiable_plan
from pellucid.autograd.fresh import ones
from pellucid.autograd.views import strided
from pellucid.dtypes import int64
from pellucid.errors import shape_text
from pellucid.formula.expr import axis, given, load
from pellucid.formula.formula import Formula, Output, Scatter, folding
from pellucid.layout import Layout, dense, overlaps_itself, selected, sliced, span, windows
from pellucid.layout import diagonal as diagonal_of
from pellucid.operators.define import method, wrap_dim
from pellucid.operators.viewing import (
    each,
    formula_pullback,
    integer,
    integers,
    part_plan,
    pieces_plan,
    view_function,
    view_plan,
)
from pellucid.plan import Plan, PlanTable
from pellucid.tensor import Tensor

# -- one coordinate, a range ------------------------------------------------------------------------------------------


def _require_dimensions(operator: str, x: Layout, kind: type[Exception] = RuntimeError) -> None:
    if x.ndim == 0:
        raise kind(f"{operator}() cannot be applied to a 0-dim tensor.")


def select_plan(x: Layout, dim: int, index: int) -> Plan:
    """The plan of ``select``."""
    _require_dimensions("select", x, IndexError)
    d = wrap_dim("select", dim, x.ndim)
    n = x.shape[d]
    if not -n <= index < n:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(x.shape)} at dimension {d}: "
            f"indexes are from {-n} to {n - 1}"
        )
    return part_plan("SelectBackward0", x, selected, d, index % n)


_selects = PlanTable(select_plan)


@view_function
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The cells whose coordinate ``dim`` is ``index``: ``input[:, index]`` for dim 1.

    Raises:
        IndexError: there is no such dimension or index.
    """
    if type(dim) is not int or type(index) is not int:
        dim, index = integers("select", "index", (dim, index))
    return _selects[input.layout, dim, index](input)


def _narrow_plan(x: Layout, dim: int, start: int, length: int) -> Plan:
    _require_dimensions("narrow", x)
    if length < 0:
        raise RuntimeError(f"narrow(): length must be non-negative, but is {length}.")
    d = wrap_dim("narrow", dim, x.ndim)
    n = x.shape[d]
    if not -n <= start <= n:
        raise IndexError(
            f"narrow(): start out of range (expected to be in range of [{-n}, {n}], but got {start}) for dimension {d} "
            f"of {shape_text(x.shape)}"
        )
    start += n if start < 0 else 0
    if start + length > n:
        raise RuntimeError(
            f"narrow(): start ({start}) + length ({length}) exceeds dimension size ({n}) of dimension {d} of "
            f"{shape_text(x.shape)}"
        )
    return part_plan("SliceBackward0", x, sliced, d, start, length)


_narrows = PlanTable(_narrow_plan)


@view_function
def narrow(input: Tensor, dim: int, start: int | Tensor, length: int) -> Tensor:
    """``length`` cells of dimension ``dim`` from ``start``.

    Raises:
        RuntimeError, IndexError: they are not all inside.
    """
    if type(dim) is not int or type(start) is not int or type(length) is not int:
        if isinstance(start, Tensor) and (start.layout.ndim or start.layout.dtype.kind not in "iu"):
            raise RuntimeError(
                f"narrow(): start must be an 0-dim integral Tensor, not one of {start.layout.dtype!r} and shape "
                f"{shape_text(start.layout.shape)}."
            )
        dim, start, length = integers("narrow", "start", (dim, start, length))
    return _narrows[input.layout, dim, start, length](input)


# -- pieces side by side ----------------------------------------------------------------------------------------------


def _pieces(kind: str, x: Layout, dim: int, sizes: Sequence[int]) -> Plan:
    """Consecutive pieces of these sizes, under one node. Those of the kinds named unsafe have a node each: they may
    be written in place."""
    spans = [(end - n, n) for n, end in zip(sizes, accumulate(sizes), strict=True)]
    name = f"{kind}Backward0"
    if kind.startswith("Unsafe"):
        return each([part_plan(name, x, sliced, dim, start, n) for start, n in spans])
    return pieces_plan(name, x, sliced, [(dim, start, n) for start, n in spans])


def _unbind_plan(x: Layout, dim: int) -> Plan:
    if x.ndim == 0:
        raise IndexError(f"unbind(): Dimension specified as {dim} but tensor has no dimensions")
    d = wrap_dim("unbind", dim, x.ndim)
    return pieces_plan("UnbindBackward0", x, selected, [(d, i) for i in range(x.shape[d])])


_unbinds = PlanTable(_unbind_plan)


@view_function
def unbind(input: Tensor, dim: int = 0, *, axis: Any = None) -> tuple[Tensor, ...]:
    """All ``input.select(dim, i)``."""
    dim = dim if axis is None else axis
    return _unbinds[input.layout, integer("unbind", "dim", dim)](input)


def _split_plan(kind: str, x: Layout, size: int, dim: int) -> Plan:
    _require_dimensions("split", x)
    d = wrap_dim("split", dim, x.ndim)
    n = x.shape[d]
    if size < 0:
        raise RuntimeError(f"split(): expects split_size be non-negative, but got split_size={size}")
    if size == 0 and n:
        raise RuntimeError(
            f"split(): split_size can only be 0 if dimension size is 0, but got dimension size of {n} (dimension {d} "
            f"of {shape_text(x.shape)})"
        )
    starts = range(0, n, size) if n else [0]
    return _pieces(kind, x, d, [min(size, n - start) for start in starts])


def _split_with_sizes_plan(kind: str, x: Layout, sizes: tuple[int, ...], dim: int) -> Plan:
    _require_dimensions("split", x)
    d = wrap_dim("split_with_sizes", dim, x.ndim)
    if any(n < 0 for n in sizes):
        raise RuntimeError(
            f"split_with_sizes(): expects split_sizes have only non-negative entries, but got split_sizes={list(sizes)}"
        )
    if sum(sizes) != x.shape[d]:
        raise RuntimeError(
            f"split_with_sizes(): expects split_sizes to sum exactly to {x.shape[d]} (input tensor's size at "
            f"dimension {d}), but got split_sizes={list(sizes)}"
        )
    return _pieces(kind, x, d, sizes)


_splits, _splits_with_sizes = PlanTable(_split_plan), PlanTable(_split_with_sizes_plan)


@view_function
def split(
    tensor: Tensor,
    split_size_or_sections: int | Sequence[int] | None = None,
    dim: int = 0,
    *,
    split_size: int | Sequence[int] | None = None,
) -> tuple[Tensor, ...]:
    """Pieces along ``dim``: of one size (the last may be smaller), or of the sizes in a list.

    ``split_size``: what the method calls ``split_size_or_sections``.
    """
    split_size_or_sections = split_size if split_size_or_sections is None else split_size_or_sections
    dim = integer("split", "dim", dim)
    if isinstance(split_size_or_sections, Sequence):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    size = integer("split", "split_size", split_size_or_sections)
    return _splits["Split", tensor.layout, size, dim](tensor)


@view_function
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces along ``dim`` of these sizes, which sum to that of the dimension."""
    sizes = integers("split_with_sizes", "split_sizes", (split_sizes,))
    return _splits_with_sizes["SplitWithSizes", input.layout, sizes, dim](input)


@view_function
def unsafe_split(tensor: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`split` whose pieces may be written in place."""
    size, dim = integers("unsafe_split", "split_size", (split_size, dim))
    return _splits["UnsafeSplit", tensor.layout, size, dim](tensor)


@view_function
def unsafe_split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """`split_with_sizes` whose pieces may be written in place."""
    sizes = integers("unsafe_split_with_sizes", "split_sizes", (split_sizes,))
    return _splits_with_sizes["UnsafeSplitWithSizes", input.layout, sizes, dim](input)


def _chunk_plan(kind: str, x: Layout, chunks: int, dim: int) -> Plan:
    if x.ndim == 0:
        raise RuntimeError("chunk() expects at least a 1-dimensional tensor")
    if chunks < 1:
        raise RuntimeError(f"chunk(): expects `chunks` to be greater than 0, got: {chunks}")
    d = wrap_dim("chunk", dim, x.ndim)
    n = x.shape[d]
    size = -(-n // chunks)
    if size == 0:
        return _splits_with_sizes[f"{kind}WithSizes", x, (0,) * chunks, d]
    return _splits[kind, x, size, d]


_chunks = PlanTable(_chunk_plan)


@view_function
def chunk(input: Tensor, chunks: int, dim: int = 0, *, axis: Any = None) -> tuple[Tensor, ...]:
    """At most ``chunks`` pieces of one size along ``dim``; the last may be smaller."""
    dim = dim if axis is None else axis
    return _chunks["Split", input.layout, integer("chunk", "chunks", chunks), dim](input)


@view_function
def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`chunk` whose pieces may be written in place."""
    return _chunks["UnsafeSplit", input.layout, integer("unsafe_chunk", "chunks", chunks), dim](input)


def _tensor_split_plan(x: Layout, where: int | tuple[int, ...], dim: int) -> Plan:
    if x.ndim == 0:
        raise RuntimeError("tensor_split(): expected at least one dimension, but got a tensor with 0 dimensions")
    d = wrap_dim("tensor_split", dim, x.ndim)
    n = x.shape[d]
    if isinstance(where, int):
        if where < 1:
            raise RuntimeError(f"tensor_split(): number of sections must be larger than 0, got {where}")
        bounds = [0, *accumulate(n // where + (i < n % where) for i in range(where))]
    else:
        bounds = [0, *where, n]
    spans = [slice(a, b).indices(n) for a, b in pairwise(bounds)]
    return each([part_plan("SliceBackward0", x, sliced, d, a, max(b - a, 0)) for a, b, _ in spans])


_tensor_splits = PlanTable(_tensor_split_plan)


@view_function
def tensor_split(
    input: Tensor,
    indices_or_sections: int | Sequence[int] | Tensor | None = None,
    dim: int = 0,
    *,
    indices: Sequence[int] | None = None,
    sections: int | None = None,
) -> tuple[Tensor, ...]:
    """Pieces along ``dim``: a number of nearly equal ones, or those between the given indices."""
    where: Any = next((v for v in (indices_or_sections, indices, sections) if v is not None), None)
    if isinstance(where, Tensor):
        if where.layout.ndim > 1:
            raise RuntimeError(
                "tensor_split(): expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional "
                f"tensor, but got a tensor with {where.layout.ndim} dims"
            )
        if where.layout.dtype is not int64:
            raise RuntimeError(
                "tensor_split(): expected tensor_indices_or_sections to have dtype of long (int64), but got "
                f"{where.layout.dtype!r}"
            )
        where = where.tolist()
    if isinstance(where, tuple | list):
        where = integers("tensor_split", "indices", (where,))
    else:
        where = integer("tensor_split", "sections", where)
    return _tensor_splits[input.layout, where, dim](input)


def _named_split(name: str, least: int, dim: int, x: Tensor, where: Any) -> tuple[Tensor, ...]:
    if x.layout.ndim < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with {x.layout.ndim} "
            "dimensions!"
        )
    if isinstance(where, int):
        n = x.layout.shape[dim]
        if where <= 0 or n % where:
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension {n} is not "
                f"divisible by the split_size {where}! Use tensor_split for pieces of unequal size"
            )
    return tensor_split(x, where, dim)


@view_function
def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Equal pieces, or those between indices, along dimension 1 (0 for a 1-D tensor)."""
    return _named_split("hsplit", 1, 0 if input.layout.ndim == 1 else 1, input, indices_or_sections)


@view_function
def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Equal pieces, or those between indices, along dimension 0 of a tensor with two dimensions or more."""
    return _named_split("vsplit", 2, 0, input, indices_or_sections)


@view_function
def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Equal pieces, or those between indices, along dimension 2."""
    return _named_split("dsplit", 3, 2, input, indices_or_sections)


# -- other places -----------------------------------------------------------------------------------------------------


def _diagonal_plan(x: Layout, offset: int, dim1: int, dim2: int) -> Plan:
    a, b = (wrap_dim("diagonal", d, x.ndim) for d in (dim1, dim2))
    if a == b:
        raise RuntimeError(f"diagonal(): diagonal dimensions cannot be identical {dim1}, {dim2}")
    return part_plan("DiagonalBackward0", x, diagonal_of, offset, a, b)


_diagonals = PlanTable(_diagonal_plan)


@view_function
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """``out[..., i] = input[i, i + offset]`` of two dimensions; their diagonal becomes the last dimension."""
    return _diagonals[input.layout, integer("diagonal", "offset", offset), dim1, dim2](input)


def _unfold_plan(x: Layout, dim: int, size: int, step: int) -> Plan:
    d = wrap_dim("unfold", dim, x.ndim)
    n = x.shape[d] if x.ndim else 1
    if size < 0:
        raise RuntimeError(f"unfold(): size is {size} but must be >= 0")
    if size > n:
        raise RuntimeError(
            f"unfold(): maximum size for tensor at dimension {d} is {n} but size is {size} ({shape_text(x.shape)})"
        )
    if step <= 0:
        raise RuntimeError(f"unfold(): step is {step} but must be > 0")
    result = windows(x, d, size, step)
    here = [axis(k) for k in range(x.ndim)]
    if here:
        here[d] = axis(d) * step + axis(x.ndim)
    formula = Formula("unfold", result.ndim, (Output(load(0, x.dtype, tuple(here))),))
    pull = formula_pullback(formula, x, tuple(result.shape), "UnfoldBackward0")
    return view_plan("UnfoldBackward0", x, (result, 0), pull)


_unfolds = PlanTable(_unfold_plan)


@method
def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of ``size`` cells along a dimension, ``step`` apart: ``out[.., w, .., j] = input[.., w*step + j, ..]``.

    Windows may overlap, so that writing into one can show in others.
    """
    dimension, size, step = integers("unfold", "size", (dimension, size, step))
    return _unfolds[input.layout, dimension, size, step](input)


def _as_strided_plan(x: Layout, size: Any, stride: Any, storage_offset: Any, own: int, nbytes: int) -> Plan:
    shape, strides = integers("as_strided", "size", (size,)), integers("as_strided", "stride", (stride,))
    if len(shape) != len(strides):
        raise RuntimeError(f"as_strided(): mismatch in length of strides {list(strides)} and shape {list(shape)}")
    if any(s < 0 for s in strides):
        raise RuntimeError(
            f"as_strided(): Negative strides are not supported at the moment, got strides: {list(strides)}; "
            "slices with a negative step make such views"
        )
    if any(n < 0 for n in shape):
        raise RuntimeError(f"as_strided(): sizes must be non-negative, but got {list(shape)}")
    start = own if storage_offset is None else integer("as_strided", "storage_offset", storage_offset)
    if start < 0:
        raise RuntimeError(f"as_strided(): Tensor: invalid storage offset {start}")
    itemsize = x.dtype.itemsize
    needed = (start + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + 1) * itemsize
    if 0 not in shape and needed > nbytes:
        raise RuntimeError(
            f"as_strided(): sizes {list(shape)}, strides {list(strides)}, storage offset {start}, and itemsize "
            f"{itemsize} requiring a storage size of {needed} are out of bounds for storage of size {nbytes}"
        )
    result, offset = x.with_strides(shape, strides), start - own
    pull = lambda g: _strided_gradient(g, x, result, offset)  # noqa: E731
    return view_plan("AsStridedBackward0", x, (result, offset), pull)


def _strided_gradient(g: Tensor, x: Layout, result: Layout, offset: int) -> Tensor:
    """Gradients are added up in a stretch of memory like that of ``x``, from which those of its cells are read."""
    low, high = span(x)
    first, last = span(result)
    start, end = min(low, offset + first), max(high, offset + last)
    here = -start * x.dtype.itemsize
    grad: Tensor = strided(_into_memory[g.layout, result.strides, offset - start, end - start](g), x, here)
    if overlaps_itself(x):
        # Cells of x that share memory share its gradient.
        one = ones(dense(x.shape, x.dtype))
        readers = _into_memory[one.layout, x.strides, -start, end - start](one)
        grad = grad / strided(readers, x, here)
    return grad


def _into_memory_plan(g: Layout, strides: tuple[int, ...], offset: int, length: int) -> Plan:
    """Zeros in one dimension, to which each cell of ``g`` is added at its place in memory."""
    place = given("offset")
    for d in range(g.ndim):
        place = place + axis(d) * given(f"stride{d}")
    numbers: dict[str, int | float] = {"offset": offset, **{f"stride{d}": s for d, s in enumerate(strides)}}
    formula = Scatter("as_strided_backward", g.ndim, (place,), load(0, g.dtype), folding("sum", g.dtype))
    return differentiable_plan(formula, (g,), tuple(g.shape), [dense((length,), g.dtype)], given=numbers)


_as_strideds, _into_memory = PlanTable(_as_strided_plan), PlanTable(_into_memory_plan)


@view_function
def as_strided(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """Any arrangement of the storage's cells: cell ``[i, j]`` lies at ``storage_offset + i*stride[0] + j*stride[1]``.

    Raises:
        RuntimeError: cells outside of the storage, negative strides.
    """
    own = (input.ptr - input.storage.ptr) // input.layout.dtype.itemsize
    size, stride = tuple(size), tuple(stride)
    return _as_strideds[input.layout, size, stride, storage_offset, own, input.storage.nbytes](input)
