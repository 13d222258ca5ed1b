"""Hooks of all modules, hooks of the old kind, and what hooks may not do, beside PyTorch's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from tests.conformance.libraries import compare, numbers


def _net(t: Any) -> Any:
    t.manual_seed(0)
    return t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Tanh(), t.nn.Linear(4, 2))


def _kinds(t: Any) -> Any:
    return import_module(f"{t.__name__}.nn.modules.module")


def _forward_everywhere(t: Any) -> Any:
    seen: list[Any] = []
    net, register = _net(t), _kinds(t)
    net.register_forward_pre_hook(lambda m, args: seen.append("own before"))
    net.register_forward_hook(lambda m, args, out: seen.append("own after"))
    handles = [
        register.register_module_forward_pre_hook(lambda m, args: seen.append(("before", type(m).__name__))),
        register.register_module_forward_hook(lambda m, args, out: seen.append(("after", type(m).__name__))),
        register.register_module_forward_hook(lambda m, args, out: out * 2),
        register.register_module_forward_hook(lambda m, args, kw, out: seen.append(sorted(kw)), with_kwargs=True),
    ]
    try:
        first = net(numbers(t, 5, 3))
    finally:
        for handle in handles:
            handle.remove()
    return seen, first, net(numbers(t, 5, 3))


def _backward_everywhere(t: Any) -> Any:
    seen: list[Any] = []
    net, register = _net(t), _kinds(t)
    handles = [
        register.register_module_full_backward_hook(lambda m, before, after: seen.append((type(m).__name__, after))),
        register.register_module_full_backward_pre_hook(lambda m, after: (after[0] * 2,)),
    ]
    try:
        net(numbers(t, 5, 3).requires_grad_()).sum().backward()
    finally:
        for handle in handles:
            handle.remove()
    return seen, [p.grad for p in net.parameters()]


def _registration(t: Any) -> Any:
    seen: list[Any] = []
    register = _kinds(t)
    handles = [
        register.register_module_parameter_registration_hook(lambda m, name, p: seen.append((name, p is None))),
        register.register_module_buffer_registration_hook(lambda m, name, b: seen.append(name)),
        register.register_module_module_registration_hook(
            lambda m, name, s: t.nn.Sigmoid() if isinstance(s, t.nn.Tanh) else None
        ),
    ]
    try:
        norm, net = t.nn.BatchNorm1d(3), t.nn.Sequential(t.nn.Tanh(), t.nn.Linear(2, 2))
    finally:
        for handle in handles:
            handle.remove()
    return seen, repr(norm), repr(net)


def _old_kind(t: Any) -> Any:
    seen: list[Any] = []
    layer = t.nn.Linear(3, 2)
    with t.no_grad():
        layer.weight.fill_(0.5)
    layer.register_backward_hook(lambda m, before, after: seen.append((len(before), after)))
    x = numbers(t, 5, 3).requires_grad_()
    layer(x).sum().backward()
    return seen


def _both_kinds(t: Any) -> Any:
    layer = t.nn.Linear(3, 2)
    layer.register_full_backward_hook(lambda m, before, after: None)
    layer.register_backward_hook(lambda m, before, after: None)


def _without_inputs(t: Any) -> Any:
    seen: list[Any] = []
    net = _net(t)
    net.register_full_backward_hook(lambda m, before, after: seen.append((before, after)))
    net(numbers(t, 5, 3)).sum().backward()
    return seen


def _result_without_inputs(t: Any) -> Any:
    net = _net(t)
    net.register_full_backward_hook(lambda m, before, after: (t.ones(5, 3),))
    net(numbers(t, 5, 3)).sum().backward()


def _too_many(t: Any) -> Any:
    net = _net(t)
    net.register_full_backward_hook(lambda m, before, after: (*before, *before))
    net(numbers(t, 5, 3).requires_grad_()).sum().backward()


def _twice(t: Any) -> Any:
    seen: list[int] = []
    net = _net(t)
    net.register_full_backward_hook(lambda m, before, after: seen.append(1))
    x = numbers(t, 5, 3).requires_grad_()
    (first,) = t.autograd.grad((net(x) ** 2).sum(), x, create_graph=True)
    counts = [len(seen)]
    (second,) = t.autograd.grad((first**2).sum(), x)
    return counts, first, second


def _constants_stay_constants(t: Any) -> Any:
    class Three(t.nn.Module):  # type: ignore[name-defined,misc]
        def forward(self, a: Any, b: Any, c: Any) -> Any:
            return (a + b + c.float()).sum(), [x.requires_grad for x in (a, b, c)]

    module = Three()
    module.register_full_backward_hook(lambda m, before, after: None)
    x = numbers(t, 3).requires_grad_()
    try:
        return module(x, x.detach(), t.arange(3))[1]
    except (TypeError, AttributeError):
        return "refused"


def _inputs_written(t: Any) -> Any:
    class Write(t.nn.Module):  # type: ignore[name-defined,misc]
        def forward(self, x: Any) -> Any:
            x += 1
            return x.clone()

    module = Write()
    module.register_full_backward_pre_hook(lambda m, after: None)
    module(numbers(t, 3).requires_grad_() * 2)


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    f.__name__[1:]: f
    for f in (
        _forward_everywhere, _backward_everywhere, _registration, _old_kind, _both_kinds, _without_inputs,
        _result_without_inputs, _too_many, _twice, _constants_stay_constants, _inputs_written,
    )
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_hooks(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compare(PROGRAMS[name], rtol=1e-5, atol=1e-6)
