"""Matrix products, their sums with something, and contractions, against PyTorch."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch

import pellucid
from tests.conformance.opdb import VARIANTS, check, to_pellucid, to_torch

DTYPES = ("float32", "float64", "complex64", "int64")
HALF = ("bfloat16", "float16")
NO_OUT = tuple(v for v in VARIANTS if v != "out")

NO_GRADIENT = ("function", "inplace")


@pytest.mark.parametrize("name", ["mm", "bmm", "mv", "dot", "vdot", "inner", "outer", "kron", "addmv", "tensordot"])
def test_products(name: str) -> None:
    check(name, (*DTYPES, *HALF), scale=4)


@pytest.mark.parametrize("name", ["addmm", "addbmm", "baddbmm", "addr", "cross"])
def test_sums(name: str) -> None:
    # PyTorch rounds half precision after every step, here once: long sums differ.
    check(name, (*DTYPES, "bool"), scale=4)
    check(name, HALF, NO_GRADIENT, scale=200)


def test_matmul() -> None:
    # PyTorch gives an out= of one dimension new strides; here it keeps its own.
    check("matmul", (*DTYPES, *HALF), NO_OUT, scale=4)


def test_linear() -> None:
    check("nn.functional.linear", (*DTYPES, *HALF), NO_OUT, scale=4)


def test_bilinear() -> None:
    check("nn.functional.bilinear", ("float32", "float64"))


ARRANGEMENTS: list[Callable[[Any], Any]] = [
    lambda t: t,
    lambda t: t.mT.contiguous().mT,
    lambda t: torch.cat([t, t], -1)[..., ::2].copy_(t),
    lambda t: torch.cat([t, t], -2)[..., ::2, :].copy_(t),
    lambda t: t[..., :1].expand(t.shape),
    lambda t: t[..., :1, :].expand(t.shape),
    lambda t: t[:1].expand(t.shape),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex128, torch.int32])
def test_arrangements_in_memory(dtype: torch.dtype) -> None:
    arrangements = ARRANGEMENTS[:: 1 if dtype.is_floating_point else 2]
    shapes: list[tuple[Any, Any]] = [
        ((3, 4), (4, 5)),
        ((1, 4), (4, 1)),
        ((3, 1), (1, 5)),
        ((3, 0), (0, 5)),
        ((0, 4), (4, 5)),
    ]
    shapes += [((6, 3, 4), (6, 4, 5)), ((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)), ((2, 1, 3, 4), (1, 6, 4, 5))]
    for a_shape, b_shape in shapes:
        for first, second in itertools.product(arrangements, arrangements):
            a, b = (f(torch.randint(0, 5, s).to(dtype)) for f, s in ((first, a_shape), (second, b_shape)))
            expected = a @ b
            got = pellucid.matmul(to_pellucid(a), to_pellucid(b))
            torch.testing.assert_close(to_torch(got), expected, atol=0, rtol=0)


EQUATIONS: list[tuple[str, list[tuple[int, ...]]]] = [
    ("i->", [(3,)]),
    ("ii", [(4, 4)]),
    ("ii->i", [(4, 4)]),
    ("iij->j", [(3, 3, 2)]),
    ("ij->ji", [(2, 3)]),
    ("...ij->...ji", [(5, 2, 3)]),
    ("...i,ij->j", [(5, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("bA,bc", [(3, 2), (3, 4)]),
    ("bij , bjk -> bik", [(2, 3, 4), (2, 4, 5)]),
    ("ij,kl->ijkl", [(2, 3), (4, 5)]),
    ("i,i", [(4,), (4,)]),
    ("i,i->i", [(4,), (4,)]),
    ("ij,ij->", [(2, 3), (2, 3)]),
    ("i,->i", [(3,), ()]),
    ("...bi,...ij->...bj", [(1, 2, 5, 3), (4, 1, 3, 6)]),
    ("ij,jk->ik", [(2, 1), (3, 4)]),
    ("ij,jk->ik", [(2, 0), (0, 4)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
    ("bn,anm,bm->ba", [(2, 3), (5, 3, 4), (2, 4)]),
    ("ab,bc,cd,de,a->e", [(2, 3), (3, 2), (2, 3), (3, 4), (2,)]),
    ("ii,jj->ij", [(2, 2), (3, 3)]),
    ("a...,b...->ab...", [(2, 3), (4, 1)]),
]
REFUSED: list[tuple[str, list[tuple[int, ...]]]] = [
    ("ij,jk", [(2, 3)]),
    ("i", [(2, 3), (3,)]),
    ("ij->ik", [(2, 3)]),
    ("ij->ii", [(2, 3)]),
    ("ii->i", [(2, 3)]),
    ("i.j", [(2, 3)]),
    ("i1", [(2, 3)]),
    ("ijk", [(2, 3)]),
    ("i", [(2, 3)]),
    ("......", [(2, 3)]),
    ("ij...k", [(2, 3)]),
    ("ij,jk->ik", [(2, 3), (4, 5)]),
]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS)
def test_einsum(equation: str, shapes: list[tuple[int, ...]]) -> None:
    theirs = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes]
    ours: list[Any] = [to_pellucid(t) for t in theirs]
    expected, got = torch.einsum(equation, *theirs), pellucid.einsum(equation, *ours)
    torch.testing.assert_close(to_torch(got), expected.detach())
    direction = torch.randn_like(expected)
    expected.backward(direction)
    got.backward(to_pellucid(direction))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(to_torch(a.grad), b.grad)


@pytest.mark.parametrize(("equation", "shapes"), REFUSED)
def test_einsum_refuses(equation: str, shapes: list[tuple[int, ...]]) -> None:
    operands = [torch.ones(s) for s in shapes]
    with pytest.raises(RuntimeError):
        torch.einsum(equation, *operands)
    with pytest.raises(RuntimeError, match="einsum"):
        pellucid.einsum(equation, *[to_pellucid(t) for t in operands])


def test_einsum_of_sublists_integers_and_booleans() -> None:
    a, b = torch.arange(6).reshape(2, 3), torch.arange(12).reshape(3, 4)
    x, y = to_pellucid(a), to_pellucid(b)
    einsum: Any = pellucid.einsum
    torch.testing.assert_close(to_torch(einsum(x, [0, 1], y, [1, 2], [0, 2])), a @ b)
    torch.testing.assert_close(to_torch(einsum(x, [0, ...], y, [1, 2])), torch.einsum(a, [0, ...], b, [1, 2]))
    torch.testing.assert_close(to_torch(einsum("ij,jk", [x, y])), a @ b)
    assert einsum("ij->i", x.to(pellucid.int32)).dtype is pellucid.int32


def test_error_classes() -> None:
    def outcome(library: Any, call: str, make: Any) -> type | None:
        a, b, v = make(torch.ones(2, 3)), make(torch.ones(3, 4)), make(torch.ones(3))
        d, s = make(torch.ones(3, 4, dtype=torch.float64)), make(torch.tensor(2.0))
        try:
            eval(call, {"torch": library, "a": a, "b": b, "v": v, "d": d, "s": s})
        except Exception as error:
            return type(error)
        return None

    calls = [
        "a @ a",
        "a @ d",
        "a @ s",
        "v @ a",
        "torch.mm(a, v)",
        "torch.mm(a, a)",
        "torch.bmm(a, b)",
        "torch.mv(a, a)",
    ]
    calls += ["torch.mv(b, v)", "torch.dot(a, v)", "torch.dot(v, b[0])", "torch.outer(a, v)", "torch.inner(a, b)"]
    calls += ["torch.addmm(a, a, b)", "torch.addmm(s, a, v)", "torch.addmm(s, a, b, beta=1j)", "torch.mm(a, 3)"]
    calls += ["a.addmm_(a, b)", "v.addmm_(a, b)", "torch.addmv(a, b, v)", "torch.tensordot(a, b, 3)", "torch.dot(v, 1)"]
    calls += ["torch.tensordot(a, b, -1)", "torch.tensordot(a, b, ([0], [1]))", "torch.tensordot(a, d, 1)"]
    calls += ["torch.tensordot(a, b, ([1, 1], [0, 0]))", "torch.matrix_power(a, 2)", "torch.matrix_power(a, 2.0)"]
    calls += ["torch.einsum('ij')", "torch.einsum(3, a)", "torch.cross(a, b, 1)", "torch.cross(a, v, 0)", "a @ 3"]
    calls += ["torch.nn.functional.linear(a, b)", "torch.nn.functional.linear(v, a, v)", "torch.bmm(a, 3)"]
    for call in calls:
        assert outcome(pellucid, call, to_pellucid) is outcome(torch, call, lambda t: t), call


@pytest.mark.filterwarnings("ignore:torch.chain_matmul|chain_matmul")
def test_chains_and_powers() -> None:
    matrices = [torch.randn(s, dtype=torch.float64) for s in ((5, 2), (2, 7), (7, 3), (3, 1))]
    expected = torch.chain_matmul(*matrices)
    torch.testing.assert_close(
        to_torch(pellucid.chain_matmul(*map(to_pellucid, matrices))),
        expected,
    )
    x = torch.randn(2, 3, 3, dtype=torch.float64)
    for n in range(7):
        power: Any = pellucid.matrix_power(to_pellucid(x), n)
        torch.testing.assert_close(to_torch(power), torch.matrix_power(x, n))
