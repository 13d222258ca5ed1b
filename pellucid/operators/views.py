"""Views of all cells: another shape, another order of dimensions, repeated dimensions. Nothing is copied."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import prod
from typing import Any

from pellucid.dtypes import DType
from pellucid.errors import shape_text
from pellucid.layout import (
    Layout,
    broken_pair,
    dense,
    permuted,
    squeezed,
    unsqueezed,
    view_strides,
)
from pellucid.operators.copying import contiguous
from pellucid.operators.define import method, wrap_dim
from pellucid.operators.reinterpreting import view_as_dtype
from pellucid.operators.viewing import (
    integer,
    integers,
    renamed_plan,
    require_numel,
    same_tensor,
    view_function,
    view_plan,
    wrap_dims,
)
from pellucid.plan import Plan, PlanTable
from pellucid.tensor import Tensor

# -- another shape ----------------------------------------------------------------------------------------------------


def _inferred(operator: str, x: Layout, wanted: tuple[int, ...]) -> tuple[int, ...]:
    """``wanted`` with the size that -1 stands for.

    Raises:
        RuntimeError: another number of cells, two sizes left open, other negative sizes.
    """
    for k, n in enumerate(wanted):
        if n < -1:
            raise RuntimeError(f"{operator}(): invalid shape dimension {n} at index {k} of shape {list(wanted)}")
    if wanted.count(-1) > 1:
        raise RuntimeError(f"{operator}(): only one dimension can be inferred, but {list(wanted)} leaves several open")
    shape = wanted
    if -1 in wanted:
        known = prod(n for n in wanted if n != -1)
        if known == 0 and x.numel == 0:
            raise RuntimeError(
                f"{operator}(): cannot reshape tensor of 0 elements into shape {list(wanted)} because the unspecified "
                "dimension size -1 can be any value and is ambiguous; give all sizes"
            )
        shape = tuple((x.numel // known if known else 0) if n == -1 else n for n in wanted)
    require_numel(operator, x, shape, wanted)
    return shape


def _reshaped(x: Layout, shape: tuple[int, ...], name: str) -> Plan | None:
    """The plan of the view of this shape, if there is one."""
    strides = view_strides(x, shape)
    if strides is None:
        return None
    old = tuple(x.shape)
    return view_plan(name, x, (x.with_strides(shape, strides), 0), lambda g: reshape(g, old))


def _view_plan(x: Layout, wanted: tuple[int, ...]) -> Plan:
    shape = _inferred("view", x, wanted)
    plan = _reshaped(x, shape, "ViewBackward0")
    if plan is None:
        pair = broken_pair(x, shape)
        where = f"dimensions {pair[0]} and {pair[1]} cannot be merged, " if pair else ""
        raise RuntimeError(
            f"view(): view size is not compatible with input tensor's size and stride: {where}because their cells do "
            f"not follow on each other in memory (shape {shape_text(x.shape)}, strides {x.strides}, wanted "
            f"{shape_text(shape)}). Use .reshape(...), which copies if it must, or .contiguous().view(...)"
        )
    return plan


def _reshape_plan(x: Layout, wanted: tuple[int, ...]) -> Plan:
    shape = _inferred("reshape", x, wanted)
    plan = _reshaped(x, shape, "ViewBackward0")
    if plan is not None:
        return plan
    copy, old = dense(x.shape, x.dtype, x.device), tuple(x.shape)
    result = dense(shape, x.dtype, x.device)
    rename = renamed_plan("UnsafeViewBackward0", copy, result, lambda g: reshape(g, old))
    return lambda x: rename(contiguous(x))


_views, _reshapes = PlanTable(_view_plan), PlanTable(_reshape_plan)


@method
def view(input: Tensor, *shape: Any, size: Sequence[int] | None = None, dtype: DType | None = None) -> Tensor:
    """The same cells with another shape, ``x.view(3, -1)`` (one size may be left open by -1), or their bytes read
    as another dtype, ``x.view(torch.int32)``.

    Raises:
        RuntimeError: another number of cells, or dimensions that would have to merge do not follow on in memory.
    """
    for n in shape:
        if type(n) is not int:
            break
    else:
        if shape:
            return _views[input.layout, shape](input)
    if dtype is not None or (len(shape) == 1 and isinstance(shape[0], DType)):
        return view_as_dtype(input, dtype or shape[0])
    if size is None and not shape:
        raise TypeError("view(): give the sizes, as in x.view(2, -1), or a dtype")
    wanted = integers("view", "size", shape or (size,))
    return _views[input.layout, wanted](input)


@method
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.view(other.shape)``."""
    return _views[input.layout, tuple(other.layout.shape)](input)


@view_function
def reshape(input: Tensor, *sizes: Any, shape: Sequence[int] | None = None) -> Tensor:
    """The same cells with another shape (one size may be -1): a view if there is one, else a copy.

    Raises:
        RuntimeError: another number of cells.
    """
    if shape is not None:
        sizes = (shape,)
    for n in sizes:
        if type(n) is not int:
            sizes = integers("reshape", "shape", sizes)
            break
    return _reshapes[input.layout, sizes](input)


@method
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.reshape(other.shape)``."""
    return _reshapes[input.layout, tuple(other.layout.shape)](input)


def _flatten_plan(x: Layout, start_dim: int, end_dim: int) -> Plan:
    start, end = (wrap_dim("flatten", d, x.ndim) for d in (start_dim, end_dim))
    if start > end:
        raise RuntimeError(
            f"flatten(): has invalid args: start_dim cannot come after end_dim, but they are {start} and {end}"
        )
    if x.ndim == 0:
        return _reshapes[x, (1,)]
    if start == end:
        return same_tensor
    shape = tuple(x.shape)
    return _reshapes[x, (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :])]


_flattens = PlanTable(_flatten_plan)


@view_function
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions ``start_dim`` to ``end_dim`` read as one: a view if there is one, else a copy."""
    return _flattens[input.layout, start_dim, end_dim](input)


@view_function
def ravel(input: Tensor) -> Tensor:
    """All cells in one dimension: a view of a contiguous tensor, else a copy."""
    return reshape(contiguous(input), -1)


def _unflatten_plan(x: Layout, dim: int, sizes: tuple[int, ...]) -> Plan:
    d = wrap_dim("unflatten", dim, x.ndim)
    if not sizes:
        raise RuntimeError("unflatten(): sizes must be non-empty")
    own = x.shape[d] if x.ndim else 1
    known = prod(n for n in sizes if n != -1)
    if sizes.count(-1) == 1 and known and own % known == 0:
        sizes = tuple(own // known if n == -1 else n for n in sizes)
    if sizes.count(-1) > 1 or prod(sizes) != own:
        raise RuntimeError(
            f"unflatten(): Provided sizes {list(sizes)} don't multiply up to the size of dim {d} ({own}) in the "
            f"input tensor of shape {shape_text(x.shape)}"
        )
    shape = tuple(x.shape)
    return _views[x, (*shape[:d], *sizes, *shape[d + 1 :])]


_unflattens = PlanTable(_unflatten_plan)


@view_function
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Dimension ``dim`` read as several of ``sizes`` (one may be -1)."""
    return _unflattens[input.layout, dim, integers("unflatten", "sizes", (sizes,))](input)


# -- another order ----------------------------------------------------------------------------------------------------


def _permuted_plan(name: str, x: Layout, dims: Sequence[int]) -> Plan:
    inverse = tuple(sorted(range(len(dims)), key=dims.__getitem__))
    return view_plan(name, x, (permuted(x, dims), 0), lambda g: _permutes[g.layout, inverse](g))


def _permute_plan(x: Layout, dims: tuple[int, ...]) -> Plan:
    if len(dims) != x.ndim:
        raise RuntimeError(
            f"permute(): number of dimensions in the tensor input does not match the length of the desired ordering "
            f"of dimensions i.e. input.dim() = {x.ndim} is not equal to len(dims) = {len(dims)}; name all dimensions"
        )
    wrapped = [wrap_dim("permute", d, x.ndim) for d in dims]
    if len(set(wrapped)) != len(wrapped):
        raise RuntimeError(f"permute(): duplicate dims are not allowed, but got {dims}")
    return _permuted_plan("PermuteBackward0", x, wrapped)


_permutes = PlanTable(_permute_plan)


@view_function
def permute(input: Tensor, *order: Any, dims: Sequence[int] | None = None) -> Tensor:
    """Dimensions in another order: dimension k of the result is dimension ``dims[k]``."""
    if dims is not None:
        order = (dims,)
    for d in order:
        if type(d) is not int:
            order = integers("permute", "dims", order)
            break
    return _permutes[input.layout, order](input)


def _transpose_plan(x: Layout, dim0: int, dim1: int) -> Plan:
    a, b = (wrap_dim("transpose", d, x.ndim) for d in (dim0, dim1))
    if x.ndim == 0:
        return view_plan("TransposeBackward0", x, (x, 0), same_tensor)
    order = list(range(x.ndim))
    order[a], order[b] = b, a
    return view_plan("TransposeBackward0", x, (permuted(x, order), 0), lambda g: _transposes[g.layout, a, b](g))


_transposes = PlanTable(_transpose_plan)


@view_function
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged: ``out[j,i] = input[i,j]``."""
    if type(dim0) is not int or type(dim1) is not int:
        dim0, dim1 = integers("transpose", "dim", (dim0, dim1))
    return _transposes[input.layout, dim0, dim1](input)


@view_function
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """`transpose` under NumPy's name."""
    return transpose(input, axis0, axis1)


@view_function
def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """`transpose`."""
    return transpose(input, dim0, dim1)


def _t_plan(x: Layout) -> Plan:
    if x.ndim > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {x.ndim}D; use transpose(), permute() or .mT"
        )
    return view_plan("TBackward0", x, (permuted(x, reversed(range(x.ndim))), 0), lambda g: _ts[g.layout](g))


_ts = PlanTable(_t_plan)


@view_function
def t(input: Tensor) -> Tensor:
    """A matrix transposed; tensors with fewer dimensions as they are."""
    return _ts[input.layout](input)


def _reversal_plan(x: Layout) -> Plan:
    if x.ndim != 2:
        warnings.warn(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will throw "
            "an error in a future release. Consider `x.mT` to transpose batches of matrices, or "
            "`x.permute(*range(x.ndim - 1, -1, -1))` to reverse the dimensions of a tensor.",
            UserWarning,
            stacklevel=4,
        )
    return _permuted_plan("PermuteBackward0", x, range(x.ndim)[::-1])


_reversals = PlanTable(_reversal_plan)


def _matrix_transpose(x: Tensor, caller: str) -> Tensor:
    ndim = x.layout.ndim
    if ndim == 1:
        raise RuntimeError(
            f"tensor.{caller} is only supported on matrices or batches of matrices. Got 1-D tensor; unsqueeze it first."
        )
    return transpose(x, -2, -1) if ndim else x


def _conjugated(x: Tensor) -> Tensor:
    return x.conj() if x.layout.dtype.is_complex else x


@view_function
def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions exchanged; complex values are conjugated (in a copy)."""
    return _conjugated(_matrix_transpose(input, "adjoint()"))


def _hermitian(input: Tensor) -> Tensor:
    """A matrix transposed and conjugated."""
    if input.layout.ndim not in (0, 2):
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {input.layout.ndim}-D tensor. "
            "For batches of matrices, consider using tensor.mH"
        )
    return _conjugated(_matrix_transpose(input, "H"))


Tensor.T = property(lambda x: _reversals[x.layout](x), doc="All dimensions in reverse order.")  # type: ignore[attr-defined]
Tensor.mT = property(lambda x: _matrix_transpose(x, "mT"), doc="The last two dimensions exchanged.")  # type: ignore[attr-defined]
Tensor.H = property(_hermitian)  # type: ignore[attr-defined]
Tensor.mH = property(  # type: ignore[attr-defined]
    lambda x: _conjugated(_matrix_transpose(x, "mH")), doc="The last two dimensions exchanged, conjugated."
)


def _movedim_plan(x: Layout, source: tuple[int, ...], destination: tuple[int, ...]) -> Plan:
    if len(source) != len(destination):
        raise RuntimeError(
            f"movedim(): Invalid source or destination dims: source ({list(source)} dims) should contain the same "
            f"number of dims as destination ({list(destination)} dims)"
        )
    places = [[wrap_dim("movedim", d, x.ndim) for d in dims] for dims in (source, destination)]
    for name, dims, given in zip(("source", "destination"), places, (source, destination), strict=True):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim(): repeated dim in `{name}` ({list(given)})")
    order = [-1] * x.ndim
    for s, d in zip(*places, strict=True) if x.ndim else ():
        order[d] = s
    others = iter([d for d in range(x.ndim) if d not in places[0]])
    return _permutes[x, tuple(next(others) if d < 0 else d for d in order)]


_movedims = PlanTable(_movedim_plan)


@view_function
def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Dimensions ``source`` moved to the places ``destination``; the others keep their order."""
    key = (input.layout, integers("movedim", "source", (source,)), integers("movedim", "destination", (destination,)))
    return _movedims[key](input)


@view_function
def moveaxis(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """`movedim` under NumPy's name."""
    return movedim(input, source, destination)


# -- dimensions of size 1 ---------------------------------------------------------------------------------------------


def _squeeze_plan(x: Layout, dim: int | tuple[int, ...] | None) -> Plan:
    shape = tuple(x.shape)
    if dim is None:
        dims, number = tuple(range(x.ndim)), 0
    elif isinstance(dim, tuple):
        dims, number = wrap_dims("squeeze", dim, x.ndim), 2
    else:
        dims, number = (wrap_dim("squeeze", dim, x.ndim),), 1
    return view_plan(f"SqueezeBackward{number}", x, (squeezed(x, dims), 0), lambda g: reshape(g, shape))


_squeezes = PlanTable(_squeeze_plan)


@view_function
def squeeze(input: Tensor, dim: int | Sequence[int] | None = None, *, axis: Any = None) -> Tensor:
    """Without dimensions of size 1: all of them, or those that ``dim`` names."""
    dim = dim if axis is None else axis
    if dim is not None and type(dim) is not int:
        dim = integers("squeeze", "dim", (dim,)) if isinstance(dim, Sequence) else integer("squeeze", "dim", dim)
    return _squeezes[input.layout, dim](input)


def _unsqueeze_plan(x: Layout, dim: int) -> Plan:
    d = wrap_dim("unsqueeze", dim, x.ndim + 1)
    return view_plan("UnsqueezeBackward0", x, (unsqueezed(x, d), 0), lambda g: _squeezes[g.layout, d](g))


_unsqueezes = PlanTable(_unsqueeze_plan)


@view_function
def unsqueeze(input: Tensor, dim: Any = None, *, axis: Any = None) -> Tensor:
    """With a dimension of size 1 at place ``dim``."""
    dim = dim if axis is None else axis
    if type(dim) is not int:
        dim = integer("unsqueeze", "dim", dim)
    return _unsqueezes[input.layout, dim](input)
