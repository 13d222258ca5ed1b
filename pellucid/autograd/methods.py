"""Tensor's gradient side: ``requires_grad``, ``grad``, ``backward``, ``detach``, hooks."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any
from weakref import ref

from pellucid.autograd import engine, hooks
from pellucid.autograd.graph import Node, hooks_of
from pellucid.autograd.views import refresh
from pellucid.errors import shape_text, tensor_text
from pellucid.layout import Layout
from pellucid.runtime import native
from pellucid.tensor import Tensor


def _requires_grad(t: Tensor) -> bool:
    """Whether gradients are computed for this tensor; a view needs one if its base does."""
    return t.tracked or (t.base is not None and t.base.tracked)


def _grad_fn(t: Tensor) -> Node | None:
    """The call that made this tensor, as a node of the graph; None for a leaf."""
    if t.base is not None and t.seen != t.storage.version:
        refresh(t)
    return t.node


def _is_leaf(t: Tensor) -> bool:
    """Whether no recorded call made this tensor."""
    return _grad_fn(t) is None


def requires_grad_(t: Tensor, requires_grad: bool = True) -> Tensor:
    """Say whether gradients are to be computed for this leaf.

    Raises:
        RuntimeError: the dtype is not floating point or complex; False for a tensor that was computed.
    """
    dtype = t.layout.dtype
    if requires_grad and not (dtype.is_floating_point or dtype.is_complex):
        raise RuntimeError(
            f"only Tensors of floating point and complex dtype can require gradients, not {dtype}; convert with "
            ".float() first"
        )
    if not requires_grad and t.node is not None:
        raise RuntimeError(
            "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
            "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
        )
    if t.node is None:
        t.tracked = bool(requires_grad)
    return t


def _set_requires_grad(t: Tensor, value: bool) -> None:
    if t.node is not None:
        raise RuntimeError(
            "you can only change requires_grad flags of leaf variables."
            + ("" if value else " Use detach() for a tensor that takes no part in differentiation.")
        )
    requires_grad_(t, value)


def _grad(t: Tensor) -> Tensor | None:
    """The gradient that backward() added up for this tensor, or None."""
    if t.gradient is None and t.node is not None and not t.retains_grad:
        warnings.warn(
            "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't "
            "be populated during autograd.backward(). If you indeed want the .grad field to be populated for a "
            "non-leaf Tensor, use .retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by "
            "mistake, make sure you access the leaf Tensor instead.",
            UserWarning,
            stacklevel=2,
        )
    return t.gradient


def _set_grad(t: Tensor, value: Tensor | None) -> None:
    if value is not None:
        _check_grad(t, value)
    t.gradient = value


def _check_grad(t: Tensor, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}")
    if value is t:
        raise RuntimeError("can't assign Variable as its own grad")
    if value.layout.dtype is not t.layout.dtype:
        raise RuntimeError(
            f"attempting to assign a gradient with dtype '{value.layout.dtype}' to a tensor with dtype "
            f"'{t.layout.dtype}'. Please ensure that the gradient and the tensor have the same dtype"
        )
    if value.layout.device != t.layout.device:
        raise RuntimeError(
            f"assigned grad has data located on a different device: {value.layout.device}, not {t.layout.device}"
        )
    if value.layout.shape != t.layout.shape:
        raise RuntimeError(
            f"assigned grad has data of a different size: {shape_text(value.layout.shape)}, the tensor is "
            f"{shape_text(t.layout.shape)}"
        )


def _delete_grad(t: Tensor) -> None:
    t.gradient = None


def backward(
    t: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add to the ``grad`` of every leaf that this tensor was computed from. See ``autograd.backward``."""
    engine.backward(t, gradient, retain_graph, create_graph, inputs=inputs)


def detach(t: Tensor) -> Tensor:
    """The same cells outside of the graph: memory is shared, gradients stop here."""
    return native.new_tensor(t.layout, t.storage, t.ptr)


def detach_(t: Tensor) -> Tensor:
    """Take this tensor out of the graph.

    Raises:
        RuntimeError: it is a view, whose history belongs to its base.
    """
    if t.base is not None:
        raise RuntimeError("Can't detach views in-place. Use detach() instead.")
    t.node, t.output_nr, t.tracked = None, 0, False
    return t


def _data(t: Tensor) -> Tensor:
    """The same cells outside of the graph, with a version of their own: writes through it go unnoticed."""
    storage = native.wrap(t.storage.ptr, t.storage.nbytes, t.storage)
    return native.new_tensor(t.layout, storage, t.ptr)


def _set_data(t: Tensor, value: Tensor) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
    if t.tracked and not (value.layout.dtype.is_floating_point or value.layout.dtype.is_complex):
        raise RuntimeError(
            "data set to a tensor that requires gradients must be floating point or complex dtype, not "
            f"{tensor_text(value.layout.dtype, value.layout.shape)}"
        )
    storage = native.wrap(value.storage.ptr, value.storage.nbytes, value.storage)  # with a version of its own
    replace_cells(t, value.layout, storage, value.ptr)
    t.base = None


def replace_cells(t: Tensor, layout: Layout, storage: native.Storage, ptr: int) -> None:
    """Let ``t`` show other cells. Where a graph has saved it, cells of the same shape and dtype take the place of the
    former ones; cells of another kind count as a write, so that backward refuses them.

    ``storage``: nobody else's, or the one that ``t`` has.
    """
    same = layout.shape == t.layout.shape and layout.dtype is t.layout.dtype
    storage.version = t.storage.version + (not same)
    t.layout, t.storage, t.ptr = layout, storage, ptr


def register_hook(t: Tensor, hook: Callable[[Tensor], Tensor | None]) -> hooks.RemovableHandle:
    """Call ``hook(gradient)`` whenever the gradient of this tensor is computed; what it returns, if not None,
    takes the gradient's place.

    Raises:
        RuntimeError: the tensor needs no gradient.
    """
    if not t.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if t.node is None:
        return hooks.of_leaf(t).before.add(hook)
    return hooks_of(t.node).results.setdefault(t.output_nr, hooks.HookDict()).add(hook)


def register_post_accumulate_grad_hook(t: Tensor, hook: Callable[[Tensor], None]) -> hooks.RemovableHandle:
    """Call ``hook(tensor)`` after a gradient was added to the ``grad`` of this leaf."""
    if not t.tracked:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if t.node is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    return hooks.of_leaf(t).after.add(hook)


def retain_grad(t: Tensor) -> None:
    """Keep the gradient of this computed tensor in its ``grad``. (Leaves keep theirs anyway.)"""
    if not t.requires_grad:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if t.node is not None and not t.retains_grad:
        hooks_of(t.node).retained[t.output_nr] = ref(t)


def _retains_grad(t: Tensor) -> bool:
    own = None if t.node is None or t.node.hooks is None else t.node.hooks.retained.get(t.output_nr)
    return own is not None and own() is t


Tensor.grad_fn = property(_grad_fn)  # type: ignore[attr-defined]
Tensor.is_leaf = property(_is_leaf)  # type: ignore[attr-defined]
Tensor.requires_grad = property(_requires_grad, _set_requires_grad)  # type: ignore[attr-defined]
Tensor.grad = property(_grad, _set_grad, _delete_grad)  # type: ignore[attr-defined]
Tensor.data = property(_data, _set_data)  # type: ignore[attr-defined]
Tensor.retains_grad = property(_retains_grad)  # type: ignore[attr-defined]
for _method in (
    requires_grad_, backward, detach, detach_, register_hook, register_post_accumulate_grad_hook, retain_grad,
):  # fmt: skip
    setattr(Tensor, _method.__name__, _method)
