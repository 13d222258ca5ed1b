"""How exactly and how repeatably results are computed: the switches that programs set at their top.

Pellucid computes in full precision and gives the same result on every run, whatever is allowed; the switches keep
what a program sets, for it to read.
"""

from __future__ import annotations

import warnings

from pellucid.operators.define import public

_PRECISIONS = ("highest", "high", "medium")
_precision = "highest"
_deterministic = (False, False)  # wanted, warn only


@public
def set_float32_matmul_precision(precision: str) -> None:
    """Allow float32 products to be rounded to fewer bits ("high", "medium") or not ("highest").

    Pellucid uses all bits in any case.
    """
    global _precision
    if precision not in _PRECISIONS:
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current set_float32_matmul_precision call "
            "has no effect.",
            UserWarning,
            stacklevel=2,
        )
        return
    _precision = precision


@public
def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` allowed; "highest" at first."""
    return _precision


@public
def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask that the same call gives the same result on every run, which Pellucid's calls always do."""
    global _deterministic
    _deterministic = bool(mode), bool(warn_only)


@public
def are_deterministic_algorithms_enabled() -> bool:
    """Whether `use_deterministic_algorithms` asked for them."""
    return _deterministic[0]


@public
def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether it asked for warnings instead of errors."""
    return all(_deterministic)


@public
def _assert(condition: object, message: str) -> None:
    """``assert condition, message``, as an expression.

    Raises:
        AssertionError: the condition does not hold.
    """
    if not condition:
        raise AssertionError(message)
