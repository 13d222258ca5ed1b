"""Hooks of tensors and nodes: what they see, in which order, and what they may change."""

import threading
from typing import Any

import pytest

import pellucid
from pellucid.autograd import Function, Variable
from pellucid.autograd.graph import Node, register_multi_grad_hook


def test_order_along_the_way_to_a_leaf() -> None:
    log: list[str] = []
    a = pellucid.ones(2, requires_grad=True)
    b = a.clone()
    adding = b.grad_fn.next_functions[0][0]
    adding.register_hook(lambda inputs, outputs: log.append(f"after adding {outputs[0].tolist()}"))
    adding.register_prehook(lambda grads: log.append("before adding") or (grads[0] * 2,))
    a.register_post_accumulate_grad_hook(lambda leaf: log.append(f"leaf {leaf.grad.tolist()}"))
    a.register_hook(lambda g: log.append("gradient") or g * 3)
    b.grad_fn.register_prehook(lambda grads: log.append("before node"))
    b.register_hook(lambda g: log.append("result"))
    b.sum().backward()
    assert log == [
        "result", "before node", "gradient", "before adding", "leaf [6.0, 6.0]", "after adding [6.0, 6.0]",
    ]  # fmt: skip
    assert a.grad.tolist() == [6.0, 6.0]


def test_grad_runs_the_hooks_of_what_it_asks_for_and_not_those_of_its_node() -> None:
    a = pellucid.ones(2, requires_grad=True)
    b = a * 2
    log: list[str] = []
    b.register_hook(lambda g: log.append("b"))
    b.grad_fn.register_prehook(lambda grads: log.append("before"))
    b.grad_fn.register_hook(lambda inputs, outputs: log.append("after"))
    b.grad_fn.next_functions[0][0].register_prehook(lambda grads: log.append("adding"))
    c = (b * 2).sum()
    pellucid.autograd.grad(c, b, retain_graph=True)
    assert log == ["b"]
    pellucid.autograd.grad(c, a, retain_graph=True)
    assert log == ["b", "b", "before", "after"]


def test_the_node_of_a_leaf_is_one_object_while_it_is_held() -> None:
    a = pellucid.ones(2, requires_grad=True)
    first = (a * 2).grad_fn.next_functions[0][0]
    assert (a * 3).grad_fn.next_functions[0][0] is first
    assert isinstance(first, Node)
    assert first.variable is a
    assert first.next_functions == ()


def test_backward_keeps_the_gradient_of_a_computed_input() -> None:
    a = pellucid.ones(2, requires_grad=True)
    b = a * 2
    (b * 3).sum().backward(inputs=[b])
    assert b.grad.tolist() == [3.0, 3.0]
    assert b.retains_grad
    assert a.grad is None


@pytest.mark.parametrize(
    ("result", "error"),
    [(3, TypeError), (pellucid.ones(3), RuntimeError), (pellucid.ones(2, dtype=pellucid.float64), RuntimeError)],
)
def test_what_a_hook_may_not_return(result: Any, error: type[Exception]) -> None:
    a = pellucid.ones(2, requires_grad=True)
    a.register_hook(lambda g: result)
    with pytest.raises(error):
        (a * 2).sum().backward()


def test_a_hook_before_a_node_returns_as_many_as_it_got() -> None:
    a = pellucid.ones(2, requires_grad=True)
    b = a * 2
    b.grad_fn.register_prehook(lambda grads: (*grads, *grads))
    with pytest.raises(RuntimeError, match="incorrect number"):
        b.sum().backward()


def test_a_gradient_that_a_view_retains_is_retained_after_a_write() -> None:
    base = pellucid.ones(1, requires_grad=True).clone()
    view = base[:]
    view.retain_grad()
    view.mul_(2)
    (view * 3).sum().backward()
    assert view.grad.tolist() == [3.0]


# -- hooks on several tensors -----------------------------------------------------------------------------------------


def test_all_gradients_at_once() -> None:
    a, b, c = (pellucid.ones(2, requires_grad=True) for _ in range(3))
    seen: list[list[bool]] = []
    handle = register_multi_grad_hook((a, b, c), lambda grads: seen.append([g is not None for g in grads]))
    y = (a * b).sum()
    y.backward(retain_graph=True)
    y.backward(inputs=[b, c], retain_graph=True)
    y.backward(inputs=[c], retain_graph=True)
    assert seen == [[True, True, False], [False, True, False]]
    handle.remove()
    y.backward()
    assert len(seen) == 2


def test_the_first_gradient() -> None:
    a = pellucid.ones(2, requires_grad=True)
    b = a * 2
    seen: list[Any] = []
    register_multi_grad_hook((a, b), lambda g: seen.append(g.tolist()), mode="any")
    (b * 3).sum().backward()
    assert seen == [[3.0, 3.0]]
    with pytest.raises(ValueError, match="any"):
        register_multi_grad_hook((a,), print, mode="some")


# -- walks ------------------------------------------------------------------------------------------------------------


def test_callbacks_are_called_when_the_walk_is_over() -> None:
    log: list[str] = []
    engine = Variable._execution_engine
    a = pellucid.ones(2, requires_grad=True)

    def last() -> None:
        log.append("last")

    def queue(_: Any) -> None:
        log.append("hook")
        engine.queue_callback(lambda: (log.append(str(a.grad.tolist())), engine.queue_callback(last)))

    a.register_hook(queue)
    (a * 2).sum().backward()
    assert log == ["hook", "[2.0, 2.0]", "last"]
    with pytest.raises(RuntimeError, match="during backward"):
        engine.queue_callback(last)


def test_walks_within_walks_may_be_deep() -> None:
    class Down(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.x = x.detach().requires_grad_()
            with pellucid.enable_grad():
                ctx.less = ctx.x - 1
            return ctx.less.detach()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            if ctx.less.item() > 0:
                with pellucid.enable_grad():
                    Down.apply(ctx.less).sum().backward()
            return g

    x = pellucid.tensor(300.0, requires_grad=True)
    Down.apply(x).backward()
    assert x.grad.item() == 1.0


def test_threads_that_walk_to_one_leaf_lose_nothing() -> None:
    a = pellucid.zeros(3, requires_grad=True)

    def run() -> None:
        for _ in range(100):
            (a * 2).sum().backward()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert a.grad.tolist() == [800.0] * 3


# -- custom functions -------------------------------------------------------------------------------------------------


class Add(Function):
    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        ctx.mark_dirty(x)
        return x.add_(y)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g, g * 10


def test_a_function_that_writes_into_a_view_gives_its_base_a_history() -> None:
    root, y = pellucid.ones(2, 3, requires_grad=True), pellucid.ones(3, requires_grad=True)
    x = root * 2
    Add.apply(x[1], y)
    (x * x).sum().backward()
    assert x.tolist() == [[2.0] * 3, [3.0] * 3]
    assert root.grad.tolist() == [[8.0] * 3, [12.0] * 3]
    assert y.grad.tolist() == [60.0] * 3


def test_a_function_whose_results_get_no_gradient_sees_zeros() -> None:
    class Nothing(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return None

    seen: list[Any] = []

    class Watch(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            seen.append(g.tolist())
            return g

    x = pellucid.ones(2, requires_grad=True)
    Nothing.apply(Watch.apply(x)).sum().backward()
    assert seen == [[0.0, 0.0]]
    assert x.grad.tolist() == [0.0, 0.0]


def test_backward_may_be_called_vjp_but_not_both() -> None:
    class Twice(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def vjp(ctx: Any, g: Any) -> Any:
            return g * 2

    x = pellucid.ones(2, requires_grad=True)
    Twice.apply(x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]

    class Both(Twice):
        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    with pytest.raises(RuntimeError, match="both"):
        Both.apply(x).sum().backward()


def test_variable_makes_a_leaf_on_the_same_memory() -> None:
    x = pellucid.ones(2)
    v = Variable(x, requires_grad=True)
    assert isinstance(v, Variable)
    assert (v.requires_grad, v.is_leaf, x.requires_grad) == (True, True, False)
    assert v.data_ptr() == x.data_ptr()


def test_results_without_gradients_show_zeros_in_backward() -> None:
    seen: list[Any] = []

    class Two(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            constant, result = x + 1, x + 2
            ctx.mark_non_differentiable(constant)
            return constant, result

        @staticmethod
        def backward(ctx: Any, first: Any, second: Any) -> Any:
            seen.extend((first.tolist(), second.tolist()))
            return second

    x = pellucid.ones(2, requires_grad=True)
    constant, result = Two.apply(x)
    assert (constant.requires_grad, result.requires_grad) == (False, True)
    result.sum().backward()
    assert seen == [[0.0, 0.0], [1.0, 1.0]]
