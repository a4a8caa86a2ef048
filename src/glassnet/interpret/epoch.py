"""The reference run of a training step: one interpreted graph a batch, in plain sight."""

from __future__ import annotations

import math

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.random import permutation
from glassnet.core.step import StepGraph, TrainingData
from glassnet.interpret.reference import interpret


class ReferenceRunner:
    """Runs epochs node by node with NumPy: the oracle of the compiled run, and its stand-in."""

    compile_seconds = 0.0
    from_cache = False
    tallies = False
    sums = np.empty(0)

    def __init__(
        self, step: StepGraph, data: TrainingData, carried: list[NDArray], learning_rate: float
    ) -> None:
        self._step = step
        self._carried = list(carried)
        self.learning_rate = learning_rate
        self.steps_taken = 0
        self._order = np.arange(0)
        self.feed(data)

    def feed(self, data: TrainingData) -> None:
        """Takes other rows of the same form for the epochs to come."""
        self._data = data
        self.steps_per_epoch = -(-data.rows // self._step.batch_size)

    def rates_of(self, steps: NDArray) -> NDArray:
        """The rates of steps by their numbers, at the present learning rate."""
        return np.broadcast_to(self._step.rates(self.learning_rate, steps), steps.shape)

    def run(self, first_epoch: int, epochs: int = 1) -> float:
        """Trains for `epochs` and returns the mean loss of the last one; stops where it is not finite."""
        return float(self.run_recorded(first_epoch, epochs)[-1, 0])

    def run_recorded(self, first_epoch: int, epochs: int) -> NDArray:
        """Trains for `epochs`; (epochs, 1): the mean loss of each. One not finite ends them, as the last."""
        losses = np.full(epochs, np.nan)
        for epoch in range(epochs):
            losses[epoch], _ = self.run_steps(first_epoch + epoch, 0, self.steps_per_epoch)
            if not math.isfinite(losses[epoch]):
                losses[-1] = losses[epoch]
                break
        return losses[:, None]

    def snapshot(self) -> tuple[int, list[NDArray]]:
        """The number of steps and the carried arrays, none of which is ever written to."""
        return self.steps_taken, self._carried

    def restore(self, snapshot: tuple[int, list[NDArray]]) -> None:
        """Brings back what `snapshot` has put aside."""
        self.steps_taken, self._carried = snapshot

    def run_steps(self, epoch: int, first: int, count: int) -> tuple[float, int]:
        """Trains for some steps of an epoch: their mean loss and their rows; stops where it is not finite."""
        data, step, rows = self._data, self._step, self._data.rows
        if first == 0:
            self._order = self._shuffled(epoch)
        dtype = step.graph.inputs[-1].dtype
        padded = self.steps_per_epoch * step.batch_size
        total, end = 0.0, min(first + count, self.steps_per_epoch) * step.batch_size
        for start in range(first * step.batch_size, end, step.batch_size):
            self.steps_taken += 1
            places = np.arange(start, start + step.batch_size)
            batch = self._order[places]
            inputs = [*self._carried, *(column[batch] for column in data.columns)]
            if step.weighted:
                inputs.append((places < rows).astype(dtype))
            if step.numbered:
                # NOTE wraps round after 2^32
                inputs.append((places + epoch * padded + data.first_number).astype(np.int32))
            rate = step.rates(self.learning_rate, np.array([self.steps_taken]))[0]
            inputs += [dtype.type(self.steps_taken), dtype.type(rate)]
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # the loss tells
                loss, *self._carried = interpret(step.graph, inputs)
            total += float(loss)
            if not math.isfinite(total):
                break
        seen = min(end, rows) - first * step.batch_size
        return total / seen, seen

    def read(self, count: int) -> list[NDArray]:
        """Copies of the first `count` carried arrays."""
        return [np.array(array) for array in self._carried[:count]]

    def _shuffled(self, epoch: int) -> NDArray:
        """The order of an epoch, filled up to whole batches."""
        data = self._data
        order = np.arange(data.rows) if data.key is None else permutation(data.key.at(epoch), data.rows)
        # NOTE the padding repeats the first rows of the epoch: any valid rows would do, their weight is 0.
        return np.resize(order, self.steps_per_epoch * self._step.batch_size)
