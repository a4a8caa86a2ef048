"""Gradient descent, momentum and Adam: frozen hyperparameters, a pure `init` and a pure `update`.

`update` is traced into the training step and compiled with it. The learning rate comes as an argument, so
that one compiled program serves every rate and, later, every schedule.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.tree import tree_map
from glassnet.errors import ConfigurationError


@dataclass(frozen=True)
class Optimizer(ABC):
    """An update rule; `parameters`, `gradients` and every entry of the state are trees of one structure.

    >>> SGD(0.1).init({"w": np.zeros(2)})
    {}
    """

    learning_rate: float

    def __post_init__(self) -> None:
        _positive(type(self).__name__, "learning_rate", self.learning_rate)

    @abstractmethod
    def init(self, parameters: Any) -> Any:
        """The state before the first step: a dict of trees like `parameters`."""

    @abstractmethod
    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """New parameters and new state; `step` counts from 1."""


def _positive(owner: str, name: str, value: float) -> None:
    if not (isinstance(value, Real) and 0 < value < math.inf):
        raise ConfigurationError(f"{owner} got {name}={value!r}; it takes a positive number.")


def _fraction(owner: str, name: str, value: float) -> None:
    if not (isinstance(value, Real) and 0 <= value < 1):
        raise ConfigurationError(
            f"{owner} got {name}={value!r}; it takes a number of at least 0 and below 1."
        )


def _zeros_like(parameters: Any) -> Any:
    return tree_map(np.zeros_like, parameters)


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent, with momentum if asked for.

    v <- mu v - eta g;  w <- w + v   (mu = 0: w <- w - eta g)

    The batch size of the run makes it batch, mini-batch or stochastic gradient descent. Raises
    ConfigurationError for a learning rate that is not positive or a momentum outside [0, 1).

    >>> SGD(0.1).update({"w": np.array(2.0)}, {}, {"w": np.array(1.0)}, 1, 0.1)[0]["w"].item()
    0.8

    Source: Rumelhart, Hinton and Williams, Nature 323 (1986), equation 9; Sutskever, Martens, Dahl and
    Hinton, ICML (2013), equation 1.
    """

    learning_rate: float = 0.01
    momentum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _fraction("SGD", "momentum", self.momentum)

    def init(self, parameters: Any) -> Any:
        """The velocity, zero; without momentum there is no state."""
        return {"velocity": _zeros_like(parameters)} if self.momentum else {}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """One step down the gradient."""
        if not self.momentum:
            return tree_map(lambda w, g: w - learning_rate * g, parameters, gradients), state
        velocity = tree_map(lambda v, g: self.momentum * v - learning_rate * g, state["velocity"], gradients)
        return tree_map(lambda w, v: w + v, parameters, velocity), {"velocity": velocity}


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: steps scaled by running moments of the gradient.

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
    w <- w - eta (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)

    Raises ConfigurationError for a learning rate or epsilon that is not positive, or a beta outside [0, 1).

    >>> w, _ = Adam(0.1).update(
    ...     {"w": np.array(3.0)}, Adam().init({"w": np.array(1.0)}), {"w": np.array(1.0)}, 1, 0.1)
    >>> round(w["w"].item(), 6)
    0.9

    Source: Kingma and Ba, ICLR (2015), algorithm 1.
    """

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        _fraction("Adam", "beta_1", self.beta_1)
        _fraction("Adam", "beta_2", self.beta_2)
        _positive("Adam", "epsilon", self.epsilon)

    def init(self, parameters: Any) -> Any:
        """Both moments, zero."""
        return {"mean": _zeros_like(parameters), "square": _zeros_like(parameters)}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """One step of algorithm 1; the bias corrections are scalars, worked out once a step."""
        b1, b2 = self.beta_1, self.beta_2
        rate = learning_rate / _bias_correction(b1, step)
        spread = 1.0 / gnp.sqrt(_bias_correction(b2, step))
        mean = tree_map(lambda m, g: b1 * m + (1 - b1) * g, state["mean"], gradients)
        square = tree_map(lambda v, g: b2 * v + (1 - b2) * (g * g), state["square"], gradients)
        moved = tree_map(
            lambda w, m, v: w - rate * m / (gnp.sqrt(v) * spread + self.epsilon), parameters, mean, square
        )
        return moved, {"mean": mean, "square": square}


def _bias_correction(beta: float, step: Any) -> Any:
    # 1 - beta^t as -expm1(t log beta): in float32 the plain form loses half its digits at the first steps.
    return -gnp.expm1(step * math.log(beta)) if beta else 1.0


OPTIMIZERS: dict[str, Optimizer] = {"sgd": SGD(), "momentum": SGD(0.01, momentum=0.9), "adam": Adam()}


def resolve(optimizer: str | Optimizer) -> Optimizer:
    """The optimiser of that name at its default rate, or the optimiser itself."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    if not isinstance(optimizer, str) or optimizer not in OPTIMIZERS:
        raise ConfigurationError(
            f"optimizer={optimizer!r} is not one of {', '.join(OPTIMIZERS)}, "
            "nor an optimiser such as Adam(0.001)."
        )
    return OPTIMIZERS[optimizer]
