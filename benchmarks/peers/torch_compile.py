"""PyTorch with `torch.compile`: the loss with its backward pass, and the update by the fused optimiser."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from cases import Case

from peers import Variants
from peers.torch_eager import Modules

DISTRIBUTIONS = ("torch",)


class Compiled(Modules):
    """Forward and backward are compiled; `whole_update` compiles the optimiser's step too."""

    def __init__(
        self, case: Case, X: np.ndarray, y: np.ndarray, *, whole_update: bool = False, **options: Any
    ) -> None:
        super().__init__(case, X, y, fused=None if whole_update else True, **options)
        self.compiled = self.torch.compile(super().evaluate, dynamic=False)
        self.step = self.torch.compile(self.optimizer.step) if whole_update else self.optimizer.step

    def evaluate(self, X: Any, y: Any) -> Any:
        return self.compiled(X, y)

    def update(self, loss: Any) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        self.step()


def variants(case: Case, X: np.ndarray, y: np.ndarray) -> Variants:
    compiled = partial(Compiled, case, X, y)
    chosen: Variants = {
        "fused optimiser": compiled,
        "compiled optimiser": partial(compiled, whole_update=True),
    }
    if len(case.row) == 3:
        chosen["fused optimiser, channels last"] = partial(compiled, channels_last=True)
    return chosen
