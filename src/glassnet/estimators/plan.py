"""What is settled before a table is learnt: the task, and which rows train, validate and test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glassnet.data import Table, Target, decide_target, stratified_split
from glassnet.errors import DataError

_FEWEST_ROWS = 10
_TEST_FRACTION = 0.2
_VALIDATION_FRACTION = 0.1


@dataclass(frozen=True)
class Plan:
    """A table's features X (rows, columns), its decided target, and the rows of the three parts."""

    features: tuple[str, ...]
    target_name: str
    X: np.ndarray
    target: Target
    training: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def sample(self, count: int) -> np.ndarray:
        """About `count` training rows, ascending, with every class among them."""
        rows = self.training[:count]
        if self.target.task == "classification":
            _, first = np.unique(self.target.values[self.training], return_index=True)
            rows = np.union1d(rows, self.training[first])
        return rows


def plan_training(table: Table, target: str, seed: int, test: np.ndarray | None = None) -> Plan:
    """Check the whole table and divide its rows: a fifth to test, a tenth of the rest to validate.

    Classes keep their shares in every part; `test` names the test rows where they are fixed. All columns but
    the target are features. Raises `DataError` for whatever could not be trained on.

    >>> plan = plan_training(Table("squares", {"x": np.arange(50), "y": np.arange(50) ** 2}), "y", seed=0)
    >>> len(plan.training), len(plan.validation), len(plan.test)
    (36, 4, 10)
    """
    values = table.target(target)
    features = tuple(name for name in table.names if name != target)
    if not features:
        raise DataError(
            f"{table.path} has no column besides the target {target!r}; add columns to learn from."
        )
    # A wrong value is the first thing to know; how many rows and classes there are may follow from it.
    X = table.features(features)
    y = decide_target(values, table.where(target))
    if len(table) < _FEWEST_ROWS:
        raise DataError(f"{table.path} has {len(table)} rows; training needs {_FEWEST_ROWS} or more.")
    strata = y.values if y.task == "classification" else np.zeros(len(table))
    if test is None:
        _, test = stratified_split(strata, _TEST_FRACTION, seed)
    rest = np.setdiff1d(np.arange(len(table)), test)
    kept, held_out = stratified_split(strata[rest], _VALIDATION_FRACTION, seed)
    return Plan(features, target, X, y, training=rest[kept], validation=rest[held_out], test=test)
