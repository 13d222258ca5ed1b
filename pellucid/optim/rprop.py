"""Resilient backpropagation (Riedmiller & Braun 1993)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pellucid.formula.expr import Expr, compare, maximum, minimum, select
from pellucid.operators.arithmetic import sign_of
from pellucid.operators.creation import full_like, zeros_like
from pellucid.optim.fused import Update, count
from pellucid.optim.optimizer import Optimizer, check_options, live, new_step, refuse_differentiable


def _rule(t: Sequence[Expr], n: Sequence[Expr]) -> list[Expr]:
    p, before, size, g = t
    slower, faster, least, most = n
    same = g * before
    turned = compare("lt", same, 0.0)
    factor = select(compare("gt", same, 0.0), faster, select(turned, slower, same * 0.0 + 1.0))
    size = minimum(maximum(size * factor, least), most)
    g = select(turned, 0.0, g)
    return [p - sign_of(g) * size, g, size]


_UPDATE = Update("rprop", _rule, 3, 4)


class Rprop(Optimizer):
    """``p <- p - s sign(g)``, with a step ``s`` per cell: times ``etas[1]`` while the sign of g stays, times ``etas[0]``
    (and no step) when it changes, within ``step_sizes``."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_differentiable("Rprop", differentiable)
        check_options({"learning rate": lr})
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(
            params,
            {
                "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
                "differentiable": differentiable, "capturable": capturable,
            },
        )  # fmt: skip

    def update_group(self, group: dict[str, Any]) -> None:
        numbers = tuple(map(float, (*group["etas"], *group["step_sizes"])))
        for p, gradient in live(group):
            state = self.state[p]
            if not state:
                lr = float(group["lr"])
                state["step"], state["prev"] = new_step(), zeros_like(p)
                state["step_size"] = full_like(gradient, complex(lr, lr) if p.layout.dtype.is_complex else lr)
            count(state["step"])
            _UPDATE(p, state["prev"], state["step_size"], gradient, numbers=numbers)
