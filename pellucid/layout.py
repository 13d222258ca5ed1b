"""Layouts: shape, strides, dtype and device of a tensor, and the algebra of views.

Layouts are interned: equal layouts are the same object, so a plan is found by identity. Strides count elements and
are signed. Where a tensor begins in its storage is not part of its layout.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from operator import index
from typing import Any
from weakref import WeakValueDictionary

from pellucid.devices import device as Device
from pellucid.dtypes import DType


class Size(tuple[int, ...]):
    """A shape: a tuple of whole numbers that prints as PyTorch's."""

    __slots__ = ()

    def __new__(cls, sizes: Iterable[int] = ()) -> Size:
        made = tuple.__new__(cls, sizes)
        for n in made:
            if type(n) is not int:
                return tuple.__new__(cls, [_whole(n, k) for k, n in enumerate(made)])
        return made

    def numel(self) -> int:
        return prod(self)

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        got = tuple.__getitem__(self, index)
        return Size(got) if isinstance(index, slice) else got

    def __add__(self, other: tuple[int, ...]) -> Size:  # type: ignore[override]
        return Size(tuple.__add__(self, tuple(other)))

    def __reduce__(self) -> tuple[type, tuple[tuple[int, ...]]]:
        return Size, (tuple(self),)


def _whole(size: Any, k: int) -> int:
    try:
        return index(size)
    except TypeError:
        raise TypeError(f"torch.Size() takes an iterable of 'int' (item {k} is '{type(size).__name__}')") from None


class Layout:
    """Where the cells of a tensor lie, relative to its first one. Make one by ``layout_of`` or ``dense``."""

    __slots__ = ("__weakref__", "contiguous", "device", "dtype", "nbytes", "ndim", "numel", "shape", "strides")
    shape: Size
    strides: tuple[int, ...]
    dtype: DType
    device: Device
    ndim: int
    numel: int
    nbytes: int
    contiguous: bool

    def __repr__(self) -> str:
        return f"Layout({self.dtype}, shape={tuple(self.shape)}, strides={self.strides}, {self.device})"

    def __str__(self) -> str:
        return "torch.strided"  # what programs that print x.layout expect; the rest is in the repr

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return layout_of, (tuple(self.shape), self.strides, self.dtype, self.device)

    def with_strides(self, shape: Iterable[int], strides: Iterable[int]) -> Layout:
        return layout_of(tuple(shape), tuple(strides), self.dtype, self.device)

    def with_dtype(self, dtype: DType) -> Layout:
        return layout_of(self.shape, self.strides, dtype, self.device)


_interned: WeakValueDictionary[tuple[object, ...], Layout] = WeakValueDictionary()
CPU = Device("cpu")
MOST_BYTES = (1 << 63) - 1


def layout_of(shape: tuple[int, ...], strides: tuple[int, ...], dtype: DType, device: Device = CPU) -> Layout:
    """The one layout with these parts."""
    key = (tuple(shape), strides, dtype, device)
    found = _interned.get(key)
    if found is None:
        found = Layout()
        found.shape, found.strides, found.dtype, found.device = Size(shape), tuple(strides), dtype, device
        found.ndim, found.numel = len(found.shape), prod(shape)
        found.nbytes = found.numel * dtype.itemsize
        found.contiguous = is_contiguous(shape, strides)
        _interned[key] = found
    return found


def dense(shape: Iterable[int], dtype: DType, device: Device = CPU) -> Layout:
    """The contiguous layout (the last dimension varies fastest).

    Raises:
        RuntimeError: no memory has so many bytes.
    """
    shape = tuple(shape)
    return _addressable(layout_of(shape, dense_strides(shape), dtype, device))


def _addressable(layout: Layout) -> Layout:
    if layout.nbytes > MOST_BYTES or max(layout.strides, default=0) > MOST_BYTES:
        raise RuntimeError(
            f"Storage size calculation overflowed with sizes={list(layout.shape)}: {layout.numel} cells of {layout.dtype} "
            "are more than an address can count"
        )
    return layout


def dense_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Dimensions of size 1 may have any stride; an empty tensor is contiguous."""
    if 0 in shape:
        return True
    step = 1
    for n, stride in zip(reversed(shape), reversed(strides), strict=True):
        if n != 1:
            if stride != step:
                return False
            step *= n
    return True


def like(layout: Layout, dtype: DType | None = None) -> Layout:
    """The layout of a new result that follows ``layout``: dense, in the order of its strides (PyTorch's
    "preserve format": strides are kept if there are no holes and no overlaps)."""
    dtype = dtype or layout.dtype
    if layout.contiguous or is_dense(layout):
        return layout_of(layout.shape, layout.strides, dtype, layout.device)
    return _addressable(layout_of(layout.shape, permuted_strides(layout.shape, layout.strides), dtype, layout.device))


def is_dense(layout: Layout) -> bool:
    """No holes and no overlaps: the cells fill one block of memory, in some order of the dimensions."""
    step = 1
    for stride, n in sorted(zip(layout.strides, layout.shape, strict=True)):
        if n != 1:
            if stride != step:
                return False
            step *= n
    return True


def permuted_strides(shape: tuple[int, ...], *strides: tuple[int, ...]) -> tuple[int, ...]:
    """Dense strides whose order of dimensions follows those of the operands: the first operand that tells two
    dimensions apart decides; repeated dimensions (stride 0) tell nothing."""
    order = list(reversed(range(len(shape))))  # innermost first
    for i in range(1, len(order)):
        k = i
        for j in range(i - 1, -1, -1):
            verdict = _compare(shape, strides, order[j], order[k])
            if verdict > 0:
                order[j], order[k] = order[k], order[j]
                k = j
            elif verdict < 0:
                break
    if order == list(reversed(range(len(shape)))):
        return dense_strides(shape)
    result, step = [0] * len(shape), 1
    for d in order:
        result[d] = step
        step *= shape[d]
    return tuple(result)


def _compare(shape: tuple[int, ...], strides: tuple[tuple[int, ...], ...], a: int, b: int) -> int:
    """1 if dimension ``a`` should be outside ``b``, -1 if inside, 0 if no operand says."""
    for own in strides:
        x, y = abs(own[a]), abs(own[b])
        if x == 0 or y == 0:
            continue
        if x != y:
            return 1 if x > y else -1
        if shape[a] > shape[b]:
            return 1
    return 0


def elementwise(shape: tuple[int, ...], operands: list[Layout], dtype: DType) -> Layout:
    """The layout of an elementwise result: that of the operands if they agree, else dense in their order."""
    device = operands[0].device if operands else CPU
    whole = [x for x in operands if x.ndim > 0] or operands
    if all(x.contiguous and x.shape == shape for x in whole):
        return dense(shape, dtype, device)
    first = whole[0]
    if all(x.shape == shape and x.strides == first.strides for x in whole) and is_dense(first):
        return layout_of(shape, first.strides, dtype, device)
    strides = permuted_strides(shape, *(broadcast_strides(x, shape) for x in whole))
    return _addressable(layout_of(shape, strides, dtype, device))


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...] | None:
    """The common shape, aligned to the right, sizes equal or 1; None if there is none."""
    rank = max(map(len, shapes), default=0)
    result = [1] * rank
    for shape in shapes:
        for d, n in enumerate(shape, rank - len(shape)):
            if n != 1:
                if result[d] not in (1, n):
                    return None
                result[d] = n
    return tuple(result)


def broadcast_strides(layout: Layout, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides that read ``layout`` as if it had ``shape``: 0 where a size of 1 is repeated."""
    missing = len(shape) - layout.ndim
    own = zip(layout.shape, layout.strides, shape[missing:], strict=True)
    return (0,) * missing + tuple(0 if n == 1 != wanted else stride for n, stride, wanted in own)


def span(layout: Layout) -> tuple[int, int]:
    """Offsets in elements of the lowest cell and of the end of the highest one, from the first cell."""
    if layout.numel == 0:
        return 0, 0
    ends = [(n - 1) * s for n, s in zip(layout.shape, layout.strides, strict=True)]
    return sum(e for e in ends if e < 0), sum(e for e in ends if e > 0) + 1


def overlaps_itself(layout: Layout) -> bool:
    """Whether two cells can share memory (an expanded tensor; a window view)."""
    if layout.numel == 0:
        return False
    step = 0
    for stride, n in sorted((abs(s), n) for s, n in zip(layout.strides, layout.shape, strict=True)):
        if n > 1:
            if stride <= step:
                return True
            step += stride * (n - 1)
    return False


def view_strides(layout: Layout, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The strides of ``layout`` seen with another ``shape`` of as many cells, or None if that needs a copy.

    Runs of dimensions that are laid out as one are cut anew: a run ends where a stride does not continue.
    """
    if layout.numel == 0:
        return layout.strides if layout.shape == shape else dense_strides(shape)
    if layout.ndim == 0:
        return (1,) * len(shape)
    result = [0] * len(shape)
    target = len(shape) - 1
    run, stride = 1, layout.strides[-1]
    for d in range(layout.ndim - 1, -1, -1):
        run *= layout.shape[d]
        ends = d == 0 or (layout.shape[d - 1] != 1 and layout.strides[d - 1] != run * stride)
        if not ends:
            continue
        cells = 1
        while target >= 0 and (cells < run or shape[target] == 1):
            result[target] = cells * stride
            cells *= shape[target]
            target -= 1
        if cells != run:
            return None
        if d > 0:
            run, stride = 1, layout.strides[d - 1]
    return tuple(result) if target == -1 else None


# -- views: the same cells, or some of them, in another arrangement ---------------------------------------------------
#
# A view is a layout and how many elements its first cell lies behind that of the tensor it was taken from.

View = tuple[Layout, int]


def permuted(layout: Layout, dims: Iterable[int]) -> Layout:
    """Dimension k of the result is dimension ``dims[k]``."""
    dims = tuple(dims)
    return layout.with_strides([layout.shape[d] for d in dims], [layout.strides[d] for d in dims])


def expanded(layout: Layout, shape: tuple[int, ...]) -> Layout:
    """Seen with a ``shape`` that it broadcasts to; repeated dimensions get the stride 0."""
    strides = list(broadcast_strides(layout, shape))
    if layout.ndim:
        # Leading dimensions of size 1 are not repeated: they step over the whole tensor.
        for d in reversed(range(len(shape) - layout.ndim)):
            strides[d] = shape[d + 1] * strides[d + 1] if shape[d] == 1 else 0
    return layout.with_strides(shape, strides)


def unsqueezed(layout: Layout, dim: int) -> Layout:
    """A dimension of size 1 before dimension ``dim``."""
    stride = layout.shape[dim] * layout.strides[dim] if dim < layout.ndim else 1
    shape, strides = list(layout.shape), list(layout.strides)
    shape.insert(dim, 1)
    strides.insert(dim, stride)
    return layout.with_strides(shape, strides)


def squeezed(layout: Layout, dims: Iterable[int]) -> Layout:
    """Without those of ``dims`` that have size 1."""
    dims = set(dims)
    kept = [d for d, n in enumerate(layout.shape) if n != 1 or d not in dims]
    return permuted(layout, kept)


def selected(layout: Layout, dim: int, index: int) -> View:
    """The cells whose coordinate ``dim`` is ``index``."""
    kept = [d for d in range(layout.ndim) if d != dim]
    return permuted(layout, kept), index * layout.strides[dim]


def sliced(layout: Layout, dim: int, start: int, length: int, step: int = 1) -> View:
    """``length`` cells of dimension ``dim`` from ``start``, every ``step``-th; a negative step goes backwards."""
    shape, strides = list(layout.shape), list(layout.strides)
    offset = start * strides[dim]
    shape[dim] = length
    strides[dim] *= step
    return layout.with_strides(shape, strides), offset


def diagonal(layout: Layout, offset: int, dim1: int, dim2: int) -> View:
    """The cells ``[i - min(offset, 0), i + max(offset, 0)]`` of two dimensions; i becomes the last dimension."""
    rows, columns = layout.shape[dim1], layout.shape[dim2]
    length = max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
    first = 0
    if length:
        first = offset * layout.strides[dim2] if offset >= 0 else -offset * layout.strides[dim1]
    kept = [d for d in range(layout.ndim) if d not in (dim1, dim2)]
    shape = [layout.shape[d] for d in kept] + [length]
    strides = [layout.strides[d] for d in kept] + [layout.strides[dim1] + layout.strides[dim2]]
    return layout.with_strides(shape, strides), first


def windows(layout: Layout, dim: int, size: int, step: int) -> Layout:
    """Windows of ``size`` cells of dimension ``dim``, each ``step`` cells behind the one before; the cells of a
    window become the last dimension."""
    shape, strides = list(layout.shape), list(layout.strides)
    if layout.ndim == 0:
        return layout.with_strides((size,), (1,))
    cell = strides[dim]
    shape[dim] = (shape[dim] - size) // step + 1
    strides[dim] = step * cell
    return layout.with_strides([*shape, size], [*strides, cell])


def broken_pair(layout: Layout, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Two neighbouring dimensions that ``shape`` asks to be read as one, though their cells do not follow on."""
    cuts, cells = {1}, 1
    for n in reversed(shape):
        cells *= n
        cuts.add(cells)
    inner, run = -1, 1
    for d in reversed(range(layout.ndim)):
        if layout.shape[d] == 1:
            continue
        if inner >= 0 and run not in cuts and layout.strides[d] != layout.shape[inner] * layout.strides[inner]:
            return d, inner
        run *= layout.shape[d]
        inner = d
    return None
