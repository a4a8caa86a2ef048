"""The training step as a graph: what is carried from step to step, what comes with each batch.

    inputs    carried | data | weight? | numbers? | step | learning_rate
    outputs   loss_sum | carried after the step

What is carried are the parameters, the state of the optimiser, and the statistics that layers keep. `data`
are the columns of the batch: the parts of x, of the target, and the importance of each row if it has one.
Whoever runs the step (the interpreter, the compiler) feeds the carried outputs back and gathers the batches.
The short last batch of an epoch is filled up with rows of weight 0, so that one graph of one batch size
serves every step; `weight` is an input only where it is needed. `numbers` (int32) count the examples of the
run, the filling included: place in the epoch + epoch * steps * batch size + the data's first number; it is an
input only where the step draws random numbers.

What is measured of the model after every epoch are tallies, sums over rows:

    inputs    carried (some) | data | weight
    outputs   the sums, arrays of any shape
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.graph import Graph
from glassnet.core.random import Key
from glassnet.core.shape import size_of
from glassnet.errors import VerificationError


@dataclass(frozen=True)
class Tally:
    """Sums over rows of what a model makes of them, block by block; rows of weight 0 fill the last one up.

    `carried` are the numbers of the carried arrays that the graph reads, `data` is how many columns it does.
    """

    graph: Graph
    carried: tuple[int, ...]
    data: int
    block_rows: int

    @property
    def size(self) -> int:
        """How many numbers the sums are."""
        return sum(size_of(node.shape) for node in self.graph.outputs)


@dataclass(frozen=True)
class StepGraph:
    """One step of training for a fixed batch size.

    `schedule` gives the rates of steps by their numbers, which count from 1; they are multiplied by the
    run's learning rate. A schedule is no part of the graph, so one program serves them all. `tallies` are
    taken after every epoch.
    """

    graph: Graph
    carried: int
    data: int
    batch_size: int
    weighted: bool
    numbered: bool = False
    schedule: Callable[[NDArray], NDArray] | None = field(default=None, compare=False)
    tallies: tuple[Tally, ...] = ()

    def __post_init__(self) -> None:
        expected = self.carried + self.data + self.weighted + self.numbered + 2
        if len(self.graph.inputs) != expected or len(self.graph.outputs) != 1 + self.carried:
            raise VerificationError(
                f"A step of {self.carried} carried arrays has {expected} inputs and {1 + self.carried} "
                f"outputs; this graph has {len(self.graph.inputs)} and {len(self.graph.outputs)}."
            )

    @property
    def record_size(self) -> int:
        """How many numbers are recorded of an epoch: its loss, and the sums of its tallies."""
        return 1 + sum(tally.size for tally in self.tallies)

    def rates(self, learning_rate: float, steps: NDArray | range) -> NDArray:
        """The rates of steps by their numbers: one for all (1,) without a schedule."""
        if self.schedule is None:
            return np.array([learning_rate])
        return learning_rate * self.schedule(np.asarray(steps, np.float64))


@dataclass(frozen=True)
class TrainingData:
    """The columns that a run reads, each (rows, ...), and the key of its shuffles.

    `key` is None for a run in the given order (the full batch, where the order changes nothing).
    `first_number` sets the blocks of a stream apart, so that each draws random numbers of its own. `tallied`
    has the columns of each tally, and last the weights of its rows.
    """

    columns: tuple[NDArray, ...]
    key: Key | None
    first_number: int = 0
    tallied: tuple[tuple[NDArray, ...], ...] = ()

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.columns[0])


class Runner(Protocol):
    """Runs epochs of a step graph over data. The carried arrays live inside it between calls."""

    tallies: bool  # whether tallies are taken
    steps_per_epoch: int
    compile_seconds: float
    from_cache: bool

    @property
    def steps_taken(self) -> int:
        """The number of steps so far; the last one is where a run that diverged ended."""
        ...

    @property
    def learning_rate(self) -> float:
        """The rate of the steps to come, or what those of the schedule are multiplied by."""
        ...

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None: ...

    def rates_of(self, steps: NDArray) -> NDArray:
        """The rates of steps by their numbers, at the present learning rate."""
        ...

    def run(self, first_epoch: int, epochs: int = 1) -> float:
        """Trains for `epochs`; the mean loss of the last one, not finite where a step's loss was not."""
        ...

    def run_recorded(self, first_epoch: int, epochs: int) -> NDArray:
        """Trains for `epochs`; (epochs, 1 + sums): the mean loss of each, and its tallies where taken.

        The last loss is not finite where any is not.
        """
        ...

    @property
    def sums(self) -> NDArray:
        """The tallies (sums,) of the last epoch; empty where none are taken."""
        ...

    def snapshot(self) -> Any:
        """All that the steps to come depend on, besides data and rates; None where none is taken."""
        ...

    def restore(self, snapshot: Any) -> None:
        """Brings back what `snapshot` has put aside."""
        ...

    def run_steps(self, epoch: int, first: int, count: int) -> tuple[float, int]:
        """Trains for some steps of an epoch, which begins with its step 0; their mean loss and rows."""
        ...

    def feed(self, data: TrainingData) -> None:
        """Takes other rows of the same form for the epochs to come; the carried arrays stay."""
        ...

    def read(self, count: int) -> list[NDArray]:
        """Copies of the first `count` carried arrays."""
        ...
