"""From a list of samples to a batch."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from pellucid.dtypes import float64
from pellucid.operators.joining import stack
from pellucid.operators.literals import as_tensor, tensor
from pellucid.tensor import Tensor


def default_convert(data: Any) -> Any:
    """NumPy arrays become tensors; containers keep their kind."""
    if isinstance(data, np.ndarray):
        return data if data.dtype.kind in "SaUO" else as_tensor(data)
    if isinstance(data, np.generic):
        return as_tensor(np.asarray(data))
    if isinstance(data, Mapping):
        return type(data)({k: default_convert(v) for k, v in data.items()})  # type: ignore[call-arg]
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(v) for v in data))
    return [default_convert(v) for v in data] if isinstance(data, tuple | list) else data


def default_collate(batch: Sequence[Any]) -> Any:
    """Tensors are stacked, numbers become a tensor, containers are collated member by member.

    Raises:
        TypeError: samples of a type that cannot be batched.
        RuntimeError: samples of different lengths.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(list(batch), 0)
    if isinstance(first, np.ndarray) and first.dtype.kind not in "SaUO":
        return stack([as_tensor(b) for b in batch], 0)
    if isinstance(first, np.generic):
        return as_tensor(np.asarray(batch))
    if isinstance(first, float):
        return tensor(list(batch), dtype=float64)
    if isinstance(first, int):
        return tensor(list(batch))
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, Mapping):
        members = {k: default_collate([b[k] for b in batch]) for k in first}
        if not isinstance(first, MutableMapping) or type(first) is dict:
            return members
        same = copy(first)
        same.update(members)
        return same
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(members) for members in zip(*batch, strict=True)))
    if isinstance(first, Sequence):
        if any(len(b) != len(first) for b in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        return [default_collate(members) for members in zip(*batch, strict=True)]
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "
        f"{type(first)}. Give the DataLoader a collate_fn that makes a batch of them."
    )
