"""A module's state under dotted names: taking it out, putting it back."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from typing import Any

from pellucid.autograd.hooks import RemovableHandle
from pellucid.autograd.modes import no_grad
from pellucid.errors import shape_text
from pellucid.nn.modules.hooks import add_hook
from pellucid.nn.parameter import Parameter, is_lazy
from pellucid.tensor import Tensor

Hook = Callable[..., Any]
EXTRA = "_extra_state"


class IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """The names that a state lacks, and those that it has too many."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"

    __str__ = __repr__


class State:
    """Saving and loading, module by module; subclasses may override the steps with an underscore."""

    _version = 1
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]
    _state_dict_hooks: OrderedDict[int, tuple[Hook, bool]]
    _state_dict_pre_hooks: OrderedDict[int, Hook]
    _load_state_dict_pre_hooks: OrderedDict[int, tuple[Hook, bool]]
    _load_state_dict_post_hooks: OrderedDict[int, Hook]

    # -- saving -------------------------------------------------------------------------------------------------------

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """Parameters and persistent buffers by their dotted names; they share memory with the module's.

        ``keep_vars`` gives the parameters themselves instead of detached tensors.
        """
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = {"version": self._version}
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook, may_replace in self._state_dict_hooks.values():
            changed = hook(self, destination, prefix, {"version": self._version})
            if changed is not None and not may_replace:
                raise RuntimeError("state_dict post-hook must return None: change the dictionary in place")
            destination = destination if changed is None else changed
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, value in self._persistent_members().items():
            if value is not None:
                destination[prefix + name] = value if keep_vars else value.detach()
        extra = getattr(type(self), "get_extra_state", None)
        if extra is not None and extra is not State.get_extra_state:
            destination[prefix + EXTRA] = extra(self)

    def _persistent_members(self) -> dict[str, Any]:
        kept = {k: v for k, v in self._buffers.items() if k not in self._non_persistent_buffers_set}
        return {**self._parameters, **kept}

    def get_extra_state(self) -> Any:
        """State beyond tensors, for subclasses that have some."""
        raise RuntimeError(
            "Reached a code path in Module.get_extra_state() that should never be called: define it in the subclass"
        )

    def set_extra_state(self, state: Any) -> None:
        """The reverse of `get_extra_state`."""
        raise RuntimeError(
            "Reached a code path in Module.set_extra_state() that should never be called: define it in the subclass"
        )

    # -- loading ------------------------------------------------------------------------------------------------------

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy the values of the same names into this module (or, with ``assign``, take over the tensors themselves).

        Raises:
            TypeError: not a dictionary.
            RuntimeError: names are missing or unexpected (if ``strict``), or shapes differ.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing: list[str] = []
        unexpected: list[str] = []
        problems: list[str] = []
        metadata = getattr(state_dict, "_metadata", None)
        values = OrderedDict(state_dict)
        if metadata is not None:
            values._metadata = metadata  # type: ignore[attr-defined]
        self._load(values, "", metadata or {}, assign, missing, unexpected, problems)
        if strict and unexpected:
            problems.insert(0, f"Unexpected key(s) in state_dict: {_listed(unexpected)}. ")
        if strict and missing:
            problems.insert(0, f"Missing key(s) in state_dict: {_listed(missing)}. ")
        if problems:
            text = "\n\t".join(problems)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{text}")
        return IncompatibleKeys(missing, unexpected)

    def _load(
        self,
        values: Any,
        prefix: str,
        metadata: Mapping[str, Any],
        assign: bool,
        missing: list[str],
        unexpected: list[str],
        problems: list[str],
    ) -> None:
        local = dict(metadata.get(prefix[:-1], {}))
        if assign:
            local["assign_to_params_buffers"] = True
        self._load_from_state_dict(values, prefix, local, True, missing, unexpected, problems)
        for name, module in self._modules.items():
            if module is not None:
                below = f"{prefix}{name}."
                own = {k: v for k, v in values.items() if k.startswith(below)}
                module._load(own, below, metadata, assign, missing, unexpected, problems)
        found = IncompatibleKeys(missing, unexpected)
        for hook in self._load_state_dict_post_hooks.values():
            if hook(self, found) is not None:
                raise AssertionError(
                    "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new values: "
                    "change incompatible_keys in place"
                )

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Load this module's own parameters and buffers; names and problems are added to the lists."""
        for hook, with_module in self._load_state_dict_pre_hooks.values():
            own = (self,) if with_module else ()
            hook(*own, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        members = self._persistent_members()
        assign = bool(local_metadata.get("assign_to_params_buffers", False))
        for name, value in members.items():
            key = prefix + name
            if value is None:
                continue
            if key not in state_dict:
                if strict:
                    missing_keys.append(key)
                continue
            problem = self._load_member(name, key, value, state_dict[key], assign)
            if problem:
                error_msgs.append(problem)
        self._load_extra_state(state_dict, prefix + EXTRA, strict, missing_keys, unexpected_keys)
        if strict:
            known = {k for k, v in members.items() if v is not None}
            unexpected_keys.extend(k for k in state_dict if self._is_unexpected(k, prefix, known))

    def _is_unexpected(self, key: str, prefix: str, known: set[str]) -> bool:
        if not key.startswith(prefix) or key == prefix + EXTRA:
            return False
        first, dot, _ = key[len(prefix) :].partition(".")
        return first not in self._modules if dot else first not in known

    def _load_extra_state(
        self, state_dict: Any, key: str, strict: bool, missing: list[str], unexpected: list[str]
    ) -> None:
        if type(self).set_extra_state is not State.set_extra_state:
            if key in state_dict:
                self.set_extra_state(state_dict[key])
            elif strict:
                missing.append(key)
        elif strict and key in state_dict:
            unexpected.append(key)

    def _load_member(self, name: str, key: str, own: Tensor, value: Any, assign: bool) -> str | None:
        """Load one tensor; gives back what is wrong, if anything is."""
        if not isinstance(value, Tensor):
            return (
                f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from checkpoint '
                f"but received {type(value)}"
            )
        if is_lazy(own) and is_lazy(value):
            return None
        if is_lazy(value):
            return f'"{key}" has no shape in the state yet: call the module that it comes from with a first batch'
        if own.layout.ndim == 0 and value.layout.ndim == 1:
            value = value[0]
        if own.layout.shape != value.layout.shape:
            return (
                f"size mismatch for {key}: copying a param with shape torch.Size({list(value.layout.shape)}) from "
                f"checkpoint, the shape in current model is torch.Size({list(own.layout.shape)})."
            )
        try:
            with no_grad():
                if not assign:
                    own.copy_(value)
                else:
                    if isinstance(own, Parameter) and not isinstance(value, Parameter):
                        value = Parameter(value, requires_grad=own.tracked)
                    setattr(self, name, value)
        except Exception as error:
            return (
                f'While copying the parameter named "{key}", whose dimensions in the model are '
                f"{shape_text(own.layout.shape)} and whose dimensions in the checkpoint are "
                f"{shape_text(value.layout.shape)}, an exception occurred : {error.args}."
            )
        return None

    # -- hooks --------------------------------------------------------------------------------------------------------

    def register_state_dict_pre_hook(self, hook: Hook) -> RemovableHandle:
        """``hook(module, prefix, keep_vars)`` before the state is taken out."""
        return add_hook(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Hook) -> RemovableHandle:
        """``hook(module, state_dict, prefix, local_metadata)`` afterwards; it changes the dictionary in place."""
        return add_hook(self._state_dict_hooks, (hook, False))

    def _register_state_dict_hook(self, hook: Hook) -> RemovableHandle:
        return add_hook(self._state_dict_hooks, (hook, True))

    def register_load_state_dict_pre_hook(self, hook: Hook) -> RemovableHandle:
        """``hook(module, state_dict, prefix, ...)`` with the arguments of ``_load_from_state_dict``, before it."""
        return add_hook(self._load_state_dict_pre_hooks, (hook, True))

    def _register_load_state_dict_pre_hook(self, hook: Hook, with_module: bool = False) -> RemovableHandle:
        return add_hook(self._load_state_dict_pre_hooks, (hook, with_module))

    def register_load_state_dict_post_hook(self, hook: Hook) -> RemovableHandle:
        """``hook(module, incompatible_keys)`` after loading; it may change the lists of names."""
        return add_hook(self._load_state_dict_post_hooks, hook)


def _listed(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
