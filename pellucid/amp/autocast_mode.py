"""Products in lower precision while sums stay in float32: ``torch.autocast``.

Pellucid has no GPU to do this on yet, and does not do it on the CPU: asking for it is an error, never a silent float32.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from pellucid.devices import device
from pellucid.dtypes import DType, bfloat16, float16

_DEFAULTS = {"cpu": bfloat16, "cuda": float16}


class autocast:
    """A context or decorator for mixed precision on a type of device.

    ``enabled=False`` changes nothing. For "cuda" without a usable GPU it warns and is disabled, as in PyTorch.

    Raises:
        ValueError: the type is no text. RuntimeError: no such type of device.
        NotImplementedError: on entering, where mixed precision is asked for that Pellucid does not have.
    """

    def __init__(
        self, device_type: str, dtype: DType | None = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        self.device = device(device_type).type
        if not is_autocast_available(self.device):
            raise RuntimeError(f"User specified an unsupported autocast device_type '{self.device}'")
        self.fast_dtype = dtype or _DEFAULTS[self.device]
        if enabled and self.device == "cuda":
            warnings.warn(
                "User provided device_type of 'cuda', but CUDA is not available. Disabling", UserWarning, stacklevel=2
            )
            enabled = False
        elif enabled and self.fast_dtype not in (bfloat16, float16):
            warnings.warn(
                "In CPU autocast, but the target dtype is not supported. Disabling autocast.\n"
                "CPU Autocast only supports dtypes of torch.bfloat16, torch.float16 currently.",
                UserWarning,
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled

    def __enter__(self) -> Self:
        if self._enabled:
            raise NotImplementedError(
                f"autocast(): mixed precision in {self.fast_dtype!r} on '{self.device}' is missing from Pellucid. Leave it "
                "out (autocast(..., enabled=False)), or convert the whole model: model.to(torch.bfloat16)"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def within(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return within


def is_autocast_available(device_type: str) -> bool:
    """Whether programs may name this type of device."""
    return device_type in _DEFAULTS
