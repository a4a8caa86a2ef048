"""Metrics of predicted quantities.

Shapes: predicted and actual (rows,) or (rows, outputs), the same for both; weights (rows,). A value that is
not finite makes the figure so too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.train.metrics.rows import paired, weighted_mean, weights_of


def r2(predicted: Any, actual: Any, weights: Any = None) -> float:
    """1 - sum (y - d)^2 / sum (d - mean d)^2, the mean over the outputs.

    1 is perfect, 0 is as good as always predicting the mean. Weights enter both sums and the mean of d. An
    output whose targets are constant counts 1 where it is predicted exactly, else 0.

    >>> r2(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))
    0.7857142857142857

    Source: Draper and Smith, Applied Regression Analysis, 3rd edition (1998), section 1.3.
    """
    predicted, actual, weights = _prepared("r2", predicted, actual, weights)
    residual = weighted_mean((predicted - actual) ** 2, weights)  # (outputs,)
    return float(np.mean(explained(residual, *variation(actual, weights))))


def variation(actual: NDArray, weights: NDArray) -> tuple[NDArray, NDArray]:
    """The variance of each output's targets (rows, ...), and which of them are constant."""
    total = weighted_mean((actual - weighted_mean(actual, weights)) ** 2, weights)
    # NOTE the mean of equal numbers can miss them by rounding: their `total` is then tiny, not 0.
    return total, (actual == actual[0]).all(axis=0) | (total == 0)


def explained(residual: NDArray, total: NDArray, constant: NDArray) -> NDArray:
    """The share of each output's variance that is explained; what `r2` says of constant targets."""
    return np.where(constant, residual == 0, 1 - residual / np.where(constant, 1.0, total))


def mean_absolute_error(predicted: Any, actual: Any, weights: Any = None) -> float:
    """The mean of |y - d| over all rows and outputs, in the target's units.

    >>> mean_absolute_error(np.array([1.0, 3.0]), np.array([2.0, 1.0]))
    1.5
    """
    predicted, actual, weights = _prepared("mean_absolute_error", predicted, actual, weights)
    return float(np.mean(weighted_mean(np.abs(predicted - actual), weights)))


def root_mean_squared_error(predicted: Any, actual: Any, weights: Any = None) -> float:
    """The square root of the mean of (y - d)^2 over all rows and outputs, in the target's units.

    >>> root_mean_squared_error(np.array([1.0, 7.0]), np.array([2.0, 0.0]))
    5.0
    """
    predicted, actual, weights = _prepared("root_mean_squared_error", predicted, actual, weights)
    return math.sqrt(np.mean(weighted_mean((predicted - actual) ** 2, weights)))


def _prepared(name: str, predicted: Any, actual: Any, weights: Any) -> tuple[NDArray, NDArray, NDArray]:
    left, right = paired(name, predicted, actual)
    return left.astype(np.float64), right.astype(np.float64), weights_of(name, weights, len(left))
