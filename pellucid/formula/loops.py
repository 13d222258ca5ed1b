"""Formulas printed as plain nested Python loops: what a reader sees, and what tests run against the kernels.

    def gather(out, x0, x1):
        for i in range(2):
            for j in range(3):
                out[i, j] = x0[i, x1[i, j]]

The text is complete Python over NumPy arrays; ``run_loops`` executes it. Numbers keep their dtypes, since a NumPy
scalar combined with a plain number keeps its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.dtypes import DTYPES, DType, bool_
from pellucid.formula.derivative import aligned_coordinates
from pellucid.formula.expr import Expr, Number
from pellucid.formula.formula import Fold, Formula, Reducer, Scatter, left, right

Shape = tuple[int, ...]
AXES = "ijklmnpqrstuvwyz"
_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "and": "&", "or": "|", "xor": "^", "shl": "<<", "shr": ">>", "eq": "==",
    "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
}  # fmt: skip


def _truncated(a: Any, b: Any) -> Any:
    """Division as the formula language has it: IEEE for floats, toward zero for integers."""
    if isinstance(a, np.floating | np.complexfloating):
        return np.divide(a, b)
    quotient = abs(int(a)) // abs(int(b))
    return type(a)(quotient if (a < 0) == (b < 0) else -quotient)


def _pick(x: Any, coords: tuple[Any, ...], fill: Number) -> Any:
    """``x[coords]``, or ``fill`` where they lie outside."""
    inside = all(0 <= c < n for c, n in zip(coords, x.shape, strict=True))
    return x[coords] if inside else x.dtype.type(fill)


def _inside(x: Any, coords: tuple[Any, ...]) -> Any:
    """``x[coords]``; coordinates outside are an error, also negative ones."""
    for d, (c, n) in enumerate(zip(coords, x.shape, strict=True)):
        if not 0 <= c < n:
            raise IndexError(f"index {c} is out of bounds for dimension {d} with size {n}")
    return x[coords]


def _erf(x: Any) -> Any:
    from math import erf

    return type(x)(erf(float(x)))


def _functions() -> dict[str, Any]:
    """The names that printed loops may use."""
    names = (
        "exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh sqrt floor ceil trunc copysign conj real imag"
    )
    functions: dict[str, Any] = {name: getattr(np, name) for name in names.split()}
    functions |= {
        "abs": np.abs, "minimum": np.minimum, "maximum": np.maximum, "remainder": np.fmod, "quotient": _truncated,
        "pick": _pick, "inside": _inside, "erf": _erf, "erfc": lambda x: type(x)(1) - _erf(x), "power": np.power,
        "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "asinh": np.arcsinh, "acosh": np.arccosh,
        "atanh": np.arctanh, "atan2": np.arctan2, "hypot": np.hypot, "round": np.rint,
        "rsqrt": lambda x: type(x)(1) / np.sqrt(x), "reciprocal": lambda x: type(x)(1) / x,
        "sigmoid": lambda x: type(x)(1) / (type(x)(1) + np.exp(-x)), "relu": lambda x: type(x)(0) if x < 0 else x,
        "fma": lambda a, b, c: type(a)(np.longdouble(a) * np.longdouble(b) + np.longdouble(c)),
        "bits": lambda x, t: np.array(x).view(t)[()], "complex": lambda a, b, t: t(complex(a, b)),
        "inf": float("inf"), "nan": float("nan"),
    }  # fmt: skip
    return functions


def to_python(
    formula: Formula | Scatter,
    sizes: Shape,
    shapes: Sequence[Shape | None],
    given: Mapping[str, int | float] | None = None,
) -> str:
    """The formula over axes of ``sizes`` as the source of a Python function of (results, operands)."""
    return _Printer(formula, sizes, shapes, given or {}).text()


class _Printer:
    def __init__(
        self, formula: Formula | Scatter, sizes: Shape, shapes: Sequence[Shape | None], given: Mapping[str, int | float]
    ) -> None:
        self.formula, self.sizes, self.shapes, self.given = formula, sizes, shapes, given
        self.lines: list[str] = []
        self.depth = 1
        self.names: dict[Expr, str] = {}

    # -- statements ---------------------------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def loops(self, axes: range) -> int:
        for a in axes:
            self.line(f"for {AXES[a]} in range({self.sizes[a]}):")
            self.depth += 1
        return len(axes)

    def text(self) -> str:
        f = self.formula
        count = 1 if isinstance(f, Scatter) else len(f.outputs)
        results = ["out"] if count == 1 else [f"out{k}" for k in range(count)]
        operands = [f"x{k}" for k in range(len(self.shapes))]
        self.lines = [f"def {f.name}({', '.join([*results, *operands])}):"]
        if isinstance(f, Scatter):
            self.scatter(f)
        else:
            self.rows(f, results)
        return "\n".join(self.lines) + "\n"

    def scatter(self, f: Scatter) -> None:
        self.loops(range(f.rank))
        for k, coord in enumerate(f.target):
            self.line(f"p{k} = {self.show(coord)}")
        where = ", ".join(f"p{k}" for k in range(len(f.target))) or "()"
        value = self.show(f.value)
        if f.reducer is None:
            self.line(f"out[{where}] = {value}")
            return
        self.line(f"old, new = inside(out, ({where},)), {value}" if f.target else f"old, new = out[()], {value}")
        names = {left(0, f.value.dtype): "old", right(0, f.value.dtype): "new"}
        self.line(f"out[{where}] = {self.show(f.reducer.merged[0], names)}")

    def rows(self, f: Formula, results: list[str]) -> None:
        self.loops(range(f.rank))
        row = range(f.rank, f.rank + f.row)
        for stage in f.stages:
            self.start(stage)
            opened = self.loops(row)
            self.step(stage)
            if f.scan and stage is f.stages[-1]:
                self.write(f, results, over_row=True)
            self.depth -= opened
        if f.row and not f.scan and any(o.over_row for o in f.outputs):
            opened = self.loops(row)
            self.write(f, results, over_row=True)
            self.depth -= opened
        self.write(f, results, over_row=False)

    def start(self, stage: Fold) -> None:
        for e, first in zip(stage.states, stage.reducer.identity, strict=True):
            self.names[e] = f"s{e.data}"
            self.line(f"s{e.data} = {dtype_name(e.dtype)}({self.show(first)})")

    def step(self, stage: Fold) -> None:
        new = [f"new{k}" if len(stage.elements) > 1 else "new" for k in range(len(stage.elements))]
        for name, e in zip(new, stage.elements, strict=True):
            self.line(f"{name} = {self.show(e)}")
        merged = [self.show(e, _merge_names(stage, new)) for e in stage.reducer.merged]
        self.line(f"{', '.join(self.names[s] for s in stage.states)} = {', '.join(merged)}")

    def write(self, f: Formula, results: list[str], over_row: bool) -> None:
        for name, output in zip(results, f.outputs, strict=True):
            if output.over_row == over_row:
                axes = range(f.rank) if output.axes is None else output.axes
                where = ", ".join(AXES[a] if a >= 0 else "0" for a in axes) or "()"
                self.line(f"{name}[{where}] = {self.show(output.value)}")

    # -- expressions --------------------------------------------------------------------------------------------------

    def show(self, e: Expr, names: dict[Expr, str] | None = None) -> str:
        """An expression as Python; operators are put in brackets, since their order is the formula's."""
        found = (names or {}).get(e) or self.names.get(e)
        if found:
            return found
        leaf = self.leaf(e)
        if leaf is not None:
            return leaf
        args = [self.show(a, names) for a in e.args]
        if e.op in _INFIX:
            return f"({args[0]} {_INFIX[e.op]} {args[1]})"
        if e.op == "select":
            return f"({args[1]} if {args[0]} else {args[2]})"
        if e.op == "cast":
            return f"{dtype_name(e.dtype)}({args[0]})"
        if e.op == "bitcast":
            return f"bits({args[0]}, {dtype_name(e.dtype)})"
        if e.op == "complex":
            return f"complex({args[0]}, {args[1]}, {dtype_name(e.dtype)})"
        if e.op in ("neg", "not"):
            logical = "not " if e.dtype is bool_ else "~"
            return f"({'-' if e.op == 'neg' else logical}{args[0]})"
        renamed = {"min": "minimum", "max": "maximum", "rem": "remainder", "pow": "power", "div": "quotient"}
        return f"{renamed.get(e.op, e.op)}({', '.join(args)})"

    def leaf(self, e: Expr) -> str | None:
        if e.op == "axis":
            return AXES[e.data]
        if e.op == "size":
            return str(self.sizes[e.data])
        if e.op == "const":
            return f"{dtype_name(e.dtype)}({e.data!r})"
        if e.op == "given":
            return repr(self.given[e.data])
        if e.op == "scalar":
            return f"{dtype_name(e.dtype)}(x{e.data})"
        if e.op == "extent":
            shape = self.shapes[e.data[0]]
            assert shape is not None
            return str(shape[e.data[1]])
        return self.load(e) if e.op == "load" else None

    def load(self, e: Expr) -> str:
        k, mode, fill = e.data
        shape = self.shapes[k]
        assert shape is not None
        coords = aligned_coordinates(shape, self.sizes[: self.formula.rank]) if mode == "aligned" else e.args
        where = ", ".join(self.show(c) for c in coords)
        if mode == "filled":
            return f"pick(x{k}, ({where},), {fill!r})"
        plain = all(c.op in ("axis", "const") for c in coords)
        return f"x{k}[{where or '()'}]" if plain else f"inside(x{k}, ({where},))"


def _merge_names(stage: Fold, new: list[str]) -> dict[Expr, str]:
    reducer: Reducer = stage.reducer
    names = {}
    for k, (dtype, own) in enumerate(zip(reducer.dtypes, new, strict=True)):
        names[left(k, dtype)] = f"s{stage.first + k}"
        names[right(k, dtype)] = own
    return names


def dtype_name(dtype: DType) -> str:
    return "bool_" if dtype is bool_ else dtype.name


def run_loops(
    formula: Formula | Scatter,
    sizes: Shape,
    operands: Sequence[Any],
    results: Sequence[np.ndarray[Any, Any]],
    given: Mapping[str, int | float] | None = None,
) -> None:
    """Execute the printed loops on NumPy arrays (or Python numbers); ``results`` are written."""
    import ml_dtypes

    shapes = [x.shape if isinstance(x, np.ndarray) else None for x in operands]
    scope: dict[str, Any] = {**_functions(), "bfloat16": ml_dtypes.bfloat16}
    for dtype in DTYPES.values():
        if dtype.name != "bfloat16":
            scope[dtype_name(dtype)] = getattr(np, dtype_name(dtype))
    with np.errstate(all="ignore"):
        exec(to_python(formula, sizes, shapes, given), scope)
        scope[formula.name](*results, *operands)

