"""Norms, distances and products of `torch.linalg`, in both libraries."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.test_seeds import both, grid

INF = float("inf")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dtype": "float64"},
        {"dim": 1},
        {"dim": (0, 2)},
        {"ord": 1, "dim": 0, "keepdim": True},
        {"ord": 0, "dim": 2},
        {"ord": 3.5, "dim": -1},
        {"ord": "fro", "dim": (1, 2), "keepdim": True},
        {"ord": 1, "dim": (0, 2)},
        {"ord": -1, "dim": (2, 0), "keepdim": True},
        {"ord": INF, "dim": (0, 1)},
        {"ord": -INF, "dim": (-1, -2)},
        {"ord": 3, "dim": (0, 1)},
        {"ord": "last", "dim": (0, 1)},
        {"ord": 2},
        {"dim": (0, 1, 2)},
        {"dim": 3},
    ],
)
def test_norm(options: dict[str, Any]) -> None:
    def program(T: Any) -> Any:
        named = {k: getattr(T, v) if k == "dtype" else v for k, v in options.items()}
        return T.linalg.norm(grid(T, 2, 3, 4), **named)

    both(program)


def test_matrix_norm_and_products() -> None:
    both(lambda T: [T.linalg.matrix_norm(grid(T, 2, 3, 4), order) for order in ("fro", 1, -1, INF, -INF)])
    both(lambda T: T.linalg.matrix_norm(grid(T, 3)))
    both(lambda T: T.linalg.norm(grid(T, 3), "fro"))
    both(lambda T: [T.linalg.vecdot(grid(T, 2, 3), grid(T, 3)), T.linalg.vecdot(grid(T, 2, 3), grid(T, 2, 3), dim=0)])
    both(lambda T: [T.linalg.cross(grid(T, 3, 2, 3), grid(T, 3, 1, 3)), T.linalg.diagonal(grid(T, 2, 3, 4), offset=1)])


@pytest.mark.parametrize("shapes", [[(2, 3), (3, 4), (4, 1)], [(3,), (3, 4), (4,)], [(3,), (3,)], [(2, 3)], [(2, 3), (2,), (2, 2)]])
def test_multi_dot(shapes: list[tuple[int, ...]]) -> None:
    both(lambda T: T.linalg.multi_dot([grid(T, *shape) for shape in shapes]))


@pytest.mark.parametrize("p", [0, 0.5, 1, 2, 3, INF])
def test_distances(p: float) -> None:
    def program(T: Any) -> Any:
        x, y = (T.randn(*shape, requires_grad=True) for shape in ((5, 3), (2, 4, 3)))
        apart, own = T.cdist(x, y, p), T.pdist(x, p)
        if p:
            (apart.sum() + own.pow(2).sum()).backward()
        return apart, own, x.grad, y.grad

    both(program)


def test_distances_of_a_point_to_itself_have_no_gradient() -> None:
    def program(T: Any) -> Any:
        x = T.ones(2, 3, requires_grad=True)
        T.cdist(x, x).sum().backward()
        return x.grad

    both(program)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda T, x: T.cdist(x[0], x),
        lambda T, x: T.cdist(x, x[:, :2]),
        lambda T, x: T.cdist(x, x.long()),
        lambda T, x: T.cdist(x, x.double()),
        lambda T, x: T.cdist(x, x, -1),
        lambda T, x: T.cdist(x, x, compute_mode="fast"),
        lambda T, x: T.pdist(x[0]),
        lambda T, x: T.pdist(x.long()),
        lambda T, x: T.pdist(x, -1),
    ],
)
def test_wrong_distances(wrong: Any) -> None:
    both(lambda T: wrong(T, grid(T, 2, 3)))
