"""What a training run tells: plain records, handed to every listener in the order in which things happen.

A listener is any callable that takes one event. `fit` calls it between epochs, never inside one: the epoch
itself, what is measured at its end included, is a single native call. Only a run with `steps_per_event` is
divided further, and tells of batches.

    def print_loss(event):
        if isinstance(event, EpochFinished):
            print(event.epoch, event.loss)

    net.fit(X, y, listeners=[print_loss])

Where every listener is patient, epochs run in stretches of some hundredths of a second, and the events of
their epochs come together when a stretch is over; the network is then as after its last epoch. A listener
says that it is patient by an attribute:

    print_loss.patient = True

A listener that raises StopTraining ends the run after this epoch (or these batches); what was learnt stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


class StopTraining(Exception):  # noqa: N818 - no error: a listener's wish, with its reason as the text
    """Raised by a listener to end the run; the text goes to `history.stopped`."""


@dataclass(frozen=True)
class RunStarted:
    """Sent once, after the training program exists: what will run, and what it took to make it ready."""

    epochs: int
    steps_per_epoch: int | None  # None where a source does not know its rows
    engine: str  # "compiled" or "interpreter"
    compile_seconds: float
    from_cache: bool
    reason: str | None = None  # why the interpreter runs, where it does


@dataclass(frozen=True)
class EpochStarted:
    """Sent before every epoch."""

    epoch: int  # counts from 1
    epochs: int


@dataclass(frozen=True)
class BatchesFinished:
    """Sent inside an epoch after every `steps_per_event` batches, where the run was asked to tell them."""

    epoch: int
    step: int  # the last one finished in this epoch, counts from 1
    steps: int | None  # None where a source does not know its rows
    loss: float  # the mean over these batches


@dataclass(frozen=True)
class EpochFinished:
    """Sent after every epoch; losses are means over the instances, the score is accuracy or R2.

    `figures` has all that is known of the epoch by name, metrics included.
    """

    epoch: int  # counts from 1
    epochs: int
    loss: float
    validation_loss: float | None
    validation_score: float | None
    score_name: str  # "accuracy" or "R2"
    seconds: float  # of this epoch's native call alone
    figures: Mapping[str, float] = field(default_factory=dict[str, float])
    learning_rate: float = 0.0  # of the epoch's last step


@dataclass(frozen=True)
class Warned:
    """Sent by a run that watches itself, behind an epoch, the first time that something looks wrong."""

    epoch: int  # counts from 1
    kind: str  # as the verdicts of a diagnosis: "dead_units", "learning_rate_too_high", ...
    layer: str | None
    sentence: str


@dataclass(frozen=True)
class RunFinished:
    """Sent once at the end; `stopped` is None for a complete run, else one sentence that says why.

    `failed` says that an exception with the same sentence follows.
    """

    epochs_run: int
    training_seconds: float
    stopped: str | None
    failed: bool = False


Event = RunStarted | EpochStarted | BatchesFinished | EpochFinished | Warned | RunFinished
Listener = Callable[[Event], None]


def is_patient(listener: Listener) -> bool:
    """Whether a listener takes the events of several epochs when all of them are over.

    >>> is_patient(print)
    False
    """
    return getattr(listener, "patient", False) is True
