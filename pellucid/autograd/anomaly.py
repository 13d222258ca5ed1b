"""Finding the call whose derivative gives NaN: ``detect_anomaly``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.autograd.graph import Node
from pellucid.autograd.places import place_text
from pellucid.errors import tensor_text
from pellucid.tensor import array_of

_mode = [False, True]  # enabled, check for NaN


def checking() -> bool:
    return _mode[0] and _mode[1]


class set_detect_anomaly:
    """Look for NaN in every gradient from now on (or not), or inside of a context."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.before = tuple(_mode)
        _mode[:] = bool(mode), bool(check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        _mode[:] = self.before


class detect_anomaly:
    """A context in which a backward that makes NaN is an error that names the call and, if it saved anything, the
    line that made it."""

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = bool(check_nan)
        self.before: tuple[bool, ...] = ()

    def __enter__(self) -> None:
        self.before = tuple(_mode)
        _mode[:] = True, self.check_nan

    def __exit__(self, *_: object) -> None:
        _mode[:] = self.before


def is_anomaly_enabled() -> bool:
    """Whether ``detect_anomaly`` is on."""
    return _mode[0]


def check(node: Node, results: Sequence[Any]) -> None:
    """Raises RuntimeError if a gradient that the node made holds NaN."""
    for k, g in enumerate(results):
        if g is None or not (nan := np.isnan(array_of(g))).any():
            continue
        where = place_text(node.place) if node.pattern.kept else ""
        at = tuple(int(i) for i in np.argwhere(nan)[0])
        raise RuntimeError(
            f"Function '{node.name()}' returned nan values in its {k}th output: {int(nan.sum())} of {nan.size} cells "
            f"of {tensor_text(g.layout.dtype, g.layout.shape)}, the first one at {at}."
            + (f" The call was made{where}." if where else "")
        )
