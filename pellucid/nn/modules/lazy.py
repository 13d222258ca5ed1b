"""Layers that learn their input's size from the first batch they see, and are ordinary layers from then on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from pellucid.autograd.modes import no_grad
from pellucid.nn.modules import batch_norms as norms
from pellucid.nn.modules import convolution
from pellucid.nn.modules.linear import Linear
from pellucid.nn.modules.module import Module
from pellucid.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy
from pellucid.operators.literals import tensor
from pellucid.tensor import Tensor


class LazyModuleMixin(Module):
    """Stands before a layer in the list of bases; parameters that wait for their shape get it before the first call.

    A subclass says in ``initialize_parameters(*inputs)`` how, and in ``cls_to_become`` what it is afterwards.
    """

    cls_to_become: type[Module] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(self._lazy_load_hook)
        self._initialize_hook = self.register_forward_pre_hook(_infer_parameters, with_kwargs=True)

    def _waiting(self) -> list[tuple[dict[str, Any], str, Any]]:
        return [(held, name, t) for held in (self._parameters, self._buffers) for name, t in held.items() if is_lazy(t)]

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer waits for its shape."""
        return bool(self._waiting())

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Give shapes and values to what waits for them, by the inputs of the first call."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def _lazy_load_hook(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """Shapes may come from a state that is loaded, too."""
        for _, name, t in self._waiting():
            value = state_dict.get(prefix + name)
            if isinstance(value, Tensor) and not is_lazy(value):
                t.materialize(value.shape)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        waiting = self._waiting()
        for held, name, _ in waiting:
            held[name] = None
        try:
            super()._apply(fn, recurse)
        finally:
            for held, name, t in waiting:
                held[name] = t
        with no_grad():
            for _, _, t in waiting:
                t.take_kind_of(fn(t.stand_in()))
        return self


def _infer_parameters(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """The hook before the first call."""
    module.initialize_parameters(*args, **kwargs)
    if module.has_uninitialized_params():
        raise RuntimeError(f"module {type(module).__name__} has not been fully initialized by initialize_parameters()")
    module._initialize_hook.remove()
    module._load_hook.remove()
    del module._initialize_hook, module._load_hook
    if module.cls_to_become is not None:
        module.__class__ = module.cls_to_become


class LazyLinear(LazyModuleMixin, Linear):
    """`Linear` whose ``in_features`` is the last size of the first input."""

    cls_to_become = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(0, 0, False)
        self.out_features = out_features
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.in_features:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        size = input.shape[-1]
        if self.has_uninitialized_params():
            with no_grad():
                self.in_features = size
                _materialize(self.weight, (self.out_features, size))
                _materialize(self.bias, (self.out_features,))
                self.reset_parameters()
        if self.in_features == 0:
            if size != self.weight.shape[-1]:
                raise AssertionError(
                    f"The in_features inferred from input: {size} is not equal to in_features from self.weight: "
                    f"{self.weight.shape[-1]}"
                )
            self.in_features = size


def _materialize(t: Any, shape: tuple[int, ...]) -> None:
    if is_lazy(t):
        t.materialize(shape)


# -- convolutions -----------------------------------------------------------------------------------------------------


class _LazyConvolution(LazyModuleMixin, convolution._Convolution):
    """``in_channels`` is the size of the first input's channels."""

    def __init__(
        self, out_channels: int, kernel_size: Any, *args: Any, bias: bool = True, device: Any = None, dtype: Any = None,
        **named: Any,
    ) -> None:  # fmt: skip
        super().__init__(0, 0, kernel_size, *args, bias=False, **named)
        if out_channels % self.groups:
            raise ValueError(f"out_channels must be divisible by groups, but got {out_channels} and {self.groups}")
        self.out_channels = out_channels
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.in_channels:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor, *rest: Any) -> None:
        if not self.has_uninitialized_params():
            if not self.in_channels:  # the shapes came from a loaded state
                self.in_channels = self._channels(input)
            return
        self.in_channels = self._channels(input)
        if self.in_channels % self.groups:
            raise ValueError(f"in_channels must be divisible by groups, but got {self.in_channels} and {self.groups}")
        first, second = (self.in_channels, self.out_channels)
        if not self.transposed:
            first, second = second, first
        with no_grad():
            _materialize(self.weight, (first, second // self.groups, *self.kernel_size))
            _materialize(self.bias, (self.out_channels,))
            self.reset_parameters()

    def _channels(self, input: Tensor) -> int:
        n = self.spatial
        if input.dim() not in (n + 1, n + 2):
            raise RuntimeError(
                f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {type(self).__name__}, but got input of size: "
                f"{input.shape}"
            )
        return input.shape[1] if input.dim() == n + 2 else input.shape[0]


class LazyConv1d(_LazyConvolution, convolution.Conv1d):
    """`Conv1d` whose ``in_channels`` comes from the first input."""

    cls_to_become = convolution.Conv1d


class LazyConv2d(_LazyConvolution, convolution.Conv2d):
    """`Conv2d` whose ``in_channels`` comes from the first input."""

    cls_to_become = convolution.Conv2d


class LazyConv3d(_LazyConvolution, convolution.Conv3d):
    """`Conv3d` whose ``in_channels`` comes from the first input."""

    cls_to_become = convolution.Conv3d


class LazyConvTranspose1d(_LazyConvolution, convolution.ConvTranspose1d):
    """`ConvTranspose1d` whose ``in_channels`` comes from the first input."""

    cls_to_become = convolution.ConvTranspose1d


class LazyConvTranspose2d(_LazyConvolution, convolution.ConvTranspose2d):
    """`ConvTranspose2d` whose ``in_channels`` comes from the first input."""

    cls_to_become = convolution.ConvTranspose2d


class LazyConvTranspose3d(_LazyConvolution, convolution.ConvTranspose3d):
    """`ConvTranspose3d` whose ``in_channels`` comes from the first input."""

    cls_to_become = convolution.ConvTranspose3d


# -- normalisations ---------------------------------------------------------------------------------------------------


class _LazyNorm(LazyModuleMixin, norms._RunningNorm):
    """``num_features`` is the size of the first input's channels."""

    def __init__(
        self, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(0, eps, momentum, False, False, device, dtype)
        self.affine, self.track_running_stats = affine, track_running_stats
        if affine:
            self.weight = UninitializedParameter(device=device, dtype=dtype)
            if bias:
                self.bias = UninitializedParameter(device=device, dtype=dtype)
        if track_running_stats:
            self.running_mean: Any = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var: Any = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = tensor(0)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.num_features:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        if not self.has_uninitialized_params():
            self.num_features = self.num_features or input.shape[1]
            return
        self.num_features = input.shape[1]
        for _, _, t in self._waiting():
            t.materialize((self.num_features,))
        self.reset_parameters()


class LazyBatchNorm1d(_LazyNorm, norms.BatchNorm1d):
    """`BatchNorm1d` whose ``num_features`` comes from the first input."""

    cls_to_become = norms.BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, norms.BatchNorm2d):
    """`BatchNorm2d` whose ``num_features`` comes from the first input."""

    cls_to_become = norms.BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, norms.BatchNorm3d):
    """`BatchNorm3d` whose ``num_features`` comes from the first input."""

    cls_to_become = norms.BatchNorm3d


class LazyInstanceNorm1d(_LazyNorm, norms.InstanceNorm1d):
    """`InstanceNorm1d` whose ``num_features`` comes from the first input."""

    cls_to_become = norms.InstanceNorm1d


class LazyInstanceNorm2d(_LazyNorm, norms.InstanceNorm2d):
    """`InstanceNorm2d` whose ``num_features`` comes from the first input."""

    cls_to_become = norms.InstanceNorm2d


class LazyInstanceNorm3d(_LazyNorm, norms.InstanceNorm3d):
    """`InstanceNorm3d` whose ``num_features`` comes from the first input."""

    cls_to_become = norms.InstanceNorm3d
