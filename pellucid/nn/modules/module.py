"""Module: parameters, buffers and submodules under names, and everything that walks over them."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, TypeVar

from pellucid.autograd.modes import no_grad
from pellucid.dtypes import DType
from pellucid.errors import shape_text
from pellucid.nn.parameter import Buffer, Parameter
from pellucid.tensor import Tensor

M = TypeVar("M", bound="Module")
IncompatibleKeys = namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])
_hook_numbers = count()


class RemovableHandle:
    """Takes a hook away again, by ``remove()`` or at the end of a ``with``."""

    def __init__(self, hooks: dict[int, Any]) -> None:
        self.id, self._hooks = next(_hook_numbers), hooks

    def remove(self) -> None:
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class Module:
    """The base of all layers and networks.

    Assigning a ``Parameter``, a ``Buffer`` or a ``Module`` to an attribute registers it under that name; a subclass
    calls ``super().__init__()`` first and defines ``forward``.
    """

    training: bool

    def __init__(self) -> None:
        own = self.__dict__
        own["training"] = True
        for name in ("_parameters", "_buffers", "_modules"):
            own[name] = {}
        own["_non_persistent_buffers_set"] = set()
        for name in ("_forward_hooks", "_forward_pre_hooks", "_state_dict_hooks", "_load_state_dict_pre_hooks"):
            own[name] = OrderedDict()

    def forward(self, *inputs: Any) -> Any:
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        if not self._forward_hooks and not self._forward_pre_hooks:
            return self.forward(*inputs, **named)
        for hook, with_names in list(self._forward_pre_hooks.values()):
            changed = hook(self, inputs, named) if with_names else hook(self, inputs)
            if with_names and changed is not None:
                inputs, named = changed
            elif changed is not None:
                inputs = changed if isinstance(changed, tuple) else (changed,)
        result = self.forward(*inputs, **named)
        for hook, with_names in list(self._forward_hooks.values()):
            changed = hook(self, inputs, named, result) if with_names else hook(self, inputs, result)
            result = result if changed is None else changed
        return result

    # -- attributes ---------------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        for group in ("_parameters", "_buffers", "_modules"):
            members = self.__dict__.get(group)
            if members is not None and name in members:
                return members[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, Parameter | Module) and "_parameters" not in own:
            kind = "parameters" if isinstance(value, Parameter) else "module"
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call: call super().__init__() first")
        if isinstance(value, Parameter):
            self._forget(name)
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._forget(name)
            own["_modules"][name] = value
        elif isinstance(value, Buffer):
            self._forget(name)
            self.register_buffer(name, value, value.persistent)
        elif name in own.get("_parameters", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as parameter '{name}' (torch.nn.Parameter or None expected)"
                )
            own["_parameters"][name] = None
        elif name in own.get("_modules", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as child module '{name}' (torch.nn.Module or None expected)"
                )
            own["_modules"][name] = None
        elif name in own.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(f"cannot assign '{_typename(value)}' as buffer '{name}' (torch.Tensor or None expected)")
            own["_buffers"][name] = value
        else:
            object.__setattr__(self, name, value)

    def _forget(self, name: str) -> None:
        self.__dict__.pop(name, None)
        for group in ("_parameters", "_buffers", "_modules"):
            self.__dict__[group].pop(name, None)

    def __delattr__(self, name: str) -> None:
        for group in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__[group]:
                del self.__dict__[group][name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(n for n in names if not n[:1].isdigit())

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        self._check_name(name, "parameter", self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"cannot assign '{_typename(param)}' object to parameter '{name}' (torch.nn.Parameter or None required)")
        if param is not None and param.node is not None:
            raise ValueError(f"Cannot assign non-leaf Tensor to parameter '{name}': a parameter is created, not computed")
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """State that is saved and moved with the module, and never trained."""
        self._check_name(name, "buffer", self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{_typename(tensor)}' object to buffer '{name}' (torch Tensor or None required)")
        self._buffers[name] = tensor
        self._non_persistent_buffers_set.discard(name)
        if not persistent:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_typename(module)} is not a Module subclass")
        self._check_name(name, "module", self._modules)
        self._modules[name] = module

    register_module = add_module

    def _check_name(self, name: str, kind: str, members: Mapping[str, Any]) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {_typename(name)}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain ".", got: {name}')
        if not name:
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if name not in members and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    # -- walking ------------------------------------------------------------------------------------------------------

    def children(self) -> Iterator[Module]:
        for _, module in self.named_children():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def modules(self) -> Iterator[Module]:
        for _, module in self.named_modules():
            yield module

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
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

    def _named_members(self, group: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
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
        yield from self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        for _, value in self.named_parameters(recurse=recurse):
            yield value

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        yield from self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        for _, value in self.named_buffers(recurse=recurse):
            yield value

    def get_submodule(self, target: str) -> Module:
        module: Any = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def get_parameter(self, target: str) -> Parameter:
        return self._get_member(target, Parameter, "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        return self._get_member(target, Tensor, "a buffer")

    def _get_member(self, target: str, kind: type, words: str) -> Any:
        place, _, name = target.rpartition(".")
        module = self.get_submodule(place)
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        value = getattr(module, name)
        if not isinstance(value, kind):
            raise AttributeError(f"`{name}` is not {words}")
        return value

    def apply(self: M, fn: Callable[[Module], Any]) -> M:
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # -- modes and moving ---------------------------------------------------------------------------------------------

    def train(self: M, mode: bool = True) -> M:
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: M) -> M:
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        for p in self.parameters():
            if p.gradient is not None:
                if set_to_none:
                    p.gradient = None
                else:
                    p.gradient = p.gradient.detach()
                    p.gradient.zero_()

    def _apply(self: M, fn: Callable[[Tensor], Tensor]) -> M:
        """Every parameter (in place: optimisers hold it), its gradient and every buffer through ``fn``."""
        for module in self.children():
            module._apply(fn)
        with no_grad():
            for p in self._parameters.values():
                if p is not None:
                    _replace_memory(p, fn(p))
                    if p.gradient is not None:
                        p.gradient = fn(p.gradient)
            for name, b in self._buffers.items():
                if b is not None:
                    self._buffers[name] = fn(b)
        return self

    def to(self: M, *args: Any, **named: Any) -> M:
        """Move or convert; only floating-point and complex members change their dtype."""
        wanted = [a for a in (*args, *named.values()) if isinstance(a, DType)]
        if wanted and not (wanted[0].is_floating_point or wanted[0].is_complex):
            raise TypeError(f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={wanted[0]!r}")
        kept = [a for a in args if not isinstance(a, DType)]
        others = {k: v for k, v in named.items() if not isinstance(v, DType)}

        def convert(t: Tensor) -> Tensor:
            if t.layout.dtype.is_floating_point or t.layout.dtype.is_complex:
                return t.to(*args, **named)
            return t.to(*kept, **others) if kept or others else t

        return self._apply(convert)

    def type(self: M, dst_type: DType) -> M:
        return self._apply(lambda t: t.to(dst_type))

    def _float_to(self: M, name: str) -> M:
        return self._apply(lambda t: getattr(t, name)() if t.layout.dtype.is_floating_point else t)

    def float(self: M) -> M:
        return self._float_to("float")

    def double(self: M) -> M:
        return self._float_to("double")

    def half(self: M) -> M:
        return self._float_to("half")

    def bfloat16(self: M) -> M:
        return self._float_to("bfloat16")

    def cpu(self: M) -> M:
        return self._apply(lambda t: t.cpu())

    def cuda(self: M, device: Any = None) -> M:
        return self._apply(lambda t: t.cuda(device))

    # -- state --------------------------------------------------------------------------------------------------------

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """Parameters and persistent buffers by their dotted names."""
        destination = OrderedDict() if destination is None else destination
        for name, value in self._persistent_members():
            destination[prefix + name] = value if keep_vars else value.detach()
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            changed = hook(self, destination, prefix, {})
            destination = destination if changed is None else changed
        return destination

    def _persistent_members(self) -> Iterator[tuple[str, Any]]:
        for name, value in self._parameters.items():
            if value is not None:
                yield name, value
        for name, value in self._buffers.items():
            if value is not None and name not in self._non_persistent_buffers_set:
                yield name, value

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> IncompatibleKeys:
        """Copy values by name. All shapes are checked before anything is written.

        Raises:
            RuntimeError: names are missing or unexpected (if ``strict``), or shapes differ.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        own = self.state_dict(keep_vars=True)
        missing = [k for k in own if k not in state_dict]
        unexpected = [k for k in state_dict if k not in own]
        problems = []
        if strict and unexpected:
            problems.append("Unexpected key(s) in state_dict: {}. ".format(", ".join(f'"{k}"' for k in unexpected)))
        if strict and missing:
            problems.append("Missing key(s) in state_dict: {}. ".format(", ".join(f'"{k}"' for k in missing)))
        for key, value in own.items():
            if key in state_dict and state_dict[key].shape != value.shape:
                problems.append(
                    f"size mismatch for {key}: copying a param with shape {shape_text(state_dict[key].shape)} from "
                    f"checkpoint, the shape in current model is {shape_text(value.shape)}."
                )
        if problems:
            listed = "\n\t".join(problems)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{listed}")
        with no_grad():
            for key, value in own.items():
                if key in state_dict:
                    _load_value(value, state_dict[key], assign)
        return IncompatibleKeys(missing, unexpected)

    # -- hooks --------------------------------------------------------------------------------------------------------

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """``hook(module, inputs, result)`` after each call; what it returns replaces the result."""
        return _add_hook(self._forward_hooks, (hook, with_kwargs), prepend)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """``hook(module, inputs)`` before each call; what it returns replaces the inputs."""
        return _add_hook(self._forward_pre_hooks, (hook, with_kwargs), prepend)

    # -- display ------------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): {_indented(repr(module))}" for name, module in self._modules.items()]
        if not children and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join([*lines, *children]) + "\n)"


def _typename(value: Any) -> str:
    kind = type(value)
    if kind is Tensor:
        return "torch.FloatTensor" if value.layout.dtype.name == "float32" else value.layout.dtype.tensor_type()
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _indented(text: str) -> str:
    first, *rest = text.split("\n")
    return "\n".join([first, *("  " + line for line in rest)])


def _replace_memory(p: Tensor, new: Tensor) -> None:
    p.layout, p.storage, p.ptr = new.layout, new.storage, new.ptr


def _load_value(target: Tensor, value: Tensor, assign: bool) -> None:
    if assign:
        _replace_memory(target, value)
    else:
        target.copy_(value)


def _add_hook(hooks: OrderedDict[int, Any], hook: Any, prepend: bool) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle
