"""Questions to tensors, dtype rules, copies of views, window functions: against PyTorch."""

import pytest

from tests.conformance.expressions import check, expressions
from tests.conformance.opdb import check as check_samples

QUESTIONS = """
t.zeros(2,3).get_device()
t.zeros(2,3).is_nonzero()
t.tensor([2.]).is_nonzero()
t.zeros(2,3).is_cuda
t.zeros(2,3).dim_order()
t.zeros(2,3).t().dim_order()
t.zeros(2,3).pin_memory()
t.zeros(2,3).apply_(lambda v: v+1)
t.zeros(2,3).map_(t.ones(2,3), lambda a,b:a+b)
t.zeros(4,3).fill_diagonal_(2)
t.zeros(7,3).fill_diagonal_(2,wrap=True)
t.zeros(3).fill_diagonal_(2)
t.zeros(2,3,3).fill_diagonal_(2)
t.zeros(2,2,2).fill_diagonal_(2)
t.empty_permuted((2,3,4),(0,2,2))
t.result_type(t.zeros(2),1)
t.result_type(1,2.)
t.can_cast(t.float32,t.int64)
t.promote_types(t.int8,t.uint8)
t.typename(t.zeros(2))
t.typename(3)
t.zeros(2).is_quantized
t.is_nonzero(t.zeros(()))
t.zeros(2,3).ndimension()
t.numel(t.zeros(2,3))
t.get_default_device()
t.zeros(2,3).resize_as_(t.zeros(3))
t.zeros(2,3).is_same_size(t.zeros(3))
t.set_default_dtype(t.int64)
t.is_floating_point(3)
t.is_floating_point(t.zeros(1))
t.inf
t.pi
t.zeros(3)[t.newaxis]
t.finfo(t.float32).eps
isinstance(t.float32,t.dtype)
"""
WINDOWS = """
t.hann_window(5)
t.hann_window(5,periodic=False)
t.hann_window(0)
t.hann_window(1)
t.hann_window(-1)
t.hann_window(5,dtype=t.int64)
t.kaiser_window(5)
t.hamming_window(5,True,0.5,0.4)
t.bartlett_window(5)
t.blackman_window(6)[1:]
"""
VIEWS = """
alias as_strided diagonal expand permute split_with_sizes squeeze t transpose unbind unfold unsqueeze view
"""


@pytest.mark.parametrize("source", expressions(QUESTIONS + WINDOWS))
def test_gives_what_pytorch_gives(source: str) -> None:
    check(source)


@pytest.mark.parametrize("name", VIEWS.split())
def test_copies_of_views_match_pytorch(name: str) -> None:
    check_samples(f"{name}_copy")


def test_narrow_copy_matches_pytorch() -> None:
    # PyTorch ignores the strides of out= here, and its error for a missing dimension is an internal one.
    check_samples("narrow_copy", variants=("function", "method", "gradient", "gradgrad"))
