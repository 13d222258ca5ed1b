"""Functions whose derivative the user writes: ``autograd.Function``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any
from weakref import ref

from pellucid.autograd.fresh import zeros
from pellucid.autograd.graph import Edge, Node, new_node
from pellucid.autograd.hooks import shared
from pellucid.autograd.inplace import require_writable, written_by
from pellucid.autograd.views import strided
from pellucid.errors import shape_text, tensor_text
from pellucid.layout import Layout, like
from pellucid.runtime import native


class FunctionCtx:
    """What ``forward`` leaves for ``backward``; any attribute may be set on it."""

    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self._to_save: tuple[Any, ...] = ()
        self._node: Callable[[], Node | None] | None = None  # weak: the node's rule holds this context
        self._dirty: tuple[Any, ...] = ()
        self._constant: tuple[Any, ...] = ()
        self._constant_numbers: frozenset[int] = frozenset()
        self._own: tuple[int | None, ...] = ()  # for each saved tensor: the number of the result that it is
        self._materialize = True

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (or None) for ``backward``, where they are ``ctx.saved_tensors``. Only here are they checked
        for being overwritten, and only so do results not keep themselves alive."""
        for t in tensors:
            if t is not None and not hasattr(t, "layout"):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument is of type {type(t).__name__}; keep "
                    "other things as attributes of ctx"
                )
        self._to_save = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Keep tensors for ``jvp``."""
        self.saved_for_forward = tensors

    def mark_dirty(self, *args: Any) -> None:
        """Say which inputs ``forward`` wrote into; they have to be among its results."""
        self._dirty = args

    def mark_non_differentiable(self, *args: Any) -> None:
        """Say which results take no gradient."""
        self._constant = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` sees zeros (the default) or None for results without a gradient."""
        self._materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What ``save_for_backward`` kept.

        Raises:
            RuntimeError: it was released by an earlier backward, or overwritten.
        """
        node = None if self._node is None else self._node()
        if node is None:
            return self._to_save
        values = node.values()
        if not native.grad_enabled():
            return values
        return tuple([
            _of_node(t, node, k) if k is not None else t for t, k in zip(values, self._own, strict=True)
        ])  # fmt: skip


def _of_node(t: Any, node: Node, k: int) -> Any:
    """A saved result as a part of the graph again."""
    fresh = native.new_tensor(t.layout, t.storage, t.ptr)
    fresh.node, fresh.output_nr, fresh.tracked = node, k, True
    return fresh


class FunctionRule:
    """The rule of one call of a custom function."""

    of_user = True

    def __init__(self, function: type[Function], context: FunctionCtx, places: tuple[int | None, ...]) -> None:
        self.name = f"{function.__name__}Backward"
        self.function, self.context = function, context
        self.places = places  # for each argument of ``forward``: which edge it is, if it is a tensor
        self.inputs: tuple[Layout | None, ...] = ()  # layouts, by edge

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return ()

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        context = self.context
        if context._materialize:
            grads = [
                zeros(like(layout)) if g is None and layout is not None else g
                for g, layout in zip(grads, node.layouts, strict=True)
            ]
        given = self._formula()(context, *grads)
        given = given if isinstance(given, tuple | list) else (given,)
        given = self._as_many(tuple(given))
        results: list[Any] = [None] * len(node.edges)
        for k, (g, place) in enumerate(zip(given, self.places, strict=True)):
            if g is not None and place is not None and node.edges[place] is not None:
                results[place] = shared(self._checked(g, k, self.inputs[place]))
            elif g is not None and place is None:
                raise RuntimeError(
                    f"function {self.name} returned a gradient different than None at position {k + 1}, but the "
                    "corresponding forward input was not a Variable"
                )
        return results

    def _formula(self) -> Callable[..., Any]:
        """What the user wrote: ``backward``, or ``vjp``, which is the same."""
        function = self.function
        if function.vjp is Function.vjp:
            return function.backward
        if function.backward is not Function.backward:
            raise RuntimeError(
                f"{function.__name__}: Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You "
                "should only implement one of them."
            )
        return function.vjp

    def _as_many(self, given: tuple[Any, ...]) -> tuple[Any, ...]:
        wanted = len(self.places)
        if len(given) > wanted and all(g is None for g in given[wanted:]):
            return given[:wanted]
        if len(given) != wanted:
            raise RuntimeError(
                f"function {self.name} returned an incorrect number of gradients (expected {wanted}, got "
                f"{len(given)}): backward returns one for each argument of forward, None for what is not a tensor"
            )
        return given

    def _checked(self, g: Any, k: int, layout: Layout | None) -> Any:
        assert layout is not None
        if not hasattr(g, "layout"):
            raise TypeError(f"function {self.name} returned a {type(g).__name__} as gradient {k}, not a Tensor")
        if g.layout.shape != layout.shape:
            if _expands_to(tuple(layout.shape), tuple(g.layout.shape)):
                g = _sum_to(g, tuple(layout.shape))
            else:
                raise RuntimeError(
                    f"Function {self.name} returned an invalid gradient at index {k} - got "
                    f"{shape_text(g.layout.shape)} but expected shape compatible with {shape_text(layout.shape)}"
                )
        return g if g.layout.dtype is layout.dtype else g.to(layout.dtype)


def _expands_to(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    if len(small) > len(large):
        return False
    return all(a in (1, b) for a, b in zip(small, large[len(large) - len(small) :], strict=True))


def _sum_to(g: Any, shape: tuple[int, ...]) -> Any:
    extra = g.layout.ndim - len(shape)
    dims = [*range(extra), *(d + extra for d, n in enumerate(shape) if n == 1 and g.layout.shape[d + extra] != 1)]
    return g.sum(dims).reshape(shape)


class Function:
    """A pair of static methods that say a function and its derivative.

        class Cube(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * x * x

            @staticmethod
            def backward(ctx, g):
                (x,) = ctx.saved_tensors
                return 3 * x * x * g

        y = Cube.apply(x)

    With a third one, ``setup_context(ctx, inputs, output)``, ``forward`` takes no ``ctx``.
    """

    generate_vmap_rule = False

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The value; runs without being recorded."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Fill ``ctx`` from the inputs and the output of ``forward``."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradients of the inputs, one for each argument of ``forward``."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """The derivative in a direction, for forward mode."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        """The function over one more dimension."""
        raise NotImplementedError("To use autograd.Function with vmap, you must implement the vmap staticmethod.")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Call the function and record the call."""
        context = FunctionCtx()
        tensors = [a for a in args if hasattr(a, "layout")]
        record = native.recorded(*tensors)
        context.needs_input_grad = tuple(record and getattr(a, "tracked", False) for a in args)
        edges: tuple[Edge, ...] = tuple([(t.node or t, t.output_nr) if record and t.tracked else None for t in tensors])
        before = native.set_grad_enabled(False)
        try:
            if cls.setup_context is Function.setup_context:
                output = cls.forward(context, *args, **kwargs)
            else:
                output = cls.forward(*args, **kwargs)
                cls.setup_context(context, args, output)
        finally:
            native.set_grad_enabled(before)
        outputs = output if isinstance(output, tuple) else (output,)
        context._constant_numbers = frozenset(
            k for k, t in enumerate(outputs) if not _can_differentiate(t, context._constant)
        )
        if not record:
            return output
        outputs = cls._record(context, args, tensors, edges, outputs)
        return outputs if isinstance(output, tuple) else outputs[0]

    @classmethod
    def _record(
        cls,
        context: FunctionCtx,
        args: tuple[Any, ...],
        tensors: list[Any],
        edges: tuple[Edge, ...],
        outputs: tuple[Any, ...],
    ) -> tuple[Any, ...]:
        """Hang a node on the outputs. An input that is handed through becomes a tensor of its own, one that was
        written into (dirty) stays what it is."""
        numbers = iter(range(len(tensors)))
        rule = FunctionRule(cls, context, tuple(next(numbers) if hasattr(a, "layout") else None for a in args))
        rule.inputs = tuple(t.layout for t in tensors)
        cls._check_dirty(context, outputs)
        passed = {id(t) for t in tensors} - {id(t) for t in context._dirty}
        made = {id(o): k for k, o in enumerate(outputs) if id(o) not in passed}
        outputs = tuple(strided(o, o.layout, 0) if id(o) in passed else o for o in outputs)
        context._own = tuple(made.get(id(t)) for t in context._to_save)
        saved = tuple(
            t if k is None else native.new_tensor(t.layout, t.storage, t.ptr)
            for t, k in zip(context._to_save, context._own, strict=True)
        )
        context._to_save = ()
        layouts = tuple(getattr(o, "layout", None) for o in outputs)
        node = new_node(rule, edges, tuple(range(len(saved))), saved, layouts)
        context._node = ref(node)
        before = {id(t): edge for t, edge in zip(tensors, edges, strict=True)}
        for k, out in enumerate(outputs):
            if k in context._constant_numbers:
                continue
            if any(out is t for t in context._dirty) and len(outputs) == 1:
                written_by(node, out, before.get(id(out)))
            else:
                out.node, out.output_nr, out.tracked = node, k, True
        return outputs

    @classmethod
    def _check_dirty(cls, context: FunctionCtx, outputs: tuple[Any, ...]) -> None:
        for t in context._dirty:
            require_writable(t)
            if t.base is not None and len(outputs) > 1:
                raise RuntimeError(
                    f"{cls.__name__}: a function that writes into a view must return that view alone, not {len(outputs)} "
                    "results: the view's base needs a history, too"
                )
            if not any(t is o for o in outputs):
                raise RuntimeError(
                    f"{cls.__name__}: an input that mark_dirty() names ({tensor_text(t.layout.dtype, t.layout.shape)}) "
                    "has to be returned by forward"
                )


def _can_differentiate(t: Any, constant: tuple[Any, ...]) -> bool:
    if not hasattr(t, "layout") or any(t is c for c in constant):
        return False
    return bool(t.layout.dtype.is_floating_point or t.layout.dtype.is_complex)


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """For a ``backward`` that is not itself differentiable: it runs unrecorded, and going through it again is an
    error instead of a wrong gradient."""

    @functools.wraps(backward)
    def wrapper(ctx: Any, *grads: Any) -> Any:
        with_graph = native.grad_enabled() and any(getattr(g, "tracked", False) for g in (*grads, *ctx.saved_tensors))
        before = native.set_grad_enabled(False)
        try:
            results = backward(ctx, *grads)
        finally:
            native.set_grad_enabled(before)
        if not with_graph:
            return results
        single = not isinstance(results, tuple)
        refused = tuple(_refusing(r) for r in ((results,) if single else results))
        return refused[0] if single else refused

    return wrapper


class _Refusal:
    """The rule of what cannot be differentiated again."""

    name = "DelayedErrorBackward"

    def keep(self, needed: tuple[bool, ...]) -> tuple[int, ...]:
        return ()

    def backward(self, node: Node, grads: list[Any]) -> Sequence[Any]:
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable. Write its backward "
            "with differentiable operations and leave the mark out."
        )


def _refusing(t: Any) -> Any:
    if t is None:
        return None
    fresh = native.new_tensor(t.layout, t.storage, t.ptr)
    fresh.node, fresh.tracked = new_node(_Refusal(), (), (), (), (t.layout,)), True
    return fresh
