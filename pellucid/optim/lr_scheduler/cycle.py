"""One rise and one fall of the rate, and of the momentum against it (Smith & Topin 2018)."""

from __future__ import annotations

from math import cos, pi
from typing import Any

from pellucid.optim.lr_scheduler.base import LRScheduler, require_optimizer
from pellucid.optim.optimizer import Optimizer


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2.0 * (cos(pi * share) + 1)


def _linear(start: float, end: float, share: float) -> float:
    return (end - start) * share + start


def for_groups(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """One value for each group.

    Raises:
        ValueError: a list of another length.
    """
    groups = len(optimizer.param_groups)
    if not isinstance(value, list | tuple):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} values, "
                         f"param_groups has {groups}.")  # fmt: skip
    return list(value)


def _steps(total: int | None, epochs: int | None, each: int | None) -> int:
    if total is not None:
        if total <= 0 or not isinstance(total, int):
            raise ValueError(f"Expected positive integer total_steps, but got {total}")
        return total
    if epochs is None or each is None:
        raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    for name, value in (("epochs", epochs), ("steps_per_epoch", each)):
        if not isinstance(value, int) or value <= 0:
            raise ValueError(f"Expected positive integer {name}, but got {value}")
    return epochs * each


class OneCycleLR(LRScheduler):
    """From ``max_lr / div_factor`` up to ``max_lr`` in a share ``pct_start`` of the steps, then far down.

    Raises:
        ValueError: no number of steps, shares outside [0, 1], an optimiser without momentum, too many steps.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Any,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.85,
        max_momentum: Any = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        require_optimizer(optimizer)
        self.total_steps = _steps(total_steps, epochs, steps_per_epoch)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._strategy, self.cycle_momentum = anneal_strategy, cycle_momentum
        self._phases = self._phases_of(float(pct_start), three_phase)
        groups = optimizer.param_groups
        most = for_groups("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, rate in zip(groups, most, strict=True):
                group["initial_lr"], group["max_lr"] = rate / div_factor, rate
                group["min_lr"] = group["initial_lr"] / final_div_factor
        if cycle_momentum:
            if not {"momentum", "betas"} & set(optimizer.defaults):
                raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
            self.use_beta1 = "betas" in optimizer.defaults
            high = for_groups("max_momentum", optimizer, max_momentum)
            low = for_groups("base_momentum", optimizer, base_momentum)
            for group, m, b in zip(groups, high, low, strict=True):
                if last_epoch == -1:
                    group["max_momentum"], group["base_momentum"] = m, b
                    self._set_momentum(group, m)
        super().__init__(optimizer, last_epoch)

    def _phases_of(self, share: float, three: bool) -> list[tuple[float, tuple[str, str], tuple[str, str]]]:
        """The phases: their last step, the rates and the momenta at both ends."""
        end = self.total_steps - 1
        up, down, stay = ("max_momentum", "base_momentum"), ("base_momentum", "max_momentum"), ("max_momentum",) * 2
        first = (share * self.total_steps - 1, ("initial_lr", "max_lr"), up)
        if not three:
            return [first, (end, ("max_lr", "min_lr"), down)]
        second = (2 * share * self.total_steps - 2, ("max_lr", "initial_lr"), down)
        return [first, second, (end, ("initial_lr", "min_lr"), stay)]

    def _set_momentum(self, group: dict[str, Any], value: float) -> None:
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value

    def get_lr(self) -> list[Any]:
        now = self.last_epoch
        if now > self.total_steps:
            raise ValueError(
                f"Tried to step {now} times. The specified number of total steps is {self.total_steps}"
            )
        k = sum(now > end for end, _, _ in self._phases[:-1])
        start = self._phases[k - 1][0] if k else 0.0
        end, rates, momenta = self._phases[k]
        share, between = (now - start) / (end - start), _cosine if self._strategy == "cos" else _linear
        found = []
        for group in self.optimizer.param_groups:
            found.append(between(group[rates[0]], group[rates[1]], share))
            if self.cycle_momentum:
                self._set_momentum(group, between(group[momenta[0]], group[momenta[1]], share))
        return found
