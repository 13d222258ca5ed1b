"""The element types by themselves; tests/conformance/test_dtypes_reference.py compares them with PyTorch."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import ml_dtypes
import numpy as np
import pytest

from pellucid import dtypes
from pellucid.dtypes import DType, from_numpy_dtype, infer_scalar_dtype, require_dtype, result_dtype


@pytest.fixture(autouse=True)
def default_restored() -> Iterator[None]:
    yield
    dtypes.set_default_dtype(dtypes.float32)


@pytest.mark.parametrize("dtype", dtypes.DTYPES.values(), ids=str)
def test_one_object_per_type(dtype: DType) -> None:
    assert pickle.loads(pickle.dumps(dtype)) is dtype
    assert copy.copy(dtype) is dtype
    assert copy.deepcopy({"dtype": [dtype]})["dtype"][0] is dtype
    assert from_numpy_dtype(dtype.numpy) is dtype
    assert dtype.itemsize == dtype.numpy.itemsize


def test_no_new_types_and_no_changes() -> None:
    with pytest.raises(TypeError, match="cannot create 'torch.dtype' instances"):
        DType()
    with pytest.raises(AttributeError, match="torch.float32 is one object"):
        dtypes.float32.name = "other"


def test_names() -> None:
    assert repr(dtypes.float32) == str(dtypes.float32) == "torch.float32"
    assert dtypes.PUBLIC_NAMES["long"] is dtypes.int64
    assert dtypes.PUBLIC_NAMES["bool"] is dtypes.bool_
    assert dtypes.bfloat16.numpy == ml_dtypes.bfloat16
    assert dtypes.float32.tensor_type() == "torch.FloatTensor"
    assert dtypes.int64.tensor_type("cuda") == "torch.cuda.LongTensor"


def test_python_types_are_taken_as_dtypes() -> None:
    assert require_dtype(float, "zeros") is dtypes.float64
    assert require_dtype(int, "zeros") is dtypes.int64
    assert require_dtype(bool, "zeros") is dtypes.bool_
    assert require_dtype(complex, "zeros") is dtypes.complex128


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "float32",
            r"zeros\(\): argument 'dtype' must be torch.dtype, not str; write torch.float32 without quotes",
        ),
        (np.float32, "not type; NumPy's types are not taken: write torch.float32"),
        (np.dtype("int64"), "write torch.int64"),
        (3, "must be torch.dtype, not int$"),
        ([], "must be torch.dtype, not list$"),
    ],
)
def test_what_is_no_dtype(value: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        require_dtype(value, "zeros")


def test_promotion_errors() -> None:
    with pytest.raises(RuntimeError, match="torch.uint16 and torch.int8 have no common type; convert one"):
        dtypes.promote_types(dtypes.uint16, dtypes.int8)
    with pytest.raises(
        TypeError, match=r"promote_types\(\): argument 'type2' \(position 2\) must be torch.dtype"
    ):
        dtypes.promote_types(dtypes.int8, 3)  # type: ignore[arg-type]


def test_result_dtype() -> None:
    assert result_dtype([(dtypes.int32, 1), 1.5]) is dtypes.float32
    assert result_dtype([(dtypes.float32, 2), (dtypes.float64, 0)]) is dtypes.float32
    assert result_dtype([(dtypes.int8, 0), 300]) is dtypes.int8
    assert result_dtype([(dtypes.bool_, 1), 2]) is dtypes.int64
    assert result_dtype([True, 2]) is dtypes.int64
    assert result_dtype([(dtypes.int32, 1), np.float64(1.5)]) is dtypes.float32
    dtypes.set_default_dtype(dtypes.float64)
    assert result_dtype([(dtypes.int32, 1), 1.5]) is dtypes.float64
    assert result_dtype([(dtypes.int32, 1), 1j]) is dtypes.complex128
    with pytest.raises(ValueError, match="at least one operand"):
        result_dtype([])


def test_half_has_no_complex_type() -> None:
    with pytest.raises(NotImplementedError, match="convert to torch.float32 first"):
        result_dtype([(dtypes.float16, 1), 1j])


def test_default_dtype() -> None:
    dtypes.set_default_dtype(dtypes.bfloat16)
    assert dtypes.get_default_dtype() is dtypes.bfloat16
    assert dtypes.get_default_complex_dtype() is dtypes.complex64
    for wrong in (dtypes.int8, dtypes.complex64, 3):
        with pytest.raises(TypeError, match="only floating-point types are supported as the default type"):
            dtypes.set_default_dtype(wrong)  # type: ignore[arg-type]
    assert dtypes.get_default_dtype() is dtypes.bfloat16


def test_dtype_of_one_number() -> None:
    assert infer_scalar_dtype(True) is dtypes.bool_
    assert infer_scalar_dtype(3) is dtypes.int64
    assert infer_scalar_dtype(3.0) is dtypes.float32
    assert infer_scalar_dtype(3j) is dtypes.complex64
    assert infer_scalar_dtype(np.float64(3)) is dtypes.float64
    assert infer_scalar_dtype(np.uint8(3)) is dtypes.uint8
    with pytest.raises(RuntimeError, match="Could not infer dtype of NoneType"):
        infer_scalar_dtype(None)


def test_numpy_types() -> None:
    assert from_numpy_dtype(np.dtype(np.longlong)) is dtypes.int64
    with pytest.raises(TypeError, match=r"can't convert np.ndarray of type numpy.object_\. .*unequal lists"):
        from_numpy_dtype(np.dtype(object))
    with pytest.raises(TypeError, match=r"numpy.str_\. The only supported types are: float64"):
        from_numpy_dtype(np.dtype("U3"))
    with pytest.raises(ValueError, match="byte order different from the native"):
        from_numpy_dtype(np.dtype(np.float32).newbyteorder())


def test_limits() -> None:
    assert dtypes.finfo().dtype == "float32"
    assert dtypes.finfo(dtypes.bfloat16).eps == 2**-7
    assert dtypes.iinfo(dtypes.uint64).max == 2**64 - 1
    assert dtypes.iinfo(dtypes.int8) == dtypes.iinfo(dtypes.int8) != dtypes.iinfo(dtypes.int16)
    assert dtypes.finfo(dtypes.float32) == dtypes.finfo(dtypes.complex64)
    with pytest.raises(TypeError, match="Use torch.iinfo to handle torch.int8"):
        dtypes.finfo(dtypes.int8)
    with pytest.raises(TypeError, match="Use torch.finfo to handle torch.float32"):
        dtypes.iinfo(dtypes.float32)
    with pytest.raises(TypeError, match="torch.bool is not supported by torch.iinfo"):
        dtypes.iinfo(dtypes.bool_)
