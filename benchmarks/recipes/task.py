"""What a real task is: networks trained from a seed, scored on rows that they have not seen."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet import Network
from glassnet.execute import FallbackWarning
from glassnet.train.events import Listener


@dataclass(frozen=True)
class Outcome:
    """What one seed came to on held-out data, and what it had to come to; both in the task's unit."""

    value: float
    target: float


@dataclass(frozen=True)
class Task:
    """A task by name: `run(seed, listener)` makes the data, trains and scores.

    `is_error` says that less is better. `needs` is the module without which the task is skipped.
    """

    name: str
    network: str
    measure: str
    run: Callable[[int, Listener], Outcome]
    decimals: int = 2
    is_error: bool = False
    needs: str | None = None

    def met(self, outcomes: Sequence[Outcome]) -> bool:
        """Whether the mean of the values is at least as good as the mean of the targets."""
        value, target = (np.mean([getattr(o, name) for o in outcomes]) for name in ("value", "target"))
        return bool(value <= target if self.is_error else value >= target)

    def worst(self, outcomes: Sequence[Outcome]) -> float:
        """The worst value of all seeds."""
        return (max if self.is_error else min)(outcome.value for outcome in outcomes)


def silent(event: Any) -> None:
    """A listener that has nothing to say."""


def fit(net: Network, X: Any, y: Any, listener: Listener = silent, **options: Any) -> Network:
    """Trains in whichever engine takes the network; which one is no part of the result."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackWarning)
        net.fit(X, y, progress=listener, **options)
    return net
