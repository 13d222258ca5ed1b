"""What users can do with the tensors that are saved for backward: ``saved_tensors_hooks`` and its relatives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any

from pellucid.errors import tensor_text
from pellucid.layout import Layout
from pellucid.runtime import native

Hooks = tuple[Callable[[Any], Any], Callable[[Any], Any]]


class _OfThread(threading.local):
    """The contexts that the running thread is in; the innermost is the last."""

    def __init__(self) -> None:
        self.contexts: list[Hooks] = []
        self.refusals: list[str] = []


_here = _OfThread()
active: list[Hooks] = []  # the contexts of all threads: empty if there is nothing to ask


def current() -> Hooks | None:
    """The pair (pack, unpack) that holds in this thread."""
    return _here.contexts[-1] if _here.contexts else None


def enter(hooks: Hooks) -> None:
    """Let a pair hold in this thread from here on.

    Raises:
        RuntimeError: within ``disable_saved_tensors_hooks``.
    """
    if _here.refusals:
        raise RuntimeError(_here.refusals[-1])
    _here.contexts.append(hooks)
    active.append(hooks)


def leave() -> None:
    active.remove(_here.contexts.pop())


class Packed:
    """A saved tensor in the form that the user's function gave it, and its place in the graph."""

    __slots__ = ("_layout", "_origin", "_unpack", "content")

    def __init__(self, t: Any, hooks: Hooks) -> None:
        """``t`` goes through the pack hook, detached.

        Raises:
            RuntimeError: the hook wrote into it.
        """
        pack, self._unpack = hooks
        version = t.storage.version
        self.content = pack(native.new_tensor(t.layout, t.storage, t.ptr))
        if t.storage.version != version:
            raise RuntimeError(
                "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook can "
                "not be modified by in-place operations: work on a copy (x.clone())."
            )
        self._layout: Layout = t.layout
        self._origin = (t.node or t, t.output_nr) if t.tracked else None

    def unpack(self, attach: Callable[[Any, Any], Any]) -> Any:
        """The tensor from the unpack hook, put back at its place in the graph by ``attach(tensor, edge)``.

        Raises:
            TypeError: the hook gave something else. RuntimeError: it gave another shape or dtype.
        """
        t = self._unpack(self.content)
        if not hasattr(t, "layout"):
            raise TypeError(f"Output of saved tensor unpack_hook expected to be a Tensor but got {type(t).__name__}")
        want, got = self._layout, t.layout
        if got.shape != want.shape or got.dtype is not want.dtype:
            raise RuntimeError(
                f"saved_tensors_hooks: {tensor_text(want.dtype, want.shape)} was saved, but the unpack hook gave "
                f"{tensor_text(got.dtype, got.shape)}. It has to give back what the pack hook took."
            )
        return t if self._origin is None or self._origin[0] is t else attach(t, self._origin)


class saved_tensors_hooks:
    """A context in which what backward needs is saved as ``pack(tensor)`` and read as ``unpack(packed)``.

    It holds for the calls of this thread. ``unpack`` gives back a tensor of the same shape and dtype.
    """

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        enter((self.pack_hook, self.unpack_hook))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        leave()


class save_on_cpu(saved_tensors_hooks):
    """A context in which what backward needs is kept in the CPU's memory."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda t: (t.device, t.cpu()), lambda packed: packed[1].to(packed[0]))


class disable_saved_tensors_hooks:
    """A context, or a decorator, in which ``saved_tensors_hooks`` raises RuntimeError with this message.

    Raises:
        RuntimeError: inside of ``saved_tensors_hooks``.
    """

    def __init__(self, error_message: str) -> None:
        self.error_message = error_message

    def __enter__(self) -> None:
        if _here.contexts:
            raise RuntimeError(self.error_message)
        _here.refusals.append(self.error_message)

    def __exit__(self, *_: object) -> None:
        _here.refusals.pop()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def within(*args: Any, **named: Any) -> Any:
            with self:
                return function(*args, **named)

        return within
