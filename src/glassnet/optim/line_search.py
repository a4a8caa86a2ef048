"""The line search of the descent methods: a step length that satisfies the strong Wolfe conditions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from glassnet.optim.full_batch import Problem, State, Vector, evaluate
from glassnet.optim.hyperparameters import BETWEEN, WHOLE, Kind, require

EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Trial:
    """A point x + a p on the line: `value` is phi(a), `slope` phi'(a) = gradient . p."""

    length: float
    point: Vector
    value: float
    gradient: Vector
    slope: float


@dataclass(frozen=True)
class LineSearch:
    """A step length a along a descent direction p that satisfies the strong Wolfe conditions.

    phi(a) <= phi(0) + c1 a phi'(0)   and   |phi'(a)| <= c2 |phi'(0)|,   phi(a) = f(x + a p)

    with c1 = `sufficient_decrease` and c2 = `curvature`. Lengths grow until they enclose such a step, then
    the interval shrinks around it. A new length is the minimum of the cubic through values and slopes at both
    ends: outwards at least twice and at most ten times the last length, inwards at least a tenth of the
    interval from its ends. Where the cubic has no minimum, or a value is not finite, it is bisected. The
    search gives up after `evaluations` points, or when the decrease to be had is below rounding.

    Raises ConfigurationError unless 0 < c1 < c2 < 1.

    >>> LineSearch(curvature=0.1)
    LineSearch(sufficient_decrease=0.0001, curvature=0.1, evaluations=30)

    Source: Nocedal and Wright, Numerical Optimization (2006), algorithms 3.5 and 3.6, equation 3.59.
    """

    sufficient_decrease: float = 1e-4
    curvature: float = 0.9
    evaluations: int = 30

    def __post_init__(self) -> None:
        c1 = self.sufficient_decrease
        require(self, BETWEEN, "sufficient_decrease")
        above = Kind(f"a number above sufficient_decrease={c1!r} and below 1", lambda c2: c1 < c2 < 1)
        require(self, above, "curvature")
        require(self, WHOLE, "evaluations")

    def search(
        self, problem: Problem, state: State, direction: Vector, first: float
    ) -> tuple[Trial | None, int]:
        """The accepted trial, or None where there is none, and the number of points evaluated.

        `direction` has shape (parameters,) and a negative slope; `first` > 0 is the first length tried.
        """
        start = Trial(0.0, state.point, state.value, state.gradient, float(state.gradient @ direction))
        previous, length = start, first
        for count in range(1, self.evaluations + 1):
            trial = _trial(problem, state, direction, length)
            if self._accepts(start, trial):
                return trial, count
            if not self._decreases(start, trial) or (count > 1 and trial.value >= previous.value):
                return self._zoom(problem, state, direction, (start, previous, trial), count)
            if trial.slope >= 0:
                return self._zoom(problem, state, direction, (start, trial, previous), count)
            length = _clip(cubic_minimum(previous, trial), 2 * trial.length, 10 * trial.length)
            previous = trial
        return None, self.evaluations

    def _decreases(self, start: Trial, trial: Trial) -> bool:
        return trial.value <= start.value + self.sufficient_decrease * trial.length * start.slope

    def _accepts(self, start: Trial, trial: Trial) -> bool:
        # NOTE: before values are compared. Near a minimum they agree to the last bit, while slopes do not.
        return self._decreases(start, trial) and abs(trial.slope) <= -self.curvature * start.slope

    def _zoom(
        self, problem: Problem, state: State, direction: Vector, ends: tuple[Trial, Trial, Trial], count: int
    ) -> tuple[Trial | None, int]:
        # `low` is the end with the lower value, which decreases enough; the slope there points to `high`.
        start, low, high = ends
        while count < self.evaluations:
            left, right = sorted((low.length, high.length))
            width = right - left
            if low is start and -start.slope * width < EPSILON * abs(start.value):
                break  # what there is to gain is lost in the rounding of the value
            guess = cubic_minimum(low, high)
            guess = 0.5 * (left + right) if guess is None else guess
            length = _clip(guess, left + 0.1 * width, right - 0.1 * width)
            count += 1
            trial = _trial(problem, state, direction, length)
            if self._accepts(start, trial):
                return trial, count
            if not self._decreases(start, trial) or trial.value >= low.value:
                high = trial
            else:
                high = low if trial.slope * (high.length - low.length) >= 0 else high
                low = trial
        return None, count


def cubic_minimum(a: Trial, b: Trial) -> float | None:
    """Where the cubic with the values and slopes of both trials has its minimum; None where it has none."""
    width = b.length - a.length
    if width == 0 or not math.isfinite(a.value) or not math.isfinite(b.value):
        return None
    d1 = a.slope + b.slope - 3 * (b.value - a.value) / width
    radicand = d1 * d1 - a.slope * b.slope
    if not 0 <= radicand < math.inf:
        return None
    d2 = math.copysign(math.sqrt(radicand), width)
    divisor = b.slope - a.slope + 2 * d2
    return b.length - width * (b.slope + d2 - d1) / divisor if divisor else None


def _trial(problem: Problem, state: State, direction: Vector, length: float) -> Trial:
    point = state.point + length * direction
    point.flags.writeable = False
    value, gradient = evaluate(problem, point)
    slope = float(gradient @ direction) if math.isfinite(value) else math.nan
    return Trial(length, point, value, gradient, slope)


def _clip(guess: float | None, low: float, high: float) -> float:
    # Outwards, no minimum means that the function still bends down: go as far as is allowed.
    return high if guess is None else min(max(guess, low), high)
