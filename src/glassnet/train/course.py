"""A run on its way: epochs one by one where somebody looks at each, else in stretches of one native call."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.tree import flatten
from glassnet.errors import DivergedError, DTypeError, ShapeError
from glassnet.train.evaluation import Model
from glassnet.train.events import (
    BatchesFinished,
    EpochFinished,
    EpochStarted,
    Event,
    Listener,
    RunStarted,
    is_patient,
)
from glassnet.train.finite import all_finite
from glassnet.train.history import History
from glassnet.train.naming import parameter_names
from glassnet.train.stopping import Standing, StoppingRule
from glassnet.train.training import Piece, Snapshot, TrainingProgram, mean_loss

STRETCH_SECONDS = 0.03  # so long Ctrl-C and a progress bar wait at most, about
_WATCHED = 4  # a part of that where a stretch may have to run again
_MOST_EPOCHS = 4096  # of a stretch: what is recorded of them takes its time too


@dataclass(frozen=True)
class Measures:
    """What a run asks about a model after every epoch.

    `tallied(sums)` has what is measured besides the training loss, by name, for several epochs whose tallies
    the program has taken; `figures(model)` the same for one, and is None where `tallied` will do;
    `gradient_norm(model)` is that of the loss over all training rows. `follow(figures)` is what the learning
    rate is multiplied by from here on, 1 unless a plateau was reached, and None where no schedule looks for
    one. `fault()` says what is not finite before the first step, and how to mend it; it raises what a layer
    says to values that it does not take.
    """

    tallied: Callable[[NDArray], dict[str, list[float]]]
    figures: Callable[[Model], dict[str, float]] | None
    gradient_norm: Callable[[Model], float]
    follow: Callable[[Mapping[str, float]], float] | None
    fault: Callable[[], tuple[str, str]]


class Course:
    """What happens in every epoch, and the best model so far where a rule looks for one.

    Where nobody looks at the single epochs they run in stretches. A run is the same whenever it is run again
    from the same place: so a stretch may go too far. Where a rule ends the run, or a plateau changes the
    rate, inside of it, what was put aside at its start is brought back and the epochs up to there run again.
    """

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
        self._one_by_one = (
            steps_per_event is not None
            or measures.figures is not None
            or not all(map(is_patient, listeners))
            or any(rule.looks_inside for rule in rules)
        )
        watched = bool(self._watches) or measures.follow is not None
        self._longest = STRETCH_SECONDS / (_WATCHED if watched else 1)
        self._careful_until = 1  # the epochs up to here run one by one: the first shows how long one takes
        self._pace = 0.0  # seconds of an epoch
        self._best: Callable[[], Model] | None = None
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

    def advance(self) -> str | None:
        """The next epochs; the reason why the run shall end with the last of them, or None."""
        done = self._history.epochs
        if not self._one_by_one and done >= self._careful_until:
            count = min(
                int(self._longest / max(self._pace, self._longest / _MOST_EPOCHS)), self._epochs - done
            )
            before = self._program.snapshot() if count > 1 else None
            if before is not None:
                return self._run_stretch(count, before)
        return self._run_epoch(done + 1)

    def keep_what_was_learnt(self) -> None:
        """Keeps the batches of an unfinished epoch too, unless they made something that is not finite."""
        model = self._program.model
        if _is_finite(model):
            self._keep(model)

    def bring_back_the_best(self) -> None:
        """Keeps the weights of the best epoch, where a rule looked for it."""
        if self._best is not None:
            self._keep(self._best())
            self._history.best_epoch = self.best_epoch

    # -- one epoch

    def _run_epoch(self, epoch: int) -> str | None:
        program = self._program
        self.tell(EpochStarted(epoch, self._epochs))
        before = program.steps_taken
        start = perf_counter()
        loss = self._train_once(epoch)
        self._pace = seconds = perf_counter() - start
        model = program.model
        if not math.isfinite(loss) and program.steps_taken == 1:
            what, mend = self._measures.fault()
            raise DivergedError(
                f"The loss was {loss} in the first step, before any update, so the learning rate is not to "
                f"blame: {what}; {kept(0)}: {mend}."
            )
        _refuse_divergence(loss, model, epoch, program.steps_taken - before)
        figures = {"loss": loss} | self._measured(model)
        self._keep(model)
        rate = program.rate
        self._history.add(figures, seconds, rate)
        if self._measures.follow is not None:
            program.learning_rate *= self._measures.follow(figures)
        leaves: list[NDArray] = flatten(model[0])[0]
        reason = self._look(epoch, figures, perf_counter() - self._begin, leaves, lambda: model)
        self._tell_of(epoch, figures, seconds, rate)
        return reason

    def _measured(self, model: Model) -> dict[str, float]:
        """What is measured of the epoch that has just run."""
        if self._measures.figures is not None:
            return self._measures.figures(model)
        tallied = self._measures.tallied(self._program.sums[None])
        return {name: values[0] for name, values in tallied.items()}

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

    # -- a stretch of epochs

    def _run_stretch(self, count: int, before: Snapshot) -> str | None:
        """At most `count` epochs, from where `before` was taken."""
        program, done = self._program, self._history.epochs
        start = perf_counter()
        records, rates = program.run_recorded(count)
        self._pace = (perf_counter() - start) / count
        model = program.model
        if not (math.isfinite(records[-1, 0]) and _is_finite(model)):
            program.restore(before)
            self._careful_until = done + count  # one by one they tell where it began
            return None
        columns = {"loss": records[:, 0].tolist()} | self._measures.tallied(records[:, 1:])
        each = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        number, factor, reason = self._walk(each, before)
        if number < count:
            model = self._again(before, number)
        program.learning_rate *= factor
        if self.best_epoch == done + number:
            self._best = lambda: model
        self._keep(model)
        self._history.extend(each[:number], self._pace, rates[:number].tolist())
        if self._listeners:
            for epoch in range(done + 1, done + number + 1):
                self.tell(EpochStarted(epoch, self._epochs))
                place = epoch - done - 1
                self._tell_of(epoch, each[place], self._pace, float(rates[place]))
        return reason

    def _walk(self, each: Sequence[Mapping[str, float]], before: Snapshot) -> tuple[int, float, str | None]:
        """How many of these epochs the run goes, what the rate is multiplied by there, why it shall end."""
        follow, done = self._measures.follow, self._history.epochs
        if follow is None and not self._watches:
            return len(each), 1.0, None
        begin = perf_counter() - self._begin - len(each) * self._pace
        for number, figures in enumerate(each, start=1):
            factor = follow(figures) if follow else 1.0
            seconds = begin + number * self._pace
            reason = self._look(done + number, figures, seconds, (), partial(self._again, before, number))
            if reason or factor != 1.0:
                return number, factor, reason
        return len(each), 1.0, None

    def _again(self, before: Snapshot, count: int) -> Model:
        """The model `count` epochs behind a snapshot."""
        self._program.restore(before)
        self._program.run_epochs(count)
        return self._program.model

    # -- after an epoch

    def _look(
        self,
        epoch: int,
        figures: Mapping[str, float],
        seconds: float,
        parameters: Sequence[NDArray],
        model: Callable[[], Model],
    ) -> str | None:
        """What the rules say to an epoch; how to come by the best model is put aside."""
        norm = self._measures.gradient_norm
        standing = Standing(epoch, figures, seconds, parameters, lambda: norm(model()))
        reasons = [reason for watch in self._watches if (reason := watch.look(standing))]
        if epoch in [watch.best() for watch in self._watches]:
            self._best, self.best_epoch = model, epoch
        if self._program.ended:
            reasons.append(f"Ended after epoch {epoch}: {self._program.ended}.")
        return reasons[0] if reasons else None

    def _tell_of(self, epoch: int, figures: Mapping[str, float], seconds: float, rate: float) -> None:
        name = self._history.score_name
        validation = figures.get("validation_loss"), figures.get(f"validation_{name.lower()}")
        self.tell(
            EpochFinished(epoch, self._epochs, figures["loss"], *validation, name, seconds, figures, rate)
        )


def _is_finite(model: Model) -> bool:
    return all(map(all_finite, flatten(model)[0]))


def _refuse_divergence(loss: float, model: Model, epoch: int, steps: int) -> None:
    leaves: list[NDArray] = flatten(model[0])[0]
    if math.isfinite(loss) and all(map(all_finite, leaves)):
        return
    names = parameter_names(model[0])
    # NOTE argmax takes a NaN for the largest.
    largest = int(np.argmax([np.max(np.abs(leaf), initial=0.0) for leaf in leaves]))
    size = float(np.max(np.abs(leaves[largest]), initial=0.0))
    if not math.isfinite(loss):
        grown = f"has grown to {size:.1e}" if math.isfinite(size) else "is not finite either"
        what = f"The loss became {loss} in step {steps} of epoch {epoch} ({names[largest]} {grown})"
    else:
        # its loss would show an epoch later
        what = f"Step {steps}, the last of epoch {epoch}, made {names[largest]} {size}"
    raise DivergedError(
        f"{what}; {kept(epoch - 1)}: "
        "try a learning rate ten times smaller, clipping by global norm, or standardised inputs."
    )


def kept(done: int, epochs: int | None = None, best: int | None = None) -> str:
    """What is left of a run that ended too early, as its sentence says it."""
    if not done:
        return "no epoch was finished and the parameters are as before"
    if best is not None:
        return f"the best parameters, those after epoch {best} of {epochs}, are kept"
    return f"the parameters after epoch {done}{f' of {epochs}' if epochs else ''} are kept"
