"""Dropout as modules."""

from __future__ import annotations

from pellucid.nn import functional as F
from pellucid.nn.modules.module import Module
from pellucid.tensor import Tensor


class Dropout(Module):
    """In training, each cell is zero with the chance ``p`` and scaled by ``1 / (1 - p)`` otherwise.

    Raises:
        ValueError: ``p`` is no probability.
    """

    function = "dropout"

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        return getattr(F, self.function)(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout1d(Dropout):
    """Dropout of whole channels of (N, C, L) or (C, L)."""

    function = "dropout1d"


class Dropout2d(Dropout):
    """Dropout of whole channels of (N, C, H, W)."""

    function = "dropout2d"


class Dropout3d(Dropout):
    """Dropout of whole channels of (N, C, D, H, W) or (C, D, H, W)."""

    function = "dropout3d"


class AlphaDropout(Dropout):
    """Dropout that keeps mean and variance of what SELU gives (Klambauer et al. 2017)."""

    function = "alpha_dropout"


class FeatureAlphaDropout(Dropout):
    """Alpha dropout of whole channels."""

    function = "feature_alpha_dropout"
