"""NAdam, Adam with Nesterov momentum (Dozat 2016)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pellucid.formula.expr import Expr, unary
from pellucid.operators.creation import ones, zeros_like
from pellucid.optim.adam import moments
from pellucid.optim.fused import Update, count
from pellucid.optim.optimizer import Optimizer, check_betas, check_options, live, new_step, refuse_differentiable


def _rule(t: Sequence[Expr], n: Sequence[Expr]) -> list[Expr]:
    p, m, v, g = t
    keep, decay, *betas, correction, eps, now, ahead = n
    g, p = g + decay * p, p * keep
    m, v = moments(g, m, v, betas)
    root = unary("sqrt", v / correction) + eps
    return [p + now * g / root + ahead * m / root, m, v]


_UPDATE = Update("nadam", _rule, 3, 9)
_SLOWING = 0.96


class NAdam(Optimizer):
    """Adam whose step looks one momentum ahead, with momenta ``mu_t = b1 (1 - 0.96^(t momentum_decay) / 2)``."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_differentiable("NAdam", differentiable)
        check_options(
            {
                "learning rate": lr, "epsilon value": eps, "weight_decay value": weight_decay,
                "momentum_decay value": momentum_decay,
            }
        )  # fmt: skip
        check_betas(betas)
        super().__init__(
            params,
            {
                "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach,
                "capturable": capturable, "differentiable": differentiable,
            },
        )  # fmt: skip

    def update_group(self, group: dict[str, Any]) -> None:
        lr, (beta1, beta2), slower = float(group["lr"]), map(float, group["betas"]), float(group["momentum_decay"])
        decay = float(group["weight_decay"])
        keep, decay = (1.0 - lr * decay, 0.0) if group["decoupled_weight_decay"] else (1.0, decay)
        for p, gradient in live(group):
            state = self.state[p] or self._start(p)
            count(state["step"])
            step, product = state["step"].item(), state["mu_product"]
            now, after = (beta1 * (1.0 - 0.5 * _SLOWING ** (t * slower)) for t in (step, step + 1))
            product.mul_(now)
            done = product.item()
            numbers = (
                keep, decay, 1.0 - beta1, beta2, 1.0 - beta2, 1.0 - beta2**step, float(group["eps"]),
                -lr * (1.0 - now) / (1.0 - done), -lr * after / (1.0 - done * after),
            )  # fmt: skip
            _UPDATE(p, state["exp_avg"], state["exp_avg_sq"], gradient, numbers=numbers)

    def _start(self, p: Any) -> dict[str, Any]:
        state: dict[str, Any] = self.state[p]
        state["step"] = new_step()
        state["mu_product"] = ones((), dtype=state["step"].dtype)
        state["exp_avg"], state["exp_avg_sq"] = zeros_like(p), zeros_like(p)
        return state
