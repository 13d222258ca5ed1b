"""Views that read the same bytes differently: as another dtype, as the parts of complex numbers."""

from __future__ import annotations

from typing import Any

from pellucid.autograd.views import Pullback, view_recorder
from pellucid.dtypes import DType, complex64, complex128, float32, float64, require_dtype
from pellucid.errors import shape_text
from pellucid.formula.expr import load, unary
from pellucid.formula.formula import Formula, Output
from pellucid.layout import Layout, layout_of
from pellucid.operators.copying import contiguous
from pellucid.operators.viewing import formula_pullback, same_tensor, view_function, view_plan
from pellucid.plan import Plan, PlanTable
from pellucid.runtime import native
from pellucid.tensor import Tensor

_COMPLEX = {float32: complex64, float64: complex128}


def _as_dtype_plan(x: Layout, dtype: DType, misplaced: bool) -> Plan:
    """As in PyTorch, no gradient flows through bytes that are read differently, and the result, though it shares the
    memory and its version, is no view of the tensor."""
    ratio = _resized(x, dtype, misplaced)
    shape, strides = list(x.shape), list(x.strides)
    if ratio > 1:
        shape[-1] //= ratio
        strides = [s // ratio for s in strides[:-1]] + [1]
    elif ratio < -1:
        shape[-1] *= -ratio
        strides = [s * -ratio for s in strides[:-1]] + [1]
    result = layout_of(tuple(shape), tuple(strides), dtype, x.device)
    return lambda t: native.new_tensor(result, t.storage, t.ptr)


def _resized(x: Layout, dtype: DType, misplaced: bool) -> int:
    """How many cells become one (positive) or one cell becomes (negative).

    Raises:
        RuntimeError: the last dimension cannot be cut or joined so.
    """
    old, new = x.dtype.itemsize, dtype.itemsize
    if old == new:
        return 1
    what = f"view(dtype): to view {x.dtype.scalar_name} as {dtype.scalar_name} (different element sizes)"
    fix = f"; the tensor has shape {shape_text(x.shape)} and strides {x.strides}. Use .contiguous() first, or pad"
    if x.ndim == 0:
        raise RuntimeError(f"{what}, self.dim() cannot be 0; unsqueeze the tensor first")
    if x.strides[-1] != 1:
        raise RuntimeError(f"{what}, self.stride(-1) must be 1, but got {x.strides[-1]}{fix}")
    if new < old:
        return -(old // new)
    ratio = new // old
    if x.shape[-1] % ratio:
        raise RuntimeError(f"{what}, self.size(-1) must be divisible by {ratio}, but got {x.shape[-1]}{fix}")
    if misplaced:
        raise RuntimeError(f"{what}, self.storage_offset() must be divisible by {ratio}{fix}")
    for d, stride in enumerate(x.strides[:-1]):
        if stride % ratio:
            raise RuntimeError(f"{what}, self.stride({d}) must be divisible by {ratio}, but got {stride}{fix}")
    return ratio


_as_dtypes = PlanTable(_as_dtype_plan)


def view_as_dtype(x: Tensor, dtype: Any) -> Tensor:
    """The bytes of ``x`` read as another dtype; the last dimension grows or shrinks with the size of a cell."""
    dtype = require_dtype(dtype, "view")
    misplaced = (x.ptr - x.storage.ptr) % dtype.itemsize != 0
    return _as_dtypes[x.layout, dtype, misplaced](x)


# -- complex numbers --------------------------------------------------------------------------------------------------


def _pairs(x: Layout) -> Layout:
    """The real and the imaginary parts as a last dimension of size 2."""
    strides = (*(2 * s for s in x.strides), 1)
    return layout_of((*x.shape, 2), strides, x.dtype.to_real(), x.device)


def _view_as_real_plan(x: Layout) -> Plan:
    if not x.dtype.is_complex:
        raise RuntimeError(f"view_as_real(): is only supported for complex tensors, but got a tensor of {x.dtype!r}")
    return _real_view("ViewAsRealBackward0", x, _pairs(x), 0, lambda g: view_as_complex(contiguous(g)))


def _real_view(name: str, x: Layout, result: Layout, offset: int, pullback: Pullback) -> Plan:
    """`view_plan` with an offset that counts real numbers."""
    offset *= result.dtype.itemsize
    return native.make_view(offset, result, view_recorder(x, result, offset, pullback, name))


def _view_as_complex_plan(x: Layout, misplaced: bool) -> Plan:
    rule = "view_as_complex(): "
    met = f", but got shape {shape_text(x.shape)}, strides {x.strides} of {x.dtype!r}"
    if x.dtype not in _COMPLEX:
        raise RuntimeError(f"{rule}is only supported for floating point tensors of float32 or float64{met}")
    if x.ndim == 0 or x.shape[-1] != 2:
        raise RuntimeError(f"{rule}Tensor must have a last dimension of size 2{met}")
    if x.strides[-1] != 1:
        raise RuntimeError(f"{rule}Tensor must have a last dimension with stride 1{met}; use .contiguous()")
    if any(s % 2 for s in x.strides[:-1]):
        raise RuntimeError(
            f"{rule}Tensor must have a stride divisible by 2 for all but last dimension{met}; use .contiguous()"
        )
    if misplaced:
        raise RuntimeError(f"{rule}Tensor must have a storage_offset divisible by 2{met}; use .clone()")
    strides = tuple(s // 2 for s in x.strides[:-1])
    result = layout_of(x.shape[:-1], strides, _COMPLEX[x.dtype], x.device)
    return view_plan("ViewAsComplexBackward0", x, (result, 0), view_as_real)


def _part_plan(x: Layout, name: str) -> Plan:
    if not x.dtype.is_complex:
        if name == "real":
            return same_tensor
        raise RuntimeError(
            f"imag is not implemented for tensors with non-complex dtypes, but got a tensor of {x.dtype!r}; "
            "the imaginary part of real numbers is zero"
        )
    pairs = _pairs(x)
    result = pairs.with_strides(x.shape, pairs.strides[:-1])
    value = unary(name, load(0, x.dtype), x.dtype.to_real())
    pull = formula_pullback(Formula(name, x.ndim, (Output(value),)), x, tuple(x.shape), "SelectBackward0")
    return _real_view("SelectBackward0", x, result, int(name == "imag"), pull)


_view_as_reals, _view_as_complexes = PlanTable(_view_as_real_plan), PlanTable(_view_as_complex_plan)
_parts = PlanTable(_part_plan)


@view_function
def view_as_real(input: Tensor) -> Tensor:
    """A complex tensor as real numbers: a last dimension holds the real and the imaginary part."""
    return _view_as_reals[input.layout](input)


@view_function
def view_as_complex(input: Tensor) -> Tensor:
    """A real tensor whose last dimension has size 2 as complex numbers.

    Raises:
        RuntimeError: the pairs do not lie side by side, or not at even places.
    """
    misplaced = (input.ptr - input.storage.ptr) % (2 * input.layout.dtype.itemsize) != 0
    return _view_as_complexes[input.layout, misplaced](input)


@view_function
def real(input: Tensor) -> Tensor:
    """The real parts, a view; real tensors are returned as they are."""
    return _parts[input.layout, "real"](input)


@view_function
def imag(input: Tensor) -> Tensor:
    """The imaginary parts, a view.

    Raises:
        RuntimeError: the tensor is not complex.
    """
    return _parts[input.layout, "imag"](input)


def _set_part(name: str) -> Any:
    def write(x: Tensor, value: Any) -> None:
        _parts[x.layout, name](x).copy_(value)

    return write


Tensor.real = property(real, _set_part("real"))  # type: ignore[attr-defined]
Tensor.imag = property(imag, _set_part("imag"))  # type: ignore[attr-defined]
