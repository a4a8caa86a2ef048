"""What a training run tells: plain records, handed to every listener in the order in which things happen.

A listener is any callable that takes one event. `Network.fit(..., progress=listener)` calls it between
epochs, never inside one: the epoch itself is a single native call.

    def print_loss(event):
        if isinstance(event, EpochFinished):
            print(event.epoch, event.loss)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class RunStarted:
    """Sent once, after the training program exists: what will run, and what it took to make it ready."""

    epochs: int
    steps_per_epoch: int
    engine: str  # "compiled" or "interpreter"
    compile_seconds: float
    from_cache: bool
    reason: str | None = None  # why the interpreter runs, where it does


@dataclass(frozen=True)
class EpochFinished:
    """Sent after every epoch; losses are means over the instances, the score is accuracy or R2."""

    epoch: int  # counts from 1
    epochs: int
    loss: float
    validation_loss: float | None
    validation_score: float | None
    score_name: str  # "accuracy" or "R2"
    seconds: float  # of this epoch's native call alone


@dataclass(frozen=True)
class RunFinished:
    """Sent once at the end; `stopped` is None for a complete run, else one sentence that says why.

    `failed` says that an exception with the same sentence follows.
    """

    epochs_run: int
    training_seconds: float
    stopped: str | None
    failed: bool = False


Event = RunStarted | EpochFinished | RunFinished
Listener = Callable[[Event], None]
