"""A rate that shrinks when the loss has stopped falling."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from glassnet.optim.hyperparameters import BETWEEN, FRACTION, WHOLE, require
from glassnet.optim.schedules import Rate, Schedule, resolve_schedule


@dataclass(frozen=True)
class PlateauState:
    """What a plateau schedule has seen: the lowest loss, the observations since, the present factor."""

    best: float = math.inf
    waited: int = 0
    factor: float = 1.0


@dataclass(frozen=True)
class Plateau(Schedule):
    """Shrinks the rate when the loss has stopped falling; the factor comes from outside the traced run.

    `observe` takes the loss of each epoch (of the validation set, if there is one). A loss below
    best - threshold |best| is a new best one; `patience` observations in a row without one multiply the
    factor by `factor`, not below `smallest`. The rate of a step is rate(step) times the state's factor, which
    the trainer multiplies; a loss that is not a number counts as no progress.

    >>> plateau = Plateau(0.1, factor=0.5, patience=2)
    >>> state = plateau.start()
    >>> for loss in (1.0, 1.0, 1.0):
    ...     state = plateau.observe(state, loss)
    >>> state.factor
    0.5
    """

    rate: Rate
    factor: float = 0.5
    patience: int = 10
    threshold: float = 1e-4
    smallest: float = 1e-4

    def __post_init__(self) -> None:
        resolve_schedule(self.rate, "Plateau", "rate")
        require(self, BETWEEN, "factor")
        require(self, WHOLE, "patience")
        require(self, FRACTION, "threshold", "smallest")

    def __call__(self, step: Any, total_steps: int | None = None) -> Any:
        """The rate before it is multiplied by the state's factor."""
        return resolve_schedule(self.rate, "Plateau", "rate")(step, total_steps)

    def start(self) -> PlateauState:
        """The state before the first observation."""
        return PlateauState()

    def observe(self, state: PlateauState, loss: float) -> PlateauState:
        """The state after the loss of one more epoch."""
        margin = self.threshold * abs(state.best) if math.isfinite(state.best) else 0.0
        if loss < state.best - margin:
            return replace(state, best=loss, waited=0)
        if state.waited + 1 < self.patience:
            return replace(state, waited=state.waited + 1)
        return replace(state, waited=0, factor=max(state.factor * self.factor, self.smallest))
