"""A module called with other parameters than its own: ``functional_call``."""

from __future__ import annotations

from typing import Any

from pellucid.nn.modules.module import Module
from pellucid.tensor import Tensor

_Place = tuple[dict[str, Any], str]  # the dictionary of a module that holds a tensor, and its name there


def functional_call(
    module: Module, parameter_and_buffer_dicts: Any, args: Any = None, kwargs: dict[str, Any] | None = None, *,
    tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """``module(*args, **kwargs)``, with tensors by their dotted names in place of its parameters and buffers.

    The module keeps its own afterwards; buffers that it replaces by assignment during the call are found in the
    dictionary.

    Args:
        tie_weights: a tensor that the module has under several names is replaced under all of them.
        strict: all parameters and buffers have to be given, and nothing else.

    Raises:
        ValueError: a name in two dictionaries, two tensors for tied names. TypeError: what is given is no tensor.
        AttributeError: there is no such submodule. RuntimeError: a name is missing or unknown, if ``strict``.
    """
    given = _merged(parameter_and_buffer_dicts)
    places: dict[str, _Place] = {}
    for name, value in given.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"functional_call(): {value!r} is not an instance of torch.Tensor (for {name!r})")
        place = _place(module, name)
        if place is not None:
            places[name] = place
    if strict:
        _require_all(module, given)
    wanted = {name: given[name] for name in places}
    if tie_weights:
        for name, value in _tied(module, given).items():
            wanted[name], places[name] = value, _place(module, name) or places[name]
    own = {name: held[last] for name, (held, last) in places.items()}
    if args is None:
        args = ()
    try:
        for name, (held, last) in places.items():
            held[last] = wanted[name]
        return module(*(args if isinstance(args, tuple) else (args,)), **(kwargs or {}))
    finally:
        source = parameter_and_buffer_dicts if isinstance(parameter_and_buffer_dicts, dict) else given
        for name, (held, last) in places.items():
            if name in source:
                source[name] = held[last]
            held[last] = own[name]


def _merged(dicts: Any) -> dict[str, Any]:
    if isinstance(dicts, dict):
        return dict(dicts)
    if not isinstance(dicts, list | tuple) or not all(isinstance(d, dict) for d in dicts):
        raise ValueError("functional_call(): Expected all elements of parameter_and_buffer_dicts to be dictionaries")
    names = [name for d in dicts for name in d]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"functional_call(): {twice} appeared in multiple dictionaries; behavior of functional call is ambiguous"
        )
    return {name: value for d in dicts for name, value in d.items()}


def _place(module: Module, name: str) -> _Place | None:
    """Where the tensor of a dotted name is held; None if its module has no such tensor."""
    path, _, last = name.rpartition(".")
    holder = module.get_submodule(path)
    return next(((held, last) for held in (holder._parameters, holder._buffers) if last in held), None)


def _names(module: Module) -> list[tuple[str, Any]]:
    return [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]


def _require_all(module: Module, given: dict[str, Any]) -> None:
    names = [name for name, _ in _names(module)]
    missing, unknown = [n for n in names if n not in given], [n for n in given if n not in names]
    if missing or unknown:
        lines = [f"\n\t{what} key(s): {n}." for what, n in (("Missing", missing), ("Unexpected", unknown)) if n]
        raise RuntimeError(f"Error(s) in reparametrizing for {type(module).__name__}:{''.join(lines)}")


def _tied(module: Module, given: dict[str, Any]) -> dict[str, Any]:
    """For further names of tensors that are replaced: by what."""
    groups: dict[int, list[str]] = {}
    for name, t in _names(module):
        groups.setdefault(id(t), []).append(name)
    tied: dict[str, Any] = {}
    for group in groups.values():
        replaced = [name for name in group if name in given]
        if len({id(given[name]) for name in replaced}) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {replaced}, which are tied. Consider using tie_weights=False"
            )
        if replaced:
            tied |= {name: given[replaced[0]] for name in group if name not in given}
    return tied
