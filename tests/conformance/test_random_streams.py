"""The random streams against PyTorch's CPU generator: the same numbers, and the same state after them."""

import copy
import warnings
from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest

from pellucid.runtime import random_streams
from pellucid.runtime.random_streams import Generator

torch = pytest.importorskip("torch")

SIZES = [0, 1, 5, 15, 16, 17, 31, 33, 1000]
FLOATS = ["float32", "float64", "float16", "bfloat16"]
INTEGERS = ["uint8", "int8", "int16", "int32", "int64"]
BIG = 100_003  # several pieces, and a tail


def numpy_dtype(name: str) -> np.dtype:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def to_numpy(tensor) -> np.ndarray:
    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


class Pair:
    """Our generator and PyTorch's, seeded alike."""

    def __init__(self, seed: int = 0) -> None:
        self.ours = Generator(seed)
        self.theirs = torch.Generator().manual_seed(seed)

    def fill(self, dtype: str, shape, ours: Callable, theirs: Callable) -> tuple[np.ndarray, np.ndarray]:
        """What ours(array) and theirs(tensor) write; the states must agree afterwards."""
        array = np.zeros(shape, numpy_dtype(dtype))
        tensor = torch.zeros(shape, dtype=getattr(torch, dtype))
        ours(array)
        theirs(tensor)
        self.check_states()
        return array, to_numpy(tensor)

    def check_states(self) -> None:
        assert np.array_equal(self.ours.get_state(), self.theirs.get_state().numpy())

    def check(self, dtype: str, shape, ours: Callable, theirs: Callable) -> None:
        got, expected = self.fill(dtype, shape, ours, theirs)
        assert np.array_equal(got, expected)

    def check_ulps(self, dtype: str, shape, ours: Callable, theirs: Callable, ulps: float, scale=0.0) -> None:
        """Close to a few units in the last place of the element, or of `scale` if that is larger."""
        got, expected = (np.asarray(x, np.float64) for x in self.fill(dtype, shape, ours, theirs))
        digits = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}[dtype]
        unit = np.maximum(np.abs(expected), scale) * 2.0 ** (1 - digits)
        finite = np.isfinite(expected)
        assert np.array_equal(got[~finite], expected[~finite])
        assert np.all(np.abs(got - expected)[finite] <= ulps * unit[finite])


# ---- seeds and states ----


@pytest.mark.parametrize(
    "seed", [0, 1, -1, -(2**63), 2**63, 2**64 - 1, 2**32, 12345678901234567, np.int64(5)]
)
def test_seeds(seed):
    ours, theirs = Generator(1), torch.Generator()
    assert ours.manual_seed(seed) is ours
    theirs.manual_seed(int(seed))
    assert ours.initial_seed() == theirs.initial_seed()
    assert np.array_equal(ours.get_state(), theirs.get_state().numpy())


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
def test_seed_out_of_range(seed):
    with pytest.raises(ValueError, match="2\\*\\*64"):
        Generator(seed)
    with pytest.raises(ValueError, match="Overflow"):
        torch.Generator().manual_seed(seed)


def test_default_and_fresh_seeds():
    assert Generator().initial_seed() == torch.Generator().initial_seed()
    generator = Generator()
    first, second = generator.seed(), generator.seed()
    assert first != second == generator.initial_seed()
    assert np.array_equal(generator.get_state(), Generator(second).get_state())


@pytest.mark.parametrize("words", [0, 1, 300, 623, 624, 625, 1248, 5000])
def test_states_are_interchangeable(words):
    pair = Pair(words)
    pair.check("float32", words, pair.ours.uniform, lambda t: t.uniform_(generator=pair.theirs))
    ours, theirs = Generator(7), torch.Generator()
    ours.set_state(pair.theirs.get_state().numpy())
    theirs.set_state(torch.from_numpy(pair.ours.get_state()))
    assert ours.initial_seed() == theirs.initial_seed() == words
    assert np.array_equal(ours.get_state(), pair.ours.get_state())
    assert np.array_equal(ours.random32(3), pair.ours.random32(3))
    assert torch.equal(torch.rand(9, generator=theirs), torch.rand(9, generator=pair.theirs))


def test_state_keeps_the_waiting_normal():
    pair = Pair(3)
    pair.check("float64", 3, pair.ours.normal, lambda t: t.normal_(generator=pair.theirs))
    ours, copied = Generator(), copy.deepcopy(pair.ours)
    ours.set_state(pair.theirs.get_state().numpy())
    a, b, c = np.empty(2), np.empty(2), np.empty(2)
    pair.ours.normal(a)
    ours.normal(b)
    copied.normal(c)
    assert np.array_equal(a, b)
    assert np.array_equal(a, c)


def test_invalid_states():
    ours, theirs = Generator(), torch.Generator()
    good = ours.get_state()
    for offset, value in [(8, 0), (12, 0), (16, 255)]:
        bad = good.copy()
        bad[offset] = value
        with pytest.raises(RuntimeError, match="mt19937"):
            ours.set_state(bad)
    with pytest.raises(RuntimeError, match="5056"):
        ours.set_state(good[:-1])
    with pytest.raises(TypeError, match="uint8"):
        ours.set_state(good.astype(np.int8))
    with pytest.raises(TypeError):
        theirs.set_state(torch.from_numpy(good.astype(np.int8)))
    assert np.array_equal(ours.get_state(), good)


# ---- uniform and normal ----


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "bounds",
    [(0, 1), (-0.37, 1.93), (0, 3.3), (1e-12, 1), (-0.02, 0.02), (5, 5), (-3e4, 3e4), (0.1, 0.1 + 1e-5)],
)
def test_uniform(dtype, bounds):
    pair = Pair(11)
    for size in [*SIZES, BIG]:
        pair.check(
            dtype,
            size,
            lambda a: pair.ours.uniform(a, *bounds),
            lambda t: t.uniform_(*bounds, generator=pair.theirs),
        )


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1000])
def test_complex(dtype, size):
    pair = Pair(5)
    pair.check(dtype, size, pair.ours.uniform, lambda t: t.uniform_(generator=pair.theirs))
    got, expected = pair.fill(
        dtype, size, lambda a: pair.ours.normal(a, 0, 3), lambda t: t.normal_(0, 3, generator=pair.theirs)
    )
    assert np.allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("mean", "std"), [(0, 1), (2.5, 0.3), (-100, 1), (0, 0)])
def test_normal(dtype, mean, std):
    pair = Pair(13)
    for size in [*SIZES, BIG]:
        pair.check_ulps(
            dtype,
            size,
            lambda a: pair.ours.normal(a, mean, std),
            lambda t: t.normal_(mean, std, generator=pair.theirs),
            ulps=4,
            scale=abs(mean),
        )


def test_small_normals_are_exact():
    pair = Pair(17)
    for size in [1, 2, 5, 3, 15, 14]:
        pair.check("float32", size, pair.ours.normal, lambda t: t.normal_(generator=pair.theirs))


# ---- fills follow the memory ----

VIEWS = {
    "transposed": lambda x: x.T,
    "channels_last": lambda x: (
        x.reshape(2, 4, 3, 10).transpose(0, 3, 1, 2)
        if isinstance(x, np.ndarray)
        else x.reshape(2, 4, 3, 10).permute(0, 3, 1, 2)
    ),
    "columns": lambda x: x[:, ::2],
    "rows": lambda x: x[1:9:3],
    "inner": lambda x: x[2:-1, 3:11],
    "transposed columns": lambda x: x[:, 1:7].T,
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_strided_fills(view):
    pair = Pair(19)
    fills = [
        (lambda a: pair.ours.uniform(a), lambda t: t.uniform_(generator=pair.theirs)),
        (lambda a: pair.ours.normal(a, 1, 2), lambda t: t.normal_(1, 2, generator=pair.theirs)),
        (lambda a: pair.ours.bernoulli(a, 0.4), lambda t: t.bernoulli_(0.4, generator=pair.theirs)),
        (lambda a: pair.ours.randint(a, 3, 90), lambda t: t.random_(3, 90, generator=pair.theirs)),
    ]
    for ours, theirs in fills:
        pair.check_ulps("float32", (20, 12), lambda a, f=ours: f(view(a)), lambda t, f=theirs: f(view(t)), 1)
    for dtype in ("float32", "float64"):
        p = np.random.default_rng(0).random((20, 12)).astype(dtype)
        pair.check(
            "float32",
            (20, 12),
            lambda a, p=p: pair.ours.bernoulli(view(a), view(p)),
            lambda t, p=p: view(t).bernoulli_(view(torch.from_numpy(p)), generator=pair.theirs),
        )


def test_strided_complex():
    pair = Pair(2)
    pair.check(
        "complex64", (6, 5), lambda a: pair.ours.uniform(a.T), lambda t: t.t().uniform_(generator=pair.theirs)
    )


# ---- integers ----

RANGES = [(0, 1), (0, 10), (-3, 4), (0, 128), (5, 100)]
WIDE_RANGES = [
    (0, 2**28 - 1),
    (0, 2**28),
    (-7, 2**28),
    (-(2**31), 2**31),
    (0, 2**40 + 1),
    (-(2**63), 2**63 - 1),
    (0, 2**63 - 1),
]


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, "uint16", "uint32", "uint64"])
@pytest.mark.parametrize("bounds", RANGES)
def test_randint(dtype, bounds):
    if dtype.startswith("u") and bounds[0] < 0:
        pytest.skip("no negative numbers")
    pair = Pair(23)
    for size in [*SIZES, BIG]:
        pair.check(
            dtype,
            size,
            lambda a: pair.ours.randint(a, *bounds),
            lambda t: t.random_(*bounds, generator=pair.theirs),
        )


@pytest.mark.parametrize("dtype", ["int64", "float32", "float64", "bfloat16"])
@pytest.mark.parametrize("bounds", WIDE_RANGES)
@pytest.mark.filterwarnings("ignore:.*bounds.*:UserWarning", "ignore:.*leaves.*:UserWarning")
def test_wide_randint(dtype, bounds):
    pair = Pair(29)
    for size in (1, 17, 2000):
        pair.check(
            dtype,
            size,
            lambda a: pair.ours.randint(a, *bounds),
            lambda t: t.random_(*bounds, generator=pair.theirs),
        )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize(
    "bounds", [(0, 2049), (-2050, 2051), (2047, 5000), (257, 600), (4097, 65504), (16777217, 16777300)]
)
@pytest.mark.filterwarnings("ignore:.*bounds.*:UserWarning", "ignore:.*leaves.*:UserWarning")
def test_randint_moves_bounds_inwards(dtype, bounds):
    pair = Pair(31)
    try:
        torch.empty(1, dtype=getattr(torch, dtype)).random_(*bounds)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            pair.ours.randint(np.empty(1, numpy_dtype(dtype)), *bounds)
        return
    pair.check(
        dtype,
        5000,
        lambda a: pair.ours.randint(a, *bounds),
        lambda t: t.random_(*bounds, generator=pair.theirs),
    )


def test_randint_warns_beyond_the_digits():
    with pytest.warns(UserWarning, match="not uniform"):
        Generator().randint(np.empty(3, np.float16), 0, 5000)
    with pytest.warns(UserWarning, match="Due to precision"):
        torch.empty(3, dtype=torch.float16).random_(0, 5000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Generator().randint(np.empty(3, np.float16), 0, 2049)


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, "bool"])
def test_full_range(dtype):
    pair = Pair(37)
    for size in [*SIZES, BIG]:
        pair.check(dtype, size, pair.ours.random, lambda t: t.random_(generator=pair.theirs))


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, "bool", "uint16", "uint32", "uint64"])
@pytest.mark.parametrize("low", [0, 1, -100, -(2**63)])
def test_randint_without_end(dtype, low):
    pair = Pair(41)
    try:
        torch.empty(1, dtype=getattr(torch, dtype)).random_(low, None)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            pair.ours.randint(np.empty(3, numpy_dtype(dtype)), low)
        return
    pair.check(
        dtype,
        1000,
        lambda a: pair.ours.randint(a, low),
        lambda t: t.random_(low, None, generator=pair.theirs),
    )


@pytest.mark.parametrize("dtype", ["int64", "int32", "float32", "float64"])
def test_randperm(dtype):
    pair = Pair(43)
    for size in [*SIZES, 2, 199, 200, 201, BIG]:
        ours = np.empty(size, dtype)
        pair.ours.randperm(ours)
        theirs = torch.randperm(size, dtype=getattr(torch, dtype), generator=pair.theirs)
        assert np.array_equal(ours, theirs.numpy())
        pair.check_states()


@pytest.mark.parametrize(
    ("dtype", "limit"), [("uint8", 256), ("int8", 128), ("float16", 2049), ("int16", 2**15)]
)
def test_randperm_in_narrow_dtypes(dtype, limit):
    pair = Pair(47)
    ours = np.empty(limit, dtype)
    pair.ours.randperm(ours)
    assert np.array_equal(
        ours, torch.randperm(limit, dtype=getattr(torch, dtype), generator=pair.theirs).numpy()
    )
    with pytest.raises(RuntimeError, match="cannot be greater"):
        pair.ours.randperm(np.empty(limit + 1, dtype))
    with pytest.raises(RuntimeError):
        torch.randperm(limit + 1, dtype=getattr(torch, dtype))


@pytest.mark.parametrize("size", [5, 300, 70_000])
def test_huge_permutations_use_64_bits(monkeypatch, size):
    """The way of n >= 214748364, which is too large for a test, against the loop that describes it."""
    monkeypatch.setattr(random_streams, "_HUGE_PERMUTATION", 0)
    got = np.empty(size, np.int64)
    Generator(53).randperm(got)
    expected = list(range(size))
    for i, r in enumerate(Generator(53).random64(size).tolist()):
        z = r % (i + 1)
        expected[i], expected[z] = expected[z], expected[i]
    assert got.tolist() == expected


# ---- choices ----


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, "bool"])
@pytest.mark.parametrize("p", [0.0, 1.0, 0.5, 0.1, 1e-9, 1 / 3])
def test_bernoulli(dtype, p):
    pair = Pair(59)
    for size in [*SIZES, BIG]:
        pair.check(
            dtype,
            size,
            lambda a: pair.ours.bernoulli(a, p),
            lambda t: t.bernoulli_(p, generator=pair.theirs),
        )


@pytest.mark.parametrize("p_dtype", FLOATS)
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "bfloat16"])
def test_bernoulli_of_a_tensor(p_dtype, dtype):
    pair = Pair(61)
    for size in [*SIZES, BIG]:
        p = np.random.default_rng(size).random(size).astype(numpy_dtype(p_dtype))
        p_tensor = torch.from_numpy(p.astype(np.float64)).to(getattr(torch, p_dtype))
        pair.check(
            dtype,
            (3, size),
            lambda a, p=p: pair.ours.bernoulli(a, p),
            lambda t, p=p_tensor: t.bernoulli_(p, generator=pair.theirs),
        )


@pytest.mark.parametrize("shape", [(7,), (100, 33), (4, 3, 8, 8)])
@pytest.mark.parametrize("layout", ["contiguous", "transposed"])
def test_dropout_mask(shape, layout):
    x = torch.ones(shape)
    if layout == "transposed":
        x = x.transpose(0, -1)
    torch.manual_seed(67)
    expected = torch.nn.functional.dropout(x, 0.3).numpy()
    mask = np.empty_like(x.numpy())
    assert mask.strides == x.numpy().strides
    Generator(67).bernoulli(mask, 1 - 0.3)
    assert np.array_equal(mask != 0, expected != 0)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["exponential", "cauchy", "log_normal", "geometric"])
def test_transformed_uniforms(dtype, name):
    pair = Pair(71)
    arguments = {"exponential": (2.5,), "cauchy": (1.0, 0.5), "log_normal": (0.5, 0.25), "geometric": (0.3,)}[
        name
    ]
    for size in [*SIZES, BIG]:
        pair.check_ulps(
            dtype,
            size,
            lambda a: getattr(pair.ours, name)(a, *arguments),
            lambda t: getattr(t, name + "_")(*arguments, generator=pair.theirs),
            ulps=8,
            scale=1.0 if name == "cauchy" else 0.0,
        )


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16"])
def test_geometric_integers(dtype):
    pair = Pair(73)
    pair.check(
        dtype, BIG, lambda a: pair.ours.geometric(a, 0.2), lambda t: t.geometric_(0.2, generator=pair.theirs)
    )


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("shape", [(1,), (5,), (1000,), (4, 7), (3, 500)])
@pytest.mark.parametrize("replacement", [True, False])
def test_multinomial(dtype, shape, replacement):
    p = np.random.default_rng(1).random(shape).astype(numpy_dtype(dtype))
    p_tensor = torch.from_numpy(p.astype(np.float64)).to(getattr(torch, dtype))
    narrow = dtype in ("float16", "bfloat16")
    for samples in (1, 3, shape[-1], 2000):
        if not replacement and (samples > shape[-1] or (narrow and samples > 1)):
            continue  # 16 bits hold many equal ratios, whose order PyTorch leaves open
        pair = Pair(79)
        out = np.empty((*shape[:-1], samples), np.int64)
        pair.ours.multinomial(out, p, replacement)
        expected = torch.multinomial(p_tensor, samples, replacement, generator=pair.theirs)
        assert np.array_equal(out, expected.numpy())
        pair.check_states()


def test_multinomial_of_a_transposed_tensor():
    p = np.random.default_rng(1).random((6, 5))
    for samples, replacement in ((1, False), (4, False), (9, True)):
        pair = Pair(83)
        out = np.empty((5, samples), np.int64)
        pair.ours.multinomial(out, p.T, replacement)
        expected = torch.multinomial(torch.from_numpy(p).t(), samples, replacement, generator=pair.theirs)
        assert np.array_equal(out, expected.numpy())


# ---- sequences and errors ----


def test_interleaved_draws():
    pair = Pair(89)
    steps = [
        ("float32", 7, lambda a: pair.ours.normal(a), lambda t: t.normal_(generator=pair.theirs)),
        ("float64", 33, lambda a: pair.ours.uniform(a), lambda t: t.uniform_(generator=pair.theirs)),
        ("float64", 1, lambda a: pair.ours.normal(a), lambda t: t.normal_(generator=pair.theirs)),
        ("float32", 33, lambda a: pair.ours.normal(a), lambda t: t.normal_(generator=pair.theirs)),
        ("float32", 3, lambda a: pair.ours.log_normal(a), lambda t: t.log_normal_(generator=pair.theirs)),
        ("int64", 5, lambda a: pair.ours.randint(a, 0, 9), lambda t: t.random_(0, 9, generator=pair.theirs)),
        ("float16", 21, lambda a: pair.ours.normal(a), lambda t: t.normal_(generator=pair.theirs)),
        ("bool", 3, lambda a: pair.ours.bernoulli(a), lambda t: t.bernoulli_(generator=pair.theirs)),
        ("float32", 9, lambda a: pair.ours.normal(a, 1, 2), lambda t: t.normal_(1, 2, generator=pair.theirs)),
    ]
    for _ in range(40):
        for dtype, size, ours, theirs in steps:
            if dtype in FLOATS:
                pair.check_ulps(dtype, size, ours, theirs, 4, scale=1.0)
            else:
                pair.check(dtype, size, ours, theirs)


ERRORS = {
    "uniform order": ("float32", lambda g, a: g.uniform(a, 1, 0), lambda t: t.uniform_(1, 0)),
    "uniform nan": (
        "float32",
        lambda g, a: g.uniform(a, float("nan"), 1),
        lambda t: t.uniform_(float("nan"), 1),
    ),
    "uniform range": ("float32", lambda g, a: g.uniform(a, -3e38, 3e38), lambda t: t.uniform_(-3e38, 3e38)),
    "uniform half": ("float16", lambda g, a: g.uniform(a, 0, 7e4), lambda t: t.uniform_(0, 7e4)),
    "uniform int": ("int64", lambda g, a: g.uniform(a), lambda t: t.uniform_()),
    "normal std": ("float32", lambda g, a: g.normal(a, 0, -1), lambda t: t.normal_(0, -1)),
    "normal nan": (
        "float32",
        lambda g, a: g.normal(a, 0, float("nan")),
        lambda t: t.normal_(0, float("nan")),
    ),
    "normal int": ("int64", lambda g, a: g.normal(a), lambda t: t.normal_()),
    "bernoulli p": ("float32", lambda g, a: g.bernoulli(a, 1.5), lambda t: t.bernoulli_(1.5)),
    "bernoulli nan": (
        "float32",
        lambda g, a: g.bernoulli(a, float("nan")),
        lambda t: t.bernoulli_(float("nan")),
    ),
    "bernoulli each": (
        "float32",
        lambda g, a: g.bernoulli(a, np.array([0.5, 1.5, 0])),
        lambda t: t.bernoulli_(torch.tensor([0.5, 1.5, 0])),
    ),
    "bernoulli int p": (
        "float32",
        lambda g, a: g.bernoulli(a, np.array([0, 1, 0])),
        lambda t: t.bernoulli_(torch.tensor([0, 1, 0])),
    ),
    "bernoulli complex": ("complex64", lambda g, a: g.bernoulli(a), lambda t: t.bernoulli_()),
    "exponential rate": ("float32", lambda g, a: g.exponential(a, 0), lambda t: t.exponential_(0)),
    "exponential int": ("int64", lambda g, a: g.exponential(a), lambda t: t.exponential_()),
    "geometric p": ("float32", lambda g, a: g.geometric(a, 1), lambda t: t.geometric_(1)),
    "cauchy sigma": ("float32", lambda g, a: g.cauchy(a, 0, 0), lambda t: t.cauchy_(0, 0)),
    "cauchy int": ("int64", lambda g, a: g.cauchy(a), lambda t: t.cauchy_()),
    "log_normal std": ("float32", lambda g, a: g.log_normal(a, 0, 0), lambda t: t.log_normal_(0, 0)),
    "log_normal int": ("int64", lambda g, a: g.log_normal(a), lambda t: t.log_normal_()),
    "randint empty": ("float32", lambda g, a: g.randint(a, 5, 5), lambda t: t.random_(5, 5)),
    "randint high": ("uint8", lambda g, a: g.randint(a, 0, 257), lambda t: t.random_(0, 257)),
    "randint low": ("uint8", lambda g, a: g.randint(a, -1, 5), lambda t: t.random_(-1, 5)),
    "randint half": ("float16", lambda g, a: g.randint(a, 0, 70000), lambda t: t.random_(0, 70000)),
    "randint bool": ("bool", lambda g, a: g.randint(a, 0, 3), lambda t: t.random_(0, 3)),
    "randint beyond": ("float32", lambda g, a: g.randint(a, 2**40), lambda t: t.random_(2**40, None)),
    "random wide": ("uint16", lambda g, a: g.random(a), lambda t: t.random_()),
}


@pytest.mark.parametrize(("dtype", "ours", "theirs"), ERRORS.values(), ids=ERRORS.keys())
def test_errors(dtype, ours, theirs):
    with pytest.raises(RuntimeError) as expected:
        theirs(torch.zeros(3, dtype=getattr(torch, dtype)))
    generator = Generator()
    with pytest.raises(expected.type):
        ours(generator, np.zeros(3, dtype))
    assert np.array_equal(generator.get_state(), Generator().get_state())


@pytest.mark.parametrize(
    ("p", "samples", "replacement"),
    [
        ([0.5, 0.5], 3, False),
        ([0.5, -0.5], 1, False),
        ([0.5, float("nan")], 1, False),
        ([0.0, 0.0], 1, False),
        ([0.0, 0.0], 2, True),
        ([0.5, -0.5], 2, True),
        ([0.5, float("nan")], 2, True),
        ([0.5, float("inf")], 2, True),
        ([1, 1], 2, True),
        ([1.0, 1.0], 0, True),
        (1.0, 1, True),
        ([[[0.5]]], 1, True),
    ],
)
def test_multinomial_errors(p, samples, replacement):
    with pytest.raises(RuntimeError):
        torch.multinomial(torch.tensor(p), samples, replacement)
    with pytest.raises(RuntimeError, match="multinomial"):
        Generator().multinomial(np.empty(samples, np.int64), np.array(p), replacement)
