"""The loop around the training program: who listens to it, and how a run ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from glassnet.errors import ConfigurationError, DivergedError
from glassnet.train.course import Course, Measures, kept
from glassnet.train.evaluation import Model
from glassnet.train.events import Listener, RunFinished, StopTraining
from glassnet.train.history import History
from glassnet.train.stopping import StoppingRule
from glassnet.train.training import TrainingProgram


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
    """Runs `epochs`, filling `history`. After every epoch, or every stretch of them, `keep` gets the model.

    Ctrl-C ends the run after the last epoch that was kept, and says so in `history.stopped`. A
    loss or a parameter that is not finite raises DivergedError; the epoch before it is kept.
    """
    course = Course(program, epochs, history, keep, measures, listeners, rules, steps_per_event)
    diverged: DivergedError | None = None
    try:
        course.start()
        while history.epochs < epochs and not history.stopped:
            history.stopped = course.advance()
    except KeyboardInterrupt:
        history.stopped = f"Interrupted: {kept(history.epochs, epochs, course.best_epoch)}."
    except StopTraining as wish:
        course.keep_what_was_learnt()
        history.stopped = str(wish) or f"A listener ended the run after epoch {history.epochs}."
    except DivergedError as error:
        history.stopped, history.diverged, diverged = str(error), True, error
    if not diverged:
        course.bring_back_the_best()
    failed = diverged is not None
    course.tell(RunFinished(history.epochs, history.training_seconds, history.stopped, failed))
    if diverged:
        raise diverged
