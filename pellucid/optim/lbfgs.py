"""L-BFGS (Liu & Nocedal 1989), with a line search that meets the strong Wolfe conditions (Nocedal & Wright, 3.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pellucid.autograd.modes import enable_grad, no_grad
from pellucid.operators.creation import zeros_like
from pellucid.operators.joining import cat
from pellucid.operators.reinterpreting import view_as_real
from pellucid.optim.optimizer import Optimizer, check_options

ARMIJO, CURVATURE = 1e-4, 0.9  # the constants of the Wolfe conditions
LEAST_CURVATURE = 1e-10  # pairs below tell nothing about the curvature


class LBFGS(Optimizer):
    """Steps along ``-H g``, where ``H`` approximates the inverse Hessian from the last ``history_size`` gradients.

    One ``step(closure)`` makes up to ``max_iter`` iterations and ``max_eval`` calls of ``closure``, which forgets the
    gradients, computes the loss, goes backward and gives the loss.

    Args:
        line_search_fn: "strong_wolfe", or None for steps of length ``lr``.

    Raises:
        ValueError: several groups. RuntimeError: another line search.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_options({"learning rate": lr})
        super().__init__(
            params,
            {
                "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )  # fmt: skip
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    @no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Iterate until the gradient or the progress is small; gives the loss before."""
        group = self.param_groups[0]
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError(f"only 'strong_wolfe' is supported, not {group['line_search_fn']!r}")
        flat = _Flat(group["params"], closure)
        state = self.state[group["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = flat.evaluate()
        state["func_evals"] += 1
        gradient, loss = flat.gradient(), float(first_loss)
        if _largest(gradient) > group["tolerance_grad"]:
            self._iterate(group, state, flat, loss, gradient)
        return first_loss

    def _iterate(self, group: dict[str, Any], state: dict[str, Any], flat: _Flat, loss: float, gradient: Any) -> None:
        lr, most, change = float(group["lr"]), group["max_iter"], group["tolerance_change"]
        evaluations = 1
        for iteration in range(1, most + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                _forget(state, gradient)
                t: Any = min(1.0, 1.0 / gradient.abs().sum()) * lr
            else:
                _remember(state, gradient, group["history_size"])
                t = lr
            d = state["d"]
            state["prev_flat_grad"], state["prev_loss"], state["t"] = gradient.clone(), loss, t
            slope = gradient.dot(d)
            if slope > -change:
                return
            calls, last = 0, iteration == most
            if group["line_search_fn"] is not None:
                start = _Point(0.0, loss, gradient, slope)
                found, calls = _search(flat, d, t, start, group["max_eval"] - evaluations)
                loss, gradient, t = found.loss, found.gradient, found.t
                flat.move(t, d)
            else:
                flat.move(t, d)
                if not last:  # the next step() would compute it anyway
                    loss, gradient, calls = float(flat.evaluate()), flat.gradient(), 1
            state["t"] = t
            evaluations += calls
            state["func_evals"] += calls
            small = calls > 0 and bool(_largest(gradient) <= group["tolerance_grad"])
            if last or evaluations >= group["max_eval"] or small:
                return
            if _largest(d * t) <= change or abs(loss - state["prev_loss"]) < change:
                return


def _largest(x: Any) -> Any:
    return x.abs().max()


class _Flat:
    """All parameters as one vector."""

    def __init__(self, params: list[Any], closure: Callable[[], Any]) -> None:
        self.params = [view_as_real(p) if p.layout.dtype.is_complex else p for p in params]
        self.owners, self.evaluate = params, enable_grad()(closure)

    def gradient(self) -> Any:
        parts = [zeros_like(p) if p.gradient is None else p.gradient for p in self.owners]
        return cat([(view_as_real(g) if g.layout.dtype.is_complex else g).reshape(-1) for g in parts])

    def move(self, t: Any, d: Any) -> None:
        """Add ``t d`` to the parameters."""
        start = 0
        for p in self.params:
            p.add_(d[start : start + p.layout.numel].view(p.layout.shape), alpha=float(t))
            start += p.layout.numel

    def look(self, t: Any, d: Any) -> _Point:
        """The loss and its gradient ``t d`` away; the parameters stay where they are."""
        before = [p.clone() for p in self.params]
        self.move(t, d)
        loss, gradient = float(self.evaluate()), self.gradient()
        for p, value in zip(self.params, before, strict=True):
            p.copy_(value)
        return _Point(t, loss, gradient, gradient.dot(d))


# -- the direction ----------------------------------------------------------------------------------------------------


def _forget(state: dict[str, Any], gradient: Any) -> None:
    state["d"], state["H_diag"] = -gradient, 1
    state["old_dirs"], state["old_stps"], state["ro"] = [], [], []


def _remember(state: dict[str, Any], gradient: Any, most: int) -> None:
    """Take the last step into the history, and turn the direction by it."""
    y, s = gradient - state["prev_flat_grad"], state["d"] * state["t"]
    ys = y.dot(s)
    changes, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
    if ys > LEAST_CURVATURE:
        if len(changes) == most:
            for past in (changes, steps, ro):
                past.pop(0)
        changes.append(y)
        steps.append(s)
        ro.append(1.0 / ys)
        state["H_diag"] = ys / y.dot(y)
    q, shares = -gradient, [None] * len(changes)  # type: Any, list[Any]
    for i in reversed(range(len(changes))):
        shares[i] = steps[i].dot(q) * ro[i]
        q = q - changes[i] * shares[i]
    d = q * state["H_diag"]
    for i in range(len(changes)):
        d = d + steps[i] * (shares[i] - changes[i].dot(d) * ro[i])
    state["d"], state["al"] = d, shares


# -- the step length --------------------------------------------------------------------------------------------------


@dataclass
class _Point:
    """A step length, with the loss, its gradient and its slope along the direction there."""

    t: Any
    loss: float
    gradient: Any
    slope: Any


def _search(flat: _Flat, d: Any, t: Any, start: _Point, most: int) -> tuple[_Point, int]:
    """A point that meets the strong Wolfe conditions, or the best one after ``most`` looks; and the looks."""
    looks, before, now = 1, start, flat.look(t, d)
    between: list[_Point] = []
    while looks - 1 < most and not between:
        looked = looks - 1
        if _too_high(now, start) or (looked > 1 and now.loss >= before.loss):
            between = [before, now]
        elif _flat_enough(now, start):
            return now, looks
        elif now.slope >= 0:
            between = [before, now]
        else:
            low, high = now.t + 0.01 * (now.t - before.t), now.t * 10
            before, now = now, flat.look(_lowest(before, now, low, high), d)
            looks += 1
    if not between:
        between = [start, now]
    return _zoom(flat, d, start, between, looks, most)


def _too_high(point: _Point, start: _Point) -> bool:
    return bool(point.loss > start.loss + ARMIJO * point.t * start.slope)


def _flat_enough(point: _Point, start: _Point) -> bool:
    return bool(abs(point.slope) <= -CURVATURE * start.slope)


def _zoom(
    flat: _Flat, d: Any, start: _Point, between: list[_Point], looks: int, most: int
) -> tuple[_Point, int]:
    """Narrow the bracket; its better end in the end."""
    length = _largest(d)
    best, other = (0, 1) if between[0].loss <= between[1].loss else (1, 0)
    stuck = False
    while looks - 1 < most:
        left, right = between
        if abs(right.t - left.t) * length < 1e-9:
            break
        t, stuck = _inside(_lowest(left, right), left.t, right.t, stuck)
        now = flat.look(t, d)
        looks += 1
        if _too_high(now, start) or now.loss >= between[best].loss:
            between[other] = now
            best, other = (0, 1) if between[0].loss <= between[1].loss else (1, 0)
            continue
        done = _flat_enough(now, start)
        if not done and now.slope * (between[other].t - between[best].t) >= 0:
            between[other] = between[best]
        between[best] = now
        if done:
            break
    return between[best], looks


def _inside(t: Any, a: Any, b: Any, stuck: bool) -> tuple[Any, bool]:
    """``t``, moved away from an end of the bracket if it was near one twice; and whether it is near one now."""
    low, high = min(a, b), max(a, b)
    margin = 0.1 * (high - low)
    if min(high - t, t - low) >= margin:
        return t, False
    if not stuck and low < t < high:
        return t, True
    return (high - margin if abs(t - high) < abs(t - low) else low + margin), False


def _lowest(a: _Point, b: _Point, low: Any = None, high: Any = None) -> Any:
    """Where the cubic through both points, with their slopes, is lowest, within bounds (default: the points)."""
    if low is None:
        low, high = min(a.t, b.t), max(a.t, b.t)
    mean = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = mean**2 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2.0
    root = square.sqrt()
    if b.t < a.t:
        a, b = b, a
    t = b.t - (b.t - a.t) * ((b.slope + root - mean) / (b.slope - a.slope + 2 * root))
    return min(max(t, low), high)
