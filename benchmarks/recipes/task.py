"""What a real task is: a network trained from a seed, and scored on rows that it has not seen."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from glassnet import Network
from glassnet.execute import FallbackWarning
from glassnet.train.events import Event, Listener


@dataclass(frozen=True)
class Outcome:
    """What one seed came to on held-out data, and what it had to come to; both in the task's unit."""

    value: float
    target: float


@dataclass(frozen=True)
class Task:
    """A task by name: `run(seed, listener)` makes the data, trains and scores.

    `is_error` says that less is better. `needs` is the module without which the task cannot be run.
    """

    name: str
    network: str
    measure: str
    run: Callable[[int, Listener], Outcome]
    decimals: int
    is_error: bool = False
    needs: str | None = None

    @property
    def runnable(self) -> bool:
        """Whether what it needs is installed."""
        return self.needs is None or find_spec(self.needs) is not None

    def met(self, outcomes: Sequence[Outcome]) -> bool:
        """Whether the mean of the values is at least as good as the mean of the targets."""
        value, target = means(outcomes)
        return value <= target if self.is_error else value >= target

    def worst(self, outcomes: Sequence[Outcome]) -> float:
        """The worst value of all seeds."""
        return (max if self.is_error else min)(outcome.value for outcome in outcomes)


def means(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """The mean value and the mean target, to 12 digits: equal scores stay equal in any order of the seeds."""
    value = np.mean([outcome.value for outcome in outcomes])
    target = np.mean([outcome.target for outcome in outcomes])
    return float(f"{value:.12g}"), float(f"{target:.12g}")


def silent(event: Event) -> None:
    """A listener that has nothing to say."""


def fit(net: Network, X: Any, y: Any, listener: Listener = silent, **options: Any) -> None:
    """Trains in whichever engine takes the network; which one is no part of the result."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackWarning)
        history = net.fit(X, y, progress=listener, **options)
    if history.stopped and history.stopped.startswith("Interrupted"):
        # NOTE fit ends at Ctrl-C and keeps what it has learnt: half a training is no outcome.
        raise KeyboardInterrupt(history.stopped)
