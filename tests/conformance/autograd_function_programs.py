"""Programs for ``test_autograd``: custom functions, derivatives as wholes, saved tensors."""

from typing import Any

from tests.conformance.autograd_programs import program, ramp

# -- custom functions -------------------------------------------------------------------------------------------------


@program
def custom_function(t: Any) -> Any:
    class Cube(t.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any, factor: float) -> Any:
            ctx.save_for_backward(x)
            ctx.factor = factor
            return x * x * x * factor

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return 3 * x * x * g * ctx.factor, None

    a = ramp(t, 3)
    y = Cube.apply(a, 2.0)
    (g,) = t.autograd.grad(y.sum(), a, create_graph=True)
    (h,) = t.autograd.grad(g.sum(), a)
    return y, y.grad_fn.name(), g, h, y.grad_fn.factor, Cube.apply(t.ones(2), 1.0).requires_grad


@program
def custom_function_saves_its_result(t: Any) -> Any:
    class Exp(t.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return ctx.saved_tensors[0] * g

    a = t.zeros(3, dtype=t.float64, requires_grad=True)
    (g,) = t.autograd.grad(Exp.apply(a).sum(), a, create_graph=True)
    (h,) = t.autograd.grad(g.sum(), a)
    return g, h


@program
def custom_function_with_setup_context(t: Any) -> Any:
    class Product(t.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(x: Any, y: Any) -> Any:
            return x * y, x + y

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any, h: Any) -> Any:
            x, y = ctx.saved_tensors
            return g * y + h, (g * x + h) if ctx.needs_input_grad[1] else None

    a, b = ramp(t, 3), ramp(t, 3)
    p, s = Product.apply(a, b)
    p.sum().backward()
    q, _ = Product.apply(a, t.ones(3, dtype=t.float64))
    q.sum().backward()
    return p, s, a.grad, b.grad


@program
def custom_function_without_materialized_grads(t: Any) -> Any:
    seen = []

    class Two(t.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.set_materialize_grads(False)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx: Any, g: Any, h: Any) -> Any:
            seen.append((g is None, h is None))
            return g

    a = ramp(t, 3)
    Two.apply(a)[0].sum().backward()
    return seen, a.grad


@program
def custom_function_with_constant_result(t: Any) -> Any:
    class Sorted(t.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y, z = x * 2, x * 3
            ctx.mark_non_differentiable(z)
            return y, z

        @staticmethod
        def backward(ctx: Any, g: Any, h: Any) -> Any:
            return g * 2

    a = ramp(t, 3)
    y, z = Sorted.apply(a)
    y.sum().backward()
    return a.grad, y.requires_grad, z.requires_grad


@program
def custom_function_in_place(t: Any) -> Any:
    class Double(t.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    a = ramp(t, 3)
    x = a * 3
    y = Double.apply(x)
    y.sum().backward()
    return y is x, x.grad_fn.name(), a.grad


@program
def custom_function_hands_its_input_through(t: Any) -> Any:
    class Same(t.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return -g

    a = ramp(t, 3)
    y = Same.apply(a)
    y.sum().backward()
    return y is a, y.data_ptr() == a.data_ptr(), a.grad


@program
def custom_function_with_too_few_gradients(t: Any) -> Any:
    class Bad(t.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            return x * y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    Bad.apply(ramp(t, 3), ramp(t, 3)).sum().backward()


@program
def custom_function_with_gradient_of_wrong_shape(t: Any) -> Any:
    class Bad(t.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g[:2]

    Bad.apply(ramp(t, 3)).sum().backward()


@program
def custom_function_without_backward(t: Any) -> Any:
    class Bad(t.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

    Bad.apply(ramp(t, 3)).sum().backward()


@program
def custom_function_once_differentiable(t: Any) -> Any:
    class Square(t.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @t.autograd.function.once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * g

    a = ramp(t, 3)
    (g,) = t.autograd.grad(Square.apply(a).sum(), a, create_graph=True)
    g.sum().backward()


@program
def saved_tensors_after_backward(t: Any) -> Any:
    class Square(t.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * g

    y = Square.apply(ramp(t, 3)).sum()
    y.backward()
    y.backward()


# -- derivatives as wholes --------------------------------------------------------------------------------------------


@program
def jacobian(t: Any) -> Any:
    a, b = ramp(t, 3), ramp(t, 2, 3)
    return t.autograd.functional.jacobian(lambda x, y: (x * y).sum(0) * x, (a, b))


@program
def hessian(t: Any) -> Any:
    a, b = ramp(t, 3), ramp(t, 3)
    return (
        t.autograd.functional.hessian(lambda x: (x * x * x).sum(), a),
        t.autograd.functional.hessian(lambda x, y: (x * x * y).sum(), (a, b)),
    )


@program
def vector_products(t: Any) -> Any:
    a, v = ramp(t, 3), t.tensor([1.0, -1.0, 2.0], dtype=t.float64)
    f = t.autograd.functional
    cube = lambda x: x * x * x  # noqa: E731
    return (
        f.vjp(cube, a, v), f.jvp(cube, a, v), f.vhp(lambda x: cube(x).sum(), a, v),
        f.hvp(lambda x: cube(x).sum(), a, v),
    )  # fmt: skip


@program
def product_without_vector(t: Any) -> Any:
    t.autograd.functional.vjp(lambda x: x * x, ramp(t, 3))


# -- saved tensors ----------------------------------------------------------------------------------------------------


@program
def packed_tensors(t: Any) -> Any:
    a = ramp(t, 3)
    seen = []

    def pack(x: Any) -> Any:
        seen.append("pack")
        return x.detach() * 10

    def unpack(x: Any) -> Any:
        seen.append("unpack")
        return x

    with t.autograd.graph.saved_tensors_hooks(pack, unpack):
        y = (a * a).exp()
    z = y * 2
    z.sum().backward()
    return seen, a.grad


@program
def saved_on_cpu(t: Any) -> Any:
    a = ramp(t, 3)
    with t.autograd.graph.save_on_cpu():
        y = (a * a).sum()
    y.backward()
    return a.grad


@program
def unpacked_to_something_else(t: Any) -> Any:
    with t.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: 3):
        y = (ramp(t, 3) ** 2).sum()
    y.backward()


@program
def version_incremented(t: Any) -> Any:
    y = ramp(t, 3).exp()
    t.autograd.graph.increment_version(y)
    y.sum().backward()


@program
def saved_tensors_of_the_node(t: Any) -> Any:
    class Square(t.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * g

    return Square.apply(ramp(t, 3)).grad_fn.saved_tensors


# -- anomalies --------------------------------------------------------------------------------------------------------


@program
def nan_is_found(t: Any) -> Any:
    import warnings

    a = t.zeros(3, dtype=t.float64, requires_grad=True)
    y = (a.sqrt() * 0).sum()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with t.autograd.set_detect_anomaly(True):
            y.backward()


@program
def nan_is_let_through(t: Any) -> Any:
    a = t.zeros(3, dtype=t.float64, requires_grad=True)
    (a.sqrt() * 0).sum().backward()
    return bool(a.grad.isnan().all())
