"""Losses are scaled up so that small gradients do not vanish in half precision; `GradScaler` finds the factor."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pellucid.autograd.modes import no_grad
from pellucid.devices import usable
from pellucid.dtypes import float16
from pellucid.operators.creation import full
from pellucid.tensor import Tensor


@dataclass
class _Seen:
    """What happened to an optimizer since the last `update`."""

    optimizer: Any  # kept alive, so that its id stays its own
    unscaled: bool = False
    stepped: bool = False
    overflow: bool = False


class GradScaler:
    """``scale(loss).backward(); step(optimizer); update()``: steps with infinite or NaN gradients are left out.

        update:  scale *= backoff_factor                   if a gradient was not finite
                 scale *= growth_factor                    after growth_interval good steps in a row

    Without a usable GPU a scaler for "cuda" warns and is disabled: losses and steps pass unchanged.

    Raises:
        AssertionError: a growth factor up to 1, a backoff factor from 1.
    """

    def __init__(
        self, device: str = "cuda", init_scale: float = 2.0**16, growth_factor: float = 2.0,
        backoff_factor: float = 0.5, growth_interval: int = 2000, enabled: bool = True,
    ) -> None:  # fmt: skip
        if enabled and device == "cuda" and not usable("cuda"):
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.", UserWarning, stacklevel=2
            )
            enabled = False
        self._device, self._enabled = device, enabled
        if enabled and growth_factor <= 1.0:
            raise AssertionError(f"GradScaler: The growth factor must be > 1.0, not {growth_factor}")
        if enabled and backoff_factor >= 1.0:
            raise AssertionError(f"GradScaler: The backoff factor must be < 1.0, not {backoff_factor}")
        self._scale, self._growth_factor, self._backoff_factor = init_scale, growth_factor, backoff_factor
        self._growth_interval, self._good_steps = growth_interval, 0
        self._scaled = False
        self._seen: dict[int, _Seen] = {}

    def scale(self, outputs: Any) -> Any:
        """A tensor, or the tensors of lists and tuples, times the scale.

        Raises:
            ValueError: something else.
        """
        if not self._enabled:
            return outputs
        self._scaled = True
        if isinstance(outputs, Tensor):
            factor: Any = full((), self._scale)  # a tensor: half precision must not round or overflow it
            return outputs * factor
        if isinstance(outputs, list | tuple):
            return type(outputs)([self.scale(output) for output in outputs])
        if isinstance(outputs, Iterable):
            return map(self.scale, outputs)
        raise ValueError(f"GradScaler.scale(): outputs must be a Tensor or an iterable of Tensors, not {outputs!r}")

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of the optimizer's parameters by the scale, for example before they are clipped.

        Raises:
            RuntimeError: it was done since the last `update` already. ValueError: gradients in float16.
        """
        if not self._enabled:
            return
        self._require_scaled("unscale_")
        seen = self._of(optimizer)
        if seen.stepped:
            raise RuntimeError("unscale_() is being called after step().")
        if seen.unscaled:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        factor = 1.0 / self._scale
        with no_grad():
            for group in optimizer.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    if p.grad.dtype is float16:
                        raise ValueError("Attempting to unscale FP16 gradients: keep the parameters in float32")
                    seen.overflow = not bool(p.grad.isfinite().all()) or seen.overflow
                    p.grad.mul_(factor)
        seen.unscaled = True

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Unscale (unless it is done), and step if all gradients are finite.

        Raises:
            RuntimeError: a second step before `update`; a closure. AssertionError: nothing was scaled.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._require_scaled("step")
        seen = self._of(optimizer)
        if seen.stepped:
            raise RuntimeError("step() has already been called since the last update().")
        if not seen.unscaled:
            self.unscale_(optimizer)
        if all(p.grad is None for group in optimizer.param_groups for p in group["params"]):
            raise AssertionError("No inf checks were recorded for this optimizer: no parameter has a gradient")
        seen.stepped = True
        return None if seen.overflow else optimizer.step(*args, **kwargs)

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """The scale of the next step, from what was found in this one, or ``new_scale``."""
        if not self._enabled:
            return
        self._require_scaled("update")
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not any(seen.unscaled for seen in self._seen.values()):
            raise AssertionError("No inf checks were recorded prior to update: call step() or unscale_() before it")
        elif any(seen.overflow for seen in self._seen.values()):
            self._scale *= self._backoff_factor
            self._good_steps = 0
        else:
            self._good_steps += 1
            if self._good_steps == self._growth_interval:
                self._scale *= self._growth_factor
                self._good_steps = 0
        self._seen.clear()

    def _of(self, optimizer: Any) -> _Seen:
        return self._seen.setdefault(id(optimizer), _Seen(optimizer))

    def _require_scaled(self, method: str) -> None:
        if not self._scaled:
            raise AssertionError(
                f"Attempted {method} but _scale is None.  This may indicate your script did not use scaler.scale(loss or "
                "outputs) earlier in the iteration."
            )

    # -- settings ---------------------------------------------------------------------------------------------------------

    def get_scale(self) -> float:
        """The factor; 1 if disabled."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """By what the scale grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set by what the scale grows."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """By what the scale shrinks."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set by what the scale shrinks."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """After how many good steps in a row the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set after how many good steps in a row the scale grows."""
        self._growth_interval = new_interval

    def is_enabled(self) -> bool:
        """Whether losses are scaled."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """Scale, settings and how many good steps there were; empty if disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._good_steps,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The reverse.

        Raises:
            RuntimeError: the state of a disabled scaler.
        """
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._scale, self._good_steps = state_dict["scale"], state_dict["_growth_tracker"]
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
