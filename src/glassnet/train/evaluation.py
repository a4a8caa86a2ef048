"""How good a network is on rows: the rows set aside for it, the outputs, the figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.graph import Graph
from glassnet.core.random import Key, permutation
from glassnet.core.tree import flatten
from glassnet.errors import DataError
from glassnet.execute import run
from glassnet.nn import Parameters
from glassnet.train.composition import Composition
from glassnet.train.metrics import Metric
from glassnet.train.targets import Encoding
from glassnet.transforms.batch import vmap
from glassnet.transforms.tracing import trace

Model = tuple[Parameters, Parameters]  # parameters and statistics

_PIECE_ROWS = 4096  # more rows are run piece by piece, so that memory stays bounded
_GRAPHS_KEPT = 16  # one for each number of rows that was asked for


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
    """Runs a composition over many rows; it keeps the graphs that it has traced."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition
        self._graphs: dict[Any, Graph] = {}

    def output(self, model: Model, X: NDArray) -> NDArray:
        """The outputs (rows, ...), probabilities for a classifier, of rows X (rows, ...)."""
        return self._run(self._composition.output, model, X)

    def loss(self, model: Model, X: NDArray, target: NDArray, weight: NDArray | None = None) -> float:
        """The mean divergence of the rows, weighted if weights are given."""
        each = self._run(self._composition.divergence_in_use, model, X, target)
        return float(np.average(each.astype(np.float64), weights=weight))

    def figures(
        self,
        model: Model,
        X: NDArray,
        target: NDArray,
        encoding: Encoding,
        metrics: Sequence[Metric],
        weight: NDArray | None = None,
    ) -> dict[str, float]:
        """The mean "loss", then each metric by its name."""
        figures = {"loss": self.loss(model, X, target, weight)}
        return figures | self.measure(model, X, target, encoding, metrics, weight)

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
        output = self.output(model, X)
        return {metric.name: encoding.measure(metric, output, target, weight) for metric in metrics}

    def _run(self, of_one: Callable[..., Any], model: Model, *batch: NDArray) -> NDArray:
        """`of_one(parameters, statistics, example...)` for all rows of a batch."""
        leaves, _ = flatten(model)
        results: list[NDArray] = []
        for start in range(0, len(batch[0]), _PIECE_ROWS):
            piece = [array[start : start + _PIECE_ROWS] for array in batch]
            results += run(self._graph(of_one, model, piece), [*leaves, *piece])
        return np.concatenate(results)

    def _graph(self, of_one: Callable[..., Any], model: Model, piece: list[NDArray]) -> Graph:
        known = (of_one.__name__, *((array.shape, array.dtype) for array in piece))
        if known not in self._graphs:
            if len(self._graphs) >= _GRAPHS_KEPT:
                self._graphs.clear()
            of_many = vmap(of_one, in_axes=(None, None, *(0 for _ in piece)))
            self._graphs[known], _ = trace(of_many, *model, *piece)
        return self._graphs[known]
