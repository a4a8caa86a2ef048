"""Metrics of predicted probabilities.

Shapes: probabilities (rows,) or (rows, 1) of class 1 against class 0, or (rows, classes); actual (rows,)
holds the classes' numbers 0 .. classes-1; weights (rows,). Positions after the rows count alike, each with
its row's weight: (rows, positions, classes) and (rows, positions).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.errors import ConfigurationError, DataError, ShapeError
from glassnet.train.metrics.rows import weighted_mean, weights_of

_SUM_TOLERANCE = 1e-3  # float32 softmax of many classes is within 1e-5


def log_loss(probabilities: Any, actual: Any, weights: Any = None) -> float:
    """-mean log p of the actual class, in nats.

    p is held at or above the rounding unit of its data type (1.2e-7 in float32, 2.2e-16 in float64), where
    the logarithm of 0 would be infinite. Raises DataError for numbers outside [0, 1] and rows that do not
    sum to 1.

    >>> round(log_loss(np.array([0.5, 0.75]), np.array([0, 1])), 6)
    0.490415

    Source: Good, J. R. Stat. Soc. B 14 (1952), section 8.
    """
    table, actual, weights = _prepared("log_loss", probabilities, actual, weights)
    given = np.asarray(probabilities).dtype
    least = np.finfo(given if given.kind == "f" else np.float64).eps
    chosen = np.take_along_axis(table, actual[:, None], axis=1)[:, 0]
    return float(weighted_mean(-np.log(np.maximum(chosen, least)), weights))


def brier_score(probabilities: Any, actual: Any, weights: Any = None) -> float:
    """The mean of the squared error of the probabilities.

    For two classes (p_1 - d_1)^2, from 0 to 1; for more the sum of (p_i - d_i)^2 over the classes, from 0 to
    2, with d_i = 1 for the actual class and 0 for the others. Errors as log_loss.

    >>> brier_score(np.array([0.5, 0.75]), np.array([0, 1]))
    0.15625

    Source: Brier, Monthly Weather Review 78 (1950), equation 2.
    """
    table, actual, weights = _prepared("brier_score", probabilities, actual, weights)
    one_hot = np.arange(table.shape[1]) == actual[:, None]
    if table.shape[1] == 2:
        return float(weighted_mean((table[:, 1] - one_hot[:, 1]) ** 2, weights))
    return float(weighted_mean(((table - one_hot) ** 2).sum(axis=1), weights))


def top_k_accuracy(probabilities: Any, actual: Any, weights: Any = None, *, k: int = 5) -> float:
    """The share of rows whose actual class is among the `k` most probable ones.

    Of equal probabilities the first counts as the larger, as for argmax. Any scores will do. Raises
    ConfigurationError for a k that is not from 1 to the number of classes.

    >>> scores = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    >>> top_k_accuracy(scores, np.array([1, 2]), k=2)
    0.5

    Source: Russakovsky et al., Int. J. Comput. Vis. 115 (2015), section 4.1.
    """
    table, actual, weights = _prepared("top_k_accuracy", probabilities, actual, weights, scores=True)
    classes = table.shape[1]
    if not 1 <= k <= classes:
        raise ConfigurationError(f"top_k_accuracy got k={k} for {classes} classes; k is from 1 to {classes}.")
    own = np.take_along_axis(table, actual[:, None], axis=1)
    before = (table > own) | ((table == own) & (np.arange(classes) < actual[:, None]))
    return float(weighted_mean((before.sum(axis=1) < k).astype(np.float64), weights))


def roc_auc(probabilities: Any, actual: Any, weights: Any = None) -> float:
    """The area under the receiver operating characteristic.

    For two classes the probability that a row of class 1 scores above a row of class 0, ties counting 1/2;
    for more the mean over the classes of each against the rest. Any scores will do. Raises DataError where
    a class has no row (or no weight), for then the area is undefined.

    >>> roc_auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([0, 0, 1, 1]))
    0.875

    Source: Hanley and McNeil, Radiology 143 (1982); Fawcett, Pattern Recogn. Lett. 27 (2006), section 9.2.
    """
    table, actual, weights = _prepared("roc_auc", probabilities, actual, weights, scores=True)
    classes = table.shape[1]
    missing = np.bincount(actual, weights, minlength=classes) == 0
    if missing.any():
        raise DataError(
            f"roc_auc is undefined, as no row is of class {int(np.argmax(missing))} (of {classes}); give "
            "rows of every class, or take another metric."
        )
    ones = [1] if classes == 2 else range(classes)
    return float(np.mean([_area(table[:, c], actual == c, weights) for c in ones]))


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """For each bin of confidence that holds a row, in ascending order: what was claimed and what was true.

    `confidence` is the mean probability of the chosen class, `accuracy` the share of rows where it is the
    actual one, `share` the share of all rows in the bin. On a calibrated network the first two agree.
    """

    confidence: NDArray
    accuracy: NDArray
    share: NDArray

    @property
    def expected_calibration_error(self) -> float:
        """sum share |accuracy - confidence|."""
        return float(np.sum(self.share * np.abs(self.accuracy - self.confidence)))


def reliability_curve(
    probabilities: Any, actual: Any, weights: Any = None, *, bins: int = 10
) -> ReliabilityCurve:
    """How often the most probable class is right, by how probable it was said to be.

    The `bins` are intervals of equal width, bin m being ((m - 1) / bins, m / bins]. Of equal probabilities
    the first class is chosen. Raises ConfigurationError for bins below 1; DataError as log_loss.

    >>> curve = reliability_curve(np.array([0.9, 0.9, 0.3, 0.3]), np.array([1, 0, 0, 0]), bins=5)
    >>> curve.confidence.round(3), curve.accuracy.round(3), curve.share
    (array([0.7, 0.9]), array([1. , 0.5]), array([0.5, 0.5]))

    Source: Guo, Pleiss, Sun and Weinberger, ICML (2017), section 2.
    """
    if bins < 1:
        raise ConfigurationError(f"reliability_curve got bins={bins}; it takes a whole number of 1 or more.")
    table, actual, weights = _prepared("reliability_curve", probabilities, actual, weights)
    confidence = table.max(axis=1)
    right = (table.argmax(axis=1) == actual).astype(np.float64)
    edges = np.arange(1, bins) / bins
    place = np.searchsorted(edges, confidence, side="left")

    def total(values: NDArray) -> NDArray:
        return np.bincount(place, weights * values, minlength=bins)

    weight = total(np.ones(len(table)))
    filled = weight > 0
    return ReliabilityCurve(
        total(confidence)[filled] / weight[filled],
        total(right)[filled] / weight[filled],
        weight[filled] / weight.sum(),
    )


def expected_calibration_error(
    probabilities: Any, actual: Any, weights: Any = None, *, bins: int = 10
) -> float:
    """The mean difference between claimed and true accuracy, sum over bins share |accuracy - confidence|.

    Bins and errors are those of `reliability_curve`.

    >>> round(expected_calibration_error(np.array([0.9, 0.9, 0.3, 0.3]), np.array([1, 0, 0, 0]), bins=5), 12)
    0.35

    Source: Naeini, Cooper and Hauskrecht, AAAI (2015); Guo et al., ICML (2017), equation 3.
    """
    return reliability_curve(probabilities, actual, weights, bins=bins).expected_calibration_error


def _area(scores: NDArray, positive: NDArray, weights: NDArray) -> float:
    """The share of pairs (positive, negative) that are in order, by weight; ties count 1/2."""
    _, place = np.unique(scores, return_inverse=True)
    up = np.bincount(place, weights * positive)
    down = np.bincount(place, weights * ~positive)
    below = np.cumsum(down) - down
    return float(np.sum(up * (below + down / 2)) / (up.sum() * down.sum()))


def _prepared(
    name: str, probabilities: Any, actual: Any, weights: Any, *, scores: bool = False
) -> tuple[NDArray, NDArray, NDArray]:
    """The table (n, classes) in float64, actual classes (n,), weights (n,); `scores` need not sum to 1."""
    table, actual = np.asarray(probabilities, np.float64), np.asarray(actual)
    if table.shape == (*actual.shape, 1):
        table = table[..., 0]
    if table.shape == actual.shape:
        table = np.stack([-table if scores else 1 - table, table], axis=-1)
    if table.shape[:-1] != actual.shape or not actual.ndim:
        raise ShapeError(
            f"{name} got probabilities of shape {np.shape(probabilities)} and actual classes of shape "
            f"{actual.shape}; it takes (rows,) or (rows, classes), and (rows,)."
        )
    if not actual.size:
        raise DataError(f"{name} got no rows; give at least one.")
    classes = table.shape[-1]
    _check_classes(name, actual, classes)
    _check_table(name, table, scores)
    weight = np.repeat(weights_of(name, weights, len(actual)), actual.size // len(actual))
    return table.reshape(-1, classes), actual.ravel().astype(np.int64), weight


def _check_classes(name: str, actual: NDArray, classes: int) -> None:
    if actual.dtype.kind not in "iub":
        raise DataError(
            f"{name} takes the actual classes as whole numbers 0 .. {classes - 1}; it got "
            f"{actual.dtype.name} values."
        )
    outside = (actual < 0) | (actual >= classes)
    if outside.any():
        place = tuple(np.argwhere(outside)[0])
        raise DataError(
            f"{name} got the actual class {actual[place]} in row {place[0]}, and there are probabilities for "
            f"0 .. {classes - 1}."
        )


def _check_table(name: str, table: NDArray, scores: bool) -> None:
    wrong = ~np.isfinite(table) if scores else ~((table >= 0) & (table <= 1))
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0])
        wanted = "finite scores" if scores else "probabilities in [0, 1]"
        raise DataError(f"{name} got {table[place]} in row {place[0]}; it takes {wanted}.")
    sums = table.sum(axis=-1)
    unequal = np.abs(sums - 1) > _SUM_TOLERANCE
    if not scores and unequal.any():
        place = tuple(np.argwhere(unequal)[0])
        raise DataError(
            f"{name} got probabilities that sum to {sums[place]:.6g} in row {place[0]}; they sum to 1."
        )
