"""What a run needs to know of its network besides the data."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from glassnet.core.document import identity_of
from glassnet.core.dtype import DType
from glassnet.core.random import Key
from glassnet.nn import Parameters
from glassnet.train.composition import Composition
from glassnet.train.evaluation import Model
from glassnet.train.program import BatchLoss

# What the seed is used for; each purpose has a stream of random numbers of its own.
INITIALIZATION, SHUFFLING, VALIDATION, CHANCE = 1, 2, 3, 4


@dataclass(frozen=True)
class Setting:
    """A network at the start of a run; `first_epoch` is the number of epochs that it was trained before."""

    composition: Composition
    model: Model
    seed: int
    dtype: DType
    first_epoch: int

    @property
    def shuffle(self) -> Key:
        """The key of the orders of the rows."""
        return Key(self.seed).fold(SHUFFLING)

    @property
    def identity(self) -> Hashable | None:
        """What decides the loss of a batch, besides the seed; None where others wrote a part of it."""
        return identity_of(self.composition)

    def loss(self) -> BatchLoss:
        """The loss of a batch in training."""

        def loss(
            parameters: Any, statistics: Parameters, columns: Any, weight: Any, key: Key | None
        ) -> tuple[Any, Parameters]:
            x, target, *importance = columns
            chance = None if key is None else key.fold(CHANCE)
            each, kept = self.composition.divergences(parameters, statistics, x, target, weight, chance)
            return self.composition.batch_loss(each, parameters, weight, *importance), kept

        return loss
