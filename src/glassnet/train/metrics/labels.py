"""Metrics of predicted labels.

Shapes: predicted and actual (rows, ...), whole numbers, booleans or text; weights (rows,). Positions after
the rows count alike, each with its row's weight. Classes are the labels that occur in either, ascending.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.errors import ConfigurationError, DataError
from glassnet.train.metrics.rows import paired, weighted_mean, weights_of

AVERAGES = ("binary", "macro", "micro", "weighted")


def accuracy(predicted: Any, actual: Any, weights: Any = None) -> float:
    """The share of labels that agree.

    >>> accuracy(np.array([1, 2, 3]), np.array([1, 2, 0]))
    0.6666666666666666
    """
    predicted, actual = _paired_labels("accuracy", predicted, actual)
    agree = (predicted == actual).astype(np.float64)
    return float(np.mean(weighted_mean(agree, weights_of("accuracy", weights, len(agree)))))


def confusion_matrix(predicted: Any, actual: Any, weights: Any = None, labels: Any = None) -> NDArray:
    """How many rows (or how much weight) of each class are taken for each: [i, j] is class i taken for j.

    Shapes: -> (classes, classes) in float64. `labels` gives the classes and their order. Raises DataError for
    a label that is not among them.

    >>> confusion_matrix(["cat", "dog", "cat"], ["cat", "dog", "dog"])
    array([[1., 0.],
           [1., 1.]])
    """
    return _confusion("confusion_matrix", predicted, actual, weights, labels)[0]


def balanced_accuracy(predicted: Any, actual: Any, weights: Any = None) -> float:
    """The mean over the classes that occur in `actual` of the share of their rows that is recognised.

    A constant prediction scores 1 / classes, however unequal the classes are.

    >>> balanced_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]))
    0.75
    >>> balanced_accuracy(np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1]))
    0.5

    Source: Brodersen et al., ICPR (2010).
    """
    return balanced_accuracy_of(_confusion("balanced_accuracy", predicted, actual, weights)[0])


def precision(
    predicted: Any, actual: Any, weights: Any = None, *, average: str = "binary", positive: Any = None
) -> float:
    """The share of the rows taken for a class that belong to it; 0 where none is taken for it.

    `average` is "binary", the class `positive` alone; "macro", the mean over the classes; "weighted", their
    mean by the number of actual rows; "micro", one figure over all rows, which is the accuracy. `positive`
    is the greater of two labels unless given (of 0 and 1 it is 1, even where only one of them occurs).
    Raises ConfigurationError for another average; DataError for "binary" where there are more than two
    classes, two without `positive`, or one that may be either.

    >>> predicted, actual = np.array([1, 1, 0, 1]), np.array([1, 0, 0, 1])
    >>> precision(predicted, actual), precision(predicted, actual, average="macro")
    (0.6666666666666666, 0.8333333333333333)

    Source: van Rijsbergen, Information Retrieval (1979), chapter 7.
    """
    return averaged_of("precision", *_confusion("precision", predicted, actual, weights), average, positive)


def recall(
    predicted: Any, actual: Any, weights: Any = None, *, average: str = "binary", positive: Any = None
) -> float:
    """The share of a class's rows that are taken for it; 0 where the class has no row.

    Options and errors are those of `precision`.

    >>> recall(np.array([1, 0, 0, 1]), np.array([1, 0, 1, 1]))
    0.6666666666666666

    Source: van Rijsbergen, Information Retrieval (1979), chapter 7.
    """
    return averaged_of("recall", *_confusion("recall", predicted, actual, weights), average, positive)


def f1(
    predicted: Any, actual: Any, weights: Any = None, *, average: str = "binary", positive: Any = None
) -> float:
    """The harmonic mean of precision and recall of a class; 0 where no row is of it or taken for it.

    Options and errors are those of `precision`; averages are taken of the classes' own f1.

    >>> f1(np.array([1, 1, 0, 1]), np.array([1, 0, 0, 1]))
    0.8

    Source: van Rijsbergen, Information Retrieval (1979), chapter 7.
    """
    return averaged_of("f1", *_confusion("f1", predicted, actual, weights), average, positive)


def balanced_accuracy_of(matrix: NDArray) -> float:
    """`balanced_accuracy` by the confusion matrix (classes, classes).

    >>> balanced_accuracy_of(np.array([[1.0, 0.0], [1.0, 1.0]]))
    0.75
    """
    of_class = matrix.sum(axis=1)
    occurs = of_class > 0
    return float(np.mean(np.diagonal(matrix)[occurs] / of_class[occurs]))


def averaged_of(
    name: str, matrix: NDArray, classes: NDArray, average: str = "binary", positive: Any = None
) -> float:
    """`precision`, `recall` or `f1` (the name) by the confusion matrix of the classes that occur, ascending.

    >>> averaged_of("recall", np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([0, 1]))
    0.5
    """
    if average not in AVERAGES:
        raise ConfigurationError(f"{name} got average={average!r}; it takes one of {', '.join(AVERAGES)}.")
    right, taken, true = np.diagonal(matrix), matrix.sum(axis=0), matrix.sum(axis=1)  # (classes,) each
    if average == "binary":
        chosen = _positive(name, classes, positive)
        right, taken, true = right[chosen], taken[chosen], true[chosen]
    elif average == "micro":
        right, taken, true = (part.sum(keepdims=True) for part in (right, taken, true))
    below = {"precision": taken, "recall": true, "f1": (taken + true) / 2}[name]
    figures = np.where(below > 0, right / np.where(below > 0, below, 1.0), 0.0)
    if average == "weighted":
        return float(np.average(figures, weights=true))
    return float(figures.mean()) if len(figures) else 0.0


def _paired_labels(name: str, predicted: Any, actual: Any) -> tuple[NDArray, NDArray]:
    predicted, actual = paired(name, predicted, actual)
    kinds = predicted.dtype.kind, actual.dtype.kind
    # NOTE NumPy makes text of the numbers when it puts them beside text.
    if "U" in kinds and kinds != ("U", "U") and "O" not in kinds:
        raise DataError(
            f"{name} compares predicted {predicted.dtype.name} with actual {actual.dtype.name} labels; give "
            "both as text or both as numbers."
        )
    return predicted, actual


def _confusion(
    name: str, predicted: Any, actual: Any, weights: Any, labels: Any = None
) -> tuple[NDArray, NDArray]:
    """The confusion matrix (classes, classes) and the classes."""
    predicted, actual = _paired_labels(name, predicted, actual)
    weight = np.repeat(weights_of(name, weights, len(actual)), actual.size // len(actual))
    both = np.concatenate([actual.ravel(), predicted.ravel()])
    found, place = np.unique(both, return_inverse=True)
    if labels is not None:
        wanted = np.asarray(labels)
        index = {label: i for i, label in enumerate(wanted.tolist())}
        known = np.array([index.get(label, -1) for label in found.tolist()])
        place = known[place]
        if (place < 0).any():
            stranger = both[int(np.argmax(place < 0))]
            raise DataError(f"{name} got the label {stranger.item()!r}, which is not in labels={labels!r}.")
        found = wanted
    matrix = np.zeros((len(found), len(found)))
    np.add.at(matrix, (place[: actual.size], place[actual.size :]), weight)
    return matrix, found


def _positive(name: str, classes: NDArray, positive: Any) -> NDArray:
    """Where the positive class is among `classes`: one True, or none if only the other class occurs."""
    if len(classes) > 2:
        raise DataError(
            f'{name} with average="binary" takes two classes and got {len(classes)}; use average="macro" '
            f"({name}_macro), or micro or weighted."
        )
    if positive is None:
        if len(classes) == 2:
            return np.array([False, True])
        if classes[0] not in (0, 1):
            raise DataError(
                f"{name} got the class {classes[0].item()!r} alone, which may be the positive one or the "
                "other; give positive."
            )
        positive = 1
    chosen = np.broadcast_to(classes == np.asarray(positive), classes.shape)
    if len(classes) == 2 and not chosen.any():
        raise DataError(
            f"{name} got the classes {', '.join(map(repr, classes.tolist()))}, and positive={positive!r} is "
            "neither; give one of them."
        )
    return chosen
