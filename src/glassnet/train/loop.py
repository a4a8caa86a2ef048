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
from glassnet.errors import ConfigurationError, DivergedError
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
from glassnet.train.training import TrainingProgram


@dataclass(frozen=True)
class Measures:
    """What the loop asks about a model after every epoch.

    `figures(model)` has what is measured besides the training loss, by name; `gradient_norm(model)` is that
    of the loss over all training rows. `follow(figures)` is what the learning rate is multiplied by from
    here on, 1 unless a plateau was reached.
    """

    figures: Callable[[Model], dict[str, float]]
    gradient_norm: Callable[[Model], float]
    follow: Callable[[dict[str, float]], float]


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

    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    history.engine = "interpreter" if program.reason else "compiled"
    history.compile_seconds = program.compile_seconds
    made_ready = (program.compile_seconds, program.from_cache, program.reason)
    watches = [rule.watch() for rule in rules]
    best: Model | None = None
    diverged: DivergedError | None = None
    begin = perf_counter()
    try:
        tell(RunStarted(epochs, program.steps_per_epoch, history.engine, *made_ready))
        for epoch in range(1, epochs + 1):
            tell(EpochStarted(epoch, epochs))
            before = program.steps_taken
            start = perf_counter()
            loss = _run_epoch(program, epoch, steps_per_event, tell)
            seconds = perf_counter() - start
            model = program.model
            _refuse_divergence(loss, model, epoch, program.steps_taken - before)
            figures = {"loss": loss} | measures.figures(model)
            keep(model)
            rate = program.learning_rate
            history.add(figures, seconds, rate)
            program.learning_rate = rate * measures.follow(figures)
            tell(_finished(epoch, epochs, figures, history.score_name, seconds, rate))
            standing = Standing(
                epoch,
                figures,
                perf_counter() - begin,
                flatten(model[0])[0],
                lambda model=model: measures.gradient_norm(model),
            )
            reasons = [reason for watch in watches if (reason := watch.look(standing))]
            if epoch in [watch.best() for watch in watches]:
                best, history.best_epoch = model, epoch
            if reasons:
                history.stopped = reasons[0]
                break
    except KeyboardInterrupt:
        history.stopped = f"Interrupted: {_kept(history.epochs, epochs)}."
    except StopTraining as wish:
        keep(program.model)
        history.stopped = str(wish) or f"A listener ended the run after epoch {history.epochs}."
    except DivergedError as error:
        history.stopped, diverged = str(error), error
    if best is not None and not diverged:
        keep(best)
    failed = diverged is not None
    tell(RunFinished(history.epochs, history.training_seconds, history.stopped, failed))
    if diverged:
        raise diverged


def _run_epoch(
    program: TrainingProgram, epoch: int, steps_per_event: int | None, tell: Callable[[Event], None]
) -> float:
    if steps_per_event is None:
        return program.run_epoch()
    losses: list[float] = []
    weights: list[int] = []
    last = 0
    for step, loss in program.run_batches(steps_per_event):
        losses.append(loss)
        weights.append(step - last)
        last = step
        tell(BatchesFinished(epoch, step, program.steps_per_epoch or step, loss))
        if not math.isfinite(loss):
            return loss
    return float(np.average(losses, weights=weights))


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


def _kept(done: int, epochs: int | None = None) -> str:
    if not done:
        return "no epoch was finished and the parameters are as before"
    return f"the parameters after epoch {done}{f' of {epochs}' if epochs else ''} are kept"
