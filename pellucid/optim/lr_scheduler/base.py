"""LRScheduler: counts epochs and sets the learning rate of every group."""

from __future__ import annotations

from typing import Any
from warnings import warn

from pellucid.optim.optimizer import Optimizer
from pellucid.tensor import Tensor

_ORDER = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite order: "
    "`optimizer.step()` before `lr_scheduler.step()`; otherwise the first value of the learning rate schedule is skipped."
)
_EPOCH = "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated: call step() without it."


def copied(value: Any) -> Any:
    """A learning rate that later writes do not change."""
    return value.detach().clone() if isinstance(value, Tensor) else value


def set_value(group: dict[str, Any], name: str, value: Any) -> None:
    """Write an option of a group; one that is a tensor stays the same tensor."""
    old = group[name]
    if isinstance(old, Tensor):
        old.fill_(value)
    else:
        group[name] = value


def require_optimizer(optimizer: Any) -> None:
    """Refuse what is no optimiser.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


class LRScheduler:
    """The base of all schedules: a subclass defines ``get_lr``, the rates of epoch ``last_epoch``.

    Rates follow from the rates before, so that schedules can be chained; ``closed_form`` gives them for any epoch.

    Raises:
        TypeError: not an optimiser. KeyError: resumed (``last_epoch`` >= 0) without the groups' ``initial_lr``.
    """

    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        require_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with "
                    "last_epoch >= 0: load the optimizer's state first"
                )
        self.base_lrs = [copied(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            del self._is_initial

    def rates(self) -> list[Any]:
        """The groups' rates as they are."""
        return [copied(group["lr"]) for group in self.optimizer.param_groups]

    def get_lr(self) -> list[Any]:
        """The groups' rates in epoch ``last_epoch``."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_lr()")

    def closed_form(self) -> list[Any]:
        """The groups' rates in epoch ``last_epoch``, from the initial ones."""
        return self.get_lr()

    def get_last_lr(self) -> list[Any]:
        """The rates that the last step has set."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch (or, deprecated, to ``epoch``)."""
        if self._step_count == 1 and not self.optimizer.stepped:
            warn(_ORDER, UserWarning, stacklevel=2)
        self._step_count += 1
        if epoch is not None:
            warn(_EPOCH, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self._set_rates(self.get_lr() if epoch is None else self.closed_form())

    def _set_rates(self, rates: list[Any]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            set_value(group, "lr", rate)
        self._last_lr = self.rates()

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimiser."""
        return {k: v for k, v in self.__dict__.items() if k != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state of ``state_dict``."""
        self.__dict__.update(state_dict)
