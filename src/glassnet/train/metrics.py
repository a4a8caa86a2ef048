"""How good predictions are, from arrays of predictions and targets."""

from __future__ import annotations

import numpy as np

from glassnet.core.dtype import NDArray


def accuracy(predicted: NDArray, actual: NDArray) -> float:
    """The share of labels that agree.

    >>> accuracy(np.array([1, 2, 3]), np.array([1, 2, 0]))
    0.6666666666666666
    """
    return float(np.mean(predicted == actual))


def r2(predicted: NDArray, actual: NDArray) -> float:
    """1 - sum (y - d)^2 / sum (d - mean d)^2, the mean over the outputs; constant targets give 0 or 1.

    1 is perfect, 0 is as good as always predicting the mean.

    >>> r2(np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    1.0
    """
    actual, predicted = actual.astype(np.float64), predicted.astype(np.float64)
    residual = ((predicted - actual) ** 2).sum(axis=0)
    total = ((actual - actual.mean(axis=0)) ** 2).sum(axis=0)
    perfect = np.where(residual == 0, 1.0, 0.0)
    return float(np.mean(np.where(total > 0, 1 - residual / np.where(total > 0, total, 1), perfect)))


def mean_absolute_error(predicted: NDArray, actual: NDArray) -> float:
    """The mean of |y - d| over all rows and outputs, in the target's units.

    >>> mean_absolute_error(np.array([1.0, 3.0]), np.array([2.0, 1.0]))
    1.5
    """
    return float(np.mean(np.abs(predicted.astype(np.float64) - actual)))
