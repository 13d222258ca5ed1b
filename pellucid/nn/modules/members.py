"""What a module holds under names - parameters, buffers, submodules - and walking over all of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Self

from pellucid.autograd.hooks import RemovableHandle
from pellucid.nn.parameter import Buffer, Parameter
from pellucid.tensor import Tensor

_GROUPS = ("_parameters", "_buffers", "_modules")


def typename(value: Any) -> str:
    """The type's name in messages; a tensor's as in ``Tensor.type()``."""
    if isinstance(value, Tensor):
        return str(value.type())
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


_registration: OrderedDict[int, tuple[str, Callable[..., Any]]] = OrderedDict()  # hooks of all modules, with their kind


def _on_registration(kind: str, hook: Callable[..., Any]) -> RemovableHandle:
    handle = RemovableHandle(_registration)
    _registration[handle.id] = kind, hook
    return handle


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """``hook(module, name, parameter)`` whenever a module registers a parameter; it may return another one."""
    return _on_registration("parameter", hook)


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """``hook(module, name, buffer)`` whenever a module registers a buffer; it may return another one."""
    return _on_registration("buffer", hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """``hook(module, name, submodule)`` whenever a module registers a submodule; it may return another one."""
    return _on_registration("module", hook)


def _after_hooks(kind: str, module: Any, name: str, value: Any) -> Any:
    """What is to be registered: the value, or what a hook gave in its place."""
    for wanted, hook in tuple(_registration.values()):
        changed = hook(module, name, value) if wanted == kind else None
        value = value if changed is None else changed
    return value


class Members:
    """Attributes that are parameters, buffers or modules are registered under their names."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]

    # -- attributes ---------------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for group in _GROUPS:
            if group in own and name in own[group]:
                return own[group][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, Parameter):
            self._require_started("parameters")
            self._forget(name, "_buffers", "_modules")
            self.register_parameter(name, value)
        elif name in own.get("_parameters", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{typename(value)}' as parameter '{name}' (torch.nn.Parameter or None expected)"
                )
            own["_parameters"][name] = None
        elif isinstance(value, Members):
            self._require_started("module")
            self._forget(name, "_parameters", "_buffers")
            own["_modules"][name] = _after_hooks("module", self, name, value)
        elif name in own.get("_modules", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{typename(value)}' as child module '{name}' (torch.nn.Module or None expected)"
                )
            own["_modules"][name] = None
        elif isinstance(value, Buffer):
            self._require_started("buffer")
            self._forget(name, "_parameters", "_modules")
            tensor: Any = value
            self.register_buffer(name, tensor, value.persistent)
        elif name in own.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{typename(value)}' as buffer '{name}' (torch.nn.Buffer, torch.Tensor or None expected)"
                )
            own["_buffers"][name] = _after_hooks("buffer", self, name, value)
        else:
            object.__setattr__(self, name, value)

    def _require_started(self, kind: str) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call: call super().__init__() first")

    def _forget(self, name: str, *groups: str) -> None:
        self.__dict__.pop(name, None)
        for group in groups:
            self.__dict__[group].pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def __delattr__(self, name: str) -> None:
        for group in _GROUPS:
            if name in self.__dict__[group]:
                del self.__dict__[group][name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(n for n in names if not n[:1].isdigit())

    # -- registration -------------------------------------------------------------------------------------------------

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter, or None for one that is optional and absent.

        Raises:
            TypeError: not a Parameter. KeyError: the name is taken, empty or has a dot. ValueError: not a leaf.
        """
        self._check_name(name, "parameter", "_parameters")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{typename(param)}' object to parameter '{name}' (torch.nn.Parameter or None required)"
            )
        if param is not None and param.node is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}': a parameter is created, not computed. To make it "
                "depend on another tensor, compute the value in forward()."
            )
        self._parameters[name] = _after_hooks("parameter", self, name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """State that is saved (if ``persistent``) and moved with the module, and never trained.

        Raises:
            TypeError: not a tensor. KeyError: the name is taken, empty or has a dot.
        """
        self._check_name(name, "buffer", "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{typename(tensor)}' object to buffer '{name}' (torch Tensor or None required)"
            )
        self._buffers[name] = _after_hooks("buffer", self, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Any) -> None:
        """Add a submodule under a name.

        Raises:
            TypeError: not a module. KeyError: the name is taken, empty or has a dot.
        """
        if module is not None and not isinstance(module, Members):
            raise TypeError(f"{typename(module)} is not a Module subclass")
        self._check_name(name, "module", "_modules")
        self._modules[name] = _after_hooks("module", self, name, module)

    def register_module(self, name: str, module: Any) -> None:
        """`add_module`."""
        self.add_module(name, module)

    def _check_name(self, name: str, kind: str, group: str) -> None:
        self._require_started(kind)
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {typename(name)}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain ".", got: {name}')
        if not name:
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if name not in self.__dict__[group] and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    # -- walking ------------------------------------------------------------------------------------------------------

    def children(self) -> Iterator[Any]:
        """The direct submodules."""
        for _, module in self.named_children():
            yield module

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """The direct submodules with their names; one that has two names comes once."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def modules(self) -> Iterator[Any]:
        """This module and all below it."""
        for _, module in self.named_modules():
            yield module

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """This module and all below it, with dotted names."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                below = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, below, remove_duplicate)

    def _named_members(
        self, group: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        found = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for place, module in found:
            for name, value in module.__dict__[group].items():
                if value is None or (remove_duplicate and id(value) in seen):
                    continue
                seen.add(id(value))
                yield (f"{place}.{name}" if place else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Parameters with dotted names."""
        yield from self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """What an optimiser trains."""
        for _, value in self.named_parameters(recurse=recurse):
            yield value

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Buffers with dotted names."""
        yield from self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """State that is not trained."""
        for _, value in self.named_buffers(recurse=recurse):
            yield value

    # -- by dotted name -----------------------------------------------------------------------------------------------

    def get_submodule(self, target: str) -> Any:
        """The module of a dotted name; "" is this one.

        Raises:
            AttributeError: there is none.
        """
        module: Any = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Members):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Self, strict: bool = False) -> None:
        """Put a module under a dotted name.

        Raises:
            ValueError: an empty name. AttributeError: there is no such place (with ``strict``: no module there yet).
        """
        if not target:
            raise ValueError("Cannot set the submodule without a target name!")
        place, _, name = target.rpartition(".")
        parent = self.get_submodule(place)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{type(parent).__name__} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Members):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name.

        Raises:
            AttributeError: there is none.
        """
        return self._get_member(target, Parameter, "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer of a dotted name.

        Raises:
            AttributeError: there is none.
        """
        place, _, name = target.rpartition(".")
        found = self._get_member(target, Tensor, "a buffer")
        if name not in self.get_submodule(place)._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return found

    def _get_member(self, target: str, kind: type, words: str) -> Any:
        place, _, name = target.rpartition(".")
        module = self.get_submodule(place)
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        value = getattr(module, name)
        if not isinstance(value, kind):
            raise AttributeError(f"`{name}` is not {words}")
        return value
