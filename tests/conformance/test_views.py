"""Views compared with PyTorch: values, strides, offsets, sharing, errors, names of nodes, gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import pellucid
from tests.conformance.opdb import check, to_pellucid

DTYPES = ("float64", "bool", "complex64")

NAMES = [
    "T", "as_strided", "as_strided/partial_views", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_tensors",
    "broadcast_to", "chunk", "contiguous", "diagonal", "dsplit", "expand", "expand_as", "flatten", "flip", "fliplr",
    "flipud", "hsplit", "imag", "mT", "movedim", "narrow", "permute", "ravel", "real", "reshape", "reshape_as",
    "rot90", "select", "split", "split/list_args", "split_with_sizes", "squeeze", "squeeze/multiple", "t",
    "tensor_split", "transpose", "unbind", "unflatten", "unfold", "unsafe_chunk", "unsafe_split", "unsqueeze", "view",
    "view_as", "view_as_complex", "view_as_real", "vsplit",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_matches_pytorch(name: str) -> None:
    dtypes = ("complex64",) if name in ("imag", "view_as_real") else DTYPES
    check(name, ("float32",) if name == "view_as_complex" else dtypes)


@pytest.mark.parametrize("name", ["H", "mH"])
def test_conjugate_transposes_are_copies(name: str) -> None:
    """Ours: conjugation is not put off, so a complex result has memory of its own."""
    check(name, ("float32", "float64", "int64"))
    z = torch.randn(2, 3, dtype=torch.complex64)
    assert getattr(to_pellucid(z), name).tolist() == getattr(z, name).tolist()


NODES: list[Callable[[Any], Any]] = [
    lambda x: x[0], lambda x: x[0:2], lambda x: x[None], lambda x: x[...], lambda x: x[:], lambda x: x[0, None],
    lambda x: x[0, 1], lambda x: x[:, 0], lambda x: x[[0]], lambda x: x[x > 0], lambda x: x.squeeze((0, 1)),
    lambda x: x.squeeze(0), lambda x: x.squeeze(), lambda x: x.reshape(12), lambda x: x.t().reshape(12),
    lambda x: x.T, lambda x: x.mT, lambda x: x.H, lambda x: x.unbind()[0], lambda x: x.split(2)[0],
    lambda x: x.chunk(2)[0], lambda x: x.tensor_split(2)[0], lambda x: x.split([1, 2])[0], lambda x: x.flatten(),
    lambda x: x.t().contiguous(), lambda x: x.unflatten(0, (3, 1)), lambda x: x.movedim(0, 1),
    lambda x: x.swapaxes(0, 1),
    lambda x: x.narrow(0, 0, 1), lambda x: x.diagonal(), lambda x: x.unfold(0, 1, 1), lambda x: x.expand(2, 3, 4),
    lambda x: x.view_as(x), lambda x: x.flip(0), lambda x: x.as_strided((2,), (1,)), lambda x: x.select(0, 0),
    lambda x: x.t(), lambda x: x.unsqueeze(0), lambda x: x.transpose(0, 1), lambda x: x.permute(1, 0),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(NODES)))
def test_nodes_have_pytorchs_names(number: int) -> None:
    x = torch.randn(3, 4, requires_grad=True)
    wanted = NODES[number](x).grad_fn.name()
    assert NODES[number](to_pellucid(x)).grad_fn.name() == wanted


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.view(2.0, 12), lambda x: x.view(), lambda x: x.view(-2, 12), lambda x: x.view(0, -1),
        lambda x: x.transpose(0.0, 1), lambda x: x.permute(0, 0, 1), lambda x: x.permute(0, 1),
        lambda x: x.unsqueeze(5), lambda x: x.squeeze((0, 0)), lambda x: x.expand(3, 4),
        lambda x: x.expand(-1, 2, 3, 4),
        lambda x: x.narrow(0, 0, -1), lambda x: x.select(0, 2), lambda x: x.split(-1), lambda x: x.split([-1, 4], 1),
        lambda x: x.tensor_split(0), lambda x: x.hsplit(2), lambda x: x.flatten(1, 0), lambda x: x.unflatten(2, ()),
        lambda x: x.diagonal(0, 1, 1), lambda x: x.as_strided((5, 5), (5, 1), 3), lambda x: x.as_strided((2,), (-1,)),
        lambda x: x.as_strided((2, 2), (1,)), lambda x: x.unfold(2, 5, 1), lambda x: x.unfold(2, 2, 0),
        lambda x: x.imag, lambda x: x.transpose(0, 1).view(6, 4), lambda x: x.H, lambda x: x.t(), lambda x: x[0, 0].mT,
        lambda x: x.movedim((0, 1), (1,)), lambda x: x.movedim((0, 0), (1, 2)), lambda x: x.flip(),
        lambda x: x.rot90(1, (1, 1)), lambda x: x.rot90(1, (1,)), lambda x: x.size(3), lambda x: x.stride(-4),
        lambda x: x[0, 0, 0].unbind(), lambda x: x[0, 0, 0].narrow(0, 0, 1), lambda x: x[0, 0, 0].select(0, 0),
    ],
)  # fmt: skip
def test_errors_are_of_pytorchs_class(call: Callable[[Any], Any]) -> None:
    x = torch.arange(24.0).view(2, 3, 4)
    with pytest.raises(Exception) as wanted:  # noqa: PT011
        call(x)
    with pytest.raises(wanted.type):
        call(to_pellucid(x))


def test_views_of_other_dtypes() -> None:
    x = torch.arange(24.0).view(2, 3, 4)
    for change in (lambda t: t, lambda t: t.transpose(0, 1), lambda t: t[:, ::2], lambda t: t[:, :, ::2]):
        for name in ("int32", "int16", "uint8", "float64", "complex64", "complex128", "bfloat16"):
            try:
                wanted = change(x).view(getattr(torch, name))
            except RuntimeError:
                with pytest.raises(RuntimeError):
                    change(to_pellucid(x)).view(getattr(pellucid, name))
                continue
            got = change(to_pellucid(x)).view(getattr(pellucid, name))
            assert (got.shape, got.stride()) == (tuple(wanted.shape), wanted.stride())
            assert got.storage_offset() == wanted.storage_offset()
            assert got.tolist() == wanted.tolist()


def test_in_place_views() -> None:
    x = torch.arange(6.0).view(2, 1, 3)
    y = to_pellucid(x)
    for call in (
        lambda t: t.squeeze_(1), lambda t: t.t_(), lambda t: t.unsqueeze_(0), lambda t: t.transpose_(0, 2),
        lambda t: t.swapaxes_(0, 1), lambda t: t.as_strided_((2, 2), (1, 2), 1), lambda t: t.squeeze_(),
    ):  # fmt: skip
        wanted, got = call(x), call(y)
        assert got is y
        assert (tuple(got.shape), got.stride(), got.tolist()) == (tuple(wanted.shape), wanted.stride(), wanted.tolist())
    leaf = torch.zeros(2, 3, requires_grad=True)
    for t in (leaf, to_pellucid(leaf)):
        with pytest.raises(RuntimeError, match="leaf Variable"):
            t.t_()
        z = t * 2
        z.t_()
        w = z * 3
        assert w.shape == (3, 2)
        w.sum().backward()
        assert t.grad.tolist() == [[6] * 3] * 2


def test_shapes_broadcast() -> None:
    for shapes in ([(2, 1), (3,)], [(), (1,)], [3, (2, 1)], [(0,), (1,)], []):
        assert tuple(pellucid.broadcast_shapes(*shapes)) == tuple(torch.broadcast_shapes(*shapes))
    for shapes in ([(2,), (3,)], [(-1,), (1,)]):
        for library in (torch, pellucid):
            with pytest.raises((RuntimeError, ValueError)):
                library.broadcast_shapes(*shapes)
