"""Scattering: x[index] = values and x[index] += values as functions that give a new array."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import INT64, weak_dtype
from glassnet.core.registry import function
from glassnet.core.shape import broadcast_shapes, size_of
from glassnet.errors import ShapeError
from glassnet.ops.arithmetic import maximum
from glassnet.ops.comparison import where
from glassnet.ops.declare import constant, function_formula
from glassnet.ops.indexing import gather, getitem, operand, put_add
from glassnet.ops.shaping import broadcast_to, reshape


def _writer_value(xp: Any, positions: Any, *, size: int) -> Any:
    owner = xp.full(size, -1, dtype=INT64)
    flat = xp.reshape(positions, (-1,))
    xp.maximum.at(owner, flat, xp.arange(len(flat)))  # NOTE in place; jax.numpy writes owner.at[flat].max
    return owner


def _writer_batch(inputs: Sequence[Any], _batched: Sequence[bool], attributes: Mapping[str, Any]) -> Any:
    # The arrays of all examples as one, and the numbers within each example restored.
    positions, size = inputs[0], attributes["size"]
    extent, *shape = np.shape(positions)
    example = np.arange(extent, dtype=INT64)
    together = positions + example.reshape(extent, *(1,) * len(shape)) * size
    owner = reshape(_writer(together, size=extent * size), (extent, size))
    return maximum(owner - example[:, None] * size_of(tuple(shape)), -1)


_writer = constant(
    "last_writer",
    value=_writer_value,
    infer=lambda positions, *, size: ((size,), INT64),
    reason="the number of a writer is a whole number",
    batch=_writer_batch,
    formula=function_formula("writer({0})"),
    analytic=False,
    source="definition",
    summary="For every place of an array the number of the last value that is written there, -1 for none.",
)


def _placed(x: Any, index: Any, values: Any, name: str) -> tuple[Any, Any, Any]:
    """x, the values broadcast over what the index selects, and where that lies in x row by row."""
    x = operand(x)
    positions = getitem(np.arange(x.size, dtype=INT64).reshape(x.shape), index)
    if isinstance(values, (bool, int, float)) and not isinstance(values, np.generic):
        values = np.asarray(values, weak_dtype(values, x.dtype))
    values = operand(values)
    if broadcast_shapes(name, values.shape, positions.shape) != positions.shape:
        raise ShapeError(
            f"{name} got values of shape {values.shape} for an index that selects shape {positions.shape}."
        )
    return x, broadcast_to(values, positions.shape), positions


@function
def scatter_add(x: Any, index: Any, values: Any) -> Any:
    """`x` with `values` added at `index`: x[index] += values in a new array.

    The index is any that x[index] takes, and the values broadcast over what it selects. Where a place is
    named more than once all its values add up (as in numpy.add.at).

    >>> scatter_add(np.zeros(3), [0, 2, 2], np.array([1.0, 2.0, 3.0]))
    array([1., 0., 5.])
    """
    x, values, positions = _placed(x, index, values, "scatter_add")
    added = put_add(reshape(values, (values.size,)), reshape(positions, (values.size,)), shape=(x.size,))
    return x + reshape(added, x.shape)


@function
def scatter(x: Any, index: Any, values: Any) -> Any:
    """`x` with `values` at `index`: x[index] = values in a new array.

    The index is any that x[index] takes, and the values broadcast over what it selects. Where a place is
    named more than once it holds the last of its values, which alone takes the derivative.

    >>> scatter(np.zeros(3), slice(1, None), np.array([1.0, 2.0]))
    array([0., 1., 2.])
    """
    x, values, positions = _placed(x, index, values, "scatter")
    if values.size == 0:
        return x
    owner = _writer(positions, size=x.size)
    written = gather(reshape(values, (values.size,)), maximum(owner, 0))
    return reshape(where(owner >= 0, written, reshape(x, (x.size,))), x.shape)
