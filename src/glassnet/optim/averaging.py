"""Averages of the parameters over the steps, to predict with: EMA and SWA; the training is left as it was."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.tree import tree_map
from glassnet.optim.hyperparameters import COUNT, FRACTION, WHOLE, require
from glassnet.optim.moments import bias_correction
from glassnet.optim.optimizer import ValueAndGrad, Wrapper, scalar_like, subtract


@dataclass(frozen=True)
class Averaging(Wrapper):
    """Base of the averages: a <- a + weight (w - a) behind every step of `inner`."""

    def init(self, parameters: Any) -> Any:
        """The state of `inner`, and the average, which begins at the parameters."""
        return {
            "inner": self.inner.init(parameters),
            "average": tree_map(lambda w: w + 0.0, parameters),
            **self._start(parameters),
        }

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """The steps of `inner`."""
        steps, inner = self.inner.update(gradients, state["inner"], parameters, step, learning_rate)
        return steps, self._follow(subtract(parameters, steps), inner, state, step)

    def advance(
        self, value_and_grad: ValueAndGrad, parameters: Any, state: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any, Any]:
        """One step of `inner`."""
        value, parameters, inner = self.inner.advance(
            value_and_grad, parameters, state["inner"], step, learning_rate
        )
        return value, parameters, self._follow(parameters, inner, state, step)

    def evaluated(self, parameters: Any, state: Any) -> Any:
        """The average."""
        return state["average"]

    def _follow(self, moved: Any, inner: Any, state: Any, step: Any) -> Any:
        weight, counts = self._weight(state, step)
        average = tree_map(lambda a, w: a + weight * (w - a), state["average"], moved)
        return {"inner": inner, "average": average, **counts}

    @abstractmethod
    def _start(self, parameters: Any) -> dict[str, Any]:
        """The numbers that the average counts with, before the first step."""

    @abstractmethod
    def _weight(self, state: Any, step: Any) -> tuple[Any, dict[str, Any]]:
        """The weight of this step's parameters, and the new counts."""


@dataclass(frozen=True)
class EMA(Averaging):
    """Predicts with an exponential moving average of the parameters.

    a_t = (1 - decay) sum_i decay^(t - i) w_i / (1 - decay^t) over the steps i = 1 .. t

    It is kept without bias, as a <- a + (1 - decay) / (1 - decay^t) (w - a): the parameters before the first
    step have no part in it (averages that begin with them, as in many programs, carry them along). Raises
    ConfigurationError for a decay outside [0, 1).

    >>> rule = EMA(gn.SGD(1.0), decay=0.5)
    >>> w = {"w": np.array(4.0)}
    >>> state = rule.init(w)
    >>> for step in (1, 2):
    ...     _, w, state = rule.advance(lambda p: (None, {"w": 1.0}), w, state, step, 1.0)
    >>> round(rule.evaluated(w, state)["w"].item(), 6)  # (2 * 2 + 3) / 3
    2.333333

    Source: Polyak and Juditsky, SIAM J. Control Optim. 30 (1992), for averaging; Kingma and Ba, ICLR (2015),
    section 7.2, for this average.
    """

    decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, FRACTION, "decay")

    def _start(self, parameters: Any) -> dict[str, Any]:
        return {}

    def _weight(self, state: Any, step: Any) -> tuple[Any, dict[str, Any]]:
        return (1.0 - self.decay) / bias_correction(self.decay, step), {}


@dataclass(frozen=True)
class SWA(Averaging):
    """Predicts with the plain mean of the parameters after every `every`-th step behind step `start`.

    a <- (n a + w) / (n + 1) after the steps start + every, start + 2 every, ...; before them a = w.

    The source keeps the rate high meanwhile, constant or in cycles. Statistics of normalising layers are
    those of the training parameters. Raises ConfigurationError for a `start` or `every` that is no such whole
    number.

    >>> rule = SWA(gn.SGD(1.0), start=1, every=2)
    >>> w = {"w": np.array(8.0)}
    >>> state = rule.init(w)
    >>> for step in (1, 2, 3, 4, 5):
    ...     _, w, state = rule.advance(lambda p: (None, {"w": 1.0}), w, state, step, 1.0)
    >>> rule.evaluated(w, state)["w"].item()  # of 5 after step 3 and 3 after step 5
    4.0

    Source: Izmailov et al., UAI (2018), algorithm 1.
    """

    start: int = 0
    every: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, COUNT, "start")
        require(self, WHOLE, "every")

    def _start(self, parameters: Any) -> dict[str, Any]:
        return {"count": scalar_like(parameters, 0.0)}

    def _weight(self, state: Any, step: Any) -> tuple[Any, dict[str, Any]]:
        later = state["count"] + 1.0
        due = step >= self.start + later * self.every
        weight = gnp.where(state["count"] > 0, gnp.where(due, 1.0 / later, 0.0), 1.0)
        return weight, {"count": gnp.where(due, later, state["count"])}
