"""Conversion between dtypes: between floating types the derivative passes, all else is constant."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import DType, is_floating
from glassnet.core.graph import Node
from glassnet.core.op import Formula
from glassnet.core.registry import function
from glassnet.core.shape import Shape
from glassnet.errors import DTypeError
from glassnet.ops.declare import constant, function_formula, linear


def _infer(x: Node, *, dtype: DType) -> tuple[Shape, DType]:
    return x.shape, dtype


def _batch(inputs: Sequence[Any], _batched: Sequence[bool], attributes: Mapping[str, Any]) -> Any:
    return astype(inputs[0], **attributes)


_convert = linear(
    "convert",
    value=lambda xp, x, *, dtype: xp.asarray(x, dtype=dtype)[()],
    infer=_infer,
    transpose=lambda position, cotangent, inputs, *, dtype: astype(cotangent, inputs[0].dtype),
    batch=_batch,
    formula=Formula("{0}"),
    analytic=False,  # a real type has no room for a complex step
    source="definition",
    summary="The same numbers in another floating type.",
)
_cast = constant(
    "cast",
    value=lambda xp, x, *, dtype: xp.asarray(x, dtype=dtype)[()],
    infer=_infer,
    reason="integers and booleans carry no derivative",
    batch=_batch,
    formula=function_formula("{dtype}({0})"),
    analytic=False,
    source="definition",
    summary="The numbers in another type, where one of the two is not floating.",
)


@function
def astype(x: Any, dtype: Any) -> Any:
    """`x` as another dtype; itself where it is of that dtype already.

    The shape is that of x. Between floating types the derivative passes, in the type of x; to and from
    integers and booleans it is 0. Raises DTypeError for a dtype that is not of numbers.

    >>> astype(np.array([1.7, -1.7]), "int64")
    array([ 1, -1])

    Source: definition.
    """
    wanted, own = np.dtype(dtype), x.dtype if hasattr(x, "dtype") else np.result_type(x)
    if wanted.kind not in "fbiu":
        raise DTypeError(f"astype got dtype {wanted}; glassnet computes with real numbers and booleans.")
    if wanted == own and hasattr(x, "dtype"):
        return x
    return (_convert if is_floating(wanted) and is_floating(own) else _cast)(x, dtype=wanted)
