"""The rows that every system trains on: the same numbers for the same case, from a fixed seed."""

from __future__ import annotations

import numpy as np
from cases import Case

NOISE = 0.35
MISLABELLED = 0.1  # without them the loss would be gone within the warm-up


def samples(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Float32 `X` (rows, *row) and `y`: int64 labels (rows,), or float32 targets (rows, outputs)."""
    if case.loss == "mean_squared_error":
        X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
        return X, np.array([[0], [1], [1], [0]], np.float32)
    classes = case.outputs if case.loss == "cross_entropy" else 2
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, case.rows)
    prototypes = rng.random((classes, *case.row))
    X = np.clip(prototypes[labels] + NOISE * rng.standard_normal((case.rows, *case.row)), 0, 1)
    mislabelled = rng.random(case.rows) < MISLABELLED
    labels[mislabelled] = rng.integers(0, classes, mislabelled.sum())
    X = X.astype(np.float32)
    return (X, labels) if case.loss == "cross_entropy" else (X, labels[:, None].astype(np.float32))
