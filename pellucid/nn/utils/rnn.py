"""Sequences of different lengths in one tensor: padded to the longest, or packed moment by moment.

    padded (T, B)      a b c        lengths 3, 2, 1
                       a b .
                       a . .
    packed             data = a b c a b a        batch_sizes = 3 2 1
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

from pellucid.dtypes import int64
from pellucid.errors import shape_text
from pellucid.operators.creation import empty_like, full
from pellucid.operators.literals import as_tensor, tensor
from pellucid.operators.sequences import arange
from pellucid.tensor import Tensor

Lengths = Tensor | list[int] | tuple[int, ...]


class _Packed(NamedTuple):
    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


class PackedSequence(_Packed):
    """What `pack_padded_sequence` makes and recurrent layers take.

    Attributes:
        data: the cells of all sequences at the first moment, at the second, and so on; the longest sequence first.
        batch_sizes: how many sequences there are at each moment.
        sorted_indices: which sequence comes at which place, if they were sorted; unsorted_indices: the reverse.
    """

    __slots__ = ()

    def __new__(
        cls, data: Tensor, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None
    ) -> Self:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """With the data as ``data.to(...)``; itself if that changes nothing."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else type(self)(data, *self[1:])

    def cpu(self) -> Self:
        """With the data on the CPU."""
        return self.to("cpu")

    def cuda(self) -> Self:
        """With the data on the GPU."""
        return self.to("cuda")

    def double(self) -> Self:
        """With the data in float64."""
        return type(self)(self.data.double(), *self[1:])

    def float(self) -> Self:
        """With the data in float32."""
        return type(self)(self.data.float(), *self[1:])

    def half(self) -> Self:
        """With the data in float16."""
        return type(self)(self.data.half(), *self[1:])

    def long(self) -> Self:
        """With the data in int64."""
        return type(self)(self.data.long(), *self[1:])

    @property
    def is_cuda(self) -> bool:
        """Whether the data is on a GPU."""
        return bool(self.data.is_cuda)

    def is_pinned(self) -> bool:
        """Whether the data is in pinned memory."""
        return bool(self.data.is_pinned())


def invert_permutation(permutation: Any) -> Any:
    """``out[permutation[i]] = i``; None for None."""
    if permutation is None:
        return None
    places: Any = empty_like(permutation)
    return places.scatter_(0, permutation, arange(permutation.numel()))


# -- packing ----------------------------------------------------------------------------------------------------------


def pack_padded_sequence(
    input: Tensor, lengths: Lengths, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """The cells of (T, B, ...), or (B, T, ...) with ``batch_first``, that lie inside of their sequence's length.

    Raises:
        RuntimeError: a length below 1 or beyond T, not one length per sequence, or, with ``enforce_sorted``, a
            sequence that is longer than the one before it.
    """
    long: Any = lengths.to(int64) if isinstance(lengths, Tensor) else as_tensor(lengths, dtype=int64)
    steps: Any = input.transpose(0, 1) if batch_first else input
    order = None
    if not enforce_sorted:
        long, order = long.sort(descending=True)
        steps = steps.index_select(1, order)
    sizes = _batch_sizes(long, steps)
    rows = [t * steps.shape[1] + b for t, n in enumerate(sizes) for b in range(n)]
    return PackedSequence(steps.flatten(0, 1).index_select(0, tensor(rows)), tensor(sizes), order)


def _batch_sizes(lengths: Any, steps: Any) -> list[int]:
    """How many sequences are longer than each moment."""
    most, batch = steps.shape[:2]
    if lengths.dim() != 1:
        raise RuntimeError(f"pack_padded_sequence(): 'lengths' argument should be a 1D CPU int64 tensor, but got {lengths.dim()}D")
    if len(lengths) != batch:
        raise RuntimeError(
            f"pack_padded_sequence(): Expected `len(lengths)` to be equal to batch_size, but got {len(lengths)} "
            f"(batch_size={batch}, input {shape_text(steps.shape)} with time first)"
        )
    found: list[int] = lengths.tolist()
    if min(found, default=0) <= 0:
        raise RuntimeError(
            "pack_padded_sequence(): Length of all samples has to be greater than 0, but found an element in 'lengths' "
            f"that is <= 0: {found}"
        )
    if found != sorted(found, reverse=True):
        raise RuntimeError(
            f"pack_padded_sequence(): `lengths` array must be sorted in decreasing order when `enforce_sorted` is True, "
            f"but it is {found}. Pass `enforce_sorted=False` to have the sequences sorted."
        )
    if found[0] > most:
        raise RuntimeError(f"pack_padded_sequence(): a length of {found[0]}, but the input ends after {most} steps")
    return [sum(n > t for n in found) for t in range(found[0])]


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The reverse of `pack_padded_sequence`: (the padded tensor, the lengths), the sequences in their first order.

    Raises:
        ValueError: ``total_length`` is less than the longest sequence's.
    """
    sizes: list[int] = sequence.batch_sizes.tolist()
    if total_length is not None and total_length < len(sizes):
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {len(sizes)}"
        )
    data, batch = sequence.data, sizes[0]
    shape = (len(sizes) if total_length is None else total_length, batch, *data.shape[1:])
    rows = [t * batch + b for t, n in enumerate(sizes) for b in range(n)]
    padded: Any = full((shape[0] * batch, *shape[2:]), padding_value, dtype=data.dtype, device=data.device)
    padded = padded.index_copy(0, tensor(rows), data).view(shape)
    lengths = tensor([sum(n > b for n in sizes) for b in range(batch)])
    if batch_first:
        padded = padded.transpose(0, 1)
    order = sequence.unsorted_indices
    if order is not None:
        return padded.index_select(0 if batch_first else 1, order), lengths[order]
    return padded, lengths


def pack_sequence(sequences: Any, enforce_sorted: bool = True) -> PackedSequence:
    """Sequences (L, ...) packed; see `pack_padded_sequence`."""
    lengths = [len(s) for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that were packed."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


# -- padding ----------------------------------------------------------------------------------------------------------


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Sequences (L, ...) side by side in (T, B, ...), or (B, T, ...) with ``batch_first``; T is the longest L.

    Raises:
        RuntimeError: no sequences, or such that differ in more than their length; another side than "left" and "right".
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}")
    found: list[Any] = list(sequences)
    if not found:
        raise RuntimeError("pad_sequence: received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"pad_sequence: Expected padding_side to be one of left or right, but got {padding_side}.")
    most, first = max(len(s) for s in found), found[0]
    shape = (len(found), most) if batch_first else (most, len(found))
    padded: Any = full((*shape, *first.shape[1:]), padding_value, dtype=first.dtype, device=first.device)
    for i, s in enumerate(found):
        moments = slice(0, len(s)) if padding_side == "right" else slice(most - len(s), most)
        if s.shape[1:] != first.shape[1:]:
            raise RuntimeError(
                f"pad_sequence: sequence {i} has the shape {shape_text(s.shape)}, the first one {shape_text(first.shape)}; "
                "they may differ in their first size only"
            )
        padded[(i, moments) if batch_first else (moments, i)] = s
    return padded


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences without their padding on the right."""
    padded: Any = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    moments: Any = arange(padded.shape[1])
    return [row[moments < n] for row, n in zip(padded, lengths, strict=True)]
