"""Stochastic gradient descent, with momentum (Sutskever et al. 2013)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pellucid.formula.expr import Expr
from pellucid.operators.creation import zeros_like
from pellucid.optim.fused import Update
from pellucid.optim.optimizer import Optimizer, check_options, live, refuse_differentiable


def _plain(t: Sequence[Expr], n: Sequence[Expr]) -> list[Expr]:
    p, g = t
    return [p + n[1] * (g + n[0] * p)]


def _momentum(nesterov: bool) -> Any:
    def rule(t: Sequence[Expr], n: Sequence[Expr]) -> list[Expr]:
        p, b, g = t
        decay, step, momentum, fresh = n
        g = g + decay * p
        b = b * momentum + fresh * g
        return [p + step * (g + momentum * b if nesterov else b), b]

    return rule


_PLAIN = Update("sgd", _plain, 1, 2)
_MOMENTUM = {n: Update("sgd_nesterov" if n else "sgd_momentum", _momentum(n), 2, 4) for n in (False, True)}


class SGD(Optimizer):
    """``b <- momentum b + (1 - dampening) (g + weight_decay p);  p <- p - lr b``; the first ``b`` is the gradient."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        refuse_differentiable("SGD", differentiable)
        check_options({"learning rate": lr, "momentum value": momentum, "weight_decay value": weight_decay})
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(
            params,
            {
                "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
                "nesterov": nesterov, "maximize": maximize, "foreach": foreach, "differentiable": differentiable,
                "fused": fused,
            },
        )  # fmt: skip

    def update_group(self, group: dict[str, Any]) -> None:
        decay, step, momentum = float(group["weight_decay"]), -float(group["lr"]), float(group["momentum"])
        fresh, update = 1.0 - group["dampening"], _MOMENTUM[bool(group["nesterov"])]
        for p, gradient in live(group):
            if not momentum:
                _PLAIN(p, gradient, numbers=(decay, step))
                continue
            state = self.state[p]
            buffer = state.get("momentum_buffer")
            if buffer is None:
                buffer = state["momentum_buffer"] = zeros_like(p)
                update(p, buffer, gradient, numbers=(decay, step, momentum, 1.0))
            else:
                update(p, buffer, gradient, numbers=(decay, step, momentum, fresh))
