"""The elements that values of a dtype are made of, in memory and in registers."""

from __future__ import annotations

from glassnet.compiler.loop_language import Type
from glassnet.core.dtype import DType
from glassnet.errors import UncompilableError

ELEMENTS = {
    "float32": "f32",
    "float64": "f64",
    "int32": "i32",
    "int64": "i64",
    "uint32": "i32",  # a word of random bits
    "bool": "i32",  # 0 or 1
}


def element_of(dtype: DType) -> str:
    """The element of the loop language that a dtype is stored as."""
    if dtype.name not in ELEMENTS:
        raise UncompilableError(f"values of dtype {dtype} are not compiled yet.")
    return ELEMENTS[dtype.name]


def value_type(dtype: DType, lanes: int) -> Type:
    """The type of `lanes` values of a dtype in registers: truth values are masks there."""
    return Type("i1" if dtype.kind == "b" else element_of(dtype), lanes)
