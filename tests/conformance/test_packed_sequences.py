"""Sequences of different lengths: padding, packing, and recurrent layers over them, in both libraries."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.utils.rnn

import pellucid
import pellucid.nn.utils.rnn
from tests.conformance.test_seeds import both

LENGTHS = [3, 5, 1, 4]


def sequences(T: Any, *more: int) -> list[Any]:
    return [T.randn(n, *more) for n in LENGTHS]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("more", [(), (2,), (2, 3)])
def test_padding_and_packing(batch_first: bool, more: tuple[int, ...]) -> None:
    def program(T: Any) -> Any:
        rnn = T.nn.utils.rnn
        parts = [s.requires_grad_() for s in sequences(T, *more)]
        left = rnn.pad_sequence(parts, batch_first, -1.0, padding_side="left")
        padded = rnn.pad_sequence(parts, batch_first, 7.0)
        packed = rnn.pack_padded_sequence(padded, LENGTHS, batch_first, enforce_sorted=False)
        again, lengths = rnn.pad_packed_sequence(packed, batch_first, 3.0, total_length=6)
        (again * T.randn_like(again)).sum().backward()
        back = rnn.unpad_sequence(padded.clone(), T.tensor(LENGTHS), batch_first)  # PyTorch transposes it in place
        return left, padded, list(packed), again, lengths, back, [p.grad for p in parts], rnn.unpack_sequence(packed)

    both(program)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_recurrent_layers(kind: str, given: bool, bidirectional: bool) -> None:
    def program(T: Any) -> Any:
        packed = T.nn.utils.rnn.pack_sequence(sequences(T, 3), enforce_sorted=False)
        net = getattr(T.nn, kind)(3, 2, num_layers=2, bidirectional=bidirectional)
        start = T.randn(4 if bidirectional else 2, 4, 2)
        states = (start, -start) if kind == "LSTM" else start
        out, end = net(packed, states) if given else net(packed)
        ends = end if kind == "LSTM" else (end,)
        (out.data.sum() + sum(e.pow(2).sum() for e in ends)).backward()
        return list(out), list(ends), [p.grad for p in net.parameters()], [len(w) for w in net.all_weights]

    both(program)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda T, rnn: rnn.pack_padded_sequence(T.ones(3, 2), [3, 0]),
        lambda T, rnn: rnn.pack_padded_sequence(T.ones(3, 2), [2, 3]),
        lambda T, rnn: rnn.pack_padded_sequence(T.ones(3, 2), [3]),
        lambda T, rnn: rnn.pack_padded_sequence(T.ones(3, 2), T.ones(2, 1)),
        lambda T, rnn: rnn.pack_sequence([T.ones(1), T.ones(2)]),
        lambda T, rnn: rnn.pad_sequence([]),
        lambda T, rnn: rnn.pad_sequence(3),
        lambda T, rnn: rnn.pad_sequence([T.ones(2), T.ones(2, 3)]),
        lambda T, rnn: rnn.pad_sequence([T.ones(2)], padding_side="top"),
        lambda T, rnn: rnn.pad_packed_sequence(rnn.pack_sequence([T.ones(3)]), total_length=2),
        lambda T, rnn: T.nn.GRU(3, 2)(rnn.pack_sequence([T.ones(2)])),
        lambda T, rnn: T.nn.GRU(3, 2)(rnn.pack_sequence([T.ones(2, 4)])),
        lambda T, rnn: T.nn.GRU(3, 2)(rnn.pack_sequence([T.ones(2, 3)]), T.ones(1, 2, 2)),
    ],
)
def test_errors(wrong: Any) -> None:
    both(lambda T: wrong(T, T.nn.utils.rnn))


def test_a_length_beyond_the_end_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="a length of 4, but the input ends after 3 steps"):
        pellucid.nn.utils.rnn.pack_padded_sequence(pellucid.ones(3, 1), [4])
    torch.nn.utils.rnn.pack_padded_sequence(torch.ones(3, 1), [4])  # wrong sizes, without a word
