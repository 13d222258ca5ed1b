"""Whether calls are recorded: ``no_grad`` and its relatives, as contexts and as decorators."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, Self, TypeVar

from pellucid.runtime import native

F = TypeVar("F", bound=Callable[..., Any])


class _Mode:
    """A context in which gradients are on or off; also a decorator, of generators too (on while they run)."""

    __slots__ = ("before", "mode")

    def __init__(self, mode: bool) -> None:
        self.mode = mode
        self.before: list[bool] = []

    def __enter__(self) -> Self:
        self.before.append(native.set_grad_enabled(self.mode))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        native.set_grad_enabled(self.before.pop())

    def __call__(self, function: F) -> F:
        if inspect.isclass(function):
            setattr(function, "__init__", self(function.__init__))  # noqa: B010 - a method of a user's class
            return function
        if inspect.isgeneratorfunction(function):
            return self._generator(function)  # type: ignore[return-value]

        @functools.wraps(function)
        def within(*args: Any, **kwargs: Any) -> Any:
            before = native.set_grad_enabled(self.mode)
            try:
                return function(*args, **kwargs)
            finally:
                native.set_grad_enabled(before)

        return within  # type: ignore[return-value]

    def _generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def within(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            steps = function(*args, **kwargs)
            advance: Callable[[], Any] = lambda: next(steps)  # noqa: E731
            try:
                while True:
                    before = native.set_grad_enabled(self.mode)
                    try:
                        value = advance()
                    except StopIteration as end:
                        return end.value
                    finally:
                        native.set_grad_enabled(before)
                    try:
                        received = yield value
                        advance = functools.partial(steps.send, received)
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        advance = functools.partial(steps.throw, error)
            finally:
                before = native.set_grad_enabled(self.mode)
                try:
                    steps.close()
                finally:
                    native.set_grad_enabled(before)

        return within


class no_grad(_Mode):
    """Calls inside are not recorded: their results need no gradient."""

    __slots__ = ()

    def __new__(cls, function: Any = None) -> Any:
        mode = super().__new__(cls)
        if function is None:
            return mode
        mode.__init__()  # type: ignore[misc]
        return mode(function)  # ``@no_grad`` without parentheses

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(_Mode):
    """Calls inside are recorded, also within ``no_grad``."""

    __slots__ = ()

    def __new__(cls, function: Any = None) -> Any:
        mode = super().__new__(cls)
        if function is None:
            return mode
        mode.__init__()  # type: ignore[misc]
        return mode(function)

    def __init__(self) -> None:
        super().__init__(True)


class set_grad_enabled(_Mode):
    """Recording on or off by ``mode``: from the call on, or inside when it is used as a context or decorator."""

    __slots__ = ()

    def __init__(self, mode: bool) -> None:
        super().__init__(bool(mode))
        self.before.append(native.set_grad_enabled(self.mode))

    def __enter__(self) -> Self:
        native.set_grad_enabled(self.mode)
        return self

    def __exit__(self, *_: Any) -> None:
        native.set_grad_enabled(self.before[-1])

    def __call__(self, function: F) -> F:
        native.set_grad_enabled(self.before[-1])  # as a decorator it changes nothing outside
        return super().__call__(function)


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.inference: list[bool] = []  # the inference modes that the thread is in, the innermost last


_here = _OfThread()


class inference_mode(_Mode):
    """As ``no_grad`` (with ``mode=False``: as ``enable_grad``)."""

    __slots__ = ()

    def __new__(cls, mode: Any = True) -> Any:
        made = super().__new__(cls)
        if isinstance(mode, bool):
            return made
        made.__init__()  # type: ignore[misc]
        return made(mode)

    def __init__(self, mode: bool = True) -> None:
        super().__init__(not mode)

    def __enter__(self) -> Self:
        _here.inference.append(not self.mode)
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _here.inference.pop()
        super().__exit__(kind, error, trace)

    def __call__(self, function: F) -> F:
        if inspect.isclass(function) or inspect.isgeneratorfunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        def within(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return within  # type: ignore[return-value]


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside of ``inference_mode``."""
    return bool(_here.inference) and _here.inference[-1]


def is_grad_enabled() -> bool:
    """Whether calls are recorded now."""
    return native.grad_enabled()
