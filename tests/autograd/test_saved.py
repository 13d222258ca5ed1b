"""Hooks on what is saved for backward."""

import threading
from typing import Any

import pytest

import pellucid
from pellucid.autograd.graph import disable_saved_tensors_hooks, saved_tensors_hooks


def test_values_go_through_both_hooks() -> None:
    x = pellucid.tensor([2.0, 3.0], requires_grad=True)
    with saved_tensors_hooks(lambda t: t * 10, lambda t: t / 5):
        y = x * x
    y.sum().backward()
    assert x.grad.tolist() == [8.0, 12.0]


@pytest.mark.parametrize("function", [lambda x: x * x * x, lambda x: x.exp(), lambda x: (x * 2).tanh()])
def test_derivatives_of_derivatives_find_their_way_through_the_hooks(function: Any) -> None:
    found = []
    for hooks in (None, (lambda t: t.clone(), lambda t: t.clone()), (lambda t: t, lambda t: t)):
        x = pellucid.tensor([0.5, -1.0], requires_grad=True)
        if hooks is None:
            y = function(x)
        else:
            with saved_tensors_hooks(*hooks):
                y = function(x)
        (first,) = pellucid.autograd.grad(y.sum(), x, create_graph=True)
        (second,) = pellucid.autograd.grad(first.sum(), x)
        found.append((first.tolist(), second.tolist()))
    assert found[0] == found[1] == found[2]


def test_pack_sees_a_tensor_outside_of_the_graph() -> None:
    seen = []
    x = pellucid.ones(2, requires_grad=True)
    with saved_tensors_hooks(lambda t: seen.append(t.requires_grad) or t, lambda t: t):
        (x * x).exp()
    assert seen == [False] * 3


def test_a_pack_hook_that_writes_is_refused() -> None:
    x = pellucid.ones(2, requires_grad=True)
    with saved_tensors_hooks(lambda t: t.mul_(2), lambda t: t), pytest.raises(RuntimeError, match="in place"):
        x * x


@pytest.mark.parametrize("given", [pellucid.ones(1), pellucid.ones(4, dtype=pellucid.float64)])
def test_another_shape_or_dtype_from_unpack_is_refused(given: Any) -> None:
    x = pellucid.ones(4, requires_grad=True)
    with saved_tensors_hooks(lambda t: t, lambda _: given):
        y = x * x
    with pytest.raises(RuntimeError, match="unpack hook gave"):
        y.sum().backward()


def test_something_else_than_a_tensor_from_unpack_is_refused() -> None:
    x = pellucid.ones(4, requires_grad=True)
    with saved_tensors_hooks(lambda t: t, lambda _: 3):
        y = x * x
    with pytest.raises(TypeError, match="unpack_hook"):
        y.sum().backward()


def test_hooks_hold_in_their_thread() -> None:
    packed = []

    def run() -> None:
        x = pellucid.ones(2, requires_grad=True)
        (x * x).sum().backward()

    with saved_tensors_hooks(lambda t: packed.append(t) or t, lambda t: t):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert packed == []
        run()
    assert len(packed) == 2


def test_hooks_can_be_forbidden() -> None:
    with disable_saved_tensors_hooks("not here"):
        with pytest.raises(RuntimeError, match="not here"), saved_tensors_hooks(lambda t: t, lambda t: t):
            pass
        x = pellucid.ones(2, requires_grad=True)
        (x * x).sum().backward()
    outer = saved_tensors_hooks(lambda t: t, lambda t: t)
    with outer, pytest.raises(RuntimeError, match="too late"), disable_saved_tensors_hooks("too late"):
        pass
