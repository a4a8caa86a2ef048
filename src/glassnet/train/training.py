"""Training runs without the loop around them: compiled epochs over rows in memory, and over streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from glassnet.core.dtype import NDArray
from glassnet.core.step import Runner, TrainingData
from glassnet.core.tree import flatten
from glassnet.data import Source, prefetch
from glassnet.nn import Parameters
from glassnet.train.program import Carried


class TrainingProgram:
    """A compiled (or interpreted) training run over fixed data, epoch by epoch.

    `run_epoch()` trains once over the data and returns the mean loss of the epoch; `run_epochs(n)` trains n
    times in one native call and returns that of the last. The parameters live inside the program until
    `parameters` is read. `reason` is None, or why the interpreter runs.

    >>> net = gn.Network([gn.Dense(1)], loss="half_squared_error", dtype="float64", input_shape=1)
    >>> net.parameters = {"dense_1.weight": [[0.0]], "dense_1.bias": [0.0]}
    >>> program = net.training_program([[1.0]], [4.0], optimizer=gn.SGD(0.25))
    >>> program.run_epoch(), program.run_epoch()
    (8.0, 2.0)
    """

    def __init__(
        self, runner: Runner, carried: Carried, first_epoch: int = 0, reason: str | None = None
    ) -> None:
        self._runner, self._carried = runner, carried
        self.epochs_run = first_epoch
        self.reason = reason

    @property
    def steps_per_epoch(self) -> int | None:
        """The number of batches in an epoch, the short last one included."""
        return self._runner.steps_per_epoch

    @property
    def steps_taken(self) -> int:
        """The number of steps so far; the last one is where a run that diverged ended."""
        return self._runner.steps_taken

    @property
    def compile_seconds(self) -> float:
        """What making the program ready took."""
        return self._runner.compile_seconds

    @property
    def from_cache(self) -> bool:
        """True where the native code came from the object cache."""
        return self._runner.from_cache

    @property
    def learning_rate(self) -> float:
        """The rate of the steps to come, or what a schedule's rates are multiplied by.

        Assign another between epochs for a schedule of one's own.
        """
        return self._runner.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._runner.learning_rate = rate

    @property
    def model(self) -> tuple[Any, Parameters]:
        """Copies of the parameters to predict with, and of the statistics, as they are now."""
        return self._carried.model(self._runner.read(self._carried.count))

    @property
    def parameters(self) -> list[NDArray]:
        """Copies of the arrays of parameters to predict with, as they are now."""
        return flatten(self.model[0])[0]

    def run_epoch(self) -> float:
        """One epoch; the mean loss over its instances."""
        return self.run_epochs(1)

    def run_epochs(self, epochs: int) -> float:
        """Several epochs in one call; the mean loss over the instances of the last."""
        loss = self._runner.run(self.epochs_run, epochs)
        self.epochs_run += epochs
        return loss

    def run_batches(self, count: int) -> Iterator[tuple[int, float]]:
        """One epoch in pieces of `count` batches: the number of the last batch and the mean loss of each."""
        steps = self._runner.steps_per_epoch
        for first in range(0, steps, count):
            yield min(first + count, steps), self._runner.run_steps(self.epochs_run, first, count)
        self.epochs_run += 1


class StreamedProgram(TrainingProgram):
    """A training run over a source: each block of rows is trained on while the next one is prepared."""

    def __init__(
        self,
        runner: Runner,
        carried: Carried,
        source: Source,
        encode: Callable[[Any, Any], TrainingData],
        batch_size: int,
        first_epoch: int = 0,
        reason: str | None = None,
    ) -> None:
        super().__init__(runner, carried, first_epoch, reason)
        self._source, self._encode, self._batch_size = source, encode, batch_size
        self._blocks_run = 0

    @property
    def steps_per_epoch(self) -> int | None:
        """The number of batches in an epoch, or None where the source does not know its rows."""
        return None if self._source.rows is None else -(-self._source.rows // self._batch_size)

    def run_epochs(self, epochs: int) -> float:
        """Several epochs; the mean loss over the instances of the last."""
        loss = 0.0
        for _ in range(epochs):
            total, rows = 0.0, 0
            for block in self._blocks():
                total += self._runner.run(self._blocks_run) * block.rows
                rows += block.rows
                self._blocks_run += 1
            loss = total / rows
            self.epochs_run += 1
        return loss

    def run_batches(self, count: int) -> Iterator[tuple[int, float]]:
        """One epoch in pieces of at most `count` batches, none across two blocks."""
        done = 0
        for _ in self._blocks():
            steps = self._runner.steps_per_epoch
            for first in range(0, steps, count):
                loss = self._runner.run_steps(self._blocks_run, first, count)
                yield done + min(first + count, steps), loss
            done += steps
            self._blocks_run += 1
        self.epochs_run += 1

    def _blocks(self) -> Iterator[TrainingData]:
        """The blocks of the present epoch, each fed to the runner."""
        with closing(prefetch(self._source.blocks(self.epochs_run))) as blocks:
            for X, y in blocks:
                data = self._encode(X, y)
                self._runner.feed(data)
                yield data
