"""Adam and AdamW (Kingma & Ba 2015; Loshchilov & Hutter 2019)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import sqrt
from typing import Any

from pellucid.formula.expr import Expr, fma, maximum, unary
from pellucid.operators.creation import zeros_like
from pellucid.optim.fused import Update, count
from pellucid.optim.optimizer import Optimizer, check_betas, check_options, new_step, refuse_differentiable


def moments(g: Expr, m: Expr, v: Expr, n: Sequence[Expr]) -> tuple[Expr, Expr]:
    """Running means of the gradient and of its square: n = (1 - beta1, beta2, 1 - beta2)."""
    return fma(n[0], g - m, m), v * n[1] + n[2] * g * g


def _adamw(t: Sequence[Expr], n: Sequence[Expr]) -> list[Expr]:
    p, m, v, g = t
    keep, *betas, root, eps, step = n
    m, v = moments(g, m, v, betas)
    return [p * keep + step * m / (unary("sqrt", v) / root + eps), m, v]


def _adam(t: Sequence[Expr], n: Sequence[Expr]) -> list[Expr]:
    p, m, v, g = t
    decay, *betas, root, eps, step = n
    m, v = moments(g + p * decay, m, v, betas)
    return [p + step * m / (unary("sqrt", v) / root + eps), m, v]


def _with_largest(rule: Callable[[Sequence[Expr], Sequence[Expr]], list[Expr]]) -> Callable[..., list[Expr]]:
    """AMSGrad: divide by the largest second moment so far."""

    def changed(t: Sequence[Expr], n: Sequence[Expr]) -> list[Expr]:
        p, m, v, largest, g = t
        first, *betas, root, eps, step = n
        decoupled = rule is _adamw
        m, v = moments(g if decoupled else g + p * first, m, v, betas)
        largest = maximum(largest, v)
        kept = p * first if decoupled else p
        return [kept + step * m / (unary("sqrt", largest) / root + eps), m, v, largest]

    return changed


_UPDATES = {
    (False, False): Update("adam", _adam, 3, 7),
    (True, False): Update("adamw", _adamw, 3, 7),
    (False, True): Update("adam_amsgrad", _with_largest(_adam), 4, 7),
    (True, True): Update("adamw_amsgrad", _with_largest(_adamw), 4, 7),
}


class Adam(Optimizer):
    """``m <- b1 m + (1-b1) g;  v <- b2 v + (1-b2) g^2;  p <- p - lr m' / (sqrt(v') + eps)``, bias-corrected.

    ``weight_decay`` is added to the gradient (in AdamW it shrinks the parameter instead). ``foreach``, ``fused`` and
    ``capturable`` are accepted: the update is one fused pass in any case.
    """

    _decoupled = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        refuse_differentiable(type(self).__name__, differentiable)
        check_options({"learning rate": lr, "epsilon value": eps, "weight_decay value": weight_decay})
        check_betas(betas)
        super().__init__(
            params,
            {
                "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
                "maximize": maximize, "foreach": foreach, "capturable": capturable, "differentiable": differentiable,
                "fused": fused, "decoupled_weight_decay": self._decoupled,
            },
        )  # fmt: skip

    def update_group(self, group: dict[str, Any]) -> None:
        lr, (beta1, beta2), amsgrad = float(group["lr"]), map(float, group["betas"]), group["amsgrad"]
        decay = 1.0 - lr * group["weight_decay"] if group["decoupled_weight_decay"] else float(group["weight_decay"])
        plans, last = _UPDATES[group["decoupled_weight_decay"], amsgrad].plans, None
        numbers: tuple[float, ...] = ()
        for p in group["params"]:
            gradient = p.gradient
            if gradient is None:
                continue
            state = self.state[p] or self._start(p, amsgrad)
            counted = state["step"]
            count(counted)
            step = counted.item()
            if step != last:
                last, correction = step, 1.0 - beta1**step
                numbers = (
                    decay, 1.0 - beta1, beta2, 1.0 - beta2, sqrt(1.0 - beta2**step), group["eps"], -(lr / correction),
                )  # fmt: skip
            if group["maximize"]:
                gradient = -gradient
            m, v = state["exp_avg"], state["exp_avg_sq"]
            if amsgrad:
                most = state["max_exp_avg_sq"]
                plan = plans[p.layout, m.layout, v.layout, most.layout, gradient.layout]
                plan(p, m, v, most, p, m, v, most, gradient, *numbers)
            else:
                plans[p.layout, m.layout, v.layout, gradient.layout](p, m, v, p, m, v, gradient, *numbers)

    def _start(self, p: Any, amsgrad: bool) -> dict[str, Any]:
        state = self.state[p]
        state["step"] = new_step()
        state["exp_avg"], state["exp_avg_sq"] = zeros_like(p), zeros_like(p)
        if amsgrad:
            state["max_exp_avg_sq"] = zeros_like(p)
        return state


class AdamW(Adam):
    """Adam with decoupled weight decay: ``p <- (1 - lr * weight_decay) p`` before the step."""

    _decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, **options)
