"""What a target column asks for: a class or a quantity, decided by one rule and explained in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from glassnet.errors import DataError

_MOST_CLASSES = 20
_ROWS_PER_CLASS = 5


@dataclass(frozen=True)
class Target:
    """A target column ready to learn: text or int64 labels for classification, float64 for regression."""

    task: Literal["classification", "regression"]
    values: np.ndarray
    reason: str


def decide_target(values: np.ndarray, where: str) -> Target:
    """Say whether a column without missing values holds classes or quantities, and why.

    Classification: text; true and false; two distinct whole numbers; or whole numbers with at most 20
    distinct values, each of which has 5 rows or more on average. Everything else is regression. Numbers
    stored as floats count as whole where none has a fraction. `where` begins the sentence of an error.

    Raises `DataError` where all values are equal, or where no class has the 3 rows that leave one to test.

    >>> decide_target(np.array([0, 1, 1, 0, 0]), "column 'y'").reason
    'it holds 2 distinct whole numbers'
    """
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) == 1:
        raise DataError(
            f"{where} holds {distinct[0]} in every row, so there is nothing to learn; "
            "choose a target with at least two distinct values."
        )
    if values.dtype.kind == "b":
        return _classes(text_labels(values), counts, "it holds true and false", where)
    if values.dtype.kind not in "if":
        return _classes(text_labels(values), counts, f"it holds text, {len(distinct)} distinct values", where)
    # NOTE: from 2**53 on every float is whole, which says nothing about classes.
    if not np.all((distinct == np.floor(distinct)) & (np.abs(distinct) < 2**53)):
        return Target("regression", values.astype(np.float64), "it holds numbers with fractions")
    reason = f"it holds {len(distinct)} distinct whole numbers"
    few = len(distinct) <= _MOST_CLASSES and len(distinct) * _ROWS_PER_CLASS <= len(values)
    if few or len(distinct) == 2:
        return _classes(values.astype(np.int64), counts, reason, where)
    return Target("regression", values.astype(np.float64), reason)


def text_labels(values: np.ndarray) -> np.ndarray:
    """The values as text, shape (rows,); booleans become "true" and "false", as CSV files spell them."""
    return np.where(values, "true", "false") if values.dtype.kind == "b" else values.astype(str)


def _classes(labels: np.ndarray, counts: np.ndarray, reason: str, where: str) -> Target:
    if counts.max() < 3:
        raise DataError(
            f"{where} has {len(counts)} classes of at most {counts.max()} rows, too few to learn one and to "
            "test it; choose a target whose classes have 3 rows or more."
        )
    return Target("classification", labels, reason)
