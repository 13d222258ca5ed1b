"""Derivatives of functions as wholes: ``jacobian``, ``hessian`` and their products with vectors.

``func`` takes the inputs and returns one tensor or a tuple of them; results have the structure of the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pellucid.autograd import engine
from pellucid.autograd.fresh import zeros
from pellucid.autograd.inplace import stacked
from pellucid.autograd.modes import enable_grad
from pellucid.errors import shape_text
from pellucid.layout import dense

Function = Callable[..., Any]


def vjp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(``func(*inputs)``, ``v^T J``): the vector ``v`` has the shape of the result (1 for a single cell)."""
    with enable_grad():
        single, given = _fresh(inputs, create_graph)
        many, outputs = _outputs(func, given, "vjp")
        starts = _vector(v, outputs, "vjp")
        found = _grad(outputs, given, starts, create_graph, strict, "vjp")
    return _restore(outputs, not many, create_graph), _restore(found, single, create_graph)


def jvp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(``func(*inputs)``, ``J v``): the vector ``v`` has the shape of the inputs (1 for a single cell).

    Two backward walks: ``u^T J`` is linear in ``u``, and its derivative by ``u`` along ``v`` is ``J v``.
    """
    with enable_grad():
        _, given = _fresh(inputs, create_graph)
        many, outputs = _outputs(func, given, "jvp")
        directions = _vector(v, given, "jvp")
        dummies = tuple(zeros(dense(o.layout.shape, o.layout.dtype)).requires_grad_() for o in outputs)
        back = _grad(outputs, given, dummies, True, strict, "jvp")
        found = _grad(back, dummies, directions, create_graph, strict, "jvp")
    return _restore(outputs, not many, create_graph), _restore(found, not many, create_graph)


def jacobian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """``out[i.., j..] = d func(inputs)[i..] / d inputs[j..]``, for every result and every input.

    Raises:
        RuntimeError: ``strict`` and no dependence, or ``strict`` together with ``vectorize``.
    """
    _check_options("jacobian", strict, vectorize)
    with enable_grad():
        single, given = _fresh(inputs, create_graph)
        many, outputs = _outputs(func, given, "jacobian")
        rows = tuple(_rows(o, given, create_graph, strict) for o in outputs)
    rows = tuple(_restore(row, single, create_graph) for row in rows)
    return rows if many else rows[0]


def _check_options(caller: str, strict: bool, vectorize: bool) -> None:
    if strict and vectorize:
        raise RuntimeError(f"{caller}(): `strict=True` and `vectorized=True` are not supported together.")


def _rows(output: Any, inputs: Sequence[Any], create_graph: bool, strict: bool) -> tuple[Any, ...]:
    """The derivative of one result by every input."""
    shape = tuple(output.layout.shape)
    flat = output.reshape(-1)
    found = [
        _grad((flat[cell],), inputs, (None,), create_graph, strict, "jacobian", keep=True)
        for cell in range(output.layout.numel)
    ]
    return tuple(
        stacked([row[i] for row in found], dense((len(found), *x.layout.shape), x.layout.dtype)).reshape(
            (*shape, *x.layout.shape)
        )
        for i, x in enumerate(inputs)
    )


def hessian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """``out[i.., j..] = d^2 func(inputs) / d inputs[i..] d inputs[j..]`` of a function with one cell as result."""
    _check_options("hessian", strict, vectorize)
    single, given = _fresh(inputs, create_graph)

    def gradient(*values: Any) -> tuple[Any, ...]:
        found = jacobian(lambda *x: _one_cell(func(*x), "hessian"), values, create_graph=True, strict=strict)
        return tuple(g.reshape(x.layout.shape) for g, x in zip(found, values, strict=True))

    found = jacobian(gradient, given, create_graph=create_graph, strict=strict)
    return found[0][0] if single else found


def vhp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(``func(*inputs)``, ``v^T H``)."""
    with enable_grad():
        single, given = _fresh(inputs, create_graph)
        output = _one_cell(func(*given), "vhp")
        directions = _vector(v, given, "vhp")
        gradient = _grad((output,), given, (None,), True, strict, "vhp")
        found = _grad(gradient, given, directions, create_graph, strict, "vhp")
    return _restore((output,), True, create_graph), _restore(found, single, create_graph)


def hvp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(``func(*inputs)``, ``H v``); the Hessian is symmetric, so this is ``vhp``."""
    return vhp(func, inputs, v, create_graph, strict)


# -- what they share --------------------------------------------------------------------------------------------------


def _fresh(inputs: Any, create_graph: bool) -> tuple[bool, tuple[Any, ...]]:
    """The inputs as tensors that need gradients and belong to this call (with ``create_graph``: to the graph too)."""
    single = not isinstance(inputs, tuple | list)
    given = (inputs,) if single else tuple(inputs)
    for i, x in enumerate(given):
        if not hasattr(x, "layout"):
            raise TypeError(f"The inputs given have to be Tensors or a tuple of Tensors, but input {i} is {type(x)}")
    if create_graph:
        return single, tuple(x.view_as(x) if x.requires_grad else x.detach().requires_grad_() for x in given)
    return single, tuple(x.detach().requires_grad_() for x in given)


def _outputs(func: Function, inputs: Sequence[Any], caller: str) -> tuple[bool, tuple[Any, ...]]:
    outputs = func(*inputs)
    many = isinstance(outputs, tuple | list)
    result = tuple(outputs) if many else (outputs,)
    for o in result:
        if not hasattr(o, "layout"):
            raise TypeError(f"{caller}(): The outputs of the user-provided function must be Tensors, not {type(o)}")
    return many, result


def _one_cell(output: Any, caller: str) -> Any:
    if not hasattr(output, "layout"):
        given = output if isinstance(output, tuple) else (output,)
        if any(not hasattr(o, "layout") for o in given):
            raise TypeError(f"The outputs of the user-provided function given to {caller} must be Tensors, not {given!r}")
        raise RuntimeError(f"{caller}(): The function given should return a single Tensor, not {type(output)}")
    if output.layout.numel != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {caller} should contain a single element, its shape is "
            f"{shape_text(output.layout.shape)}"
        )
    return output.reshape(())


def _vector(v: Any, like: Sequence[Any], caller: str) -> tuple[Any, ...]:
    if v is None:
        if len(like) != 1 or like[0].layout.numel != 1:
            raise RuntimeError(
                f"{caller}(): The vector v can only be None if there is a single tensor with a single element to "
                "multiply it with."
            )
        return (None,)
    given = tuple(v) if isinstance(v, tuple | list) else (v,)
    if len(given) != len(like):
        raise RuntimeError(f"{caller}(): v is a tuple of invalid length: should be {len(like)} but got {len(given)}.")
    for i, (own, x) in enumerate(zip(given, like, strict=True)):
        if own.layout.shape != x.layout.shape:
            raise RuntimeError(
                f"{caller}(): v has invalid size at position {i}: should be {shape_text(x.layout.shape)} but got "
                f"{shape_text(own.layout.shape)}."
            )
    return given


def _grad(
    outputs: Sequence[Any],
    inputs: Sequence[Any],
    starts: Sequence[Any],
    create_graph: bool,
    strict: bool,
    caller: str,
    keep: bool | None = None,
) -> tuple[Any, ...]:
    """Gradients; zeros where there is no dependence (``strict``: an error)."""
    pairs = [(o, g) for o, g in zip(outputs, starts, strict=True) if o.requires_grad]
    if strict and len(pairs) != len(outputs):
        raise RuntimeError(f"{caller}(): an output of the function is independent of the inputs (strict=True)")
    if not pairs:
        return tuple(zeros(dense(x.layout.shape, x.layout.dtype)) for x in inputs)
    roots, gradients = zip(*pairs, strict=True)
    gradients = tuple(engine.ones_for(o) if g is None else g for o, g in zip(roots, gradients, strict=True))
    found = engine.grad(roots, inputs, gradients, keep, create_graph, allow_unused=True)
    if strict and any(g is None for g in found):
        raise RuntimeError(f"{caller}(): the output of the function is independent of an input (strict=True)")
    if strict and create_graph and not all(g.requires_grad for g in found):
        raise RuntimeError(
            f"{caller}(): the jacobian of the function is independent of an input (strict=True, create_graph=True)"
        )
    return tuple(
        zeros(dense(x.layout.shape, x.layout.dtype)) if g is None else g for g, x in zip(found, inputs, strict=True)
    )


def _restore(tensors: Sequence[Any], single: bool, create_graph: bool) -> Any:
    done = tuple(tensors) if create_graph else tuple(t.detach() for t in tensors)
    return done[0] if single else done
