"""The loop around the training program: epochs, what is measured between them, events, and how a run ends."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.tree import flatten
from glassnet.errors import ConfigurationError, DivergedError, DTypeError, ShapeError
from glassnet.train.evaluation import Model
from glassnet.train.events import (
    BatchesFinished,
    EpochFinished,
    EpochStarted,
    Event,
    Listener,
    RunFinished,
    RunStarted,
    StopTraining,
)
from glassnet.train.history import History
from glassnet.train.naming import parameter_names
from glassnet.train.stopping import Standing, StoppingRule
from glassnet.train.training import Piece, TrainingProgram, mean_loss


@dataclass(frozen=True)
class Measures:
    """What the loop asks about a model after every epoch.

    `figures(model)` has what is measured besides the training loss, by name; `gradient_norm(model)` is that
    of the loss over all training rows. `follow(figures)` is what the learning rate is multiplied by from
    here on, 1 unless a plateau was reached. `fault()` says what is not finite before the first step, and how
    to mend it; it raises what a layer says to values that it does not take.
    """

    figures: Callable[[Model], dict[str, float]]
    gradient_norm: Callable[[Model], float]
    follow: Callable[[dict[str, float]], float]
    fault: Callable[[], tuple[str, str]]


@contextmanager
def listening(
    progress: bool | Listener | None, listeners: Sequence[Listener] = ()
) -> Iterator[list[Listener]]:
    """The listeners of a run, with that for which `progress` stands; a bar is taken down at the end."""
    if not isinstance(listeners, (list, tuple)) or not all(callable(listener) for listener in listeners):
        raise ConfigurationError(
            f"fit got listeners={listeners!r}; it takes a list of functions of one event."
        )
    if progress is None:
        progress = sys.stdout is not None and sys.stdout.isatty()
    if progress is True:
        # NOTE imported when a bar is really shown: rich is a quarter of what importing glassnet would cost.
        from glassnet.train.progress import ProgressBar  # noqa: PLC0415

        with ProgressBar() as bar:
            yield [bar, *listeners]
    elif progress is False or callable(progress):
        yield [*([progress] if progress else []), *listeners]
    else:
        raise ConfigurationError(
            f"fit got progress={progress!r}; it takes True, False, None or a function of one event."
        )


def train(
    program: TrainingProgram,
    epochs: int,
    history: History,
    keep: Callable[[Model], None],
    measures: Measures,
    listeners: Sequence[Listener],
    rules: Sequence[StoppingRule] = (),
    steps_per_event: int | None = None,
) -> None:
    """Runs `epochs`, filling `history`. After every finished epoch `keep` receives the model.

    Ctrl-C ends the run after the last finished epoch, which is kept, and says so in `history.stopped`. A
    loss or a parameter that is not finite raises DivergedError; the epoch before it is kept.
    """
    course = _Course(program, epochs, history, keep, measures, listeners, rules, steps_per_event)
    diverged: DivergedError | None = None
    try:
        course.start()
        for epoch in range(1, epochs + 1):
            history.stopped = course.run_epoch(epoch)
            if history.stopped:
                break
    except KeyboardInterrupt:
        history.stopped = f"Interrupted: {_kept(history.epochs, epochs, course.best_epoch)}."
    except StopTraining as wish:
        course.keep_what_was_learnt()
        history.stopped = str(wish) or f"A listener ended the run after epoch {history.epochs}."
    except DivergedError as error:
        history.stopped, diverged = str(error), error
    if not diverged:
        course.bring_back_the_best()
    failed = diverged is not None
    course.tell(RunFinished(history.epochs, history.training_seconds, history.stopped, failed))
    if diverged:
        raise diverged


class _Course:
    """A run on its way: what happens in every epoch, and the best model so far where a rule looks for one."""

    def __init__(
        self,
        program: TrainingProgram,
        epochs: int,
        history: History,
        keep: Callable[[Model], None],
        measures: Measures,
        listeners: Sequence[Listener],
        rules: Sequence[StoppingRule],
        steps_per_event: int | None,
    ) -> None:
        self._program, self._epochs, self._history, self._keep = program, epochs, history, keep
        self._measures, self._listeners, self._steps_per_event = measures, listeners, steps_per_event
        self._watches = [rule.watch() for rule in rules]
        self._best: Model | None = None
        self.best_epoch: int | None = None
        self._begin = perf_counter()

    def tell(self, event: Event) -> None:
        """Hands the event to every listener."""
        for listener in self._listeners:
            listener(event)

    def start(self) -> None:
        """Says what will run."""
        program, history = self._program, self._history
        history.engine = "interpreter" if program.reason else "compiled"
        history.compile_seconds = program.compile_seconds
        made_ready = (program.compile_seconds, program.from_cache, program.reason)
        self.tell(RunStarted(self._epochs, program.steps_per_epoch, history.engine, *made_ready))

    def run_epoch(self, epoch: int) -> str | None:
        """One epoch and what is measured after it; the reason why the run shall end with it, or None."""
        program, history = self._program, self._history
        self.tell(EpochStarted(epoch, self._epochs))
        before = program.steps_taken
        start = perf_counter()
        loss = self._train_once(epoch)
        seconds = perf_counter() - start
        model = program.model
        if not math.isfinite(loss) and program.steps_taken == 1:
            what, mend = self._measures.fault()
            raise DivergedError(
                f"The loss was {loss} in the first step, before any update, so the learning rate is not to "
                f"blame: {what}; {_kept(0)}: {mend}."
            )
        _refuse_divergence(loss, model, epoch, program.steps_taken - before)
        figures = {"loss": loss} | self._measures.figures(model)
        self._keep(model)
        rate = program.rate
        history.add(figures, seconds, rate)
        program.learning_rate *= self._measures.follow(figures)
        reason = self._look(epoch, figures, model)
        self.tell(_finished(epoch, self._epochs, figures, history.score_name, seconds, rate))
        return reason

    def keep_what_was_learnt(self) -> None:
        """Keeps the batches of an unfinished epoch too, unless they made something that is not finite."""
        model = self._program.model
        if all(np.isfinite(leaf).all() for leaf in flatten(model)[0]):
            self._keep(model)

    def bring_back_the_best(self) -> None:
        """Keeps the weights of the best epoch, where a rule looked for it."""
        if self._best is not None:
            self._keep(self._best)
            self._history.best_epoch = self.best_epoch

    def _train_once(self, epoch: int) -> float:
        count = self._steps_per_event
        try:
            return self._program.run_epoch() if count is None else mean_loss(self._pieces(epoch, count))
        except (ShapeError, DTypeError):
            self._measures.fault()  # says more where it finds the layer that does not take its values
            raise

    def _pieces(self, epoch: int, count: int) -> Iterator[Piece]:
        steps = self._program.steps_per_epoch
        for piece in self._program.run_batches(count):
            yield piece  # a loss that is not finite ends the epoch here
            self.tell(BatchesFinished(epoch, piece.step, steps, piece.loss))

    def _look(self, epoch: int, figures: dict[str, float], model: Model) -> str | None:
        """What the rules say to an epoch; the best model is put aside."""
        standing = Standing(
            epoch,
            figures,
            perf_counter() - self._begin,
            flatten(model[0])[0],
            lambda: self._measures.gradient_norm(model),
        )
        reasons = [reason for watch in self._watches if (reason := watch.look(standing))]
        if epoch in [watch.best() for watch in self._watches]:
            self._best, self.best_epoch = model, epoch
        if self._program.ended:
            reasons.append(f"Ended after epoch {epoch}: {self._program.ended}.")
        return reasons[0] if reasons else None


def _finished(
    epoch: int, epochs: int, figures: dict[str, float], score_name: str, seconds: float, rate: float
) -> EpochFinished:
    validation = figures.get("validation_loss"), figures.get(f"validation_{score_name.lower()}")
    return EpochFinished(epoch, epochs, figures["loss"], *validation, score_name, seconds, figures, rate)


def _refuse_divergence(loss: float, model: Model, epoch: int, steps: int) -> None:
    leaves: list[NDArray] = flatten(model[0])[0]
    names = parameter_names(model[0])
    # NOTE argmax takes a NaN for the largest.
    largest = int(np.argmax([np.max(np.abs(leaf), initial=0.0) for leaf in leaves]))
    size = float(np.max(np.abs(leaves[largest]), initial=0.0))
    if not math.isfinite(loss):
        grown = f"has grown to {size:.1e}" if math.isfinite(size) else "is not finite either"
        what = f"The loss became {loss} in step {steps} of epoch {epoch} ({names[largest]} {grown})"
    elif not math.isfinite(size):
        # its loss would show an epoch later
        what = f"Step {steps}, the last of epoch {epoch}, made {names[largest]} {size}"
    else:
        return
    raise DivergedError(
        f"{what}; {_kept(epoch - 1)}: "
        "try a learning rate ten times smaller, clipping by global norm, or standardised inputs."
    )


def _kept(done: int, epochs: int | None = None, best: int | None = None) -> str:
    if not done:
        return "no epoch was finished and the parameters are as before"
    if best is not None:
        return f"the best parameters, those after epoch {best} of {epochs}, are kept"
    return f"the parameters after epoch {done}{f' of {epochs}' if epochs else ''} are kept"
