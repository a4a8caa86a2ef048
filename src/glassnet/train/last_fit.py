"""What a network remembers of its last run: what was asked, where it began, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from glassnet.core.dtype import NDArray
from glassnet.optim import Optimizer
from glassnet.optim.full_batch import FullBatchMethod
from glassnet.train.evaluation import Model
from glassnet.train.history import History


@dataclass(frozen=True)
class LastFit:
    """The options of the last call of `fit`, the parameters and statistics before it, and its history.

    `first_epoch` is the number of epochs that the network had been trained before.
    """

    optimizer: Optimizer | FullBatchMethod[Any]
    batch_size: int | None
    epochs: int
    history: History
    start: Model
    first_epoch: int
    weight: NDArray | None  # of each row, as sample_weight and class_weight made it
