"""From rows, options and an optimiser to the training program that `fit` runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet import optim
from glassnet.core.dtype import DType, NDArray
from glassnet.core.random import Key
from glassnet.core.step import TrainingData
from glassnet.core.tree import flatten
from glassnet.data import Source
from glassnet.errors import ConfigurationError, DataError, ShapeError
from glassnet.execute import runner
from glassnet.nn import Parameters
from glassnet.optim import Optimizer
from glassnet.optim.conjugate_gradient import ConjugateGradient
from glassnet.optim.full_batch import FullBatchMethod
from glassnet.optim.lbfgs import LBFGS
from glassnet.optim.levenberg_marquardt import LevenbergMarquardt
from glassnet.train.composition import Composition
from glassnet.train.evaluation import Model
from glassnet.train.full_batch import FullBatchRunner, build_problem
from glassnet.train.options import require_whole
from glassnet.train.program import BatchLoss, build_step
from glassnet.train.targets import Encoding, as_numbers
from glassnet.train.training import StreamedProgram, TrainingProgram

FULL_BATCH: dict[Any, FullBatchMethod[Any]] = {
    "lbfgs": LBFGS(),
    "conjugate_gradient": ConjugateGradient(),
    "levenberg_marquardt": LevenbergMarquardt(),
}

# What the seed is used for; each purpose has a stream of random numbers of its own.
INITIALIZATION, SHUFFLING, VALIDATION, CHANCE = 1, 2, 3, 4


@dataclass(frozen=True)
class Rows:
    """Rows to train or measure on: x (rows, ...), target as the loss takes it, and weights of mean 1."""

    x: NDArray
    target: NDArray
    weight: NDArray | None = None

    @property
    def columns(self) -> tuple[NDArray, ...]:
        """What a batch is gathered from."""
        return (self.x, self.target) if self.weight is None else (self.x, self.target, self.weight)

    def take(self, places: NDArray) -> Rows:
        """Some of the rows; their weights have mean 1 again."""
        weight = None if self.weight is None else normalized(self.weight[places])
        return Rows(self.x[places], self.target[places], weight)


@dataclass(frozen=True)
class Setting:
    """What a run needs to know of its network besides the data."""

    composition: Composition
    model: Model
    seed: int
    dtype: DType
    first_epoch: int

    def loss(self) -> BatchLoss:
        """The loss of a batch in training."""
        key = Key(self.seed).fold(CHANCE)

        def loss(
            parameters: Any, statistics: Parameters, columns: Any, weight: Any, numbers: Any
        ) -> tuple[Any, Parameters]:
            x, target, *importance = columns
            each, kept = self.composition.divergences(parameters, statistics, x, target, weight, key, numbers)
            return self.composition.batch_loss(each, parameters, weight, *importance), kept

        return loss


def resolve_optimizer(optimizer: Any) -> Optimizer | FullBatchMethod[Any]:
    """The optimiser or full-batch method that `fit` was given, by name or as it is."""
    if isinstance(optimizer, FullBatchMethod):
        return optimizer
    if optimizer in FULL_BATCH:
        return FULL_BATCH[optimizer]
    chosen = optim.resolve(optimizer)
    if chosen.learning_rate is None:
        raise ConfigurationError(
            f"{type(chosen).__name__} changes gradients but makes no steps; put an optimiser behind it: "
            f"chain({type(chosen).__name__}(...), Adam(0.001))."
        )
    return chosen


def program_of(
    setting: Setting,
    rows: Rows,
    batch_size: int | None,
    optimizer: Optimizer | FullBatchMethod[Any],
    epochs: int,
    engine: str,
) -> TrainingProgram:
    """The training run over rows in memory."""
    if isinstance(optimizer, FullBatchMethod):
        return _full_batch(setting, rows, optimizer, engine)
    size = len(rows.x)
    if batch_size is not None:
        size = min(require_whole("fit", "batch_size", batch_size, 1), size)
    steps = -(-len(rows.x) // size)
    step = build_step(
        setting.loss(),
        optimizer,
        *setting.model,
        rows.columns,
        size,
        setting.dtype,
        total_steps=steps * epochs,
        weighted=len(rows.x) % size != 0,
        constrain=setting.composition.constraint,
    )
    key = Key(setting.seed).fold(SHUFFLING) if size < len(rows.x) else None
    made, reason = runner(
        step.graph, TrainingData(rows.columns, key), step.arrays, step.learning_rate, engine
    )
    return TrainingProgram(made, step.carried, setting.first_epoch, reason)


def streamed_program_of(
    setting: Setting,
    source: Source,
    first: Rows,
    encode: Any,
    batch_size: int | None,
    optimizer: Optimizer | FullBatchMethod[Any],
    epochs: int,
    engine: str,
) -> StreamedProgram:
    """The training run over the blocks of a source, of which `first` has the form."""
    if isinstance(optimizer, FullBatchMethod):
        raise ConfigurationError(
            f"{type(optimizer).__name__} needs all rows at once; train from a source with Adam or SGD."
        )
    size = require_whole("fit", "batch_size", source.block_rows if batch_size is None else batch_size, 1)
    rows = source.rows
    step = build_step(
        setting.loss(),
        optimizer,
        *setting.model,
        first.columns,
        size,
        setting.dtype,
        total_steps=epochs * -(-(rows or len(first.x)) // size),
        weighted=True,
        constrain=setting.composition.constraint,
    )
    key = Key(setting.seed).fold(SHUFFLING)

    def data_of(X: Any, y: Any) -> TrainingData:
        return TrainingData(encode(X, y).columns, key)

    made, reason = runner(
        step.graph, TrainingData(first.columns, key), step.arrays, step.learning_rate, engine
    )
    return StreamedProgram(made, step.carried, source, data_of, size, setting.first_epoch, reason)


def _full_batch(setting: Setting, rows: Rows, method: FullBatchMethod[Any], engine: str) -> TrainingProgram:
    composition, (parameters, statistics) = setting.composition, setting.model
    if flatten(statistics)[0]:
        raise ConfigurationError(
            f"{type(method).__name__} looks at all rows at once, but a layer of this network keeps "
            "statistics of batches; use LayerNorm for BatchNorm, or train with Adam or SGD."
        )
    squared = {"half_squared_error": 1.0, "mean_squared_error": 2.0}
    outputs = composition.output_shape(rows.x.shape[1:])
    residuals = None
    if composition.loss.name in squared and composition.reduction == "mean" and not composition.regularized:
        factor = squared[composition.loss.name] / len(rows.x)
        if composition.loss.name == "mean_squared_error":
            factor /= outputs[-1]
        positions = math.prod(outputs[:-1])

        def residuals(parameters: Any) -> Any:
            from_network = composition.outputs(parameters, statistics, rows.x)
            scale = np.sqrt(factor / positions * (1.0 if rows.weight is None else rows.weight))
            scale = np.asarray(scale, setting.dtype).reshape((-1,) + (1,) * len(outputs))
            return gnp.reshape((from_network - rows.target) * scale, -1)

    def loss(parameters: Any) -> Any:
        each, _ = composition.divergences(parameters, statistics, rows.x, rows.target)
        return composition.batch_loss(each, parameters, None, rows.weight)

    problem, reason = build_problem(loss, residuals, parameters, engine)
    if residuals is None and isinstance(method, LevenbergMarquardt):
        raise ConfigurationError(
            f"{type(method).__name__} minimises half a sum of squares; give the network "
            'loss="half_squared_error" or "mean_squared_error" without regularizers, or use LBFGS().'
        )
    made = FullBatchRunner(method, problem, parameters, statistics)
    return TrainingProgram(made, made.carried, setting.first_epoch, reason)


def normalized(weight: NDArray) -> NDArray:
    """Weights divided by their mean, so that the loss of all rows is their weighted mean."""
    return weight / weight.mean()


def weights_of(
    encoding: Encoding, target: NDArray, y: NDArray, sample_weight: Any, class_weight: Any, dtype: DType
) -> NDArray | None:
    """The weight of each row, of mean 1, from weights of rows and of classes; None where there are neither.

    `class_weight` is a dict from labels to weights (1 for those left out), or "balanced": rows / (classes *
    rows of the class).
    """
    if sample_weight is None and class_weight is None:
        return None
    weight = np.ones(len(target), np.float64)
    if sample_weight is not None:
        weight = as_numbers(sample_weight, np.dtype(np.float64), "sample_weight")
        if weight.shape != (len(target),):
            raise ShapeError(
                f"sample_weight has shape {weight.shape}; it takes one weight for each of {len(target)} rows."
            )
        if (weight < 0).any():
            row = int(np.argmax(weight < 0))
            raise DataError(f"sample_weight holds {weight[row]} in row {row}; weights are 0 or more.")
    if class_weight is not None:
        weight = weight * _class_weights(encoding, target, class_weight)
    if not weight.sum() > 0:
        raise DataError("All rows have the weight 0; give at least one a positive weight.")
    return normalized(weight).astype(dtype)


def _class_weights(encoding: Encoding, target: NDArray, given: Any) -> NDArray:
    if encoding.classes is None or target.ndim > 2:
        raise ConfigurationError(
            "class_weight is for classifiers with one label a row; give sample_weight instead."
        )
    labels = encoding.labels(target)
    classes = encoding.classes.tolist()
    if given == "balanced":
        counts = {label: int((labels == label).sum()) for label in classes}
        present = sum(count > 0 for count in counts.values())
        weights = {label: len(labels) / (present * max(count, 1)) for label, count in counts.items()}
    elif isinstance(given, Mapping) and all(label in classes for label in given):
        weights = {label: float(given.get(label, 1.0)) for label in classes}
    else:
        raise ConfigurationError(
            f'fit got class_weight={given!r}; it takes "balanced" or a dict from labels to weights, and the '
            f"classes are {', '.join(map(repr, classes[:12]))}."
        )
    if any(not value >= 0 for value in weights.values()):
        raise ConfigurationError(f"fit got class_weight={given!r}; weights are 0 or more.")
    return np.array([weights[label] for label in labels.tolist()])
