"""How a table is learnt: the hidden layers and the settings of the run, checked before anything starts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from glassnet.errors import ConfigurationError
from glassnet.optim import SGD, Adam, Optimizer

_OPTIMIZERS = {
    "adam": (Adam, 1e-3),
    "sgd": (SGD, 1e-2),
    "momentum": (lambda rate: SGD(rate, momentum=0.9), 1e-2),
}
_USUAL_STEPS = 2000


@dataclass(frozen=True)
class Recipe:
    """The widths of the hidden layers, their activation, and how to train.

    `epochs` None means enough for about 2,000 steps, at least 20 and at most 500; `learning_rate` None means
    the optimizer's usual one (adam 0.001, sgd and momentum 0.01). Raises `ConfigurationError` for a value
    that cannot be; the activation is judged by the layer that gets it.

    >>> Recipe(hidden=(32,)).epochs_for(rows=640)
    100
    """

    hidden: tuple[int, ...] = (64, 32)
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
        rate = self.learning_rate
        if rate is not None and not (rate > 0 and math.isfinite(rate)):
            raise ConfigurationError(f"The learning rate is {rate}; it must be a finite number above 0.")
        if self.optimizer not in _OPTIMIZERS:
            raise ConfigurationError(
                f"There is no optimizer {self.optimizer!r}; choose one of {', '.join(sorted(_OPTIMIZERS))}."
            )
        if self.seed < 0:
            raise ConfigurationError(f"The seed is {self.seed}; it must be 0 or more.")

    def epochs_for(self, rows: int) -> int:
        """The number of epochs over a training part of `rows` rows."""
        if self.epochs is not None:
            return self.epochs
        steps = math.ceil(rows / self.batch_size)
        return min(max(math.ceil(_USUAL_STEPS / steps), 20), 500)

    def make_optimizer(self) -> Optimizer:
        """A fresh optimizer with the learning rate."""
        make, usual_rate = _OPTIMIZERS[self.optimizer]
        return make(usual_rate if self.learning_rate is None else self.learning_rate)
