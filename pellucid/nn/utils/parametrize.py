"""Parameters that are computed from others by modules: ``weight = P2(P1(original))``.

    module.weight                                is computed at every reading
    module.parametrizations.weight.original      is what is trained
    module.parametrizations.weight[0], [1]       are P1 and P2
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pellucid.autograd.modes import no_grad
from pellucid.errors import tensor_text
from pellucid.nn.modules.container import ModuleDict, ModuleList
from pellucid.nn.modules.module import Module
from pellucid.nn.parameter import Parameter
from pellucid.tensor import Tensor

_kept: dict[tuple[int, str], Any] = {}
_depth = 0


@contextmanager
def cached() -> Iterator[None]:
    """Inside, a parametrized tensor is computed once and kept."""
    global _depth
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if not _depth:
            _kept.clear()


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, the first one first, and what they start from.

    ``original`` is that tensor; a first one whose ``right_inverse`` gives several has ``original0``, ``original1`` ...

    Raises:
        ValueError: the parametrizations change the shape or the dtype, unless ``unsafe``.
    """

    def __init__(self, modules: Sequence[Any], original: Any, unsafe: bool = False) -> None:
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        with no_grad():
            start: Any = original
            for module in reversed(modules):
                if hasattr(module, "right_inverse"):
                    start = module.right_inverse(start)
        self.is_tensor = isinstance(start, Tensor)
        if self.is_tensor:
            self._hold("original", original, start)
        else:
            self.ntensors = len(start)
            for k, part in enumerate(start):
                self._hold(f"original{k}", original, part)
        if not unsafe:
            with no_grad():
                self._require_like(original, self())

    def _hold(self, name: str, original: Any, start: Any) -> None:
        if not isinstance(original, Parameter):
            self.register_buffer(name, start)
        elif name == "original":
            if start is not original:
                self._set(original, start)
            self.register_parameter(name, original)
        else:
            self.register_parameter(name, Parameter(start, requires_grad=original.tracked))

    @staticmethod
    def _set(own: Any, value: Any) -> None:
        own.data = value

    @staticmethod
    def _require_like(original: Any, made: Any) -> None:
        if not isinstance(made, Tensor):
            raise ValueError(f"A parametrization must return a tensor. Got {type(made).__name__}.")
        if made.dtype is not original.dtype or made.shape != original.shape:
            raise ValueError(
                "Registering a parametrization may not change the dtype or the shape of the tensor, unless `unsafe` flag is "
                f"enabled: {tensor_text(original.dtype, original.shape)} became {tensor_text(made.dtype, made.shape)}"
            )

    def right_inverse(self, value: Any) -> None:
        """Set what the parametrizations start from, so that they give ``value``.

        Raises:
            RuntimeError: one of them has no ``right_inverse``.
        """
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                value = module.right_inverse(value)
            if self.is_tensor:
                self.original.data = value
            else:
                for k, part in enumerate(value):
                    getattr(self, f"original{k}").data = part

    def forward(self) -> Any:
        """The parametrized tensor."""
        first, *rest = self
        if self.is_tensor:
            value = first(self.original)
        else:
            value = first(*[getattr(self, f"original{k}") for k in range(self.ntensors)])
        for module in rest:
            value = module(value)
        return value


def _property(name: str) -> property:
    def read(self: Any) -> Any:
        made = self.parametrizations[name]
        if not _depth:
            return made()
        key = id(self), name
        if key not in _kept:
            _kept[key] = made()
        return _kept[key]

    return property(read, lambda self, value: self.parametrizations[name].right_inverse(value))


def register_parametrization(module: Any, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> Any:
    """Let a parameter or buffer be ``parametrization(original)`` from now on; gives the module.

    The first one, if it has ``right_inverse``, is asked for an original that gives the present value. Registered again,
    the new one comes after those that are there.

    Raises:
        ValueError: there is no such tensor, or its shape or dtype would change (unless ``unsafe``).
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        held = module.parametrizations[tensor_name]
        before = getattr(module, tensor_name)
        if not unsafe:
            with no_grad():
                held._require_like(before, parametrization(before))
        held.append(parametrization)
        held.unsafe |= unsafe
        return module
    if tensor_name not in module._parameters and tensor_name not in module._buffers:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'"
        )
    held = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        kind = type(module)
        module.__class__ = type(f"Parametrized{kind.__name__}", (kind,), {})
        module.parametrizations = ModuleDict()
    setattr(type(module), tensor_name, _property(tensor_name))
    module.parametrizations[tensor_name] = held
    return module


def is_parametrized(module: Any, tensor_name: str | None = None) -> bool:
    """Whether the module has parametrizations (of this tensor)."""
    held = module.__dict__.get("_modules", {}).get("parametrizations")
    if not isinstance(held, ModuleDict):
        return False
    return len(held) > 0 if tensor_name is None else tensor_name in held


def remove_parametrizations(module: Any, tensor_name: str, leave_parametrized: bool = True) -> Any:
    """Make it an ordinary parameter or buffer again: with its present value, or else with its original one.

    Raises:
        ValueError: it is not parametrized, or has several originals.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    held = module.parametrizations[tensor_name]
    if not held.is_tensor and not leave_parametrized:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a sequence "
            "of tensors."
        )
    with no_grad():
        value = getattr(module, tensor_name)
    first: Any = held.original if held.is_tensor else held.original0
    if not held.is_tensor:
        result: Any = Parameter(value, requires_grad=first.tracked) if isinstance(first, Parameter) else value
    else:
        result = first
        if leave_parametrized:
            result.data = value
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if isinstance(result, Parameter):
        module.register_parameter(tensor_name, result)
    else:
        module.register_buffer(tensor_name, result)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Any) -> type:
    """The module's own class."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)
