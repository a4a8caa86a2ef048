"""Comparisons, selection and the indicator of a class. What is piecewise constant has the derivative 0."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT32, DType
from glassnet.core.graph import Node
from glassnet.core.op import SUM, Formula
from glassnet.core.shape import Shape
from glassnet.ops.declare import constant, elementwise, function_formula, selection

_REASON = "a comparison is piecewise constant"


def _comparison(name: str, symbol: str) -> Any:
    return elementwise(
        name,
        value=lambda xp, x, y: getattr(xp, name)(x, y),
        reason=_REASON,
        result="bool",
        formula=Formula("{0} " + symbol + " {1}", SUM - 5),
        analytic=False,
        source="definition",
        summary=f"True where x {symbol} y.",
    )


less = _comparison("less", "<")
less_equal = _comparison("less_equal", "<=")
greater = _comparison("greater", ">")
greater_equal = _comparison("greater_equal", ">=")
equal = _comparison("equal", "==")
not_equal = _comparison("not_equal", "!=")


def _logical(name: str, template: str, summary: str) -> Any:
    return elementwise(
        name,
        value=lambda xp, *inputs: getattr(xp, name)(*inputs),
        reason="a truth value is piecewise constant",
        result="bool",
        formula=Formula(template, SUM - 6),
        analytic=False,
        source="definition",
        summary=summary,
    )


logical_and = _logical("logical_and", "{0} and {1}", "True where both x and y are other than 0.")
logical_or = _logical("logical_or", "{0} or {1}", "True where x or y is other than 0.")
logical_xor = _logical("logical_xor", "{0} xor {1}", "True where one of x and y is 0 and the other is not.")
logical_not = _logical("logical_not", "not {0}", "True where x is 0.")
isnan = _logical("isnan", "isnan({0})", "True where x is not a number.")
isinf = _logical("isinf", "isinf({0})", "True where x is infinite.")
isfinite = _logical("isfinite", "isfinite({0})", "True where x is neither infinite nor NaN.")
signbit = _logical("signbit", "signbit({0})", "True where x carries a minus sign, -0.0 included.")


def _bitwise(name: str, template: str, summary: str) -> Any:
    return elementwise(
        name,
        value=lambda xp, *inputs: getattr(xp, name)(*inputs),
        reason="bits are whole numbers",
        result="whole",
        formula=Formula(template, SUM - 4),
        analytic=False,
        source="definition",
        summary=summary,
    )


bitwise_and = _bitwise("bitwise_and", "{0} & {1}", "The bits that x and y share; of booleans, both.")
bitwise_or = _bitwise("bitwise_or", "{0} | {1}", "The bits of x and of y; of booleans, either.")
bitwise_xor = _bitwise("bitwise_xor", "{0} ^ {1}", "The bits in which x and y differ.")
invert = _bitwise("invert", "~{0}", "The bits of x, each turned over; of booleans, not.")

where = selection(
    "where",
    value=lambda xp, condition, x, y: xp.where(condition, x, y),
    transpose=lambda position, cotangent, inputs: (
        where(inputs[0], cotangent, 0.0) if position == 1 else where(inputs[0], 0.0, cotangent)
    ),
    formula=function_formula("({1} if {0} else {2})"),
    analytic=False,
    source="definition",
    summary="x where the condition holds, else y.",
)


def choose(condition: Any, yes: float, no: float, like: Any) -> Any:
    """`where` between two numbers at the dtype of `like`: a condition alone would make them float64."""
    return where(condition, like.dtype.type(yes), like.dtype.type(no))


def _one_hot_value(xp: Any, labels: Any, *, classes: int, dtype: DType) -> Any:
    return (xp.expand_dims(labels, -1) == xp.arange(classes)).astype(dtype)


def _one_hot_shape(labels: Node, *, classes: int, dtype: DType) -> tuple[Shape, DType]:
    return (*labels.shape, classes), dtype


def _one_hot_batch(inputs: Sequence[Any], _batched: Sequence[bool], attributes: Mapping[str, Any]) -> Any:
    return _one_hot(inputs[0], **attributes)


_one_hot = constant(
    "one_hot",
    value=_one_hot_value,
    infer=_one_hot_shape,
    reason="labels are whole numbers",
    batch=_one_hot_batch,
    formula=function_formula("onehot({0})"),
    analytic=False,
    source="definition",
    summary="The indicator vector of a class: 1 at the label, 0 elsewhere.",
)


def one_hot(labels: Any, classes: int, dtype: DType = FLOAT32) -> Any:
    """Indicator vectors: 1 at the label, 0 elsewhere; a label outside 0 .. classes-1 gives zeros.

    Shapes: labels (...) integers -> (..., classes).

    >>> one_hot(np.array([1, 0]), 3)
    array([[0., 1., 0.],
           [1., 0., 0.]], dtype=float32)
    """
    return _one_hot(labels, classes=classes, dtype=np.dtype(dtype))
