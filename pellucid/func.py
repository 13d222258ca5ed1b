"""Functions of functions, under the names of ``torch.func``."""

from __future__ import annotations

from pellucid.nn.utils.stateless import functional_call as functional_call


def __getattr__(name: str) -> object:
    raise AttributeError(f"torch.func.{name} is missing from Pellucid", name=name)
