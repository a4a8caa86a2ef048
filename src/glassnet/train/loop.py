"""The loop around the training program: epochs, validation between them, events, and how a run ends."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.step import Runner
from glassnet.errors import ConfigurationError, DivergedError
from glassnet.train.events import EpochFinished, Event, Listener, RunFinished, RunStarted
from glassnet.train.history import History

Validation = Callable[[Sequence[NDArray]], tuple[float, float]]  # parameters -> (loss, score)


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
        self, runner: Runner, parameter_count: int, first_epoch: int = 0, reason: str | None = None
    ) -> None:
        self._runner = runner
        self._parameter_count = parameter_count
        self.epochs_run = first_epoch
        self.reason = reason

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch, the short last one included."""
        return self._runner.steps_per_epoch

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
        """The rate of the steps to come; assign another between epochs for a schedule of one's own."""
        return self._runner.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._runner.learning_rate = rate

    @property
    def parameters(self) -> list[NDArray]:
        """Copies of the parameter arrays as they are now."""
        return self._runner.read(self._parameter_count)

    def run_epoch(self) -> float:
        """One epoch; the mean loss over its instances."""
        return self.run_epochs(1)

    def run_epochs(self, epochs: int) -> float:
        """Several epochs in one call; the mean loss over the instances of the last."""
        loss = self._runner.run(self.epochs_run, epochs)
        self.epochs_run += epochs
        return loss


@contextmanager
def listening(progress: bool | Listener | None) -> Iterator[list[Listener]]:
    """The listeners that `progress` stands for; a bar is taken down at the end, whatever happens."""
    if progress is None:
        progress = sys.stdout is not None and sys.stdout.isatty()
    if progress is True:
        # NOTE imported when a bar is really shown: rich is a quarter of what importing glassnet would cost.
        from glassnet.train.progress import ProgressBar  # noqa: PLC0415

        with ProgressBar() as bar:
            yield [bar]
    elif progress is False or callable(progress):
        yield [progress] if progress else []
    else:
        raise ConfigurationError(
            f"fit got progress={progress!r}; it takes True, False, None or a function of one event."
        )


def train(
    program: TrainingProgram,
    epochs: int,
    history: History,
    keep: Callable[[Sequence[NDArray]], None],
    validate: Validation | None,
    listeners: Sequence[Listener],
) -> None:
    """Runs `epochs`, filling `history`. After every finished epoch `keep` receives the parameters.

    Ctrl-C ends the run after the last finished epoch, which is kept, and says so in `history.stopped`. A
    loss or a parameter that is not finite raises DivergedError; the epoch before it is kept.
    """

    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    history.engine = "interpreter" if program.reason else "compiled"
    history.compile_seconds = program.compile_seconds
    made_ready = (program.compile_seconds, program.from_cache, program.reason)
    diverged: DivergedError | None = None
    try:
        tell(RunStarted(epochs, program.steps_per_epoch, history.engine, *made_ready))
        for epoch in range(1, epochs + 1):
            start = perf_counter()
            loss = program.run_epoch()
            seconds = perf_counter() - start
            parameters = program.parameters
            _refuse_divergence(loss, parameters, epoch)
            validation = validate(parameters) if validate else None
            keep(parameters)
            history.add(loss, seconds, validation)
            tell(
                EpochFinished(epoch, epochs, loss, *(validation or (None, None)), history.score_name, seconds)
            )
    except KeyboardInterrupt:
        history.stopped = f"Interrupted: {_kept(history.epochs, epochs)}."
    except DivergedError as error:
        history.stopped, diverged = str(error), error
    failed = diverged is not None
    tell(RunFinished(history.epochs, history.training_seconds, history.stopped, failed))
    if diverged:
        raise diverged


def _refuse_divergence(loss: float, parameters: Sequence[NDArray], epoch: int) -> None:
    if not math.isfinite(loss):
        what = f"The loss became {loss}"
    elif not all(np.isfinite(array).all() for array in parameters):
        what = "The last step made a parameter that is not finite"  # its loss would show an epoch later
    else:
        return
    raise DivergedError(
        f"{what} in epoch {epoch}; {_kept(epoch - 1)}: "
        "try a learning rate ten times smaller, or standardised inputs."
    )


def _kept(done: int, epochs: int | None = None) -> str:
    if not done:
        return "no epoch was finished and the parameters are as before"
    return f"the parameters after epoch {done}{f' of {epochs}' if epochs else ''} are kept"
