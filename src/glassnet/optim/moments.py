"""Running means of gradients and of their squares, which the adaptive methods share."""

from __future__ import annotations

import math
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.tree import flatten, tree_map


def running_mean(means: Any, values: Any, beta: Any) -> Any:
    """beta m + (1 - beta) x, leaf by leaf."""
    return tree_map(lambda m, x: beta * m + (1 - beta) * x, means, values)


def running_square(squares: Any, values: Any, beta: float) -> Any:
    """beta v + (1 - beta) x^2, leaf by leaf."""
    return tree_map(lambda v, x: beta * v + (1 - beta) * (x * x), squares, values)


def bias_correction(beta: float, step: Any) -> Any:
    """1 - beta^t, by which a running mean that began at 0 is divided.

    >>> round(float(bias_correction(0.9, 2)), 12)
    0.19
    """
    # As -expm1(t log beta): in float32 the plain form loses half its digits at the first steps.
    return -gnp.expm1(step * math.log(beta)) if beta else 1.0


def root_correction(beta: float, step: Any) -> Any:
    """1 / sqrt(1 - beta^t): sqrt(v) times it is the root of the corrected v, at one product an element."""
    return 1.0 / gnp.sqrt(bias_correction(beta, step)) if beta else 1.0


def norm(array: Any) -> Any:
    """The Euclidean norm of all elements of one array."""
    return gnp.sqrt(gnp.sum(gnp.square(array)))


def global_norm(tree: Any) -> Any:
    """The Euclidean norm of all elements of all arrays.

    >>> float(global_norm({"w": np.array([3.0]), "b": np.array([4.0])}))
    5.0
    """
    squares = [gnp.sum(gnp.square(leaf)) for leaf in flatten(tree)[0]]
    return gnp.sqrt(sum(squares[1:], squares[0]))
