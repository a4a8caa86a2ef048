"""Sharpness-aware minimisation: descent on the worst loss nearby."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.tree import tree_map
from glassnet.optim.gradient_descent import SGD
from glassnet.optim.hyperparameters import POSITIVE, require
from glassnet.optim.moments import global_norm
from glassnet.optim.optimizer import OPTIMIZERS, ValueAndGrad, Wrapper


@dataclass(frozen=True)
class SAM(Wrapper):
    """Sharpness-aware minimisation: `inner` gets the gradient uphill of where it stands.

    g = gradient at w;  e = radius g / |g|;  `inner` steps from w by the gradient at w + e

    |.| is the norm of all parameters together; at g = 0 the gradient itself is taken. Two gradients a step;
    the loss reported is that at w. Raises ConfigurationError for a radius that is not positive.

    >>> parameters, gradient = {"w": np.array(1.0)}, lambda p: (p["w"] ** 2 / 2, p)
    >>> value, moved, _ = SAM(gn.SGD(0.1), radius=0.5).advance(gradient, parameters, {"inner": {}}, 1, 0.1)
    >>> round(moved["w"].item(), 12)
    0.85

    Source: Foret, Kleiner, Mobahi and Neyshabur, ICLR (2021), algorithm 1.
    """

    radius: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, POSITIVE, "radius")

    def init(self, parameters: Any) -> Any:
        """The state of `inner`."""
        return {"inner": self.inner.init(parameters)}

    def advance(
        self, value_and_grad: ValueAndGrad, parameters: Any, state: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any, Any]:
        """One step of `inner` with the gradients uphill."""

        def uphill(point: Any) -> tuple[Any, Any]:
            value, gradients = value_and_grad(point)
            length = global_norm(gradients)
            scale = self.radius / gnp.where(length > 0, length, 1.0)
            return value, value_and_grad(tree_map(lambda w, g: w + scale * g, point, gradients))[1]

        value, parameters, inner = self.inner.advance(uphill, parameters, state["inner"], step, learning_rate)
        return value, parameters, {"inner": inner}


OPTIMIZERS.update(sam=SAM(SGD(0.01, momentum=0.9)))
