"""Adamax, Adam with the largest gradient in place of the second moment (Kingma & Ba 2015)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pellucid.formula.expr import Expr, fma, maximum, unary
from pellucid.operators.creation import zeros_like
from pellucid.optim.fused import Update, count
from pellucid.optim.optimizer import Optimizer, check_betas, check_options, live, new_step, refuse_differentiable


def _rule(t: Sequence[Expr], n: Sequence[Expr]) -> list[Expr]:
    p, mean, largest, g = t
    decay, fresh, beta2, eps, step = n
    g = g + decay * p
    mean = fma(fresh, g - mean, mean)
    largest = maximum(largest * beta2, unary("abs", g) + eps)
    return [p + step * mean / largest, mean, largest]


_UPDATE = Update("adamax", _rule, 3, 5)


class Adamax(Optimizer):
    """``m <- b1 m + (1-b1) g;  u <- max(b2 u, |g| + eps);  p <- p - lr / (1 - b1^step) m / u``."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        refuse_differentiable("Adamax", differentiable)
        check_options({"learning rate": lr, "epsilon value": eps, "weight_decay value": weight_decay})
        check_betas(betas)
        super().__init__(
            params,
            {
                "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
                "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
            },
        )  # fmt: skip

    def update_group(self, group: dict[str, Any]) -> None:
        lr, (beta1, beta2) = float(group["lr"]), map(float, group["betas"])
        decay, eps = float(group["weight_decay"]), float(group["eps"])
        for p, gradient in live(group):
            state = self.state[p]
            if not state:
                state["step"], state["exp_avg"], state["exp_inf"] = new_step(), zeros_like(p), zeros_like(p)
            count(state["step"])
            step = -(lr / (1.0 - beta1 ** state["step"].item()))
            numbers = (decay, 1.0 - beta1, beta2, eps, step)
            _UPDATE(p, state["exp_avg"], state["exp_inf"], gradient, numbers=numbers)
