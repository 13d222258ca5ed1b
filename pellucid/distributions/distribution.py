"""What all distributions have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from pellucid.autograd.modes import no_grad
from pellucid.distributions.constraints import Constraint
from pellucid.dtypes import get_default_dtype
from pellucid.errors import shape_text
from pellucid.layout import Size
from pellucid.operators.expanding import broadcast_tensors
from pellucid.operators.literals import tensor
from pellucid.tensor import Tensor


class Distribution:
    """Random values of shape ``event_shape``, ``batch_shape`` of them side by side.

    Raises:
        ValueError: a parameter outside of what it may be, unless ``validate_args=False``.
    """

    has_rsample = False
    has_enumerate_support = False
    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    _validate = __debug__

    def __init__(self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        self._validate_args = self._validate if validate_args is None else validate_args
        if self._validate_args:
            for name, constraint in self.arg_constraints.items():
                if name in self.__dict__:
                    self._require_parameter(name, constraint)

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether parameters and values are checked from now on."""
        Distribution._validate = value

    def _require_parameter(self, name: str, constraint: Constraint) -> None:
        value = self.__dict__[name]
        if not bool(constraint.check(value).all()):
            raise ValueError(
                f"Expected parameter {name} ({type(value).__name__} of shape {shape_text(value.shape)}) of distribution "
                f"{self!r} to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
            )

    def _require_value(self, value: Any) -> None:
        """Raises ValueError for values that the distribution cannot give."""
        if not self._validate_args:
            return
        if not isinstance(value, Tensor):
            raise ValueError(f"The value argument to log_prob must be a Tensor, not {type(value).__name__}")
        x: Any = value
        events = len(self._event_shape)
        if events and tuple(x.shape[x.dim() - events :]) != tuple(self._event_shape):
            raise ValueError(
                f"The right-most size of value must match event_shape: {shape_text(x.shape)} vs "
                f"{shape_text(self._event_shape)}."
            )
        pairs = zip(reversed(x.shape), reversed((*self._batch_shape, *self._event_shape)), strict=False)
        if any(m != 1 != n != m for m, n in pairs):
            raise ValueError(
                f"Value is not broadcastable with batch_shape+event_shape: {shape_text(x.shape)} vs "
                f"{shape_text((*self._batch_shape, *self._event_shape))}."
            )
        if not bool(self.support.check(x).all()):
            raise ValueError(
                f"Expected value argument ({type(x).__name__} of shape {shape_text(x.shape)}) to be within the support "
                f"({self.support!r}) of the distribution {self!r}, but found invalid values:\n{x}"
            )

    def _extended_shape(self, sample_shape: Any) -> Size:
        return Size((*sample_shape, *self._batch_shape, *self._event_shape))

    @property
    def batch_shape(self) -> Size:
        """The shape of the distributions that lie side by side."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one value."""
        return self._event_shape

    @property
    def support(self) -> Constraint:
        """The values that it can give."""
        raise NotImplementedError(f"{type(self).__name__} has no support")

    @property
    def mean(self) -> Any:
        """The expected value."""
        raise NotImplementedError(f"{type(self).__name__} has no mean")

    @property
    def mode(self) -> Any:
        """The likeliest value."""
        raise NotImplementedError(f"{type(self).__name__} has no mode")

    @property
    def variance(self) -> Any:
        """The expected squared distance from the mean."""
        raise NotImplementedError(f"{type(self).__name__} has no variance")

    @property
    def stddev(self) -> Any:
        """The root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Any = ()) -> Any:
        """Random values, (sample_shape, batch_shape, event_shape), without gradients."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Any:
        """Random values through which gradients flow to the parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no rsample: its values are no smooth function of its parameters")

    def log_prob(self, value: Any) -> Any:
        """The logarithm of the probability (density) of values.

        Raises:
            ValueError: values that it cannot give, or of an unfit shape.
        """
        raise NotImplementedError(f"{type(self).__name__} has no log_prob")

    def cdf(self, value: Any) -> Any:
        """The probability of values up to ``value``."""
        raise NotImplementedError(f"{type(self).__name__} has no cdf")

    def icdf(self, value: Any) -> Any:
        """The reverse of `cdf`."""
        raise NotImplementedError(f"{type(self).__name__} has no icdf")

    def entropy(self) -> Any:
        """The expected ``-log_prob``."""
        raise NotImplementedError(f"{type(self).__name__} has no entropy")

    def perplexity(self) -> Any:
        """``exp(entropy)``."""
        return self.entropy().exp()

    def enumerate_support(self, expand: bool = True) -> Any:
        """All values that it can give, along a first dimension."""
        raise NotImplementedError(f"{type(self).__name__} cannot list its values")

    def __repr__(self) -> str:
        held = {name: self.__dict__[name] for name in self.arg_constraints if name in self.__dict__}
        inside = ", ".join(f"{name}: {v if v.numel() == 1 else v.size()}" for name, v in held.items())
        return f"{type(self).__name__}({inside})"


def broadcast_parameters(*values: Any) -> tuple[Any, ...]:
    """Numbers and tensors as tensors of one shape; numbers take the dtype of a tensor."""
    if any(not isinstance(v, Tensor | int | float) for v in values):
        raise ValueError("Input arguments must all be instances of Number, torch.Tensor or objects implementing them.")
    dtype = next((v.dtype for v in values if isinstance(v, Tensor)), get_default_dtype())
    return broadcast_tensors(*[v if isinstance(v, Tensor) else tensor(v, dtype=dtype) for v in values])


def numbers_only(*values: Any) -> bool:
    """Whether no parameter is a tensor: the distribution then has no batch."""
    return not any(isinstance(v, Tensor) for v in values)
