"""Matrix products, sums with products, and contractions, against NumPy."""

from typing import Any

import numpy as np
import pytest

import pellucid as torch_
from pellucid.autograd.gradcheck import gradcheck

torch: Any = torch_
RNG = np.random.default_rng(0)


def tensor(*shape: int, grad: bool = False) -> Any:
    return torch.tensor(RNG.standard_normal(shape).tolist(), dtype=torch.float64, requires_grad=grad).reshape(shape)


def array(t: Any) -> Any:
    return t.detach().numpy()


@pytest.mark.parametrize(
    ("first", "second"),
    [((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((5, 1, 2, 3), (6, 3, 4))],
)
def test_matmul(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    a, b = tensor(*first), tensor(*second)
    np.testing.assert_allclose(array(a @ b), array(a) @ array(b))


def test_flipped_memory_and_empty_sums() -> None:
    a, b = tensor(4, 3), tensor(3, 5)
    np.testing.assert_allclose(array(a.t().flip(0) @ a), array(a).T[::-1] @ array(a))
    assert (torch.ones(2, 0) @ torch.ones(0, 3)).tolist() == [[0.0] * 3] * 2
    assert (b.t()[:0] @ b).shape == (0, 5)


def test_sums_with_products() -> None:
    s, a, b, v, w = tensor(2, 4), tensor(2, 3), tensor(3, 4), tensor(3), tensor(4)
    np.testing.assert_allclose(array(torch.addmm(s, a, b, beta=2, alpha=0.5)), 2 * array(s) + 0.5 * array(a) @ array(b))
    np.testing.assert_allclose(array(torch.addmv(s[:, 0], a, v)), array(s)[:, 0] + array(a) @ array(v))
    np.testing.assert_allclose(array(torch.addr(b, v, w, alpha=3)), array(b) + 3 * np.outer(array(v), array(w)))
    x, y = tensor(5, 2, 3), tensor(5, 3, 4)
    np.testing.assert_allclose(array(torch.baddbmm(s, x, y)), array(s) + array(x) @ array(y))
    np.testing.assert_allclose(array(torch.addbmm(s, x, y)), array(s) + (array(x) @ array(y)).sum(0))
    expected = array(s) + array(a) @ array(b)
    assert s.addmm_(a, b) is s
    np.testing.assert_allclose(array(s), expected)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "complex64", "int64"])
def test_beta_zero_does_not_read(dtype: str) -> None:
    a = torch.ones(2, 2, dtype=getattr(torch, dtype))
    bad = torch.full((2, 2), 7 if dtype == "int64" else float("nan"), dtype=a.dtype)
    assert torch.addmm(bad, a, a, beta=0).tolist() == [[2, 2], [2, 2]]
    assert torch.addmv(bad[0], a, a[0], beta=0).tolist() == [2, 2]
    assert torch.addr(bad, a[0], a[0], beta=0).tolist() == [[1, 1], [1, 1]]


def test_gradients() -> None:
    a, b, c = tensor(2, 3, grad=True), tensor(3, 4, grad=True), tensor(4, 2, grad=True)
    assert gradcheck(lambda *t: torch.einsum("ij,jk,kl->il", *t), (a, b, c))
    assert gradcheck(lambda s, x, y: torch.addmm(s, x, y, beta=2, alpha=3), (tensor(4, grad=True), a, b))
    assert gradcheck(lambda x, y: torch.tensordot(x, y, 1), (a, b))
    assert gradcheck(lambda x, y: torch.kron(x, y), (a, c))
    assert gradcheck(lambda x, y: torch.cross(x, y, dim=0), (b, tensor(3, 4, grad=True)))
    assert gradcheck(lambda x: torch.matrix_power(x, 3), (tensor(2, 2, grad=True),))


def test_outputs_that_are_given() -> None:
    a, b, out = tensor(2, 3), tensor(3, 4), torch.zeros(4, 2, dtype=torch.float64).t()
    assert torch.mm(a, b, out=out) is out
    np.testing.assert_allclose(array(out), array(a) @ array(b))
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype"):
        torch.mm(a, b, out=torch.zeros(2, 4, dtype=torch.int64))


def test_errors_teach() -> None:
    a = torch.ones(2, 3)
    with pytest.raises(RuntimeError, match="transpose the second operand"):
        a @ a
    with pytest.raises(RuntimeError, match="same dtype"):
        a @ torch.ones(3, 2, dtype=torch.float64)
    with pytest.raises(RuntimeError, match="does not broadcast"):
        torch.addmm(torch.ones(5), a, a.t())
    with pytest.raises(RuntimeError, match="1-D"):
        torch.outer(a, a)


@pytest.mark.parametrize("turned", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize("sizes", [(600, 700, 777), (513, 40, 100), (520, 1300, 64)])
def test_large_products(sizes: tuple[int, int, int], turned: tuple[bool, bool]) -> None:
    """Sizes at which operands are rearranged first, or the inner dimension goes in parts."""
    m, k, n = sizes
    a, b = (
        RNG.standard_normal(shape[::-1] if back else shape).astype(np.float32)
        for shape, back in zip(((m, k), (k, n)), turned, strict=True)
    )
    left, right = (torch.from_numpy(x).t() if back else torch.from_numpy(x) for x, back in zip((a, b), turned, strict=True))
    bias = RNG.standard_normal(n).astype(np.float32)
    wanted = array(left).astype(np.float64) @ array(right).astype(np.float64)
    np.testing.assert_allclose(array(left @ right), wanted, atol=1e-5 * k)
    np.testing.assert_allclose(array(torch.addmm(torch.from_numpy(bias), left, right)), wanted + bias, atol=1e-5 * k)


def test_batches_of_strided_matrices() -> None:
    """Heads of attention, as views of one product: no copies, but the same values and gradients."""
    together = tensor(2, 30, 3, 3, 8, grad=True)
    q, k, v = together.permute(2, 0, 3, 1, 4).unbind(0)
    found = ((q @ k.transpose(-2, -1)).softmax(-1) @ v).square().sum()
    (own,) = torch.autograd.grad(found, together)
    q, k, v = (x.contiguous() for x in together.permute(2, 0, 3, 1, 4).unbind(0))
    wanted = ((q @ k.transpose(-2, -1).contiguous()).softmax(-1) @ v).square().sum()
    (expected,) = torch.autograd.grad(wanted, together)
    np.testing.assert_allclose(array(found), array(wanted), rtol=1e-12)
    np.testing.assert_allclose(array(own), array(expected), rtol=1e-9, atol=1e-12)
