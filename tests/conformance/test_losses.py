"""Losses against PyTorch."""

from typing import Any

import pytest
import torch
from torch.nn import functional as reference

from pellucid.nn import functional as ours
from tests.conformance.opdb import check, to_pellucid, to_torch

LOSSES = """
nn.functional.mse_loss nn.functional.l1_loss nn.functional.smooth_l1_loss nn.functional.huber_loss
nn.functional.binary_cross_entropy nn.functional.binary_cross_entropy_with_logits nn.functional.kl_div
nn.functional.nll_loss nn.functional.cross_entropy nn.functional.margin_ranking_loss nn.functional.soft_margin_loss
nn.functional.hinge_embedding_loss nn.functional.cosine_embedding_loss nn.functional.triplet_margin_loss
nn.functional.poisson_nll_loss nn.functional.gaussian_nll_loss nn.functional.multi_margin_loss
nn.functional.multilabel_margin_loss nn.functional.multilabel_soft_margin_loss
"""


@pytest.mark.parametrize("name", LOSSES.split())
def test_losses(name: str) -> None:
    # In half precision, PyTorch rounds every step; here only the result is rounded.
    check(name, dtypes=("float32", "float64", "int64"))


CASES = [
    {},
    {"reduction": "sum"},
    {"reduction": "none"},
    {"ignore_index": 1},
    {"weight": True},
    {"label_smoothing": 0.1},
    {"label_smoothing": 0.1, "weight": True, "ignore_index": 2},
    {"label_smoothing": 0.1, "weight": True, "ignore_index": 2, "reduction": "none"},
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", [(4,), (6, 4), (3, 4, 5), (2, 4, 3, 2)])
def test_cross_entropy(case: dict[str, Any], shape: tuple[int, ...]) -> None:
    d = 0 if len(shape) == 1 else 1
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 4, [n for k, n in enumerate(shape) if k != d])
    weight = torch.rand(4, dtype=torch.float64)
    theirs = {**case, **({"weight": weight} if "weight" in case else {})}
    mine = {**case, **({"weight": to_pellucid(weight)} if "weight" in case else {})}
    p = to_pellucid(x)
    expected, got = reference.cross_entropy(x, target, **theirs), ours.cross_entropy(p, to_pellucid(target), **mine)
    torch.testing.assert_close(to_torch(got), expected.detach(), equal_nan=True)
    expected.sum().backward()
    got.sum().backward()
    torch.testing.assert_close(to_torch(p.grad), x.grad, equal_nan=True)


MISTAKES = [
    lambda f, t: f.nll_loss(t(torch.randn(2, 3)), t(torch.tensor([0, 3]))),
    lambda f, t: f.nll_loss(t(torch.randn(2, 3)), t(torch.tensor([0, 1, 2]))),
    lambda f, t: f.nll_loss(t(torch.randn(2, 3)), t(torch.tensor([0.0, 1.0]))),
    lambda f, t: f.cross_entropy(t(torch.randn(2, 3)), t(torch.tensor([0, 1])), label_smoothing=2.0),
    lambda f, t: f.cross_entropy(t(torch.randn(2, 3)), t(torch.tensor([0, 1])), reduction="average"),
    lambda f, t: f.mse_loss(t(torch.randn(2, 3)), t(torch.randn(2, 3)), reduction="x"),
    lambda f, t: f.binary_cross_entropy(t(torch.randn(2, 3) + 9), t(torch.ones(2, 3))),
    lambda f, t: f.binary_cross_entropy(t(torch.rand(2, 3)), t(torch.ones(3))),
    lambda f, t: f.smooth_l1_loss(t(torch.randn(2, 3)), t(torch.randn(2, 3)), beta=-1.0),
    lambda f, t: f.huber_loss(t(torch.randn(2, 3)), t(torch.randn(2, 3)), delta=0.0),
]


@pytest.mark.parametrize("k", range(len(MISTAKES)))
def test_refused_alike(k: int) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        MISTAKES[k](reference, lambda x: x)
    with pytest.raises(theirs.type):
        MISTAKES[k](ours, to_pellucid)


SHAPES = [
    ((4, 3), (4, 1)),
    ((4, 3), ()),
    ((4, 3), (5,)),
    ((4, 3, 2), (4,)),
    ((4, 3, 2), (4, 2, 1)),
    ((4, 3, 2), (4, 5)),
    ((4, 3, 2, 2), (4, 2)),
    ((3,), (2,)),
    ((), ()),
]


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
def test_classes_of_the_wrong_shape(name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    x, target = torch.rand(shapes[0]), torch.zeros(shapes[1], dtype=torch.long)
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        getattr(reference, name)(x, target)
    with pytest.raises(theirs.type):
        getattr(ours, name)(to_pellucid(x), to_pellucid(target))


@pytest.mark.parametrize("name", ["binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div"])
def test_targets_of_integers(name: str) -> None:
    x, target = torch.rand(3), torch.ones(3, dtype=torch.long)
    with pytest.raises(RuntimeError):
        getattr(reference, name)(x, target, reduction="sum")
    with pytest.raises(RuntimeError, match="use"):
        getattr(ours, name)(to_pellucid(x), to_pellucid(target), reduction="sum")
