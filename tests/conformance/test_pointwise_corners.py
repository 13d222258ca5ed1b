"""Corners of the pointwise family: strides of ``out=``, arguments of unusual kinds, dtypes that do not fit."""

import pytest

from tests.conformance.expressions import check, expressions

STRIDES = """
t.add(t.ones(2, 3).t(), 1, out=t.empty(0))
t.exp(t.zeros(2, 3, 4).permute(2, 0, 1), out=t.empty(0))
t.eq(t.zeros(1, 1, 4, 12)[..., ::2].permute(0, 2, 1, 3), t.zeros(6), out=t.empty(0, dtype=t.bool))
t.add(t.ones(2, 3).t(), 1, out=t.empty(3, 2))
t.mul(t.ones(2, 3).t(), t.ones(3, 1), out=t.empty(5))
"""
ARGUMENTS = """
t.cumsum(t.ones(2, 3), t.tensor(0))
t.cumsum(t.ones(2, 3), t.tensor(0.))
t.cumsum(t.ones(2, 3), np.int64(1))
t.cumsum(t.ones(2, 3), None)
t.softmax(t.ones(2, 3), t.tensor(1))
t.isclose(t.ones(2), t.ones(2), t.tensor(1.5), 0)
t.isclose(t.ones(2), t.ones(2), t.tensor(1.5, requires_grad=True), 0)
t.isclose(t.ones(2), t.ones(2), 'a')
t.allclose(t.ones(2), t.ones(2), atol=t.tensor(1.))
"""


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
@pytest.mark.parametrize("source", expressions(STRIDES + ARGUMENTS))
def test_corner(source: str) -> None:
    check(source)
