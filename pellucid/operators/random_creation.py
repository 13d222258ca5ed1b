"""New tensors of random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.dtypes import DType, float32, float64, get_default_dtype, int64
from pellucid.layout import CPU, dense
from pellucid.memory_format import memory_format, preserve_format
from pellucid.operators.arguments import checked_dtype, finished, place, sizes_of
from pellucid.operators.box_muller import draw_normal
from pellucid.operators.creation import dense_of, into, is_usual, like_target
from pellucid.operators.define import public
from pellucid.operators.generators import Generator, stream_of
from pellucid.operators.random_fills import normal_like
from pellucid.tensor import Tensor, array_of, empty_like_layout

Draw = Callable[[Any, Tensor], None]  # from a stream into a tensor


def _drawn(
    operator: str,
    shape: tuple[int, ...],
    draw: Draw,
    generator: Any,
    out: Tensor | None,
    dtype: DType | None,
    default: DType | None,
    layout: Any,
    device: Any,
    requires_grad: bool,
    pin_memory: bool,
) -> Tensor:
    """A new tensor, or ``out``, with what ``draw`` writes."""
    stream = stream_of(operator, generator)
    kind = checked_dtype(operator, dtype if dtype is not None else default)
    where = place(operator, device, layout, pin_memory)
    target = dense_of[shape, kind] if where is CPU else dense(shape, kind, where)
    made = empty_like_layout(target) if out is None else into(operator, out, target, dtype)
    draw(stream, made)
    if out is not None:
        out.storage.version += 1
    return finished(made, operator, requires_grad)


def _standard(name: str, doc: str, draw: Draw) -> Callable[..., Tensor]:
    """``rand`` or ``randn``."""

    def function(
        *sizes: Any,
        size: Any = None,
        generator: Generator | None = None,
        out: Tensor | None = None,
        dtype: DType | None = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        pin_memory: bool = False,
    ) -> Tensor:
        if out is layout is device is size and not (pin_memory or requires_grad) and is_usual(sizes, dtype):
            made = empty_like_layout(dense_of[sizes, dtype or get_default_dtype()])
            draw(stream_of(name, generator), made)
            return made
        shape = sizes_of(name, sizes if size is None else (size,))
        default = None if out is None else out.layout.dtype
        return _drawn(
            name, shape, draw, generator, out, dtype, default, layout, device, requires_grad, pin_memory
        )

    def like(
        input: Tensor,
        *,
        generator: Generator | None = None,
        dtype: DType | None = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        pin_memory: bool = False,
        memory_format: memory_format | None = preserve_format,
    ) -> Tensor:
        target = like_target(f"{name}_like", input, dtype, layout, device, pin_memory, memory_format)
        made = empty_like_layout(target)
        draw(stream_of(f"{name}_like", generator), made)
        return finished(made, f"{name}_like", requires_grad)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    like.__name__ = like.__qualname__ = f"{name}_like"
    like.__doc__ = f"`{name}` in the shape, dtype and (unless it has holes) strides of ``input``."
    public(like)
    return public(function)


def _draw_unit(stream: Any, x: Tensor) -> None:
    layout = x.layout
    if layout.contiguous and (layout.dtype is float32 or layout.dtype is float64):
        stream.unit(x.ptr, layout.numel, layout.dtype is float64)
    else:
        stream.uniform(array_of(x))


rand = _standard("rand", "Numbers in [0, 1), all equally likely.", _draw_unit)
randn = _standard(
    "randn",
    "Numbers from the normal distribution of mean 0 and variance 1.",
    lambda stream, x: draw_normal(x, 0.0, 1.0, stream),
)


# -- integers -----------------------------------------------------------------------------------------------------


def _bound(operator: str, name: str, value: Any) -> int:
    if isinstance(value, Tensor):
        value = value.item()
    if isinstance(value, float | complex | str) or not hasattr(value, "__index__"):
        raise TypeError(f"{operator}(): argument '{name}' must be int, not {type(value).__name__}")
    return value.__index__()


@public
def randint(
    *args: Any,
    low: Any = None,
    high: Any = None,
    size: Any = None,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """``randint(high, size)`` or ``randint(low, high, size)``: integers in [low, high), all equally likely.

    Raises:
        RuntimeError: the range is empty, or leaves the dtype.
    """
    bounds = list(args)
    if size is None and bounds:
        size = bounds.pop()
    if high is None and bounds:
        high = bounds.pop()
    if low is None and bounds:
        low = bounds.pop()
    if bounds or high is None or not isinstance(size, tuple | list):
        got = "nothing" if size is None else type(size).__name__
        raise TypeError(
            f"randint(): argument 'size' must be tuple of ints, not {got}; write randint(high, size) or "
            "randint(low, high, size)"
        )
    first, last = 0 if low is None else _bound("randint", "low", low), _bound("randint", "high", high)
    _require_range("randint", first, last)
    return _drawn(
        "randint", sizes_of("randint", (size,)), lambda stream, x: stream.randint(array_of(x), first, last),
        generator, out, dtype, int64 if out is None else out.layout.dtype, layout, device, requires_grad, pin_memory,
    )  # fmt: skip


def _require_range(operator: str, low: int, high: int) -> None:
    if low >= high:
        raise RuntimeError(
            f"{operator}(): random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )


@public
def randint_like(
    input: Tensor,
    *args: Any,
    low: Any = None,
    high: Any = None,
    generator: Generator | None = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: memory_format | None = preserve_format,
) -> Tensor:
    """`randint` in the shape, dtype and (unless it has holes) strides of ``input``."""
    bounds = [v for v in (*args, low, high) if v is not None]
    if not 1 <= len(bounds) <= 2:
        raise TypeError("randint_like(): write randint_like(input, high) or randint_like(input, low, high)")
    first, last = (0, *bounds) if len(bounds) == 1 else bounds
    first, last = _bound("randint_like", "low", first), _bound("randint_like", "high", last)
    _require_range("randint_like", first, last)
    target = like_target("randint_like", input, dtype, layout, device, pin_memory, memory_format)
    made = empty_like_layout(target)
    stream_of("randint_like", generator).randint(array_of(made), first, last)
    return finished(made, "randint_like", requires_grad)


@public
def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """The numbers 0 .. n-1 in random order.

    Raises:
        RuntimeError: a negative ``n``, or one beyond what the dtype can hold.
    """
    count = _bound("randperm", "n", n)
    return _drawn(
        "randperm", sizes_of("randperm", (count,)), lambda stream, x: stream.randperm(array_of(x)),
        generator, out, dtype, int64 if out is None else out.layout.dtype, layout, device, requires_grad, pin_memory,
    )  # fmt: skip


# -- normal -------------------------------------------------------------------------------------------------------


@public
def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Numbers from normal distributions: of one mean and standard deviation and some ``size``, or one number for each
    cell of the tensors ``mean`` and ``std``, which broadcast.

    Raises:
        RuntimeError: a negative ``std``, or tensors that do not broadcast.
    """
    if isinstance(mean, Tensor) or isinstance(std, Tensor):
        return normal_like(mean, std, stream_of("normal", generator), out)
    if size is None:
        raise TypeError(
            f"normal() received an invalid combination of arguments - got ({type(mean).__name__}, "
            f"{type(std).__name__}): numbers need a size; write normal(mean, std, (2, 3))"
        )
    return _drawn(
        "normal", sizes_of("normal", (size,)), lambda stream, x: draw_normal(x, float(mean), float(std), stream),
        generator, out, dtype, None if out is None else out.layout.dtype, layout, device, requires_grad, pin_memory,
    )  # fmt: skip
