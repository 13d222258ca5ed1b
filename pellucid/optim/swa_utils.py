"""Averages of the weights along a training: stochastic weight averaging (Izmailov et al. 2018) and running means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from itertools import chain
from math import cos, pi
from typing import Any

from pellucid.autograd.modes import no_grad
from pellucid.dtypes import int64
from pellucid.nn.modules.batch_norms import BatchNorm1d, BatchNorm2d, BatchNorm3d
from pellucid.nn.modules.module import Module
from pellucid.operators.literals import tensor
from pellucid.optim.lr_scheduler.base import LRScheduler
from pellucid.optim.lr_scheduler.cycle import for_groups
from pellucid.optim.optimizer import Optimizer

Average = Callable[[Any, Any, Any], Any]  # (average so far, new value, number of values so far) -> average
Averages = Callable[[Sequence[Any], Sequence[Any], Any], None]  # the same for many tensors, in place


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """``a <- decay a + (1 - decay) p``.

    Raises:
        ValueError: ``decay`` lies outside of [0, 1].
    """
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")

    @no_grad()
    def average(averaged: Any, new: Any, number: Any) -> Any:
        return decay * averaged + (1 - decay) * new

    return average


def get_swa_avg_fn() -> Average:
    """``a <- a + (p - a) / (n + 1)``: all values count the same."""

    @no_grad()
    def average(averaged: Any, new: Any, number: Any) -> Any:
        return averaged + (new - averaged) / (number + 1)

    return average


def get_ema_multi_avg_fn(decay: float = 0.999) -> Averages:
    """``get_ema_avg_fn`` for many tensors at once, in place."""
    return _for_many(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> Averages:
    """``get_swa_avg_fn`` for many tensors at once, in place."""
    return _for_many(get_swa_avg_fn())


def _for_many(average: Average) -> Averages:
    @no_grad()
    def update(averaged: Sequence[Any], new: Sequence[Any], number: Any) -> None:
        for a, p in zip(averaged, new, strict=True):
            a.copy_(average(a, p, number))

    return update


class AveragedModel(Module):
    """A copy of a model, in ``module``, whose parameters are averages of those that ``update_parameters`` was given.

    Args:
        avg_fn: the new average, from (average, value, number of values so far); the mean by default.
        multi_avg_fn: the same for lists of tensors, in place.
        use_buffers: average the buffers too; otherwise they are those of the last model.
    """

    def __init__(
        self,
        model: Any,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: Averages | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=int64, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Any) -> None:
        """Take the present values of ``model`` into the averages."""
        averaged, new = ([t.detach() for t in self._averaged_of(m)] for m in (self.module, model))
        if not self.n_averaged:
            for a, p in zip(averaged, new, strict=True):
                a.copy_(p)
        else:
            update = self.multi_avg_fn or _for_many(self.avg_fn or get_swa_avg_fn())
            update(averaged, new, self.n_averaged)
        if not self.use_buffers:
            for b, p in zip(self.module.buffers(), model.buffers(), strict=True):
                b.detach().copy_(p.detach())
        self.n_averaged += 1

    def _averaged_of(self, model: Any) -> Iterable[Any]:
        return chain(model.parameters(), model.buffers()) if self.use_buffers else model.parameters()


@no_grad()
def update_bn(loader: Iterable[Any], model: Any, device: Any = None) -> None:
    """Compute the running statistics of the model's batch norms anew, as means over all batches of ``loader``.

    A batch is a tensor, or a list or tuple whose first element is the input.
    """
    norms = [m for m in model.modules() if isinstance(m, BatchNorm1d | BatchNorm2d | BatchNorm3d)]
    if not norms:
        return
    momenta, training = [m.momentum for m in norms], model.training
    for m in norms:
        m.reset_running_stats()
        m.momentum = None
    model.train()
    for batch in loader:
        x = batch[0] if isinstance(batch, list | tuple) else batch
        model(x if device is None else x.to(device))
    for m, momentum in zip(norms, momenta, strict=True):
        m.momentum = momentum
    model.train(training)


class SWALR(LRScheduler):
    """From the rate as it is to ``swa_lr`` in ``anneal_epochs`` steps, along a cosine or a line; then it stays there.

    Raises:
        ValueError: another strategy, a negative number of epochs.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: Any,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        for rate, group in zip(for_groups("swa_lr", optimizer, swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy, self.anneal_epochs = anneal_strategy, anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _done(self, step: int) -> float:
        """How much of the way is done at a step."""
        share = max(0, min(1, step / max(1, self.anneal_epochs)))
        return (1 - cos(pi * share)) / 2 if self._anneal_strategy == "cos" else share

    def get_lr(self) -> list[Any]:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._done(step - 1), self._done(step)
        rates = []
        for group in self.optimizer.param_groups:
            target = group["swa_lr"]
            start = target if before == 1 else (group["lr"] - before * target) / (1 - before)
            rates.append(target * now + start * (1 - now))
        return rates
