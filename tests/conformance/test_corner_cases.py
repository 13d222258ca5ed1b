"""Corner cases against PyTorch: no dimensions, no cells, results that are given, arguments of the wrong kind."""

from __future__ import annotations

import pytest
import torch

import pellucid
from tests.conformance.expressions import check, expressions

VIEWS = """
t.tensor(3.).flip(0)
t.tensor(3.).flip(-1)
t.flip(t.empty(0, 3), (0, 1))
t.ones(4).view(t.int32)
t.ones(2, 3, requires_grad=True).t().reshape(6)
t.ones(2, 3).t().flatten()
t.zeros(24).resize_((1, 2, 3, 4), memory_format=t.channels_last)
t.zeros(24).resize_((1, 2, 3, 4), memory_format=t.preserve_format)
t.empty(2, 3).t().resize_((3, 2)).stride()
t.empty(2, 3).t().resize_((3, 2), memory_format=t.contiguous_format).stride()
t.zeros(24).resize_as_(t.zeros(1, 2, 3, 4).contiguous(memory_format=t.channels_last), memory_format=t.preserve_format)
t.zeros(24).resize_as_(t.zeros(1, 2, 3, 4).contiguous(memory_format=t.channels_last))
t.empty(2).resize_([2, 4, 2**29, 2**29])
t.zeros(2, 3).sparse_dim(), t.zeros(2, 3).dense_dim()
t.zeros(3).broadcast_to(2, 3).stride()
t.zeros(2).copy_(other=t.ones(2))
"""

PRODUCTS = """
t.mm(t.ones(2, 3), t.ones(3, 4), out=t.empty(2, 4, dtype=t.float64))
t.matmul(t.ones(2, 3), t.ones(3, 4), out=t.empty(2, 4, dtype=t.float64))
t.mv(t.ones(2, 3), t.ones(3), out=t.empty(2, dtype=t.float64))
t.dot(t.ones(3), t.ones(3), out=t.empty((), dtype=t.float64))
t.bmm(t.ones(1, 2, 3), t.ones(1, 3, 4), out=t.empty(1, 2, 4, dtype=t.float64))
t.addmm(t.ones(2, 4), t.ones(2, 3), t.ones(3, 4), out=t.empty(2, 4, dtype=t.float64))
t.addmm(2, t.ones(2, 4), t.ones(2, 3), t.ones(3, 4))
t.addmm(2, t.ones(2, 4), 3, t.ones(2, 3), t.ones(3, 4))
t.ones(2, 4).addmm(2, t.ones(2, 3), t.ones(3, 4))
t.ones(2, 4).addmm(2, 3, t.ones(2, 3), t.ones(3, 4))
t.ones(2, 4).addmm_(2, 3, t.ones(2, 3), t.ones(3, 4))
t.addmv(2, t.ones(2), 3, t.ones(2, 3), t.ones(3))
t.ones(3, 3).addr(2, 3, t.ones(3), t.ones(3))
t.baddbmm(2, t.ones(1, 2, 4), 3, t.ones(1, 2, 3), t.ones(1, 3, 4))
t.addbmm(2, t.ones(2, 4), 3, t.ones(1, 2, 3), t.ones(1, 3, 4))
t.ones(2, 4).addmm("2", t.ones(2, 3), t.ones(3, 4))
t.ones(4, 6).tensor_split(t.tensor([1., 2.]))
t.ones(4, 6).tensor_split(t.tensor([1, 2], dtype=t.int32))
t.ones(4, 6).split(split_size=2)
t.ones(4, 6).split(split_size=[1, 3])
t.ones(0, 256, 256) @ t.ones(256, 256)
"""

INDEXING = """
t.nonzero(t.ones(2, 2), as_tuple=True, out=t.empty(0, 2, dtype=t.long))
t.nonzero(t.ones(2, 2), as_tuple=False, out=t.empty(0, 2, dtype=t.long))
t.index_put_(t.zeros(3), (t.tensor([1]),), t.tensor(5.))
t.index_put_(t.zeros(3), indices=(t.tensor([1, 1]),), values=t.tensor(5.), accumulate=True)
t.zeros(3).masked_fill(t.tensor([True, False, True]), 2).index_put((t.tensor([True, False, True]),), t.tensor(1, dtype=t.float64))
t.zeros(3).index_add(0, t.tensor([0, 3]), t.ones(2))
t.zeros(2, 3).index_add(0, t.tensor([5]), t.ones(1, 3))
t.as_strided_scatter(t.zeros(4), t.ones(2), (2,), (2,))
t.as_strided_scatter(t.zeros(4), t.ones(3), (2,), (2,))
t.zeros(10).topk(4, True)
t.topk(t.tensor(3.), 0)
t.combinations(t.arange(60), 30)
t.combinations(t.arange(4), 3, True)
t.combinations(t.empty(0), 2, True)
t.zeros(1).expand(2**61).clone()
t.zeros(1).expand(2**61).add(1)
t.arange(10.).topk(3, dim=0, largest=1)
t.unique(t.tensor([t.nan, 0., 0., t.nan, t.nan, 1.]), dim=0, return_inverse=True, return_counts=True)
t.unique(t.tensor([[t.nan, 0.], [0., t.nan], [t.nan, 0.], [0, 1]]), dim=0, return_inverse=True, return_counts=True)
"""

CREATION = """
t.arange(0, 4, out=t.zeros(2, 3).narrow(1, 1, 2))
t.arange(0, 4, out=t.zeros(3))
t.linspace(0, 3, 4, out=t.zeros(2, 2, dtype=t.int32))
t.logspace(0, 3, 4, base=2, out=t.zeros(2, 2).t())
t.logspace(0, 3, 4, out=t.zeros(3))
t.eye(2, out=t.zeros(4))
t.eye(2.)
t.empty([2, 4, 2**29, 2**29], dtype=t.float64)
t.zeros(2**62)
t.tensor(['a'])
t.tensor([1, 'a'])
t.tensor([[1], 'a'])
t.tensor(b'abc')
t.tensor({1: 2})
t.tensor(1 + 1j, dtype=t.bool)
t.tensor([0j, 1j], dtype=t.bool)
t.tensor((lambda z: z.append(z) or z)([0]))
t.frombuffer([1, 2, 3], dtype=t.int32)
t.asarray(np.float64(1.5), copy=False)
t.asarray(np.float64(1.5), copy=True)
t.cat([t.zeros(0), t.zeros(0)], 1)
t.from_dlpack(t.ones(2, requires_grad=True))
t.from_dlpack(3)
t.from_dlpack(t.to_dlpack(t.arange(6.).reshape(2, 3).t()))
"""

OUT = """
t.neg(t.tensor(1.), out=t.empty(0, dtype=t.float64))
t.neg(t.tensor([1.]), out=t.empty(1, dtype=t.float64))
t.floor(t.tensor(1), out=t.empty((), dtype=t.float32))
t.abs(t.tensor(1.), out=t.empty((), dtype=t.float64))
t.abs(t.tensor(1j), out=t.empty((), dtype=t.float64))
t.square(t.tensor(1.), out=t.empty((), dtype=t.float64))
t.exp(t.tensor(1.), out=t.empty((), dtype=t.float64))
t.signbit(t.tensor(1.), out=t.empty(0))
t.bitwise_not(t.tensor(1), out=t.empty((), dtype=t.int32))
t.where(t.tensor(True), t.ones(()), t.zeros(()), out=t.empty((), dtype=t.float64))
t.clamp(t.tensor(1.), 0, out=t.empty((), dtype=t.float64))
t.clamp(t.tensor(1.), t.tensor(0.), out=t.empty((), dtype=t.float64))
t.nan_to_num(t.tensor(1.), out=t.empty(0, dtype=t.float64))
t.quantile(t.ones(3), 0.5, out=t.empty((), dtype=t.float64))
t.histc(t.ones(3), 3, out=t.empty(3, dtype=t.float64))
t.renorm(t.ones(2, 2), 2, 0, 1., out=t.empty(2, 2, dtype=t.float64))
t.logcumsumexp(t.ones(2), 0, out=t.empty(2, dtype=t.float64))
t.cumsum(t.ones(2), 0, out=t.empty(2, dtype=t.float64))
t.cumsum(t.ones(2), 0, out=3)
t.masked_select(t.ones(2), t.tensor(True), out=3)
t.searchsorted(t.ones(2), t.ones(2), out=[t.ones(2)])
t.msort(t.ones(2), out=3)
t.arange(6, out=3)
t.eye(2, out=[t.ones(2)])
t.linspace(0, 1, 3, out=3)
"""

STORAGES = """
t.zeros(2).set_(t.arange(6.))
t.zeros(2).set_(t.arange(6.))._version
t.zeros(2).set_(t.arange(6.).untyped_storage(), 1, (2, 2), (2, 1))
t.zeros(2).set_(t.arange(6.).untyped_storage())
t.zeros(2).set_().shape
t.zeros(2).set_(t.arange(6.), 1, (2, 2))
t.zeros(2).set_(t.zeros(2, dtype=t.int64))
t.zeros(2).set_(t.arange(6.).untyped_storage(), -1, (2,), (1,))
t.zeros(2).set_(t.arange(6.).untyped_storage(), 0, (2, 2), (1,))
t.zeros(2, requires_grad=True).set_(t.zeros(2))
t.zeros(2).set_(3)
t.UntypedStorage([1, 2, 3])
t.UntypedStorage()
t.UntypedStorage([1, 2, 3])[1:].tolist()
t.UntypedStorage(2).fill_(7).tolist(), len(t.UntypedStorage(4).clone())
t.arange(6).untyped_storage().nbytes(), t.arange(6)[2:].untyped_storage().size()
t.is_storage(t.zeros(1)), t.is_storage(t.UntypedStorage(1))
"""

OLDER_ORDERS = """
t.add(t.tensor(True), t.tensor(True), True)
t.add(t.tensor(1.), 2, t.tensor(3.))
t.add(t.ones(2), t.ones(2), t.ones(2))
t.ones(2).add_(-0.5, t.ones(2))
t.ones(2, dtype=t.int64).add_(-0.5, t.ones(2))
t.tensor(1.).sub_(2, t.tensor(3.))
t.addcmul(t.ones(2), 2, t.ones(2), t.ones(2))
t.ones(2).addcdiv_(-2, t.ones(2), t.ones(2))
t.ones(2).addcdiv_(t.ones(2), t.ones(2), t.ones(2))
"""

FORMATS = """
t.randn(2, 2, 3, 2).to(memory_format=t.channels_last)[:, :, :2].add(1).stride()
t.cat([t.zeros(2, 2, 3, 2).to(memory_format=t.channels_last)[:, :, :2]] * 2, -1).stride()
t.cat([t.zeros(2, 1, 3, 2).to(memory_format=t.channels_last)] * 2).stride()
t.cat([t.zeros(2, 1, 3, 2)] * 2).stride()
t.cat([t.zeros(2, 3, 4, 5), t.zeros(2, 3, 4, 5).to(memory_format=t.channels_last)]).stride()
t.cat([t.zeros(2, 4, 5, 3).permute(0, 3, 1, 2)] * 2).stride()
t.nn.functional.pad(t.zeros(2, 3, 4, 5).to(memory_format=t.channels_last)[:, :, 1:], (1, 1)).stride()
t.zeros(2, 5, 1, 1).to(memory_format=t.channels_last).stride()
t.zeros(2, 5, 1, 1).contiguous(memory_format=t.channels_last).stride()
t.zeros(2, 3).t().to(memory_format=t.contiguous_format).stride()
t.zeros(2, 4, 5, 6)[..., :3].permute(0, 3, 1, 2).float(memory_format=t.channels_last).stride()
t.zeros(2, 3).to(memory_format=t.channels_last)
t.empty([0, 4, 2**61])
t.empty_strided([8, 8], [2**61, 1])
t.FloatTensor(device='cuda')
t.ones(2).new([1], device='cuda')
t.zeros(2).map2_(t.ones(2), t.ones(2) * 2, lambda a, b, c: a + b * c)
"""

SEGMENTS = """
t.segment_reduce(t.arange(6.), 'sum', lengths=t.tensor([2, 3]))
t.segment_reduce(t.arange(6.), 'sum', lengths=t.tensor([2, 3]), unsafe=True)
t.segment_reduce(t.arange(6.), 'sum')
t.segment_reduce(t.arange(6.), 'median', lengths=t.tensor([6]))
t.segment_reduce(t.arange(6.), 'sum', lengths=t.tensor([-1, 7]))
t.segment_reduce(t.arange(6.), 'mean', lengths=t.tensor([0, 6]))
t.segment_reduce(t.arange(6.), 'mean', lengths=t.tensor([0, 6]), initial=5.)
t.segment_reduce(t.arange(6.), 'max', lengths=t.tensor([0, 6], dtype=t.int32))
t.segment_reduce(t.arange(6.), 'amin', lengths=t.tensor([0, 6]), initial=-3)
t.segment_reduce(t.arange(6), 'sum', lengths=t.tensor([0, 6]))
t.segment_reduce(t.arange(6.), 'sum', offsets=t.tensor([1, 2, 5]))
t.segment_reduce(t.arange(6.), 'sum', offsets=t.tensor([0, 4, 2, 6]))
t.segment_reduce(t.arange(6.), 'sum', lengths=t.tensor([2., 4]))
t.segment_reduce(t.arange(6.).view(2, 3), 'prod', lengths=t.tensor([[1, 2], [3, 0]]), axis=1)
t.segment_reduce(t.arange(6.).view(2, 3), 'sum', lengths=t.tensor([1, 1]), axis=1)
t.segment_reduce(t.arange(6.).view(3, 2), 'min', lengths=t.tensor([1, 2]), axis=-2)
t.segment_reduce(t.arange(6.), 'sum', indices=t.tensor([0, 0, 1, 1, 1, 1]))
t.segment_reduce(t.empty(0), 'sum', lengths=t.tensor([0, 0]))
t.segment_reduce(t.tensor(3.), 'sum', lengths=t.tensor([1]))
"""

EXPANDED = """
t.zeros(1).expand(3).masked_fill_(t.tensor([True, False, False]), 2.)
t.zeros(2).expand(3, 2).masked_fill_(t.tensor([[True, False], [False, False], [False, False]]), t.tensor(2))
t.zeros(2, dtype=t.bfloat16).expand(3, 2).masked_fill_(t.tensor([False, True]), 2)
t.zeros(2).expand(3, 2).masked_fill_(t.tensor([True, False, True]), 2)
t.zeros(2).expand(3, 2).index_fill_(0, t.tensor([0]), 3)
t.zeros(2).expand(3, 2).index_fill_(0, t.tensor([5]), 3)
t.zeros(2).expand(3, 2).index_add_(0, t.tensor([0]), t.ones(1, 2))
t.zeros(2).expand(3, 2).index_put_((t.tensor([0]),), t.ones(2))
t.zeros(2).expand(3, 2).add_(1)
t.zeros(2).expand(3, 2).resize_(3, 2).stride()
t.add(t.ones(3, 2), 1, out=t.zeros(2).expand(3, 2))
"""

NUMBERS = """
t.full((2,), -0.5, dtype=t.uint8)
t.full((2,), -1, dtype=t.uint8)
t.tensor([-2.7], dtype=t.uint8)
t.zeros(2, dtype=t.int8).fill_(127.7)
t.where(t.tensor([True, False]), t.zeros(2, dtype=t.float16), -1e9)
t.where(t.tensor([True, False]), t.zeros(2, dtype=t.uint8), 300)
t.zeros(2, dtype=t.float16).masked_fill(t.tensor([True, False]), -1e9)
t.zeros(2, dtype=t.uint8).masked_fill(t.tensor([True, False]), t.tensor(300))
t.zeros(2, dtype=t.uint8).masked_fill_(t.tensor([True, False]), t.tensor(2.7))
t.zeros(2, dtype=t.uint8).index_fill_(0, t.tensor([0]), t.tensor(300))
t.zeros(2).index_fill_(0, t.tensor([0]), t.tensor(1j))
(lambda x: (x.__setitem__(0, -1e9), x.__setitem__(1, 65510), x))(t.zeros(2, dtype=t.float16))[2]
(lambda x: (x.__setitem__(x == 0, -1e9), x))(t.zeros(2, dtype=t.float16))[1]
(lambda x: (x.__setitem__(t.tensor([0]), 1e39), x))(t.zeros(2, dtype=t.bfloat16))[1]
(lambda x: (x.__setitem__(0, 1e39), x))(t.zeros(2))[1]
t.scalar_tensor(t.tensor(2.7), dtype=t.uint8)
t.tensor(np.int64(300), dtype=t.uint8)
t.tensor(2**63, dtype=t.bfloat16)
"""

REDUCTIONS = """
t.sum(t.ones(2, 3, dtype=t.int32), 0, dtype=t.int64, out=t.zeros(3, dtype=t.int32))
t.sum(t.tensor([1.5, 2]), 0, out=t.zeros((), dtype=t.int32))
t.prod(t.tensor([1.5, 2]), 0, out=t.zeros((), dtype=t.int32))
t.nansum(t.tensor([1.5, t.nan]), out=t.zeros((), dtype=t.float64))
t.nansum(t.tensor([1.0, t.nan]), dtype=t.int32)
t.mean(t.ones(2, 3), 0, out=t.zeros(3, dtype=t.float64))
t.any(t.ones(2, 3), 1, out=t.zeros(2, dtype=t.uint8))
t.all(t.ones(2, 3), 1, out=t.zeros(2))
t.histogram(t.tensor([1., 2.]), 2, range=(1., 1.))
t.histogram(t.empty(0), 2)
t.histogram(t.tensor([1., 2.]), t.tensor([0., 1]), range=(0, 1))
t.histogram(t.tensor([1., 2.]), 2, range=(2.,))
t.histogramdd(t.arange(6.).view(3, 2), [2, 3])
t.histogramdd(t.arange(6.).view(3, 2), 2)
t.histogramdd(t.arange(6.).view(3, 2), [t.tensor([0., 1, 6]), t.tensor([0., 3])])
t.histogramdd(t.arange(6.).view(3, 2), [2, 2], range=[0., 2., 0., 6.], weight=t.ones(3), density=True)
t.histogramdd(t.arange(6.).view(3, 2), [2])
t.histogramdd(t.zeros(5, 0), [])
t.histogramdd(t.empty(0, 2), [2, 2], density=True)
t.histogramdd(t.arange(6.), 2)
"""


ALL = VIEWS + PRODUCTS + INDEXING + CREATION + OUT + STORAGES + OLDER_ORDERS + FORMATS + EXPANDED + NUMBERS + SEGMENTS + REDUCTIONS


@pytest.mark.parametrize("source", expressions(ALL))
def test_matches_pytorch(source: str) -> None:
    check(source)


@pytest.mark.parametrize("dtype", ["float32", "int32", "float16", "complex64"])
def test_bytes_read_as_another_dtype_carry_no_gradient(dtype: str) -> None:
    for t in (torch, pellucid):
        x = t.ones(4, requires_grad=True)
        y = x.view(getattr(t, dtype))
        assert (y.requires_grad, y._is_view(), y.is_leaf) == (False, False, True)
        y.zero_()
        assert x.tolist() == [0.0] * 4
        assert x._version == y._version == 1


def test_a_shape_that_needs_a_copy_is_no_view() -> None:
    for t in (torch, pellucid):
        x = t.ones(2, 3, requires_grad=True)
        y = x.t().reshape(6)
        assert not y._is_view()
        assert y.grad_fn.name() == "UnsafeViewBackward0"
        y[1:3].mul_(2)
        (y * t.arange(6.0)).sum().backward()
        assert x.grad.tolist() == [[0.0, 4.0, 4.0], [2.0, 3.0, 5.0]]


def test_half_precision_by_default_has_no_need_of_complex_numbers() -> None:
    for t in (torch, pellucid):
        t.set_default_dtype(t.float16)
        try:
            assert t.tensor([1, 2.5]).dtype is t.float16
            assert t.tensor([True, 1]).dtype is t.int64
        finally:
            t.set_default_dtype(t.float32)


def test_a_tensor_put_on_other_memory_shares_it_and_counts_for_itself() -> None:
    for t in (torch, pellucid):
        x, y = t.arange(3.0), t.zeros(2)
        y.set_(x)
        y.add_(1)
        assert x.tolist() == [1.0, 2.0, 3.0]
        assert (x._version, y._version) == (0, 2)
        assert y.is_set_to(x)


def test_a_saved_tensor_that_was_put_on_other_memory_is_noticed() -> None:
    for t in (torch, pellucid):
        weight, x = t.ones(3, requires_grad=True), t.arange(3.0)
        y = weight * x
        x.set_(t.zeros(3))
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


@pytest.mark.parametrize("source", ["t.zeros(2, 3, 5).T", "t.tensor([1 + 2j, 3]).to(t.float32)"])
def test_doubtful_calls_warn(source: str) -> None:
    with pytest.warns(UserWarning, match="deprecated|discards"):
        eval(source, {"t": pellucid})


@pytest.mark.parametrize(("reduce", "initial"), [("sum", 0), ("mean", 2), ("max", 0), ("min", 9), ("prod", 2)])
def test_gradients_of_segments(reduce: str, initial: float) -> None:
    cells = [1.0, torch.nan, 3.0, 4.0, 5.0, 5.0, 0.0] if reduce != "prod" else [1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 0.0]
    grads = []
    for t in (torch, pellucid):
        x = t.tensor(cells, requires_grad=True)
        t.segment_reduce(x, reduce, lengths=t.tensor([1, 2, 4, 0]), initial=initial).sum().backward()
        grads.append(x.grad.tolist())
    assert grads[0] == pytest.approx(grads[1])
