"""OpenBLAS called directly, through nothing but ctypes: what a matrix product costs at the least."""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import scipy_openblas32

ROW_MAJOR, NO_TRANSPOSE = 101, 111


def load(threads: int) -> ctypes.CDLL:
    """The library itself, set to a number of threads."""
    folder = Path(scipy_openblas32.get_lib_dir())
    library = ctypes.CDLL(str(next(folder.glob(f"lib{scipy_openblas32.get_library()}.*"))))
    library.scipy_openblas_set_num_threads(threads)
    return library


def square_product(n: int, threads: int) -> dict[str, Any]:
    """The names for the statement `sgemm()`: the product of two (n, n) float32 matrices into a third."""
    library = load(threads)
    generator = np.random.default_rng(0)
    a, b = (generator.standard_normal((n, n), dtype=np.float32) for _ in range(2))
    out = np.empty((n, n), dtype=np.float32)
    size, one, zero = ctypes.c_int(n), ctypes.c_float(1), ctypes.c_float(0)
    pointer = ctypes.POINTER(ctypes.c_float)
    left, right, result = (matrix.ctypes.data_as(pointer) for matrix in (a, b, out))  # keep the arrays alive
    sgemm = library.scipy_cblas_sgemm

    def call() -> None:
        sgemm(
            ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, size, size, size,
            one, left, size, right, size, zero, result, size,
        )  # fmt: skip

    return {"sgemm": call, "a": a, "b": b, "out": out}
