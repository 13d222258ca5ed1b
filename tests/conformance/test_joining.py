"""Joining, repeating, rolling, padding, diagonals, grids: against PyTorch."""

import pytest

from tests.conformance.expressions import check, expressions
from tests.conformance.opdb import check as check_samples

JOINING = """
t.cat([t.arange(6.).reshape(2,3),t.zeros(2,3)])
t.cat([t.arange(6.).reshape(2,3),t.zeros(2,3)],1)
t.cat([t.arange(6.).reshape(2,3).t(),t.zeros(3,2)],-1)
t.cat([t.zeros(2,3),t.zeros(2,4)])
t.cat([])
t.cat([t.zeros(2),3])
t.cat(t.zeros(2,3))
t.cat([t.zeros(0),t.zeros(2,3)],1)
t.cat([t.zeros(0),t.zeros(2,3)],2)
t.cat([t.zeros(0),t.zeros(0)])
t.cat([t.zeros(()),t.zeros(1)])
t.cat([t.zeros(2,0),t.zeros(2,3)],1)
t.cat([t.zeros(2,3),t.zeros(2,3)],-3)
t.cat([t.zeros(2,3),t.zeros(3)])
t.cat([t.zeros(2,dtype=t.int64),t.ones(2)])
t.cat([t.zeros(2,dtype=t.int64),t.ones(2,dtype=t.complex64)])
t.cat([t.zeros(2,dtype=t.int64),t.zeros(0)])
t.cat([t.zeros(2),t.zeros(2)],out=t.zeros(4,dtype=t.int64))
t.cat([t.zeros(2),t.zeros(2)],out=t.zeros(0))
t.cat([t.zeros(2,2,3,4).contiguous(memory_format=t.channels_last)]*2)
t.cat([t.zeros(2,requires_grad=True),t.zeros(2)])
t.cat(tensors=[t.zeros(2),t.zeros(2)],axis=0)
t.concat((t.zeros(2),t.zeros(2)))
t.cat((t.zeros(2),t.zeros(2)),dim=0.)
t.cat([t.arange(24.).reshape(2,3,4)[:,1:],t.arange(24.).reshape(2,3,4)[:,:2]],1)
t.stack([])
t.stack([t.zeros(2),t.zeros(3)])
t.stack([t.zeros(2),t.zeros(2)],2)
t.stack([t.zeros(2),t.ones(2)],-2)
t.stack([t.zeros(2),t.ones(2)],-1,out=t.empty(0))
t.stack([t.zeros(()),t.ones(())])
t.stack([t.zeros(2,requires_grad=True),t.zeros(2)])
t.hstack([t.zeros(()),t.ones(2)])
t.dstack([t.zeros(2,2),t.ones(2,2)])
t.row_stack([t.zeros(2),t.ones(2)])
t.block_diag(t.zeros(2,3),t.ones(2),t.tensor(7))
t.block_diag(t.zeros(2,3,3))
t.block_diag()
"""
REPEATING = """
t.roll(t.arange(6.).reshape(2,3),1)
t.roll(t.arange(6.).reshape(2,3),(1,-2),(0,1))
t.roll(t.arange(6.).reshape(2,3),(1,2))
t.roll(t.arange(6.).reshape(2,3),(1,2),(0,))
t.roll(t.arange(6.).reshape(2,3),1,(0,1))
t.roll(t.arange(6.).reshape(2,3),1,2)
t.roll(t.arange(6.).reshape(2,3),())
t.roll(t.arange(6.).reshape(2,3),(1,1),(0,0))
t.roll(t.arange(6.).reshape(2,3),1.5)
t.roll(t.tensor(3.),1)
t.roll(t.tensor(3.),1,0)
t.roll(t.zeros(0,3),1,0)
t.roll(t.zeros(2,3,requires_grad=True),1,0)
t.roll(t.arange(6.).reshape(3,2).t(),1,0)
t.roll(t.arange(6.).reshape(3,2).t(),1)
t.roll(t.arange(6000.).reshape(60,100),(-7,33),(0,1)).tolist()
t.roll(t.arange(6000.).reshape(60,100).t(),(-7,33),(0,1)).tolist()
t.roll(t.arange(6000.).reshape(60,100),77).tolist()
t.roll(3,1)
t.arange(6.).reshape(2,3).repeat(2)
t.arange(6.).reshape(2,3).repeat(2,-1)
t.arange(6.).reshape(2,3).repeat(2,0)
t.arange(6.).reshape(2,3).repeat(2,1,2)
t.arange(6.).reshape(2,3).t().repeat((2,2))
t.arange(6.).reshape(2,3).repeat()
t.tensor(3.).repeat(3)
t.tile(t.zeros(2,3,requires_grad=True),(2,))
t.zeros(2,3).tile(2,2)
t.repeat_interleave(t.tensor([[1,2],[3,4]]),t.tensor([1,2]),dim=0)
t.repeat_interleave(t.tensor([[1,2],[3,4]]),2,dim=1)
t.repeat_interleave(t.tensor([[1,2],[3,4]]),2)
t.repeat_interleave(t.tensor([1,2,0]))
t.repeat_interleave(t.zeros(3),t.tensor([1,2]))
t.repeat_interleave(t.zeros(3),-1)
t.repeat_interleave(t.zeros(3),t.tensor([1,-2,1]))
t.repeat_interleave(t.zeros(3),t.tensor([1.,2,1]))
t.repeat_interleave(t.zeros(3),2,output_size=5)
t.repeat_interleave(t.arange(3.),t.tensor([2,0,1]),output_size=3)
"""
PADDING = """
t.nn.functional.pad(t.arange(6.).reshape(2,3),(1,2))
t.nn.functional.pad(t.arange(6.).reshape(2,3),(1,2,3,0))
t.nn.functional.pad(t.arange(6.).reshape(2,3),(1,-2),value=2.5)
t.nn.functional.pad(t.arange(6.).reshape(2,3),(1,-4),value=2.5)
t.nn.functional.pad(t.arange(6.).reshape(2,3),(1,-5),value=2.5)
t.nn.functional.pad(t.arange(6).reshape(2,3),(1,1),value=7)
t.nn.functional.pad(t.arange(6).reshape(2,3),(1,))
t.nn.functional.pad(t.arange(6).reshape(2,3),(1,1,1,1,1,1))
t.nn.functional.pad(t.arange(6.).reshape(2,3).requires_grad_(),(1,1))
t.nn.functional.pad(t.arange(6.).reshape(2,3),(1,1),'reflect')
t.nn.functional.pad(t.arange(6.).reshape(2,3),(2,2),'reflect')
t.nn.functional.pad(t.arange(6.).reshape(2,3),(3,2),'reflect')
t.nn.functional.pad(t.arange(6.).reshape(2,3),(5,2),'replicate')
t.nn.functional.pad(t.arange(6.).reshape(2,3),(3,2),'circular')
t.nn.functional.pad(t.arange(6.).reshape(2,3),(4,2),'circular')
t.nn.functional.pad(t.arange(6.).reshape(2,3),(1,2),'foo')
t.nn.functional.pad(t.arange(6.).reshape(2,3),(1,2,3,4),'reflect')
t.nn.functional.pad(t.arange(6.).reshape(2,3),(1,2),'reflect',value=3)
t.nn.functional.pad(t.arange(24.).reshape(1,2,3,4),(1,2,2,1),'reflect')
t.nn.functional.pad(t.arange(24.).reshape(2,3,4),(1,2,2,1),'replicate')
t.nn.functional.pad(t.arange(24.).reshape(1,2,3,4),(1,2,2,1),'circular')
t.nn.functional.pad(t.arange(6.).reshape(2,3).requires_grad_(),(1,1),'reflect')
t.nn.functional.pad(t.arange(24.).reshape(1,2,3,4).contiguous(memory_format=t.channels_last),(1,1))
t.constant_pad_nd(t.arange(4),(1,1))
"""
DIAGONALS = """
t.tril(t.arange(12.).reshape(3,4))
t.triu(t.arange(12.).reshape(3,4),1)
t.tril(t.arange(12.).reshape(3,4),-1)
t.tril(t.arange(24).reshape(2,3,4).transpose(1,2))
t.tril(t.ones(3))
t.tril(t.ones(3,3,dtype=t.bool))
t.tril(t.ones(3,3,dtype=t.complex64))
t.tril(t.ones(3,3,requires_grad=True))
t.ones(3,3).tril_(-1)
t.ones(3,3).triu_(1)
t.tril(t.ones(0,3))
t.diag(t.arange(3.))
t.diag(t.arange(3.),1)
t.diag(t.arange(3.),-2)
t.diag(t.arange(6.).reshape(2,3))
t.diag(t.arange(6.).reshape(2,3),1)
t.diag(t.zeros(2,2,2))
t.diag(t.tensor(1.))
t.diagflat(t.arange(4.).reshape(2,2))
t.diag_embed(t.arange(6.).reshape(2,3))
t.diag_embed(t.arange(6.).reshape(2,3),1,0,2)
t.diag_embed(t.arange(6.).reshape(2,3),0,1,1)
t.diag_embed(t.ones(3,requires_grad=True))
"""
GRIDS = """
t.meshgrid(t.arange(2),t.arange(3))[0]
t.meshgrid(t.arange(2),t.arange(3),indexing='xy')[0]
t.meshgrid(t.arange(2),t.arange(3),indexing='xy')[1]
t.meshgrid(t.arange(2),t.arange(3),t.arange(2),indexing='xy')[2]
t.meshgrid(t.arange(2),t.arange(3),indexing='zz')
t.meshgrid(t.zeros(2,3))
t.meshgrid([t.zeros(2),t.zeros(2,dtype=t.int64)],indexing='ij')
t.meshgrid()
t.meshgrid(t.zeros(()),t.zeros(2),indexing='ij')
t.cartesian_prod(t.arange(2),t.arange(2))
t.cartesian_prod(t.arange(2))
t.combinations(t.arange(3))
t.combinations(t.arange(3),r=2,with_replacement=True)
t.combinations(t.arange(3),r=0)
t.combinations(t.arange(3),r=5)
t.combinations(t.zeros(2,2))
t.nn.functional.one_hot(t.arange(3))
t.nn.functional.one_hot(t.arange(4).reshape(2,2),5)
t.nn.functional.one_hot(t.arange(3),2)
t.nn.functional.one_hot(t.arange(3.))
t.nn.functional.one_hot(-t.arange(3))
t.vander(t.tensor([1,2,3]))
t.vander(t.tensor([1.,2,3]),2)
t.vander(t.tensor([1,2,3]),4,increasing=True)
"""

SAMPLES = """
stack hstack vstack dstack column_stack block_diag roll repeat tile tril triu diag diagflat diag_embed meshgrid
cartesian_prod combinations nn.functional.pad constant_pad_nd nn.functional.one_hot repeat_interleave
"""


@pytest.mark.parametrize("source", expressions(JOINING + REPEATING + PADDING + DIAGONALS + GRIDS))
def test_gives_what_pytorch_gives(source: str) -> None:
    check(source)


@pytest.mark.parametrize("name", SAMPLES.split())
def test_matches_pytorch(name: str) -> None:
    check_samples(name)


def test_cat_matches_pytorch() -> None:
    # PyTorch's error samples resize a tensor whose storage it was told not to resize; storages here have no such mark.
    check_samples("cat", variants=("function", "out", "gradient", "gradgrad"))
