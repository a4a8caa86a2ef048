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

    def __init__(
        self, step: StepGraph, data: TrainingData, carried: list[NDArray], learning_rate: float
    ) -> None:
        self._step, self._data = step, data
        self._carried = list(carried)
        self.learning_rate = learning_rate
        self.steps_taken = 0
        self.steps_per_epoch = -(-len(data.x) // step.batch_size)

    def run(self, first_epoch: int, epochs: int = 1) -> float:
        """Trains for `epochs` and returns the mean loss of the last one; stops where it is not finite."""
        loss = math.nan
        for epoch in range(first_epoch, first_epoch + epochs):
            loss = self._run_epoch(epoch)
            if not math.isfinite(loss):
                break
        return loss

    def read(self, count: int) -> list[NDArray]:
        """Copies of the first `count` carried arrays."""
        return [np.array(array) for array in self._carried[:count]]

    def _run_epoch(self, epoch: int) -> float:
        data, size = self._data, self._step.batch_size
        rows = len(data.x)
        order = np.arange(rows) if data.key is None else permutation(data.key.at(epoch), rows)
        # NOTE the padding repeats the first rows of the epoch: any valid rows would do, their weight is 0.
        order = np.concatenate([order, order[: self.steps_per_epoch * size - rows]])
        dtype = self._step.graph.inputs[-1].dtype
        total = 0.0
        for start in range(0, len(order), size):
            self.steps_taken += 1
            batch = order[start : start + size]
            inputs = [*self._carried, data.x[batch], data.target[batch]]
            if self._step.weighted:
                inputs.append((np.arange(start, start + size) < rows).astype(dtype))
            inputs += [dtype.type(self.steps_taken), dtype.type(self.learning_rate)]
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # the loss tells
                loss, *self._carried = interpret(self._step.graph, inputs)
            total += float(loss)
            if not math.isfinite(total):
                break
        return total / rows
