"""Writing into a tensor that gradients flow through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.runtime import native


def in_place(x: Any, write: Callable[[], None], record: Callable[..., None] | None, *operands: Any) -> Any:
    """Run ``write()``, which overwrites ``x`` (and bumps its version), and hang the call on the graph.

    ``record(x, *operands)`` is the recorder of the out-of-place call; the operand that is ``x`` itself stands for
    its value before.
    """
    if record is None or not native.grad_enabled() or not any(getattr(t, "tracked", False) for t in (x, *operands)):
        write()
        return x
    if x.tracked and x.node is None:
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation. Write into a copy "
            "(x.clone()), or change the values under torch.no_grad()."
        )
    old = native.new_tensor(x.layout, x.storage, x.ptr)
    old.tracked, old.node, old.output_nr = x.tracked, x.node, x.output_nr
    write()
    record(x, *(old if t is x else t for t in operands))
    x.output_nr = 0
    return x
