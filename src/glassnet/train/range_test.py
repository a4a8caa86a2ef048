"""The range test of the learning-rate finder, run on a network without the noise of its batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from glassnet.optim import LearningRateCurve, LearningRateFinder
from glassnet.train.training import TrainingProgram


def range_test(
    moving: TrainingProgram, still: TrainingProgram, finder: LearningRateFinder
) -> LearningRateCurve:
    """The curve of losses over growing rates: `moving` takes the steps, `still` the same batches without.

    A batch that is harder than another would look like a rate that is worse. So what a step shows is the
    loss of its batch less the loss that the same batch had at the first parameters, plus the mean of those.
    Raises DataError where the loss falls at no rate.

    Source: Smith, Cyclical learning rates for training neural networks, WACV (2017), section 3.3; the
    difference with common random numbers is that of Kleijnen, Management Science 21 (1975).
    """
    before = np.fromiter(_losses(still, [0.0] * finder.steps), float)
    level = float(before.mean())
    losses: list[float] = []
    for loss in _losses(moving, finder.rates.tolist()):
        losses.append(loss - before[len(losses)] + level)
        if finder.calm_steps(losses) < len(losses):
            break
    return finder.suggest(finder.rates[: len(losses)], losses)


def _losses(program: TrainingProgram, rates: Sequence[float]) -> Iterator[float]:
    """The loss of one step at each rate, batch after batch, over as many epochs as it takes."""
    left = list(reversed(rates))
    while left:
        program.learning_rate = left[-1]
        for piece in program.run_batches(1):
            yield piece.loss
            left.pop()
            if not left:
                return
            program.learning_rate = left[-1]  # the next batch is run when it is asked for
