"""The training step as a graph: what is carried from step to step, what comes with each batch.

    inputs    carried (parameters, optimiser state) | x | target | weight? | step | learning_rate
    outputs   loss_sum | carried after the step

Whoever runs it (the interpreter, the compiler) feeds the carried outputs back and gathers the batches. The
short last batch of an epoch is filled up with rows of weight 0, so that one graph of one batch size serves
every step; `weight` is an input only where it is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from glassnet.core.dtype import NDArray
from glassnet.core.graph import Graph
from glassnet.core.random import Key
from glassnet.errors import VerificationError


@dataclass(frozen=True)
class StepGraph:
    """One step of training for a fixed batch size."""

    graph: Graph
    carried: int
    batch_size: int
    weighted: bool

    def __post_init__(self) -> None:
        expected = self.carried + 4 + self.weighted
        if len(self.graph.inputs) != expected or len(self.graph.outputs) != 1 + self.carried:
            raise VerificationError(
                f"A step of {self.carried} carried arrays has {expected} inputs and {1 + self.carried} "
                f"outputs; this graph has {len(self.graph.inputs)} and {len(self.graph.outputs)}."
            )


@dataclass(frozen=True)
class TrainingData:
    """The rows that a run reads: x (rows, ...), target (rows, ...), and the key of its shuffles.

    `key` is None for a run in the given order (the full batch, where the order changes nothing).
    """

    x: NDArray
    target: NDArray
    key: Key | None


class Runner(Protocol):
    """Runs epochs of a step graph over data. The carried arrays live inside it between calls."""

    steps_per_epoch: int
    compile_seconds: float
    from_cache: bool

    @property
    def learning_rate(self) -> float:
        """The rate of the steps to come."""
        ...

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None: ...

    def run(self, first_epoch: int, epochs: int = 1) -> float:
        """Trains for `epochs`; the mean loss of the last one, not finite where a step's loss was not."""
        ...

    def read(self, count: int) -> list[NDArray]:
        """Copies of the first `count` carried arrays."""
        ...
