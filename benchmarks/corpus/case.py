"""What a case is: how a network is trained, and for a broken one the change that broke it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

import glassnet as gn
from corpus.data import Data
from corpus.faults import FAULTS
from glassnet.errors import DivergedError
from glassnet.optim import Optimizer
from glassnet.optim.full_batch import FullBatchMethod

ADAM = gn.Adam(0.01)
Measure = Callable[[gn.Network, Data], float]


def score(net: gn.Network, data: Data) -> float:
    """Accuracy or R2 on the held-out rows."""
    name = "accuracy" if net.loss.task == "classification" else "r2"
    return net.evaluate(data.X_held_out, data.y_held_out, [name])[name]


def balanced_accuracy(net: gn.Network, data: Data) -> float:
    """The mean over the classes of the share of held-out rows that are recognised."""
    name = "balanced_accuracy"
    return net.evaluate(data.X_held_out, data.y_held_out, [name])[name]


def likelihood(net: gn.Network, data: Data) -> float:
    """The mean logarithm of the probability of the held-out rows: minus the loss on them."""
    return -net.evaluate(data.X_held_out, data.y_held_out, [])["loss"]


def rounded_accuracy(net: gn.Network, data: Data) -> float:
    """The share of held-out rows whose predicted number is nearest to the number of their class."""
    return float(np.mean(np.round(net.predict(data.X_held_out)) == data.y_held_out))


def all_right(net: gn.Network, data: Data) -> float:
    """The share of held-out rows that have all their yes-or-no outputs right."""
    return float(np.mean(np.all(net.predict(data.X_held_out) == data.y_held_out, axis=1)))


@dataclass(frozen=True)
class Recipe:
    """A network, its data and how it is trained; `measure` says on held-out rows how well that went."""

    layers: tuple[gn.nn.Layer, ...]
    data: Callable[[], Data]
    loss: str | gn.losses.Loss = "cross_entropy"
    optimizer: Optimizer | FullBatchMethod[Any] = ADAM
    epochs: int = 40
    batch_size: int | None = 32
    class_weight: str | None = None
    measure: Measure = score

    def network(self) -> gn.Network:
        """The network before training."""
        return gn.Network(self.layers, self.loss, seed=0)

    def train(self, data: Data) -> gn.Network:
        """The network after training; one that diverged has the parameters of its last finished epoch."""
        net = self.network()
        with suppress(DivergedError):
            net.fit(
                data.X,
                data.y,
                self.epochs,
                self.batch_size,
                self.optimizer,
                validation_data=(data.X_held_out, data.y_held_out),
                progress=False,
                class_weight=self.class_weight,
            )
        return net

    def outcome(self) -> float:
        """The measure of the trained network."""
        data = self.data()
        return self.measure(self.train(data), data)


@dataclass(frozen=True)
class Healthy:
    """A network that learns what its data has to give: it scores at least `reaches`."""

    name: str
    recipe: Recipe
    reaches: float


@dataclass(frozen=True)
class Broken:
    """A network that was healthy before `changes` to its recipe.

    `expected` are the names of the fault, any of which may come first; `advice` is what mends it. `hurts` is
    what the mended network scores at least above the broken one, or None where the fault is there to be seen
    and costs next to nothing. Raises ValueError for a name that is none of a fault.
    """

    name: str
    expected: tuple[str, ...]
    advice: str
    mended: Recipe
    changes: Mapping[str, Any] = field(hash=False)
    hurts: float | None = 0.1

    def __post_init__(self) -> None:
        unknown = set(self.expected) - set(FAULTS)
        if unknown or not self.expected:
            raise ValueError(f"{self.name} expects {sorted(unknown)}; the faults are those of faults.py.")

    @cached_property
    def recipe(self) -> Recipe:
        """How the broken network is trained."""
        return replace(self.mended, **self.changes)
