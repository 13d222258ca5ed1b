"""Images of another size, beside PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.libraries import compare, numbers


def _resized(options: dict[str, Any], shape: tuple[int, ...], dtype: str = "float64") -> Any:
    def program(library: Any) -> Any:
        x = numbers(library, *shape).to(getattr(library, dtype)).requires_grad_()
        y = library.nn.functional.interpolate(x, **options)
        y.backward(numbers(library, *y.shape, seed=1).to(y.dtype))
        return y, x.grad

    return program


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(3, 5), (12, 9), (7, 20)])
def test_images(size: Any, mode: str, corners: bool, antialias: bool) -> None:
    options = {"size": size, "mode": mode, "align_corners": corners, "antialias": antialias}
    compare(_resized(options, (2, 3, 8, 9)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", [(2, 3, 8), (2, 3, 8, 6), (2, 3, 8, 6, 5)])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "area"])
@pytest.mark.parametrize("factor", [2, 0.6])
def test_cells_and_means(factor: float, mode: str, shape: tuple[int, ...]) -> None:
    compare(_resized({"scale_factor": factor, "mode": mode}, shape), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(3, 5), (12, 9), (7, 20)])
def test_whole_numbers(size: Any, mode: str, antialias: bool) -> None:
    def program(library: Any) -> Any:
        x = (numbers(library, 2, 3, 8, 9) * 60 + 128).clamp(0, 255).to(library.uint8)
        y = library.nn.functional.interpolate(x, size, mode=mode, antialias=antialias)
        return str(y.dtype), y.to(library.float32)

    compare(program, atol=1.0)  # PyTorch's weights have 16 bits


@pytest.mark.parametrize(
    "options",
    [
        {"size": 4, "mode": "nearest", "antialias": True}, {"size": 4, "mode": "trilinear"}, {"mode": "bilinear"},
        {"size": 4, "scale_factor": 2}, {"size": 4, "mode": "nearest", "align_corners": True},
    ],
)  # fmt: skip
def test_refusals(options: dict[str, Any]) -> None:
    compare(_resized(options, (2, 3, 8, 9)))
