"""What a Module does, beside PyTorch's: registration, names, states, hooks, copies, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.libraries import compare, numbers


def _net(library: Any) -> Any:
    nn = library.nn

    class Net(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 4)
            self.norm = nn.BatchNorm1d(4)
            self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU()])
            self.heads = nn.ModuleDict({"a": nn.Linear(4, 2), "b": nn.Linear(4, 1)})
            self.tied = self.first
            self.scale = nn.Parameter(library.ones(4))
            self.absent = None
            self.register_parameter("maybe", None)
            self.register_buffer("kept", library.arange(3))
            self.register_buffer("lost", library.zeros(2), persistent=False)

        def forward(self, x: Any, factor: float = 1.0) -> Any:
            x = self.norm(self.first(x)) * self.scale * factor
            for block in self.blocks:
                x = block(x)
            return self.heads["a"](x)

    return Net()


def _names(net: Any) -> Any:
    return {
        "repr": repr(net),
        "parameters": [n for n, _ in net.named_parameters()],
        "all_parameters": [n for n, _ in net.named_parameters(remove_duplicate=False)],
        "own_parameters": [n for n, _ in net.named_parameters(prefix="x", recurse=False)],
        "buffers": [n for n, _ in net.named_buffers()],
        "modules": [(n, type(m).__name__) for n, m in net.named_modules()],
        "all_modules": [n for n, _ in net.named_modules(remove_duplicate=False)],
        "children": [n for n, _ in net.named_children()],
        "state": list(net.state_dict()),
        "prefixed": list(net.state_dict(prefix="net.")),
        "metadata": dict(net.state_dict()._metadata),
        "training": [m.training for m in net.modules()],
    }


def _load(t: Any, change: Callable[[Any], Any], **options: Any) -> Any:
    source, target = _net(t), _net(t)
    state = source.state_dict()
    change(state)
    found = target.load_state_dict(state, **options)
    return list(found), str(found), target.state_dict(), target.first.weight is source.first.weight


def _error_text(t: Any, change: Callable[[Any], Any]) -> str:
    try:
        _load(t, change)
    except RuntimeError as error:
        return str(error)
    return ""


def _hooks(t: Any) -> Any:
    net, seen = _net(t), []
    net.register_forward_pre_hook(lambda m, args: seen.append(("pre", len(args))))
    net.register_forward_pre_hook(lambda m, args, kwargs: (args, {"factor": 2.0}), with_kwargs=True)
    net.register_forward_hook(lambda m, args, out: seen.append(("post", tuple(out.shape))))
    handle = net.register_forward_hook(lambda m, args, kwargs, out: out * 2, with_kwargs=True, prepend=True)
    first = net(numbers(t, 5, 3))
    handle.remove()
    return first, net(numbers(t, 5, 3)), seen


def _backward_hooks(t: Any) -> Any:
    net, seen = _net(t), []
    net.first.register_full_backward_hook(lambda m, before, after: seen.append(("first", before, after)))
    net.norm.register_full_backward_hook(lambda m, before, after: (before[0] * 2,))
    net.norm.register_full_backward_pre_hook(lambda m, after: (after[0] * 0.5,))
    x = numbers(t, 5, 3).requires_grad_()
    net(x).sum().backward()
    without = net.heads["b"]
    without.register_full_backward_hook(lambda m, before, after: seen.append(("b", before, after)))
    without(numbers(t, 2, 4)).sum().backward()
    return seen, x.grad, net.first.weight.grad


def _state_hooks(t: Any) -> Any:
    net, seen = _net(t), []
    net.register_state_dict_pre_hook(lambda m, prefix, keep: seen.append((prefix, keep)))
    net.register_state_dict_post_hook(lambda m, state, prefix, local: state.update({"new": state.pop("kept")}))
    net.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    net.register_load_state_dict_pre_hook(lambda m, state, prefix, *rest: seen.append((prefix, len(rest))))
    return seen, str(net.load_state_dict(net.state_dict()))


def _extra_state(t: Any) -> Any:
    class Counting(t.nn.Module):  # type: ignore[name-defined,misc]
        count = 3

        def get_extra_state(self) -> Any:
            return {"count": self.count}

        def set_extra_state(self, state: Any) -> None:
            self.count = state["count"] + 1

    net = t.nn.Sequential(Counting(), t.nn.Linear(1, 1))
    state = net.state_dict()
    net.load_state_dict(state)
    return list(state), net[0].count


def _copied(t: Any) -> Any:
    import copy

    net = _net(t)
    net.first.weight.grad = t.ones(4, 3)
    other = copy.deepcopy(net)
    with t.no_grad():
        other.first.weight.add_(1)
    tied = other.tied.weight is other.first.weight
    return net.first.weight, other.first.weight, tied, other.first.weight.grad is None


def _converted(t: Any) -> Any:
    net = _net(t)
    weight = net.first.weight
    net.to(t.float64)
    dtypes = [str(p.dtype) for p in net.parameters()] + [str(b.dtype) for b in net.buffers()]
    net.half().to("cpu").to(numbers(t, 1))
    return dtypes, weight is net.first.weight, str(net.first.weight.dtype), str(net.kept.dtype)


def _buffers(t: Any) -> Any:
    import copy

    module = t.nn.Module()
    module.kept = t.nn.Buffer(t.arange(3.0))
    module.lost = t.nn.Buffer(t.ones(2), persistent=False)
    other = copy.deepcopy(module)
    return list(other.state_dict()), [n for n, _ in other.named_buffers()], type(other.kept).__name__, other.kept


def _parameters(t: Any) -> Any:
    import copy
    import pickle

    x = t.ones(2)
    p = t.nn.Parameter(x)
    x[0] = 5
    copies = copy.deepcopy(p), pickle.loads(pickle.dumps(p))
    return repr(p), repr(t.nn.Parameter(x, requires_grad=False)), [repr(c) for c in copies], p * 2, t.nn.Parameter().shape


MODULE_PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "buffers": _buffers,
    "parameters": _parameters,
    "sub_parameter": lambda t: isinstance(t.ones(2), t.nn.Parameter) or isinstance(t.nn.Parameter(), t.Tensor),
    "names": lambda t: _names(_net(t).eval()),
    "load": lambda t: _load(t, lambda s: None),
    "assign": lambda t: _load(t, lambda s: None, assign=True),
    "missing": lambda t: _load(t, lambda s: s.pop("norm.weight")),
    "missing_allowed": lambda t: _load(t, lambda s: s.pop("norm.weight"), strict=False),
    "unexpected": lambda t: _load(t, lambda s: s.update({"more": t.zeros(1)})),
    "unexpected_allowed": lambda t: _load(t, lambda s: s.update({"heads.c.weight": t.zeros(1)}), strict=False),
    "another_shape": lambda t: _load(t, lambda s: s.update({"scale": t.zeros(5)}), strict=False),
    "not_a_tensor": lambda t: _load(t, lambda s: s.update({"scale": 5})),
    "another_dtype": lambda t: _load(t, lambda s: s.update({"scale": t.arange(4)})),
    "error_text": lambda t: _error_text(
        t, lambda s: (s.pop("scale"), s.update({"more": t.zeros(1), "first.bias": t.zeros(7), "kept": t.zeros(3, 1)}))
    ),
    "not_a_dictionary": lambda t: _net(t).load_state_dict([1]),
    "hooks": _hooks,
    "backward_hooks": _backward_hooks,
    "state_hooks": _state_hooks,
    "state_hook_with_result": lambda t: (
        lambda net: (net.register_state_dict_post_hook(lambda m, state, *rest: state), net.state_dict())
    )(_net(t)),
    "extra_state": _extra_state,
    "copy": _copied,
    "convert": _converted,
    "convert_to_integers": lambda t: _net(t).to(t.int64),
    "apply_order": lambda t: (lambda seen: (_net(t).apply(lambda m: seen.append(type(m).__name__)), seen)[1])([]),
    "requires_grad": lambda t: [p.requires_grad for p in _net(t).requires_grad_(False).parameters()],
    "zero_grad": lambda t: (lambda net: (net(numbers(t, 4, 3)).sum().backward(), net.zero_grad(False),
                                         net.scale.grad))(_net(t)),
    "get": lambda t: (lambda net: (net.get_parameter("heads.a.weight"), net.get_buffer("norm.running_mean"),
                                   repr(net.get_submodule("blocks.1"))))(_net(t)),
    "get_what_is_missing": lambda t: _net(t).get_submodule("blocks.7"),
    "get_what_is_no_module": lambda t: _net(t).get_submodule("scale"),
    "set_submodule": lambda t: (lambda net: (net.set_submodule("blocks.1", t.nn.Tanh()), repr(net)))(_net(t)),
    "missing_attribute": lambda t: _net(t).nothing,
    "before_init": lambda t: type("M", (t.nn.Module,), {"__init__": lambda s: setattr(s, "a", t.nn.Linear(1, 1))})(),
    "tensor_as_parameter": lambda t: setattr(_net(t), "scale", t.zeros(4)),
    "number_as_module": lambda t: setattr(_net(t), "first", 3),
    "number_as_buffer": lambda t: setattr(_net(t), "kept", 3),
    "parameter_with_a_dot": lambda t: _net(t).register_parameter("a.b", None),
    "name_taken": lambda t: _net(t).register_buffer("forward", t.zeros(1)),
    "no_leaf": lambda t: _net(t).register_parameter("p", t.zeros(1, requires_grad=True) * 2),
    "computed_parameter": lambda t: setattr(_net(t), "p", t.nn.Parameter(t.zeros(2, requires_grad=True) * 2)),
    "integer_parameter": lambda t: t.nn.Parameter(t.arange(3)),
    "module_name": lambda t: _net(t).add_module("a.b", t.nn.ReLU()),
    "no_module": lambda t: _net(t).add_module("a", 3),
    "no_forward": lambda t: t.nn.Module()(1),
    "delete": lambda t: (lambda net: (delattr(net, "scale"), delattr(net, "kept"), delattr(net, "tied"), _names(net)))(
        _net(t)
    ),
    "replace": lambda t: (lambda net: (setattr(net, "first", t.nn.Identity()), setattr(net, "scale", None),
                                       setattr(net, "kept", t.ones(2)), _names(net)))(_net(t)),
    "training": lambda t: _net(t).train("yes"),
    "sequential": lambda t: (lambda s: (repr(s[1:]), repr(s[-1]), len(s), repr(s.append(t.nn.Tanh())), repr(s.pop(0)),
                                        repr(s.insert(1, t.nn.ELU())), repr(s + s), repr(s * 2), list(s.state_dict())))(
        t.nn.Sequential(t.nn.Linear(2, 2), t.nn.ReLU(), t.nn.Linear(2, 1))),
    "sequential_delete": lambda t: (lambda s: (s.__delitem__(0), s.__setitem__(1, t.nn.Tanh()), repr(s)))(
        t.nn.Sequential(t.nn.Linear(2, 2), t.nn.ReLU(), t.nn.Linear(2, 1))),
    "list": lambda t: (lambda m: (repr(m[:2]), repr(m), len(m), repr(m + t.nn.ModuleList([t.nn.ReLU()])), repr(m.pop(1)),
                                  m.__delitem__(0), repr(m), repr(m.extend([t.nn.Tanh()] * 3))))(
        t.nn.ModuleList([t.nn.Linear(1, 1)] * 4)),
    "list_outside": lambda t: t.nn.ModuleList([t.nn.ReLU()])[3],
    "empty_list": lambda t: repr(t.nn.ModuleList()),
    "dictionary": lambda t: (lambda d: (repr(d), list(d), list(d.keys()), "b" in d, repr(d.pop("a")), len(d), d.clear(),
                                        repr(d)))(t.nn.ModuleDict({"a": t.nn.ReLU(), "b": t.nn.Tanh()})),
    "parameter_list": lambda t: (lambda p: (repr(p), len(p), p[-1], repr(p[:1]), list(p.state_dict()),
                                            repr(p.append(t.zeros(1)))))(
        t.nn.ParameterList([t.nn.Parameter(t.ones(2)), t.zeros(3, 1)])),
    "parameter_dict": lambda t: (lambda p: (repr(p), len(p), p["b"], list(p), p.pop("a"), list(p.state_dict())))(
        t.nn.ParameterDict({"a": t.nn.Parameter(t.ones(2)), "b": t.zeros(3, 1)})),
}  # fmt: skip


@pytest.mark.parametrize("name", MODULE_PROGRAMS)
def test_module(name: str) -> None:
    compare(MODULE_PROGRAMS[name], rtol=2e-5, atol=2e-6)
