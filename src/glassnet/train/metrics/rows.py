"""What all metrics ask of their arrays: one entry for each row, shapes that agree, weights that weigh."""

from __future__ import annotations

from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.errors import DataError, ShapeError


def paired(name: str, predicted: Any, actual: Any) -> tuple[NDArray, NDArray]:
    """Both as arrays of one shape (rows, ...) with at least one row.

    Raises ShapeError for shapes that differ, DataError where there is no row; `name` is the metric's.
    """
    left, right = np.asarray(predicted), np.asarray(actual)
    # NOTE never broadcast here: (n,) against (n, 1) would silently compare everything with everything.
    if left.shape != right.shape or left.ndim == 0:
        raise ShapeError(
            f"{name} compares predictions of shape {left.shape} with targets of shape {right.shape}; give "
            "both one shape, with one entry for each row."
        )
    if left.size == 0:
        raise DataError(f"{name} got no rows; give at least one.")
    return left, right


def weights_of(name: str, weights: Any, rows: int) -> NDArray:
    """The rows' weights (rows,) in float64; None gives every row the weight 1.

    Raises ShapeError for another number of weights; DataError for one that is negative or not finite, and
    where all are zero.
    """
    if weights is None:
        return np.ones(rows)
    array = np.asarray(weights, np.float64)
    if array.shape != (rows,):
        raise ShapeError(f"{name} got weights of shape {array.shape} for {rows} rows; give one for each row.")
    wrong = ~(np.isfinite(array) & (array >= 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(f"{name} got the weight {array[row]} in row {row}; weights are finite and 0 or more.")
    if not array.any():
        raise DataError(f"{name} got weights that are all zero; give at least one row a positive weight.")
    return array


def weighted_mean(values: NDArray, weights: NDArray) -> NDArray:
    """The mean over the rows of `values` (rows, ...) -> (...)."""
    return np.tensordot(weights, values, axes=1) / weights.sum()
