"""How good a network is on rows: the rows set aside for it, the outputs, the figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.graph import Graph
from glassnet.core.random import Key, permutation
from glassnet.core.tree import flatten
from glassnet.errors import DataError
from glassnet.execute import run
from glassnet.train.composition import Composition, NestedParameters
from glassnet.train.metrics import accuracy, mean_absolute_error, r2
from glassnet.train.targets import Encoding
from glassnet.transforms.batch import vmap
from glassnet.transforms.tracing import trace

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

    def output(self, parameters: NestedParameters, X: NDArray) -> NDArray:
        """The outputs (rows, outputs), probabilities for a classifier, of rows X (rows, ...)."""
        return self._run(self._composition.output, parameters, X)

    def figures(
        self, parameters: NestedParameters, X: NDArray, target: NDArray, encoding: Encoding
    ) -> dict[str, float]:
        """The mean "loss", then "accuracy" for a classifier, or "r2" and "mean_absolute_error"."""
        each = self._run(self._composition.divergence, parameters, X, target)
        output = self.output(parameters, X)
        figures = {"loss": float(np.mean(each, dtype=np.float64))}
        if encoding.loss.task == "classification":
            return figures | {"accuracy": accuracy(encoding.decode(output), encoding.labels(target))}
        return figures | {
            "r2": r2(output, target),
            "mean_absolute_error": mean_absolute_error(output, target),
        }

    def _run(self, of_one: Callable[..., Any], parameters: NestedParameters, *batch: NDArray) -> NDArray:
        """`of_one(parameters, example...)` for all rows of a batch."""
        leaves, _ = flatten(parameters)
        results: list[NDArray] = []
        for start in range(0, len(batch[0]), _PIECE_ROWS):
            piece = [array[start : start + _PIECE_ROWS] for array in batch]
            results += run(self._graph(of_one, parameters, piece), [*leaves, *piece])
        return np.concatenate(results)

    def _graph(self, of_one: Callable[..., Any], parameters: NestedParameters, piece: list[NDArray]) -> Graph:
        known = (of_one.__name__, *((array.shape, array.dtype) for array in piece))
        if known not in self._graphs:
            if len(self._graphs) >= _GRAPHS_KEPT:
                self._graphs.clear()
            of_many = vmap(of_one, in_axes=(None, *(0 for _ in piece)))
            self._graphs[known], _ = trace(of_many, parameters, *piece)
        return self._graphs[known]
