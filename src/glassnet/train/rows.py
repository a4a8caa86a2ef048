"""Rows to train or to measure on, and what each of them weighs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT64, DType, NDArray
from glassnet.errors import ConfigurationError, DataError, ShapeError
from glassnet.train.targets import Encoding, as_numbers


@dataclass(frozen=True)
class Rows:
    """Rows x (rows, ...), target as the loss takes it, and the weight of each row (rows,) or None.

    Raises DataError where all weights are 0.
    """

    x: NDArray
    target: NDArray
    weight: NDArray | None = None

    def __post_init__(self) -> None:
        if self.weight is not None and not self.weight.sum() > 0:
            raise DataError(
                f"All {len(self.x)} rows to train or to measure on have the weight 0; give at least one a "
                "positive weight."
            )

    def columns(self, reduction: str) -> tuple[NDArray, ...]:
        """What a batch is gathered from: x, target and the importance of each row, if rows have weights.

        The importance is the weight for a "sum"; for a "mean" its mean is 1, so that the mean over all rows
        is their weighted mean.
        """
        if self.weight is None:
            return self.x, self.target
        importance = self.weight if reduction == "sum" else self.weight / self.weight.mean()
        return self.x, self.target, importance

    def take(self, places: NDArray) -> Rows:
        """Some of the rows."""
        weight = None if self.weight is None else self.weight[places]
        return Rows(self.x[places], self.target[places], weight)


def weights_of(
    encoding: Encoding, target: NDArray, sample_weight: Any, class_weight: Any, dtype: DType
) -> NDArray | None:
    """The weight of each row: that of the row times that of its class; None where there are neither.

    `class_weight` is a dict from labels to weights (1 for those left out), or "balanced": rows / (classes *
    rows of the class). Raises ShapeError, DataError and ConfigurationError for weights that do not fit.
    """
    if sample_weight is None and class_weight is None:
        return None
    weight = np.ones(len(target))
    if sample_weight is not None:
        weight = as_numbers(sample_weight, FLOAT64, "sample_weight")
        if weight.shape != (len(target),):
            raise ShapeError(
                f"sample_weight has shape {weight.shape}; it takes one weight for each of {len(target)} rows."
            )
        if (weight < 0).any():
            row = int(np.argmax(weight < 0))
            raise DataError(f"sample_weight holds {weight[row]} in row {row}; weights are 0 or more.")
    if class_weight is not None:
        weight = weight * _class_weights(encoding, target, class_weight)
    return weight.astype(dtype)


def _class_weights(encoding: Encoding, target: NDArray, given: Any) -> NDArray:
    if encoding.classes is None or len(encoding.output_shape) > 1:
        raise ConfigurationError(
            "class_weight is for classifiers with one label a row; give sample_weight instead."
        )
    labels = encoding.labels(target)
    classes = encoding.classes.tolist()
    if isinstance(given, str) and given == "balanced":
        counts = {label: int((labels == label).sum()) for label in classes}
        present = sum(count > 0 for count in counts.values())
        weights = {label: len(labels) / (present * max(count, 1)) for label, count in counts.items()}
    elif isinstance(given, Mapping) and all(label in classes for label in given):
        weights = {label: given.get(label, 1.0) for label in classes}
    else:
        raise ConfigurationError(
            f'fit got class_weight={given!r}; it takes "balanced" or a dict from labels to weights, and the '
            f"classes are {', '.join(map(repr, classes[:12]))}."
        )
    values = as_numbers([weights[label] for label in classes], FLOAT64, "class_weight")
    if (values < 0).any():
        raise ConfigurationError(f"fit got class_weight={given!r}; weights are 0 or more.")
    place = {label: i for i, label in enumerate(classes)}
    return values[[place[label] for label in labels.tolist()]]
