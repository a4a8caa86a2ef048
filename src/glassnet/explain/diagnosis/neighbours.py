"""What the nearest other rows say of each row: what the data itself knows, without any network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glassnet.core.dtype import NDArray

NEIGHBOURS = 10


@dataclass(frozen=True)
class Neighbours:
    """Answers of the nearest NEIGHBOURS other rows, in standardised inputs.

    For classes: `said` (rows,) is the class with most votes and `votes` (rows,) its share; `skill` is that of
    always believing them, from 0 for the most frequent class to 1 (for values R2), and `error` its standard
    error.

    >>> x = np.repeat(np.arange(2.0), 50)[:, None]
    >>> Neighbours.of(x, np.repeat([0, 1], 50), True).skill
    1.0

    Source: Cover and Hart, IEEE Transactions on Information Theory 13 (1967).
    """

    said: NDArray
    votes: NDArray
    skill: float
    error: float

    @staticmethod
    def of(x: NDArray, target: NDArray, classes: bool) -> Neighbours:
        """The answers for rows x (rows, features) with class numbers (rows,) or values (rows, outputs)."""
        spread = x.std(axis=0, dtype=np.float64)
        x = (x - x.mean(axis=0, dtype=np.float64)) / np.where(spread > 0, spread, 1.0)
        squares = (x * x).sum(axis=1)
        distance = squares[:, None] + squares - 2 * (x @ x.T)
        np.fill_diagonal(distance, np.inf)
        nearest = np.argpartition(distance, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        rows = len(x)
        if not classes:
            target = target.reshape(rows, -1).astype(np.float64)
            said = target[nearest].mean(axis=1)
            total = np.square(target - target.mean(axis=0)).sum()
            skill = 1 - np.square(target - said).sum() / total if total > 0 else 0.0
            return Neighbours(said, np.ones(rows), float(skill), 1 / np.sqrt(rows))
        votes = np.eye(int(target.max()) + 1)[target][nearest].mean(axis=1)  # (rows, classes)
        said = votes.argmax(axis=1)
        common = np.bincount(target).max() / rows
        right = float(np.mean(said == target))
        left = max(1 - common, 1 / rows)
        error = float(np.sqrt(max(common * (1 - common), 0.25 / rows) / rows)) / left
        return Neighbours(said, votes.max(axis=1), float((right - common) / left), error)
