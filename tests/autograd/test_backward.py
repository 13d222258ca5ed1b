"""Gradients of small programs, and what the errors say."""

import re
from typing import Any

import numpy as np
import pytest

import pellucid


def ramp(*shape: int) -> Any:
    count = int(np.prod(shape))
    return pellucid.arange(1, count + 1, dtype=pellucid.float64).reshape(shape).requires_grad_()


def values(t: Any) -> Any:
    return t.tolist()


def test_product_rule() -> None:
    a, b = ramp(2, 3), ramp(3)
    (a * b + a).sum().backward()
    assert values(a.grad) == [[2, 3, 4], [2, 3, 4]]
    assert values(b.grad) == [5, 7, 9]


def test_a_value_used_often_adds_up() -> None:
    a = ramp(3)
    total = a
    for _ in range(5):
        total = total + a * a
    total.sum().backward()
    assert values(a.grad) == [1 + 10 * x for x in (1, 2, 3)]


def test_grad_keeps_its_memory_while_it_adds_up() -> None:
    a = ramp(3)
    (a * 2).sum().backward()
    first = a.grad
    (a * 2).sum().backward()
    assert a.grad is first
    assert values(first) == [4, 4, 4]


def test_gradients_are_never_shared() -> None:
    a, b, start = ramp(3), ramp(3), pellucid.ones(3, dtype=pellucid.float64)
    y = a + b
    y.retain_grad()
    y.backward(start)
    for t in (a.grad, b.grad, y.grad):
        t.mul_(3)
    assert values(a.grad) == values(b.grad) == values(y.grad) == [3, 3, 3]
    assert values(start) == [1, 1, 1]


def test_grad_has_the_layout_of_its_leaf() -> None:
    a = ramp(2, 3)
    a.t().exp().sum().backward()
    assert a.grad.stride() == a.stride()
    (b := ramp(3)).sum().backward()
    assert b.grad.stride() == (1,)


def test_third_derivative() -> None:
    a = ramp(3)
    g = a
    power: Any = a * a * a * a
    for wanted in ([4, 32, 108], [12, 48, 108], [24, 48, 72]):
        (g,) = pellucid.autograd.grad(power.sum(), a, create_graph=True)
        assert values(g) == wanted
        power = g


def test_only_what_is_needed_runs() -> None:
    a, b = ramp(3), ramp(3)
    y = a * 2
    ran = []
    z = b * 3
    z.register_hook(lambda g: ran.append("z"))
    pellucid.autograd.grad((y * z).sum(), a)
    assert ran == []


def test_a_graph_of_many_nodes_needs_no_recursion() -> None:
    x = a = ramp(3)
    for _ in range(20_000):
        x = x + 1
    x.sum().backward()
    assert values(a.grad) == [1, 1, 1]


def message(call: Any, kind: type[Exception] = RuntimeError) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def test_errors_teach() -> None:
    a = ramp(2, 3)
    text = message(a.exp().backward)
    assert "grad can be implicitly created only for scalar outputs, not for float64 (2, 3)" in text
    assert ".sum()" in text
    text = message(a.detach().sum().backward)
    assert "element 0 of tensors does not require grad and does not have a grad_fn" in text
    assert "requires_grad=True" in text
    text = message(lambda: a.exp().backward(pellucid.ones(3)))
    assert "grad_output[0] has a shape of (3,) and output[0] has a shape of (2, 3)" in text
    y = a.exp().sum()
    y.backward()
    text = message(y.backward)
    assert text.startswith("ExpBackward0: Trying to backward through the graph a second time")
    assert "retain_graph=True" in text
    text = message(pellucid.ones(3, dtype=pellucid.int64).requires_grad_)
    assert "only Tensors of floating point and complex dtype can require gradients, not torch.int64" in text
    text = message(lambda: pellucid.autograd.grad(a.sum(), [a, ramp(2)]))
    assert "input 1 (float64 (2,))" in text


def test_overwritten_values_name_both_lines() -> None:
    x = ramp(3) * 2
    y = x * x  # here it is saved
    x.add_(1)  # here it is overwritten
    text = message(y.sum().backward)
    assert "[float64 (3,)], which MulBackward0 saved" in text
    assert "is at version 1; expected version 0" in text
    assert re.search(rf"saved at {re.escape(__file__)}:\d+: y = x \* x  # here it is saved", text)
    assert re.search(rf"overwritten at {re.escape(__file__)}:\d+: x.add_\(1\)  # here it is overwritten", text)


@pytest.mark.parametrize(
    "write",
    [
        lambda y: y.add_(1.0),
        lambda y: y.detach().zero_(),
        lambda y: y.detach()[0].fill_(2.0),
        lambda y: y.__setitem__(0, 5.0),
        lambda y: y.t().mul_(2.0),
        lambda y: y.view(-1)[1:].copy_(pellucid.zeros(2, dtype=pellucid.float64)),
    ],
)
def test_no_write_goes_unnoticed(write: Any) -> None:
    y = ramp(3).exp()
    write(y)
    assert "modified by an inplace operation" in message(y.sum().backward)


def test_complex_gradients_are_conjugate() -> None:
    z = pellucid.tensor([1 + 2j, 3 - 1j], dtype=pellucid.complex128, requires_grad=True)
    (z * z.conj()).real.sum().backward()
    assert values(z.grad) == [2 + 4j, 6 - 2j]


def test_mixed_dtypes() -> None:
    a = pellucid.ones(3, requires_grad=True)
    b = pellucid.ones(3, dtype=pellucid.float64, requires_grad=True)
    (a * b).sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == (pellucid.float32, pellucid.float64)


def test_a_gradient_that_two_leaves_get_is_added_to_the_second_before_the_first_changes() -> None:
    a, b = ramp(3), ramp(3)
    b.grad = pellucid.zeros(3, dtype=pellucid.float64)
    ((a + b) + a * 10).sum().backward()
    assert values(a.grad) == [11, 11, 11]
    assert values(b.grad) == [1, 1, 1]


def test_a_gradient_that_nobody_else_holds_becomes_grad_without_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.autograd import walk

    copies: list[Any] = []
    monkeypatch.setattr(walk, "copied", lambda g, layout: copies.append(g) or g)
    a, w = ramp(3), ramp(2, 3)
    ((a * a).exp() * 2).sum().backward()
    (w * w).view(-1).sum().backward()
    assert copies == []


def test_a_view_from_before_its_base_needed_a_gradient_cannot_be_written() -> None:
    a = pellucid.zeros(2, 3)
    view = a[:]
    a.requires_grad_()
    for t in (a, view):
        with pytest.raises(RuntimeError, match="in-place"):
            t.add_(5)
    assert a.tolist() == [[0.0] * 3] * 2


def test_strict_derivatives_tell_of_independence() -> None:
    functional, x = pellucid.autograd.functional, ramp(3)
    with pytest.raises(RuntimeError, match="jacobian of the function is independent"):
        functional.jacobian(lambda x: x * 1, x, create_graph=True, strict=True)
    with pytest.raises(RuntimeError, match="together"):
        functional.jacobian(lambda x: x * x, x, strict=True, vectorize=True)
    with pytest.raises(TypeError, match="must be Tensors"):
        functional.hessian(lambda x: (x.sum(), "more"), x)


def test_a_view_from_before_its_base_was_written_with_gradients_changes_them() -> None:
    w = pellucid.full((2, 3), 3.0).requires_grad_()
    x = pellucid.ones(2, 3)
    view = x[0]
    x.mul_(w)
    view.mul_(2)
    x.sum().backward()
    assert w.grad.tolist() == [[2.0] * 3, [1.0] * 3]
