"""Random numbers written into a tensor, and new tensors drawn from the numbers of others.

Every fill visits the cells in the order of their memory, as PyTorch does, so the same seed gives the same tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.autograd.derived import grad_fn_name
from pellucid.autograd.graph import Node, recorder
from pellucid.autograd.inplace import in_place
from pellucid.dtypes import int64
from pellucid.errors import shape_text
from pellucid.layout import broadcast_shapes, dense, like, overlaps_itself
from pellucid.operators.arguments import require_tensor
from pellucid.operators.box_muller import draw_normal
from pellucid.operators.creation import filled, into
from pellucid.operators.define import both, deliver, method, public, resize_out
from pellucid.operators.generators import Generator, stream_of
from pellucid.plan import PlanTable
from pellucid.runtime import native
from pellucid.tensor import Tensor, array_of, empty_like_layout

Draw = Callable[[np.ndarray[Any, Any]], None]


class _NoGradient:
    """Drawn numbers do not change with what they were drawn by: the gradient is zero."""

    def __init__(self, name: str) -> None:
        self.name = name

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return ()

    def backward(self, node: Node, grads: list[Any]) -> list[Any]:
        return [filled(like(grads[0].layout), 0) if edge is not None else None for edge in node.edges]


_recorders = PlanTable(
    lambda name, layout: recorder(_NoGradient(grad_fn_name(name)), [layout], [])
)


def _fill(name: str, x: Tensor, draw: Draw) -> Tensor:
    """Let ``draw`` write into the cells of ``x``; what was there gets no gradient."""
    layout = require_tensor(f"{name}_", x).layout
    if overlaps_itself(layout):
        raise RuntimeError(
            f"{name}_(): unsupported operation: more than one element of the written-to tensor "
            f"{shape_text(layout.shape)} refers to a single memory location (it was expanded). "
            "Please clone() the tensor before performing the operation."
        )

    def write() -> None:
        draw(array_of(x))
        x.storage.version += 1

    record = _recorders[name, layout] if x.tracked or x.base is not None else None
    return in_place(x, write, record)


# -- distributions ------------------------------------------------------------------------------------------------


@method
def uniform_(
    input: Tensor, from_: float = 0, to: float = 1, *, generator: Generator | None = None, **named: Any
) -> Tensor:
    """Numbers in [from, to), all equally likely.

    Raises:
        RuntimeError: ``from`` is above ``to``. NotImplementedError: not a floating dtype.
    """
    low = named.pop("from", from_)
    if named:
        raise TypeError(f"uniform_() got an unexpected keyword argument '{sorted(named)[0]}'")
    if low > to:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low} > to={to}")
    stream = stream_of("uniform_", generator)
    return _fill("uniform", input, lambda cells: stream.uniform(cells, float(low), float(to)))


@method
def normal_(input: Tensor, mean: float = 0, std: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Numbers from the normal distribution.

    Raises:
        RuntimeError: a negative ``std``. NotImplementedError: not a floating dtype.
    """
    stream = stream_of("normal_", generator)
    return _fill("normal", input, lambda _: draw_normal(input, float(mean), float(std), stream))


@method
def log_normal_(input: Tensor, mean: float = 1, std: float = 2, *, generator: Generator | None = None) -> Tensor:
    """``exp`` of numbers from the normal distribution of this mean and standard deviation."""
    stream = stream_of("log_normal_", generator)
    return _fill("log_normal", input, lambda cells: stream.log_normal(cells, float(mean), float(std)))


@method
def exponential_(input: Tensor, lambd: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Numbers with the density ``lambd exp(-lambd x)``."""
    stream = stream_of("exponential_", generator)
    return _fill("exponential", input, lambda cells: stream.exponential(cells, float(lambd)))


@method
def cauchy_(input: Tensor, median: float = 0, sigma: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Numbers from the Cauchy distribution."""
    stream = stream_of("cauchy_", generator)
    return _fill("cauchy", input, lambda cells: stream.cauchy(cells, float(median), float(sigma)))


@method
def geometric_(input: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """How many trials of chance ``p`` it takes to the first success."""
    stream = stream_of("geometric_", generator)
    return _fill("geometric", input, lambda cells: stream.geometric(cells, float(p)))


@method
def random_(input: Tensor, *bounds: Any, generator: Generator | None = None, **named: Any) -> Tensor:
    """``random_()``: integers of the dtype's whole range, ``random_(to)``: in [0, to), ``random_(from, to)``.

    Raises:
        RuntimeError: the range is empty, or leaves the dtype.
    """
    stream = stream_of("random_", generator)
    if len(bounds) + len(named) > 2 or set(named) - {"from", "to"}:
        raise TypeError("random_() takes to=, or from= and to=")
    if not bounds and not named:
        return _fill("random", input, stream.random)
    if len(bounds) == 2:
        low, high = bounds
    elif len(bounds) == 1:
        low, high = (bounds[0], named["to"]) if "to" in named else (0, bounds[0])
    else:
        low, high = named.get("from", 0), named.get("to")
    return _fill("random", input, lambda cells: stream.randint(cells, low, high))


# -- chances ------------------------------------------------------------------------------------------------------


@method
def bernoulli_(input: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """1 with the chance ``p``, else 0; ``p`` is a number or a floating tensor that broadcasts to ``input``.

    Raises:
        RuntimeError: chances outside [0, 1], or a ``p`` that does not broadcast.
    """
    stream = stream_of("bernoulli_", generator)
    if not isinstance(p, Tensor):
        return _fill("bernoulli", input, lambda cells: stream.bernoulli(cells, float(p)))
    if broadcast_shapes(p.layout.shape, input.layout.shape) != input.layout.shape:
        raise RuntimeError(
            f"bernoulli_(): The expanded size of p {shape_text(p.layout.shape)} must match the existing size "
            f"{shape_text(input.layout.shape)} of the tensor that is written into"
        )
    chances = array_of(p)
    return _fill("bernoulli", input, lambda cells: stream.bernoulli(cells, chances))


def recorded(name: str, out: Tensor, *operands: Tensor) -> Tensor:
    """``out`` in the graph, if an operand is."""
    if native.grad_enabled() and any(t.tracked for t in operands):
        recorder(_NoGradient(name), [out.layout], [t.layout for t in operands])(out, *operands)
    return out


@public
def bernoulli(
    input: Tensor, p: float | None = None, *, generator: Generator | None = None, out: Tensor | None = None
) -> Tensor:
    """1 with the chance that ``input`` holds (or with the chance ``p``), else 0, in the dtype of ``input``."""
    layout = require_tensor("bernoulli", input).layout
    if p is None and not layout.dtype.is_floating_point:
        raise NotImplementedError(f"bernoulli(): chances must be floating point, not {layout.dtype!r}")
    chances = _detached(input) if p is None else p
    if out is not None:
        return bernoulli_(into("bernoulli", out, layout, None), chances, generator=generator)
    made = bernoulli_(empty_like_layout(like(layout)), chances, generator=generator)
    return recorded("BernoulliBackward0", made, input)


method(bernoulli)


@both
def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Places drawn with the chances that each row of ``input`` holds, which need not add up to 1.

    Raises:
        RuntimeError: negative or infinite chances, more samples than places without replacement.
    """
    layout = require_tensor("multinomial", input).layout
    if not layout.dtype.is_floating_point:
        raise RuntimeError(
            f"multinomial only supports floating-point dtypes for input, got: {layout.dtype.scalar_name}; use .float()"
        )
    if layout.ndim not in (1, 2):
        raise RuntimeError(f"multinomial(): prob_dist must be 1 or 2 dim, but its shape is {shape_text(layout.shape)}")
    if isinstance(out, Tensor) and out.layout.dtype is not int64:
        raise RuntimeError(f"multinomial expects Long tensor out, got: {out.layout.dtype.scalar_name}")
    made = empty_like_layout(dense((*layout.shape[:-1], max(num_samples, 0)), int64))
    stream = stream_of("multinomial", generator)
    stream.multinomial(array_of(made), array_of(input), bool(replacement))
    return deliver(made, out, "multinomial")


# -- normal numbers with tensors as mean or std -------------------------------------------------------------------


def normal_like(mean: Any, std: Any, stream: Any, out: Tensor | None) -> Tensor:
    """``mean + std * standard normal``, where one of them is a tensor at least; ``out`` is drawn into as it lies."""
    tensors = [t for t in (mean, std) if isinstance(t, Tensor)]
    shape = broadcast_shapes(*[t.layout.shape for t in tensors])
    if shape is None:
        raise RuntimeError(
            f"normal(): The size of tensor a {shape_text(mean.layout.shape)} must match the size of tensor b "
            f"{shape_text(std.layout.shape)} at non-singleton dimension: mean and std do not broadcast"
        )
    if isinstance(std, Tensor):
        if std.layout.dtype.is_complex:
            raise RuntimeError("normal(): normal expects standard deviation to be non-complex")
        if std.layout.numel and not bool((array_of(std).astype(np.float64) >= 0).all()):
            raise RuntimeError("normal(): normal expects all elements of std >= 0.0")
    elif std < 0:
        raise RuntimeError(f"normal(): normal expects std >= 0.0, but found std {std}")
    target = dense(shape, tensors[0].layout.dtype)
    if out is not None and out.layout.shape != shape:
        resize_out(out, target, "normal")
    made: Any = empty_like_layout(target) if out is None else into("normal", out, target, None)
    draw_normal(made, 0.0, 1.0, stream)
    spread = made.mul_(_detached(std)).add_(_detached(mean))
    number = 3 if len(tensors) == 2 else 1 if isinstance(mean, Tensor) else 2
    return spread if out is not None else recorded(f"NormalBackward{number}", spread, *tensors)


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value
