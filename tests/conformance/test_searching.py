"""Sorting, searching and finding against PyTorch: results, strides, gradients, and the class of every error."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.expressions import check as check_expression
from tests.conformance.expressions import expressions
from tests.conformance.libraries import compare, numbers
from tests.conformance.opdb import check

SAMPLES = """
msort nonzero argwhere nonzero_static masked_select unique unique_consecutive searchsorted bucketize isin bincount
"""
CALLS = """
t.sort(L(3.,nan,1.,2.,nan,1.))
t.sort(L(3.,nan,1.,2.,nan,1.),descending=True)
t.sort(L(3.,1.,1.,2.,1.,3.),descending=True,stable=True)
t.sort(L(3.,1.,1.,2.,1.,3.),descending=True)
t.sort(L(0.,-0.,0.,-0.))
t.sort(L(True,False,True))
t.sort(L(1j,2))
t.sort(x,5)
t.sort(t.tensor(3.))
t.sort(t.zeros(0,3),0)
t.sort(t.zeros(3,0),0)
t.sort(x,dim=0).values.stride()
t.sort(x.t(),dim=0).values.stride()
t.sort(x.t(),dim=0).indices.stride()
t.sort(x[:,::2]).indices.stride()
t.sort(t.zeros(4,4,4).permute(2,0,1)[:2]).values.stride()
t.sort(x,stable=True,dim=0,descending=True)
t.sort(x,0,True)
t.sort(x,True)
t.argsort(x,dim=0,descending=True)
t.argsort(x,0,True)
t.argsort(x.t(),dim=0).stride()
t.msort(x)
t.msort(t.tensor(1.))
t.topk(L(3.,nan,1.,2.,nan,1.),3)
t.topk(L(3.,1.,1.,2.,3.,1.),3,sorted=False)
t.topk(x,5)
t.topk(x,-1)
t.topk(x,2,0)
t.topk(x.t(),2,0).values.stride()
t.topk(x,2,7)
t.topk(t.tensor(2.),1)
t.topk(t.tensor(2.),2)
t.topk(L(True,False),1)
t.topk(L(1j),1)
t.topk(x,0)
t.unique(L(3,1,2,1))
t.unique(L(3,1,2,1),sorted=False)
t.unique(L(3,1,2,1),return_inverse=True,return_counts=True)
t.unique(L(nan,1,nan,1.))
t.unique(t.tensor([[1,2],[1,2],[0,5]]),dim=0,return_inverse=True,return_counts=True)
t.unique(t.tensor([[1,2],[1,2],[0,5]]),dim=1)
t.unique(x.t(),return_inverse=True)
t.unique(t.zeros(0))
t.unique(t.zeros(0,3),dim=0)
t.unique(t.zeros(0,3),dim=1)
t.unique(t.zeros(3,0),dim=0)
t.unique(L(True,False),return_counts=True)
t.unique(L(1j,2j))
t.unique(x,dim=4)
t.unique_consecutive(L(1,1,2,2,1),return_inverse=True,return_counts=True)
t.unique_consecutive(x,dim=0,return_counts=True)
t.unique_consecutive(L(nan,nan))
t.unique_consecutive(t.zeros(0),return_inverse=True)
t.nonzero(x)
t.nonzero(x).stride()
t.nonzero(x,as_tuple=True)
t.nonzero(x,as_tuple=True)[0].stride()
t.nonzero(t.tensor(3.))
t.nonzero(t.tensor(0.))
t.nonzero(t.tensor(3.),as_tuple=True)
t.nonzero(t.zeros(3,0))
t.argwhere(t.tensor(3.))
t.argwhere(x>8)
t.masked_select(x,x>8)
t.masked_select(x,x)
t.masked_select(x,t.tensor([True,False,True,False]))
t.masked_select(x[0],t.ones(2,4,dtype=t.bool))
t.masked_select(x,t.ones(2,4,dtype=t.bool))
t.masked_select(t.tensor(1.),t.tensor(True))
t.where(x>8)
t.nonzero_static(x>8,size=2)
t.nonzero_static(x>8,size=5)
t.nonzero_static(x>8,size=-5)
t.searchsorted(L(1,3,5),L(3,4))
t.searchsorted(L(1,3,5),L(3,4),right=True)
t.searchsorted(L(1,3,5),3)
t.searchsorted(L(1,3,5),3.5)
t.searchsorted(L(1,3,5),t.tensor([3.]))
t.searchsorted(x,t.ones(3,2))
t.searchsorted(x,t.ones(2,2))
t.searchsorted(x,3)
t.searchsorted(L(1,3,5),L(3,4),side='right')
t.searchsorted(L(1,3,5),L(3,4),side='foo')
t.searchsorted(L(1,3,5),L(3,4),side='left',right=True)
t.searchsorted(L(1,3,5),L(3,4),out_int32=True)
t.searchsorted(L(5,3,1),L(3,4),sorter=L(2,1,0))
t.searchsorted(L(5,3,1),L(3,4),sorter=L(2,1,7))
t.searchsorted(L(5,3,1),L(3,4),sorter=L(2.,1,7))
t.searchsorted(L(5,3,1),L(3,4),sorter=L(2,1))
t.searchsorted(L(1.,nan),L(nan,0.))
t.searchsorted(t.tensor(1.),L(nan,0.))
t.searchsorted(L(1j,2j),L(1j))
t.searchsorted(L(True,False),L(True))
t.bucketize(L(3,4),L(1,3,5))
t.bucketize(L(3,4),L(1,3,5),right=True)
t.bucketize(3,L(1,3,5))
t.bucketize(L(3,4),t.ones(1,2))
t.bucketize(L(3.,4),L(1,3,5))
t.isin(L(1,2,3),L(2))
t.isin(L(1,2,3),2)
t.isin(2,L(1,2,3))
t.isin(2,2)
t.isin(L(1,2,3),L(2),invert=True,assume_unique=True)
t.isin(L(1.,nan),L(nan))
t.isin(L(1j),L(1j))
t.isin(L(1,2),L(1.,2.))
t.isin(L(True),L(True))
t.bincount(L(1,1,3))
t.bincount(L(1,1,3),minlength=6)
t.bincount(L(1,1,3),L(.5,1,2))
t.bincount(L(1,1,3),L(1,1,2))
t.bincount(L(1,-1,3))
t.bincount(L(1.,1,3))
t.bincount(t.tensor([[1,1,3]]))
t.bincount(L(1,1,3),L(.5,1))
t.bincount(t.tensor([]).long())
t.bincount(t.tensor([]).long(),minlength=3)
t.bincount(L(1,1,3),minlength=-6)
t.bincount(t.tensor([],dtype=t.int32),t.tensor([]))
t.bincount(t.tensor([1],dtype=t.uint8),t.tensor([2],dtype=t.float16))
t.bincount(t.tensor([True]))
"""


@pytest.mark.parametrize("name", SAMPLES.split())
def test_samples(name: str) -> None:
    check(name)


def _long_and_unstable(sample: Any) -> bool:
    """Of equal cells in long rows PyTorch names any, unless it is asked for a stable sort."""
    return sample.input.numel() == 8000 and not sample.kwargs.get("stable")


@pytest.mark.parametrize("name", ["sort", "argsort"])
def test_samples_of_sorts(name: str) -> None:
    check(name, skip=_long_and_unstable)


def test_samples_of_topk() -> None:
    """In dtypes whose samples have no equal cells: which of those are named is not fixed."""
    check("topk", ["float32", "float64"])


@pytest.mark.parametrize("call", expressions(CALLS))
def test_call(call: str) -> None:
    check_expression(f"(lambda x, L, nan: {call})(t.arange(12.).reshape(3, 4), lambda *a: t.tensor(a), float('nan'))")


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"])
@pytest.mark.parametrize(("shape", "dim"), [((7,), 0), ((3, 5, 4), 1), ((40, 300), 1), ((300, 9), 0), ((2, 3000), -1)])
def test_stable_sort(dtype: str, shape: tuple[int, ...], dim: int) -> None:
    """Equal cells, zeros of both signs, NaN and infinities stay in order, ascending and descending."""

    def program(t: Any) -> Any:
        x = (numbers(t, *shape) * 50).to(getattr(t, dtype))
        flat = x.view(-1)
        if x.dtype.is_floating_point:
            for k, value in enumerate([float("nan"), -0.0, 0.0, float("-inf"), float("inf")]):
                flat[k::7] = value
        results = []
        for descending in (False, True):
            values, indices = t.sort(x, stable=True, dim=dim, descending=descending)
            results += [values.float(), indices]
            results += [t.argsort(x, dim=dim, descending=descending, stable=True)]
            if dtype != "bool":
                results += [t.topk(x, min(k, x.shape[dim]), dim, descending)[0].float() for k in (1, 3, 20)]
        return results

    compare(program)


def test_gradients_of_sorted_cells() -> None:
    def program(t: Any) -> Any:
        x = numbers(t, 4, 9).double().requires_grad_()
        weights = numbers(t, 4, 9, seed=1).double()
        total = (x.sort(1).values * weights).sum() + (x.t().topk(3, 0).values ** 2).sum() + x.msort()[0].sum()
        return t.autograd.grad(total, x)

    compare(program)
