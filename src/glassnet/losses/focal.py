"""Focal losses: cross-entropies in which an example counts the less, the better it is known already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.errors import ConfigurationError
from glassnet.losses.checks import in_range, same_shape
from glassnet.losses.loss import Loss
from glassnet.losses.positions import as_distribution, mean_over_positions

# NOTE far below every z, but finite: the logarithm of an empty sum, minus infinity, would have NaN slopes.
_NOWHERE = -1e30


def _check_gamma(owner: str, gamma: Any) -> None:
    in_range(owner, "gamma", gamma, 0, or_low=True)


def _check_weight(alpha: Any) -> None:
    if alpha is not None:
        in_range("binary_focal", "alpha", alpha, 0, 1)


def _check_weights(alpha: Any) -> None:
    if alpha is None:
        return
    if not isinstance(alpha, Sequence) or isinstance(alpha, str):
        raise ConfigurationError(f"focal got alpha={alpha!r}; it takes a tuple, one weight for each class.")
    for position, weight in enumerate(alpha):
        in_range("focal", f"alpha[{position}]", weight, 0, or_low=True)


def _missed(margin: Any, gamma: float) -> Any:
    # -(1 - p)^gamma log p for p = sigmoid(margin): with logarithms throughout, nothing is lost at either end.
    return gnp.exp(-gamma * gnp.softplus(margin)) * gnp.softplus(-margin)


def binary_focal(
    z: Any, target: Any, mask: Any = None, *, gamma: float = 2.0, alpha: float | None = None
) -> Any:
    """-sum_i [d_i a (1 - p_i)^gamma log p_i + (1 - d_i) (1 - a) p_i^gamma log(1 - p_i)] with p = sigmoid(z).

    gamma = 0 without alpha is the binary cross-entropy. `alpha` is the weight a of the positives against
    1 - a of the negatives; without it both weigh 1. For d = 1 and a = 1, delta = (1 - p)^gamma
    (gamma p log p - (1 - p)).

    Shapes: z and target (..., outputs), mask (...) -> scalar, in nats, the mean over the positions; targets
    in [0, 1]. Raises ShapeError when the shapes differ, ConfigurationError unless gamma >= 0 and
    0 < alpha < 1.

    >>> round(float(binary_focal(np.array([0.0]), np.array([1.0]))), 6)  # log(2) / 4
    0.173287

    Source: Lin, Goyal, Girshick, He and Dollar, ICCV 2017, equations 4 and 5.
    """
    _check_gamma("binary_focal", gamma)
    _check_weight(alpha)
    same_shape("binary_focal", z, target, mask)
    positives, negatives = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
    each = positives * target * _missed(z, gamma) + negatives * (1.0 - target) * _missed(-z, gamma)
    return mean_over_positions(gnp.sum(each, axis=-1), mask)


def _against_the_rest(z: Any) -> Any:
    """The logit of each class against all others: m_i = z_i - log sum_{j != i} exp(z_j), p_i = sigmoid(m_i).

    Shapes: z (..., classes) -> (..., classes).
    """
    # Relative to the largest: of two large numbers the difference would have lost its digits.
    z = z - gnp.stop_gradient(gnp.max(z, axis=-1, keepdims=True))
    # sum_{j != i} p_j is 1 - p_i, which keeps its digits where p_i <= 1/2: for all but the largest.
    top = gnp.not_equal(gnp.one_hot(gnp.argmax(z, axis=-1), z.shape[-1]), 0.0)
    rest_of_top = gnp.logsumexp(gnp.where(top, _NOWHERE, z), axis=-1, keepdims=True)
    rest = gnp.logsumexp(z, axis=-1, keepdims=True) + gnp.log1p(-gnp.where(top, 0.0, gnp.softmax(z)))
    return z - gnp.where(top, rest_of_top, rest)


def focal(
    z: Any, target: Any, mask: Any = None, *, gamma: float = 2.0, alpha: Sequence[float] | None = None
) -> Any:
    """-sum_i a_i d_i (1 - p_i)^gamma log p_i with p = softmax(z).

    gamma = 0 without alpha is the cross-entropy. `alpha` holds a weight for each class; without it all weigh
    1. For the class c of weight 1, delta = (1 - p_c)^(gamma - 1) (1 - p_c - gamma p_c log p_c) (p - d).

    Shapes: z (..., classes), target the same or indices of classes (...), mask (...) -> scalar, in nats, the
    mean over the positions. Raises ShapeError when the shapes differ, DataError for an index that is no
    class, ConfigurationError unless gamma >= 0 and alpha is a tuple of numbers >= 0, one for each class.

    >>> round(float(focal(np.zeros(2), np.array(1))), 6)  # log(2) / 4
    0.173287

    Source: Lin, Goyal, Girshick, He and Dollar, ICCV 2017, equations 4 and 5, with the softmax.
    """
    _check_gamma("focal", gamma)
    _check_weights(alpha)
    target = as_distribution("focal", z, target, mask)
    same_shape("focal", z, target, mask)
    if alpha is not None:
        if len(alpha) != z.shape[-1]:
            raise ConfigurationError(
                f"focal got alpha with {len(alpha)} weights for {z.shape[-1]} classes; it takes one for each."
            )
        target = target * np.asarray(alpha, np.result_type(z.dtype, np.float32))
    each = target * _missed(_against_the_rest(z), gamma)
    return mean_over_positions(gnp.sum(each, axis=-1), mask)


@dataclass(frozen=True)
class BinaryFocal(Loss):
    """`binary_focal` as a loss: `gamma` >= 0, and `alpha`, the weight of the positives, in (0, 1) or None.

    >>> round(float(BinaryFocal(alpha=0.25).divergence(np.array([0.0]), np.array([1.0]))), 6)
    0.043322
    """

    name = "binary_focal"
    link = "sigmoid"
    task = "classification"
    targets = "binary"
    formula = "-sum [d a (1 - p)^gamma log p + (1 - d) (1 - a) p^gamma log(1 - p)]"
    gamma: float = 2.0
    alpha: float | None = None

    def __post_init__(self) -> None:
        _check_gamma(self.name, self.gamma)
        _check_weight(self.alpha)

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `binary_focal`."""
        return binary_focal(prediction, target, mask, gamma=self.gamma, alpha=self.alpha)


@dataclass(frozen=True)
class Focal(Loss):
    """`focal` as a loss: `gamma` >= 0, and `alpha`, the weights of the classes, or None.

    >>> round(float(Focal(alpha=(1.0, 0.5)).divergence(np.zeros(2), np.array(1))), 6)
    0.086643
    """

    name = "focal"
    link = "softmax"
    task = "classification"
    targets = "classes"
    formula = "-sum a d (1 - p)^gamma log p"
    gamma: float = 2.0
    alpha: Sequence[float] | None = None

    def __post_init__(self) -> None:
        _check_gamma(self.name, self.gamma)
        _check_weights(self.alpha)
        if self.alpha is not None:
            object.__setattr__(self, "alpha", tuple(self.alpha))  # the list of a model file, say

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `focal`."""
        return focal(prediction, target, mask, gamma=self.gamma, alpha=self.alpha)
