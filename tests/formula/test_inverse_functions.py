"""Inverse error function, inverse normal distribution and trigamma against mpmath."""

import mpmath
import numpy as np
import pytest

import pellucid as torch
from pellucid.operators.functions import erfinv, polygamma
from pellucid.special import ndtri
from pellucid.tensor import array_of

NORMAL = lambda p: mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p) - 1)  # noqa: E731


def points(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 41)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("function", "reference", "at"),
    [
        (erfinv, mpmath.erfinv, np.concatenate([points(-0.999, 0.999), [1e-8, -1e-30, 1 - 1e-7]])),
        (ndtri, NORMAL, np.concatenate([points(0.001, 0.999), [1e-7, 1e-30, 1e-38]])),
        (lambda x: polygamma(1, x), lambda x: mpmath.psi(1, x), np.concatenate([points(0.01, 30), points(-4.7, -0.3)])),
    ],
    ids=["erfinv", "ndtri", "trigamma"],
)
def test_close_to_the_exact_value(function, reference, at, dtype):  # type: ignore[no-untyped-def]
    x = at.astype(dtype)
    with mpmath.workdps(60):
        exact = np.array([float(reference(mpmath.mpf(float(v)))) for v in x])
    met = array_of(function(torch.from_numpy(x)))
    np.testing.assert_allclose(met, exact, rtol=2e-7 if dtype == "float32" else 2e-13)


def test_ends_of_the_range() -> None:
    ends = array_of(erfinv(torch.from_numpy(np.array([-1.0, 1.0, 1.5, 0.0]))))
    assert ends[:2].tolist() == [-np.inf, np.inf]
    assert np.isnan(ends[2])
    assert ends[3] == 0
    assert array_of(ndtri(torch.from_numpy(np.array([0.0, 1.0, 0.5])))).tolist() == [-np.inf, np.inf, 0]
