"""What views show, copied: ``transpose_copy(x, 0, 1)`` is ``x.transpose(0, 1)`` in memory of its own."""

from __future__ import annotations

from typing import Any

from pellucid.memory_format import contiguous_format
from pellucid.operators.copying import clone
from pellucid.operators.define import method, public
from pellucid.operators.rows import deliver_same
from pellucid.tensor import Tensor

_VIEWS = (
    "as_strided", "detach", "diagonal", "expand", "narrow", "permute", "select", "split", "split_with_sizes", "squeeze",
    "t", "transpose", "unbind", "unfold", "unsqueeze", "view", "view_as_complex", "view_as_real",
)  # fmt: skip


def _copied(view: Any) -> Any:
    if isinstance(view, Tensor):
        return clone(view, memory_format=contiguous_format)
    return tuple(_copied(v) for v in view)


def _define(name: str) -> None:
    def function(input: Tensor, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        result = _copied(getattr(Tensor, name)(input, *args, **kwargs))
        if isinstance(result, Tensor):
            return deliver_same(result, out, f"{name}_copy")
        if out is None:
            return result
        for target, part in zip(out, result, strict=True):
            deliver_same(part, target, f"{name}_copy")
        return None

    function.__name__ = function.__qualname__ = f"{name}_copy"
    function.__doc__ = f"A copy of what ``input.{name}(...)`` shows."
    public(function)
    if name == "narrow":
        method(function)


for _name in _VIEWS:
    _define(_name)


@public
def alias_copy(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """A contiguous copy of ``input``."""
    return deliver_same(_copied(input), out, "alias_copy")
