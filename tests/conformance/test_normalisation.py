"""Softmax, normalisations and losses against PyTorch."""

from typing import Any

import pytest
import torch
from torch.nn import functional as reference

from pellucid.nn import functional as ours
from tests.conformance.opdb import check, to_pellucid, to_torch

WIDE = ("float32", "float64", "int64", "bool")


@pytest.mark.parametrize("name", ["softmax", "nn.functional.softmin"])
def test_softmax(name: str) -> None:
    check(name)


def test_log_softmax() -> None:
    check("log_softmax", dtypes=WIDE)


def test_log_softmax_of_half_precision() -> None:
    """PyTorch loses digits where a probability is near 1; the reference is float64."""
    x = torch.randn(20, 30, dtype=torch.bfloat16) * 5
    for dim in (0, 1):
        got = to_torch(to_pellucid(x).log_softmax(dim))
        torch.testing.assert_close(got, x.double().log_softmax(dim).bfloat16())


NORMS = """
nn.functional.layer_norm nn.functional.group_norm nn.functional.rms_norm nn.functional.normalize
nn.functional.cosine_similarity nn.functional.pairwise_distance
"""


@pytest.mark.parametrize("name", NORMS.split())
def test_norms(name: str) -> None:
    # PyTorch normalises complex rows as well, by a formula that conjugates nothing.
    check(name, dtypes=(*WIDE, "bfloat16") if name != "nn.functional.rms_norm" else WIDE)


@pytest.mark.parametrize("name", ["nn.functional.batch_norm", "nn.functional.instance_norm"])
def test_channel_norms(name: str) -> None:
    # In half precision, PyTorch rounds intermediate results; here only the last one is rounded.
    def without_channels(sample: Any) -> bool:
        return bool(sample.input.ndim < 2)

    check(name, dtypes=WIDE, skip=without_channels)


@pytest.mark.parametrize("name", ["native_layer_norm", "native_group_norm", "native_batch_norm"])
def test_with_statistics(name: str) -> None:
    # The statistics are constants to derivatives here; PyTorch tracks those of groups.
    check(name, ("float32", "float64"), ("function",))


def test_local_response_norm() -> None:
    check("nn.functional.local_response_norm", ("float32", "float64"))


@pytest.mark.parametrize("shape", [(8, 3), (8, 3, 5), (4, 3, 5, 6), (2, 3, 4, 2, 3)])
@pytest.mark.parametrize("momentum", [0.1, 1.0])
def test_running_statistics(shape: tuple[int, ...], momentum: float) -> None:
    x = torch.randn(shape) * 3 + 1
    mean, variance, weight, bias = torch.randn(3), torch.rand(3), torch.randn(3), torch.randn(3)
    p, pm, pv, pw, pb = map(to_pellucid, (x, mean, variance, weight, bias))
    for training in (True, False, True):
        expected = reference.batch_norm(x, mean, variance, weight, bias, training, momentum)
        got = ours.batch_norm(p, pm, pv, pw, pb, training, momentum)
        torch.testing.assert_close(to_torch(got), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(to_torch(pm), mean)
        torch.testing.assert_close(to_torch(pv), variance)


MISTAKES = [
    lambda f, t: f.layer_norm(t(torch.randn(2, 3)), (2,)),
    lambda f, t: f.layer_norm(t(torch.randn(2, 3)), (3,), t(torch.ones(2))),
    lambda f, t: f.layer_norm(t(torch.ones(2, 3, dtype=torch.long)), (3,)),
    lambda f, t: f.batch_norm(t(torch.randn(1, 3)), None, None, training=True),
    lambda f, t: f.batch_norm(t(torch.randn(4, 3)), t(torch.ones(2)), t(torch.ones(2))),
    lambda f, t: f.group_norm(t(torch.randn(2, 3)), 2),
]


@pytest.mark.parametrize("k", range(len(MISTAKES)))
def test_refused_alike(k: int) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        MISTAKES[k](reference, lambda x: x)
    with pytest.raises(theirs.type):
        MISTAKES[k](ours, to_pellucid)
