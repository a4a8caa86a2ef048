"""Training runs without the loop around them: compiled epochs over rows in memory, and over streams."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.random import WEYL, Key
from glassnet.core.step import Runner, TrainingData
from glassnet.core.tree import flatten
from glassnet.data import Source, prefetch
from glassnet.errors import ConfigurationError, DataError, ShapeError
from glassnet.nn import Parameters
from glassnet.train.program import Carried

if TYPE_CHECKING:
    from glassnet.compiler.report import ProgramReport


@dataclass(frozen=True)
class Snapshot:
    """Where a run stands: what its runner has put aside, the epochs so far, the learning rate."""

    state: Any
    epochs_run: int
    learning_rate: float


@dataclass(frozen=True)
class Piece:
    """Some batches of an epoch: the number of the last one, how many rows they hold and their mean loss."""

    step: int
    rows: int
    loss: float


def mean_loss(pieces: Iterable[Piece]) -> float:
    """The mean loss over the rows of an epoch; a loss that is not finite ends it and is returned.

    >>> mean_loss([Piece(step=1, rows=3, loss=1.0), Piece(step=2, rows=1, loss=5.0)])
    2.0
    """
    total, rows = 0.0, 0
    for piece in pieces:
        if not math.isfinite(piece.loss):
            return piece.loss
        total, rows = total + piece.loss * piece.rows, rows + piece.rows
    return total / rows


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
        self,
        runner: Runner,
        carried: Carried,
        first_epoch: int = 0,
        reason: str | None = None,
        explain: Callable[[], ProgramReport] | None = None,
    ) -> None:
        self._runner, self._carried, self._explain = runner, carried, explain
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
    def ended(self) -> str:
        """Why further epochs would change nothing; empty where they may."""
        return ""

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
    def rate(self) -> float:
        """The rate of the last step, or before the first step that of the first."""
        return float(self._runner.rates_of(np.array([max(1, self.steps_taken)]))[0])

    @property
    def model(self) -> tuple[Any, Parameters]:
        """Copies of the parameters to predict with, and of the statistics, as they are now."""
        return self._carried.model(self._runner.read(self._carried.count))

    @property
    def parameters(self) -> list[NDArray]:
        """Copies of the arrays of parameters to predict with, as they are now."""
        return flatten(self.model[0])[0]

    def explain(self) -> ProgramReport:
        """The compiler's stages from the training step to native epochs; `print` shows them all.

        Raises ConfigurationError for a method for full batches, whose iterations are no single program.
        """
        if self._explain is None:
            raise ConfigurationError(
                "A method for full batches runs several programs in turn and has no single one to explain; "
                "explain a run with Adam or SGD."
            )
        return self._explain()

    def run_epoch(self) -> float:
        """One epoch; the mean loss over its instances."""
        return self.run_epochs(1)

    def run_epochs(self, epochs: int) -> float:
        """Several epochs in one call; the mean loss over the instances of the last."""
        loss = self._runner.run(self.epochs_run, epochs)
        self.epochs_run += epochs
        return loss

    def run_recorded(self, epochs: int) -> tuple[NDArray, NDArray]:
        """Several epochs in one call: their records, and the rate of the last step of each.

        A record (1 + sums) is the mean loss and the sums of the tallies. Where a loss is not finite the last
        one is not.
        """
        ends = self.steps_taken + np.arange(1, epochs + 1) * self._runner.steps_per_epoch
        records = self._runner.run_recorded(self.epochs_run, epochs)
        self.epochs_run += epochs
        return records, self._runner.rates_of(ends)

    @property
    def takes_tallies(self) -> bool:
        """Whether every epoch ends with the tallies that the run was given."""
        return self._runner.tallies

    @property
    def sums(self) -> NDArray:
        """The sums of the tallies of the last epoch, one behind the other."""
        return self._runner.sums

    def snapshot(self) -> Snapshot | None:
        """Where the run stands, to go on from there once more; None where only forward is possible."""
        state = self._runner.snapshot()
        return None if state is None else Snapshot(state, self.epochs_run, self.learning_rate)

    def restore(self, snapshot: Snapshot) -> None:
        """Goes back to where the run stood: the same epochs give the same bits again."""
        self._runner.restore(snapshot.state)
        self.epochs_run, self.learning_rate = snapshot.epochs_run, snapshot.learning_rate

    def run_batches(self, count: int) -> Iterator[Piece]:
        """One epoch in pieces of `count` batches."""
        yield from self._pieces(0, count)
        self.epochs_run += 1

    def _pieces(self, done: int, count: int) -> Iterator[Piece]:
        """The runner's epoch in pieces; `done` batches came before them."""
        steps = self._runner.steps_per_epoch
        for first in range(0, steps, count):
            loss, rows = self._runner.run_steps(self.epochs_run, first, count)
            yield Piece(done + min(first + count, steps), rows, loss)


def batches_of(source: Source, batch_size: int) -> int | None:
    """The number of batches in an epoch of a source; the last one of every block may be short."""
    if source.rows is None:
        return None
    whole, left = divmod(source.rows, source.block_rows)
    return whole * -(-source.block_rows // batch_size) + -(-left // batch_size)


class StreamedProgram(TrainingProgram):
    """A training run over a source: each block of rows is trained on while the next one is prepared.

    `columns` makes the columns of a batch of a block (X, y). The rows of a block are shuffled too, by `key`.
    """

    def __init__(
        self,
        runner: Runner,
        carried: Carried,
        source: Source,
        columns: Callable[[Any, Any], tuple[NDArray, ...]],
        key: Key,
        batch_size: int,
        first_epoch: int = 0,
        reason: str | None = None,
        explain: Callable[[], ProgramReport] | None = None,
    ) -> None:
        super().__init__(runner, carried, first_epoch, reason, explain)
        self._source, self._columns, self._key, self._batch_size = source, columns, key, batch_size

    @property
    def steps_per_epoch(self) -> int | None:
        """The number of batches in an epoch, or None where the source does not know its rows."""
        return batches_of(self._source, self._batch_size)

    def run_epochs(self, epochs: int) -> float:
        """Several epochs; the mean loss over the instances of the last."""
        loss = math.nan
        for _ in range(epochs):
            loss = mean_loss(self.run_batches(sys.maxsize))
            if not math.isfinite(loss):
                break
        return loss

    def snapshot(self) -> None:
        """None: a source gives its blocks once."""

    def run_batches(self, count: int) -> Iterator[Piece]:
        """One epoch in pieces of at most `count` batches, none across two blocks."""
        done = 0
        with closing(prefetch(self._blocks())) as blocks:
            for data in blocks:
                self._runner.feed(data)
                yield from self._pieces(done, count)
                done += self._runner.steps_per_epoch
        self.epochs_run += 1

    def _blocks(self) -> Iterator[TrainingData]:
        for number, (X, y) in enumerate(self._source.blocks(self.epochs_run)):
            try:
                columns = self._columns(X, y)
            except (DataError, ShapeError) as error:
                raise type(error)(f"Block {number} of the source: {error}") from None
            # The golden ratio of 2^32: the numbers of the blocks' examples lie as far apart as can be.
            yield TrainingData(columns, self._key.fold(number), number * WEYL[0] % 2**32)
