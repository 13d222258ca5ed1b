"""Questions that a tensor answers about itself: its dtype's kind, its device, its size."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Number
from typing import Any

from pellucid.operators.arguments import require_tensor
from pellucid.operators.define import both, method, public
from pellucid.tensor import Tensor


@both
def is_floating_point(input: Tensor) -> bool:
    """Whether the elements are floating point numbers."""
    return require_tensor("is_floating_point", input).layout.dtype.is_floating_point


@both
def is_complex(input: Tensor) -> bool:
    """Whether the elements are complex numbers."""
    return require_tensor("is_complex", input).layout.dtype.is_complex


@both
def is_signed(input: Tensor) -> bool:
    """Whether the elements can be negative."""
    return require_tensor("is_signed", input).layout.dtype.is_signed


@both
def is_nonzero(input: Tensor) -> bool:
    """Whether the only element is not zero.

    Raises:
        RuntimeError: there are more elements, or none.
    """
    return bool(require_tensor("is_nonzero", input))


@both
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape."""
    return input.layout.shape == require_tensor("is_same_size", other, "other", 2).layout.shape


@public
def numel(input: Tensor) -> int:
    """The number of elements."""
    return require_tensor("numel", input).layout.numel


@method
def nelement(input: Tensor) -> int:
    """The number of elements."""
    return input.layout.numel


@method
def ndimension(input: Tensor) -> int:
    """The number of dimensions."""
    return input.layout.ndim


@both
def get_device(input: Tensor) -> int:
    """The number of the tensor's GPU; -1 for the CPU."""
    where = require_tensor("get_device", input).layout.device
    return -1 if where.type == "cpu" else where.index or 0


@method
def dim_order(input: Tensor) -> tuple[int, ...]:
    """The dimensions from the outermost to the innermost in memory."""
    layout = input.layout
    return tuple(sorted(range(layout.ndim), key=lambda d: -abs(layout.strides[d])))


@method
def sparse_dim(input: Tensor) -> int:
    """How many dimensions are kept by coordinates: none, every tensor is strided."""
    return 0


@method
def dense_dim(input: Tensor) -> int:
    """How many dimensions are kept cell by cell: all of them."""
    return input.layout.ndim


def _never(name: str, what: str) -> None:
    """A question whose answer is no for every tensor of Pellucid."""

    def function(input: Tensor) -> bool:
        return False

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Whether the tensor is {what}; none is here."
    both(function)


for _name, _what in {
    "is_conj": "to be conjugated when it is read (conjugates are computed at once)",
    "is_neg": "to be negated when it is read (negatives are computed at once)",
    "is_inference": "made in inference mode with no history at all",
    "is_distributed": "spread over processes",
}.items():
    _never(_name, _what)


def _on(kind: str) -> Callable[[Tensor], bool]:
    return lambda input: input.layout.device.type == kind


for _kind in ("cpu", "cuda", "mps", "xpu", "meta", "xla", "ipu", "vulkan", "maia", "mtia"):
    setattr(Tensor, f"is_{_kind}", property(_on(_kind), doc=f'Whether the device is of type "{_kind}".'))
for _property in ("is_sparse", "is_sparse_csr", "is_quantized", "is_nested", "is_mkldnn"):
    setattr(Tensor, _property, property(lambda input: False, doc="False: every tensor is strided."))
setattr(Tensor, "name", property(lambda input: None, doc="None: tensors have no names."))  # noqa: B010


@method
def is_pinned(input: Tensor, device: Any = None) -> bool:
    """Whether the memory is pinned for transfers to a GPU."""
    return False


@method
def pin_memory(input: Tensor, device: Any = None) -> Tensor:
    """Memory pinned for transfers to a GPU.

    Raises:
        RuntimeError: there is no GPU to transfer to.
    """
    raise RuntimeError("pin_memory(): Cannot access accelerator device when none is available; leave it out")


@method
def is_shared(input: Tensor) -> bool:
    """Whether the memory is shared between processes."""
    return False


# -- element by element, by a Python function ---------------------------------------------------------------------


@method
def apply_(input: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Replace each element by ``callable(element)``. Slow: for what no operator does.

    Raises:
        RuntimeError: gradients flow through the tensor.
    """
    return map_(input, input, lambda value, _: callable(value))


@method
def map_(input: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Replace each element by ``callable(element, element of tensor)``. Slow: for what no operator does."""
    return _replaced_by(callable, input, tensor)


@method
def map2_(input: Tensor, x: Tensor, y: Tensor, callable: Callable[[Any, Any, Any], Any]) -> Tensor:
    """Replace each element by ``callable(element, element of x, element of y)``. Slow: for what no operator does."""
    return _replaced_by(callable, input, x, y)


def _replaced_by(callable: Callable[..., Any], input: Tensor, *others: Any) -> Tensor:
    if any(t.tracked for t in (input, *others)):
        raise RuntimeError("Can't call apply_() on Variable that requires grad. Use var.detach().apply_() instead.")
    for other in others:
        if other.dtype is not input.dtype:
            raise TypeError(f"map_: expected a tensor of {input.dtype} for 'other' (got {other.dtype}); convert it by .to()")
    from pellucid.operators.literals import made_of

    columns = [t.expand(input.shape).flatten().tolist() for t in (input, *others)]
    results = list(map(callable, *columns))
    for value in results:
        if not isinstance(value, Number | Tensor):
            raise TypeError(f"apply_(): must be real number, not {type(value).__name__}: the function has to give numbers")
    values = made_of(results, input.layout.dtype, "apply_")
    return input.copy_(values.reshape(input.shape))


