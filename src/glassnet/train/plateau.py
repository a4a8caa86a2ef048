"""The one schedule that looks at the run: the rate shrinks where the loss has stopped falling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from glassnet.optim import Plateau


def follow_plateau(optimizer: Any) -> Callable[[Mapping[str, float]], float] | None:
    """What the rate is multiplied by after an epoch with these figures: 1 unless a plateau was reached.

    The validation loss is observed where there is one, else the training loss. None for another schedule.
    """
    schedule = getattr(optimizer, "learning_rate", None)
    if not isinstance(schedule, Plateau):
        return None
    state = schedule.start()

    def follow(figures: Mapping[str, float]) -> float:
        nonlocal state
        before = state.factor
        state = schedule.observe(state, figures.get("validation_loss", figures["loss"]))
        return state.factor / before

    return follow
