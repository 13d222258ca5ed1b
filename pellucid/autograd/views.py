"""Views in the graph: their nodes, and what becomes of them when their base is written into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pellucid.autograd.graph import Node, new_node
from pellucid.layout import Layout

Pullback = Callable[[Any], Any]  # the gradient of a view -> the gradient of what was viewed


class ViewRule:
    """The rule of a view: nothing is kept, the gradient is rearranged."""

    __slots__ = ("name", "pullback")

    def __init__(self, name: str, pullback: Pullback) -> None:
        self.name, self.pullback = name, pullback

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return ()

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        return (self.pullback(grads[0]),)


def view_recorder(
    source: Layout, result: Layout, offset: int, pullback: Pullback, name: str
) -> Callable[[Any, Any], None]:
    """What a view's plan calls with (result, tensor): it hangs a node on the result.

    Args:
        source: the layout of the tensor that is viewed.
        result: the layout of the view.
        offset: bytes from the tensor's first cell to the view's.
        pullback: gradient of the view (of its shape) -> gradient of the tensor (of its shape), in differentiable
            operations.
        name: as in ``grad_fn``: "TransposeBackward0".
    """
    rule, layouts = ViewRule(name, pullback), (result,)

    def record(out: Any, x: Any) -> None:
        out.node = new_node(rule, ((x.node or x, x.output_nr),), (), (), layouts)
        out.tracked = True

    return record
