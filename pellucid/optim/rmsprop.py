"""RMSprop (Hinton 2012)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pellucid.formula.expr import Expr, fma, unary
from pellucid.operators.creation import zeros_like
from pellucid.optim.fused import Update, count
from pellucid.optim.optimizer import Optimizer, check_options, live, new_step, refuse_differentiable


def _rule(centred: bool, with_momentum: bool) -> Any:
    """n = (weight_decay, alpha, 1 - alpha, eps, momentum, -lr)."""

    def rule(t: Sequence[Expr], n: Sequence[Expr]) -> list[Expr]:
        p, square, *others, g = t
        decay, alpha, fresh, eps, momentum, step = n
        g = g + decay * p
        square = square * alpha + fresh * g * g
        spread, kept = square, []
        if centred:
            mean = fma(fresh, g - others[0], others[0])
            spread, kept = square - mean * mean, [mean]
        root = unary("sqrt", spread) + eps
        if not with_momentum:
            return [p + step * g / root, square, *kept]
        buffer = others[-1] * momentum + g / root
        return [p + step * buffer, square, *kept, buffer]

    return rule


_UPDATES = {
    (c, m): Update(f"rmsprop{'_centred' * c}{'_momentum' * m}", _rule(c, m), 2 + c + m, 6)
    for c in (False, True)
    for m in (False, True)
}


class RMSprop(Optimizer):
    """``v <- alpha v + (1 - alpha) g^2;  p <- p - lr g / (sqrt(v) + eps)``; ``centered`` subtracts the squared mean of g."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_differentiable("RMSprop", differentiable)
        check_options(
            {
                "learning rate": lr, "epsilon value": eps, "momentum value": momentum,
                "weight_decay value": weight_decay, "alpha value": alpha,
            }
        )  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
                "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach, "maximize": maximize,
                "differentiable": differentiable,
            },
        )  # fmt: skip

    def update_group(self, group: dict[str, Any]) -> None:
        alpha, centred, momentum = float(group["alpha"]), bool(group["centered"]), float(group["momentum"])
        numbers = (float(group["weight_decay"]), alpha, 1.0 - alpha, group["eps"], momentum, -float(group["lr"]))
        names = ["square_avg", *["grad_avg"] * centred, *["momentum_buffer"] * (momentum > 0)]
        update = _UPDATES[centred, momentum > 0]
        for p, gradient in live(group):
            state = self.state[p]
            if not state:
                state["step"] = new_step()
                for name in ("square_avg", *["momentum_buffer"] * (momentum > 0), *["grad_avg"] * centred):
                    state[name] = zeros_like(p)
            count(state["step"])
            update(p, *[state[name] for name in names], gradient, numbers=numbers)
