"""PyTorch's CPU random numbers: the mt19937 engine and the ways in which PyTorch draws from it.

`Generator` fills NumPy arrays in place with the numbers that PyTorch 2.13 gives for the same seed, on every
processor. r32 is one word of the engine, r64 = (first word << 32) | second word; u32 = (r32 mod 2^24) 2^-24
in float32, u64 = (r64 mod 2^53) 2^-53 in float64. Elements are filled in the order of their memory (the
dimension with the largest stride is the slowest), not of their indices; each one takes one draw. [bits]:
the same bits as PyTorch's; [ulps]: but for the last bits of log, sin, cos, tan, exp.

uniform      [bits] fma(u, high - low, low); u = u64 for float64, else u32, in float32; 16-bit dtypes round
             the result. If it equals high, it becomes low. complex: (real, imaginary) pairs.
normal       [ulps] Two ways. Contiguous, 16 elements or more: blocks of 16 uniforms (u64 for float64, else
             u32). With R = sqrt(-2 log(1 - u[k])) and a = 2 pi u[k+8], k < 8, element k is R cos(a) and
             element k+8 is R sin(a). If the size is no multiple of 16, the last 16 elements are made again
             from 16 uniforms more; float32 and float64 (not the 16-bit dtypes) first draw a uniform for
             each of the size mod 16 elements that fill no block, for nothing.
             Otherwise (few elements; transposed, channels_last): pairs in float64 for every dtype. With a =
             2 pi u64 and R = sqrt(-2 log1p(-next u64)): R cos(a), then R sin(a). If the size is odd, the
             last R sin(a) waits in the generator's state for the next call that comes this way.
log_normal   [ulps] exp of normals, always the second way.
randint      [bits] low + r mod (high - low), for every dtype; r32 if high - low < 2^28, else r64. For
             floats, low and high first move inwards to numbers that the dtype can tell apart. high=None: up
             to the dtype's largest integer (floats: 2^digits), inclusive; with low = -2^63: r64 as it is.
random       [bits] `random_()`: bool r32 mod 2, int64 r64 mod 2^63, other integers r32 mod (largest + 1),
             float64 r64 mod (2^53 + 1), other floats r32 mod (2^digits + 1).
randperm     [bits] From the identity, for i = 0 .. n-2 swap i with i + r32 mod (n - i). From n = 214748364
             on, for i = 0 .. n-1 swap i with r64 mod (i + 1).
bernoulli    [bits] p a number: u64 < p, for every dtype (dropout's mask: 1 - p, laid out as dropout's
             input). p an array: u64 < p for float64 p, else u32 < p.
exponential  [ulps] -1/rate log1p(-u64).
geometric    [ulps] ceil(log(u64) / log1p(-p)).
cauchy       [ulps] median + sigma tan(pi (u64 - 1/2)).
multinomial  [bits] Several samples with replacement: row by row, for each sample the first category whose
             cumulative probability is >= u64; the sum runs in p's dtype (float32 at least), then is divided
             by its last. Else: the categories of the largest p / exponential, computed in p's dtype and
             layout, in descending order; equal ones by index, where PyTorch leaves the order open.
"""

from __future__ import annotations

import math
import operator
import secrets

import numpy as np
import numpy.typing as npt

from .mersenne import DOUBLES, WORDS, WORDS_32, WORDS_64, Engine
from .mersenne import FLOATS as SINGLES
from .random_arithmetic import (
    BLOCK,
    FLOATS,
    PIECE,
    Array,
    as_real,
    box_muller,
    check_dtype,
    check_uniform_bounds,
    equals,
    fill,
    fma,
    integer_bounds,
    kind_of,
    memory_order,
    store,
    swap,
)

DEFAULT_SEED = 67280421310721
_WIDE_RANGE = 1 << 28  # from this range on, integers come from 64 bits
_LOW_53 = np.uint64(2**53 - 1)
_HUGE_PERMUTATION = (2**32 - 1) // 20  # from here on 32 bits would be skewed

_UNITS = (np.dtype(np.float32), np.dtype(np.float64))
_INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
_WIDE_UNSIGNED = ("uint16", "uint32", "uint64")

# The bytes of `torch.get_rng_state()`. `left` counts the words up to the next twist, plus one.
_STATE = np.dtype(
    {
        "names": ["seed", "left", "seeded", "next", "key", "double", "has_double", "float", "has_float"],
        "formats": ["<u8", "<i4", "<i4", "<u8", ("<u8", 624), "<f8", "<i4", "<f4", "?"],
        "offsets": [0, 8, 12, 16, 24, 5024, 5040, 5048, 5052],
        "itemsize": 5056,
    }
)


class Generator:
    """One stream of random numbers: PyTorch's for the same seed. Fills are in place; see the table above."""

    __slots__ = ("_engine", "_seed", "_waiting", "_waiting32")

    def __init__(self, seed: int = DEFAULT_SEED) -> None:
        self._engine = Engine()
        self.manual_seed(seed)

    # ---- seed and state ----

    def manual_seed(self, seed: int) -> Generator:
        """Restarts the stream. The engine takes the seed's low 32 bits; a negative seed means seed + 2^64.

        Raises ValueError for a seed outside [-2^63, 2^64).
        """
        seed = operator.index(seed)
        if not -(2**63) <= seed < 2**64:
            raise ValueError(
                f"manual_seed: the seed must lie in [-2**63, 2**64), but got {seed}: it overflows 64 bits."
                " Take it modulo 2**64."
            )
        self._seed = seed % 2**64
        self._engine.seed(self._seed & 0xFFFFFFFF)
        self._waiting: float | None = None  # the sine of the last pair of normals
        self._waiting32: float | None = None  # a field of the state that the CPU never sets
        return self

    def seed(self) -> int:
        """Restarts the stream from a seed of the operating system; returns it."""
        self.manual_seed(secrets.randbits(64))
        return self._seed

    def initial_seed(self) -> int:
        """The last seed, in [0, 2^64)."""
        return self._seed

    def get_state(self) -> npt.NDArray[np.uint8]:
        """The state as 5056 bytes, laid out as `torch.get_rng_state()`'s."""
        key, position = self._engine.key, self._engine.position
        # A fresh engine and one that has used all its words both need a twist; PyTorch tells them apart.
        fresh = position == WORDS and np.array_equal(key, _seeded_key(self._seed & 0xFFFFFFFF))
        record = np.zeros(1, _STATE)
        record["seed"], record["seeded"], record["key"] = self._seed, 1, key
        record["next"] = 0 if fresh else position
        record["left"] = 1 if fresh else WORDS + 1 - position
        if self._waiting is not None:
            record["double"], record["has_double"] = self._waiting, 1
        if self._waiting32 is not None:
            record["float"], record["has_float"] = self._waiting32, True
        return record.view(np.uint8)

    def set_state(self, state: Array) -> None:
        """Continues from a state of `get_state` or `torch.get_rng_state`: uint8, 5056 elements.

        Raises TypeError for another dtype, RuntimeError for another size or a state that no engine can have.
        """
        if state.dtype != np.uint8:
            raise TypeError(f"set_state: the state must be uint8 (a ByteTensor), but got {state.dtype}.")
        if state.size != _STATE.itemsize:
            raise RuntimeError(
                f"set_state: a CPU generator's state has {_STATE.itemsize} bytes, but got {state.size}."
                " Pass what a CPU generator's get_state() returned."
            )
        record = np.ascontiguousarray(state).reshape(-1).view(_STATE)[0]
        left, position = int(record["left"]), int(record["next"])
        fits = (left, position) == (1, 0) or (1 <= left <= 624 and left + position == 625)
        if record["seeded"] != 1 or not fits:
            raise RuntimeError(
                f"set_state: invalid mt19937 state: seeded={record['seeded']}, left={left}, next={position},"
                " but left + next must be 625 (or 1 and 0). Pass what a CPU generator's get_state() returned."
            )
        self._seed = int(record["seed"])
        self._engine.restore(record["key"].astype(np.uint32), WORDS + 1 - left)
        self._waiting = float(record["double"]) if record["has_double"] else None
        self._waiting32 = float(record["float"]) if record["has_float"] else None

    # ---- words and unit uniforms ----

    def random32(self, count: int) -> npt.NDArray[np.uint32]:
        """`count` words r32."""
        words = np.empty(count, np.uint32)
        self._engine.draw(words.ctypes.data, count, WORDS_32)
        return words

    def random64(self, count: int) -> npt.NDArray[np.uint64]:
        """`count` double words r64."""
        words = np.empty(count, np.uint64)
        self._engine.draw(words.ctypes.data, count, WORDS_64)
        return words

    def unit(self, address: int, count: int, double: bool) -> None:
        """Writes `count` numbers u32, or u64 if `double`, to memory."""
        self._engine.draw(address, count, DOUBLES if double else SINGLES)

    def _unit(self, target: Array) -> Array:
        """Fills a contiguous float32 or float64 array with u32 or u64; returns it."""
        self.unit(target.ctypes.data, target.size, target.dtype == np.float64)
        return target

    def _unit64(self, count: int) -> npt.NDArray[np.float64]:
        return self._unit(np.empty(count))

    # ---- real numbers ----

    def uniform(self, out: Array, low: float = 0.0, high: float = 1.0) -> None:
        """out = u (high - low) + low, in [low, high). Floating or complex dtypes, else NotImplementedError.

        Raises RuntimeError for low > high, or bounds that the dtype cannot hold.
        """
        if low == 0 and high == 1 and out.dtype in _UNITS and out.size <= PIECE and out.flags.c_contiguous:
            self._unit(out.reshape(-1))  # nothing is scaled, and nothing reaches 1
            return
        target = as_real(out)
        check_dtype("uniform_", target, FLOATS)
        work = np.dtype(np.float64 if target.dtype == np.float64 else np.float32)
        start, stop = work.type(low), work.type(high)
        scale = None
        if low != 0 or high != 1:
            check_uniform_bounds(target.dtype, low, high)
            scale = fma(work, float(stop - start), float(start))
        last = np.array(stop, target.dtype)

        def draw(piece: Array) -> None:
            unit = self._unit(piece if piece.dtype == work else np.empty(piece.size, work))
            if scale is None and unit is piece:
                return  # nothing reaches 1
            piece[...] = unit if scale is None else scale(unit)
            piece[equals(piece, last)] = start

        fill(target, draw)

    def normal(self, out: Array, mean: float = 0.0, std: float = 1.0) -> None:
        """out = mean + std * (a standard normal). Complex: both parts have the variance std^2 / 2.

        Raises RuntimeError for a negative std, NotImplementedError for integers.
        """
        if not std >= 0.0:
            raise RuntimeError(f"normal_: expects std >= 0, but found std={std}.")
        target = as_real(out)
        check_dtype("normal_", target, FLOATS)
        if target is not out:
            std /= math.sqrt(2)
        if target.size >= BLOCK and target.flags.c_contiguous:
            self._normal_blocks(target.reshape(-1), mean, std)
        else:
            fill(target, lambda piece: store(piece, self._paired_normals(piece.size) * std + mean))

    def _normal_blocks(self, flat: Array, mean: float, std: float) -> None:
        narrow = flat.dtype.itemsize == 2
        work = np.dtype(np.float32) if narrow else flat.dtype
        whole, rest = flat.size - flat.size % BLOCK, flat.size % BLOCK

        def draw(piece: Array) -> None:
            if not narrow:
                box_muller(self._unit(piece), mean, std)
                return
            store(piece, box_muller(self._unit(np.empty(piece.size, work)), mean, std))

        fill(flat[:whole], draw)
        if rest:
            if not narrow:
                self._unit(np.empty(rest, work))  # drawn for the last elements, which are then made again
            draw(flat[-BLOCK:])

    def _paired_normals(self, count: int) -> npt.NDArray[np.float64]:
        """`count` standard normals by pairs, starting with the one that waits from the last pair."""
        waiting = [] if self._waiting is None or count == 0 else [self._waiting]
        pairs = (count - len(waiting) + 1) // 2
        if count:
            self._waiting = None
        unit = self._unit64(2 * pairs)
        values = np.empty(len(waiting) + 2 * pairs)
        values[: len(waiting)] = waiting
        fresh = values[len(waiting) :]
        if pairs < BLOCK:  # few: Python's libm calls cost less than NumPy's start-up
            uniforms = unit.tolist()
            for k in range(0, 2 * pairs, 2):
                radius = math.sqrt(-2.0 * math.log1p(-uniforms[k + 1]))
                angle = 2.0 * math.pi * uniforms[k]
                fresh[k], fresh[k + 1] = radius * math.cos(angle), radius * math.sin(angle)
        else:
            radii = np.sqrt(-2.0 * np.log1p(-unit[1::2]))
            angles = (2.0 * math.pi) * unit[0::2]
            fresh[0::2], fresh[1::2] = radii * np.cos(angles), radii * np.sin(angles)
        if values.size > count:
            self._waiting = float(values[-1])
        return values[:count]

    def log_normal(self, out: Array, mean: float = 1.0, std: float = 2.0) -> None:
        """out = exp(a normal of this mean and std). Floating dtypes; RuntimeError unless std > 0."""
        if not std > 0.0:
            raise RuntimeError(f"log_normal_: expects std > 0, but found std={std}.")
        check_dtype("log_normal_", out, FLOATS)

        def draw(piece: Array) -> None:
            with np.errstate(over="ignore"):
                store(piece, np.exp(self._paired_normals(piece.size) * std + mean))

        fill(out, draw)

    def exponential(self, out: Array, rate: float = 1.0) -> None:
        """out = -log(1 - u) / rate. RuntimeError unless rate > 0 and the dtype is floating."""
        if not rate > 0.0:
            raise RuntimeError(f"exponential_: expects lambda > 0, but found lambda={rate}.")
        check_dtype("exponential_, a continuous distribution,", out, FLOATS, RuntimeError)

        def draw(piece: Array) -> None:
            unit = self._unit64(piece.size)
            np.log1p(np.negative(unit, out=unit), out=unit)
            unit *= -1.0 / rate
            store(piece, unit)

        fill(out, draw)

    def cauchy(self, out: Array, median: float = 0.0, sigma: float = 1.0) -> None:
        """out = median + sigma tan(pi (u - 1/2)). RuntimeError unless sigma > 0 and the dtype is floating."""
        if not sigma > 0.0:
            raise RuntimeError(f"cauchy_: expects sigma > 0, but found sigma={sigma}.")
        check_dtype("cauchy_, a continuous distribution,", out, FLOATS, RuntimeError)

        def draw(piece: Array) -> None:
            store(piece, median + sigma * np.tan(math.pi * (self._unit64(piece.size) - 0.5)))

        fill(out, draw)

    def geometric(self, out: Array, p: float) -> None:
        """out = ceil(log(u) / log(1 - p)), trials up to the first success. RuntimeError unless 0 < p < 1."""
        if not 0.0 < p < 1.0:
            raise RuntimeError(f"geometric_: expects p in (0, 1), but got p={p}.")
        check_dtype("geometric_", out, (*FLOATS, *_INTEGERS))

        def draw(piece: Array) -> None:
            with np.errstate(divide="ignore", invalid="ignore"):  # u may be 0
                store(piece, np.ceil(np.log(self._unit64(piece.size)) / math.log1p(-p)))

        fill(out, draw)

    # ---- integers and choices ----

    def random(self, out: Array) -> None:
        """The full range of the dtype: `random_()`; floats get the integers 0 .. 2^digits."""
        name = kind_of(out)
        check_dtype("random_", out, (*FLOATS, *_INTEGERS, "bool"))
        if name in FLOATS:
            span = 2 ** FLOATS[name][0] + 1
        else:
            span = 2 if name == "bool" else int(np.iinfo(out.dtype).max) + 1
        self._integers(out, 0, span, name in ("int64", "float64"))

    def randint(self, out: Array, low: int, high: int | None = None) -> None:
        """out = low + r mod (high - low), in [low, high): `random_(low, high)` for every real dtype.

        Raises RuntimeError when the range is empty or leaves the dtype.
        """
        usual = high is not None and 0 < high - low < _WIDE_RANGE and low >= -(2**63) and high <= 2**63
        if usual and high is not None and out.dtype == np.int64:  # with the least to check
            self._integers(out, low, high - low, False)
            return
        check_dtype("random_", out, (*FLOATS, *_INTEGERS, *_WIDE_UNSIGNED, "bool"))
        if high is None and low == -(2**63):
            check_dtype("random_ over all 64 bits", out, ("int64", "float64", "float32", "bfloat16"))
            self._integers(out, 0, 2**64, True)
            return
        low, last = integer_bounds(out.dtype, low, high)
        if out.size:
            self._integers(out, low, last - low + 1, last - low + 1 >= _WIDE_RANGE)

    def _integers(self, out: Array, low: int, span: int, wide: bool) -> None:
        """out = low + r mod span, r of 64 bits if `wide`, else of 32."""
        if not wide and out.dtype == np.int64 and out.flags.c_contiguous:
            self._engine.integers(out.ctypes.data, out.size, low, span)
            return
        narrow_float = kind_of(out) in ("float16", "bfloat16")

        def draw(piece: Array) -> None:
            words: Array = self.random64(piece.size) if wide else self.random32(piece.size)
            kind = words.dtype.type
            if span & (span - 1) == 0:
                words &= kind(min(span - 1, np.iinfo(kind).max))
            else:
                words -= words // kind(span) * kind(span)  # NumPy vectorises the division, not the remainder
            values = words.view(np.int64) if wide else words
            if low:
                values = values.astype(np.int64, copy=False)
                values += np.int64(low)
            np.copyto(piece, values.astype(np.float32) if narrow_float else values, casting="unsafe")

        fill(out, draw)

    def randperm(self, out: Array) -> None:
        """Fills a 1-D array with a permutation of 0 .. n-1. RuntimeError when the dtype cannot hold n - 1."""
        check_dtype("randperm", out, (*FLOATS, *_INTEGERS))
        count, name = out.size, kind_of(out)
        limit = 2 ** FLOATS[name][0] + 1 if name in FLOATS else int(np.iinfo(out.dtype).max) + 1
        if count > limit and name != "bfloat16":
            raise RuntimeError(f"randperm: n={count} cannot be greater than {limit} for {name}. Use int64.")
        values = np.arange(count)
        swaps = self._shuffle_huge if count >= _HUGE_PERMUTATION else self._shuffle
        swaps(values)
        out[...] = values

    def _shuffle(self, values: npt.NDArray[np.int64]) -> None:
        count = values.size
        for start in range(0, count - 1, PIECE):
            stop = min(start + PIECE, count - 1)
            left = np.arange(count - start, count - stop, -1, dtype=np.uint32)
            partners = self.random32(stop - start) % left
            partners += np.arange(start, stop, dtype=np.uint32)
            swap(values, start, partners)

    def _shuffle_huge(self, values: npt.NDArray[np.int64]) -> None:
        for start in range(0, values.size, PIECE):
            stop = min(start + PIECE, values.size)
            seen = np.arange(start + 1, stop + 1, dtype=np.uint64)
            swap(values, start, self.random64(stop - start) % seen)

    def bernoulli(self, out: Array, p: float | Array = 0.5) -> None:
        """out = 1 with probability p, else 0. p: a number, or a floating array that broadcasts to out.

        Raises RuntimeError for p outside [0, 1], NotImplementedError for complex and wide unsigned dtypes.
        """
        check_dtype("bernoulli_", out, (*FLOATS, *_INTEGERS, "bool"))
        if isinstance(p, np.ndarray):
            self._bernoulli_each(out, p)
            return
        if not 0.0 <= p <= 1.0:
            raise RuntimeError(f"bernoulli_: expects p in [0, 1], but got p={p}.")
        threshold = np.uint64(math.ceil(p * 2.0**53))  # k 2^-53 < p  <=>  k < ceil(p 2^53)
        if out.dtype == np.float32 and out.flags.c_contiguous:
            self._engine.coins(out.ctypes.data, out.size, int(threshold))
            return

        def draw(piece: Array) -> None:
            wide = self.random64(piece.size)
            wide &= _LOW_53
            np.copyto(piece, wide < threshold, casting="unsafe")

        fill(out, draw)

    def _bernoulli_each(self, out: Array, p: Array) -> None:
        check_dtype("bernoulli_ with a tensor p", p, FLOATS)
        work = np.float64 if p.dtype == np.float64 else np.float32
        if not np.all((p >= 0) & (p <= 1)):
            raise RuntimeError(f"bernoulli_: expects p in [0, 1], but the {p.dtype} tensor p holds others.")
        order = memory_order(out)
        chances = np.broadcast_to(p, out.shape).transpose(order).reshape(-1)
        start = 0

        def draw(piece: Array) -> None:
            nonlocal start
            unit = self._unit(np.empty(piece.size, work))
            np.copyto(piece, unit < chances[start : start + piece.size].astype(work), casting="unsafe")
            start += piece.size

        fill(out, draw)

    def multinomial(self, out: npt.NDArray[np.int64], p: Array, replacement: bool = False) -> None:
        """out[.., s] = a category drawn with the probabilities p[.., :] (they need not add up to 1).

        p: floating, (categories,) or (rows, categories); out: int64, (samples,) or (rows, samples). Raises
        RuntimeError for negative, non-finite or all-zero p, or more samples than can be drawn.
        """
        if p.ndim not in (1, 2) or kind_of(p) not in FLOATS:
            raise RuntimeError(f"multinomial: p must be floating with 1 or 2 dims; got {p.dtype} {p.shape}.")
        samples, categories = out.shape[-1], p.shape[-1]
        if samples <= 0 or categories == 0 or (not replacement and samples > categories):
            raise RuntimeError(
                f"multinomial: cannot draw {samples} samples {'with' if replacement else 'without'}"
                f" replacement from {categories} categories (p has shape {p.shape}): num_samples must be"
                " positive, and without replacement at most the number of categories."
            )
        sums = p.sum(axis=-1, dtype=np.float64)
        if not (np.isfinite(sums).all() and (p >= 0).all() and (sums > 0).all()):
            raise RuntimeError(
                f"multinomial: invalid distribution in p {p.shape}: an entry is negative, inf or nan,"
                " or a row sums to 0."
            )
        if replacement and samples > 1:
            self._sample_cumulative(np.atleast_2d(out), np.atleast_2d(p))
            return
        keys = np.empty_like(p)
        self.exponential(keys)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            keys = np.divide(p, keys).astype(np.float64)
        if samples == 1:
            out[..., 0] = keys.argmax(axis=-1)
        else:
            out[...] = np.argsort(-keys, axis=-1, kind="stable")[..., :samples]

    def _sample_cumulative(self, out: Array, p: Array) -> None:
        work = np.float64 if p.dtype == np.float64 else np.float32
        for row, chances in zip(out, p, strict=True):
            sums = np.cumsum(chances, dtype=work)
            cumulative = sums / sums[-1]
            cumulative[-1] = 1
            row[...] = np.searchsorted(cumulative.astype(np.float64), self._unit64(row.size))


def _seeded_key(seed: int) -> npt.NDArray[np.uint32]:
    """The engine's 624 words just after seeding."""
    fresh = Engine()
    fresh.seed(seed)
    return fresh.key
