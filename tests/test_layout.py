"""Layouts: they are interned; the algebra of views; which layouts are dense, contiguous, overlapping."""

from __future__ import annotations

import gc
import pickle
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pellucid as torch
from pellucid.dtypes import float32, int64
from pellucid.layout import (
    Layout,
    Size,
    broken_pair,
    dense,
    expanded,
    layout_of,
    like,
    overlaps_itself,
    permuted,
    permuted_strides,
    selected,
    sliced,
    span,
    squeezed,
    unsqueezed,
    view_strides,
    windows,
)


def of(shape: tuple[int, ...], strides: tuple[int, ...]) -> Layout:
    return layout_of(shape, strides, float32)


def test_equal_layouts_are_one_object() -> None:
    a = of((2, 3), (3, 1))
    assert a is dense([2, 3], float32)
    assert a is not dense((2, 3), int64)
    assert a is pickle.loads(pickle.dumps(a))
    assert a.with_dtype(int64).with_dtype(float32) is a
    assert (a.ndim, a.numel, a.nbytes, a.contiguous) == (2, 6, 24, True)


def test_layouts_nobody_uses_are_forgotten() -> None:
    seen = weakref.ref(of((7, 11, 13), (1, 7, 77)))
    gc.collect()
    assert seen() is None


def test_a_slice_of_a_size_is_a_size() -> None:
    size = Size((2, 3, 4))
    assert repr(size[1:]) == "torch.Size([3, 4])"
    longer = size + Size([5])
    assert isinstance(longer, Size)
    assert longer.numel() == 120


@given(st.data())
def test_a_view_in_another_shape_shows_the_same_cells(data: st.DataObject) -> None:
    """``view_strides`` finds strides exactly where every cell can keep its place."""
    shape = tuple(data.draw(st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=4)))
    base = np.arange(int(np.prod(shape))).reshape(shape).transpose(data.draw(st.permutations(range(len(shape)))))
    base = base[tuple(slice(None, None, data.draw(st.sampled_from([1, -1, 2]))) for _ in shape)]
    wanted = list(data.draw(st.permutations(factors(base.size))))
    wanted.insert(data.draw(st.integers(0, len(wanted))), 1)
    layout = of(base.shape, tuple(s // base.itemsize for s in base.strides))
    strides = view_strides(layout, tuple(wanted))
    places = base.reshape(-1)
    if strides is None:
        assert broken_pair(layout, tuple(wanted)) is not None
        assert not np.shares_memory(base, base.reshape(wanted))
        return
    grid = sum((np.arange(n).reshape(-1, *[1] * (len(wanted) - d - 1)) * s
                for d, (n, s) in enumerate(zip(wanted, strides, strict=True))), np.zeros(wanted, int))  # fmt: skip
    np.testing.assert_array_equal(grid.reshape(-1) + places[0], places)


def factors(n: int) -> list[int]:
    found, p = [], 2
    while n > 1:
        while n % p == 0:
            found.append(p)
            n //= p
        p += 1
    return found


def test_broken_pair_names_the_dimensions_that_cannot_merge() -> None:
    assert broken_pair(permuted(dense((2, 3, 4), float32), (1, 0, 2)), (6, 4)) == (0, 1)
    assert broken_pair(of((2, 3, 2), (12, 4, 1)), (2, 6)) == (1, 2)
    assert broken_pair(of((2, 1, 2), (4, 99, 1)), (4,)) == (0, 2)
    assert broken_pair(dense((2, 3), float32), (6,)) is None


def test_parts() -> None:
    x = dense((2, 3, 4), float32)
    assert selected(x, 1, 2) == (of((2, 4), (12, 1)), 8)
    assert sliced(x, 2, 3, 4, -1) == (of((2, 3, 4), (12, 4, -1)), 3)
    assert windows(x, 2, 2, 2) is of((2, 3, 2, 2), (12, 4, 2, 1))
    assert unsqueezed(x, 0) is of((1, 2, 3, 4), (24, 12, 4, 1))
    assert unsqueezed(x, 3) is of((2, 3, 4, 1), (12, 4, 1, 1))
    assert squeezed(unsqueezed(x, 1), [0, 1]) is x
    assert expanded(of((3, 1), (1, 1)), (1, 2, 3, 4)).strides == (0, 0, 1, 0)
    assert expanded(x, (1, 2, 3, 4)).strides == (24, 12, 4, 1)


@pytest.mark.parametrize(
    ("shape", "strides", "low", "high", "overlapping"),
    [
        ((2, 3), (3, 1), 0, 6, False), ((2, 3), (-3, 1), -3, 3, False), ((2, 3), (0, 1), 0, 3, True),
        ((3, 2), (1, 1), 0, 4, True), ((0, 3), (0, 1), 0, 0, False), ((1, 3), (0, 1), 0, 3, False), ((), (), 0, 1, False),
    ],
)  # fmt: skip
def test_reach(shape: tuple[int, ...], strides: tuple[int, ...], low: int, high: int, overlapping: bool) -> None:
    layout = of(shape, strides)
    assert span(layout) == (low, high)
    assert overlaps_itself(layout) is overlapping


def test_new_results_follow_the_order_of_strides() -> None:
    assert like(of((2, 3), (1, 2))).strides == (1, 2)
    assert like(of((2, 3), (1, 4))).strides == (1, 2)
    assert like(of((2, 1), (1, 2))).strides == (1, 2)
    assert like(of((2, 3), (0, 1))).strides == (3, 1)
    assert permuted_strides((2, 3, 4), (0, 0, 0)) == (12, 4, 1)
    assert permuted_strides((2, 0), (1, 2)) == (1, 2)


def test_programs_see_a_strided_tensor() -> None:
    x = torch.ones(2)
    assert str(x.layout) == "torch.strided" == repr(torch.strided)
    assert x.layout == torch.strided
    assert torch.zeros(2, layout=x.layout).layout is x.layout
