"""Data on its way in: rows as floating arrays, labels as classes; every mistake in one sentence.

Places are counted from 0, as NumPy counts. Whole numbers above 2**24 are rounded in float32.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np

from glassnet.core.dtype import INT32, DType, NDArray
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError, DataError, ShapeError
from glassnet.losses import Loss
from glassnet.train.finite import all_finite
from glassnet.train.metrics import Metric

_LISTED_CLASSES = 12


def as_numbers(values: Any, dtype: DType, name: str) -> NDArray:
    """`values` as finite numbers of `dtype`, C-contiguous.

    Raises DataError with the row and column of what is not a number, not finite, or too large for `dtype`;
    ShapeError for rows of different lengths.

    >>> as_numbers([[1, 2]], np.dtype("float32"), "X")
    array([[1., 2.]], dtype=float32)
    """
    if (
        type(values) is np.ndarray
        and values.dtype == dtype
        and values.flags.c_contiguous
        and all_finite(values)
    ):
        return values  # what follows changes nothing, and takes longer than a small network's prediction
    raw = _as_array(values, name)
    if raw.dtype.kind in "OU":
        raw = _of_reals(raw.astype(object), name)
    if raw.dtype.kind not in "fiub":
        raise DataError(
            f"{name} holds {raw.dtype.name} values; it takes real numbers: turn them into numbers."
        )
    with np.errstate(over="ignore"):
        numbers = np.asarray(raw, dtype, order="C")
    if not all_finite(numbers):
        place = tuple(np.argwhere(~np.isfinite(numbers))[0].tolist())
        if not np.isfinite(raw[place]):
            raise DataError(f"{name} holds {raw[place]}{_at(place)}; remove or replace it.")
        raise DataError(
            f"{name} holds {raw[place]}{_at(place)}, which is too large for {dtype.name}; "
            'scale the column, or give Network dtype="float64".'
        )
    return numbers


def as_rows(X: Any, dtype: DType, name: str = "X") -> NDArray:
    """X as finite numbers (rows, ...) of `dtype`, C-contiguous, with at least one row and one column."""
    rows = as_numbers(X, dtype, name)
    if rows.ndim < 2:
        raise ShapeError(
            f"{name} has shape {rows.shape}; it takes one row an example, shape (rows, features): "
            "write X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one example."
        )
    if rows.size == 0:
        raise DataError(
            f"{name} has shape {rows.shape} and so holds no numbers; give at least one row and column."
        )
    return rows


def as_targets(y: Any, rows: int, name: str = "y") -> NDArray:
    """y as an array with one entry (or row) for each of `rows`, whose labels are all of one kind."""
    raw = _as_array(y, name)
    if raw.ndim == 0 or len(raw) != rows:
        got = f"has {len(raw)} row{'s' if len(raw) != 1 else ''}" if raw.ndim else "is a single value"
        raise ShapeError(f"{name} {got} and X has {rows}; it takes one value (or row) for each row of X.")
    return _of_one_kind(raw, name) if raw.dtype.kind == "O" else raw


@dataclass(frozen=True)
class Encoding:
    """How targets are seen by the loss: classes for a classifier, plain values for a regressor.

    `classes[i]` is the label of output i; a single output tells classes[1] from classes[0]. Several
    yes-or-no outputs answer each for itself and have no classes.

    >>> loss = gn.losses.resolve("cross_entropy")
    >>> y = as_targets(["no", "yes", "no"], rows=3)
    >>> Encoding.learn(y, loss, (2,), np.dtype("float32")).encode(y)
    array([0, 1, 0], dtype=int32)
    """

    loss: Loss
    output_shape: Shape
    dtype: DType
    classes: NDArray | None = None

    @staticmethod
    def learn(y: NDArray, loss: Loss, output_shape: Shape, dtype: DType) -> Encoding:
        """The encoding that a first set of targets (from `as_targets`) asks for."""
        encoding = Encoding(loss, output_shape, dtype)
        count = encoding.class_count
        if not count:
            return encoding
        if encoding.takes_labels and y.ndim == encoding.label_rank:
            return replace(encoding, classes=_learn_classes(y.reshape(-1), count, loss))
        # Columns hold probabilities, and the classes are the numbers of the columns; a column of signs holds
        # its two classes.
        return replace(encoding, classes=np.array([-1, 1]) if loss.targets == "signs" else np.arange(count))

    def __post_init__(self) -> None:
        if self.classes is None or len(self.classes) == self.class_count:
            return
        listed = f"Network got classes={self.classes.tolist()}"
        if not self.class_count:
            raise ConfigurationError(
                f"{listed}, but the outputs of {self.loss.name} do not choose one of several; leave them out."
            )
        raise ConfigurationError(
            f"{listed}, but the network tells {self.class_count} apart; list as many, or give the last layer "
            "as many outputs."
        )

    @property
    def takes_labels(self) -> bool:
        """Whether targets may be labels; a divergence of two distributions takes distributions alone."""
        return self.loss.targets != "distribution"

    @property
    def class_count(self) -> int:
        """The number of classes that the outputs choose among, or 0 where they do not choose."""
        if self.loss.targets in ("classes", "distribution"):
            return self.output_shape[-1]
        return 2 if self.loss.targets in ("binary", "signs") and self.output_shape[-1:] == (1,) else 0

    @property
    def label_rank(self) -> int:
        """The number of axes of targets that are labels: the rows, and the positions if there are any."""
        return len(self.output_shape)

    def encode(self, y: NDArray, name: str = "y") -> NDArray:
        """Targets for the loss: class indices (rows, ...) int32, or values (rows, ..., outputs)."""
        if self.classes is not None and self.takes_labels and y.ndim == self.label_rank:
            indices = self._indices(y, name)
            if self.loss.targets == "classes":
                self._require_shape(indices, (len(y), *self.output_shape[:-1]), name)
                return indices
            values = indices.astype(self.dtype)[..., None]
            return 2 * values - 1 if self.loss.targets == "signs" else values
        column = y.ndim == self.label_rank and self.output_shape[-1:] == (1,)
        self._require_shape(y[..., None] if column else y, (len(y), *self.output_shape), name)
        values = as_numbers(y, self.dtype, name)
        values = values[..., None] if column else values
        self._check_range(values, name)
        return values

    def decode(self, output: NDArray) -> NDArray:
        """The labels (rows, ...) of the most probable classes; for several yes-or-no outputs 0 or 1 each.

        Several outputs that are trained with signs give -1 or 1 each.
        """
        if self.loss.targets in ("classes", "distribution"):
            chosen = output.argmax(axis=-1)
            return chosen if self.classes is None else self.classes[chosen]
        signs = self.loss.targets == "signs"
        chosen = (output >= (0.0 if signs else 0.5)).astype(np.int64)
        if self.classes is None:
            return 2 * chosen - 1 if signs else chosen
        return self.classes[chosen[..., 0]]

    def labels(self, target: NDArray) -> NDArray:
        """The labels that encoded targets stand for, the inverse of `encode`."""
        if self.classes is not None and target.dtype.kind == "i":
            return self.classes[target]
        return self.decode(target)

    def probabilities(self, output: NDArray) -> NDArray:
        """The probabilities of the classes (rows, classes); (rows, outputs) for yes-or-no outputs."""
        if self.loss.link is None and self.loss.targets != "binary" and not self._sums_to_one(output):
            raise ConfigurationError(
                f"{self.loss.name} gives scores and no probabilities; use predict, or train with "
                "cross_entropy."
            )
        binary = self.class_count == 2 and self.loss.targets == "binary"
        return np.concatenate([1 - output, output], axis=-1) if binary else output

    def measure(self, metric: Metric, output: NDArray, target: NDArray, weight: NDArray | None) -> float:
        """The metric of outputs and encoded targets, position by position where there are positions."""
        classifies = self.loss.task == "classification"
        if classifies and metric.needs == "labels":
            predicted, actual = self.decode(output), self.labels(target)
        elif classifies and metric.needs == "probabilities":
            predicted, actual = self.probabilities(output), self._class_numbers(target)
        else:
            predicted, actual = output, target
        return metric(predicted, actual, weight)

    def _class_numbers(self, target: NDArray) -> NDArray:
        """Targets as numbers of classes (rows, ...)."""
        if target.dtype.kind == "i" or self.classes is None:
            return target
        return (
            np.argmax(target, axis=-1)
            if self.class_count != 2 or target.shape[-1] == 2
            else (target[..., 0] > 0.5).astype(np.int64)
        )

    def _sums_to_one(self, output: NDArray) -> bool:
        return self.loss.targets in ("classes", "distribution") and bool(
            (output >= 0).all() and np.allclose(output.sum(axis=-1), 1, atol=1e-3)
        )

    def _require_shape(self, values: NDArray, expected: Shape, name: str) -> None:
        if values.shape == expected:
            return
        mends = f"{name} of shape {expected}"
        if not self.takes_labels:
            mends += ", each row a distribution"
        elif self.classes is not None and self.loss.targets == "classes":
            mends = f"labels of shape {expected[: self.label_rank]}, or {name} of shape "
            mends += f"{(expected[0], *self.output_shape)}"
        elif self.classes is not None:
            mends += f" or labels of shape {expected[: self.label_rank]}"
        hint = ""
        labels = self.class_count and self.takes_labels
        if labels and values.ndim == self.label_rank + 1 and values.shape[-1] > 1 and _is_one_hot(values):
            hint = f"; {name} looks one-hot: the labels are {name}.argmax(axis=-1)"
        elif labels and values.ndim == self.label_rank + 1 and values.shape[-1] == 1:
            flat = f"{name}.ravel()" if self.label_rank == 1 else f"{name}[..., 0]"
            hint = f"; labels in a column are {flat}"
        elif len(self.output_shape) > 1 and values.ndim < len(expected):
            hint = "; for one output a row put Flatten() or a global pooling before the last layer"
        raise ShapeError(
            f"{name} has shape {values.shape}, but the network's output has shape {self.output_shape} for "
            f"each row; it takes {mends}{hint}."
        )

    def _indices(self, y: NDArray, name: str) -> NDArray:
        assert self.classes is not None  # asked by the caller
        index = {label: i for i, label in enumerate(self.classes.tolist())}
        found, inverse = np.unique(y, return_inverse=True)
        indices = np.array([index.get(label, -1) for label in found.tolist()], INT32)[inverse].reshape(
            y.shape
        )
        if (indices < 0).any():
            place = tuple(np.argwhere(indices < 0)[0].tolist())
            listed = ", ".join(map(repr, self.classes[:_LISTED_CLASSES].tolist()))
            more = ", ..." if len(self.classes) > _LISTED_CLASSES else ""
            raise DataError(
                f"{name} holds the label {y[place].item()!r}{_at(place)}, which is none of the classes "
                f"{listed}{more}; they are those of the first data, or of Network(classes=...)."
            )
        return indices

    def _check_range(self, values: NDArray, name: str) -> None:
        """DataError for values that the loss is not defined for."""
        low, high = _RANGES.get(self.loss.targets, (-np.inf, np.inf))
        outside = (values < low) | (values > high)
        if outside.any():
            place = tuple(np.argwhere(outside)[0].tolist())
            takes = "numbers of at least 0" if high == np.inf else f"values in [{low:g}, {high:g}]"
            takes = "probabilities in [0, 1]" if (low, high) == (0, 1) else takes
            raise DataError(f"{name} holds {values[place]}{_at(place)}; {self.loss.name} takes {takes}.")
        sums = values.sum(axis=-1)
        if self.loss.targets in ("classes", "distribution") and not np.allclose(sums, 1, atol=1e-4):
            row = int(np.argmax(np.abs(sums.reshape(len(values), -1) - 1).max(axis=-1)))
            worst = sums.reshape(len(values), -1)[row]
            raise DataError(
                f"{name} sums to {worst[np.argmax(np.abs(worst - 1))]:.6g} in row {row}; {self.loss.name} "
                "takes labels, one-hot rows, or distributions that sum to 1."
            )


# The losses for several classes in the place of those that tell two apart.
_OF_SEVERAL = {"binary": "cross_entropy", "signs": "multiclass_hinge"}
_RANGES = {
    "classes": (0.0, 1.0),
    "distribution": (0.0, 1.0),
    "binary": (0.0, 1.0),
    "signs": (-1.0, 1.0),
    "counts": (0.0, np.inf),
}


def _is_one_hot(values: NDArray) -> bool:
    return values.dtype.kind in "fiub" and bool(
        np.isin(values, (0, 1)).all() and (values.sum(axis=-1) == 1).all()
    )


def _learn_classes(y: NDArray, count: int, loss: Loss) -> NDArray:
    """`count` labels, ascending, of the types that Python itself has: so they survive a file."""
    if y.dtype.kind not in "iubfU":
        raise DataError(f"y holds labels of type {y.dtype.name}; they are text, whole numbers or booleans.")
    if y.dtype.kind == "f":
        y = as_numbers(y, y.dtype, "y")
        if (y != np.round(y)).any():
            raise DataError(
                f"y holds {y[y != np.round(y)][0]}, which is no class label; for quantities use "
                'loss="mean_squared_error".'
            )
    # NOTE without counts, np.unique loads numpy.ma, a fiftieth of a short run
    found = np.array(np.unique(y, return_counts=True)[0].tolist())
    # Whole numbers 0 .. count-1 are the outputs themselves, even where some do not occur in this sample.
    if found.dtype.kind in "if" and found[0] >= 0 and found[-1] < count:
        return np.arange(count, dtype=found.dtype)
    if found.dtype.kind == "b" and count == 2:
        return np.array([False, True])
    if len(found) == count:
        return found
    if len(found) == 1:
        mend = "give rows of every class, or Network(classes=...)"
    else:
        mend = f"end it with Dense({len(found)})" + (
            f' and loss="{_OF_SEVERAL[loss.targets]}"' if loss.targets in _OF_SEVERAL else ""
        )
        mend += ", or list all in Network(classes=...)" if len(found) < count else ""
    classes = f"{len(found)} class{'es' if len(found) > 1 else ''}"
    raise DataError(f"y holds {classes}, but the network tells {count} apart; {mend}.")


def _as_array(values: Any, name: str) -> NDArray:
    try:
        raw = np.asarray(values)
    except ValueError:
        raise ShapeError(f"{name} has rows of different lengths; it takes one length for all.") from None
    if raw.dtype.kind == "U" and not isinstance(values, np.ndarray):
        return np.asarray(
            values, object
        )  # NOTE NumPy makes text of the number in [nan, "yes"] without a word
    return raw


def _of_reals(raw: NDArray, name: str) -> NDArray:
    for place, value in np.ndenumerate(raw):
        if not isinstance(value, Real):
            raise DataError(
                f"{name} holds {value!r}{_at(place)}, which is not a number; remove or replace it."
            )
    return raw.astype(np.float64)


def _of_one_kind(raw: NDArray, name: str) -> NDArray:
    """Objects as an array of text, of numbers or of booleans; DataError for a mixture and anything else."""
    kinds = (str, (bool, np.bool_), Real)
    first = next((kind for kind in kinds if isinstance(raw.flat[0], kind)), ())
    for place, value in np.ndenumerate(raw):
        if not isinstance(value, first) or (first is Real and isinstance(value, bool)):
            raise DataError(
                f"{name} holds {value!r}{_at(place)}; it takes text, numbers or booleans, all of a kind."
            )
    return np.array(raw.tolist())


def _at(place: tuple[int, ...]) -> str:
    """Where a value is, as in " in row 3, column 1"."""
    row = f" in row {place[0]}" if place else ""
    return row + (f", column {', '.join(map(str, place[1:]))}" if place[1:] else "")
