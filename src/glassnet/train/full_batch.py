"""Methods for full batches as a training run: one iteration is one epoch of one step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.dtype import INT32, NDArray
from glassnet.core.random import Key
from glassnet.core.step import TrainingData
from glassnet.core.trace import placeholder
from glassnet.core.tree import flatten
from glassnet.errors import ConfigurationError
from glassnet.execute import function
from glassnet.nn import Parameters
from glassnet.optim.full_batch import FullBatchMethod
from glassnet.optim.levenberg_marquardt import LevenbergMarquardt
from glassnet.optim.problems import flatten_parameters
from glassnet.train.program import Carried, depends_on
from glassnet.train.rows import Rows
from glassnet.train.setting import Setting
from glassnet.train.training import TrainingProgram
from glassnet.transforms.derivatives import jacobian, value_and_grad
from glassnet.transforms.tracing import trace

Evaluate = Callable[[NDArray], tuple[float, NDArray]]

# The losses that are half a sum of squares, by the factor of its terms; a mean is one over the outputs too.
_SQUARES = {"half_squared_error": 1.0, "mean_squared_error": 2.0}


@dataclass(frozen=True)
class NetworkProblem:
    """The loss of all training rows as a function of one flat vector of parameters.

    `residuals` and `jacobian` are there where the loss is half a sum of squares, for Levenberg-Marquardt.
    """

    value_and_gradient: Evaluate
    residuals: Callable[[NDArray], NDArray] | None = None
    jacobian: Callable[[NDArray], NDArray] | None = None


class FullBatchProgram(TrainingProgram):
    """The run of a full-batch method: an epoch is an iteration, and its loss that of the new parameters."""

    def __init__(self, runner: FullBatchRunner, first_epoch: int, reason: str | None) -> None:
        super().__init__(runner, runner.carried, first_epoch, reason)
        self._method_runner = runner

    @property
    def ended(self) -> str:
        """Why the method makes no further step; empty while it does."""
        return self._method_runner.ended


def full_batch_program(
    setting: Setting, rows: Rows, method: FullBatchMethod[Any], engine: str
) -> FullBatchProgram:
    """The run of `method` over rows in memory; ConfigurationError for a network that it does not take."""
    _refuse_what_changes(setting, rows, method)
    parameters, statistics = setting.model
    columns = rows.columns(setting.composition.reduction)
    batch_loss = setting.loss()

    def loss(parameters: Any) -> Any:
        return batch_loss(parameters, statistics, columns, None, None)[0]

    residuals = None
    if isinstance(method, LevenbergMarquardt):
        residuals = _residuals(setting, columns, method)
    problem, reason = build_problem(loss, residuals, parameters, engine)
    _refuse_other_squares(problem, parameters, method)
    runner = FullBatchRunner(method, problem, parameters, statistics, len(rows.x))
    return FullBatchProgram(runner, setting.first_epoch, reason)


def _refuse_what_changes(setting: Setting, rows: Rows, method: FullBatchMethod[Any]) -> None:
    """ConfigurationError unless the loss of all rows is one smooth function of the parameters alone."""
    name, (parameters, statistics) = type(method).__name__, setting.model
    if flatten(statistics)[0]:
        raise ConfigurationError(
            f"{name} looks at all rows at once, but a layer of this network keeps statistics of batches; use "
            "LayerNorm for BatchNorm, or train with Adam or SGD."
        )
    if setting.composition.constraint is not None:
        raise ConfigurationError(
            f"{name} goes down the loss freely, but a layer of this network has a max_norm; give it a "
            "regularizer instead, or train with Adam or SGD."
        )
    loss, columns = setting.loss(), rows.columns(setting.composition.reduction)
    drawn, _ = trace(
        lambda numbers: loss(parameters, statistics, columns, None, Key(0).at(numbers))[0],
        placeholder((len(rows.x),), INT32),
    )
    if depends_on(drawn, 0):
        raise ConfigurationError(
            f"{name} needs one loss for one set of parameters, but a layer of this network draws random "
            "numbers in training; leave it out, or train with Adam or SGD."
        )


def _residuals(
    setting: Setting, columns: tuple[NDArray, ...], method: FullBatchMethod[Any]
) -> Callable[[Any], Any]:
    """r with loss = 1/2 sum r^2: each output's error times the root of what its square weighs in the loss."""
    composition, (_, statistics) = setting.composition, setting.model
    factor = _SQUARES.get(composition.loss.name)
    if factor is None or composition.regularized:
        raise ConfigurationError(
            f"{type(method).__name__} minimises half a sum of squares; give the network "
            'loss="half_squared_error" or "mean_squared_error" without regularizers, or use LBFGS().'
        )
    x, target, *importance = columns
    outputs = target.shape[1:]
    terms = outputs if composition.loss.name == "mean_squared_error" else outputs[:-1]
    count = math.prod(terms) * (len(x) if composition.reduction == "mean" else 1)
    scale = np.sqrt(factor / count * (importance[0] if importance else np.ones(len(x))))
    scale = scale.astype(setting.dtype).reshape((-1,) + (1,) * len(outputs))

    def residuals(parameters: Any) -> Any:
        return gnp.reshape((composition.outputs(parameters, statistics, x) - target) * scale, -1)

    return residuals


def _refuse_other_squares(problem: NetworkProblem, parameters: Any, method: FullBatchMethod[Any]) -> None:
    """ConfigurationError where the residuals do not make up the loss: a mask takes some of them out."""
    if problem.residuals is None:
        return
    point, _ = flatten_parameters(parameters)
    value, errors = problem.value_and_gradient(point)[0], problem.residuals(point)
    if not np.isclose(value, 0.5 * float(errors @ errors), rtol=1e-3):
        raise ConfigurationError(
            f"{type(method).__name__} takes every output of every row, but a layer of this network masks "
            "positions; leave the mask out, or use LBFGS()."
        )


def build_problem(
    loss: Callable[[Any], Any], residuals: Callable[[Any], Any] | None, parameters: Any, engine: str
) -> tuple[NetworkProblem, str | None]:
    """The problem, traced once and compiled where it can be, and why the interpreter runs if it does."""
    _, restore = flatten_parameters(parameters)
    sizes = [leaf.size for leaf in flatten(parameters)[0]]

    def compiled(f: Callable[[Any], Any]) -> tuple[Callable[[NDArray], list[NDArray]], str | None]:
        graph, _ = trace(f, parameters)
        call, reason = function(graph, engine)
        return lambda point: call(flatten(restore(point))[0]), reason

    both, reason = compiled(value_and_grad(loss))

    def evaluate(point: NDArray) -> tuple[float, NDArray]:
        value, *gradients = both(point)
        return float(value), np.concatenate([np.asarray(g, np.float64).ravel() for g in gradients])

    if residuals is None:
        return NetworkProblem(evaluate), reason
    errors, _ = compiled(residuals)
    slopes, _ = compiled(jacobian(residuals))

    def stacked(point: NDArray) -> NDArray:
        # (residuals, parameters): each array's Jacobian (residuals, *shape) row by row
        pairs = zip(slopes(point), sizes, strict=True)
        return np.concatenate(
            [np.asarray(part, np.float64).reshape(-1, size) for part, size in pairs], axis=1
        )

    return NetworkProblem(evaluate, lambda point: np.asarray(errors(point)[0], np.float64), stacked), reason


class FullBatchRunner:
    """Runs a full-batch method iteration by iteration, behind the face of every other run."""

    compile_seconds = 0.0
    from_cache = False
    tallies = False
    sums = np.empty(0)
    steps_per_epoch = 1

    def __init__(
        self,
        method: FullBatchMethod[Any],
        problem: NetworkProblem,
        parameters: Any,
        statistics: Parameters,
        rows: int,
    ) -> None:
        self._method, self._problem, self._rows = method, problem, rows
        vector, self._restore = flatten_parameters(parameters)
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

    def rates_of(self, steps: NDArray) -> NDArray:
        """1: the method finds the length of its steps itself."""
        return np.ones(steps.shape)

    def run(self, first_epoch: int, epochs: int = 1) -> float:
        """`epochs` iterations; the loss after the last one."""
        for _ in range(epochs):
            self._state = self._method.iterate(self._problem, self._state)
        return self._state.value if math.isfinite(self._state.value) else math.nan

    def run_recorded(self, first_epoch: int, epochs: int) -> NDArray:
        """`epochs` iterations; (epochs, 1): the loss after each."""
        return np.array([[self.run(epoch)] for epoch in range(first_epoch, first_epoch + epochs)])

    def snapshot(self) -> None:
        """None: whoever runs the method asks after every iteration whether it has ended."""

    def restore(self, snapshot: Any) -> None:
        """Nothing was put aside."""

    def run_steps(self, epoch: int, first: int, count: int) -> tuple[float, int]:
        """One iteration, over all rows at once."""
        return self.run(epoch), self._rows

    def feed(self, data: TrainingData) -> None:
        """A full-batch method looks at one set of rows only."""
        raise ConfigurationError(
            f"{type(self._method).__name__} needs all rows at once; train from a source with Adam or SGD."
        )

    def read(self, count: int) -> list[NDArray]:
        """Copies of the first `count` carried arrays."""
        return [np.array(array) for array in flatten(self._restore(self._state.point))[0][:count]]
