"""Losses for probabilities: cross-entropies, fused with the softmax or sigmoid that makes p of z, in nats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.losses.checks import in_range, same_shape
from glassnet.losses.loss import Loss
from glassnet.losses.positions import as_distribution, mean_over_positions


def _check_smoothing(owner: str, label_smoothing: Any) -> None:
    in_range(owner, "label_smoothing", label_smoothing, 0, 1, or_low=True)


def _smoothed(target: Any, label_smoothing: float, classes: int) -> Any:
    return (1.0 - label_smoothing) * target + label_smoothing / classes if label_smoothing else target


def binary_cross_entropy(z: Any, target: Any, mask: Any = None, *, label_smoothing: float = 0.0) -> Any:
    """-sum_i [(1 - d_i) log(1 - p_i) + d_i log p_i] with p = sigmoid(z); delta = p - d.

    With label smoothing s the target is (1 - s) d + s / 2.

    Shapes: z and target (..., outputs), mask (...) -> scalar, in nats, the mean over the positions; targets
    in [0, 1]. Raises ShapeError when the shapes differ, ConfigurationError unless 0 <= s < 1.

    >>> round(float(binary_cross_entropy(np.array([0.0]), np.array([1.0]))), 6)
    0.693147

    Source: Bishop (2006), equation 4.90; label smoothing: Szegedy et al., CVPR 2016, section 7.
    """
    _check_smoothing("binary_cross_entropy", label_smoothing)
    same_shape("binary_cross_entropy", z, target, mask)
    each = gnp.sigmoid_cross_entropy(z, _smoothed(target, label_smoothing, 2))
    return mean_over_positions(gnp.sum(each, axis=-1), mask)


def cross_entropy(z: Any, target: Any, mask: Any = None, *, label_smoothing: float = 0.0) -> Any:
    """-sum_i d_i log p_i with p = softmax(z); delta = p - d for a target distribution d.

    With label smoothing s the target is (1 - s) d + s / classes.

    Shapes: z (..., classes), target the same or indices of classes (...), mask (...) -> scalar, in nats, the
    mean over the positions. Raises ShapeError when the shapes differ, DataError for an index that is no
    class, ConfigurationError unless 0 <= s < 1.

    >>> round(float(cross_entropy(np.zeros(2), np.array([0.0, 1.0]))), 6)
    0.693147

    Source: Bishop (2006), equation 4.108; label smoothing: Szegedy et al., CVPR 2016, section 7.
    """
    _check_smoothing("cross_entropy", label_smoothing)
    target = as_distribution("cross_entropy", z, target, mask)
    same_shape("cross_entropy", z, target, mask)
    target = _smoothed(target, label_smoothing, z.shape[-1])
    return mean_over_positions(gnp.softmax_cross_entropy(z, target), mask)


def kl_divergence(z: Any, target: Any, mask: Any = None) -> Any:
    """KL(d || p) = sum_i d_i (log d_i - log p_i) with p = softmax(z), 0 log 0 = 0; delta = p - d.

    It is the cross-entropy less the entropy of d, so that a perfect prediction costs 0 (to within rounding).

    Shapes: z and target (..., classes), mask (...) -> scalar, in nats, the mean over the positions; targets
    are distributions. Raises ShapeError when the shapes differ.

    >>> round(float(kl_divergence(np.zeros(2), np.array([0.0, 1.0]))), 6)
    0.693147

    Source: Kullback and Leibler, Annals of Mathematical Statistics 22 (1951).
    """
    same_shape("kl_divergence", z, target, mask)
    negative_entropy = gnp.sum(gnp.xlogy(target, target), axis=-1)
    return mean_over_positions(gnp.softmax_cross_entropy(z, target) + negative_entropy, mask)


def _check_epsilon(owner: str, epsilon: Any) -> None:
    in_range(owner, "epsilon", epsilon, 0, 0.5)


def binary_cross_entropy_from_probabilities(
    p: Any, target: Any, mask: Any = None, *, label_smoothing: float = 0.0, epsilon: float = 1e-7
) -> Any:
    """-sum_i [(1 - d_i) log(1 - p_i) + d_i log p_i] of probabilities p that no sigmoid of ours has made.

    p is clipped to [epsilon, 1 - epsilon], so that one output costs -log epsilon (16.1) at most. From z,
    `binary_cross_entropy` needs no clipping and loses no digits. dDiv/dp = (p - d) / (p (1 - p)) inside the
    bounds, and 0 at and beyond them: there an example no longer teaches.

    Shapes: p and target (..., outputs), mask (...) -> scalar, in nats, the mean over the positions; both in
    [0, 1]. Raises ShapeError when the shapes differ, ConfigurationError for an option out of its range.

    >>> round(float(binary_cross_entropy_from_probabilities(np.array([0.25]), np.array([0.0]))), 6)
    0.287682

    Source: Bishop (2006), equation 4.90.
    """
    name = "binary_cross_entropy_from_probabilities"
    _check_smoothing(name, label_smoothing)
    _check_epsilon(name, epsilon)
    same_shape(name, p, target, mask)
    target = _smoothed(target, label_smoothing, 2)
    p = gnp.clip(p, epsilon, 1.0 - epsilon)
    each = target * gnp.log(p) + (1.0 - target) * gnp.log1p(-p)
    return mean_over_positions(-gnp.sum(each, axis=-1), mask)


def cross_entropy_from_probabilities(
    p: Any, target: Any, mask: Any = None, *, label_smoothing: float = 0.0, epsilon: float = 1e-7
) -> Any:
    """-sum_i d_i log p_i of probabilities p, which sum to 1, that no softmax of ours has made.

    p is raised to epsilon where it is less, so that a class costs -log epsilon (16.1) at most. From z,
    `cross_entropy` needs no bound and loses no digits. dDiv/dp = -d / p above the bound, and 0 at and below
    it: there an example no longer teaches.

    Shapes: p (..., classes), target the same or indices of classes (...), mask (...) -> scalar, in nats, the
    mean over the positions. Raises ShapeError when the shapes differ, DataError for an index that is no
    class, ConfigurationError for an option out of its range.

    >>> round(float(cross_entropy_from_probabilities(np.array([0.25, 0.75]), np.array([0.0, 1.0]))), 6)
    0.287682

    Source: Bishop (2006), equation 4.108.
    """
    name = "cross_entropy_from_probabilities"
    _check_smoothing(name, label_smoothing)
    _check_epsilon(name, epsilon)
    target = as_distribution(name, p, target, mask)
    same_shape(name, p, target, mask)
    target = _smoothed(target, label_smoothing, p.shape[-1])
    return mean_over_positions(-gnp.sum(target * gnp.log(gnp.maximum(epsilon, p)), axis=-1), mask)


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """`binary_cross_entropy` as a loss; `label_smoothing` is at least 0 and below 1.

    >>> round(float(BinaryCrossEntropy().divergence(np.array([0.0]), np.array([1.0]))), 6)
    0.693147
    """

    name = "binary_cross_entropy"
    link = "sigmoid"
    task = "classification"
    targets = "binary"
    formula = "-sum [(1 - d) log(1 - p) + d log p]"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check_smoothing(self.name, self.label_smoothing)

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `binary_cross_entropy`."""
        return binary_cross_entropy(prediction, target, mask, label_smoothing=self.label_smoothing)


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """`cross_entropy` as a loss; `label_smoothing` is at least 0 and below 1.

    >>> round(float(CrossEntropy().divergence(np.zeros(2), np.array(1))), 6)
    0.693147
    """

    name = "cross_entropy"
    link = "softmax"
    task = "classification"
    targets = "classes"
    formula = "-sum d log p"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check_smoothing(self.name, self.label_smoothing)

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `cross_entropy`."""
        return cross_entropy(prediction, target, mask, label_smoothing=self.label_smoothing)


@dataclass(frozen=True)
class KLDivergence(Loss):
    """`kl_divergence` as a loss.

    >>> float(KLDivergence().divergence(np.zeros(2), np.array([0.5, 0.5])))
    0.0
    """

    name = "kl_divergence"
    link = "softmax"
    task = "classification"
    targets = "distribution"
    formula = "sum d (log d - log p)"

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `kl_divergence`."""
        return kl_divergence(prediction, target, mask)


@dataclass(frozen=True)
class BinaryCrossEntropyFromProbabilities(Loss):
    """`binary_cross_entropy_from_probabilities` as a loss, for networks whose output is a probability.

    >>> loss = BinaryCrossEntropyFromProbabilities()
    >>> round(float(loss.divergence(np.array([0.25]), np.array([0.0]))), 6)
    0.287682
    """

    name = "binary_cross_entropy_from_probabilities"
    task = "classification"
    targets = "binary"
    formula = "-sum [(1 - d) log(1 - y) + d log y]"
    label_smoothing: float = 0.0
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        _check_smoothing(self.name, self.label_smoothing)
        _check_epsilon(self.name, self.epsilon)

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `binary_cross_entropy_from_probabilities`."""
        return binary_cross_entropy_from_probabilities(
            prediction, target, mask, label_smoothing=self.label_smoothing, epsilon=self.epsilon
        )


@dataclass(frozen=True)
class CrossEntropyFromProbabilities(Loss):
    """`cross_entropy_from_probabilities` as a loss, for networks whose output is a distribution.

    >>> loss = CrossEntropyFromProbabilities()
    >>> round(float(loss.divergence(np.array([0.25, 0.75]), np.array(1))), 6)
    0.287682
    """

    name = "cross_entropy_from_probabilities"
    task = "classification"
    targets = "classes"
    formula = "-sum d log y"
    label_smoothing: float = 0.0
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        _check_smoothing(self.name, self.label_smoothing)
        _check_epsilon(self.name, self.epsilon)

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `cross_entropy_from_probabilities`."""
        return cross_entropy_from_probabilities(
            prediction, target, mask, label_smoothing=self.label_smoothing, epsilon=self.epsilon
        )
