"""The two notations of einsum, read into labels: a letter or a number per dimension, and ``...``."""

from __future__ import annotations

from string import ascii_letters
from typing import Any

Label = Any
"""A subscript; a dimension of ``...`` is the pair (ELLIPSIS, its number counted from the right)."""
Labels = tuple[Label, ...]
ELLIPSIS = "..."


def parse_equation(equation: Any, operands: int) -> tuple[list[Labels], Labels | None]:
    """``"ij,jk->ik"`` as labels of every operand and of the output (None without an arrow).

    Raises:
        TypeError: not a string; RuntimeError: not an equation for so many operands.
    """
    if not isinstance(equation, str):
        raise TypeError(f"einsum(): argument 'equation' (position 1) must be str, not {type(equation).__name__}")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != operands:
        few = "fewer" if operands < len(terms) else "more"
        raise RuntimeError(
            f"einsum(): {few} operands were provided than specified in the equation: {equation!r} names {len(terms)}, "
            f"got {operands}"
        )
    inputs = [_labels(term, f"operand {k}", equation) for k, term in enumerate(terms)]
    return inputs, _labels(right, "the output", equation) if arrow else None


def _labels(term: str, where: str, equation: str) -> Labels:
    labels: list[Label] = []
    rest = term.replace(" ", "")
    while rest:
        if rest.startswith(ELLIPSIS):
            if ELLIPSIS in labels:
                raise RuntimeError(
                    f"einsum(): found '.' for {where} for which an ellipsis was already found (in {equation!r})"
                )
            labels.append(ELLIPSIS)
            rest = rest[3:]
        elif rest[0] == ".":
            raise RuntimeError(f"einsum(): found '.' for {where} that is not part of any ellipsis (in {equation!r})")
        elif rest[0] not in ascii_letters:
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {equation.find(rest[0])} in the equation string "
                f"{equation!r}, subscripts must be in [a-zA-Z]"
            )
        else:
            labels.append(rest[0])
            rest = rest[1:]
    return tuple(labels)


def parse_sublists(args: tuple[Any, ...]) -> tuple[list[Any], list[Labels], Labels | None]:
    """``op1, [0, 1], op2, [1, 2], [0, 2]``: operands, their labels, and the output's."""
    output = _numbers(args[-1]) if len(args) % 2 else None
    pairs = args[: len(args) - len(args) % 2]
    return list(pairs[::2]), [_numbers(part) for part in pairs[1::2]], output


def _numbers(part: Any) -> Labels:
    labels = tuple(ELLIPSIS if label is Ellipsis else label for label in part)
    for label in labels:
        if label != ELLIPSIS and not (isinstance(label, int) and 0 <= label < 52):
            raise RuntimeError(
                f"einsum(): expected subscripts in the list to be integers in [0, 52) or Ellipsis, but got {label!r}"
            )
    if labels.count(ELLIPSIS) > 1:
        raise RuntimeError("einsum(): a subscripts list can hold one Ellipsis at most")
    return labels
