"""Runs a formula on NumPy arrays: by its kernel, and by its printed loops."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from pellucid.codegen.kernels import kernel_address
from pellucid.codegen.schedule import Schedule, schedule
from pellucid.dtypes import DTYPES, DType
from pellucid.formula.formula import Formula, Scatter
from pellucid.layout import Layout, layout_of

_BY_NUMPY = {d.numpy: d for d in DTYPES.values()}


def dtype_of(array: np.ndarray[Any, Any]) -> DType:
    return _BY_NUMPY[array.dtype]


def layout(array: np.ndarray[Any, Any]) -> Layout:
    return layout_of(array.shape, tuple(s // array.itemsize for s in array.strides), dtype_of(array))


def scheduled(
    formula: Formula | Scatter, operands: list[Any], sizes: tuple[int, ...], results: list[Any], **options: Any
) -> Schedule:
    layouts = [layout(x) if isinstance(x, np.ndarray) else None for x in operands]
    return schedule(formula, layouts, sizes, [layout(r) for r in results], cache_bytes=1 << 25, **options)


def run_kernel(
    formula: Formula | Scatter,
    operands: list[Any],
    sizes: tuple[int, ...],
    results: list[np.ndarray[Any, Any]],
    part: int | None = None,
    **options: Any,
) -> int:
    """Run the compiled kernel in parts of ``part`` units, one after the other; the status bits."""
    made = scheduled(formula, operands, sizes, results, **options)
    arguments = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
    kernel = ctypes.CFUNCTYPE(ctypes.c_int64, *arguments)(kernel_address(made.nest))
    words = np.array([_word(x) for x in [*results, *operands]], dtype=np.int64)
    params = np.array(made.params, dtype=np.int64)
    status, step = 0, part or made.grain
    for begin in range(0, made.cells, step):
        status |= kernel(words.ctypes.data, params.ctypes.data, begin, min(begin + step, made.cells))
    return status


def _word(operand: Any) -> int:
    if isinstance(operand, np.ndarray):
        return operand.ctypes.data
    return int(np.float64(operand).view(np.int64)) if isinstance(operand, float) else int(operand)
