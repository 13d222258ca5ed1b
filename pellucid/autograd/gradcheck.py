"""Are the derivatives right? Compare them with differences of function values.

``gradcheck`` compares first derivatives, ``gradgradcheck`` the derivatives of those. Inputs should be float64 or
complex128: a difference of float32 values is too coarse.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid.autograd import engine
from pellucid.autograd.fresh import ones
from pellucid.dtypes import complex128, float64
from pellucid.errors import tensor_text
from pellucid.layout import Layout, dense, overlaps_itself
from pellucid.tensor import array_of

Function = Callable[..., Any]
Array = Any  # of NumPy


class GradcheckError(RuntimeError):
    """The derivatives that were computed are not those of the function."""


def gradcheck(
    func: Function,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the gradients of ``func(*inputs)`` are ``(func(x + eps) - func(x - eps)) / (2 eps)``, for every cell
    of every input that requires a gradient and every cell of every result, within ``atol + rtol * |difference|``.

    For complex inputs the step is made along the real and along the imaginary axis, and the gradient is the
    conjugate Wirtinger derivative. ``fast_mode`` compares one random combination of cells.

    Raises:
        GradcheckError: they differ (if ``raise_exception``, else the result is False).
        ValueError: no input requires a gradient, or one has overlapping cells.
    """
    given = _tuple(inputs)
    try:
        checked = _checked_inputs(given)
        outputs = _differentiable(func(*given))
        if not outputs:
            _require_no_gradient(func, given, checked)
            return True
        if check_backward_ad:
            compare = _compare_combination if fast_mode else _compare_all
            compare(func, given, checked, eps, atol, rtol, nondet_tol)
        if check_undefined_grad:
            _check_undefined(func, given, checked)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Function,
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """``gradcheck`` of the gradients of ``func``, as functions of the inputs and of the gradients of the results."""
    given = _tuple(inputs)
    outputs = _differentiable(func(*given))
    if grad_outputs is None:
        generator = np.random.default_rng(0)
        starts: tuple[Any, ...] = tuple(_random_like(o, generator) for o in outputs)
    else:
        starts = _tuple(grad_outputs)
    count = len(starts)
    wanted = [i for i, x in enumerate(given) if _is_tracked(x)]

    def gradients(*both: Any) -> tuple[Any, ...]:
        values, first = both[:-count], both[-count:]
        with_graph = [x if i not in wanted or x.requires_grad else x.requires_grad_() for i, x in enumerate(values)]
        results = _differentiable(func(*with_graph))
        return tuple(
            g
            for g in engine.grad(results, [values[i] for i in wanted], first, create_graph=True, allow_unused=True)
            if g is not None
        )

    return gradcheck(
        gradients, (*given, *starts), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, check_undefined_grad=check_undefined_grad, fast_mode=fast_mode,
    )  # fmt: skip


# -- inputs and results -----------------------------------------------------------------------------------------------


def _tuple(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, tuple | list) else (x,)


def _is_tracked(x: Any) -> bool:
    return hasattr(x, "layout") and x.requires_grad


def _differentiable(results: Any) -> tuple[Any, ...]:
    return tuple(r for r in _tuple(results) if _is_tracked(r))


def _checked_inputs(inputs: Sequence[Any]) -> list[int]:
    """The positions of what is differentiated by."""
    found = [i for i, x in enumerate(inputs) if _is_tracked(x)]
    if not found:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them have "
            "requires_grad=True."
        )
    for i in found:
        layout = inputs[i].layout
        if layout.dtype not in (float64, complex128):
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or complex. This check "
                "will likely fail if all the inputs are not of double precision floating point or complex. ",
                UserWarning,
                stacklevel=3,
            )
        if overlaps_itself(layout):
            raise GradcheckError(
                f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are "
                "non-overlapping to be able to compute the numerical gradients correctly. You should call "
                ".contiguous on the input before passing it to gradcheck."
            )
    return found


def _random_like(t: Any, generator: np.random.Generator) -> Any:
    fresh = ones(dense(t.layout.shape, t.layout.dtype))
    array = array_of(fresh)
    array[...] = generator.standard_normal(array.shape)
    if t.layout.dtype.is_complex:
        array[...] += 1j * generator.standard_normal(array.shape)
    fresh.tracked = True
    return fresh


def _unit(layout: Layout, cell: int, value: complex) -> Any:
    """Zeros with one cell set."""
    fresh = ones(dense(layout.shape, layout.dtype))
    array = array_of(fresh)
    array[...] = 0
    array.reshape(-1)[cell] = value
    return fresh


# -- the comparison ---------------------------------------------------------------------------------------------------


def _values(func: Function, inputs: Sequence[Any], of: Sequence[int]) -> list[Array]:
    """The differentiable results as arrays."""
    results = _tuple(func(*inputs))
    return [np.array(array_of(results[k])) for k in of]


def _differences(func: Function, inputs: Sequence[Any], i: int, eps: float, of: Sequence[int]) -> list[Array]:
    """For every result, its differences by every cell of input ``i``: (cells of the input, cells of the result).

    For a complex input: d/dx and d/dy as (2, ...).
    """
    x = inputs[i]
    array = array_of(x)
    steps = (eps, 1j * eps) if x.layout.dtype.is_complex else (eps,)
    columns: list[list[list[Array]]] = [[[] for _ in steps] for _ in of]
    for at in np.ndindex(*array.shape):
        kept = array[at].copy()
        for j, step in enumerate(steps):
            array[at] = kept + step
            above = _values(func, inputs, of)
            array[at] = kept - step
            below = _values(func, inputs, of)
            array[at] = kept
            for column, a, b in zip(columns, above, below, strict=True):
                column[j].append(((a - b) / (2 * eps)).reshape(-1))
    return [np.array(column) for column in columns]


def _numerical(difference: Array, is_complex: bool) -> Array:
    """What the gradient has to be for the gradient 1 of one cell of a result: (cells of the input, of the result).

    For a real input it is the derivative, for a complex one d/dx + i d/dy (the result being real here).
    """
    return difference[0] + 1j * difference[1] if is_complex else difference[0]


def _compare_all(
    func: Function, inputs: Sequence[Any], checked: list[int], eps: float, atol: float, rtol: float, nondet: float
) -> None:
    results = _tuple(func(*inputs))
    of = [k for k, r in enumerate(results) if _is_tracked(r)]
    targets = [inputs[i] for i in checked]
    analytical = {(k, part): _jacobian(results[k], targets, part) for k in of for part in _parts(results[k])}
    for (k, part), found in analytical.items():
        again = _jacobian(results[k], targets, part)
        for i, a, b in zip(checked, found, again, strict=True):
            if a.size and float(np.max(np.abs(a - b))) > nondet:
                raise GradcheckError(
                    f"Backward is not reentrant, i.e., running backward with same input and grad_output multiple times "
                    f"gives different values, although analytical gradient matches numerical gradient, for output {k} "
                    f"with respect to input {i}. The tolerance for nondeterminism was {nondet}."
                )
    for position, i in enumerate(checked):
        differences = _differences(func, inputs, i, eps, of)
        is_complex = inputs[i].layout.dtype.is_complex
        for k, difference in zip(of, differences, strict=True):
            for part in _parts(results[k]):
                own = difference.imag if part == 1j else difference.real
                wanted = _numerical(own, is_complex)
                _require_close(analytical[k, part][position], wanted, atol, rtol, i, k, part, inputs[i], results[k])


def _parts(result: Any) -> tuple[complex, ...]:
    """The gradients that are tried for a cell of a result: a complex one has two parts."""
    return (1, 1j) if result.layout.dtype.is_complex else (1,)


def _jacobian(result: Any, inputs: Sequence[Any], part: complex) -> list[Array]:
    """By backward: (cells of the input, cells of the result) for every input."""
    columns: list[list[Array]] = [[] for _ in inputs]
    for cell in range(result.layout.numel):
        start = _unit(result.layout, cell, part)
        found = engine.grad(result, inputs, start, retain_graph=True, allow_unused=True)
        for column, x, g in zip(columns, inputs, found, strict=True):
            column.append(_flat(g, x))
    return [
        np.stack(column, axis=1) if column else np.zeros((x.layout.numel, 0))
        for column, x in zip(columns, inputs, strict=True)
    ]


def _flat(g: Any, x: Any) -> Array:
    if g is None:
        return np.zeros(x.layout.numel, x.layout.dtype.numpy)
    if g.layout.shape != x.layout.shape or g.layout.dtype is not x.layout.dtype:
        raise GradcheckError(
            f"Gradient has {tensor_text(g.layout.dtype, g.layout.shape)}, the input "
            f"{tensor_text(x.layout.dtype, x.layout.shape)}: they must agree"
        )
    return np.array(array_of(g)).reshape(-1)


def _require_close(
    found: Array, wanted: Array, atol: float, rtol: float, i: int, k: int, part: complex, x: Any, result: Any
) -> None:
    if wanted.size == 0 and found.size == 0:
        return
    close = np.isclose(found, wanted, rtol=rtol, atol=atol, equal_nan=True)
    if close.all():
        return
    row, column = (int(j) for j in np.argwhere(~close)[0])
    source = tuple(int(j) for j in np.unravel_index(row, tuple(x.layout.shape) or (1,)))[: x.layout.ndim]
    place = tuple(int(j) for j in np.unravel_index(column, tuple(result.layout.shape) or (1,)))[: result.layout.ndim]
    which = "imaginary part of " if part == 1j else ""
    raise GradcheckError(
        f"Jacobian mismatch for output {k} with respect to input {i},\n"
        f"numerical:{wanted}\nanalytical:{found}\n"
        f"({int((~close).sum())} of {close.size} entries differ; the first one is the derivative of {which}output {k} "
        f"at {place} by input {i} at {source}: {wanted[row, column]:.8g} by differences, {found[row, column]:.8g} by "
        f"backward. rows: cells of the input, columns: cells of the output, tolerance {atol} + {rtol} * |value|.)"
    )


def _compare_combination(
    func: Function, inputs: Sequence[Any], checked: list[int], eps: float, atol: float, rtol: float, nondet: float
) -> None:
    """One random direction in the inputs and one random combination of the results' cells."""
    generator = np.random.default_rng(0)
    results = _differentiable(func(*inputs))
    of = [k for k, r in enumerate(_tuple(func(*inputs))) if _is_tracked(r)]
    starts = [_direction(r, generator) for r in results]
    targets = [inputs[i] for i in checked]
    found = engine.grad(results, targets, starts, retain_graph=True, allow_unused=True)
    for i, g in zip(checked, found, strict=True):
        array = array_of(inputs[i])
        step = array_of(_direction(inputs[i], generator))
        kept = array.copy()
        array[...] = kept + eps * step
        above = _values(func, inputs, of)
        array[...] = kept - eps * step
        below = _values(func, inputs, of)
        array[...] = kept
        change = sum(
            float(np.sum(np.conj(array_of(s)) * (a - b)).real) / (2 * eps)
            for s, a, b in zip(starts, above, below, strict=True)
        )
        slope = float(np.sum(np.conj(_flat(g, inputs[i])) * step.reshape(-1)).real)
        scale = float(np.sum(np.abs(step)) * sum(float(np.sum(np.abs(array_of(s)))) for s in starts))
        if abs(change - slope) > atol * scale + rtol * abs(change):
            raise GradcheckError(
                f"Jacobian mismatch with respect to input {i}: along a random direction the outputs change by "
                f"{change:.8g} by differences, by {slope:.8g} by backward. fast_mode=False tells which cells differ."
            )


def _direction(t: Any, generator: np.random.Generator) -> Any:
    start = _random_like(t, generator)
    start.tracked = False
    return start


def _require_no_gradient(func: Function, inputs: Sequence[Any], checked: list[int]) -> None:
    """Results without a gradient must not depend on the inputs that require one."""
    results = _tuple(func(*inputs))
    of = [k for k, r in enumerate(results) if hasattr(r, "layout") and r.layout.dtype.is_floating_point]
    for i in checked:
        for k, difference in zip(of, _differences(func, inputs, i, 1e-6, of), strict=True):
            if difference.size and float(np.max(np.abs(difference))) > 0:
                raise GradcheckError(
                    f"Numerical gradient for function expected to be zero: output {k} changes with input {i}, but does "
                    "not require a gradient. Was it detached, or computed under no_grad()?"
                )


def _check_undefined(func: Function, inputs: Sequence[Any], checked: list[int]) -> None:
    """With several results, backward must do with gradients of some of them."""
    results = _differentiable(func(*inputs))
    if len(results) < 2:
        return
    targets = [inputs[i] for i in checked]
    for r in results:
        start = ones(dense(r.layout.shape, r.layout.dtype))
        engine.grad(r, targets, start, retain_graph=True, allow_unused=True)

