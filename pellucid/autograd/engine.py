"""What users call to walk back through the graph: ``backward`` and ``grad``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from pellucid.autograd.fresh import ones, zeros
from pellucid.autograd.inplace import stacked
from pellucid.autograd.walk import Wanted, run
from pellucid.errors import shape_text, tensor_text
from pellucid.layout import Layout, dense, like
from pellucid.runtime import native

Tensors = Any  # a Tensor or a sequence of them


def backward(
    tensors: Tensors,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Add to the ``grad`` of every leaf the sum over cells of ``grad_tensors * d tensors / d leaf``.

    Args:
        tensors: what to differentiate; one-cell tensors need no entry in ``grad_tensors``.
        grad_tensors: for each of them, a gradient of its shape (or None: 1).
        retain_graph: keep what was saved, so that backward can run again. As ``create_graph`` by default.
        create_graph: record the walk itself, for derivatives of higher order.
        inputs: add only to the ``grad`` of these; computed ones retain theirs from here on.

    Raises:
        RuntimeError: a tensor needs no gradient, has many cells and no entry in ``grad_tensors``, an entry of another
            shape, an input of another call, or values that were overwritten since.
    """
    if create_graph:
        warnings.warn(
            "Using backward() with create_graph=True will create a reference cycle between the parameter and its "
            "gradient which can cause a memory leak. We recommend using autograd.grad when creating the graph to avoid "
            "this. If you have to use this function, make sure to reset the .grad fields of your parameters to None "
            "after use to break the cycle and avoid the leak.",
            UserWarning,
            stacklevel=3,
        )
    if grad_variables is not None:
        grad_tensors = grad_variables if grad_tensors is None else grad_tensors
    roots = _sequence(tensors)
    given = _sequence(grad_tensors) if grad_tensors is not None else (None,) * len(roots)
    gradients = _starts(roots, given)
    targets = None
    if inputs is not None:
        targets = _sequence(inputs)
        if not targets:
            raise RuntimeError("'inputs' argument to backward() cannot be empty.")
        _require_tracked(targets)
        for t in targets:
            if t.node is not None:
                t.retain_grad()
    wanted = None if targets is None else Wanted(roots, targets, add=True)
    run(roots, gradients, create_graph if retain_graph is None else retain_graph, create_graph, wanted)


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, without touching any ``grad``.

    Args:
        outputs, grad_outputs, retain_graph, create_graph: as for ``backward``.
        allow_unused: None for an input that no output depends on, instead of an error.
        is_grads_batched: ``grad_outputs`` have one more dimension in front, and so have the results.
        materialize_grads: zeros instead of None.
    """
    roots, targets = _sequence(outputs), _sequence(inputs)
    given = _sequence(grad_outputs) if grad_outputs is not None else (None,) * len(roots)
    if allow_unused is None:
        allow_unused = materialize_grads
    elif materialize_grads and not allow_unused:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    keep = create_graph if retain_graph is None else retain_graph
    options = (create_graph, allow_unused, materialize_grads)
    if is_grads_batched:
        return _batched(roots, targets, given, keep, *options)
    return _grad(roots, targets, _starts(roots, given), keep, *options)


def _grad(
    roots: Sequence[Any],
    targets: Sequence[Any],
    gradients: list[Any],
    keep: bool,
    create_graph: bool,
    allow_unused: bool,
    materialize: bool,
) -> tuple[Any, ...]:
    _require_tracked(targets)
    wanted = Wanted(roots, targets, add=False)
    run(roots, gradients, keep, create_graph, wanted)
    for i, (t, g) in enumerate(zip(targets, wanted.found, strict=True)):
        if g is not None:
            continue
        if not allow_unused:
            raise RuntimeError(
                "One of the differentiated Tensors appears to not have been used in the graph: input "
                f"{i} ({tensor_text(t.layout.dtype, t.layout.shape)}). Set allow_unused=True if this is the desired "
                "behavior."
            )
        if materialize:
            wanted.found[i] = zeros(like(t.layout))
    return tuple(wanted.found)


def _batched(
    roots: Sequence[Any], targets: Sequence[Any], given: Sequence[Any], keep: bool, *options: bool
) -> tuple[Any, ...]:
    """One walk per entry of the first dimension of ``given``."""
    sizes = {g.layout.shape[0] for g in given if g is not None}
    if len(sizes) != 1:
        raise RuntimeError(f"grad(): batched grad_outputs must have one first dimension in common, not {sorted(sizes)}")
    (count,) = sizes
    rows = []
    for i in range(count):
        gradients = _starts(roots, [None if g is None else g[i] for g in given])
        rows.append(_grad(roots, targets, gradients, keep or i < count - 1, *options))
    return tuple(
        None if column[0] is None else stacked(column, dense((count, *t.layout.shape), t.layout.dtype))
        for t, column in zip(targets, zip(*rows, strict=True), strict=True)
    )


def _sequence(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, tuple | list) or not hasattr(x, "layout") else (x,)


def _starts(roots: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """The gradient of each root; as new tensors, since those of the user stay the user's."""
    if len(given) != len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(given)} gradients")
    result = []
    for i, (root, g) in enumerate(zip(roots, given, strict=True)):
        if not root.requires_grad:
            raise RuntimeError(
                f"element {i} of tensors does not require grad and does not have a grad_fn: nothing that it was "
                "computed from requires a gradient, or it was computed under no_grad() or detached. Set "
                "requires_grad=True on what you differentiate by, before the computation."
            )
        native.recorded(root)  # a view whose base was written into finds its node
        layout = root.layout
        result.append(_implicit(layout) if g is None else _explicit(i, layout, g))
    return result


def _implicit(layout: Layout) -> Any:
    if layout.numel != 1:
        raise RuntimeError(
            "grad can be implicitly created only for scalar outputs, not for "
            f"{tensor_text(layout.dtype, layout.shape)}. Reduce it first, for example with .sum() or "
            ".mean(), or pass backward(gradient=...) of this shape."
        )
    if layout.dtype.is_complex:
        raise RuntimeError(
            "grad can be implicitly created only for real scalar outputs but got "
            f"{layout.dtype}. Take .real, .imag or .abs(), or pass backward(gradient=...)."
        )
    return ones(like(layout))


def ones_for(root: Any) -> Any:
    """The gradient 1 of a tensor of one cell."""
    return ones(like(root.layout))


def _explicit(i: int, layout: Layout, g: Any) -> Any:
    if not hasattr(g, "layout"):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
    if g.layout.shape != layout.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{i}] has a shape of {shape_text(g.layout.shape)} and output[{i}] has a "
            f"shape of {shape_text(layout.shape)}. The gradient of a tensor has the tensor's shape."
        )
    if g.layout.dtype.is_complex != layout.dtype.is_complex:
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: "
            f"grad_output[{i}] has a dtype of {g.layout.dtype} and output[{i}] has a dtype of {layout.dtype}."
        )
    if g.layout.dtype is not layout.dtype:
        return g.to(layout.dtype)
    if g.tracked:
        return g
    return native.new_tensor(g.layout, g.storage, g.ptr)


def _require_tracked(inputs: Sequence[Any]) -> None:
    for t in inputs:
        if not t.requires_grad:
            raise RuntimeError(
                "One of the differentiated Tensors does not require grad: "
                f"{tensor_text(t.layout.dtype, t.layout.shape)}. Call requires_grad_() on it before the computation."
            )
