"""Graphs are freed by reference counts alone: there are no cycles in them."""

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import pellucid


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def leaf() -> Any:
    return pellucid.ones(4, 4, requires_grad=True)


def forgotten() -> None:
    (leaf() * 2).exp().sum()


def differentiated() -> None:
    (leaf() * 2).exp().sum().backward()


def differentiated_and_kept() -> None:
    (leaf() * 2).exp().sum().backward(retain_graph=True)


def twice_differentiated() -> None:
    a = leaf()
    (g,) = pellucid.autograd.grad(a.exp().sum(), a, create_graph=True)
    pellucid.autograd.grad(g.sum(), a, create_graph=True)


def views_written() -> None:
    a = leaf()
    x = a * 2
    x[0] = a[1] * 3
    x.t()[1:].mul_(2)
    x.exp_().sum()


def hooked() -> None:
    a = leaf()
    x = a * 2
    x.register_hook(lambda g: g * 2)
    x.retain_grad()
    a.register_hook(lambda g: g)
    x.grad_fn.register_hook(lambda ins, outs: None)
    x.sum().backward()


class Exp(pellucid.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = x.exp()
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.saved_tensors[1]


def custom() -> None:
    y = Exp.apply(leaf())
    y.sum().backward(retain_graph=True)


def saved_elsewhere() -> None:
    with pellucid.autograd.graph.save_on_cpu():
        y = leaf().exp()
    y.sum()


PROGRAMS: list[Callable[[], None]] = [
    forgotten, differentiated, differentiated_and_kept, twice_differentiated, views_written, hooked, custom,
    saved_elsewhere,
]  # fmt: skip


def living() -> int:
    kinds = (pellucid.Tensor, pellucid.autograd.graph.Node)
    return sum(issubclass(type(x), kinds) for x in gc.get_objects())


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.usefixtures("uncollected")
def test_nothing_is_left(program: Callable[[], None]) -> None:
    program()  # plans are made
    before = living()
    program()
    assert living() == before


@pytest.mark.usefixtures("uncollected")
def test_backward_frees_what_was_saved() -> None:
    a = leaf()
    y = a * 2
    z = y * y
    saved = z.grad_fn
    z.sum().backward()
    assert saved.saved is None


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * x,
        lambda x: x.prod(1),
        lambda x: x.var(1),
        lambda x: x.amax(1),
        lambda x: x.logsumexp(1),
        lambda x: x.norm(dim=1),
        lambda x: pellucid.nn.functional.layer_norm(x, (5,)),
        lambda x: pellucid.nn.functional.group_norm(x, 1),
        lambda x: x @ x.t(),
    ],
)
def test_data_of_another_shape_after_the_computation_is_refused(function: Callable[[Any], Any]) -> None:
    x = pellucid.rand(4, 5, requires_grad=True)
    y = function(x)
    x.data = pellucid.rand(1, 2)
    with pytest.raises(RuntimeError):
        y.sum().backward()
    assert x.grad is None


def test_a_gradient_of_another_shape_is_not_stored() -> None:
    x = pellucid.ones(3, requires_grad=True)
    y = x * 2
    x.data = pellucid.ones(1000)
    with pytest.raises(RuntimeError, match="exchanged"):
        y.sum().backward()


def test_data_of_the_same_shape_takes_the_place_of_what_was_saved() -> None:
    x = pellucid.ones(3, requires_grad=True)
    y = x * x
    x.data = pellucid.full((3,), 5.0)
    y.sum().backward()
    assert x.grad.tolist() == [10.0] * 3


def test_versions_of_exchanged_data_are_their_own() -> None:
    x, y = pellucid.ones(3), pellucid.ones(3)
    x.data = y
    x.add_(1)
    assert y.tolist() == [2.0] * 3
    assert (x._version, y._version) == (1, 0)


def test_resizing_counts_as_a_write() -> None:
    x, c = pellucid.ones(5, requires_grad=True), pellucid.ones(5)
    y = x * c
    c.resize_(2)
    assert c._version == 1
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        y.sum().backward()


def test_a_view_whose_base_moved_away_cannot_be_written() -> None:
    x = pellucid.ones(4, requires_grad=True) * 2
    view = x.view(2, 2)
    x.data = pellucid.ones(1)
    with pytest.raises(RuntimeError, match="other memory"):
        view.mul_(2)
