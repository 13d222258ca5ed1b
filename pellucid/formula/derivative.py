"""Derivatives of formulas, which are formulas again.

``adjoints`` goes backwards through an expression by the chain rule. ``pullback`` does so through a whole formula:
what reads a cell (a gather) becomes what adds to a cell (a scatter), an axis that was summed becomes one along which
the gradient is repeated, and the other way round. Since the result is a formula, it can be differentiated as well.

Operands of a pulled-back formula: 0 is the gradient of the result, 1 the result, 2 + k operand k.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import log, pi, sqrt

from pellucid.dtypes import int64
from pellucid.formula.expr import (
    Expr,
    axis,
    const,
    copysign,
    load,
    node,
    rewrite,
    select,
    state,
    unary,
    walk,
)
from pellucid.formula.formula import Fold, Formula, Output, Scatter, folding

Rule = Callable[..., tuple[Expr | None, ...]]
Shape = tuple[int, ...]


def conjugate(e: Expr) -> Expr:
    return unary("conj", e) if e.dtype.is_complex else e


def _zero(e: Expr) -> Expr:
    return const(0.0, e.dtype)


def _extreme(g: Expr, a: Expr, b: Expr, a_wins: Expr) -> tuple[Expr, Expr]:
    """Equal operands share the gradient."""
    half = select(a.equals(b), g * 0.5, 0.0)
    return select(a_wins, g, half), select(a_wins | a.equals(b), half, g)


def _power(g: Expr, a: Expr, b: Expr) -> tuple[Expr, Expr]:
    zero, one = _zero(b), const(1.0, b.dtype)
    by_base = select(b.equals(zero), _zero(g), g * conjugate(b * node("pow", (a, b - one), a.dtype)))
    positive = node("real", (b,), b.dtype.to_real()) >= 0.0 if b.dtype.is_complex else b >= 0.0
    nothing = a.equals(zero) & positive
    by_exponent = select(nothing, _zero(g), g * conjugate(node("pow", (a, b), a.dtype) * unary("log", a)))
    return by_base, by_exponent


def _quotient(g: Expr, a: Expr, b: Expr) -> tuple[Expr, Expr]:
    by_numerator = g / conjugate(b)
    return by_numerator, -(by_numerator * conjugate(a / b))


def _cast(g: Expr, a: Expr) -> tuple[Expr | None]:
    differentiable = a.dtype.is_floating_point or a.dtype.is_complex
    return (g.cast(a.dtype) if differentiable else None,)


def _sign(a: Expr) -> Expr:
    return select(a > 0.0, 1.0, select(a < 0.0, const(-1.0, a.dtype), _zero(a)))


def _atan2(g: Expr, y: Expr, x: Expr) -> tuple[Expr, Expr]:
    norm = x * x + y * y
    return g * x / norm, -(g * y / norm)


def _copysign(g: Expr, a: Expr, b: Expr) -> tuple[Expr, None]:
    """The sign is what counts; 0 has no direction to go."""
    signs = copysign(const(1.0, a.dtype), b) * copysign(const(1.0, a.dtype), a)
    return select(a.equals(0.0), 0.0, g * signs), None


# Derivatives of functions of one operand.
DERIVATIVES: dict[str, Callable[[Expr], Expr]] = {
    "exp": lambda a: unary("exp", a),
    "exp2": lambda a: unary("exp2", a) * log(2.0),
    "expm1": lambda a: unary("exp", a),
    "sin": lambda a: unary("cos", a),
    "cos": lambda a: -unary("sin", a),
    "tan": lambda a: unary("tan", a) * unary("tan", a) + 1.0,
    "asin": lambda a: unary("rsqrt", 1.0 - a * a),
    "acos": lambda a: -unary("rsqrt", 1.0 - a * a),
    "sinh": lambda a: unary("cosh", a),
    "cosh": lambda a: unary("sinh", a),
    "tanh": lambda a: 1.0 - unary("tanh", a) * unary("tanh", a),
    "asinh": lambda a: unary("rsqrt", a * a + 1.0),
    # As a product: on the complex plane the square root of the product has other cuts.
    "acosh": lambda a: unary("rsqrt", a - 1.0) * unary("rsqrt", a + 1.0),
    "erf": lambda a: unary("exp", -(a * a)) * (2.0 / sqrt(pi)),
    "erfc": lambda a: unary("exp", -(a * a)) * (-2.0 / sqrt(pi)),
    "erfinv": lambda a: unary("exp", unary("erfinv", a) * unary("erfinv", a)) * (sqrt(pi) / 2.0),
    "ndtri": lambda a: unary("exp", unary("ndtri", a) * unary("ndtri", a) * 0.5) * sqrt(2.0 * pi),
    "lgamma": lambda a: unary("digamma", a),
    "digamma": lambda a: unary("trigamma", a),
    "sigmoid": lambda a: unary("sigmoid", a) * (1.0 - unary("sigmoid", a)),
    "rsqrt": lambda a: unary("rsqrt", a) * unary("rsqrt", a) * unary("rsqrt", a) * -0.5,
    "reciprocal": lambda a: -(unary("reciprocal", a) * unary("reciprocal", a)),
}
# What to divide by, where that is simpler.
RECIPROCALS: dict[str, Callable[[Expr], Expr]] = {
    "sqrt": lambda a: unary("sqrt", a) * 2.0,
    "log": lambda a: a,
    "log2": lambda a: a * log(2.0),
    "log10": lambda a: a * log(10.0),
    "log1p": lambda a: a + 1.0,
    "atan": lambda a: a * a + 1.0,
    "atanh": lambda a: 1.0 - a * a,
}


def _times(derivative: Callable[[Expr], Expr]) -> Rule:
    return lambda g, a: (g * conjugate(derivative(a)),)


def _over(reciprocal: Callable[[Expr], Expr]) -> Rule:
    return lambda g, a: (g / conjugate(reciprocal(a)),)


# gradient of the node, its arguments -> gradients of the arguments
RULES: dict[str, Rule] = {
    **{name: _times(d) for name, d in DERIVATIVES.items()},
    **{name: _over(d) for name, d in RECIPROCALS.items()},
    "add": lambda g, a, b: (g, g),
    "sub": lambda g, a, b: (g, -g),
    "mul": lambda g, a, b: (g * conjugate(b), g * conjugate(a)),
    "div": _quotient,
    "fma": lambda g, a, b, c: (g * b, g * a, g),
    "neg": lambda g, a: (-g,),
    "abs": lambda g, a: (g * _sign(a),) if not a.dtype.is_complex else (_complex_sign(g, a),),
    "relu": lambda g, a: (select(unary("relu", a) <= 0.0, 0.0, g),),
    "min": lambda g, a, b: _extreme(g, a, b, a < b),
    "max": lambda g, a, b: _extreme(g, a, b, a > b),
    "select": lambda g, c, a, b: (None, select(c, g, _zero(g)), select(c, _zero(g), g)),
    "cast": _cast,
    "copysign": _copysign,
    "rem": lambda g, a, b: (g, -(g * unary("trunc", a / b))),
    "floor": lambda g, a: (None,),
    "ceil": lambda g, a: (None,),
    "trunc": lambda g, a: (None,),
    "round": lambda g, a: (None,),
    "pow": _power,
    "atan2": _atan2,
    "hypot": lambda g, a, b: (g * a / node("hypot", (a, b), a.dtype), g * b / node("hypot", (a, b), a.dtype)),
    "conj": lambda g, a: (unary("conj", g),),
    "real": lambda g, a: (g.cast(a.dtype),),
    "imag": lambda g, a: (node("complex", (_zero(g), g), a.dtype),),
    "complex": lambda g, a, b: (node("real", (g,), a.dtype), node("imag", (g,), a.dtype)),
}


def _complex_sign(g: Expr, a: Expr) -> Expr:
    size = node("abs", (a,), a.dtype.to_real())
    safe = select(size.equals(0.0), 1.0, size)
    return a * (g / safe).cast(a.dtype)


def adjoints(seeds: dict[Expr, Expr], targets: set[Expr]) -> dict[Expr, Expr]:
    """The gradient with respect to each target of the sum of ``seed * root``; targets without influence are absent."""
    gradient = dict(seeds)
    order = list(walk(*seeds))
    reaches = _reaching(order, targets)
    for e in reversed(order):
        g = gradient.get(e)
        if g is None or e in targets or not any(a in reaches for a in e.args):
            continue
        rule = RULES.get(e.op)
        if rule is None:
            raise NotImplementedError(f"the derivative of {e.op} is not defined in Pellucid")
        for a, own in zip(e.args, rule(g, *e.args), strict=True):
            if own is not None and a in reaches:
                gradient[a] = gradient[a] + own if a in gradient else own
    return {t: gradient[t] for t in targets if t in gradient}


def _reaching(order: list[Expr], targets: set[Expr]) -> set[Expr]:
    """Nodes whose value depends on a target."""
    result: set[Expr] = set()
    for e in order:
        if e in targets or any(a in result for a in e.args):
            result.add(e)
    return result


@dataclass(frozen=True)
class Pullback:
    """How a gradient goes back to one operand: run ``formula`` over ``sizes``, giving ``shape``; then, if ``reduce``
    says so, sum that over the given dimensions."""

    formula: Formula | Scatter
    sizes: Shape
    shape: Shape
    reduce: tuple[int, ...] = ()


def pullback(
    formula: Formula | Scatter, sizes: Shape, k: int, shapes: tuple[Shape | None, ...]
) -> list[Pullback]:
    """For operand ``k``: what to compute and add up, one item per place where the operand is read.

    ``shapes`` are those of all operands (None for a number).
    """
    shape = shapes[k]
    assert shape is not None, "a number has no gradient"
    if isinstance(formula, Scatter):
        return _scatter_pullback(formula, sizes, k, shapes)
    explicit = _with_coordinates(formula, sizes, shapes)
    loads = [e for e in explicit.loads if e.data[0] == k + 2]
    gradients, stages = _row_adjoints(explicit, set(loads))
    name = f"{formula.name}_backward"
    return [
        _placed(e, _from_result(gradients[e], explicit), stages, sizes, formula.rank, shape, name)
        for e in loads
        if e in gradients
    ]


# Their derivative is said by their result, which is what is kept (so the operand may be overwritten, as in relu_).
RESULT_BASED = frozenset({"exp", "exp2", "sigmoid", "tanh", "sqrt", "rsqrt", "reciprocal", "relu", "tan", "erfinv", "ndtri"})


def _from_result(value: Expr, formula: Formula) -> Expr:
    """``value`` with the saved result in place of the expression that made it."""
    whole = formula.outputs[0].value
    core = whole.args[0] if whole.op == "cast" else whole
    if formula.stages or core.op not in RESULT_BASED:
        return value
    result = load(1, whole.dtype, tuple(axis(a) for a in range(formula.rank))).cast(core.dtype)
    return rewrite(value, lambda e: result if e is core else None)


def renumbered(e: Expr) -> Expr | None:
    """Operands move up by two: the gradient and the result come first."""
    if e.op == "load":
        args = tuple(rewrite(a, renumbered) for a in e.args)
        return node("load", args, e.dtype, (e.data[0] + 2, *e.data[1:]))
    if e.op == "scalar":
        return node("scalar", (), e.dtype, e.data + 2)
    if e.op == "extent":
        return node("extent", (), int64, (e.data[0] + 2, e.data[1]))
    return None


def _with_coordinates(formula: Formula, sizes: Shape, shapes: tuple[Shape | None, ...]) -> Formula:
    """Renumbered, and every operand read at written-out coordinates."""

    def leaf(e: Expr) -> Expr | None:
        if e.op == "load" and e.data[1] == "aligned":
            shape = shapes[e.data[0]]
            assert shape is not None
            return load(e.data[0] + 2, e.dtype, aligned_coordinates(shape, sizes[: formula.rank]))
        return renumbered(e)

    memo: dict[Expr, Expr] = {}

    def swap(e: Expr) -> Expr:
        return rewrite(e, leaf, memo)

    stages = tuple(replace(s, elements=tuple(map(swap, s.elements))) for s in formula.stages)
    return replace(formula, stages=stages, outputs=tuple(replace(o, value=swap(o.value)) for o in formula.outputs))


def aligned_coordinates(shape: Shape, sizes: Shape) -> tuple[Expr, ...]:
    """Where a broadcast operand is read: its own dimensions are the last axes, repeated ones stay at 0."""
    first = len(sizes) - len(shape)
    return tuple(
        const(0, int64) if n == 1 and sizes[first + d] != 1 else axis(first + d) for d, n in enumerate(shape)
    )


def _gradient(output: Output, rank: int) -> Expr:
    """The gradient of the result at this cell."""
    axes = range(rank) if output.axes is None else output.axes
    return load(0, output.value.dtype, tuple(axis(a) if a >= 0 else const(0, int64) for a in axes))


def _row_adjoints(formula: Formula, loads: set[Expr]) -> tuple[dict[Expr, Expr], tuple[Fold, ...]]:
    """Backwards through the stages: the gradient at every load, and the stages that it refers to.

    What is said of a state once per row counts once; what each cell of the row says of it is summed.
    """
    output = formula.outputs[0]
    states = {e for s in formula.stages if not s.constant for e in s.states}
    found = adjoints({output.value: _gradient(output, formula.rank)}, loads | states)
    total = {e: g for e, g in found.items() if e in loads}
    once = {} if output.over_row else {e: g for e, g in found.items() if e in states}
    by_cell = {e: g for e, g in found.items() if e in states} if output.over_row else {}
    stages = list(formula.stages)
    following = sum(len(s.elements) for s in stages)
    for stage in reversed(formula.stages):
        asked = [e for e in stage.states if e in once or e in by_cell]
        if not asked:
            continue
        if stage.reducer.name != "sum" or len(stage.elements) != 1:
            raise NotImplementedError(f"{formula.name}: no derivative is derived for a fold by {stage.reducer.name}")
        (s,) = asked
        g = once.get(s)
        if s in by_cell:
            stages.append(Fold(folding("sum", s.dtype), (by_cell[s],), following))
            summed = state(following, s.dtype)
            g = summed if g is None else g + summed
            following += 1
        assert g is not None
        for e, own in adjoints({stage.elements[0]: g}, loads | states).items():
            into = total if e in loads else by_cell
            into[e] = into[e] + own if e in into else own
    return total, tuple(_needed_stages(stages, list(total.values())))


def _needed_stages(stages: list[Fold], values: list[Expr]) -> list[Fold]:
    """Stages that the values refer to, directly or through other stages."""
    needed: set[Expr] = {e for e in walk(*values) if e.op == "state"}
    kept: list[Fold] = []
    for stage in reversed(stages):
        if any(s in needed for s in stage.states):
            kept.append(stage)
            needed |= {e for e in walk(*stage.elements) if e.op == "state"}
    return kept[::-1]


def _placed(
    e: Expr, value: Expr, stages: tuple[Fold, ...], sizes: Shape, rank: int, shape: Shape, name: str
) -> Pullback:
    """Bring the gradient at the load ``e`` to the cells that it read."""
    plain = _plain_axes(e.args, sizes, shape)
    if plain is None or e.data[1] == "filled":
        return _scattered(e, value, stages, sizes, shape, name)
    kept = [a for a in plain if a >= 0]
    missing = [a for a in range(len(sizes)) if a not in kept]
    order = [*kept, *missing]
    if stages:
        # States are known along the row only: a result per cell of all axes, summed afterwards.
        formula = Formula(name, rank, (Output(value, True, tuple(order)),), len(sizes) - rank, stages)
        return Pullback(formula, sizes, tuple(sizes[a] for a in order), tuple(range(len(kept), len(order))))
    place = {a: i for i, a in enumerate(order)}
    moved = rewrite(value, lambda x: axis(place[x.data]) if x.op == "axis" else None)
    moved_sizes = tuple(sizes[a] for a in order)
    axes = tuple(place[a] if a >= 0 else -1 for a in plain)
    if not missing:
        return Pullback(Formula(name, len(kept), (Output(moved, False, axes),)), moved_sizes, shape)
    fold = Fold(folding("sum", moved.dtype), (moved,), 0)
    formula = Formula(name, len(kept), (Output(fold.states[0], False, axes),), len(missing), (fold,))
    return Pullback(formula, moved_sizes, shape)


def _plain_axes(coords: tuple[Expr, ...], sizes: Shape, shape: Shape) -> list[int] | None:
    """The axis each dimension runs over (-1 for a dimension of size 1), or None if the reading is not one to one."""
    result: list[int] = []
    for coord, n in zip(coords, shape, strict=True):
        if coord.op == "axis" and coord.data not in result and sizes[coord.data] == n:
            result.append(coord.data)
        elif coord.op == "const" and coord.data == 0 and n == 1:
            result.append(-1)
        else:
            return None
    return result


def _scattered(
    e: Expr,
    value: Expr,
    stages: tuple[Fold, ...],
    sizes: Shape,
    shape: Shape,
    name: str,
) -> Pullback:
    """Add to the cell that was read. A cell outside, where a fill was read instead, gets nothing: its gradient is
    added as 0 to cell 0."""
    if stages:
        raise NotImplementedError(f"{name}: a computed coordinate inside a staged formula")
    target = e.args
    if e.data[1] == "filled":
        inside: Expr | None = None
        moved = [not (c.op == "axis" and sizes[c.data] <= n) for c, n in zip(e.args, shape, strict=True)]
        for coord, n, computed in zip(e.args, shape, moved, strict=True):
            if computed:
                ok = (coord >= 0) & (coord < n)
                inside = ok if inside is None else inside & ok
        if inside is not None:
            value = select(inside, value, _zero(value))
            target = tuple(select(inside, c, 0) if computed else c for c, computed in zip(target, moved, strict=True))
    return Pullback(Scatter(name, len(sizes), target, value, folding("sum", value.dtype)), sizes, shape)


def _scatter_pullback(
    formula: Scatter, sizes: Shape, k: int, shapes: tuple[Shape | None, ...]
) -> list[Pullback]:
    """A scatter's transpose reads the gradient where the value was added."""
    if formula.reducer is None or formula.reducer.name != "sum":
        raise NotImplementedError(f"{formula.name}: no derivative is derived unless the scatter adds")
    shape = shapes[k]
    assert shape is not None
    target = tuple(rewrite(c, renumbered) for c in formula.target)
    explicit = _with_coordinates(Formula(formula.name, formula.rank, (Output(formula.value),)), sizes, shapes)
    loads = {e for e in explicit.loads if e.data[0] == k + 2}
    seed = load(0, formula.value.dtype, target)
    found = adjoints({explicit.outputs[0].value: seed}, loads)
    name = f"{formula.name}_backward"
    return [_placed(e, g, (), sizes, formula.rank, shape, name) for e, g in found.items()]
