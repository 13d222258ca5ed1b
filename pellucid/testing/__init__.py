"""Help for tests: `assert_close` compares results, `make_tensor` draws operands."""

from pellucid.testing.comparison import assert_allclose, assert_close
from pellucid.testing.making import make_tensor

__all__ = ["assert_allclose", "assert_close", "make_tensor"]
