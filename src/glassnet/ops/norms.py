"""Norms of vectors and matrices."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from glassnet.core.dtype import is_floating
from glassnet.core.registry import FUNCTIONS, function
from glassnet.core.shape import normalize_axes
from glassnet.core.trace import Array
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.ops.arithmetic import abs, power, square
from glassnet.ops.comparison import not_equal, where
from glassnet.ops.extremum import max, min
from glassnet.ops.reduction import reduced_shape, root, sum
from glassnet.ops.shaping import reshape, transpose


def _power_norm(x: Any, order: float, axes: tuple[int, ...]) -> Any:
    # (sum |x|^p)^(1/p); at the zero vector its slope is taken as 0.
    total = sum(power(abs(x), float(order)), axes, keepdims=True)
    zero = total == 0
    return where(zero, 0.0, power(where(zero, total.dtype.type(1), total), 1.0 / order))


def _vector_norm(x: Any, order: Any, axes: tuple[int, ...]) -> Any:
    if order is None or order == 2:
        return root(sum(square(x), axes, keepdims=True))
    if order == 1:
        return sum(abs(x), axes, keepdims=True)
    if order == math.inf:
        return max(abs(x), axes, keepdims=True)
    if order == -math.inf:
        return min(abs(x), axes, keepdims=True)
    if order == 0:
        return sum(where(not_equal(x, 0), x.dtype.type(1), x.dtype.type(0)), axes, keepdims=True)
    if isinstance(order, (int, float)):
        return _power_norm(x, order, axes)
    raise ConfigurationError(f"norm got order {order!r} for a vector; it takes a number, inf, -inf or None.")


def _matrix_norm(x: Any, order: Any, rows: int, columns: int) -> Any:
    if order == "fro":
        return root(sum(square(x), (rows, columns), keepdims=True))
    if order in (1, -1, math.inf, -math.inf):
        inner, outer = (rows, columns) if order in (1, -1) else (columns, rows)
        return (max if order > 0 else min)(sum(abs(x), inner, keepdims=True), outer, keepdims=True)
    if order in (2, -2, "nuc"):
        values = FUNCTIONS["svdvals"](_matrices_last(x, rows, columns))
        reduce = {2: max, -2: min, "nuc": sum}[order]
        return reduce(values, axis=-1)
    raise ConfigurationError(
        f"norm got order {order!r} for a matrix; it takes 1, -1, 2, -2, inf, -inf, 'fro', 'nuc' or None."
    )


def _matrices_last(x: Any, rows: int, columns: int) -> Any:
    kept = [i for i in range(np.ndim(x)) if i not in (rows, columns)]
    return transpose(x, (*kept, rows, columns))


@function
def norm(x: Any, ord: Any = None, axis: int | Iterable[int] | None = None, keepdims: bool = False) -> Any:
    """The norm of vectors (one axis) or matrices (two axes); None: of all elements as one vector.

    For vectors `ord` is p in (sum |x|^p)^(1/p), 2 by default; inf and -inf give the largest and smallest
    |x|, 0 the number of nonzero elements. For matrices "fro" (default) is the root of the sum of squares, 1
    and inf the largest sum of |x| over a column and a row, 2 the largest singular value, "nuc" the sum of
    all, and -1, -2, -inf the smallest.

    Kinks: at the zero vector every slope is taken as 0. Elsewhere they are those of abs and max. For p < 1
    no element may be zero. Integers count as float64.

    >>> float(norm(np.array([3.0, 4.0])))
    5.0
    """
    x = x if type(x) is Array else np.asarray(x)
    x = x if is_floating(x.dtype) else x * 1.0
    shape = np.shape(x)
    if axis is None and ord is not None and len(shape) not in (1, 2):
        raise ShapeError(f"norm needs an axis for an array of shape {shape} and order {ord!r}.")
    listed = tuple(range(len(shape))) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = normalize_axes(listed, len(shape), "norm")
    if len(axes) == 1 or (axis is None and ord is None):
        result = _vector_norm(x, ord, axes)
    elif len(axes) == 2:
        rows, columns = (place % len(shape) for place in listed)
        result = _matrix_norm(x, "fro" if ord is None else ord, rows, columns)
    else:
        raise ShapeError(f"norm takes one axis for vectors and two for matrices; it got {axis}.")
    return reshape(result, reduced_shape(shape, axes, keepdims))
