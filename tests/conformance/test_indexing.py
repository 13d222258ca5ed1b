"""Picking cells by index against PyTorch: results, strides, gradients, and the class of every error."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.expressions import check as check_expression
from tests.conformance.expressions import expressions
from tests.conformance.libraries import compare, numbers
from tests.conformance.opdb import check

SAMPLES = "gather index_select take take_along_dim nn.functional.embedding"
CALLS = """
t.gather(x,1,L(1,2))
t.gather(x,1,t.tensor([[7]]))
t.gather(x,1,t.tensor([[-1]]))
t.gather(x,1,t.tensor([[1.]]))
t.gather(x,1,t.tensor([[1]],dtype=t.int16))
t.gather(x,5,t.tensor([[1]]))
t.gather(t.tensor(3.),0,t.tensor(0))
t.gather(t.tensor(3.),0,t.tensor([0,0]))
t.gather(x,0,t.tensor(0))
t.gather(x[0],0,t.tensor(0))
t.gather(x,1,[[1]])
t.index_select(x,0,L(0,5))
t.index_select(x,0,L(0,-1))
t.index_select(x,1,t.tensor([[0]]))
t.index_select(x,1,t.tensor(2))
t.index_select(x,1,t.tensor([1.]))
t.index_select(x,1,t.tensor([1],dtype=t.uint8))
t.index_select(x,3,L(0))
t.index_select(t.tensor(5.),0,L(0))
t.index_select(t.tensor(5.),0,t.tensor(0))
t.index_select(t.tensor(5.),0,L(0,0))
t.index_select(t.tensor(5.),0,L(1))
t.index_select(x,0,t.tensor([],dtype=t.long))
t.index_select(x.t(),0,L(0,1)).stride()
t.index_select(t.zeros(0,3),0,L(0))
t.index_select(t.zeros(3,0),0,L(7))
t.take(x,L(0,-1))
t.take(x,L(12))
t.take(x,L(-13))
t.take(x,t.tensor([1],dtype=t.int32))
t.take(x,t.tensor([1.]))
t.take(t.zeros(0),L(0))
t.take(t.zeros(0),t.tensor([],dtype=t.long))
t.take_along_dim(x,L(1,2))
t.take_along_dim(x,L(1,2),1)
t.take_along_dim(x,t.tensor([[1],[2],[0]]),1)
t.take_along_dim(x,t.tensor([[1],[2]]),1)
t.take_along_dim(x,t.tensor([[-1],[2],[0]]),1)
t.take_along_dim(x,t.tensor([[1.],[2],[0]]),1)
t.take_along_dim(x,t.tensor([[1],[2],[0]],dtype=t.int32),1)
t.nn.functional.embedding(L(0,5),x)
t.nn.functional.embedding(L(0,-1),x)
t.nn.functional.embedding(t.tensor([[0,1]],dtype=t.int32),x)
t.nn.functional.embedding(L(0.),x)
t.nn.functional.embedding(L(0),x[0])
t.nn.functional.embedding(L(0),x,padding_idx=3)
t.nn.functional.embedding(L(0),x,padding_idx=-1)
t.nn.functional.one_hot(L(0,2),-1)
"""


@pytest.mark.parametrize("name", SAMPLES.split())
def test_samples(name: str) -> None:
    check(name)


@pytest.mark.parametrize("call", expressions(CALLS))
def test_call(call: str) -> None:
    check_expression(f"(lambda x, L, nan: {call})(t.arange(12.).reshape(3, 4), lambda *a: t.tensor(a), float('nan'))")


def test_random_masking() -> None:
    """Noise, argsort, argsort again, the kept quarter gathered, the mask put back in order."""

    def masking(t: Any) -> Any:
        x = numbers(t, 3, 16, 4).requires_grad_()
        t.manual_seed(0)
        order = t.argsort(t.rand(3, 16), dim=1)
        back = t.argsort(order, dim=1)
        kept = t.gather(x, 1, order[:, :4].unsqueeze(-1).repeat(1, 1, 4))
        mask = t.ones([3, 16])
        mask[:, :4] = 0
        (kept * kept).sum().backward()
        return kept, t.gather(mask, 1, back), back, x.grad

    compare(masking)


@pytest.mark.parametrize("repeated", [True, False])
def test_gather_of_rows_and_its_gradient(repeated: bool) -> None:
    def program(t: Any) -> Any:
        x = numbers(t, 5, 13, 70).requires_grad_()
        index = (numbers(t, 5, 4, 1 if repeated else 70).abs() * 100).long() % 13
        index = index.expand(5, 4, 70)
        made = [x.gather(1, index.clone()), x.gather(1, index), x.transpose(0, 1).gather(0, index.transpose(0, 1))]
        sum((m * m * (k + 1)).sum() for k, m in enumerate(made)).backward()
        return [*(m.detach().contiguous() for m in made), x.grad]

    compare(program, rtol=1e-5, atol=1e-5)
