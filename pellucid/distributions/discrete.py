"""Distributions of whole numbers and choices, from probabilities or from logits (their logarithms, up to a constant)."""

from __future__ import annotations

from typing import Any, ClassVar

from pellucid.autograd.modes import enable_grad
from pellucid.distributions import constraints
from pellucid.distributions.constraints import Constraint
from pellucid.distributions.distribution import Distribution, broadcast_parameters
from pellucid.dtypes import finfo
from pellucid.layout import Size
from pellucid.nn.functional import binary_cross_entropy_with_logits
from pellucid.operators.combining import one_hot
from pellucid.operators.counting_draws import poisson
from pellucid.operators.expanding import broadcast_tensors
from pellucid.operators.sequences import arange, eye


def _inside(probs: Any) -> Any:
    """Probabilities away from 0 and 1, whose logarithms are finite."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def _one_of(probs: Any, logits: Any) -> bool:
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")
    return logits is None


class _EitherWay(Distribution):
    """Has one of ``probs`` and ``logits``; the other is worked out when it is first asked for, and kept."""

    def _logits_of(self, probs: Any) -> Any:
        raise NotImplementedError

    def _probs_of(self, logits: Any) -> Any:
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        with enable_grad():
            if name == "logits" and "probs" in own:
                own[name] = self._logits_of(own["probs"])
            elif name == "probs" and "logits" in own:
                own[name] = self._probs_of(own["logits"])
            else:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return own[name]


class Bernoulli(_EitherWay):
    """1 with probability ``probs``, else 0."""

    arg_constraints: ClassVar[dict[str, Constraint]] = {"probs": constraints.unit_interval, "logits": constraints.real}
    has_enumerate_support = True
    support = constraints.boolean

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        given = "probs" if _one_of(probs, logits) else "logits"
        (value,) = broadcast_parameters(probs if given == "probs" else logits)
        self.__dict__[given] = value
        super().__init__(value.shape, validate_args=validate_args)

    def _logits_of(self, probs: Any) -> Any:
        p = _inside(probs)
        return p.log() - (-p).log1p()

    def _probs_of(self, logits: Any) -> Any:
        return logits.sigmoid()

    @property
    def mean(self) -> Any:
        return self.probs

    @property
    def mode(self) -> Any:
        found = (self.probs >= 0.5).to(self.probs.dtype)
        return found.masked_fill(self.probs == 0.5, float("nan"))

    @property
    def variance(self) -> Any:
        return self.probs * (1 - self.probs)

    @property
    def param_shape(self) -> Size:
        """The parameters' shape."""
        return self._batch_shape

    def sample(self, sample_shape: Any = ()) -> Any:
        return self.probs.detach().expand(self._extended_shape(sample_shape)).bernoulli()

    def log_prob(self, value: Any) -> Any:
        self._require_value(value)
        logits, value = broadcast_tensors(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none")  # type: ignore[operator]

    def entropy(self) -> Any:
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand: bool = True) -> Any:
        values: Any = arange(2, dtype=self.mean.dtype)
        values = values.view(-1, *[1] * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values


class Categorical(_EitherWay):
    """The number of a class; ``probs`` along the last dimension are brought to a sum of 1."""

    arg_constraints: ClassVar[dict[str, Constraint]] = {
        "probs": constraints.simplex,
        "logits": constraints.real_vector,
    }
    has_enumerate_support = True

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        if _one_of(probs, logits):
            if probs.dim() < 1:
                raise ValueError("`probs` parameter must be at least one-dimensional.")
            self.__dict__["probs"] = value = probs / probs.sum(-1, keepdim=True)
        else:
            if logits.dim() < 1:
                raise ValueError("`logits` parameter must be at least one-dimensional.")
            self.__dict__["logits"] = value = logits - logits.logsumexp(dim=-1, keepdim=True)
        self._num_events = value.shape[-1]
        super().__init__(value.shape[:-1], validate_args=validate_args)

    def _logits_of(self, probs: Any) -> Any:
        return _inside(probs).log()

    def _probs_of(self, logits: Any) -> Any:
        return logits.softmax(-1)

    @property
    def support(self) -> Constraint:
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def param_shape(self) -> Size:
        """The parameters' shape."""
        return Size((*self._batch_shape, self._num_events))

    @property
    def mean(self) -> Any:
        return self.probs.new_full(self._extended_shape(()), float("nan"))

    @property
    def mode(self) -> Any:
        return self.probs.argmax(dim=-1)

    @property
    def variance(self) -> Any:
        return self.mean

    def sample(self, sample_shape: Any = ()) -> Any:
        shape = Size(sample_shape)
        flat = self.probs.detach().reshape(-1, self._num_events)
        return flat.multinomial(shape.numel(), True).T.reshape(self._extended_shape(shape))

    def log_prob(self, value: Any) -> Any:
        self._require_value(value)
        number, logits = broadcast_tensors(value.long().unsqueeze(-1), self.logits)
        return logits.gather(-1, number[..., :1]).squeeze(-1)

    def entropy(self) -> Any:
        least = finfo(self.logits.dtype).min
        logits = self.logits.clamp(min=least)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Any:
        values: Any = arange(self._num_events)
        values = values.view(-1, *[1] * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values


class OneHotCategorical(Distribution):
    """`Categorical` whose values are vectors with a 1 at the class."""

    arg_constraints = Categorical.arg_constraints
    has_enumerate_support = True
    support = constraints.one_hot

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        self._categorical = Categorical(probs, logits, validate_args)
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args)

    @property
    def probs(self) -> Any:
        """The probability of each class."""
        return self._categorical.probs

    @property
    def logits(self) -> Any:
        """Its logarithm."""
        return self._categorical.logits

    @property
    def mean(self) -> Any:
        return self.probs

    @property
    def mode(self) -> Any:
        return one_hot(self.probs.argmax(-1), self._event_shape[0]).to(self.probs.dtype)

    @property
    def variance(self) -> Any:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Any:
        chosen: Any = one_hot(self._categorical.sample(sample_shape), self._event_shape[0])
        return chosen.to(self.probs.dtype)

    def log_prob(self, value: Any) -> Any:
        self._require_value(value)
        return self._categorical.log_prob(value.max(-1)[1])

    def entropy(self) -> Any:
        return self._categorical.entropy()

    def enumerate_support(self, expand: bool = True) -> Any:
        n = self._event_shape[0]
        values: Any = eye(n, dtype=self.probs.dtype)
        values = values.view(n, *[1] * len(self._batch_shape), n)
        return values.expand(n, *self._batch_shape, n) if expand else values


class Poisson(Distribution):
    """``rate^x exp(-rate) / x!``."""

    arg_constraints: ClassVar[dict[str, Constraint]] = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast_parameters(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def mean(self) -> Any:
        return self.rate

    @property
    def mode(self) -> Any:
        return self.rate.floor()

    @property
    def variance(self) -> Any:
        return self.rate

    def sample(self, sample_shape: Any = ()) -> Any:
        return poisson(self.rate.detach().expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Any) -> Any:
        self._require_value(value)
        rate, value = broadcast_tensors(self.rate, value)
        return value.xlogy(rate) - rate - (value + 1).lgamma()
