"""Programs for ``test_autograd``: writing in place, views, hooks."""

from typing import Any

from tests.conformance.autograd_programs import ones, program, ramp

# -- in place ---------------------------------------------------------------------------------------------------------


@program
def leaf_in_place(t: Any) -> Any:
    ones(t, 3).mul_(2)


@program
def view_of_leaf_in_place(t: Any) -> Any:
    ones(t, 3)[0].mul_(2)


@program
def leaf_in_place_unrecorded(t: Any) -> Any:
    a = ramp(t, 3)
    with t.no_grad():
        a.mul_(2)
        a[0] = 7
    return a, a._version, a.requires_grad, a.is_leaf


@program
def inner_in_place(t: Any) -> Any:
    a = ramp(t, 3)
    x = a * 2
    y = x.mul_(a)
    x.sum().backward()
    return a.grad, y is x, x.grad_fn.name(), x._version


@program
def by_result_in_place(t: Any) -> Any:
    a = ramp(t, 3)
    for name in ("exp_", "sigmoid_", "tanh_", "sqrt_", "relu_"):
        x = a * 0.5
        getattr(x, name)()
        x.sum().backward()
    return a.grad


@program
def by_operand_in_place(t: Any) -> Any:
    a = ramp(t, 3)
    results = []
    for name in ("sin_", "abs_", "log_", "neg_"):
        x = a * 0.5
        getattr(x, name)()
        results.append(t.autograd.grad(x.sum(), a)[0].sum() * 0 + 1)
    return results


@program
def times_itself_in_place(t: Any) -> Any:
    a = ramp(t, 3)
    x = a * 2
    x.mul_(x)
    x.sum().backward()


@program
def overwritten_after_saving(t: Any) -> Any:
    x = ones(t, 3) * 2
    y = x * x
    x.add_(1)
    y.sum().backward()


@program
def overwritten_result(t: Any) -> Any:
    y = ones(t, 3).exp()
    y.add_(1)
    y.sum().backward()


@program
def overwritten_through_detach(t: Any) -> Any:
    y = ones(t, 3).exp()
    y.detach().zero_()
    y.sum().backward()


@program
def overwritten_but_not_needed(t: Any) -> Any:
    a = ramp(t, 3)
    x = a * 2
    y = x + 1
    x.zero_()
    (y.sum() + x.sum()).backward()
    return a.grad


@program
def zeroed(t: Any) -> Any:
    a = ramp(t, 3)
    x = a * 2
    x.zero_()
    x.sum().backward()
    return a.grad, x.requires_grad


@program
def copied_over(t: Any) -> Any:
    a, b = ramp(t, 3), ramp(t, 3)
    x = a * 2
    x.copy_(b * 3)
    x.sum().backward()
    return a.grad, b.grad


@program
def constant_becomes_tracked(t: Any) -> Any:
    a = ramp(t, 3)
    x = t.zeros(3, dtype=t.float64)
    x.add_(a)
    x.sum().backward()
    return a.grad, x.is_leaf, x.requires_grad


@program
def rows_filled_in(t: Any) -> Any:
    a = ramp(t, 3)
    out = t.zeros(2, 3, dtype=t.float64)
    out[0] = a * 2
    out[1, 1:] = a[1:] * a[1:]
    (out * out).sum().backward()
    return a.grad, out.requires_grad, out.grad_fn.name()


@program
def view_written_shows_in_base(t: Any) -> Any:
    a = ramp(t, 2, 3)
    x = a * 2
    v = x[1]
    v.mul_(a[0])
    (x * x).sum().backward()
    return a.grad, x.grad_fn.name(), v._version, x._version


@program
def base_written_shows_in_view(t: Any) -> Any:
    a = ramp(t, 2, 3)
    x = a * 2
    v = x.t()[1]
    x.mul_(3)
    (v * v).sum().backward()
    return a.grad


@program
def base_written_shows_in_expanded_view(t: Any) -> Any:
    a = ramp(t, 3)
    x = a * 2
    v = x.expand(2, 3)
    x.mul_(3)
    v.sum().backward()
    return a.grad


@program
def views_of_views_written(t: Any) -> Any:
    a = ramp(t, 2, 3)
    x = a * 2
    u = x.t()[1:]
    w = u[0]
    w.mul_(3)
    u.add_(w.sum())
    x.sum().backward()
    return a.grad


@program
def view_of_constant_gets_history(t: Any) -> Any:
    a = ramp(t, 3)
    x = t.zeros(3, dtype=t.float64)
    u, v = x[:2], x[1:]
    u.copy_(a[:2])
    (v.sum() + a.sum()).backward()
    return a.grad, v.requires_grad, x.requires_grad


@program
def double_backward_through_written_view(t: Any) -> Any:
    a = ramp(t, 2, 3)
    x = a * 2
    x[0] = a[1] * a[1]
    (g,) = t.autograd.grad((x * x * a).sum(), a, create_graph=True)
    (h,) = t.autograd.grad((g * g).sum(), a)
    return g, h


@program
def retained_grad_follows_write(t: Any) -> Any:
    a = ramp(t, 3)
    x = a * 2
    x.retain_grad()
    y = x * 3
    x.mul_(4)
    (y.sum() + x.sum()).backward()
    return x.grad, a.grad


@program
def bool_mask_written(t: Any) -> Any:
    a = ramp(t, 3)
    x = a * 2
    x[t.tensor([True, False, True])] = 0
    (x * x).sum().backward()
    return a.grad


@program
def versions(t: Any) -> Any:
    a = t.zeros(2, 3)
    v = a[0]
    a.add_(1)
    v.mul_(2)
    a[1] = 5
    return a._version, v._version, a.detach()._version, a.clone()._version


@program
def real_part_written(t: Any) -> Any:
    z = t.tensor([1 + 2j, 3 - 1j], dtype=t.complex128, requires_grad=True)
    y = z * 2
    y.real.mul_(3)
    (y * y.conj()).real.sum().backward()
    return z.grad


# -- hooks ------------------------------------------------------------------------------------------------------------


@program
def tensor_hooks(t: Any) -> Any:
    a = ramp(t, 3)
    y = a * 2
    seen = []
    y.register_hook(lambda g: seen.append(g.clone()))
    handle = y.register_hook(lambda g: g * 10)
    a.register_hook(lambda g: g + 1)
    y.sum().backward(retain_graph=True)
    first = a.grad.clone()
    handle.remove()
    a.grad = None
    y.sum().backward()
    return seen, first, a.grad


@program
def leaf_hook_sees_the_total(t: Any) -> Any:
    a = ramp(t, 3)
    seen = []
    a.register_hook(lambda g: seen.append(g.clone()))
    (a * 2 + a * a).sum().backward()
    return seen, a.grad


@program
def hook_of_wrong_shape(t: Any) -> Any:
    a = ramp(t, 3)
    y = a * 2
    y.register_hook(lambda g: g[:2])
    y.sum().backward()


@program
def hook_of_constant(t: Any) -> Any:
    t.ones(3).register_hook(print)


@program
def hook_keeps_what_it_saw(t: Any) -> Any:
    a = ramp(t, 3)
    y = a + 0
    seen = []
    y.register_hook(seen.append)
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    return seen, a.grad


@program
def post_accumulate_hook(t: Any) -> Any:
    a = ramp(t, 3)
    seen = []
    a.register_post_accumulate_grad_hook(lambda x: seen.append((x is a, x.grad.clone())))
    (a * 2).sum().backward()
    (a * 2).sum().backward()
    return seen


@program
def post_accumulate_hook_of_inner(t: Any) -> Any:
    (ramp(t, 3) * 2).register_post_accumulate_grad_hook(print)


@program
def node_hooks(t: Any) -> Any:
    a = ramp(t, 3)
    y = a * 2
    seen = []
    y.grad_fn.register_prehook(lambda gs: (gs[0] * 3,))
    y.grad_fn.register_hook(lambda ins, outs: seen.append((len(ins), outs[0].clone())))
    y.sum().backward()
    return seen, a.grad


@program
def order_of_hooks(t: Any) -> Any:
    a = ramp(t, 3)
    y = a * 2
    order = []
    y.grad_fn.register_hook(lambda ins, outs: order.append("post"))
    y.grad_fn.register_prehook(lambda gs: order.append("pre"))
    y.register_hook(lambda g: order.append("tensor 1"))
    y.register_hook(lambda g: order.append("tensor 2"))
    y.retain_grad()
    a.register_hook(lambda g: order.append("leaf"))
    a.register_post_accumulate_grad_hook(lambda x: order.append("accumulated"))
    y.sum().backward()
    return order, y.grad
