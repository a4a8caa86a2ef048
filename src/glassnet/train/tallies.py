"""Figures as sums over rows: the training program takes them itself, and no epoch waits for Python.

A metric that is no function of sums over rows (the area under a curve wants them in order) has no tally.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.dtype import FLOAT64, INT32, NDArray
from glassnet.core.shape import Shape, size_of
from glassnet.nn import Parameters
from glassnet.train.composition import Composition
from glassnet.train.metrics import (
    Metric,
    accuracy,
    balanced_accuracy,
    f1,
    mean_absolute_error,
    precision,
    r2,
    recall,
    root_mean_squared_error,
    top_k_accuracy,
)
from glassnet.train.metrics.labels import averaged_of, balanced_accuracy_of
from glassnet.train.metrics.values import explained, variation
from glassnet.train.prediction import PIECE_ROWS, Model, looks_across
from glassnet.train.rows import Rows
from glassnet.train.targets import Encoding
from glassnet.transforms.batch import vmap

# (outputs, targets, weights), each (rows, ...) and traced -> their sums
_OfRows = Callable[[Any, Any, Any], Any]


@dataclass(frozen=True)
class Summed:
    """A figure of rows by what is summed over them, an array of `shape`; `figures` takes (epochs, *shape)."""

    sums: _OfRows
    shape: Shape
    figures: Callable[[NDArray], NDArray]


@dataclass(frozen=True, eq=False)
class RowTally:
    """The figures of one set of rows as a tally; `prefix` begins their names."""

    composition: Composition
    rows: Rows
    metrics: tuple[Metric, ...]
    parts: dict[str, Summed]
    loss: bool
    prefix: str = ""

    @property
    def columns(self) -> tuple[NDArray, ...]:
        """x, targets and weights of the rows."""
        rows = self.rows
        weight = np.ones(len(rows.x), rows.x.dtype) if rows.weight is None else rows.weight
        return rows.x, rows.target, weight

    @property
    def block_rows(self) -> int:
        """How many rows the program takes at a time."""
        return min(PIECE_ROWS, len(self.rows.x))

    @property
    def size(self) -> int:
        """How many numbers the sums are."""
        return self.loss + sum(size_of(part.shape) for part in self.parts.values())

    @property
    def identity(self) -> Hashable:
        """What decides the graph of the sums, besides the composition."""
        forms = tuple((column.shape[1:], column.dtype) for column in self.columns)
        # NOTE the functions are glassnet's own, or else there were no sums of them
        return (*(metric.function for metric in self.metrics), self.loss, self.block_rows, forms)

    def sums(self, parameters: Parameters, statistics: Parameters, x: Any, target: Any, weight: Any) -> Any:
        """The sums over some rows."""
        judge = vmap(self.composition.output_and_divergence, in_axes=(None, None, 0, 0))
        output, each = judge(parameters, statistics, x, target)
        sums = [part.sums(output, target, weight) for part in self.parts.values()]
        return [(each * weight).sum(), *sums] if self.loss else sums

    def figures(self, sums: NDArray) -> dict[str, list[float]]:
        """The figures of epochs by name, from their sums (epochs, size)."""
        found: dict[str, list[float]] = {}
        place = int(self.loss)
        if self.loss:
            found[f"{self.prefix}loss"] = (sums[:, 0] / _total(self.rows)).tolist()
        for name, part in self.parts.items():
            own = sums[:, place : place + size_of(part.shape)].reshape(-1, *part.shape)
            found[f"{self.prefix}{name}"] = part.figures(own).tolist()
            place += size_of(part.shape)
        return found


def figures_of(tallies: Sequence[RowTally], sums: NDArray) -> dict[str, list[float]]:
    """The figures of epochs by name, from the sums (epochs, sums) of several tallies."""
    found: dict[str, list[float]] = {}
    place = 0
    for tally in tallies:
        found |= tally.figures(sums[:, place : place + tally.size])
        place += tally.size
    return found


def tally_of(
    composition: Composition,
    model: Model,
    encoding: Encoding,
    rows: Rows,
    metrics: Sequence[Metric],
    *,
    loss: bool,
    prefix: str = "",
) -> RowTally | None:
    """The tally of these figures of rows, or None where they are no sums over single rows."""
    parts = {metric.name: _summed(metric, encoding, rows) for metric in metrics}
    found = {name: part for name, part in parts.items() if part is not None}
    if len(found) < len(parts):
        return None
    if looks_across(composition.output_and_divergence, model, (rows.x, rows.target)):
        return None
    return RowTally(composition, rows, tuple(metrics), found, loss, prefix)


def _summed(metric: Metric, encoding: Encoding, rows: Rows) -> Summed | None:
    """The metric by its sums, told by its function; None for one that has none."""
    function, options = metric.function, {}
    if isinstance(function, partial) and not function.args:
        function, options = function.func, function.keywords
    needs, make = _BY_FUNCTION.get(function, (None, None))
    return make(encoding, rows, **options) if make is not None and needs == metric.needs else None


def _total(rows: Rows) -> float:
    return float(len(rows.x) if rows.weight is None else rows.weight.sum(dtype=FLOAT64))


def _mean(rows: Rows, of_row: Callable[[Any, Any], Any]) -> Summed:
    """The weighted mean over the rows, and the mean over the positions and outputs of each."""

    def sums(output: Any, target: Any, weight: Any) -> Any:
        each = of_row(output, target)
        axes = tuple(range(1, each.ndim))
        return ((gnp.mean(each, axis=axes) if axes else each) * weight).sum()

    return Summed(sums, (), lambda sums: sums / _total(rows))


# -- labels


def _chooses(encoding: Encoding) -> bool:
    return encoding.loss.targets in ("classes", "distribution")


def _numbers(encoding: Encoding, values: Any) -> Any:
    """Outputs or targets as the numbers of their labels: what `Encoding.decode` chooses."""
    if values.dtype.kind == "i":
        return values
    if _chooses(encoding):
        return gnp.argmax(values, axis=-1).astype(INT32)
    return (values >= (0.0 if encoding.loss.targets == "signs" else 0.5)).astype(INT32)


def _labels(encoding: Encoding) -> NDArray:
    """The labels that the numbers stand for."""
    if encoding.classes is not None:
        return encoding.classes
    if _chooses(encoding):
        return np.arange(encoding.output_shape[-1])
    return np.array([-1, 1] if encoding.loss.targets == "signs" else [0, 1])


def _accuracy(encoding: Encoding, rows: Rows) -> Summed:
    def agree(output: Any, target: Any) -> Any:
        return (_numbers(encoding, output) == _numbers(encoding, target)).astype(output.dtype)

    return _mean(rows, agree)


def _confusion(encoding: Encoding, rows: Rows, name: str, **options: Any) -> Summed | None:
    """A figure of the confusion matrix [actual, predicted] of the classes that occur."""
    if rows.weight is not None and not rows.weight.all():
        return None  # a class whose rows weigh nothing occurs, but not in the sums
    labels = _labels(encoding)
    classes, order = len(labels), np.argsort(labels)

    def sums(output: Any, target: Any, weight: Any) -> Any:
        actual, predicted = (_numbers(encoding, values) for values in (target, output))
        weights = gnp.broadcast_to(weight.reshape(-1, *[1] * (actual.ndim - 1)), actual.shape).reshape(-1)
        of_class = gnp.one_hot(actual.reshape(-1), classes, output.dtype) * weights[:, None]
        return of_class.T @ gnp.one_hot(predicted.reshape(-1), classes, output.dtype)

    def figure(matrix: NDArray) -> float:
        ascending = matrix[np.ix_(order, order)]
        occurs = (ascending.sum(axis=0) + ascending.sum(axis=1)) > 0
        matrix, found = ascending[np.ix_(occurs, occurs)], labels[order][occurs]
        if name == "balanced_accuracy":
            return balanced_accuracy_of(matrix)
        return averaged_of(name, matrix, found, **options)

    return Summed(sums, (classes, classes), lambda sums: np.array([figure(matrix) for matrix in sums]))


def _top_k(encoding: Encoding, rows: Rows, k: int = 5) -> Summed | None:
    classes = encoding.output_shape[-1]
    if not _chooses(encoding) or encoding.loss.link is None or not 1 <= k <= classes:
        return None

    def among(output: Any, target: Any) -> Any:
        actual = _numbers(encoding, target)[..., None]
        numbers = np.arange(classes, dtype=INT32)
        own = (output * (numbers == actual).astype(output.dtype)).sum(axis=-1, keepdims=True)
        before = (output > own) | ((output == own) & (numbers < actual))
        return (before.astype(output.dtype).sum(axis=-1) < k).astype(output.dtype)

    return _mean(rows, among)


# -- values


def _mean_absolute_error(_encoding: Encoding, rows: Rows) -> Summed:
    return _mean(rows, lambda output, target: abs(output - target))


def _root_mean_squared_error(_encoding: Encoding, rows: Rows) -> Summed:
    mean = _mean(rows, lambda output, target: gnp.square(output - target))
    return Summed(mean.sums, (), lambda sums: np.sqrt(mean.figures(sums)))


def _r2(_encoding: Encoding, rows: Rows) -> Summed:
    shape = rows.target.shape[1:]
    weight = np.ones(len(rows.x)) if rows.weight is None else rows.weight.astype(FLOAT64)
    total, constant = variation(rows.target.astype(FLOAT64), weight)

    def sums(output: Any, target: Any, weight: Any) -> Any:
        return gnp.tensordot(weight, gnp.square(output - target), 1)

    def figures(sums: NDArray) -> NDArray:
        shares = explained(sums / _total(rows), total, constant)
        return shares.reshape(len(sums), -1).mean(axis=1)

    return Summed(sums, shape, figures)


# What a metric needs, and how it is made of sums.
_BY_FUNCTION: dict[Callable[..., Any], tuple[str, Callable[..., Summed | None]]] = {
    accuracy: ("labels", _accuracy),
    balanced_accuracy: ("labels", partial(_confusion, name="balanced_accuracy")),
    precision: ("labels", partial(_confusion, name="precision")),
    recall: ("labels", partial(_confusion, name="recall")),
    f1: ("labels", partial(_confusion, name="f1")),
    top_k_accuracy: ("probabilities", _top_k),
    mean_absolute_error: ("values", _mean_absolute_error),
    root_mean_squared_error: ("values", _root_mean_squared_error),
    r2: ("values", _r2),
}
