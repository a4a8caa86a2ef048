"""Gradient accumulation: large batches in small pieces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import glassnet.numpy as gnp
from glassnet.core.tree import tree_map
from glassnet.optim.hyperparameters import WHOLE, require
from glassnet.optim.optimizer import Wrapper, require_optimizer, scalar_like, zeros_like


@dataclass(frozen=True)
class Accumulate(Wrapper):
    """One step of `inner` on the mean gradient of `count` batches in a row; between, nothing moves.

    On batches of equal size that is the step on all of them as one batch; a short last batch counts like the
    others. `inner` counts its own steps, and takes the learning rate of the last of the batches; a schedule
    counts batches. Raises ConfigurationError for a `count` that is not a whole number of at least 1, or an
    `inner` without `update`.

    >>> rule, w = Accumulate(gn.SGD(0.5), count=2), {"w": np.array(1.0)}
    >>> steps, state = rule.update({"w": np.array(1.0)}, rule.init(w), w, 1, 0.5)
    >>> steps["w"].item(), rule.update({"w": np.array(3.0)}, state, w, 2, 0.5)[0]["w"].item()
    (0.0, 1.0)
    """

    count: int

    outermost: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_optimizer("Accumulate", self.inner, update=True)
        require(self, WHOLE, "count")

    def init(self, parameters: Any) -> Any:
        """The state of `inner`, a sum of gradients and the number of its terms."""
        return {
            "inner": self.inner.init(parameters),
            "sum": zeros_like(parameters),
            "terms": scalar_like(parameters, 0.0),
        }

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """Zeros, or after every `count`-th batch the step of `inner`."""
        terms = state["terms"] + 1.0
        full = terms >= self.count
        total = tree_map(lambda s, g: s + g, state["sum"], gradients)
        mean = tree_map(lambda s: s / self.count, total)
        # `inner` works out a step every time; it counts where the sum is full, and its number is whole there.
        steps, inner = self.inner.update(mean, state["inner"], parameters, step / self.count, learning_rate)
        return tree_map(lambda s: gnp.where(full, s, 0.0), steps), {
            "inner": tree_map(lambda new, old: gnp.where(full, new, old), inner, state["inner"]),
            "sum": tree_map(lambda s: gnp.where(full, 0.0, s), total),
            "terms": gnp.where(full, 0.0, terms),
        }
