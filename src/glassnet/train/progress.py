"""The progress of a training run on the terminal: a live line, or a few plain ones where output is piped."""

from __future__ import annotations

from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from glassnet.train.events import EpochFinished, Event, RunFinished, RunStarted

_REFRESH_SECONDS = (
    0.05  # NOTE: epochs may take under a millisecond; drawing each would cost more than training.
)
_PLAIN_LINES = 5


class ProgressBar:
    """A listener for `Network.fit`: says how the program was made ready, then how each epoch went.

    On a terminal one bar moves; elsewhere about five evenly spaced epochs are printed, without control codes.
    Leaving the `with` block gives the terminal back even where the run ended in an error.

    >>> with ProgressBar() as progress:                               # doctest: +SKIP
    ...     net.fit(X, y, epochs=20, progress=progress)
    """

    patient = True  # it draws twenty times a second at most

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._bar: Progress | None = None
        self._latest: EpochFinished | None = None
        self._drawn_at = 0.0

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def __call__(self, event: Event) -> None:
        """Take one event of the run."""
        match event:
            case RunStarted():
                self._start(event)
            case EpochFinished():
                self._advance(event)
            case RunFinished():
                self._finish(event)

    def _start(self, event: RunStarted) -> None:
        self._console.print(describe_start(event), style="dim", highlight=False, markup=False)
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._bar = Progress(
                TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
                BarColumn(bar_width=20),
                TextColumn("{task.fields[metrics]}", markup=False),
                console=self._console,
                auto_refresh=False,
            )
            self._bar.add_task("", total=event.epochs, metrics="")
            self._bar.start()

    def _advance(self, event: EpochFinished) -> None:
        if self._bar is None:
            if event.epoch in _spaced(event.epochs):
                line = f"epoch {event.epoch}/{event.epochs}  {describe_epoch(event)}"
                self._console.print(line, highlight=False, markup=False)
            return
        self._latest = event
        if perf_counter() - self._drawn_at > _REFRESH_SECONDS:
            self._draw(self._bar)
            self._drawn_at = perf_counter()

    def _draw(self, bar: Progress) -> None:
        if self._latest is not None:
            epoch = self._latest.epoch
            bar.update(bar.task_ids[0], completed=epoch, metrics=describe_epoch(self._latest))
        bar.refresh()

    def _finish(self, event: RunFinished) -> None:
        self._stop()
        if event.failed:
            return  # the exception says it
        epochs = f"{event.epochs_run} epoch{'' if event.epochs_run == 1 else 's'}"
        line = f"trained {epochs} in {describe_seconds(event.training_seconds)}"
        self._console.print(line, style="dim", highlight=False, markup=False)
        if event.stopped is not None:
            self._console.print(event.stopped, style="yellow", highlight=False, markup=False)

    def _stop(self) -> None:
        if self._bar is not None:
            self._draw(self._bar)
            self._bar.stop()
            self._bar = None


def describe_start(event: RunStarted) -> str:
    """One line about how the training program was made ready, such as "compiled in 84 ms"."""
    if event.engine == "interpreter":
        return "not compiled, runs in the interpreter" + (f": {event.reason}" if event.reason else "")
    seconds = describe_seconds(event.compile_seconds)
    return f"native code taken from the cache in {seconds}" if event.from_cache else f"compiled in {seconds}"


def describe_epoch(event: EpochFinished) -> str:
    """The figures of an epoch, such as "loss 0.0712  validation accuracy 97.9 %"."""
    text = f"loss {event.loss:.4g}"
    if event.validation_score is None:
        return text
    if event.score_name == "accuracy":
        return f"{text}  validation accuracy {event.validation_score:.1%}"
    return f"{text}  validation {event.score_name} {event.validation_score:.3f}"


def describe_seconds(seconds: float) -> str:
    """A duration to two or three digits, such as "0.4 ms", "84 ms" or "3.2 s"."""
    if seconds < 0.01:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds * 1e3:.0f} ms" if seconds < 1.0 else f"{seconds:.1f} s"


def _spaced(epochs: int) -> set[int]:
    """The epochs to print on a pipe: the first, the last and a few evenly between."""
    return {1} | {round(epochs * k / (_PLAIN_LINES - 1)) for k in range(1, _PLAIN_LINES)}
