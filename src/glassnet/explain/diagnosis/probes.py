"""The last run once more, shortened and with one option changed: what that option is worth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from glassnet.core.tree import flatten
from glassnet.errors import GlassnetError
from glassnet.explain.diagnosis.evidence import Evidence
from glassnet.optim import Optimizer
from glassnet.train.fitting import program_of

_MOST_STEPS = 2000
_MOST_PRODUCTS = 2e9  # rows seen, times parameters
_MOST_EPOCHS = 30


@dataclass(frozen=True)
class Probe:
    """A short run from where the last run began: the loss of each epoch; infinite from where it diverged."""

    losses: tuple[float, ...]

    @property
    def end(self) -> float:
        """The loss of the last epoch."""
        return self.losses[-1]


def epochs_of(evidence: Evidence) -> int:
    """How many epochs a probe takes: those of the run, or fewer where that would take long."""
    asked = evidence.last_fit.epochs if evidence.last_fit else 1
    rows = len(evidence.rows.x)
    steps = -(-rows // evidence.batch_rows)
    size = sum(leaf.size for leaf in flatten(evidence.now[0])[0])
    affordable = min(_MOST_STEPS // steps, int(_MOST_PRODUCTS / (rows * max(size, 1))), _MOST_EPOCHS)
    return max(1, min(asked, affordable))


def probe(evidence: Evidence, optimizer: Optimizer, batch_rows: int | None = None) -> Probe:
    """The last run with another optimiser, or with other batches."""
    epochs = epochs_of(evidence)
    losses: list[float] = []
    try:
        program = program_of(
            evidence.setting, evidence.rows, batch_rows or evidence.batch_rows, optimizer, epochs, "auto"
        )
        for _ in range(epochs):
            with np.errstate(all="ignore"):
                losses.append(program.run_epoch())
            if not math.isfinite(losses[-1]):
                break
    except GlassnetError:
        losses.append(math.inf)
    return Probe(tuple(loss if math.isfinite(loss) else math.inf for loss in losses))


def with_option(optimizer: Any, name: str, change: Callable[[Any], Any]) -> Any:
    """The optimiser with one option changed wherever it, or a part of it, has one.

    >>> import glassnet as gn
    >>> with_option(gn.Freeze(gn.SGD(0.1, momentum=0.99), ("dense_1",)), "momentum", lambda mu: 0.5).inner
    SGD(learning_rate=0.1, momentum=0.5, nesterov=False)
    """
    if isinstance(optimizer, tuple):
        return tuple(with_option(part, name, change) for part in optimizer)
    if not is_dataclass(optimizer) or isinstance(optimizer, type):
        return optimizer
    options = {f.name: getattr(optimizer, f.name) for f in fields(optimizer)}
    changed = {
        option: change(value) if option == name else with_option(value, name, change)
        for option, value in options.items()
        if option == name or isinstance(value, (Optimizer, tuple))
    }
    return replace(optimizer, **changed) if changed else optimizer


def option_of(optimizer: Any, name: str) -> Any:
    """The value of an option of an optimiser or of a part of it; None where no part has one."""
    found: list[Any] = []
    with_option(optimizer, name, lambda value: found.append(value) or value)
    return found[0] if found else None
