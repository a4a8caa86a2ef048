"""Schedule-free learning: averaging in place of a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.tree import tree_map
from glassnet.optim.adam import Adam
from glassnet.optim.gradient_descent import SGD
from glassnet.optim.hyperparameters import FRACTION, require
from glassnet.optim.optimizer import (
    OPTIMIZERS,
    ValueAndGrad,
    Wrapper,
    require_optimizer,
    scalar_like,
    subtract,
)


@dataclass(frozen=True)
class ScheduleFree(Wrapper):
    """Schedule-free learning: `inner` moves z, the parameters are the average of its points.

    y = (1 - beta) z + beta x;  g = gradient at y;  z <- z - step of inner(g)
    s <- s + eta^2;  x <- (1 - c) x + c z with c = eta^2 / s

    The parameters carried and predicted with are x; the loss reported is that at y. Weight decay inside takes
    the decay at y. With SGD inside it is schedule-free SGD, with Adam(beta_1=0) the schedule-free Adam of the
    paper; `beta` is the momentum, so `inner` should have none. The rate stays constant but for a warm-up.
    Raises ConfigurationError for a beta outside [0, 1) or an `inner` without `update`.

    >>> descent = ScheduleFree(SGD(0.5), beta=0.0)
    >>> x = {"x": np.array(4.0)}
    >>> slope = lambda w: (None, w)  # of x^2 / 2
    >>> state = descent.init(x)
    >>> for step in (1, 2, 3):
    ...     _, x, state = descent.advance(slope, x, state, step, 0.5)
    >>> round(x["x"].item(), 6)  # the mean of 2, 1 and 0.5
    1.166667

    Source: Defazio et al., "The road less scheduled", NeurIPS (2024), equations 3 to 5 and algorithm 1, whose
    averages are weighted by the squares of the rates.
    """

    beta: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        require_optimizer("ScheduleFree", self.inner, update=True)
        require(self, FRACTION, "beta")

    def init(self, parameters: Any) -> Any:
        """The state of `inner`, z at the parameters, and s = 0."""
        return {
            "inner": self.inner.init(parameters),
            "point": tree_map(lambda w: w + 0.0, parameters),
            "squared_rates": scalar_like(parameters, 0.0),
        }

    def advance(
        self, value_and_grad: ValueAndGrad, parameters: Any, state: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any, Any]:
        """One step, with the gradient at y."""
        between = tree_map(
            lambda x, z: z + self.beta * (x - z) if self.beta else z, parameters, state["point"]
        )
        value, gradients = value_and_grad(between)
        steps, inner = self.inner.update(gradients, state["inner"], between, step, learning_rate)
        point = subtract(state["point"], steps)
        square = learning_rate * learning_rate
        total = state["squared_rates"] + square
        weight = square / gnp.where(total > 0, total, 1.0)  # a rate of 0 moves nothing
        averaged = tree_map(lambda x, z: x + weight * (z - x), parameters, point)
        return value, averaged, {"inner": inner, "point": point, "squared_rates": total}


OPTIMIZERS.update(
    schedule_free=ScheduleFree(SGD(0.1)), schedule_free_adam=ScheduleFree(Adam(0.0025, beta_1=0.0))
)
