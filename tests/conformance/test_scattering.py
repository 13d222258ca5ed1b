"""Writing cells by index against PyTorch: results, strides, gradients, and the class of every error."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.expressions import check as check_expression
from tests.conformance.expressions import expressions
from tests.conformance.libraries import compare, numbers
from tests.conformance.opdb import check

SAMPLES = """
scatter scatter_add scatter_reduce index_add index_copy index_fill index_reduce put masked_scatter
diagonal_scatter select_scatter slice_scatter
"""
CALLS = """
t.scatter(x,0,L(1,2),1.)
t.scatter(x,0,t.tensor([[1,9]]),1.)
t.scatter(x,0,t.tensor([[1,-1]]),1.)
t.scatter(x,0,t.tensor([[1,1,1,1,1]]),1.)
t.scatter(x,0,t.tensor([[1,1]]),t.ones(1,1))
t.scatter(x,0,t.tensor([[1,1]]),t.ones(1,2,dtype=t.int64))
t.scatter(x,0,t.tensor([[1,1]]),t.ones(2,2))
t.scatter(x,0,t.tensor([[1,1]]),2,reduce='add')
t.scatter(x,0,t.tensor([[1,1]]),t.ones(2,2),reduce='multiply')
t.scatter(x,0,t.tensor([[1,1]]),t.ones(2,2),reduce='mean')
t.scatter(x,0,t.tensor([[1,1]],dtype=t.int32),2)
t.scatter(x,0,t.tensor([[1,1]],dtype=t.float32),2)
t.scatter(x,2,t.tensor([[1,1]]),2)
t.scatter(x,0,t.tensor([[1,1]]),1j)
t.scatter(x,0,t.tensor([[1,1]]))
t.scatter_add(x,0,t.tensor([[1,9]]),t.ones(1,2))
t.scatter_add(x,0,t.tensor([[1,1]]),1.)
t.scatter_add(x,0,t.tensor([[1,1]]),t.ones(1,2).double())
t.scatter_add(x,0,t.tensor([]).long(),t.ones(1,2))
t.scatter_reduce(x,0,t.tensor([[1,1]]),t.ones(1,2),'foo')
t.scatter_reduce(x,0,t.tensor([[1,1]]),t.ones(1,2),'mean',include_self=False)
t.scatter_reduce(x.long(),0,t.tensor([[1,1,1,1]]),t.ones(1,4).long(),'mean')
t.scatter_reduce(x.bool(),0,t.tensor([[1,1,1,1]]),t.ones(1,4).bool(),'mean')
t.scatter_reduce(x.bool(),0,t.tensor([[1,1,1,1]]),t.ones(1,4).bool(),'sum')
t.scatter_reduce(x.bool(),0,t.tensor([[1,1,1,1]]),t.ones(1,4).bool(),'amax')
t.scatter_reduce(x+0j,0,t.tensor([[1,1,1,1]]),t.ones(1,4)+0j,'amax')
t.scatter_reduce(x+0j,0,t.tensor([[1,1,1,1]]),t.ones(1,4)+0j,'prod')
t.scatter_reduce(x,0,t.tensor([[1,8]]),t.ones(1,2),'mean')
t.scatter_reduce(x,0,t.tensor([[1,8]]),t.ones(1,2),'amax')
x.clone().scatter_(0,t.tensor([[1,1]]),t.ones(1,2),reduce='add')
t.index_add(x,0,L(0,0),t.ones(2,4))
t.index_add(x,0,L(0,0),t.ones(2,4),alpha=2)
t.index_add(x,0,L(0,5),t.ones(2,4))
t.index_add(x,1,L(0,5),t.ones(3,2))
t.index_add(x,0,L(0,-1),t.ones(2,4))
t.index_add(x,0,L(0),t.ones(2,4))
t.index_add(x,0,L(0,1),t.ones(2,3))
t.index_add(x,0,L(0,1),t.ones(2,4).long())
t.index_add(x,0,t.tensor([[0,1]]),t.ones(2,4))
t.index_add(x,0,t.tensor([0.,1]),t.ones(2,4))
t.index_add(x,0,t.tensor([0,1],dtype=t.int32),t.ones(2,4))
t.index_add(x,0,t.tensor(1),t.ones(4))
t.index_add(x,0,t.tensor(1),t.ones(1,4))
t.index_add(x,0,L(1),t.ones(4))
t.index_add(x[0],0,L(1),t.tensor(1.))
t.index_add(t.tensor(1.),0,L(0),t.tensor(1.))
t.index_add(x.long(),0,L(0,1),t.ones(2,4).long(),alpha=1.5)
t.index_add(x.bool(),0,L(0,1),t.ones(2,4).bool())
t.index_copy(x,0,L(0,1),t.ones(2,4))
t.index_copy(x,0,L(0,7),t.ones(2,4))
t.index_copy(x,0,L(0,-1),t.ones(2,4))
t.index_copy(x,0,L(0),t.ones(2,4))
t.index_copy(x,0,L(0,1),t.ones(2,3))
t.index_copy(x,0,t.tensor([0,1],dtype=t.int32),t.ones(2,4))
t.index_copy(x,0,L(0,1),t.ones(2,4).long())
t.index_copy(x,0,t.tensor(1),t.ones(4))
t.index_copy(x,0,t.tensor([[0,1]]),t.ones(2,4))
t.index_fill(x,0,L(0,1),3)
t.index_fill(x,0,L(0,-1),3)
t.index_fill(x,0,L(0,-4),3)
t.index_fill(x,0,L(0,3),3)
t.index_fill(x,0,L(0,1),t.tensor(2))
t.index_fill(x,0,L(0,1),t.tensor([2]))
t.index_fill(x,0,t.tensor([0,1],dtype=t.int32),3)
t.index_fill(x,0,t.tensor([[0,1]]),3)
t.index_fill(x,0,L(0,1),3j)
t.index_fill(x.long(),0,L(0,1),3.7)
t.index_fill(t.tensor(1.),0,L(0),3.7)
t.index_reduce(x,0,L(0,1),t.ones(2,4),'prod')
t.index_reduce(x,0,L(0,1),t.ones(2,4),'sum')
t.index_reduce(x,0,L(0,9),t.ones(2,4),'prod')
t.index_reduce(x,0,L(0,-1),t.ones(2,4),'prod')
t.index_reduce(x.long(),0,L(0,1),t.ones(2,4).long(),'mean')
t.index_reduce(x.bool(),0,L(0,1),t.ones(2,4).bool(),'amax')
t.put(x,L(0,-1),t.ones(2))
t.put(x,L(0,12),t.ones(2))
t.put(x,L(0,1),t.ones(3))
t.put(x,L(0,1),t.ones(2).long())
t.put(x,t.tensor([0,1],dtype=t.int32),t.ones(2))
t.put(x,L(0,0),t.ones(2),accumulate=True)
t.masked_scatter(x,x>5,t.ones(3))
t.masked_scatter(x,x>5,t.ones(12).long())
t.masked_scatter(x,x,t.ones(12))
t.masked_scatter(x,t.tensor([True,False,True,False]),t.arange(6.))
t.masked_scatter(x[0],t.ones(2,4,dtype=t.bool),t.arange(12.))
x[0].clone().masked_scatter_(t.ones(2,4,dtype=t.bool),t.arange(12.))
t.scatter(x.t(),0,t.tensor([[1,1]]),2.).stride()
t.index_add(x.t(),0,L(1),t.ones(1,3)).stride()
t.index_copy(x[:,::2],0,L(1),t.ones(1,2)).stride()
t.scatter(x.expand(2,3,4),0,t.tensor([[[1,1]]]),2.).stride()
x.expand(2,3,4).scatter_(0,t.tensor([[[1,1]]]),2.).stride()
x[:1].expand(3,4).index_add_(0,L(1),t.ones(1,4)).stride()
x[:1].expand(3,4).index_copy_(0,L(1),t.ones(1,4))
x[:1].expand(3,4).put_(L(1),t.ones(1))
x[:1].expand(3,4).masked_scatter_(x>3,x)
x.clone().scatter_(0,t.tensor([[1,1]]),x)
x.scatter_(0,t.tensor([[1,1]]),x)
x.index_add_(0,L(0,0,0),x)
x.index_copy_(0,L(0,0,0),x)
x.index_copy_(0,L(0,1,2),x)
t.scatter(x,0,t.tensor([[1,1]]),t.tensor(2.))
t.scatter(t.tensor(1.),0,t.tensor(0),t.tensor(2.))
t.scatter(t.tensor(1.),0,t.tensor([0,0]),t.tensor([2.,3.]))
t.scatter(t.tensor([1.,2.]),0,t.tensor(1),t.tensor(2.))
t.scatter(t.tensor([1.,2.]),0,t.tensor(1),t.tensor([2.]))
t.scatter(x,0,t.zeros(0,dtype=t.long),2.)
t.scatter(x,0,t.zeros((0,7,5),dtype=t.long),2.)
t.scatter(x,0,t.zeros((0,7),dtype=t.long),t.zeros(1,7))
t.scatter(x,0,t.zeros((0,7),dtype=t.long),t.zeros(1,7).double())
t.index_fill(x,0,t.tensor(1),3)
t.index_fill(x,0,t.tensor([],dtype=t.long),3)
t.index_add(x,0,t.tensor([],dtype=t.long),t.zeros(0,4))
t.index_add(x,2,t.tensor([],dtype=t.long),t.zeros(0,4))
t.index_copy(t.tensor(1.),0,L(0),t.tensor(2.))
t.index_copy(t.tensor(1.),0,L(0),t.tensor([2.]))
t.index_copy(t.tensor([1.,2.]),0,t.tensor(1),t.tensor(2.))
t.index_copy(t.tensor([1.,2.]),0,t.tensor([1]),t.tensor(2.))
t.index_add(t.tensor([1.,2.]),0,t.tensor(1),t.tensor(2.))
t.index_add(t.tensor([1.,2.]),0,t.tensor([1]),t.tensor(2.))
t.index_add(t.tensor(1.),0,L(0,0),t.tensor([1.,2.]))
t.index_add(t.tensor(1.),0,L(0),t.tensor([1.]))
t.index_reduce(t.tensor(1.),0,L(0),t.tensor(3.),'prod')
t.index_reduce(x,0,L(0),t.ones(1,4).double(),'prod')
t.index_reduce(x,0,t.tensor([0.]),t.ones(1,4),'prod')
t.index_reduce(x,0,L(0),t.ones(2,4),'prod')
t.index_reduce(x,0,L(0),t.ones(1,3),'prod')
t.index_reduce(x,0,t.tensor([[0]]),t.ones(1,3),'prod')
t.index_reduce(x+0j,0,t.tensor([0]),t.ones(1,4)+0j,'prod')
t.index_reduce(x+0j,0,t.tensor([0]),t.ones(1,4)+0j,'amax')
t.index_reduce(x>0,0,t.tensor([0]),t.ones(1,4)>0,'mean')
t.index_reduce(x>0,0,t.tensor([0]),t.ones(1,4)>0,'prod')
t.scatter_reduce(x>0,0,t.tensor([[0]]),t.ones(1,4)>0,'prod')
t.scatter_reduce(x,0,t.tensor([[0]]),t.ones(1,4),'amax',include_self=False)
t.index_add(x.half(),0,L(0,0),t.ones(2,4).half(),alpha=.3)
t.index_add(x.bool(),0,L(0,0),t.ones(2,4).bool(),alpha=2)
t.index_add(x.bool(),0,L(0,0),t.ones(2,4).bool(),alpha=2.5)
t.index_add(x,0,L(0,0),t.ones(2,4),alpha=True)
t.put(x.t(),L(1),L(7.))
t.put(x.t(),L(1),L(7.)).stride()
t.put(t.tensor(2.),L(0),L(7.))
t.put(t.zeros(0),L(0),L(7.))
t.put(t.zeros(0),t.tensor([]).long(),t.tensor([]))
t.put(x,t.tensor([[1,2]]),t.tensor([[1.],[7.]]))
t.put(x>0,L(1,1),L(True,True),accumulate=True)
t.scatter(x,0,t.tensor([[1,1]]),src=t.ones(1,2))
t.scatter(x,0,t.tensor([[1,1]]),value=2)
x.index_add(0,L(0),source=t.ones(1,4))
x.index_copy(0,L(0),source=t.ones(1,4))
x.index_fill(0,L(0),value=2)
x.scatter_reduce(0,t.tensor([[0]]),src=t.ones(1,1),reduce="sum")
x.scatter_reduce(0,t.tensor([[0]]),2.,reduce="sum")
t.index_fill(x,0,L(0),True)
t.index_fill(x,5,L(0),True)
x.clone().masked_scatter_(x>20, t.zeros(0))
t.masked_scatter(x, t.tensor(True), t.zeros(12))
t.masked_scatter(t.tensor(1.), t.tensor(True), t.zeros(12))
t.diagonal_scatter(x,t.ones(3))
t.diagonal_scatter(x,t.ones(2))
t.select_scatter(x,t.ones(4),0,1)
t.select_scatter(x,t.ones(3),0,1)
t.select_scatter(x,t.ones(4),0,5)
t.slice_scatter(x,t.ones(3,2),1,0,2)
t.slice_scatter(x,t.ones(3,1),1,0,2)
t.slice_scatter(x,t.ones(1,4),0,0,1)
t.slice_scatter(x.t(),t.ones(4,3)).stride()
t.slice_scatter(x,t.ones(1,4).double(),0,0,1)
"""


@pytest.mark.parametrize("name", SAMPLES.split())
def test_samples(name: str) -> None:
    check(name)


@pytest.mark.parametrize("call", expressions(CALLS))
def test_call(call: str) -> None:
    check_expression(f"(lambda x, L, nan: {call})(t.arange(12.).reshape(3, 4), lambda *a: t.tensor(a), float('nan'))")


@pytest.mark.parametrize("shape", [(40, 7), (40, 33), (2000, 64), (500, 3)])
def test_rows_added(shape: tuple[int, int]) -> None:
    """Long and short rows, with an index per row, one repeated along rows, and one per cell."""

    def program(t: Any) -> Any:
        source = numbers(t, *shape)
        index = (numbers(t, shape[0], seed=1).abs() * 1000).long() % 11
        each = (numbers(t, *shape, seed=2).abs() * 1000).long() % 11
        along = index[:, None].expand(*shape)
        base = numbers(t, 11, shape[1], seed=3)
        return [
            base.index_add(0, index, source, alpha=2),
            base.scatter_add(0, along, source),
            base.scatter_add(0, along.clone(), source),
            base.scatter_add(0, each, source),
            base.t().contiguous().scatter_add(1, each.t(), source.t()),
            base.clone().scatter_(0, each, source, reduce="multiply"),
        ]

    compare(program, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "write",
    [
        "x.scatter_(1, bad, 1.)",
        "x.scatter_(1, bad, x.clone())",
        "x.scatter_add_(1, bad, t.ones(3, 4))",
        "x.scatter_reduce_(1, bad, t.ones(3, 4), 'amax', include_self=False)",
        "x.index_add_(0, bad[:, 3], t.ones(3, 4))",
        "x.index_copy_(0, bad[:, 3], t.ones(3, 4))",
        "x.index_fill_(0, bad[:, 3], 1)",
        "x.index_reduce_(0, bad[:, 3], t.ones(3, 4), 'prod')",
        "x.put_(bad, t.ones(3, 4))",
    ],
)
def test_nothing_is_written_if_an_index_is_outside(write: str) -> None:
    def program(t: Any) -> Any:
        x = t.arange(12.0).reshape(3, 4)
        bad = t.tensor([[0, 1, 2, 0], [0, 1, 2, 0], [0, 1, 2, 99]])
        try:
            eval(write, {"t": t, "x": x, "bad": bad})
        except (RuntimeError, IndexError) as error:
            return type(error).__name__
        return None

    compare(program)
