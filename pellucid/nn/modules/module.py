"""Module: the base of all layers and networks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Self

from pellucid.autograd.modes import no_grad
from pellucid.dtypes import DType
from pellucid.nn.modules.hooks import Hooks, call_with_hooks, everywhere
from pellucid.nn.modules.hooks import register_module_backward_hook as register_module_backward_hook
from pellucid.nn.modules.hooks import register_module_forward_hook as register_module_forward_hook
from pellucid.nn.modules.hooks import register_module_forward_pre_hook as register_module_forward_pre_hook
from pellucid.nn.modules.hooks import register_module_full_backward_hook as register_module_full_backward_hook
from pellucid.nn.modules.hooks import register_module_full_backward_pre_hook as register_module_full_backward_pre_hook
from pellucid.nn.modules.members import Members
from pellucid.nn.modules.members import (
    register_module_buffer_registration_hook as register_module_buffer_registration_hook,
)
from pellucid.nn.modules.members import (
    register_module_module_registration_hook as register_module_module_registration_hook,
)
from pellucid.nn.modules.members import (
    register_module_parameter_registration_hook as register_module_parameter_registration_hook,
)
from pellucid.nn.modules.state import State
from pellucid.operators.creation import empty_like
from pellucid.tensor import Tensor

_HOOKS = (
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks",
    "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
)  # fmt: skip


class Module(Members, Hooks, State):
    """The base of all layers and networks.

    Assigning a ``Parameter``, a ``Buffer`` or a ``Module`` to an attribute registers it under that name; a subclass
    calls ``super().__init__()`` first and defines ``forward``.
    """

    training: bool
    call_super_init = False
    dump_patches = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init and (args or kwargs):
            got = f"an unexpected keyword argument '{next(iter(kwargs))}'" if kwargs else f"{len(args)} arguments"
            raise TypeError(f"{type(self).__name__}.__init__() got {got}: Module itself takes none")
        own = self.__dict__
        own["training"] = True
        own["_parameters"], own["_buffers"], own["_modules"] = {}, {}, {}
        own["_non_persistent_buffers_set"] = set()
        for name in _HOOKS:
            own[name] = OrderedDict()
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def forward(self, *inputs: Any) -> Any:
        """What the module computes: subclasses define it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        own = self.__dict__
        if (
            own["_forward_hooks"]
            or own["_forward_pre_hooks"]
            or own["_backward_hooks"]
            or own["_backward_pre_hooks"]
            or everywhere
        ):
            return call_with_hooks(self, inputs, named)
        return self.forward(*inputs, **named)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in _HOOKS:
            self.__dict__.setdefault(name, OrderedDict())

    def apply(self, fn: Callable[[Any], Any]) -> Self:
        """``fn`` on every module below, then on this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # -- modes --------------------------------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Behave as in training (dropout drops, statistics are updated), here and below."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Behave as in use: ``train(False)``."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Whether the parameters are trained."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the parameters' gradients, or fill them with zeros."""
        for p in self.parameters():
            if p.gradient is not None:
                if set_to_none:
                    p.gradient = None
                else:
                    p.gradient = p.gradient.detach()
                    p.gradient.zero_()

    # -- moving and converting ----------------------------------------------------------------------------------------

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Every parameter (in place: optimisers hold it), its gradient and every buffer through ``fn``."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        with no_grad():
            parameters: list[Any] = list(self._parameters.values())
            for p in parameters:
                if p is not None:
                    new = fn(p)
                    if new is not p:
                        p.data = new
                    if p.gradient is not None:
                        p.gradient = fn(p.gradient)
            for name, b in self._buffers.items():
                if b is not None:
                    self._buffers[name] = fn(b)
        return self

    def to(self, *args: Any, **named: Any) -> Self:
        """Move or convert, with the arguments of ``Tensor.to``; only floating and complex members change their dtype.

        Raises:
            TypeError: an integer dtype. RuntimeError: ``copy``, since the parameters stay the same objects.
        """
        if "copy" in named:
            raise RuntimeError(".to() does not accept copy argument: the module keeps its parameters. Use copy.deepcopy().")
        dtypes = [a.layout.dtype if isinstance(a, Tensor) else a for a in (*args, *named.values())]
        wanted = next((a for a in dtypes if isinstance(a, DType)), None)
        if wanted is not None and not (wanted.is_floating_point or wanted.is_complex):
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={wanted!r}"
            )
        flat = {k: v for k, v in named.items() if k != "memory_format"}

        def convert(t: Tensor) -> Tensor:
            options = dict(named if t.layout.ndim in (4, 5) else flat)
            if wanted is None or t.layout.dtype.is_floating_point or t.layout.dtype.is_complex:
                return t.to(*args, **options)
            return t.to(*args, **{**options, "dtype": t.layout.dtype}) if not args else t

        return self._apply(convert)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Move to a device without the values."""
        return self._apply(lambda t: empty_like(t, device=device), recurse)

    def type(self, dst_type: Any) -> Self:
        """All parameters and buffers in one dtype."""
        return self._apply(lambda t: t.type(dst_type))

    def _floats_to(self, name: str) -> Self:
        return self._apply(lambda t: getattr(t, name)() if t.layout.dtype.is_floating_point else t)

    def float(self) -> Self:
        """Floating members as float32."""
        return self._floats_to("float")

    def double(self) -> Self:
        """Floating members as float64."""
        return self._floats_to("double")

    def half(self) -> Self:
        """Floating members as float16."""
        return self._floats_to("half")

    def bfloat16(self) -> Self:
        """Floating members as bfloat16."""
        return self._floats_to("bfloat16")

    def cpu(self) -> Self:
        """Into the processor's memory."""
        return self._apply(lambda t: t.cpu())

    def cuda(self, device: Any = None) -> Self:
        """Into a GPU's memory."""
        return self._apply(lambda t: t.cuda(device))

    # -- display ------------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """The module's options, for its repr."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): {indented(repr(module))}" for name, module in self._modules.items()]
        if not children and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join([*lines, *children]) + "\n)"


def indented(text: str) -> str:
    """All lines but the first moved in by two blanks."""
    first, *rest = text.split("\n")
    return "\n".join([first, *("  " + line for line in rest)])
