"""Adagrad (Duchi et al. 2011)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pellucid.formula.expr import Expr, unary
from pellucid.operators.creation import full_like
from pellucid.optim.fused import Update, count
from pellucid.optim.optimizer import Optimizer, check_options, live, new_step, refuse_differentiable


def _rule(t: Sequence[Expr], n: Sequence[Expr]) -> list[Expr]:
    p, total, g = t
    decay, step, eps = n
    g = g + decay * p
    total = total + g * g
    return [p + step * g / (unary("sqrt", total) + eps), total]


_UPDATE = Update("adagrad", _rule, 2, 3)


class Adagrad(Optimizer):
    """``s <- s + g^2;  p <- p - lr / (1 + (step - 1) lr_decay) g / (sqrt(s) + eps)``."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        refuse_differentiable("Adagrad", differentiable)
        check_options(
            {
                "learning rate": lr, "lr_decay value": lr_decay, "weight_decay value": weight_decay,
                "initial_accumulator_value value": initial_accumulator_value, "epsilon value": eps,
            }
        )  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
                "differentiable": differentiable, "fused": fused,
            },
        )  # fmt: skip
        for group in self.param_groups:
            for p in group["params"]:
                first = group["initial_accumulator_value"]
                start = complex(first, first) if p.layout.dtype.is_complex else first
                self.state[p] = {"step": new_step(), "sum": full_like(p, start)}

    def update_group(self, group: dict[str, Any]) -> None:
        decay, lr, slower = float(group["weight_decay"]), float(group["lr"]), float(group["lr_decay"])
        for p, gradient in live(group):
            state = self.state[p]
            count(state["step"])
            step = -(lr / (1.0 + (state["step"].item() - 1.0) * slower))
            _UPDATE(p, state["sum"], gradient, numbers=(decay, step, group["eps"]))
