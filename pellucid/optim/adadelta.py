"""Adadelta (Zeiler 2012)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pellucid.formula.expr import Expr, unary
from pellucid.operators.creation import zeros_like
from pellucid.optim.fused import Update, count
from pellucid.optim.optimizer import Optimizer, check_options, live, new_step, refuse_differentiable


def _rule(t: Sequence[Expr], n: Sequence[Expr]) -> list[Expr]:
    p, square, moved, g = t
    decay, rho, fresh, eps, step = n
    g = g + decay * p
    square = square * rho + fresh * g * g
    delta = unary("sqrt", moved + eps) / unary("sqrt", square + eps) * g
    return [p + step * delta, square, moved * rho + fresh * delta * delta]


_UPDATE = Update("adadelta", _rule, 3, 5)


class Adadelta(Optimizer):
    """``v <- rho v + (1-rho) g^2;  d = sqrt(u + eps) / sqrt(v + eps) g;  u <- rho u + (1-rho) d^2;  p <- p - lr d``."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_differentiable("Adadelta", differentiable)
        check_options({"learning rate": lr, "epsilon value": eps, "weight_decay value": weight_decay})
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        super().__init__(
            params,
            {
                "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
                "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
            },
        )  # fmt: skip

    def update_group(self, group: dict[str, Any]) -> None:
        rho = float(group["rho"])
        numbers = (float(group["weight_decay"]), rho, 1.0 - rho, float(group["eps"]), -float(group["lr"]))
        for p, gradient in live(group):
            state = self.state[p]
            if not state:
                state["step"], state["square_avg"], state["acc_delta"] = new_step(), zeros_like(p), zeros_like(p)
            count(state["step"])
            _UPDATE(p, state["square_avg"], state["acc_delta"], gradient, numbers=numbers)
