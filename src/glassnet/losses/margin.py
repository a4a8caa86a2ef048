"""Losses that ask for a margin: what is right by enough costs nothing.

Two classes are signs d, -1 and +1, and z is right where d z > 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.losses.checks import same_shape
from glassnet.losses.loss import Loss
from glassnet.losses.positions import as_distribution, mean_over_positions


def hinge(z: Any, target: Any, mask: Any = None) -> Any:
    """sum_i max(0, 1 - d_i z_i) for signs d; delta = -d within the margin, d z < 1, and 0 beyond it.

    Shapes: z and target (..., outputs), mask (...) -> scalar, the mean over the positions; targets -1 and +1.
    Kink: the derivative at d z = 1 is 0. Raises ShapeError when the shapes differ.

    >>> float(hinge(np.array([0.25, -3.0]), np.array([1.0, -1.0])))
    0.75

    Source: Cortes and Vapnik, Machine Learning 20 (1995), section 3.
    """
    same_shape("hinge", z, target, mask)
    return mean_over_positions(gnp.sum(gnp.relu(1.0 - target * z), axis=-1), mask)


def squared_hinge(z: Any, target: Any, mask: Any = None) -> Any:
    """sum_i max(0, 1 - d_i z_i)^2 for signs d; delta = -2 d max(0, 1 - d z), without a jump.

    Shapes: z and target (..., outputs), mask (...) -> scalar, the mean over the positions; targets -1 and +1.
    Raises ShapeError when the shapes differ.

    >>> float(squared_hinge(np.array([0.5, -3.0]), np.array([1.0, -1.0])))
    0.25

    Source: Tang (2013), deep learning using linear support vector machines, arXiv 1306.0239.
    """
    same_shape("squared_hinge", z, target, mask)
    return mean_over_positions(gnp.sum(gnp.square(gnp.relu(1.0 - target * z)), axis=-1), mask)


def multiclass_hinge(z: Any, target: Any, mask: Any = None) -> Any:
    """max_j (z_j + 1 - d_j) - sum_j d_j z_j for an indicator vector d: the margin over the best rival.

    For the class c it is max(0, 1 + max_{j != c} z_j - z_c); delta is 1 at the j of the maximum and -1 at c,
    0 where they are the same.

    Shapes: z (..., classes), target the same or indices of classes (...), mask (...) -> scalar, the mean over
    the positions. Kink: of equal terms the first class takes the derivative. Raises ShapeError when the
    shapes differ, DataError for an index that is no class.

    >>> float(multiclass_hinge(np.array([2.0, 1.5, -1.0]), np.array(0)))
    0.5

    Source: Crammer and Singer, Journal of Machine Learning Research 2 (2001), section 3.
    """
    target = as_distribution("multiclass_hinge", z, target, mask)
    same_shape("multiclass_hinge", z, target, mask)
    lead = z - gnp.sum(target * z, axis=-1, keepdims=True)
    return mean_over_positions(gnp.max(lead + (1.0 - target), axis=-1), mask)


def perceptron(z: Any, target: Any, mask: Any = None) -> Any:
    """sum_i max(0, -d_i z_i) for signs d: a mistake costs its distance; delta = -d where d z <= 0, else 0.

    A step of gradient descent on it is Rosenblatt's rule, W <- W + eta d x for every mistake; on all examples
    at once it is the batch perceptron.

    Shapes: z and target (..., outputs), mask (...) -> scalar, the mean over the positions; targets -1 and +1.
    Kink: z = 0 is a mistake, and the derivative there is -d: weights of 0 learn. Raises ShapeError when the
    shapes differ.

    >>> float(perceptron(np.array([0.5, 2.0]), np.array([1.0, -1.0])))
    2.0

    Source: Rosenblatt, Psychological Review 65 (1958); Bishop (2006), equation 4.54.
    """
    same_shape("perceptron", z, target, mask)
    # NOTE not relu, whose slope at 0 is 0: of equal arguments maximum gives the slope to the first.
    return mean_over_positions(gnp.sum(gnp.maximum(-target * z, 0.0), axis=-1), mask)


@dataclass(frozen=True)
class Hinge(Loss):
    """`hinge` as a loss.

    >>> float(Hinge().divergence(np.array([0.25]), np.array([1.0])))
    0.75
    """

    name = "hinge"
    task = "classification"
    targets = "signs"
    formula = "sum max(0, 1 - d z)"

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `hinge`."""
        return hinge(prediction, target, mask)


@dataclass(frozen=True)
class SquaredHinge(Loss):
    """`squared_hinge` as a loss.

    >>> float(SquaredHinge().divergence(np.array([0.5]), np.array([1.0])))
    0.25
    """

    name = "squared_hinge"
    task = "classification"
    targets = "signs"
    formula = "sum max(0, 1 - d z)^2"

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `squared_hinge`."""
        return squared_hinge(prediction, target, mask)


@dataclass(frozen=True)
class MulticlassHinge(Loss):
    """`multiclass_hinge` as a loss.

    >>> float(MulticlassHinge().divergence(np.array([2.0, 1.5, -1.0]), np.array(0)))
    0.5
    """

    name = "multiclass_hinge"
    task = "classification"
    targets = "classes"
    formula = "max_j (z_j + 1 - d_j) - sum d z"

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `multiclass_hinge`."""
        return multiclass_hinge(prediction, target, mask)


@dataclass(frozen=True)
class Perceptron(Loss):
    """`perceptron` as a loss.

    >>> float(Perceptron().divergence(np.array([2.0]), np.array([-1.0])))
    2.0
    """

    name = "perceptron"
    task = "classification"
    targets = "signs"
    formula = "sum max(0, -d z)"

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `perceptron`."""
        return perceptron(prediction, target, mask)
