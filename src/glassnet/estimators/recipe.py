"""How a table is learnt: the hidden layers and the settings of the run, checked before anything starts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from glassnet.errors import ConfigurationError
from glassnet.optim.optimizer import Optimizer, resolve

_USUAL_STEPS = 2000


@dataclass(frozen=True)
class Recipe:
    """The widths of the hidden layers, their activation, and how to train.

    `epochs` None means enough for about 2,000 steps, at least 20 and at most 500; `learning_rate` None means
    the optimizer's usual one. Raises `ConfigurationError` for a value that cannot be; the activation is
    judged by the layer that gets it.

    >>> Recipe(hidden=(32,)).epochs_for(rows=640)
    100
    """

    hidden: tuple[int, ...] = (128, 64)
    activation: str = "relu"
    epochs: int | None = None
    batch_size: int = 32
    learning_rate: float | None = None
    optimizer: str = "adam"
    seed: int = 0

    def __post_init__(self) -> None:
        if any(width < 1 for width in self.hidden):
            raise ConfigurationError(
                f"The hidden widths are {','.join(map(str, self.hidden))}; "
                "give positive whole numbers separated by commas, such as 64,32."
            )
        if self.epochs is not None and self.epochs < 1:
            raise ConfigurationError(f"The number of epochs is {self.epochs}; it must be 1 or more.")
        if self.batch_size < 1:
            raise ConfigurationError(f"The batch size is {self.batch_size}; it must be 1 or more.")
        if self.seed < 0:
            raise ConfigurationError(f"The seed is {self.seed}; it must be 0 or more.")
        self.make_optimizer()  # which judges its name and learning rate

    def epochs_for(self, rows: int) -> int:
        """The number of epochs over a training part of `rows` rows."""
        if self.epochs is not None:
            return self.epochs
        steps = math.ceil(rows / self.batch_size)
        return min(max(math.ceil(_USUAL_STEPS / steps), 20), 500)

    def make_optimizer(self) -> Optimizer:
        """The optimizer of that name with the learning rate."""
        usual = resolve(self.optimizer)
        return usual if self.learning_rate is None else usual.with_learning_rate(self.learning_rate)
