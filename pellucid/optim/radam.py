"""RAdam, Adam that trusts its second moment only when it has seen enough (Liu et al. 2020)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Any

from pellucid.formula.expr import Expr, unary
from pellucid.operators.creation import zeros_like
from pellucid.optim.adam import moments
from pellucid.optim.fused import Update, count
from pellucid.optim.optimizer import Optimizer, check_betas, check_options, live, new_step, refuse_differentiable


def _rule(rectified: bool) -> Any:
    def rule(t: Sequence[Expr], n: Sequence[Expr]) -> list[Expr]:
        p, m, v, g = t
        keep, decay, *betas, correction, lr, root, eps, rectification = n
        g, p = g + decay * p, p * keep
        m, v = moments(g, m, v, betas)
        step = m / correction * lr
        if rectified:
            step = step * (root / (unary("sqrt", v) + eps)) * rectification
        return [p - step, m, v]

    return rule


_UPDATES = {r: Update("radam_rectified" if r else "radam", _rule(r), 3, 10) for r in (False, True)}
_ENOUGH = 5.0  # gradients that the running mean of squares must stand for


class RAdam(Optimizer):
    """Momentum at first; Adam, rectified for the variance of its early steps, from the sixth step or so."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_differentiable("RAdam", differentiable)
        check_options({"learning rate": lr, "epsilon value": eps, "weight_decay value": weight_decay})
        check_betas(betas)
        super().__init__(
            params,
            {
                "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
                "foreach": foreach, "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay,
                "differentiable": differentiable,
            },
        )  # fmt: skip

    def update_group(self, group: dict[str, Any]) -> None:
        lr, (beta1, beta2), eps = float(group["lr"]), map(float, group["betas"]), float(group["eps"])
        decay = float(group["weight_decay"])
        keep, decay = (1.0 - lr * decay, 0.0) if group["decoupled_weight_decay"] else (1.0, decay)
        longest = 2.0 / (1.0 - beta2) - 1.0
        for p, gradient in live(group):
            state = self.state[p]
            if not state:
                state["step"], state["exp_avg"], state["exp_avg_sq"] = new_step(), zeros_like(p), zeros_like(p)
            count(state["step"])
            step = state["step"].item()
            correction = 1.0 - beta2**step
            length = longest - 2.0 * step * beta2**step / correction
            enough = length > _ENOUGH
            ratio = (length - 4.0) * (length - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * length)
            numbers = (
                keep, decay, 1.0 - beta1, beta2, 1.0 - beta2, 1.0 - beta1**step, lr, sqrt(correction), eps,
                sqrt(ratio) if enough else 1.0,
            )  # fmt: skip
            _UPDATES[enough](p, state["exp_avg"], state["exp_avg_sq"], gradient, numbers=numbers)
