"""Averaged stochastic gradient descent (Polyak & Juditsky 1992)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pellucid.formula.expr import Expr
from pellucid.operators.creation import full, ones, zeros_like
from pellucid.optim.fused import Update, count
from pellucid.optim.optimizer import Optimizer, check_options, live, new_step, refuse_differentiable


def _rule(averaging: bool) -> Any:
    def rule(t: Sequence[Expr], n: Sequence[Expr]) -> list[Expr]:
        p, mean, g = t
        decay, keep, step, share = n
        p = p * keep + step * (g + decay * p)
        return [p, mean + (p - mean) * share if averaging else p]

    return rule


_UPDATES = {a: Update("asgd_averaging" if a else "asgd", _rule(a), 2, 4) for a in (False, True)}


class ASGD(Optimizer):
    """``p <- (1 - lambd eta) p - eta g``, ``eta = lr / (1 + lambd lr step)^alpha``; ``ax`` in the state is the mean of
    all ``p`` since step ``t0``."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        refuse_differentiable("ASGD", differentiable)
        check_options({"learning rate": lr, "weight_decay value": weight_decay})
        super().__init__(
            params,
            {
                "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "foreach": foreach,
                "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
            },
        )  # fmt: skip

    def update_group(self, group: dict[str, Any]) -> None:
        lr, lambd, decay = float(group["lr"]), float(group["lambd"]), float(group["weight_decay"])
        for p, gradient in live(group):
            state = self.state[p] or self._start(p, lr)
            count(state["step"])
            step, eta, share = (state[name].item() for name in ("step", "eta", "mu"))
            numbers = (decay, 1.0 - lambd * eta, -eta, share)
            _UPDATES[share != 1](p, state["ax"], gradient, numbers=numbers)
            state["eta"].fill_(lr / (1.0 + lambd * lr * step) ** group["alpha"])
            state["mu"].fill_(1.0 / max(1.0, step - group["t0"]))

    def _start(self, p: Any, lr: float) -> dict[str, Any]:
        state: dict[str, Any] = self.state[p]
        state["step"] = new_step()
        kind = state["step"].dtype
        state["eta"], state["mu"], state["ax"] = full((), lr, dtype=kind), ones((), dtype=kind), zeros_like(p)
        return state
