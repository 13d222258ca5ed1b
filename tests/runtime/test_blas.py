"""Products by OpenBLAS against NumPy: shapes, transpositions, batches, summands, tiles, threads."""

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pellucid import dtypes
from pellucid.runtime import blas, threads

Array = npt.NDArray[Any]
DTYPES = [dtypes.float32, dtypes.float64, dtypes.complex64, dtypes.complex128]

Kernel = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
ParallelFor = ctypes.CFUNCTYPE(
    ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64
)


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = threads.get_num_threads()
    threads.set_num_threads(2)
    yield
    threads.set_num_threads(before)


def run(product: blas.Product, *arrays: Array) -> None:
    operands = (ctypes.c_int64 * len(arrays))(*(array.ctypes.data for array in arrays))
    params = product.params.buffer_info()[0]
    parallel_for = ParallelFor(threads.parallel_for_address())
    assert parallel_for(product.kernel, operands, params, product.n, product.grain) == 0


def random(shape: tuple[int, ...], dtype: dtypes.DType, seed: int = 0) -> Array:
    source = np.random.default_rng([seed, *shape])
    values = source.standard_normal(shape)
    return (values + 1j * source.standard_normal(shape) if dtype.is_complex else values).astype(dtype.numpy)


def error(result: Array, expected: Array, k: int, dtype: dtypes.DType) -> bool:
    """Whether the result is further off than k + 2 roundings of terms of some size."""
    unit = np.finfo(dtype.numpy).eps
    return bool(np.abs(result - expected).max(initial=0) > 10 * unit * (k + 2))


def wide(array: Array) -> Array:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def check(
    dtype: dtypes.DType,
    batch: int,
    m: int,
    n: int,
    k: int,
    trans_a: bool = False,
    trans_b: bool = False,
    pad: int = 0,
    alpha: complex = 1.0,
    beta: complex = 0.0,
    summand: str | None = None,
    **flags: bool,
) -> None:
    """C = alpha op(A) op(B) + beta S, with `pad` unused elements at the end of each row in memory."""
    a = random((batch, *((k, m + pad) if trans_a else (m, k + pad))), dtype, 1)
    b = random((batch, *((n, k + pad) if trans_b else (k, n + pad))), dtype, 2)
    c = np.full((batch, m, n + pad), np.nan, dtype.numpy)
    if beta and not summand:
        c[..., :n] = random((batch, m, n), dtype, 3)
    shape = {"full": (batch, m, n), "row": (n,), "column": (m, 1), "number": (), None: (batch, m, n)}[summand]
    s = np.ascontiguousarray(random(shape, dtype, 3)) if summand else c[..., :n].copy()
    strides = np.broadcast_to(s, (batch, m, n)).strides
    product = blas.gemm_spec(
        *(dtype, m, n, k, trans_a, a.shape[2], trans_b, b.shape[2], n + pad, (1, batch)),
        *((0, a.strides[0]), (0, b.strides[0]), alpha, beta),
        summand=(0, strides[0], strides[1], strides[2]) if summand else None,
        **flags,
    )
    run(product, c, a, b, *([s] if summand else []))
    left = wide(a[:, :, :m].transpose(0, 2, 1) if trans_a else a[:, :, :k])
    right = wide(b[:, :, :k].transpose(0, 2, 1) if trans_b else b[:, :, :n])
    left = left.conj() if flags.get("conj_a") else left
    right = right.conj() if flags.get("conj_b") else right
    expected = alpha * (left @ right) + (beta * wide(s) if beta else 0)
    assert not error(c[..., :n], expected, k, dtype)
    assert np.isnan(c[..., n:]).all()


SHAPES = [  # batch, m, n, k
    (1, 3, 4, 5),
    (1, 1, 7, 9),
    (1, 7, 1, 9),
    (1, 1, 1, 5),
    (3, 5, 6, 7),
    (4, 1, 9, 8),
    (4, 9, 1, 8),
    (17, 33, 65, 31),
    (1, 300, 257, 129),
    (2, 200, 100, 400),
    (1, 1, 3000, 200),
    (1, 3000, 1, 200),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("trans_a", [False, True])
@pytest.mark.parametrize("trans_b", [False, True])
def test_products(
    dtype: dtypes.DType, shape: tuple[int, int, int, int], trans_a: bool, trans_b: bool
) -> None:
    check(dtype, *shape, trans_a, trans_b)
    check(dtype, *shape, trans_a, trans_b, pad=3, alpha=0.5 - 0.25j if dtype.is_complex else -1.5)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("summand", [None, "full", "row", "column", "number"])
@pytest.mark.parametrize("shape", [(1, 4, 5, 3), (3, 1, 6, 4), (3, 6, 1, 4), (1, 300, 257, 129)])
def test_summand(dtype: dtypes.DType, summand: str | None, shape: tuple[int, int, int, int]) -> None:
    check(dtype, *shape, pad=2, beta=0.5, summand=summand)
    check(dtype, *shape, trans_b=True, alpha=2.0, beta=1.0, summand=summand)


@pytest.mark.parametrize("conj_a", [False, True])
@pytest.mark.parametrize("conj_b", [False, True])
@pytest.mark.parametrize("shape", [(2, 4, 5, 3), (1, 1, 6, 4), (1, 6, 1, 4)])
def test_conjugates(conj_a: bool, conj_b: bool, shape: tuple[int, int, int, int]) -> None:
    for trans_a, trans_b in ((False, False), (True, False), (False, True), (True, True)):
        check(dtypes.complex64, *shape, trans_a, trans_b, conj_a=conj_a, conj_b=conj_b)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize(
    "shape", [(0, 3, 3, 3), (2, 0, 4, 3), (2, 4, 0, 3), (2, 4, 3, 0), (1, 1, 5, 0), (1, 5, 1, 0)]
)
def test_sizes_of_zero(dtype: dtypes.DType, shape: tuple[int, int, int, int]) -> None:
    """With k = 0 the product is zero, and nothing of what C held before remains."""
    for trans_a, trans_b in ((False, False), (True, False), (False, True), (True, True)):
        check(dtype, *shape, trans_a, trans_b)
        check(dtype, *shape, trans_a, trans_b, pad=1, beta=0.5, summand="row")


def test_one_matrix_for_the_whole_batch() -> None:
    a, b = random((5, 8, 6), dtypes.float32), random((6, 7), dtypes.float32)
    c = np.empty((5, 8, 7), np.float32)
    run(
        blas.gemm_spec(dtypes.float32, 8, 7, 6, False, 6, False, 7, 7, (1, 5), (0, a.strides[0]), (0, 0)),
        c,
        a,
        b,
    )
    assert not error(c, wide(a) @ wide(b), 6, dtypes.float32)


@pytest.mark.parametrize("trans_a", [False, True])
@pytest.mark.parametrize("shape", [(70, 130, 40), (129, 64, 1500), (512, 200, 333)])
def test_columns_in_panels(shape: tuple[int, int, int], trans_a: bool) -> None:
    """The last panel is not full; the inner dimension goes in one part or in several; the same bits on any threads."""
    m, n, k = shape
    a = random((k, m) if trans_a else (m, k), dtypes.float32, 1)
    b, s = random((k, n), dtypes.float32, 2), random((n,), dtypes.float32, 3)
    panels = np.full((-(-n // blas.PANEL), k, blas.PANEL), np.nan, np.float32)
    for j in range(n):
        panels[j // blas.PANEL, :, j % blas.PANEL] = b[:, j]
    expected, results = wide(a.T if trans_a else a) @ wide(b) + 0.5 * wide(s), []
    for count in (1, 3):
        threads.set_num_threads(count)
        c = np.full((m, n), np.nan, np.float32)
        options: dict[str, Any] = {"beta": 0.5, "summand": (0, 0, 0, 4), "panels": True}
        run(blas.gemm_spec(dtypes.float32, m, n, k, trans_a, a.shape[1], False, n, n, **options), c, a, panels, s)
        assert not error(c, expected, k, dtypes.float32)
        results.append(c)
    assert (results[0] == results[1]).all()


def test_a_batch_in_groups() -> None:
    """Heads of attention: matrices of one sample lie side by side, those of the next one further away."""
    a, b = random((4, 9, 3, 5), dtypes.float32, 1), random((3, 4, 5, 7), dtypes.float32, 2)
    s = random((4, 3, 9, 7), dtypes.float32, 3)
    c = np.empty((4, 3, 9, 7), np.float32)
    left, right = a.transpose(0, 2, 1, 3), b.transpose(1, 0, 2, 3)
    steps_a, steps_b, steps_s = left.strides[:2], right.strides[:2], s.strides
    groups = (4, 3), (steps_a[0], steps_a[1]), (steps_b[0], steps_b[1])
    run(
        blas.gemm_spec(dtypes.float32, 9, 7, 5, False, 15, False, 7, 7, *groups, beta=2.0, summand=steps_s),
        *(c, a, b, s),
    )
    assert not error(c, wide(left) @ wide(right) + 2.0 * wide(s), 5, dtypes.float32)


@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.float64], ids=lambda dtype: dtype.name)
@pytest.mark.parametrize(
    "shape",
    [
        (2, 400, 300, 700),
        (1, 129, 640, 1000),
        (1, 513, 130, 70),
        (1, 1, 5000, 90),
        (1, 5000, 1, 90),
        (3, 128, 128, 64),
        (1, 64, 9001, 700),
        (1, 1, 3000, 333),
        (1, 3000, 1, 333),
        (1, 100, 1200, 700),
    ],
)
@pytest.mark.parametrize("trans_a", [False, True])
@pytest.mark.parametrize("trans_b", [False, True])
def test_bits_do_not_depend_on_the_number_of_threads(
    dtype: dtypes.DType, shape: tuple[int, int, int, int], trans_a: bool, trans_b: bool
) -> None:
    batch, m, n, k = shape
    a = random((batch, k, m) if trans_a else (batch, m, k), dtype, 1)
    b = random((batch, n, k) if trans_b else (batch, k, n), dtype, 2)
    steps = (
        trans_a,
        a.shape[2],
        trans_b,
        b.shape[2],
        n,
        (1, batch),
        (0, a.strides[0]),
        (0, b.strides[0]),
    )
    results = []
    for count in (1, 2, 3, 7):
        threads.set_num_threads(count)
        c = np.empty((batch, m, n), dtype.numpy)
        run(blas.gemm_spec(dtype, m, n, k, *steps), c, a, b)
        results.append(c)
    assert all((c == results[0]).all() for c in results)


def test_small_products_stay_on_one_thread() -> None:
    for m in (1, 2, 8, 32, 64):
        product = blas.gemm_spec(dtypes.float32, m, m, m, False, m, False, m, m)
        assert product.n <= product.grain


def test_what_cannot_be_multiplied() -> None:
    with pytest.raises(
        KeyError, match="float32, float64, complex64, complex128, not int64; convert the operands"
    ):
        blas.gemm_spec(dtypes.int64, 2, 2, 2, False, 2, False, 2, 2)
    with pytest.raises(
        ValueError, match=r"the rows of A \(2x3 in memory\) overlap, as its row step is 0; copy it"
    ):
        blas.gemm_spec(dtypes.float32, 2, 2, 3, False, 0, False, 2, 2)
    with pytest.raises(ValueError, match="the row step of B is 2147483648, above 2147483647; copy it first"):
        blas.gemm_spec(dtypes.float32, 2, 2, 3, False, 3, False, 2**31, 2)
    with pytest.raises(ValueError, match="m=2147483648, n=1, k=1; the most is 2147483647"):
        blas.gemm_spec(dtypes.float32, 2**31, 1, 1, False, 1, False, 1, 1)


def test_the_library_tells_about_itself() -> None:
    assert blas.version()[0].isdigit()
    assert blas.kernel_in_use().isalnum()


# ---- OpenBLAS's own jobs on our pool ----


def multiply(library: ctypes.CDLL, c: Array, a: Array, b: Array) -> None:
    """One call of the library, which decides itself how many threads it wants."""
    n = len(a)
    pointer = [ctypes.c_void_p(x.ctypes.data) for x in (a, b, c)]
    one, zero = ctypes.c_double(1), ctypes.c_double(0)
    library.scipy_cblas_dgemm(101, 111, 111, n, n, n, one, pointer[0], n, pointer[1], n, zero, pointer[2], n)


def solve_and_check(n: int) -> None:
    a = random((n, n), dtypes.float64) + n * np.eye(n)
    right = random((n, 1), dtypes.float64, 5)
    matrix, x, pivots = a.copy(), right.copy(), np.zeros(n, np.int32)
    with blas.all_threads() as library:
        library.scipy_LAPACKE_dgesv(
            *(101, n, 1, ctypes.c_void_p(matrix.ctypes.data), n),
            *(ctypes.c_void_p(pivots.ctypes.data), ctypes.c_void_p(x.ctypes.data), 1),
        )
    assert np.allclose(a @ x, right)


def test_all_threads() -> None:
    count = blas.library().scipy_openblas_get_num_threads
    assert count() == 1
    solve_and_check(300)
    with blas.all_threads() as library:
        assert count() == 2
        with blas.all_threads():
            pass
        a, b, c = (
            random((400, 400), dtypes.float64, 1),
            random((400, 400), dtypes.float64, 2),
            np.empty((400, 400)),
        )
        multiply(library, c, a, b)
    assert count() == 1
    assert not error(c, a @ b, 400, dtypes.float64)


def test_openblas_wants_threads_while_the_pool_is_busy() -> None:
    """Its jobs wait for each other, so they may not wait for a pool whose chunks wait for them."""
    a, b = random((200, 200), dtypes.float64, 1), random((200, 200), dtypes.float64, 2)
    expected, wrong = a @ b, []

    @Kernel
    def kernel(operands: int, params: int, begin: int, end: int) -> int:
        c = np.empty_like(a)
        multiply(library, c, a, b)
        if error(c, expected, 200, dtypes.float64):
            wrong.append(begin)
        return 0

    with blas.all_threads() as library:
        address = ctypes.cast(kernel, ctypes.c_void_p)
        assert ParallelFor(threads.parallel_for_address())(address, None, None, 8, 1) == 0
        callers = [threading.Thread(target=kernel, args=(None, None, i, i + 1)) for i in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert wrong == []


def test_products_after_a_fork() -> None:
    script = """
import os, sys
sys.path.insert(0, sys.argv[1])
from test_blas import check, solve_and_check
from pellucid import dtypes
def use():
    check(dtypes.float32, 1, 200, 200, 700)
    check(dtypes.float32, 8, 64, 64, 64)
    solve_and_check(200)
use()
child = os.fork()
use()
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    environment = {**os.environ, "PELLUCID_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "ignore", "-c", script, str(Path(__file__).parent)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_loading_leaves_the_environment_as_it_was() -> None:
    script = """
import os, sys
from pellucid.runtime import blas
blas.library()
print(os.environ.get("OPENBLAS_NUM_THREADS"), "scipy_openblas32" in sys.modules)
"""
    for value in (None, "3"):
        environment = {key: text for key, text in os.environ.items() if key != "OPENBLAS_NUM_THREADS"}
        if value:
            environment["OPENBLAS_NUM_THREADS"] = value
        command = [sys.executable, "-c", script]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stdout == f"{value} False\n"
