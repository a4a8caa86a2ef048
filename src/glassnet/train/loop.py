"""The loop around the training program: epochs, validation between them, events, and how a run ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from time import perf_counter

from glassnet.core.dtype import NDArray
from glassnet.core.step import Runner
from glassnet.errors import DivergedError
from glassnet.train.events import EpochFinished, Event, Listener, RunFinished, RunStarted
from glassnet.train.history import History

Validation = Callable[[Sequence[NDArray]], tuple[float, float]]  # parameters -> (loss, score)


class TrainingProgram:
    """A compiled (or interpreted) training run over fixed data, epoch by epoch.

    `run_epoch()` trains once over the data and returns the mean loss of the epoch; `run_epochs(n)` trains n
    times in one native call and returns that of the last. The parameters live inside the program until
    `parameters` is read.
    """

    def __init__(self, runner: Runner, parameter_count: int, first_epoch: int = 0, reason: str | None = None):
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
    def parameters(self) -> list[NDArray]:
        """The parameter arrays as they are now."""
        return self._runner.read(self._parameter_count)

    def run_epoch(self) -> float:
        """One epoch; the mean loss over its instances."""
        return self.run_epochs(1)

    def run_epochs(self, epochs: int) -> float:
        """Several epochs in one call; the mean loss over the instances of the last."""
        loss = self._runner.run(self.epochs_run, epochs)
        self.epochs_run += epochs
        return loss


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
    loss that is not finite raises DivergedError; the parameters of the epoch before it are kept.
    """

    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    engine = "interpreter" if program.reason else "compiled"
    history.engine, history.compile_seconds = engine, program.compile_seconds
    tell(
        RunStarted(
            epochs, program.steps_per_epoch, engine, program.compile_seconds, program.from_cache, program.reason
        )
    )
    diverged: DivergedError | None = None
    try:
        for epoch in range(1, epochs + 1):
            start = perf_counter()
            loss = program.run_epoch()
            seconds = perf_counter() - start
            if not math.isfinite(loss):
                diverged = _diverged(loss, epoch)
                break
            parameters = program.parameters
            keep(parameters)
            history.loss.append(loss)
            history.training_seconds += seconds
            validation = validate(parameters) if validate else (None, None)
            if validation[0] is not None and validation[1] is not None:
                history.validation_loss.append(validation[0])
                history.validation_score.append(validation[1])
            tell(EpochFinished(epoch, epochs, loss, *validation, history.score_name, seconds))
    except KeyboardInterrupt:
        done = history.epochs
        history.stopped = (
            f"Interrupted: the parameters after epoch {done} of {epochs} are kept."
            if done
            else "Interrupted before the first epoch was finished: the parameters are as before."
        )
    if diverged:
        history.stopped = str(diverged)
    tell(RunFinished(history.epochs, history.training_seconds, history.stopped))
    if diverged:
        raise diverged


def _diverged(loss: float, epoch: int) -> DivergedError:
    kept = f"the parameters after epoch {epoch - 1}" if epoch > 1 else "the initial parameters"
    return DivergedError(
        f"The loss became {loss} in epoch {epoch}; {kept} are kept. "
        "Try a learning rate ten times smaller, or standardised inputs."
    )
