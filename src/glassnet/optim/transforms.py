"""Transforms to chain: weight decay, noise on the gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet import random
from glassnet.core.tree import flatten, unflatten
from glassnet.optim.hyperparameters import COUNT, NOT_NEGATIVE, POSITIVE, require
from glassnet.optim.optimizer import Optimizer, with_decay


@dataclass(frozen=True)
class WeightDecay(Optimizer):
    """Draws all parameters towards zero.

    decoupled:  s <- s + eta factor w   (behind an optimiser in a chain: on its steps)
    coupled:    g <- g + factor w       (before it: the gradient of factor |w|^2 / 2 is added to the loss's)

    Under plain gradient descent both are the same; under an adaptive rule the coupled decay is scaled with
    the gradients, the decoupled one (that of AdamW) is not. Raises ConfigurationError for a factor that is
    not positive.

    >>> rule = gn.optim.chain(gn.SGD(0.5), WeightDecay(0.1))
    >>> w = {"w": np.array(2.0)}
    >>> round(rule.update({"w": np.array(1.0)}, rule.init(w), w, 1, 0.5)[0]["w"].item(), 12)
    0.6

    Source: Loshchilov and Hutter, ICLR (2019), section 2; Hanson and Pratt, NIPS (1988), for the decay.
    """

    factor: float = 0.01
    decoupled: bool = True

    def __post_init__(self) -> None:
        require(self, POSITIVE, "factor")

    @property
    def behind_rate(self) -> bool:
        """Decoupled decay acts on steps, coupled decay on gradients."""
        return self.decoupled

    def init(self, parameters: Any) -> Any:
        """No state."""
        return {}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """The gradients or steps, and the decay."""
        return with_decay(gradients, parameters, learning_rate if self.decoupled else 1.0, self.factor), state


@dataclass(frozen=True)
class GradientNoise(Optimizer):
    """Adds normal noise to the gradients, which fades: g <- g + n with n of variance scale / (1 + t)^fading.

    The noise is a function of the seed, the array and the step alone. Raises ConfigurationError for a scale
    that is not positive, a negative `fading` or a seed that is not a whole number.

    >>> g = {"w": np.zeros(2)}
    >>> one, other = (GradientNoise(seed=seed).update(g, {}, g, 1, 0.1)[0]["w"] for seed in (0, 0))
    >>> bool(np.all(one == other)), bool(np.all(one != 0))
    (True, True)

    Source: Neelakantan et al., arXiv:1511.06807 (2015), section 3.
    """

    scale: float = 0.01
    fading: float = 0.55
    seed: int = 0

    def __post_init__(self) -> None:
        require(self, POSITIVE, "scale")
        require(self, NOT_NEGATIVE, "fading")
        require(self, COUNT, "seed")

    def init(self, parameters: Any) -> Any:
        """No state."""
        return {}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """The gradients with this step's noise."""
        leaves, structure = flatten(gradients)
        deviation = self.scale**0.5 * gnp.exp(-0.5 * self.fading * gnp.log1p(step))
        keys = random.split(random.key(self.seed), len(leaves))
        noisy = [
            g + deviation * random.normal(key.at(step), g.shape, dtype=g.dtype)
            for g, key in zip(leaves, keys, strict=True)
        ]
        return unflatten(structure, noisy), state
