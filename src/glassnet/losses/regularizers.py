"""What is added to the loss for large weights, lambda R(W, b), and the projection that forbids them.

The factor lambda is the `strength`. Biases and the scales and shifts of normalisations are left out unless
`biases` says otherwise: they do not multiply the inputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.document import documented
from glassnet.losses.checks import in_range, is_flag

_BIASES = ("bias", "scale", "shift")


@dataclass(frozen=True)
class Regularizer(ABC):
    """A price on the parameters of one layer, added to the loss once for a batch, whatever its size.

    >>> layer = {"weight": np.array([[3.0, -1.0]]), "bias": np.array([2.0])}
    >>> float(L2(1.0).penalty(layer)), float(L2(1.0, biases=True).penalty(layer))
    (5.0, 7.0)
    """

    def __init_subclass__(cls) -> None:
        documented(cls)

    @abstractmethod
    def penalty(self, parameters: dict[str, Any]) -> Any:
        """lambda R of a layer's parameters, a tree {name: array or the same again}: a scalar."""


@dataclass(frozen=True)
class L1(Regularizer):
    """strength * sum |w|; derivative strength * sign(w): small weights become exactly 0 in the optimum.

    Kink: the derivative at w = 0 is 0. Raises ConfigurationError for a negative strength.

    >>> float(L1(0.5).penalty({"weight": np.array([[3.0, -1.0]]), "bias": np.array([2.0])}))
    2.0

    Source: Tibshirani, Journal of the Royal Statistical Society B 58 (1996).
    """

    strength: float = 0.01
    biases: bool = False

    def __post_init__(self) -> None:
        in_range("L1", "strength", self.strength, 0, or_low=True)
        is_flag("L1", "biases", self.biases)

    def penalty(self, parameters: dict[str, Any]) -> Any:
        """strength * sum |w| over the parameters that count."""
        return self.strength * _total(gnp.abs, parameters, self.biases)


@dataclass(frozen=True)
class L2(Regularizer):
    """strength * sum w^2 / 2; derivative strength * w.

    The half makes gradient descent with rate eta shrink every weight by the factor 1 - eta * strength in each
    step, as weight decay does. (Where a text writes lambda sum w^2, its lambda is strength / 2.) Raises
    ConfigurationError for a negative strength.

    >>> float(L2(0.5).penalty({"weight": np.array([[3.0, -1.0]]), "bias": np.array([2.0])}))
    2.5

    Source: Hoerl and Kennard, Technometrics 12 (1970); Krogh and Hertz, NIPS 1991, equation 1.
    """

    strength: float = 0.01
    biases: bool = False

    def __post_init__(self) -> None:
        in_range("L2", "strength", self.strength, 0, or_low=True)
        is_flag("L2", "biases", self.biases)

    def penalty(self, parameters: dict[str, Any]) -> Any:
        """strength * sum w^2 / 2 over the parameters that count."""
        return 0.5 * self.strength * _total(gnp.square, parameters, self.biases)


@dataclass(frozen=True)
class Elastic(Regularizer):
    """l1 * sum |w| + l2 * sum w^2 / 2: the sum of `L1` and `L2`, with their conventions.

    Raises ConfigurationError for a negative strength.

    >>> float(Elastic(l1=0.5, l2=0.5).penalty({"weight": np.array([[3.0, -1.0]])}))
    4.5

    Source: Zou and Hastie, Journal of the Royal Statistical Society B 67 (2005).
    """

    l1: float = 0.01
    l2: float = 0.01
    biases: bool = False

    def __post_init__(self) -> None:
        in_range("Elastic", "l1", self.l1, 0, or_low=True)
        in_range("Elastic", "l2", self.l2, 0, or_low=True)
        is_flag("Elastic", "biases", self.biases)

    def penalty(self, parameters: dict[str, Any]) -> Any:
        """l1 * sum |w| + l2 * sum w^2 / 2 over the parameters that count."""
        first, second = L1(self.l1, self.biases), L2(self.l2, self.biases)
        return first.penalty(parameters) + second.penalty(parameters)


def _counted(parameters: dict[str, Any], biases: bool) -> Iterator[Any]:
    for name, value in parameters.items():
        if isinstance(value, dict):
            yield from _counted(value, biases)  # pyright: ignore[reportUnknownArgumentType]
        elif biases or not (name in _BIASES or name.endswith("_bias")):
            yield value


def _total(price: Any, parameters: dict[str, Any], biases: bool) -> Any:
    """The sum of the prices of all numbers that count; 0 where there are none."""
    sums = [gnp.sum(price(array)) for array in _counted(parameters, biases)]
    return sum(sums[1:], start=sums[0]) if sums else 0.0


def max_norm(weights: Any, limit: float) -> Any:
    """The weights into each unit, brought back to the ball of radius `limit` where they are longer.

    w_k <- w_k min(1, limit / ||w_k||) for the weights w_k into unit k, the k-th along the first axis; those
    within the ball keep their bits. A projection for after the update, not a part of the loss.

    Shapes: weights (units, ...) -> the same. Raises ConfigurationError unless limit > 0.

    >>> max_norm(np.array([[3.0, 4.0], [0.0, 1.0]]), limit=2.5)
    array([[1.5, 2. ],
           [0. , 1. ]])

    Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, Journal of Machine Learning Research
    15 (2014), section 5.1.
    """
    in_range("max_norm", "limit", limit, 0)
    inside = tuple(range(1, weights.ndim))
    norm = gnp.sqrt(gnp.sum(gnp.square(weights), axis=inside, keepdims=True))  # (units, 1, ...)
    return weights * (limit / gnp.maximum(norm, limit))
