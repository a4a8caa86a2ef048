"""Steps that follow the signs of gradients and leave their sizes aside: Rprop, Lion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.tree import tree_map
from glassnet.errors import ConfigurationError
from glassnet.optim.hyperparameters import BETWEEN, FRACTION, NOT_NEGATIVE, POSITIVE, require
from glassnet.optim.moments import running_mean
from glassnet.optim.optimizer import OPTIMIZERS, UpdateRule, with_decay, zeros_like
from glassnet.optim.schedules import Rate


@dataclass(frozen=True)
class Rprop(UpdateRule):
    """Resilient backpropagation without weight backtracking (iRprop-): a step size for each element.

    g g_before > 0:  D <- min(growth D, largest)
    g g_before < 0:  D <- max(shrinkage D, smallest);  g <- 0, which is also what the next step remembers
    w <- w - sign(g) D

    D starts at the learning rate; a rate that changes later scales all steps. Only signs matter, so each step
    needs the gradient of the same function: use full batches. Of the original rule the taking back of the
    last step is left out. Raises ConfigurationError for sizes that are not positive or stand in the wrong
    order, a growth of at most 1 or a shrinkage outside (0, 1).

    >>> w = {"w": np.array(1.0)}
    >>> steps, state = Rprop(0.1).update({"w": np.array(3.0)}, Rprop().init(w), w, 1, 0.1)
    >>> steps, state = Rprop(0.1).update({"w": np.array(1e-9)}, state, w, 2, 0.1)
    >>> round(steps["w"].item(), 6)
    0.12

    Source: Igel and Huesken, "Improving the Rprop learning algorithm", NC (2000), section 2.4; Riedmiller and
    Braun, ICNN (1993), for the original and the constants.
    """

    learning_rate: Rate = 0.01
    growth: float = 1.2
    shrinkage: float = 0.5
    smallest: float = 1e-6
    largest: float = 50.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, POSITIVE, "growth", "smallest", "largest")
        require(self, BETWEEN, "shrinkage")
        if self.growth <= 1:
            raise ConfigurationError(f"Rprop got growth={self.growth!r}; it takes a number above 1.")
        if self.smallest > self.largest:
            raise ConfigurationError(
                f"Rprop got smallest={self.smallest!r} and largest={self.largest!r}; "
                "the smallest step cannot exceed the largest."
            )

    def init(self, parameters: Any) -> Any:
        """The signs of the gradients before, zero, and the sizes of the steps in units of the rate, one."""
        return {
            "sign": zeros_like(parameters),
            "size": tree_map(lambda zero: zero + 1.0, zeros_like(parameters)),
        }

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """One step against the signs, as long as each element's size."""
        smallest, largest = self.smallest / learning_rate, self.largest / learning_rate
        signs = tree_map(gnp.sign, gradients)
        # NOTE signs are multiplied, not gradients: the product of two small ones would underflow to 0.
        agreement = tree_map(lambda now, before: now * before, signs, state["sign"])

        def resize(size: Any, agree: Any) -> Any:
            shrunk = gnp.where(agree < 0, gnp.maximum(size * self.shrinkage, smallest), size)
            return gnp.where(agree > 0, gnp.minimum(size * self.growth, largest), shrunk)

        sizes = tree_map(resize, state["size"], agreement)
        signs = tree_map(lambda sign, agree: gnp.where(agree < 0, 0.0, sign), signs, agreement)
        steps = tree_map(lambda sign, size: learning_rate * size * sign, signs, sizes)
        return steps, {"sign": signs, "size": sizes}


@dataclass(frozen=True)
class Lion(UpdateRule):
    """Lion: the sign of an interpolation between momentum and gradient, with decoupled weight decay.

    w <- w - eta (sign(b1 m + (1 - b1) g) + lambda w);  m <- b2 m + (1 - b2) g

    sign(0) = 0. Raises ConfigurationError for a learning rate that is not positive, a beta outside [0, 1), or
    a negative `weight_decay`.

    >>> w = {"w": np.array(1.0)}
    >>> Lion(0.1).update({"w": np.array(-3.0)}, Lion().init(w), w, 1, 0.1)[0]["w"].item()
    -0.1

    Source: Chen et al., "Symbolic discovery of optimization algorithms", arXiv:2302.06675 (2023), algorithm
    2.
    """

    learning_rate: Rate = 1e-4
    beta_1: float = 0.9
    beta_2: float = 0.99
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, FRACTION, "beta_1", "beta_2")
        require(self, NOT_NEGATIVE, "weight_decay")

    def init(self, parameters: Any) -> Any:
        """The momentum, zero."""
        return {"mean": zeros_like(parameters)}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """One step of algorithm 2."""
        blended = running_mean(state["mean"], gradients, self.beta_1)
        mean = running_mean(state["mean"], gradients, self.beta_2)
        steps = tree_map(lambda c: learning_rate * gnp.sign(c), blended)
        return with_decay(steps, parameters, learning_rate, self.weight_decay), {"mean": mean}


OPTIMIZERS.update(rprop=Rprop(), lion=Lion())
