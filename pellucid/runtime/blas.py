"""Matrix products by OpenBLAS (scipy-openblas32), as kernels that a plan can launch.

    C[b] = alpha op(A[b]) op(B[b]) + beta S[b]     b in [0, batch), op: as it is, transposed, conjugated

A product is cut into tiles of C, each one call of OpenBLAS on one thread, and our `parallel_for` shares the
tiles among the threads. OpenBLAS's own threads stay out of it: they wait for each other in busy loops, so one
thread that is interrupted stops all (a product of 128x128 then takes 12 ms rather than 0.05), and they cannot
be used from within a chunk. Tiles are cut in such ways that the bits of a result are the same for every number
of threads: never along k, and only where OpenBLAS's inner loops treat all rows and columns alike.

Other routines of the library (LAPACK) may use several threads inside `all_threads()`: their jobs then run on
our pool, too.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import struct
import threading
from array import array
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pellucid.dtypes import DType
from pellucid.runtime import jit, threads

_LETTERS = {"float32": "s", "float64": "d", "complex64": "c", "complex128": "z"}
_TRANSPOSE = {
    (False, False): 111,
    (True, False): 112,
    (True, True): 113,
    (False, True): 114,
}  # (transposed, conjugated)
_LARGEST = 2**31 - 1  # OpenBLAS counts in 32 bits

# Tiles. Volumes count multiplications: some 50 a nanosecond and core for a matrix, 4 for a vector.
_ALIGN = 48  # a tile begins at a multiple of what OpenBLAS's inner loops take at once: 4, 8, 16, 24
_RAGGED = 16  # what lies beyond a multiple of it is rounded differently in tiles that begin elsewhere,
_RAGGED_COLUMNS = 4096  # so there the tiles are the same for every number of threads
_RAGGED_VECTOR = 512
_SMALLEST_TILE = 2**20  # 20 us, and above what OpenBLAS treats as small
_SMALLEST_VECTOR_TILE = 2**17
_SMALLEST_CHUNK = 2**19
_USUAL_THREADS = 8
_LARGE_TILE = 2**28  # some ms: two tiles a thread, so that a thread that is interrupted costs less
_PACKING = 16  # OpenBLAS first rearranges a tile's rows and columns: multiplications in the time of one element

# Up to a volume of 10^6, OpenBLAS's AVX-512 kernels read the matrices where they are. On tiles of that size
# they are 5 to 20 % faster than on rearranged matrices, as long as B stays in the second-level cache.
_DIRECT_CORES = ("SkylakeX", "Cooperlake", "SapphireRapids")
_DIRECT_TILES = {  # (A transposed, B transposed): (largest k, rows, columns), by k
    (False, False): ((80, 96, 128), (320, 48, 64), (640, 24, 64)),
    (True, False): ((80, 96, 128), (320, 48, 64), (640, 24, 64)),
    (True, True): ((80, 96, 128), (160, 96, 64), (320, 96, 32)),
    (False, True): ((976, 32, 32),),
}
_DIRECT_BYTES = 2**21
PANEL = 64  # columns of B in a panel: as many as a direct tile has
# A longer k goes in equal parts, each added to C, as long as B stays in the last-level cache or is read only a few
# times. The parts depend on k alone, so that results do not depend on the number of threads.
_DIRECT_DEPTH = 512
_DIRECT_BYTES_IN_PARTS = 2**22
_FEW_ROWS = 192
_BLOCK_BYTES = 2**19
_CHUNKS = 2  # for each thread, of tiles whose k goes in parts


class Product(NamedTuple):
    """What `launch` or `parallel_for` needs: run kernel(operands, params, begin, end) over [0, n).

    `params` owns the memory that the kernel reads: keep it as long as the address is in use.
    """

    kernel: int
    params: array[int]
    n: int
    grain: int


def gemm_spec(
    dtype: DType,
    m: int,
    n: int,
    k: int,
    trans_a: bool,
    lda: int,
    trans_b: bool,
    ldb: int,
    ldc: int,
    batch: tuple[int, int] = (1, 1),
    strides_a: tuple[int, int] = (0, 0),
    strides_b: tuple[int, int] = (0, 0),
    alpha: complex = 1.0,
    beta: complex = 0.0,
    *,
    conj_a: bool = False,
    conj_b: bool = False,
    summand: tuple[int, int, int, int] | None = None,
    panels: bool = False,
) -> Product:
    """The kernel of C = alpha op(A) op(B) + beta S for a batch of row-major matrices.

    Operands at the launch: C, A, B, and S where `summand` is given; with beta = 0, C (and S) are not read.
    The matrices may not overlap C; S may be C itself only by leaving `summand` out.

    Args:
        dtype: float32, float64, complex64 or complex128.
        m, n, k: C is (m, n), op(A) is (m, k), op(B) is (k, n). Any may be 0; with k = 0, C = beta S.
        trans_a: A lies in memory as (k, m) rather than (m, k). trans_b: B as (n, k) rather than (k, n).
        lda, ldb, ldc: elements from a row in memory to the next one; the elements of a row are adjacent.
        batch: number of groups, number of products in each. The matrices C of all products lie one after the other.
        strides_a, strides_b: bytes from one group to the next, from one matrix of a group to the next (0: the same).
        conj_a, conj_b: take the complex conjugate.
        summand: bytes between S's groups, matrices, rows and columns (0 where it is broadcast);
            None: S is what C holds already.
        panels: B is a row of panels (k, PANEL), each of PANEL of its columns; the last one may use fewer.

    Raises:
        ValueError: rows overlap, or a size does not fit the library's 32-bit integers.
        KeyError: no kernel for the dtype.
    """
    if dtype.name not in _LETTERS:
        raise KeyError(f"OpenBLAS multiplies {', '.join(_LETTERS)}, not {dtype.name}; convert the operands first")
    if max(m, n, k) > _LARGEST:
        raise ValueError(f"matmul: m={m}, n={n}, k={k}; the most is {_LARGEST}: multiply parts of the matrices")
    lda = _leading("A", lda, *((k, m) if trans_a else (m, k)))
    ldb = PANEL if panels else _leading("B", ldb, *((n, k) if trans_b else (k, n)))
    letter, item = _LETTERS[dtype.name], dtype.itemsize
    step_c, ldc = m * ldc * item, _leading("C", ldc, m, n)
    vector = 1 in (m, n) and k > 0 and not conj_a and not conj_b
    if vector:
        routine, direct = f"{letter}gemv", None
        call = _vector_call(n, trans_a, lda, trans_b, ldb, ldc)
    else:
        routine = f"{letter}gemm"
        direct = _panel_tile(m, k) if panels else None
        if letter in "sd" and not panels:
            direct = _direct_tile(m, n, k, trans_a, trans_b, ldb * item)
        call = _Call(_TRANSPOSE[trans_a, conj_a], _TRANSPOSE[trans_b, conj_b], lda, ldb)
    count = batch[0] * batch[1]
    tile_m, tile_n, depth = direct or (*_packed_tile(count, m, n, k, vector), k)
    tiles_m, tiles_n = max(1, _ceil(m, tile_m)), max(1, _ceil(n, tile_n))
    jump_s, *steps_s = summand or (0, 0, 0, 0)
    kind = int(summand is not None and beta != 0)
    if kind and not vector and beta == 1 and steps_s[1:] == [0, item]:
        kind, beta = 2, 0.0  # a bias: adding it to a finished tile is cheaper than beginning with it
    # The larger operand is read once, in slices that meet all of the smaller one, or as much of it as stays in cache.
    block = _block_rows(tiles_m, tile_m * min(depth, k) * item) if panels or (direct is not None and n > m) else 1
    words = [
        *(_symbol_address(f"cblas_{routine}"), call.trans_a, call.trans_b, m, n, k),
        *(call.lda, call.ldb, ldc, call.y_step, call.matrix),
        *(step_c, strides_a[1], strides_b[1], tile_m, tile_n, tiles_m, tiles_n),
        *(tile_m * item * (1 if trans_a else lda), tile_n * item * (k if panels else ldb if trans_b else 1)),
        *(kind, *steps_s),
        *(max(1, batch[1]), strides_a[0], strides_b[0], jump_s),
        *(max(1, depth), item * (lda if trans_a else 1), item * (1 if trans_b else ldb), block),
        *(*_scalar(letter, alpha), *_scalar(letter, beta), *_scalar(letter, 1.0)),
    ]
    tiles = count * tiles_m * tiles_n if m and n else 0
    grain = max(1, _SMALLEST_CHUNK // max(1, tile_m * tile_n * k))
    if depth < k:
        grain = max(grain, tiles // (_CHUNKS * threads.get_num_threads()))
    return Product(_kernels()[routine], array("q", words), tiles, grain)


def gains_by_transposing(dtype: DType, m: int, n: int, k: int) -> bool:
    """Whether products A B^T in a batch are faster as those of A and a copy of B^T, of attention's size, say: the
    kernels that read the matrices where they are want rows of B."""
    direct = dtype.name == "float32" and kernel_in_use() in _DIRECT_CORES
    return direct and min(m, n) >= 24 and max(m, n) < 256 and k <= 128


def gains_by_panels(dtype: DType, m: int, n: int, k: int, trans_b: bool) -> bool:
    """Whether B is worth rearranging in panels first, which stay in the second-level cache while all rows of A are
    multiplied by them: B is large, or lies transposed, and A has many rows."""
    if dtype.name not in ("float32", "float64") or kernel_in_use() not in _DIRECT_CORES:
        return False
    large = n * k * dtype.itemsize > (_DIRECT_BYTES // 8 if trans_b else _DIRECT_BYTES // 2)
    return n >= PANEL and k >= 32 and m >= 512 and (large or (trans_b and n * k >= 2**12))


@cache
def version() -> str:
    """The library's version, e.g. "0.3.34"."""
    return _text("openblas_get_config").split()[1]


@cache
def kernel_in_use() -> str:
    """The processor whose kernels OpenBLAS has chosen, e.g. "SkylakeX", "Zen" or "NEOVERSEN1"."""
    return _text("openblas_get_corename")


@cache
def library() -> ctypes.CDLL:
    """OpenBLAS, with one thread of its own; its names begin with `scipy_`.

    It is loaded without importing scipy_openblas32, which would offer its symbols to all libraries that are
    loaded later: SciPy's extension modules would then find them in place of those of their own copy.
    """
    package = importlib.util.find_spec("scipy_openblas32")
    if package is None or not package.submodule_search_locations:
        raise ImportError("matrix products need OpenBLAS; run: pip install scipy-openblas32")
    path = next(Path(package.submodule_search_locations[0], "lib").glob("libscipy_openblas*.so"))
    before = os.environ.get("OPENBLAS_NUM_THREADS")
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when it is loaded: it starts its threads at once
    try:
        blas = ctypes.CDLL(str(path))
    finally:
        if before is None:
            del os.environ["OPENBLAS_NUM_THREADS"]
        else:
            os.environ["OPENBLAS_NUM_THREADS"] = before
    blas.scipy_openblas_set_num_threads(1)  # it may have been loaded already, by somebody else
    blas.scipy_openblas_set_threads_callback_function(ctypes.c_void_p(threads.blas_callback_address()))
    return blas


@contextlib.contextmanager
def all_threads() -> Iterator[ctypes.CDLL]:
    """The library, for calls that spread over all threads of our pool by themselves (LAPACK)."""
    blas = library()
    with _turn:
        blas.scipy_openblas_set_num_threads(threads.get_num_threads())
        try:
            yield blas
        finally:
            blas.scipy_openblas_set_num_threads(1)


class _Call(NamedTuple):
    """Arguments of OpenBLAS's routine; the fields of the same place in blas.ll's %plan."""

    trans_a: int  # of the matrix, with a vector
    trans_b: int
    lda: int  # of the matrix, with a vector
    ldb: int  # the vector's step
    y_step: int = 0
    matrix: int = 0  # number of the operand that is the matrix


def _vector_call(n: int, trans_a: bool, lda: int, trans_b: bool, ldb: int, ldc: int) -> _Call:
    """The product as y = op(A) b (where n is 1) or y = op(B)^T a."""
    if n == 1:
        return _Call(_TRANSPOSE[trans_a, False], 0, lda, 1 if trans_b else ldb, ldc, 1)
    return _Call(_TRANSPOSE[not trans_b, False], 0, ldb, lda if trans_a else 1, 1, 2)


def _leading(name: str, step: int, rows: int, columns: int) -> int:
    """A row step that OpenBLAS accepts. Nothing depends on it where there is no second row."""
    if rows <= 1 or columns == 0:
        return max(1, columns)
    if step < columns:
        raise ValueError(
            f"matmul: the rows of {name} ({rows}x{columns} in memory) overlap, as its row step is {step}; copy it first"
        )
    if step > _LARGEST:
        raise ValueError(f"matmul: the row step of {name} is {step}, above {_LARGEST}; copy it first")
    return step


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


def _direct_tile(m: int, n: int, k: int, trans_a: bool, trans_b: bool, row: int) -> tuple[int, int, int] | None:
    """Rows and columns of the tiles for OpenBLAS's kernels without rearrangement, and the part of k that they take at
    once; None: not the best way.

    `row`: bytes from a row of B in memory to the next one.
    """
    if kernel_in_use() not in _DIRECT_CORES or k < 8:
        return None
    b_bytes = (n if trans_b else k) * row
    depth = k if k <= _DIRECT_TILES[trans_a, trans_b][-1][0] else 8 * _ceil(_ceil(k, _ceil(k, _DIRECT_DEPTH)), 8)
    if b_bytes > (_DIRECT_BYTES if depth == k else _DIRECT_BYTES_IN_PARTS) and (depth == k or m > _FEW_ROWS):
        return None
    if trans_b and not trans_a and (k < 96 or (k < 256 and m > 512)):  # A B^T gains by rearranging more often
        return None
    if m * n * k <= _SMALLEST_CHUNK:
        return max(m, 1), max(n, 1), depth
    for limit, rows, columns in _DIRECT_TILES[trans_a, trans_b]:
        if depth <= limit:
            # As even as possible, in steps of what the inner loops take at once.
            even_rows = 8 * _ceil(_ceil(m, _ceil(m, rows)), 8)
            even_columns = 16 * _ceil(_ceil(n, _ceil(n, columns)), 16)
            return min(m, even_rows), min(n, even_columns), depth
    return None


def _panel_tile(m: int, k: int) -> tuple[int, int, int]:
    """The same where B comes in panels."""
    depth = k if k <= _DIRECT_DEPTH else 8 * _ceil(_ceil(k, _ceil(k, _DIRECT_DEPTH)), 8)
    rows = 48 if depth <= 320 else 24
    return min(m, 8 * _ceil(_ceil(m, _ceil(m, rows)), 8)), PANEL, depth


def _block_rows(tiles: int, tile_bytes: int) -> int:
    """Rows of tiles whose part of A, of so many bytes a row, stays in the second-level cache; an even number of blocks, so
    that two threads have the same rows that they have of other operators' ranges."""
    blocks = _ceil(tiles, max(1, _BLOCK_BYTES // max(tile_bytes, 1)))
    return _ceil(tiles, blocks + blocks % 2)


def _packed_tile(batch: int, m: int, n: int, k: int, vector: bool) -> tuple[int, int]:
    """Rows and columns of the tiles where OpenBLAS rearranges the matrices: few and large ones."""
    fixed_m = _fixed(m, _RAGGED_VECTOR) if vector else None
    fixed_n = _fixed(n, _RAGGED_VECTOR if vector else _RAGGED_COLUMNS)
    tiles = [(fixed_m or m, fixed_n or n)]
    smallest = _SMALLEST_VECTOR_TILE if vector else _SMALLEST_TILE
    for rows, columns in _divisions(batch, m * n * k, smallest):
        tile_m, tile_n = fixed_m or _part(m, rows), fixed_n or _part(n, columns)
        if _last(m, tile_m) * _last(n, tile_n) * k >= smallest:  # below, OpenBLAS has other loops
            tiles.append((tile_m, tile_n))
    tile_m, tile_n = min(tiles, key=lambda tile: tile[0] * tile[1] + _PACKING * sum(tile))
    return max(tile_m, 1), max(tile_n, 1)


def _divisions(batch: int, volume: int, smallest: int) -> list[tuple[int, int]]:
    """All ways to divide each product in rows and columns so that the threads have enough to do."""
    # Other cores' loops treat columns differently by where they lie in a tile, so there the tiles are always the same.
    workers = threads.get_num_threads() if kernel_in_use() in _DIRECT_CORES else _USUAL_THREADS
    limit = min(workers, volume // smallest)
    if limit <= 1 or batch == 0 or batch >= 8 * workers:
        return []
    # The fewest parts that keep the threads busy for nine tenths of the time, or else the best.
    busy = [batch * parts / (workers * _ceil(batch * parts, workers)) for parts in range(1, limit + 1)]
    parts = 1 + next((i for i, part in enumerate(busy) if part >= 0.9), busy.index(max(busy)))
    if parts > 1 and volume // parts >= _LARGE_TILE:
        parts *= 2
    return [(rows, parts // rows) for rows in range(1, parts + 1)]


def _fixed(size: int, step: int) -> int | None:
    """The tiles' size along a side where it may not depend on the number of threads; None: it may."""
    if size % _RAGGED == 0:
        return None
    return step if size >= 2 * step else size


def _part(size: int, parts: int) -> int:
    return min(size, _ALIGN * _ceil(_ceil(size, parts), _ALIGN))


def _last(size: int, tile: int) -> int:
    """The size of the last tile."""
    return size - (_ceil(size, tile) - 1) * tile


def _scalar(letter: str, value: complex) -> tuple[int, int]:
    """Two 64-bit words that begin with the value as the kernel of `letter` reads it."""
    parts = (value.real, value.imag) if letter in "cz" else (float(value.real),)
    code = ("f" if letter in "sc" else "d") * len(parts)
    first, second = struct.unpack("qq", struct.pack(code, *parts).ljust(16, b"\0"))
    return first, second


_turn = threading.RLock()  # the number of OpenBLAS's threads is one for the whole process


@cache
def _symbol_address(name: str) -> int:
    address = ctypes.cast(getattr(library(), f"scipy_{name}"), ctypes.c_void_p).value
    assert address is not None
    return address


def _text(function: str) -> str:
    call = getattr(library(), f"scipy_{function}")
    call.restype = ctypes.c_char_p
    text: str = call().decode()
    return text


@cache
def _kernels() -> dict[str, int]:
    """Addresses of the kernels in blas.ll: sgemm, sgemv, dgemm, ..."""
    shared, each = Path(__file__).with_suffix(".ll").read_text().split(";; for each T\n")
    parts = [shared]
    for letter, scalar, load, size in (
        ("s", "float", "load float,", 4),
        ("d", "double", "load double,", 8),
        ("c", "ptr", "freeze", 8),
        ("z", "ptr", "freeze", 16),
    ):
        part = each.replace("@T", f"@{letter}").replace("SCALAR", scalar).replace("LOAD", load)
        part = part.replace("REAL", "float" if letter in "sc" else "double")
        parts.append(part.replace("PARTS", "2" if letter in "cz" else "1").replace("ITEMSIZE", str(size)))
    text = "\n".join(parts)
    key = f"blas {hashlib.sha256(text.encode()).hexdigest()}"
    return dict(jit.load(key, lambda: text, optimize="vectorize"))


def _forget_lock() -> None:
    """In a forked child no other thread exists that could ever release the lock."""
    global _turn
    _turn = threading.RLock()


# OpenBLAS takes its threads' buffers away before a fork, so no routine may be using them then.
os.register_at_fork(
    before=lambda: _turn.acquire(), after_in_parent=lambda: _turn.release(), after_in_child=_forget_lock
)
