"""Transforms that bound gradients (or steps, behind an optimiser): by value, by norm, by the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.tree import tree_map
from glassnet.optim.hyperparameters import POSITIVE, require
from glassnet.optim.moments import global_norm, norm
from glassnet.optim.optimizer import Optimizer


@dataclass(frozen=True)
class ClipByValue(Optimizer):
    """g <- min(max(g, -limit), limit), element by element. Raises ConfigurationError for a limit <= 0.

    >>> ClipByValue(1.0).update({"w": np.array([-3.0, 0.5])}, {}, None, 1, 0.1)[0]["w"]
    array([-1. ,  0.5])
    """

    limit: float

    def __post_init__(self) -> None:
        require(self, POSITIVE, "limit")

    def init(self, parameters: Any) -> Any:
        """No state."""
        return {}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """The gradients, each element between -limit and limit."""
        return tree_map(lambda g: gnp.minimum(gnp.maximum(g, -self.limit), self.limit), gradients), state


@dataclass(frozen=True)
class ClipByNorm(Optimizer):
    """g <- g min(1, limit / |g|) for each array, with its Euclidean norm |g|.

    Raises ConfigurationError for a limit that is not positive.

    >>> ClipByNorm(1.0).update({"w": np.array([3.0, 4.0])}, {}, None, 1, 0.1)[0]["w"]
    array([0.6, 0.8])
    """

    limit: float

    def __post_init__(self) -> None:
        require(self, POSITIVE, "limit")

    def init(self, parameters: Any) -> Any:
        """No state."""
        return {}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """The gradients, each array no longer than the limit."""
        return tree_map(lambda g: g * _shrinkage(norm(g), self.limit), gradients), state


@dataclass(frozen=True)
class ClipByGlobalNorm(Optimizer):
    """g <- g min(1, limit / |g|) for all arrays alike, with the Euclidean norm |g| of all of them together.

    The direction of the gradient stays. Raises ConfigurationError for a limit that is not positive.

    >>> gradients = {"w": np.array([3.0]), "b": np.array([4.0])}
    >>> tuple(ClipByGlobalNorm(1.0).update(gradients, {}, None, 1, 0.1)[0].values())
    (array([0.6]), array([0.8]))

    Source: Pascanu, Mikolov and Bengio, ICML (2013), algorithm 1.
    """

    limit: float

    def __post_init__(self) -> None:
        require(self, POSITIVE, "limit")

    def init(self, parameters: Any) -> Any:
        """No state."""
        return {}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """The gradients, together no longer than the limit."""
        scale = _shrinkage(global_norm(gradients), self.limit)
        return tree_map(lambda g: g * scale, gradients), state


@dataclass(frozen=True)
class AdaptiveClip(Optimizer):
    """Bounds the gradient of each unit by a fraction of the norm of the unit's weights.

    g_i <- g_i min(1, limit max(|w_i|, floor) / |g_i|) for each unit i

    A unit is a row of a matrix (outputs, inputs), an output of a convolution's kernel (outputs, ...), and the
    whole array if that is a vector or a number, as in the authors' program. The paper leaves the last layer
    unclipped. Raises ConfigurationError for a limit or a floor that is not positive.

    >>> w, g = {"w": np.array([[3.0, 4.0], [0.0, 1.0]])}, {"w": np.array([[0.0, 5.0], [0.0, 0.1]])}
    >>> AdaptiveClip(0.5).update(g, {}, w, 1, 0.1)[0]["w"]
    array([[0. , 2.5],
           [0. , 0.1]])

    Source: Brock, De, Smith and Simonyan, ICML (2021), equation 3.
    """

    limit: float = 0.01
    floor: float = 1e-3

    def __post_init__(self) -> None:
        require(self, POSITIVE, "limit", "floor")

    def init(self, parameters: Any) -> Any:
        """No state."""
        return {}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """The gradients, those of each unit no longer than its weights allow."""

        def bound(g: Any, w: Any) -> Any:
            limit = self.limit * gnp.maximum(_unit_norms(w), self.floor)
            return g * _shrinkage(_unit_norms(g), limit)

        return tree_map(bound, gradients, parameters), state


def _unit_norms(array: Any) -> Any:
    """Shape (units, 1, ..., 1), or that of a number for vectors and numbers."""
    axes = tuple(range(1, len(array.shape)))
    return gnp.sqrt(gnp.sum(gnp.square(array), axis=axes, keepdims=True)) if axes else norm(array)


def _shrinkage(length: Any, limit: Any) -> Any:
    """min(1, limit / length), without a division by zero."""
    return limit / gnp.maximum(length, limit)
