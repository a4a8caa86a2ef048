"""Indexing by whole numbers, slices, None and ... ; its transpose puts values back into zeros."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from glassnet.core.dtype import DType
from glassnet.core.graph import Node
from glassnet.core.op import Formula
from glassnet.core.registry import function
from glassnet.core.shape import Shape
from glassnet.errors import DTypeError, ShapeError
from glassnet.ops.declare import function_formula, linear

Index = tuple[Any, ...]


def _shape_at(shape: Shape, index: Index) -> Shape:
    # A broadcast view of one element has every shape at no cost: NumPy itself says what is left.
    try:
        return np.broadcast_to(np.empty(()), shape)[index].shape
    except IndexError as error:
        raise ShapeError(f"The index {index} does not fit the shape {shape}: {error}.") from None


def _scatter_value(xp: Any, x: Any, *, index: Index, shape: Shape) -> Any:
    out = xp.zeros(shape, dtype=x.dtype)
    out[index] = x
    return out


_getitem = linear(
    "getitem",
    value=lambda xp, x, *, index: x[index],
    infer=lambda x, *, index: (_shape_at(x.shape, index), x.dtype),
    transpose=lambda position, cotangent, inputs, *, index: _scatter(
        cotangent, index=index, shape=inputs[0].shape
    ),
    batch=lambda inputs, batched, attributes: _getitem(inputs[0], index=(slice(None), *attributes["index"])),
    formula=Formula("{0}[{index}]"),
    source="definition",
    summary="The elements that a basic index selects.",
)


def _scatter_infer(x: Node, *, index: Index, shape: Shape) -> tuple[Shape, DType]:
    if _shape_at(shape, index) != x.shape:
        raise ShapeError(f"Values of shape {x.shape} do not fit the index {index} of shape {shape}.")
    return shape, x.dtype


def _scatter_batch(inputs: Sequence[Any], _batched: Sequence[bool], attributes: Mapping[str, Any]) -> Any:
    index, shape = attributes["index"], attributes["shape"]
    return _scatter(inputs[0], index=(slice(None), *index), shape=(len(inputs[0]), *shape))


_scatter = linear(
    "scatter",
    value=_scatter_value,
    infer=_scatter_infer,
    transpose=lambda position, cotangent, inputs, *, index, shape: _getitem(cotangent, index=index),
    batch=_scatter_batch,
    formula=function_formula("scatter({0})"),
    source="the transpose of indexing",
    summary="Zeros of the given shape with values at a basic index.",
)


@function
def getitem(x: Any, index: Any) -> Any:
    """The elements of `x` at a basic index: whole numbers, slices, None and Ellipsis.

    >>> float(getitem(np.array([1.0, 5.0]), 1))
    5.0
    """
    parts = cast("Index", index if isinstance(index, tuple) else (index,))
    normal: list[Any] = []
    for part in parts:
        if isinstance(part, (int, np.integer)) and not isinstance(part, bool):
            normal.append(int(part))
        elif part is None or part is Ellipsis or isinstance(part, slice):
            normal.append(part)
        else:
            raise DTypeError(
                "A traced array takes whole numbers, slices, None and ... as an index; "
                f"it got {type(part).__name__}."
            )
    return _getitem(x, index=tuple(normal))
