"""Optimizer: groups of parameters, what it remembers of each, and a step."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from functools import wraps
from itertools import chain
from typing import Any
from warnings import warn

from pellucid.autograd.hooks import RemovableHandle
from pellucid.autograd.modes import enable_grad, no_grad
from pellucid.dtypes import float32, float64, get_default_dtype
from pellucid.operators.creation import zeros
from pellucid.tensor import Tensor

Hook = Callable[..., Any]
_of_all: dict[str, OrderedDict[int, Hook]] = {"before": OrderedDict(), "after": OrderedDict()}


def register_optimizer_step_pre_hook(hook: Hook) -> RemovableHandle:
    """``hook(optimizer, args, kwargs)`` before each step of every optimiser; it may return other arguments."""
    return _add(_of_all["before"], hook)


def register_optimizer_step_post_hook(hook: Hook) -> RemovableHandle:
    """``hook(optimizer, args, kwargs)`` after each step of every optimiser."""
    return _add(_of_all["after"], hook)


def _hooked(step: Callable[..., Any]) -> Callable[..., Any]:
    """``step`` between the optimiser's hooks, which see all of its arguments, the optimiser being the first."""

    @wraps(step)
    def run(*args: Any, **named: Any) -> Any:
        self = args[0]
        for hook in (*_of_all["before"].values(), *self._step_pre_hooks.values()):
            changed = hook(self, args, named)
            if changed is not None:
                if not isinstance(changed, tuple) or len(changed) != 2:
                    raise RuntimeError(
                        f"step pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}"
                    )
                args, named = changed
        result = step(*args, **named)
        self.stepped = True
        for hook in (*self._step_post_hooks.values(), *_of_all["after"].values()):
            hook(self, args, named)
        return result

    return run


class Optimizer:
    """The base of all optimisers. ``param_groups`` are dictionaries of ``params`` and options; ``state`` is by parameter.

    A subclass defines ``update_group(group)``, or ``step`` as a whole.

    Raises:
        TypeError: ``params`` is a single tensor, or holds something else than tensors.
        ValueError: there are no parameters, one is not a leaf, or one is given twice.
    """

    stepped = False  # schedules warn when they step first

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"{params.type()}: write [tensor]"
            )
        self.defaults = defaults
        self._step_pre_hooks: OrderedDict[int, Hook] = OrderedDict()
        self._step_post_hooks: OrderedDict[int, Hook] = OrderedDict()
        self._state_hooks: dict[str, OrderedDict[int, Hook]] = defaultdict(OrderedDict)
        self.state: Any = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(dict(group))

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        if "step" in cls.__dict__:
            cls.step = _hooked(cls.__dict__["step"])  # type: ignore[method-assign]

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """More parameters to train, with their own options."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        given = param_group["params"]
        if isinstance(given, set):
            raise TypeError("optimizer parameters need to be organized in ordered collections, but a set is unordered")
        params = [given] if isinstance(given, Tensor) else list(given)
        if any(isinstance(p, tuple) for p in params):
            param_group["param_names"] = [name for name, _ in params]
            params = [p for _, p in params]
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if p.node is not None and not p.retains_grad:
                raise ValueError("can't optimize a non-leaf Tensor: give the optimizer what the computation starts from")
        if len({id(p) for p in params}) < len(params):
            warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error",
                UserWarning,
                stacklevel=3,
            )
        if {id(p) for group in self.param_groups for p in group["params"]} & {id(p) for p in params}:
            raise ValueError("some parameters appear in more than one parameter group")
        param_group["params"] = params
        for name, value in self.defaults.items():
            param_group.setdefault(name, value)
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or fill them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.gradient = None
                elif p.gradient is not None:
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
                self.update_group(group)
        return loss

    def update_group(self, group: dict[str, Any]) -> None:
        """Change the parameters of one group in place."""
        raise NotImplementedError(f"{type(self).__name__} defines neither step() nor update_group()")

    # -- state --------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """State by the parameters' numbers, in the order of the groups."""
        for hook in list(self._state_hooks["before_saving"].values()):
            hook(self)
        numbers: dict[int, int] = {}
        for p in chain(*(g["params"] for g in self.param_groups)):
            numbers.setdefault(id(p), len(numbers))
        groups = [
            {**{k: v for k, v in g.items() if k != "params"}, "params": [numbers[id(p)] for p in g["params"]]}
            for g in self.param_groups
        ]
        state = {(numbers[id(p)] if isinstance(p, Tensor) else p): s for p, s in self.state.items()}
        made = {"state": state, "param_groups": groups}
        for hook in list(self._state_hooks["after_saving"].values()):
            changed = hook(self, made)
            made = made if changed is None else changed
        return made

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a copy of another optimiser's state and options; its groups must be of the same sizes.

        Raises:
            ValueError: other groups.
        """
        state_dict = dict(state_dict)
        for hook in list(self._state_hooks["before_loading"].values()):
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
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
            if number in own:
                self.state[own[number]] = {k: _like_parameter(k, v, own[number]) for k, v in values.items()}
            else:
                self.state[number] = deepcopy(values)
        for mine, theirs in zip(self.param_groups, groups, strict=True):
            mine.update({k: v for k, v in theirs.items() if k != "params"})
        for hook in list(self._state_hooks["after_loading"].values()):
            hook(self)

    # -- hooks --------------------------------------------------------------------------------------------------------

    def register_step_pre_hook(self, hook: Hook) -> RemovableHandle:
        """``hook(optimizer, args, kwargs)`` before each step; it may return other arguments."""
        return _add(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Hook) -> RemovableHandle:
        """``hook(optimizer, args, kwargs)`` after each step."""
        return _add(self._step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer)`` before the state is taken out."""
        return _add(self._state_hooks["before_saving"], hook, prepend)

    def register_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer, state_dict)`` afterwards; it may return another one."""
        return _add(self._state_hooks["after_saving"], hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer, state_dict)`` before loading; it may return another one."""
        return _add(self._state_hooks["before_loading"], hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer)`` after loading."""
        return _add(self._state_hooks["after_loading"], hook, prepend)

    def __repr__(self) -> str:
        text = type(self).__name__ + " ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            text += "".join(f"    {k}: {group[k]}\n" for k in sorted(group) if k != "params")
        return text + ")"


Optimizer.step = _hooked(Optimizer.step)  # type: ignore[method-assign]


def new_step() -> Tensor:
    """The count of a parameter's steps, as optimisers keep it in their state: a floating number."""
    return zeros((), dtype=float64 if get_default_dtype() is float64 else float32)


def check_options(options: dict[str, Any]) -> None:
    """All of these must not be negative.

    Raises:
        ValueError: one is.
    """
    for name, value in options.items():
        if not value >= 0.0:
            raise ValueError(f"Invalid {name}: {value}")


def check_betas(betas: Any) -> None:
    """Shares of a running mean that are kept lie in [0, 1).

    Raises:
        ValueError: one does not.
    """
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


def live(group: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """The group's parameters that have a gradient, with the gradient to descend along."""
    for p in group["params"]:
        if p.gradient is not None:
            yield p, -p.gradient if group["maximize"] else p.gradient


def refuse_differentiable(name: str, differentiable: bool) -> None:
    """Updates are written in place and are not recorded.

    Raises:
        NotImplementedError: it was asked for.
    """
    if differentiable:
        raise NotImplementedError(f"{name}: differentiable=True is not supported; leave it away")


def _add(hooks: OrderedDict[int, Hook], hook: Hook, prepend: bool = False) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def _like_parameter(name: str, value: Any, p: Tensor) -> Any:
    """A copy of a saved value; floating tensors in the parameter's dtype, but for the count of steps."""
    if not isinstance(value, Tensor):
        return deepcopy(value) if name != "step" else new_step().fill_(value)
    if name == "step" or not p.layout.dtype.is_floating_point:
        return value.detach().clone()
    return value.detach().to(p.layout.dtype, copy=True)
