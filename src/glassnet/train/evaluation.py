"""How good a network is on rows: the rows set aside for it, the outputs, the figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.random import Key, permutation
from glassnet.errors import DataError
from glassnet.train.composition import Composition
from glassnet.train.metrics import Metric
from glassnet.train.prediction import Model, RowProgram
from glassnet.train.targets import Encoding


def divide(rows: int, fraction: float, key: Key) -> tuple[NDArray, NDArray]:
    """The numbers of the rows to train on and of the share `fraction` set aside, each ascending.

    Raises DataError where no row is left on one side.

    >>> [part.size for part in divide(10, 0.2, Key(0))]
    [8, 2]
    """
    held = round(fraction * rows)
    if not 0 < held < rows:
        raise DataError(
            f"validation_fraction={fraction} of {rows} rows leaves none on one side; give another fraction "
            "or more rows."
        )
    order = permutation(key, rows)
    return np.sort(order[held:]), np.sort(order[:held])


class Evaluator:
    """Runs a composition over many rows; it keeps the programs that it has made."""

    def __init__(self, composition: Composition, engine: str = "auto") -> None:
        self._composition, self._engine = composition, engine
        self._outputs = RowProgram(composition.output, engine)
        self._judgements = RowProgram(composition.output_and_divergence, engine)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy makes programs of its own: native code does not leave the process."""
        return Evaluator, (self._composition, self._engine)

    def output(self, model: Model, X: NDArray) -> NDArray:
        """The outputs (rows, ...), probabilities for a classifier, of rows X (rows, ...)."""
        return self._outputs(model, X)[0]

    def figures(
        self,
        model: Model,
        X: NDArray,
        target: NDArray,
        encoding: Encoding,
        metrics: Sequence[Metric],
        weight: NDArray | None = None,
    ) -> dict[str, float]:
        """The mean "loss", weighted if weights are given, then each metric by its name: one pass for all."""
        output, each = self._judgements(model, X, target)
        figures = {"loss": float(np.average(each.astype(np.float64), weights=weight))}
        return figures | _measured(output, target, encoding, metrics, weight)

    def measure(
        self,
        model: Model,
        X: NDArray,
        target: NDArray,
        encoding: Encoding,
        metrics: Sequence[Metric],
        weight: NDArray | None = None,
    ) -> dict[str, float]:
        """Each metric by its name."""
        if not metrics:
            return {}
        return _measured(self.output(model, X), target, encoding, metrics, weight)


def _measured(
    output: NDArray, target: NDArray, encoding: Encoding, metrics: Sequence[Metric], weight: NDArray | None
) -> dict[str, float]:
    return {metric.name: encoding.measure(metric, output, target, weight) for metric in metrics}
