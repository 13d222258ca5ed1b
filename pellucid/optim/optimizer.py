"""Optimizer: groups of parameters, what it remembers of each, and a step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import chain
from typing import Any

from pellucid.autograd.modes import enable_grad, no_grad
from pellucid.tensor import Tensor


class Optimizer:
    """The base of all optimisers. ``param_groups`` are dictionaries of ``params`` and options; ``state`` is by parameter.

    Raises:
        TypeError: ``params`` is a single tensor, or holds something else than tensors.
        ValueError: there are no parameters, one is not a leaf, or one is given twice.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got a Tensor: "
                "write [tensor]"
            )
        self.defaults = defaults
        self.state: Any = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(dict(group))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        given = param_group["params"]
        if isinstance(given, set):
            raise TypeError("optimizer parameters need to be organized in ordered collections, but a set is unordered")
        params = [given] if isinstance(given, Tensor) else list(given)
        named = [p for p in params if isinstance(p, tuple)]
        if named:
            param_group["param_names"] = [name for name, _ in params]
            params = [p for _, p in params]
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if p.node is not None:
                raise ValueError("can't optimize a non-leaf Tensor: give the optimizer what the computation starts from")
        known = {id(p) for group in self.param_groups for p in group["params"]}
        if known & {id(p) for p in params} or len({id(p) for p in params}) < len(params):
            raise ValueError("some parameters appear in more than one parameter group, or twice in one")
        param_group["params"] = params
        for name, value in self.defaults.items():
            param_group.setdefault(name, value)
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.gradient is None:
                    continue
                if set_to_none:
                    p.gradient = None
                else:
                    p.gradient = p.gradient.detach()
                    p.gradient.zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient; ``closure`` computes the loss anew first."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.gradient is not None:
                        self.update(p, p.gradient, group, self.state[p])
        return loss

    def update(self, p: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        """Change one parameter in place."""
        raise NotImplementedError(f"{type(self).__name__} does not define update()")

    def state_dict(self) -> dict[str, Any]:
        """State by the parameters' numbers, in the order of the groups."""
        numbers = {id(p): i for i, p in enumerate(chain(*(g["params"] for g in self.param_groups)))}
        groups = [
            {**{k: v for k, v in g.items() if k != "params"}, "params": [numbers[id(p)] for p in g["params"]]}
            for g in self.param_groups
        ]
        return {"state": {numbers[id(p)]: dict(s) for p, s in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        groups = deepcopy(state_dict["param_groups"])
        if len(groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(a["params"]) != len(b["params"]) for a, b in zip(self.param_groups, groups, strict=True)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        saved = chain(*(g["params"] for g in groups))
        own = dict(zip(saved, chain(*(g["params"] for g in self.param_groups)), strict=True))
        self.state = defaultdict(dict)
        for number, values in state_dict["state"].items():
            p = own[number]
            self.state[p] = {k: _like_parameter(k, v, p) for k, v in values.items()}
        for mine, theirs in zip(self.param_groups, groups, strict=True):
            mine.update({k: v for k, v in theirs.items() if k != "params"})

    def __repr__(self) -> str:
        text = type(self).__name__ + " ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            text += "".join(f"    {k}: {group[k]}\n" for k in sorted(group) if k != "params")
        return text + ")"


def _like_parameter(name: str, value: Any, p: Tensor) -> Any:
    if not isinstance(value, Tensor):
        return deepcopy(value)
    return value.clone() if name == "step" else value.to(p.layout.dtype).clone()
