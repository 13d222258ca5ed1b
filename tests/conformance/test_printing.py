"""`tensor_repr` writes what PyTorch writes, character for character."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid import dtypes, printing

set_reference_options: Any = torch.set_printoptions

FLOATS = ["float32", "float64", "float16", "bfloat16"]
COMPLEX = ["complex64", "complex128"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    set_reference_options(profile="default")
    printing.set_printoptions(profile="default")
    torch.set_default_dtype(torch.float32)
    dtypes.set_default_dtype(dtypes.float32)


def ours(tensor: torch.Tensor, **options: Any) -> str:
    dtype = dtypes.DTYPES[str(tensor.dtype).removeprefix("torch.")]
    tensor = tensor.detach()
    if dtype is dtypes.bfloat16:
        array = tensor.view(torch.int16).numpy().view(dtype.numpy)
    else:
        array = tensor.resolve_conj().numpy()
    return printing.tensor_repr(array, dtype, **options)


def check(tensor: torch.Tensor, **options: Any) -> None:
    assert ours(tensor, **options) == repr(tensor)


VALUES: list[Any] = [
    [],
    [0.0],
    [-0.0, 0.0],
    [1.0, 2.0, -3.0],
    [1.5, 20.25, -300.125],
    [1e-5, 1.0],
    [1e-5],
    [1e8],
    [1.1e8, 1.0],
    [0.001, 1.0],
    [0.00099, 1.0],
    [float("nan")],
    [float("inf"), -float("inf"), float("nan"), 1.0],
    [float("inf"), 1.5, float("nan")],
    [float("-inf"), 1e-9, 0.0],
    [0.0, float("inf")],
    [9999.99995, 12.0],
    [1e30, 1e-30],
    [1e30, 3.0, float("nan")],
    [[1.0, -2.0], [3.5, 4.0]],
    [[[1.0], [2.0]], [[3.0], [4.0]]],
    [[[[1.0, 2.5]]], [[[3.0, 4.0]]]],
    3.25,
    -7.0,
    1e-7,
    float("inf"),
    float("nan"),
    0.0,
    -0.0,
]


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("values", VALUES, ids=str)
def test_fixed_list(values: Any, name: str) -> None:
    check(torch.tensor(values, dtype=getattr(torch, name)))


@pytest.mark.parametrize("name", [*FLOATS, *COMPLEX, *INTEGERS, "bool"])
@pytest.mark.parametrize(
    "shape",
    [
        *((), (0,), (1,), (0, 3), (2, 0, 3), (40,), (5, 7), (2, 3, 4), (1000,), (1001,), (30, 40), (2, 600)),
        *((600, 2), (3, 1, 500), (7, 7, 7, 7), (1, 1, 1001), (10, 101, 1)),
    ],
)
def test_shapes(shape: tuple[int, ...], name: str) -> None:
    base = (torch.arange(max(1, int(np.prod(shape)))).double() * 0.37)[: int(np.prod(shape))]
    dtype = getattr(torch, name)
    check(base.reshape(shape).to(dtype))
    check((base - 3).abs().round().reshape(shape).to(dtype))
    if name in COMPLEX:
        check(torch.complex(base.reshape(shape) * 1000, -base.reshape(shape)).to(dtype))


@pytest.mark.parametrize("name", COMPLEX)
@pytest.mark.parametrize(
    "values",
    [
        [1 + 2j, -1 - 2j],
        [complex(0.0, -0.0), complex(-0.0, 0.0)],
        [complex(1.5, float("nan")), complex(float("inf"), -float("inf"))],
        [1e-6 + 1j, 1 + 1e9j],
        [1000.5 - 2j] * 30,
        1.5 - 3j,
        complex(float("nan"), -1e-8),
    ],
    ids=str,
)
def test_complex(values: Any, name: str) -> None:
    check(torch.tensor(values, dtype=getattr(torch, name)))


def test_suffixes() -> None:
    leaf = torch.tensor([1.0, 2.5], requires_grad=True)
    check(leaf, requires_grad=True)
    check(leaf + 1, requires_grad=True, grad_fn_name="AddBackward0")
    check(leaf.double() + 1, requires_grad=True, grad_fn_name="AddBackward0")
    assert ours(leaf, requires_grad=True, is_parameter=True) == repr(torch.nn.Parameter(leaf.detach()))
    for count in range(1, 60):  # the suffix moves to the next line at some length
        check(torch.ones(count), requires_grad=False)
        check(torch.full((count,), 2, dtype=torch.int32))
        check(torch.ones(count, requires_grad=True) * 1.5, grad_fn_name="MulBackward0")
    meta = torch.zeros(2, 3, dtype=torch.int64, device="meta")
    assert printing.tensor_repr(None, dtypes.int64, shape=(2, 3), device="meta") == repr(meta)
    assert printing.tensor_repr(None, dtypes.float32, shape=(), device="meta") == repr(
        torch.zeros((), device="meta")
    )
    where = printing.tensor_repr(np.ones(2, np.float32), dtypes.float32, device="cuda:0")
    assert where == "tensor([1., 1.], device='cuda:0')"


def test_subclass() -> None:
    class Scaled(torch.Tensor):
        pass

    for count in (3, 40):
        tensor = torch.rand(count).as_subclass(Scaled)
        assert ours(tensor.as_subclass(torch.Tensor), class_name="Scaled") == repr(tensor)


@pytest.mark.parametrize("default", FLOATS)
def test_default_dtype(default: str) -> None:
    torch.set_default_dtype(getattr(torch, default))
    dtypes.set_default_dtype(dtypes.DTYPES[default])
    for name in FLOATS + COMPLEX + ["int32", "int64", "bool"]:
        check(torch.ones(2, dtype=getattr(torch, name)))
        check(torch.ones(0, dtype=getattr(torch, name)))
        check(torch.ones(0, 2, dtype=getattr(torch, name)))


@pytest.mark.parametrize(
    "options",
    [
        {"precision": 0},
        {"precision": 2},
        {"precision": 10},
        {"threshold": 5},
        {"threshold": 0},
        {"threshold": 5, "edgeitems": 1},
        {"threshold": 5, "edgeitems": 0},
        {"edgeitems": 0},
        {"linewidth": 40},
        {"linewidth": 1},
        {"linewidth": 200},
        {"profile": "short"},
        {"profile": "full"},
        {"profile": "short", "precision": 7},
        {"sci_mode": True},
        {"sci_mode": False},
    ],
    ids=str,
)
def test_options(options: dict[str, Any]) -> None:
    set_reference_options(**options)
    printing.set_printoptions(**options)
    assert printing.get_printoptions() == torch._tensor_str.get_printoptions()
    torch.manual_seed(0)
    for shape in [(), (3,), (12,), (4, 9), (2, 3, 8), (1100,), (0, 2)]:
        for tensor in (torch.randn(shape), torch.randn(shape) * 1e5, torch.randn(shape).round()):
            check(tensor)
            check(tensor.long())
            check(torch.complex(tensor, -tensor))


def test_options_are_kept_or_reset() -> None:
    for module in (torch, printing):
        module.set_printoptions(precision=2, sci_mode=True)
        module.set_printoptions(linewidth=50)
    assert printing.get_printoptions() == torch._tensor_str.get_printoptions()
    with printing.printoptions(precision=7):
        assert printing.get_printoptions()["precision"] == 7
    assert printing.get_printoptions()["precision"] == 2
    with pytest.raises(ValueError, match="profile must be one of default, short, full; got 'tiny'"):
        printing.set_printoptions(profile="tiny")


SHAPES = st.lists(st.integers(0, 9), max_size=4).map(tuple)


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    name=st.sampled_from(FLOATS + COMPLEX),
    shape=SHAPES,
    threshold=st.sampled_from([10, 1000]),
)
def test_any_floats(data: st.DataObject, name: str, shape: tuple[int, ...], threshold: int) -> None:
    numbers = st.one_of(
        st.floats(width=32),
        st.integers(-9999, 9999).map(float),
        st.floats(-20, 20),
        st.sampled_from([0.0, -0.0]),
    )
    palette = data.draw(st.lists(numbers, min_size=1, max_size=8))
    picks = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, len(palette), (2, *shape))
    real, imag = np.array(palette)[picks]
    with np.errstate(all="ignore"):
        tensor = torch.complex(torch.from_numpy(np.asarray(real)), torch.from_numpy(np.asarray(imag)))
    if name in FLOATS:
        tensor = tensor.real
    set_reference_options(threshold=threshold)
    printing.set_printoptions(threshold=threshold)
    check(tensor.to(getattr(torch, name)))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), name=st.sampled_from(INTEGERS), shape=SHAPES, threshold=st.sampled_from([10, 1000]))
def test_any_integers(data: st.DataObject, name: str, shape: tuple[int, ...], threshold: int) -> None:
    limits = np.iinfo(name)
    palette = data.draw(st.lists(st.integers(int(limits.min), int(limits.max)), min_size=1, max_size=8))
    picks = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, len(palette), shape)
    set_reference_options(threshold=threshold)
    printing.set_printoptions(threshold=threshold)
    check(torch.from_numpy(np.asarray(np.array(palette, dtype=name)[picks])))
