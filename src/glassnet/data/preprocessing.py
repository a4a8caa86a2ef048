"""Scaling of columns: what training needs to see numbers of ordinary size, and how to come back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def constant_columns(X: np.ndarray) -> np.ndarray:
    """The ascending indices of the columns of X, shape (rows, columns), that hold one value throughout."""
    return np.flatnonzero(X.max(axis=0) == X.min(axis=0))


@dataclass(frozen=True)
class Standardizer:
    """Shift and scale each column to mean 0 and standard deviation 1: z = (x - mean) / scale.

    `mean` and `scale` have shape (columns,) and the units of their columns; z has none. The scale of a
    constant column is 1, so that it becomes 0 and not a division by zero.

    >>> scaling = Standardizer.fit(np.array([[1.0, 7.0], [3.0, 7.0]]))
    >>> scaling.apply(np.array([[5.0, 7.0]]))
    array([[3., 0.]])
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, X: np.ndarray) -> Standardizer:
        """The standardizer of the rows of X, shape (rows, columns), by the population deviation."""
        # NOTE: the deviation of a constant 0.1 is about 1e-17 and not 0; its computed mean is not 0.1 either.
        constant = constant_columns(X)
        mean, scale = X.mean(axis=0), X.std(axis=0)
        mean[constant], scale[constant] = X[0, constant], 1.0
        scale[scale == 0.0] = 1.0  # columns that differ by less than a rounding error
        return cls(mean, scale)

    def apply(self, X: np.ndarray) -> np.ndarray:
        """The standardised X, of the same shape (rows, columns)."""
        return (X - self.mean) / self.scale

    def invert(self, Z: np.ndarray) -> np.ndarray:
        """The X, shape (rows, columns), in the units of its columns, for which `apply(X)` is Z."""
        return Z * self.scale + self.mean
