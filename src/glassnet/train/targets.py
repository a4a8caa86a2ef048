"""Data on its way in: rows as floating matrices, labels as classes; every mistake in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.core.dtype import INT32, DType, NDArray
from glassnet.core.shape import Shape
from glassnet.errors import DataError, ShapeError
from glassnet.losses.loss import Loss


def as_rows(X: Any, dtype: DType, name: str = "X") -> NDArray:
    """X as an array (rows, ...) of `dtype`, C-contiguous; finite numbers only."""
    raw = np.asarray(X)
    if raw.dtype.kind not in "fiub":
        raise DataError(f"{name} holds {raw.dtype} values; it takes numbers.")
    if raw.ndim < 2:
        raise ShapeError(
            f"{name} has shape {raw.shape}; it takes one row an example, shape (rows, features): "
            "write X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one example."
        )
    if len(raw) == 0:
        raise DataError(f"{name} has no rows.")
    _refuse_non_finite(raw, name)
    return np.ascontiguousarray(raw, dtype)


def _refuse_non_finite(raw: NDArray, name: str) -> None:
    if raw.dtype.kind != "f" or np.isfinite(raw).all():
        return
    place = tuple(int(i) for i in np.argwhere(~np.isfinite(raw))[0])
    column = f", column {', '.join(map(str, place[1:]))}" if len(place) > 1 else ""
    raise DataError(f"{name} holds {raw[place]} in row {place[0]}{column} (counted from 0); remove or replace it.")


@dataclass(frozen=True)
class Encoding:
    """How targets are seen by the loss: classes for a classifier, plain values for a regressor.

    `classes[i]` is the label of output i; a single sigmoid output tells classes[1] from classes[0].
    """

    loss: Loss
    output_shape: Shape
    dtype: DType
    classes: NDArray | None

    @staticmethod
    def learn(y: Any, loss: Loss, output_shape: Shape, dtype: DType, classes: NDArray | None) -> Encoding:
        """The encoding of a first set of targets; `classes` holds those already known."""
        raw = np.asarray(y)
        if loss.task == "classification" and classes is None and raw.ndim == 1:
            classes = _learn_classes(raw, loss, output_shape[0])
        if loss.name == "cross_entropy" and classes is None:
            classes = np.arange(output_shape[0])
        return Encoding(loss, output_shape, dtype, classes)

    def encode(self, y: Any, rows: int) -> NDArray:
        """Targets for the loss: class indices (rows,) int32, or values (rows, outputs)."""
        raw = np.asarray(y)
        if len(raw) != rows if raw.ndim else True:
            got = f"{len(raw)} values" if raw.ndim else "a single value"
            raise ShapeError(f"y holds {got} for {rows} rows of X; it takes one for each row.")
        if self.loss.task == "classification" and raw.ndim == 1:
            indices = self._indices(raw)
            return indices if self.loss.link == "softmax" else indices.astype(self.dtype)[:, None]
        if raw.dtype.kind not in "fiub":
            raise DataError(f"y holds {raw.dtype} values; the loss {self.loss.name} takes numbers.")
        _refuse_non_finite(raw, "y")
        if raw.ndim == 1 and self.output_shape == (1,):
            raw = raw[:, None]
        if raw.shape[1:] != self.output_shape:
            raise ShapeError(
                f"y has shape {raw.shape}, but the network's output is {self.output_shape} for each of {rows} rows; "
                f"it takes y of shape {(rows, *self.output_shape)}."
            )
        if self.loss.task == "classification":
            self._check_distribution(raw)
        return np.ascontiguousarray(raw, self.dtype)

    def decode(self, probabilities: NDArray) -> NDArray:
        """The labels of the most probable classes; for several sigmoid outputs 0 or 1 each."""
        if self.loss.link == "softmax":
            assert self.classes is not None  # a softmax encoding has always learnt its classes
            return self.classes[np.argmax(probabilities, axis=-1)]
        chosen = (probabilities >= 0.5).astype(np.int64)
        return self.classes[chosen[:, 0]] if self.classes is not None else chosen

    def _indices(self, raw: NDArray) -> NDArray:
        classes = self.classes
        if classes is None:
            raise ShapeError(f"y has shape {raw.shape}; this network was trained on {self.output_shape[0]} columns.")
        order = np.searchsorted(classes, raw)
        known = classes[np.minimum(order, len(classes) - 1)] == raw
        if not known.all():
            row = int(np.argmin(known))
            listed = ", ".join(map(str, classes[:12])) + (", ..." if len(classes) > 12 else "")
            raise DataError(f"y holds the label {raw[row]} in row {row}, which is none of the classes {listed}.")
        return order.astype(INT32)

    def _check_distribution(self, raw: NDArray) -> None:
        outside = (raw < 0) | (raw > 1)
        if outside.any():
            row, column = (int(i) for i in np.argwhere(outside)[0])
            raise DataError(
                f"y holds {raw[row, column]} in row {row}, column {column}; {self.loss.name} takes probabilities in [0, 1]."
            )
        sums = raw.sum(axis=1)
        if self.loss.link == "softmax" and not np.allclose(sums, 1, atol=1e-4):
            row = int(np.argmax(np.abs(sums - 1)))
            raise DataError(
                f"Row {row} of y sums to {sums[row]:.6g}; cross_entropy takes labels, one-hot rows, or "
                "distributions that sum to 1."
            )


def _learn_classes(raw: NDArray, loss: Loss, outputs: int) -> NDArray:
    if raw.dtype.kind == "f":
        _refuse_non_finite(raw, "y")
        if not (raw == np.round(raw)).all():
            raise DataError(
                f"y holds {raw[raw != np.round(raw)][0]}, which is no class label; for values use "
                'loss="mean_squared_error".'
            )
    found = np.unique(raw)
    if loss.link == "sigmoid":
        if outputs != 1:
            raise ShapeError(
                f"y holds one label a row, but the network has {outputs} sigmoid outputs; give y one column for each, "
                'or use loss="cross_entropy".'
            )
        if set(found.tolist()) <= {0, 1} and found.dtype.kind in "iufb":
            return np.array([0, 1])
        if len(found) != 2:
            raise DataError(
                f"y holds {len(found)} classes; one sigmoid output tells two apart. "
                'For more use one output a class and loss="cross_entropy".'
            )
        return found
    # Whole numbers 0 .. outputs-1 are the outputs themselves, even where some do not occur in this sample.
    if raw.dtype.kind in "iufb" and found[0] >= 0 and found[-1] < outputs:
        return np.arange(outputs)
    if len(found) != outputs:
        raise DataError(
            f"y holds {len(found)} classes, but the network has {outputs} outputs; "
            f"end it with Dense({max(len(found), 2)})."
        )
    return found
