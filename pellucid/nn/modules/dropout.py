"""Dropout."""

from __future__ import annotations

from pellucid.nn import functional as F
from pellucid.nn.modules.module import Module
from pellucid.tensor import Tensor


class Dropout(Module):
    """In training, each cell is zero with probability ``p`` and scaled by ``1 / (1 - p)`` otherwise."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"
