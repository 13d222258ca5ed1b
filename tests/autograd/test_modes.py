"""Whether calls are recorded."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import pellucid


def recorded() -> bool:
    return bool((pellucid.ones(1, requires_grad=True) * 2).requires_grad)


@pytest.mark.parametrize("mode", [pellucid.no_grad, pellucid.inference_mode])
def test_off_and_on(mode: Any) -> None:
    with mode():
        assert not recorded()
        with pellucid.enable_grad():
            assert recorded()
        assert not recorded()
    assert recorded()
    with mode(), pytest.raises(KeyError):
        raise KeyError
    assert recorded()


def test_one_object_serves_nested_contexts() -> None:
    off = pellucid.no_grad()
    with off:
        with off:
            assert not recorded()
        assert not recorded()
    assert recorded()


def test_set_grad_enabled_is_a_function_and_a_context() -> None:
    pellucid.set_grad_enabled(False)
    assert not recorded()
    with pellucid.set_grad_enabled(True):
        assert recorded()
    assert not recorded()
    pellucid.set_grad_enabled(True)


def test_decorators() -> None:
    @pellucid.no_grad()
    def one() -> bool:
        """What it does."""
        return recorded()

    @pellucid.no_grad
    def two() -> bool:
        return recorded()

    assert (one(), two(), recorded()) == (False, False, True)
    assert (one.__name__, one.__doc__) == ("one", "What it does.")


def test_decorated_generators_are_off_only_while_they_run() -> None:
    closed = []

    @pellucid.no_grad()
    def steps() -> Iterator[bool]:
        try:
            yield recorded()
            yield recorded()
        finally:
            closed.append(recorded())

    for inside in steps():
        assert not inside
        assert recorded()
    running = steps()
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert closed == [False, False]
    assert recorded()


def test_each_thread_has_its_own_mode() -> None:
    seen = []

    def run() -> None:
        seen.append(recorded())
        pellucid.set_grad_enabled(False)
        seen.append(recorded())

    def run_all() -> None:
        for _ in range(3):
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()

    run_all()
    assert recorded()
    with pellucid.no_grad():
        run_all()
        assert not recorded()
    assert seen == [True, False] * 6
    assert recorded()


def test_threads_that_take_turns_keep_their_modes() -> None:
    turns = [threading.Event(), threading.Event()]
    wrong = []

    def run(me: int, mode: bool) -> None:
        with pellucid.set_grad_enabled(mode):
            for _ in range(20):
                turns[me].wait()
                turns[me].clear()
                if recorded() is not mode:
                    wrong.append(me)
                turns[1 - me].set()

    threads = [threading.Thread(target=run, args=(k, k == 0)) for k in (0, 1)]
    turns[0].set()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_inference_mode_says_that_it_is_on() -> None:
    asked = pellucid.is_inference_mode_enabled
    seen = [asked()]
    with pellucid.inference_mode():
        seen.append(asked())
        with pellucid.inference_mode(mode=False):
            seen.append(asked())
            assert recorded()
        with pellucid.enable_grad():
            seen.append(asked())
    seen.append(asked())
    assert seen == [False, True, False, True, False]
    assert pellucid.inference_mode()(asked)()
    assert pellucid.autograd.grad_mode.no_grad is pellucid.no_grad


def test_numpy_of_what_needs_a_gradient() -> None:
    x = pellucid.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="detach"):
        x.numpy()
    with pellucid.no_grad():
        assert x.numpy().tolist() == [1.0, 1.0]
