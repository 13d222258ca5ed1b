"""Bags of embeddings, in both libraries."""

from __future__ import annotations

from typing import Any

import pytest

import pellucid
import pellucid.nn
from tests.conformance.test_seeds import both


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize(
    "options",
    [{}, {"padding_idx": -1}, {"max_norm": 1.0}, {"include_last_offset": True}],
)
def test_bags_of_a_vector(mode: str, options: dict[str, Any]) -> None:
    def program(T: Any) -> Any:
        T.manual_seed(2)
        net = T.nn.EmbeddingBag(5, 3, mode=mode, **options)
        numbers = T.tensor([0, 1, 4, 2, 1, 3])
        starts = T.tensor([0, 2, 2, 6] if "include_last_offset" in options else [0, 2, 2])
        out = net(numbers, starts)
        (out * T.arange(9.0).view(3, 3)).sum().backward()
        return out, net.weight.grad, net.weight, repr(net)

    both(program)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_of_a_matrix(mode: str) -> None:
    both(lambda T: T.nn.EmbeddingBag(5, 3, mode=mode)(T.tensor([[0, 4, 4], [1, 2, 3]], dtype=T.int32)))


def test_factors() -> None:
    def program(T: Any) -> Any:
        weight, factors = T.randn(4, 2, requires_grad=True), T.rand(5, requires_grad=True)
        out = T.nn.functional.embedding_bag(
            T.tensor([0, 1, 2, 3, 1]), weight, T.tensor([0, 3]), mode="sum", per_sample_weights=factors, padding_idx=2
        )
        out.pow(2).sum().backward()
        return out, weight.grad, factors.grad

    both(program)


@pytest.mark.parametrize(
    "wrong",
    [
        {"offsets": None},
        {"offsets": [1, 2]},
        {"offsets": [0, 9]},
        {"offsets": [[0, 3]]},
        {"mode": "median"},
        {"padding_idx": 7},
        {"input": [0, 9]},
        {"input": [[0, 1]]},
        {"input": [0.0, 1.0]},
        {"per_sample_weights": [1.0, 1.0, 1.0, 1.0]},
        {"per_sample_weights": [1.0], "mode": "sum"},
    ],
)
def test_errors(wrong: dict[str, Any]) -> None:
    def program(T: Any) -> Any:
        given = {"input": [0, 1, 2, 3], "offsets": [0, 2]} | wrong
        tensors = {k: T.tensor(v) if isinstance(v, list) else v for k, v in given.items()}
        return T.nn.functional.embedding_bag(weight=T.ones(4, 2), **tensors)

    both(program)


def test_gradients_by_frequency() -> None:
    """Each row's own count divides its gradient (PyTorch takes the counts of other rows)."""
    weight = pellucid.zeros(3, 1, requires_grad=True)
    bags = pellucid.tensor([[2, 1], [1, 2], [1, 0]])
    out = pellucid.nn.functional.embedding_bag(bags, weight, mode="sum", scale_grad_by_freq=True)
    out.sum().backward()
    assert weight.grad.tolist() == [[1.0], [1.0], [1.0]]


def test_offsets_that_fall_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="offsets must rise"):
        pellucid.nn.functional.embedding_bag(pellucid.tensor([0, 1, 2]), pellucid.ones(3, 1), pellucid.tensor([0, 2, 1]))
