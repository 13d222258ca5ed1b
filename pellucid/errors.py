"""How messages are worded: the operator, the rule that was broken, what was met, the usual fix.

    gather(): index must have as many dimensions as input; got input: float32 (2, 3), index: int64 (2,).
    Use index.unsqueeze(...) to add the missing dimensions.

The caller picks the exception class (PyTorch's own for that mistake); this module only words it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Described(Protocol):
    """What a message says about a tensor; a Tensor and a Layout both are one."""

    @property
    def dtype(self) -> object: ...
    @property
    def shape(self) -> Sequence[int]: ...


def shape_text(shape: Sequence[int]) -> str:
    """A shape as Python writes a tuple: "(2, 3)", "(2,)", "()"."""
    return str(tuple(shape))


def tensor_text(dtype: object, shape: Sequence[int]) -> str:
    """ "float32 (2, 3)"; a tensor without dimensions is "float32 ()"."""
    return f"{str(dtype).removeprefix('torch.')} {shape_text(shape)}"


def describe(operator: str, rule: str, operands: Mapping[str, Described | object], fix: str = "") -> str:
    """The whole message.

    Args:
        operator: the name the program called: "gather".
        rule: what has to hold, and by which argument it was broken.
        operands: what was met, by argument name; tensors are told by dtype and shape, the rest by repr.
        fix: one full sentence that says what usually helps.
    """
    met = ", ".join(f"{name}: {_operand_text(value)}" for name, value in operands.items())
    return f"{operator}(): {rule}" + (f"; got {met}" if met else "") + (f". {fix}" if fix else "")


def _operand_text(value: Described | object) -> str:
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    return repr(value) if dtype is None or shape is None else tensor_text(dtype, shape)
