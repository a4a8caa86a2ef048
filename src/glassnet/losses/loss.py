"""The losses: each a divergence of ONE example, its link to an output activation, and what it is for.

A cross-entropy is computed from z, fused with the activation that makes probabilities of z (its link):
softmax or sigmoid. No digits are lost, and delta = dDiv/dz is the difference p - d.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.errors import ConfigurationError, ShapeError


@dataclass(frozen=True)
class Loss:
    """A divergence Div(prediction, target) of one example; a batch takes the mean over its examples.

    `link` is the output activation that the divergence contains: what it takes is z then, else y.

    >>> LOSSES["cross_entropy"].link
    'softmax'
    """

    name: str
    divergence: Callable[[Any, Any], Any]
    link: str | None
    task: str  # "classification" or "regression"
    formula: str


def _same_shape(name: str, prediction: Any, target: Any) -> None:
    # NOTE never broadcast here: (n,) against (n, 1) would silently compare everything with everything.
    if prediction.shape != target.shape:
        raise ShapeError(
            f"{name} compares a prediction of shape {prediction.shape} with a target of shape "
            f"{target.shape}; reshape the target to the shape of the prediction."
        )


def half_squared_error(prediction: Any, target: Any) -> Any:
    """1/2 sum_i (y_i - d_i)^2 of one example; delta = y - d.

    Shapes: both (outputs,) -> scalar. Raises ShapeError when the shapes differ.

    >>> float(half_squared_error(np.array([1.0, 2.0]), np.array([0.0, 0.0])))
    2.5
    """
    _same_shape("half_squared_error", prediction, target)
    return 0.5 * gnp.sum(gnp.square(prediction - target))


def mean_squared_error(prediction: Any, target: Any) -> Any:
    """1/n sum_i (y_i - d_i)^2 over the n outputs of one example; delta = 2 (y - d) / n.

    Shapes: both (outputs,) -> scalar. Raises ShapeError when the shapes differ.

    >>> float(mean_squared_error(np.array([1.0, 2.0]), np.array([0.0, 0.0])))
    2.5
    """
    _same_shape("mean_squared_error", prediction, target)
    return gnp.mean(gnp.square(prediction - target))


def binary_cross_entropy(z: Any, target: Any) -> Any:
    """-sum_i [(1 - d_i) log(1 - p_i) + d_i log p_i] with p = sigmoid(z); delta = p - d.

    Shapes: z and target (outputs,) -> scalar; targets in [0, 1]. In nats. Raises ShapeError when they differ.

    >>> round(float(binary_cross_entropy(np.array([0.0]), np.array([1.0]))), 6)
    0.693147
    """
    _same_shape("binary_cross_entropy", z, target)
    return gnp.sum(gnp.sigmoid_cross_entropy(z, target))


def cross_entropy(z: Any, target: Any) -> Any:
    """-sum_i d_i log p_i with p = softmax(z); delta = p - d for a target distribution d.

    Shapes: z and target (classes,) -> scalar. In nats. Raises ShapeError when they differ.

    >>> round(float(cross_entropy(np.zeros(2), np.array([0.0, 1.0]))), 6)
    0.693147
    """
    _same_shape("cross_entropy", z, target)
    return gnp.softmax_cross_entropy(z, target)


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("half_squared_error", half_squared_error, None, "regression", "1/2 sum (y - d)^2"),
        Loss("mean_squared_error", mean_squared_error, None, "regression", "mean (y - d)^2"),
        Loss(
            "binary_cross_entropy",
            binary_cross_entropy,
            "sigmoid",
            "classification",
            "-sum [(1 - d) log(1 - p) + d log p]",
        ),
        Loss("cross_entropy", cross_entropy, "softmax", "classification", "-sum d log p"),
    )
}


def resolve(loss: str | Loss) -> Loss:
    """The loss of that name, or the loss itself."""
    if isinstance(loss, Loss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ConfigurationError(f"loss={loss!r} is not one of {', '.join(LOSSES)}.")
    return LOSSES[loss]
