"""Networks broken on purpose and healthy ones, fixed before any threshold of the diagnosis was chosen."""

from __future__ import annotations

from corpus import broken_fit, broken_training
from corpus.case import Broken, Healthy
from corpus.healthy import HEALTHY

__all__ = ["BROKEN", "HEALTHY", "Broken", "Healthy"]

BROKEN: list[Broken] = [
    *broken_training.STARTS,
    *broken_training.STEPS,
    *broken_fit.LOSSES,
    *broken_fit.INPUTS,
    *broken_fit.ROWS,
]
