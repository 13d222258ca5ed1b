"""gradcheck finds wrong derivatives, and says where."""

from typing import Any

import pytest

import pellucid
from pellucid.autograd import gradcheck, gradgradcheck
from pellucid.autograd.gradcheck import GradcheckError


def leaf(*shape: int, dtype: Any = pellucid.float64) -> Any:
    pellucid.manual_seed(0)
    return pellucid.randn(*shape, dtype=dtype).requires_grad_()


def test_right_derivatives_pass() -> None:
    a, b = leaf(2, 3), leaf(3)
    assert gradcheck(lambda x, y: (x * y.exp(), x.sum()), (a, b))
    assert gradgradcheck(lambda x, y: x * x * y.exp(), (a, b))
    assert gradcheck(lambda x, y: x * y.exp(), (a, b), fast_mode=True)


def test_complex_derivatives_pass() -> None:
    z = leaf(3, dtype=pellucid.complex128)
    assert gradcheck(lambda z: (z * z * z.conj(), z.abs(), z.real), (z,))
    assert gradgradcheck(lambda z: z * z * z.conj(), (z,))


class Wrong(pellucid.autograd.Function):
    """x squared, with 3 x for a derivative."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return 3 * ctx.saved_tensors[0] * g


@pytest.mark.parametrize("fast", [False, True])
def test_wrong_derivatives_fail(fast: bool) -> None:
    a = leaf(3)
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        gradcheck(Wrong.apply, (a,), fast_mode=fast)
    assert not gradcheck(Wrong.apply, (a,), fast_mode=fast, raise_exception=False)


def test_the_first_wrong_entry_is_named() -> None:
    a = pellucid.tensor([[0.0, 2.0]], dtype=pellucid.float64, requires_grad=True)
    with pytest.raises(GradcheckError, match=r"output 0 at \(0, 1\) by input 0 at \(0, 1\): 4 by differences, 6 by"):
        gradcheck(Wrong.apply, (a,))


def test_a_missing_gradient_is_found() -> None:
    a, b = leaf(3), leaf(3)
    with pytest.raises(GradcheckError, match="with respect to input 1"):
        gradcheck(lambda x, y: x * y.detach(), (a, b))
    with pytest.raises(GradcheckError, match="expected to be zero"):
        gradcheck(lambda x: x.detach() * 2, (a,))


def test_inputs_are_checked() -> None:
    with pytest.raises(ValueError, match="at least one input"):
        gradcheck(lambda x: x, (pellucid.ones(3),))
    with pytest.warns(UserWarning, match="double precision"):
        gradcheck(lambda x: x * 1, (pellucid.ones(3, requires_grad=True),), eps=1e-2, atol=1e-2)
