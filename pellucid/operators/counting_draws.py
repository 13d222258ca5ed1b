"""Random counts: events in a while (Poisson), successes in a number of trials (binomial).

Cells are drawn one after the other, each from as many uniform numbers as its rejections take: Knuth's and inversion
methods for small means, Hoermann's transformed rejection (PTRS, BTRS) for large ones, as in PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pellucid.layout import broadcast_shapes, dense
from pellucid.operators.arguments import require_tensor
from pellucid.operators.define import public
from pellucid.operators.generators import Generator, stream_of
from pellucid.operators.random_fills import recorded
from pellucid.runtime.random_streams import Generator as Stream
from pellucid.tensor import Tensor, array_of, empty_like_layout

Uniform = Callable[[], float]

LARGE_MEAN = 10.0  # from here on rejection takes fewer uniforms


def _uniforms(stream: Stream) -> Uniform:
    """Numbers in [0, 1) with 53 bits."""
    mask, scale = 2**53 - 1, 2.0**-53
    return lambda: (int(stream.random64(1)[0]) & mask) * scale


def poisson_count(mean: float, uniform: Uniform) -> int:
    """How many events happen where ``mean`` are expected."""
    if mean == 0:
        return 0
    if mean < LARGE_MEAN:
        count, product, limit = 0, uniform(), math.exp(-mean)
        while product > limit:
            count += 1
            product *= uniform()
        return count
    root, log_mean = math.sqrt(mean), math.log(mean)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    log_inverse = math.log(1.1239 + 1.1328 / (b - 3.4))
    while True:
        u, v = uniform() - 0.5, uniform()
        edge = 0.5 - abs(u)
        count = math.floor((2 * a / edge + b) * u + mean + 0.43) if edge else -1
        if edge >= 0.07 and v <= 0.9277 - 3.6224 / (b - 2):
            return count
        if count < 0 or (edge < 0.013 and v > edge):
            continue
        weight = -mean + count * log_mean - math.lgamma(count + 1)
        if _log(v) + log_inverse - math.log(a / (edge * edge) + b) <= weight:
            return count


def binomial_count(trials: float, chance: float, uniform: Uniform) -> float:
    """How many of ``trials`` succeed."""
    if trials <= 0 or chance <= 0:
        return 0
    if chance >= 1:
        return trials
    if chance > 0.5:
        return trials - binomial_count(trials, 1 - chance, uniform)
    if trials * chance >= LARGE_MEAN:
        return _by_rejection(trials, chance, uniform)
    count, tried, log_failure = 0, 0.0, math.log1p(-chance)
    while True:
        tried += math.ceil(_log(uniform()) / log_failure)
        if tried > trials:
            return count
        count += 1


def _by_rejection(trials: float, chance: float, uniform: Uniform) -> float:
    spread = math.sqrt(trials * chance * (1 - chance))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * chance
    odds, alpha = chance / (1 - chance), (2.83 + 5.1 / b) * spread
    mode = math.floor((trials + 1) * chance)
    while True:
        u, v = uniform() - 0.5, uniform()
        edge = 0.5 - abs(u)
        count = math.floor((2 * a / edge + b) * u + trials * chance + 0.5) if edge else -1
        if edge >= 0.07 and v <= 0.92 - 4.2 / b:
            return count
        if count < 0 or count > trials:
            continue
        bound = (
            (mode + 0.5) * math.log((mode + 1) / (odds * (trials - mode + 1)))
            + (trials + 1) * math.log((trials - mode + 1) / (trials - count + 1))
            + (count + 0.5) * math.log(odds * (trials - count + 1) / (count + 1))
            + _tail(mode) + _tail(trials - mode) - _tail(count) - _tail(trials - count)
        )  # fmt: skip
        if _log(v * alpha / (a / (edge * edge) + b)) <= bound:
            return count


def _tail(k: float) -> float:
    """What Stirling's formula lacks of ``log k!``."""
    exact = math.lgamma(k + 1) - ((k + 0.5) * math.log(k + 1) - (k + 1) + 0.5 * math.log(2 * math.pi))
    if k <= 9:
        return exact
    square = (k + 1) * (k + 1)
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


@public
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """In each cell the number of events where ``input`` holds the expected one.

    Raises:
        RuntimeError: a negative number is expected. NotImplementedError: not floating point.
    """
    layout = require_tensor("poisson", input).layout
    if not layout.dtype.is_floating_point:
        raise NotImplementedError(f"poisson(): not implemented for {layout.dtype!r}; use .float()")
    means: Any = array_of(input)
    if means.size and float(means.min()) < 0:
        raise RuntimeError(f"poisson(): invalid Poisson rate, expected rate to be non-negative, but got {means.min()}")
    uniform = _uniforms(stream_of("poisson", generator))
    made = empty_like_layout(dense(layout.shape, layout.dtype))
    array_of(made).reshape(-1)[...] = [poisson_count(float(m), uniform) for m in means.reshape(-1)]
    return recorded("PoissonBackward0", made, input)


@public
def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """In each cell the number of successes of ``count`` trials, each with the chance ``prob``; they broadcast.

    Raises:
        ValueError: not floating point; RuntimeError: different dtypes, or shapes that do not broadcast.
    """
    trials, chances = require_tensor("binomial", count), require_tensor("binomial", prob, "prob", 2)
    for argument, t in (("count", trials), ("prob", chances)):
        if not t.layout.dtype.is_floating_point:
            raise ValueError(
                f"binomial only supports floating-point dtypes for {argument}, got: {t.layout.dtype.scalar_name}; "
                "convert it first, for example by .float()"
            )
    dtype = trials.layout.dtype
    if dtype is not chances.layout.dtype:
        raise RuntimeError(f"binomial(): Found dtype {chances.layout.dtype!r} but expected {dtype!r}; convert one of them")
    shape = broadcast_shapes(trials.layout.shape, chances.layout.shape)
    if shape is None:
        raise RuntimeError(f"binomial(): count {tuple(count.shape)} and prob {tuple(prob.shape)} do not broadcast")
    uniform = _uniforms(stream_of("binomial", generator))
    made = empty_like_layout(dense(shape, dtype))
    a: Any = trials
    b: Any = chances
    pairs = zip(a.expand(shape).flatten().tolist(), b.expand(shape).flatten().tolist(), strict=True)
    array_of(made).reshape(-1)[...] = [binomial_count(n, p, uniform) for n, p in pairs]
    return recorded("BinomialBackward0", made, count, prob)
