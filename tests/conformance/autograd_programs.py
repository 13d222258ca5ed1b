"""Small programs for ``test_autograd``. Each takes a library and returns what is to be compared."""

from collections.abc import Callable
from typing import Any

Program = Callable[[Any], Any]
PROGRAMS: dict[str, Program] = {}


def program(function: Program) -> Program:
    PROGRAMS[function.__name__] = function
    return function


def ones(t: Any, *shape: int) -> Any:
    return t.ones(*shape, requires_grad=True)


def ramp(t: Any, *shape: int) -> Any:
    """1, 2, 3, ... as a leaf."""
    count = 1
    for n in shape:
        count *= n
    return t.arange(1, count + 1, dtype=t.float64).reshape(shape).requires_grad_()


# -- backward and grad ------------------------------------------------------------------------------------------------


@program
def product_and_sum(t: Any) -> Any:
    a, b = ramp(t, 2, 3), ramp(t, 3)
    (a * b + a).sum().backward()
    return a.grad, b.grad


@program
def used_twice(t: Any) -> Any:
    a = ramp(t, 3)
    b = a * a
    (b * b + b * a).sum().backward()
    return a.grad


@program
def gradients_add_up(t: Any) -> Any:
    a = ramp(t, 3)
    (a * 2).sum().backward()
    first = a.grad
    (a * a).sum().backward()
    return a.grad, first is a.grad


@program
def gradient_argument(t: Any) -> Any:
    a = ramp(t, 3)
    y = a * a
    y.backward(t.tensor([1.0, 0.0, 2.0], dtype=t.float64))
    return a.grad


@program
def gradient_of_other_dtype(t: Any) -> Any:
    a = ones(t, 3)
    (a * a).backward(t.ones(3, dtype=t.float64))
    return a.grad


@program
def leaf_as_root(t: Any) -> Any:
    a = ramp(t, 3)
    a.backward(t.ones(3, dtype=t.float64))
    return a.grad


@program
def given_gradient_is_not_aliased(t: Any) -> Any:
    a, g = ramp(t, 3), t.ones(3, dtype=t.float64)
    (a + 0).backward(g)
    g.zero_()
    return a.grad


@program
def two_leaves_do_not_share_their_gradient(t: Any) -> Any:
    a, b = ramp(t, 3), ramp(t, 3)
    (a + b).sum().backward()
    a.grad.mul_(5)
    return a.grad, b.grad


@program
def no_scalar(t: Any) -> Any:
    ones(t, 3).exp().backward()


@program
def no_gradient(t: Any) -> Any:
    t.ones(3).sum().backward()


@program
def wrong_gradient_shape(t: Any) -> Any:
    ones(t, 3).exp().backward(t.ones(2))


@program
def gradient_is_no_tensor(t: Any) -> Any:
    ones(t, 3).exp().backward(3.0)


@program
def complex_root(t: Any) -> Any:
    t.ones(1, dtype=t.complex64, requires_grad=True).exp().backward()


@program
def twice(t: Any) -> Any:
    y = ones(t, 3).exp().sum()
    y.backward()
    y.backward()


@program
def twice_retained(t: Any) -> Any:
    a = ramp(t, 3)
    y = (a * a).sum()
    y.backward(retain_graph=True)
    y.backward()
    return a.grad


@program
def twice_where_nothing_is_saved(t: Any) -> Any:
    a = ramp(t, 3)
    y = (a + a).sum()
    y.backward()
    y.backward()
    return a.grad


@program
def grad_of_inner(t: Any) -> Any:
    a = ramp(t, 3)
    b = a * 2
    c = (b * b).sum()
    return t.autograd.grad(c, [b, a]), a.grad


@program
def grad_unused(t: Any) -> Any:
    a, b = ramp(t, 3), ramp(t, 3)
    t.autograd.grad((a * 2).sum(), [a, b])


@program
def grad_allow_unused(t: Any) -> Any:
    a, b = ramp(t, 3), ramp(t, 3)
    return t.autograd.grad((a * 2).sum(), [a, b], allow_unused=True)


@program
def grad_materialized(t: Any) -> Any:
    a, b = ramp(t, 3), ramp(t, 3)
    return t.autograd.grad((a * 2).sum(), [a, b], materialize_grads=True)


@program
def grad_materialized_contradiction(t: Any) -> Any:
    a = ramp(t, 3)
    t.autograd.grad((a * 2).sum(), [a], allow_unused=False, materialize_grads=True)


@program
def grad_of_constant(t: Any) -> Any:
    a, b = ramp(t, 3), t.ones(3)
    t.autograd.grad((a * 2).sum(), [b])


@program
def grad_batched(t: Any) -> Any:
    a = ramp(t, 3)
    return t.autograd.grad(a * a, a, t.eye(3, dtype=t.float64), is_grads_batched=True)


@program
def several_outputs(t: Any) -> Any:
    a = ramp(t, 3)
    return t.autograd.grad([a.sum(), (a * a).sum()], [a], [t.tensor(2.0, dtype=t.float64), None])


@program
def backward_of_several(t: Any) -> Any:
    a = ramp(t, 3)
    t.autograd.backward([a.sum(), (a * a).sum()])
    return a.grad


@program
def backward_inputs(t: Any) -> Any:
    a, b = ramp(t, 3), ramp(t, 3)
    c = a * b
    (c * c).sum().backward(inputs=[a])
    return a.grad, b.grad


@program
def backward_no_inputs(t: Any) -> Any:
    ones(t, 3).sum().backward(inputs=[])


@program
def second_order(t: Any) -> Any:
    a = ramp(t, 3)
    (g,) = t.autograd.grad((a * a * a).sum(), a, create_graph=True)
    (h,) = t.autograd.grad(g.sum(), a, create_graph=True)
    (k,) = t.autograd.grad(h.sum(), a)
    return g, h, k, h.requires_grad, k.requires_grad


@program
def second_order_by_backward(t: Any) -> Any:
    a = ramp(t, 3)
    (a * a * a).sum().backward(create_graph=True)
    g = a.grad
    a.grad = None
    g.sum().backward()
    return g, g.requires_grad, a.grad


@program
def second_order_of_exp(t: Any) -> Any:
    a = t.zeros(3, dtype=t.float64, requires_grad=True)
    (g,) = t.autograd.grad(a.exp().sum(), a, create_graph=True)
    return t.autograd.grad(g.sum(), a)


@program
def broadcast(t: Any) -> Any:
    a, b = ramp(t, 2, 1), ramp(t, 3)
    (a * b).sum().backward()
    return a.grad, b.grad


@program
def complex_gradients(t: Any) -> Any:
    z = t.tensor([1 + 2j, 3 - 1j], dtype=t.complex128, requires_grad=True)
    (z * z.conj()).real.sum().backward()
    first = z.grad
    z.grad = None
    (z * z).imag.sum().backward()
    return first, z.grad


# -- requires_grad, leaves, detach ------------------------------------------------------------------------------------


@program
def flags(t: Any) -> Any:
    a, b = t.ones(3), ones(t, 3)
    c, d = a * 2, b * 2
    e = d.detach()
    facts = [(x.requires_grad, x.is_leaf, x.grad_fn is None) for x in (a, b, c, d, e)]
    return facts, b.grad, a.grad, e.data_ptr() == d.data_ptr()


@program
def integers_need_no_gradient(t: Any) -> Any:
    t.ones(3, dtype=t.int64).requires_grad_()


@program
def integers_set_flag(t: Any) -> Any:
    t.ones(3, dtype=t.int64).requires_grad = True


@program
def inner_flag_off(t: Any) -> Any:
    (ones(t, 3) * 2).requires_grad = False


@program
def inner_flag_on(t: Any) -> Any:
    a = ones(t, 3) * 2
    a.requires_grad = True
    return a.requires_grad, a.is_leaf


@program
def grad_of_inner_warns(t: Any) -> Any:
    a = ones(t, 3)
    return (a * 2).grad


@program
def retained_grad(t: Any) -> Any:
    a = ramp(t, 3)
    b = a * 2
    b.retain_grad()
    (b * b).sum().backward()
    return b.grad, a.grad, b.retains_grad, a.retains_grad


@program
def retain_of_constant(t: Any) -> Any:
    t.ones(3).retain_grad()


@program
def assigned_grad(t: Any) -> Any:
    a = ramp(t, 3)
    a.grad = t.ones(3, dtype=t.float64)
    (a * 2).sum().backward()
    return a.grad


@program
def assigned_grad_of_wrong_shape(t: Any) -> Any:
    ones(t, 3).grad = t.ones(2)


@program
def assigned_grad_of_wrong_dtype(t: Any) -> Any:
    ones(t, 3).grad = t.ones(3, dtype=t.float64)


@program
def assigned_grad_of_wrong_type(t: Any) -> Any:
    ones(t, 3).grad = 3


@program
def assigned_itself(t: Any) -> Any:
    a = ones(t, 3)
    a.grad = a


@program
def deleted_grad(t: Any) -> Any:
    a = ramp(t, 3)
    (a * 2).sum().backward()
    del a.grad
    return a.grad


@program
def detach_cuts(t: Any) -> Any:
    a, b = ramp(t, 3), ramp(t, 3)
    y = a * 2
    (b * y.detach()).sum().backward()
    return a.grad, b.grad


@program
def detach_in_place(t: Any) -> Any:
    a = ramp(t, 3)
    y = a * 2
    y.detach_()
    return y.requires_grad, y.is_leaf, y.grad_fn is None


@program
def detach_of_view_in_place(t: Any) -> Any:
    a = ramp(t, 3) * 2
    a[0].detach_()


@program
def data_shares_memory(t: Any) -> Any:
    a = ramp(t, 3)
    a.data.mul_(2)
    return a, a.data.requires_grad, a._version


@program
def assigned_data(t: Any) -> Any:
    a = ramp(t, 3)
    a.data = t.zeros(2, 2, dtype=t.float64)
    return a, a.requires_grad, a.is_leaf


# -- names ------------------------------------------------------------------------------------------------------------


@program
def node_names(t: Any) -> Any:
    a = ramp(t, 2, 3)
    made = [a + 1, a - 1, a * 2, a / 2, -a, a.exp(), a.sum(), a.t(), a.reshape(3, 2), a[0], a.view(-1), a.mean()]
    return [x.grad_fn.name() for x in made]


@program
def next_functions(t: Any) -> Any:
    a, b = ramp(t, 3), t.ones(3)
    y = (a * b).exp()
    node = y.grad_fn
    deeper = node.next_functions[0][0]
    return (
        node.name(), deeper.name(), [(n and n.name(), k) for n, k in deeper.next_functions],
        deeper.next_functions[0][0].variable is a,
    )  # fmt: skip


# -- modes ------------------------------------------------------------------------------------------------------------


@program
def modes(t: Any) -> Any:
    a = ones(t, 3)
    seen = []
    with t.no_grad():
        seen.append((a * 2).requires_grad)
        with t.enable_grad():
            seen.append((a * 2).requires_grad)
        seen.append(t.is_grad_enabled())
        with t.set_grad_enabled(True):
            seen.append((a * 2).requires_grad)
        seen.append(t.is_grad_enabled())
    with t.inference_mode():
        seen.append((a * 2).requires_grad)
    seen.append(t.is_grad_enabled())
    t.set_grad_enabled(False)
    seen.append(t.is_grad_enabled())
    t.set_grad_enabled(True)
    return seen


@program
def mode_decorators(t: Any) -> Any:
    a = ones(t, 3)

    @t.no_grad()
    def one(x: Any) -> Any:
        return (x * 2).requires_grad

    @t.no_grad
    def two(x: Any) -> Any:
        return (x * 2).requires_grad

    @t.enable_grad()
    def three(x: Any) -> Any:
        return (x * 2).requires_grad

    @t.set_grad_enabled(False)
    def four(x: Any) -> Any:
        return (x * 2).requires_grad

    with t.no_grad():
        inside = three(a)
    return one(a), two(a), inside, four(a), t.is_grad_enabled(), one.__name__


@program
def mode_of_generator(t: Any) -> Any:
    seen = []

    @t.no_grad()
    def steps() -> Any:
        seen.append(t.is_grad_enabled())
        got = yield 1
        seen.append((got, t.is_grad_enabled()))
        try:
            yield 2
        except KeyError:
            seen.append(("caught", t.is_grad_enabled()))
            yield 3
        return 4

    running = steps()
    seen.append((next(running), t.is_grad_enabled()))
    seen.append((running.send(10), t.is_grad_enabled()))
    seen.append((running.throw(KeyError()), t.is_grad_enabled()))
    try:
        next(running)
    except StopIteration as end:
        seen.append(end.value)
    return seen, t.is_grad_enabled()


@program
def mode_after_an_error(t: Any) -> Any:
    try:
        with t.no_grad():
            raise KeyError
    except KeyError:
        pass
    return t.is_grad_enabled()
