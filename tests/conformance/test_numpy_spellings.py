"""``axis=`` and ``keepdims=``, as NumPy spells them, mean ``dim=`` and ``keepdim=``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.test_seeds import both, grid

METHODS = """
sum mean prod std var any all amax amin max min argmax argmin norm cumsum cumprod cummax cummin softmax log_softmax sort
argsort squeeze unsqueeze logsumexp median unbind diff nansum nanmean count_nonzero nanmedian mode aminmax logcumsumexp
"""


@pytest.mark.parametrize("name", METHODS.split())
def test_methods(name: str) -> None:
    def program(T: Any) -> Any:
        x = grid(T, 3, 4)
        found = getattr(x, name)(axis=1)
        return list(found) if isinstance(found, tuple) else found

    both(program)


@pytest.mark.parametrize(
    "program",
    [
        lambda T, x: T.cat([x, x], axis=1),
        lambda T, x: T.stack([x, x], axis=-1),
        lambda T, x: list(x.topk(2, axis=0)),
        lambda T, x: list(x.chunk(2, axis=1)),
        lambda T, x: x.repeat_interleave(2, axis=1),
        lambda T, x: x.squeeze(axis=(0, 1)),
        lambda T, x: T.sum(x, axis=(0, 1), keepdims=True),
        lambda T, x: T.argmax(x, axis=1, keepdims=True),
        lambda T, x: x.cumsum(),
        lambda T, x: x.softmax(),
        lambda T, x: x.logsumexp(),
        lambda T, x: x.unsqueeze(),
        lambda T, x: x.cumprod(axis=2),
        lambda T, x: x.nansum(axis=(0, 1), keepdims=True),
        lambda T, x: x.gather(axis=1, index=T.zeros(3, 2, dtype=T.int64)),
        lambda T, x: T.gather(x, axis=0, index=T.zeros(1, 4, dtype=T.int64)),
        lambda T, x: T.gather(x, 1),
        lambda T, x: T.gather(x, index=T.zeros(1, 4, dtype=T.int64)),
        lambda T, x: x.index_select(axis=1, index=T.tensor([2, 0])),
        lambda T, x: x.index_select(1),
        lambda T, x: x.take_along_dim(x.argsort(axis=1), axis=1),
        lambda T, x: T.quantile(x, 0.3, axis=1, keepdims=True),
        lambda T, x: T.nanquantile(x, 0.3, axis=0),
        lambda T, x: list(T.var_mean(x, axis=1)),
        lambda T, x: list(T.std_mean(x, axis=0, keepdims=True)),
        lambda T, x: list(x.kthvalue(2, axis=0)),
    ],
)
def test_further_forms(program: Any) -> None:
    both(lambda T: program(T, grid(T, 3, 4)))
