"""Less memory for more time: what lies inside of a checkpoint is computed again when backward needs it.

    saved by the calls inside    ->  their number in the order of saving
    backward asks for number i   ->  the function runs again, and gives what it saves as number i
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from pellucid.autograd import backward
from pellucid.autograd.function import Function
from pellucid.autograd.modes import enable_grad, no_grad
from pellucid.autograd.saved import saved_tensors_hooks
from pellucid.autograd.walk import current_walk
from pellucid.operators.generators import get_rng_state, set_rng_state
from pellucid.tensor import Tensor

Contexts = Callable[[], tuple[AbstractContextManager[Any], AbstractContextManager[Any]]]
_UNSAID = (
    "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. use_reentrant=False is "
    "recommended, but if you need to preserve the current default behavior, you can pass use_reentrant=True."
)


class CheckpointError(RuntimeError):
    """The function saved something else when it ran again."""


def _no_contexts() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    return nullcontext(), nullcontext()


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: bool | None = None, context_fn: Contexts = _no_contexts,
    determinism_check: str = "default", debug: bool = False, preserve_rng_state: bool = True, **kwargs: Any,
) -> Any:  # fmt: skip
    """``function(*args, **kwargs)``, without keeping what backward needs of the inside: it runs again then.

    Args:
        use_reentrant: whether the second run is a backward of its own, which takes only positional arguments and
            gives gradients only if one of them needs a gradient. Say False.
        preserve_rng_state: whether random numbers are the same in the second run.
        context_fn: makes two contexts, for the first run and the second.

    Raises:
        ValueError: keywords for a reentrant one. CheckpointError: the second run saved something else.
    """
    if use_reentrant is None:
        warnings.warn(_UNSAID, UserWarning, stacklevel=2)
        use_reentrant = True
    if not use_reentrant:
        return _recorded(function, args, kwargs, context_fn, determinism_check, preserve_rng_state)
    if kwargs:
        raise ValueError(f"Unexpected keyword arguments: {','.join(kwargs)}: use_reentrant=False takes them")
    if context_fn is not _no_contexts or debug:
        raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
    return _Reentrant.apply(function, preserve_rng_state, *args)


def _recorded(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], context_fn: Contexts, check: str,
    preserve: bool,
) -> Any:  # fmt: skip
    if check not in ("default", "none"):
        raise ValueError(f"determinism_check should be one of 'default', 'none', but got {check}")
    first, second = context_fn()
    state = get_rng_state() if preserve else None
    layouts: list[Any] = []
    again: dict[int, Tensor] = {}

    def pack(t: Tensor) -> int:
        layouts.append(t.layout)
        return len(layouts) - 1

    def unpack(number: int) -> Tensor:
        if number not in again:
            again.update(enumerate(_saved_again(function, args, kwargs, second, state, len(layouts))))
            if check == "default":
                _require_same(layouts, again)
        return again.pop(number)

    with saved_tensors_hooks(pack, unpack), first:
        return function(*args, **kwargs)


_early_stop = [True]


class set_checkpoint_early_stop:
    """A context in which the second run of a function ends (or does not) with the last value that backward needs."""

    def __init__(self, enable: bool) -> None:
        self.enable, self.before = enable, True

    def __enter__(self) -> None:
        self.before, _early_stop[0] = _early_stop[0], self.enable

    def __exit__(self, *_: object) -> None:
        _early_stop[0] = self.before


class _Enough(Exception):
    """The second run has saved all that backward asks for: the rest of it would be for nothing."""


def _saved_again(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], context: Any, state: Any, wanted: int
) -> list[Tensor]:
    """What the function saves for backward, in its order."""
    saved: list[Tensor] = []

    def pack(t: Tensor) -> int:
        saved.append(t.detach())
        if len(saved) == wanted and _early_stop[0]:
            raise _Enough
        return len(saved) - 1

    with _random_from(state), enable_grad(), saved_tensors_hooks(pack, saved.__getitem__), context, suppress(_Enough):
        function(*args, **kwargs)
    return saved


def _require_same(layouts: list[Any], again: dict[int, Tensor]) -> None:
    if len(layouts) != len(again):
        raise CheckpointError(
            f"torch.utils.checkpoint: A different number of tensors was saved during the original forward and "
            f"recomputation: {len(layouts)} and {len(again)}. The function has to do the same both times."
        )
    for number, layout in enumerate(layouts):
        got = again[number].layout
        if got.shape != layout.shape or got.dtype is not layout.dtype:
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than "
                f"during the forward pass: tensor {number} was {layout.dtype!r} {tuple(layout.shape)}, then "
                f"{got.dtype!r} {tuple(got.shape)}."
            )


@contextmanager
def _random_from(state: Any) -> Iterator[None]:
    """Random numbers as they were at ``state`` (None: as they come); what comes after the block is not changed."""
    if state is None:
        yield
        return
    before = get_rng_state()
    set_rng_state(state)
    try:
        yield
    finally:
        set_rng_state(before)


class _Reentrant(Function):
    """The first run records nothing; backward runs the function again and goes backward through that."""

    @staticmethod
    def forward(ctx: Any, function: Callable[..., Any], preserve: bool, *args: Any) -> Any:
        if not any(isinstance(a, Tensor) and a.requires_grad for a in args):
            warnings.warn(
                "None of the inputs have requires_grad=True. Gradients will be None", UserWarning, stacklevel=4
            )
        ctx.function, ctx.state = function, get_rng_state() if preserve else None
        ctx.args = [None if isinstance(a, Tensor) else a for a in args]
        ctx.places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        ctx.save_for_backward(*[args[i] for i in ctx.places])
        with no_grad():
            return function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        walk = current_walk()
        if walk is not None and walk.wanted is not None:
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs` "
                "parameter to .backward(): say use_reentrant=False"
            )
        args = list(ctx.args)
        for place, t in zip(ctx.places, ctx.saved_tensors, strict=True):
            args[place] = t.detach().requires_grad_(t.requires_grad)
        with _random_from(ctx.state), enable_grad():
            results = ctx.function(*args)
        results = (results,) if isinstance(results, Tensor) else results
        pairs = [(r, g) for r, g in zip(results, grads, strict=True) if isinstance(r, Tensor) and r.requires_grad]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        backward([r for r, _ in pairs], [g for _, g in pairs])
        return None, None, *[a.grad if isinstance(a, Tensor) else None for a in args]


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, preserve_rng_state: bool = True
) -> Any:
    """The modules one after the other, in ``segments`` checkpoints; the last one is kept whole."""
    if use_reentrant is None:
        warnings.warn(_UNSAID, UserWarning, stacklevel=2)
        use_reentrant = True
    steps = list(functions)
    size = len(steps) // segments
    for start in range(0, size * (segments - 1), size):
        segment = _in_turn(steps[start : start + size])
        input = checkpoint(segment, input, use_reentrant=use_reentrant, preserve_rng_state=preserve_rng_state)
    return _in_turn(steps[size * (segments - 1) :])(input)


def _in_turn(steps: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        for step in steps:
            x = step(x)
        return x

    return run
