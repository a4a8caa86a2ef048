"""The data types that glassnet computes with, and the one place that decides what a Python number becomes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.errors import DTypeError

DType = np.dtype[Any]
NDArray = npt.NDArray[Any]

FLOAT32: DType = np.dtype(np.float32)
FLOAT64: DType = np.dtype(np.float64)
INT8: DType = np.dtype(np.int8)
INT32: DType = np.dtype(np.int32)
INT64: DType = np.dtype(np.int64)
UINT64: DType = np.dtype(np.uint64)
BOOL: DType = np.dtype(np.bool_)


def is_floating(dtype: DType) -> bool:
    """True for float32, float64 and their like: the types that carry derivatives."""
    return dtype.kind == "f"


def floating(name: object, where: str) -> DType:
    """The floating dtype called `name` ("float32" or "float64"); anything else is a `DTypeError`."""
    try:
        dtype: DType | None = np.dtype(name)  # type: ignore[call-overload]
    except TypeError:
        dtype = None
    if dtype is None or dtype not in (FLOAT32, FLOAT64):
        raise DTypeError(f'{where} got dtype {name!r}; it computes in "float32" or "float64".')
    return dtype


def weak_dtype(number: bool | int | float, others: DType | None) -> DType:
    """The dtype that a Python number takes beside arrays of dtype `others` (None: it stands alone).

    As in NumPy 2: a Python number adopts the array's type where that can hold its kind.
    """
    if isinstance(number, bool):
        return BOOL
    if isinstance(number, int):
        return INT64 if others is None or others.kind == "b" else others
    return others if others is not None and is_floating(others) else FLOAT64
