"""Pictures read at places of a grid, in both libraries."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.test_seeds import both


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grid_sample(mode: str, padding: str, align_corners: bool) -> None:
    def program(T: Any) -> Any:
        x = T.rand(2, 3, 4, 5, dtype=T.float64, requires_grad=True)
        grid = ((T.rand(2, 3, 2, 2, dtype=T.float64) - 0.5) * 4).requires_grad_()
        out = T.nn.functional.grid_sample(x, grid, mode, padding, align_corners)
        (out * T.arange(36.0).view(2, 3, 3, 2)).sum().backward()
        return out, x.grad, grid.grad

    both(program)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_volumes(mode: str, padding: str) -> None:
    def program(T: Any) -> Any:
        x, grid = T.rand(1, 2, 3, 4, 5), (T.rand(1, 2, 1, 3, 3) - 0.5) * 3
        return T.nn.functional.grid_sample(x, grid, mode, padding, False)

    both(program)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(("shape", "size"), [((2, 2, 3), (2, 1, 3, 4)), ((1, 3, 4), (1, 2, 2, 4, 3))])
def test_affine_grid(shape: tuple[int, ...], size: tuple[int, ...], align_corners: bool) -> None:
    def program(T: Any) -> Any:
        maps = T.rand(shape, requires_grad=True)
        places = T.nn.functional.affine_grid(maps, size, align_corners)
        places.pow(2).sum().backward()
        return places, maps.grad

    both(program)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda F, x, grid, maps: F.grid_sample(x, grid, "best", align_corners=True),
        lambda F, x, grid, maps: F.grid_sample(x, grid, padding_mode="ones", align_corners=True),
        lambda F, x, grid, maps: F.grid_sample(x, grid[:1], align_corners=True),
        lambda F, x, grid, maps: F.grid_sample(x, grid[..., :1], align_corners=True),
        lambda F, x, grid, maps: F.grid_sample(x[0], grid, align_corners=True),
        lambda F, x, grid, maps: F.grid_sample(x, grid.double(), align_corners=True),
        lambda F, x, grid, maps: F.affine_grid(maps, (2, 1, 2, 3, 4), align_corners=True),
        lambda F, x, grid, maps: F.affine_grid(maps, (2, 1, 2), align_corners=True),
        lambda F, x, grid, maps: F.affine_grid(maps, (3, 1, 2, 2), align_corners=True),
        lambda F, x, grid, maps: F.affine_grid(maps, (2, 1, 0, 2), align_corners=True),
        lambda F, x, grid, maps: F.affine_grid(maps.long(), (2, 1, 2, 2), align_corners=True),
    ],
)
def test_errors(wrong: Any) -> None:
    both(lambda T: wrong(T.nn.functional, T.rand(2, 3, 4, 5), T.rand(2, 2, 2, 2), T.rand(2, 2, 3)))
