"""Methods for full batches as a training run: one iteration is one epoch of one step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.step import TrainingData
from glassnet.core.tree import flatten
from glassnet.errors import ConfigurationError
from glassnet.execute import function
from glassnet.nn import Parameters
from glassnet.optim.full_batch import FullBatchMethod
from glassnet.optim.problems import flatten_parameters
from glassnet.train.program import Carried
from glassnet.transforms.derivatives import jacobian, value_and_grad
from glassnet.transforms.tracing import trace

Evaluate = Callable[[NDArray], tuple[float, NDArray]]


@dataclass(frozen=True)
class NetworkProblem:
    """The loss of all training rows as a function of one flat vector of parameters.

    `residuals` and `jacobian` are there where the loss is half a sum of squares, for Levenberg-Marquardt.
    """

    value_and_gradient: Evaluate
    residuals: Callable[[NDArray], NDArray] | None = None
    jacobian: Callable[[NDArray], NDArray] | None = None


def build_problem(
    loss: Callable[[Any], Any], residuals: Callable[[Any], Any] | None, parameters: Any, engine: str
) -> tuple[NetworkProblem, str | None]:
    """The problem, traced once and compiled where it can be, and why the interpreter runs if it does."""
    _, restore = flatten_parameters(parameters)
    structure_of = flatten(parameters)[0]

    def compiled(f: Callable[[Any], Any]) -> tuple[Callable[[NDArray], list[NDArray]], str | None]:
        graph, _ = trace(f, parameters)
        call, reason = function(graph, engine)
        return lambda point: call(flatten(restore(point))[0]), reason

    both, reason = compiled(value_and_grad(loss))

    def evaluate(point: NDArray) -> tuple[float, NDArray]:
        value, *gradients = both(point)
        return float(value), _joined(gradients)

    if residuals is None:
        return NetworkProblem(evaluate), reason
    errors, _ = compiled(residuals)
    slopes, _ = compiled(jacobian(residuals))
    sizes = [leaf.size for leaf in structure_of]

    def stacked(point: NDArray) -> NDArray:
        # (rows, parameters): each array's Jacobian (rows, *shape) row by row
        pairs = zip(slopes(point), sizes, strict=True)
        return np.concatenate(
            [np.asarray(part, np.float64).reshape(-1, size) for part, size in pairs], axis=1
        )

    return NetworkProblem(evaluate, lambda point: np.asarray(errors(point)[0], np.float64), stacked), reason


def _joined(arrays: list[NDArray]) -> NDArray:
    return np.concatenate([np.asarray(array, np.float64).ravel() for array in arrays])


class FullBatchRunner:
    """Runs a full-batch method iteration by iteration, behind the face of every other run."""

    compile_seconds = 0.0
    from_cache = False
    steps_per_epoch = 1

    def __init__(
        self, method: FullBatchMethod[Any], problem: NetworkProblem, parameters: Any, statistics: Parameters
    ) -> None:
        self._method, self._problem = method, problem
        vector, self._restore = flatten_parameters(parameters)
        self._statistics = flatten(statistics)[0]
        self._state = method.start(problem, vector)
        self.learning_rate = 1.0
        leaves, structure = flatten((parameters, {}, statistics))
        self.carried = Carried(structure, len(leaves), lambda parameters, _: parameters)

    @property
    def steps_taken(self) -> int:
        """The number of iterations so far."""
        return self._state.iterations

    @property
    def ended(self) -> str:
        """Why the method has ended; empty where it has not."""
        return self._state.reason

    def run(self, first_epoch: int, epochs: int = 1) -> float:
        """`epochs` iterations; the loss after the last one."""
        for _ in range(epochs):
            self._state = self._method.iterate(self._problem, self._state)
        return self._state.value if math.isfinite(self._state.value) else math.nan

    def run_steps(self, epoch: int, first: int, count: int) -> float:
        """One iteration."""
        return self.run(epoch)

    def feed(self, data: TrainingData) -> None:
        """A full-batch method looks at one set of rows only."""
        raise ConfigurationError(
            f"{type(self._method).__name__} needs all rows at once; train from a source with Adam or SGD."
        )

    def read(self, count: int) -> list[NDArray]:
        """Copies of the first `count` carried arrays."""
        arrays = [*flatten(self._restore(self._state.point))[0], *self._statistics]
        return [np.array(array) for array in arrays[:count]]
