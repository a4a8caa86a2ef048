"""Diagonals and triangles of matrices. All of it is linear, composed of slices and of `where`."""

from __future__ import annotations

from typing import Any

import numpy as np

from glassnet.core.registry import FUNCTIONS, function
from glassnet.errors import ShapeError
from glassnet.ops.comparison import where
from glassnet.ops.shaping import concatenate, expand_dims, moveaxis, one_axis, operand, ravel, reshape


@function
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal `offset` of the matrices at `axis1` and `axis2`, as a new last axis.

    y_i = x[i, i + offset]. The transpose puts values back onto the diagonal of zeros.

    >>> diagonal(np.arange(9).reshape(3, 3), offset=1)
    array([1, 5])
    """
    x = operand(x)
    if x.ndim < 2:
        raise ShapeError(f"diagonal needs at least 2 dimensions; it got shape {x.shape}.")
    first, second = one_axis(axis1, x.ndim, "diagonal"), one_axis(axis2, x.ndim, "diagonal")
    if first == second:
        raise ShapeError(f"diagonal needs two different axes; it got {axis1} and {axis2}.")
    moved = moveaxis(x, (first, second), (-2, -1))
    *lead, rows, columns = moved.shape
    length = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    # Row by row, a step down the diagonal is columns + 1 elements.
    start = offset if offset >= 0 else -offset * columns
    stop = start + (length - 1) * (columns + 1) + 1
    flat = reshape(moved, (*lead, rows * columns))
    return flat[..., start : stop : columns + 1] if length else flat[..., :0]


@function
def diag(x: Any, k: int = 0) -> Any:
    """Of a vector the matrix that has it on diagonal `k`; of a matrix the diagonal `k`.

    >>> diag(np.array([1.0, 2.0]))
    array([[1., 0.],
           [0., 2.]])
    """
    x = operand(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(f"diag takes a vector or a matrix; it got shape {x.shape}.")
    zero = x.dtype.type(0)
    rest = np.zeros(abs(k), x.dtype)
    column = concatenate([x, rest] if k >= 0 else [rest, x])
    return where(np.eye(len(column), k=k, dtype=bool), expand_dims(column, 1), zero)


@function
def diagflat(x: Any, k: int = 0) -> Any:
    """The matrix with all elements of `x` on diagonal `k`.

    >>> diagflat(np.array([[1.0], [2.0]]))
    array([[1., 0.],
           [0., 2.]])
    """
    return diag(ravel(x), k)


@function
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum over a diagonal: sum_i x[i, i + offset].

    >>> float(trace(np.array([[1.0, 2.0], [3.0, 4.0]])))
    5.0
    """
    return FUNCTIONS["sum"](diagonal(x, offset, axis1, axis2), axis=-1)


def _matrix(x: Any, name: str) -> Any:
    x = operand(x)
    if x.ndim < 2:
        raise ShapeError(f"{name} takes matrices; it got shape {x.shape}.")
    return x


@function
def tril(x: Any, k: int = 0) -> Any:
    """The lower triangle of each matrix: zeros above the diagonal `k`.

    >>> tril(np.ones((2, 2)))
    array([[1., 0.],
           [1., 1.]])
    """
    x = _matrix(x, "tril")
    return where(np.tri(x.shape[-2], x.shape[-1], k, dtype=bool), x, x.dtype.type(0))


@function
def triu(x: Any, k: int = 0) -> Any:
    """The upper triangle of each matrix: zeros below the diagonal `k`.

    >>> triu(np.ones((2, 2)))
    array([[1., 1.],
           [0., 1.]])
    """
    x = _matrix(x, "triu")
    return where(np.tri(x.shape[-2], x.shape[-1], k - 1, dtype=bool), x.dtype.type(0), x)
