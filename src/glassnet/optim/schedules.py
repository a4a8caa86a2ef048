"""Learning rates that change with the step: pure functions of (step, total_steps), of one step or many.

`step` counts from 1 and may be traced; `total_steps` is a Python number, the steps of the whole run. The
first step has a schedule's first rate; `steps` steps later it has arrived at its last one.
`steps=None` means the whole run.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.errors import ConfigurationError
from glassnet.optim.hyperparameters import (
    AT_LEAST_ONE,
    BETWEEN,
    NOT_NEGATIVE,
    POSITIVE,
    WHOLE,
    belongs,
    require,
)


class Schedule(ABC):
    """A learning rate as a function of the step.

    >>> [round(float(Polynomial(1.0, steps=4)(step)), 2) for step in (1, 2, 3, 4, 5)]
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """

    @abstractmethod
    def __call__(self, step: Any, total_steps: int | None = None) -> Any:
        """The rate of `step`, which counts from 1, in a run of `total_steps`."""

    def _steps(self, steps: int | None, total_steps: int | None) -> int:
        length = total_steps if steps is None else steps
        if length is None:
            raise ConfigurationError(
                f"{type(self).__name__} got steps=None, which means the whole run, and no total_steps; "
                "give it steps, a whole number of at least 1."
            )
        return length

    def _require_steps(self, steps: int | None) -> None:
        if steps is not None and not belongs(steps, WHOLE):
            raise ConfigurationError(
                f"{type(self).__name__} got steps={steps!r}; "
                "it takes a whole number of at least 1, or None for the whole run."
            )


Rate = float | Schedule


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate at every step.

    >>> Constant(0.1)(7)
    0.1
    """

    rate: float

    def __post_init__(self) -> None:
        require(self, POSITIVE, "rate")

    def __call__(self, step: Any, total_steps: int | None = None) -> Any:
        """The rate."""
        return self.rate


@dataclass(frozen=True)
class Custom(Schedule):
    """A function of the step, which counts from 1, as a schedule; it must be made of glassnet.numpy.

    Raises ConfigurationError for what does not take the step alone.

    >>> Custom(lambda step: 0.1 / step)(4)
    0.025
    """

    function: Callable[[Any], Any]

    def __post_init__(self) -> None:
        try:
            inspect.signature(self.function).bind(1)
        except TypeError:
            raise ConfigurationError(
                f"A rate is a function of the step alone, and {self.function!r} does not take that; write "
                "def rate(step)."
            ) from None
        except ValueError:  # some callables written in C have no signature to look at
            return

    def __call__(self, step: Any, total_steps: int | None = None) -> Any:
        """The function's value."""
        return self.function(step)


@dataclass(frozen=True)
class Step(Schedule):
    """A staircase: rate factor^floor((step - 1) / steps).

    >>> [Step(1.0, factor=0.5, steps=2)(step).item() for step in (1, 2, 3, 4, 5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    rate: float
    factor: float = 0.1
    steps: int = 1000

    def __post_init__(self) -> None:
        require(self, POSITIVE, "rate")
        require(self, BETWEEN, "factor")
        require(self, WHOLE, "steps")

    def __call__(self, step: Any, total_steps: int | None = None) -> Any:
        """The rate of the stair that `step` stands on."""
        return self.rate * gnp.exp(math.log(self.factor) * gnp.floor((step - 1) / self.steps))


@dataclass(frozen=True)
class Exponential(Schedule):
    """rate factor^((step - 1) / steps): each `steps` steps multiply it by `factor`, evenly.

    >>> round(Exponential(1.0, factor=0.25, steps=10)(6).item(), 12)
    0.5
    """

    rate: float
    factor: float = 0.1
    steps: int | None = None

    def __post_init__(self) -> None:
        require(self, POSITIVE, "rate")
        require(self, BETWEEN, "factor")
        self._require_steps(self.steps)

    def __call__(self, step: Any, total_steps: int | None = None) -> Any:
        """The rate after step - 1 equal shrinkages."""
        steps = self._steps(self.steps, total_steps)
        return self.rate * gnp.exp((step - 1) * (math.log(self.factor) / steps))


@dataclass(frozen=True)
class Polynomial(Schedule):
    """final + (rate - final) (1 - p)^power with p = (step - 1) / steps, `final` from then on.

    power = 1 is the linear schedule.

    >>> Polynomial(1.0, power=2.0, steps=4)(3).item()
    0.25
    """

    rate: float
    final: float = 0.0
    power: float = 1.0
    steps: int | None = None

    def __post_init__(self) -> None:
        require(self, POSITIVE, "rate", "power")
        require(self, NOT_NEGATIVE, "final")
        self._require_steps(self.steps)

    def __call__(self, step: Any, total_steps: int | None = None) -> Any:
        """The rate on the way from `rate` to `final`."""
        left = 1.0 - _progress(step, self._steps(self.steps, total_steps))
        return self.final + (self.rate - self.final) * (left if self.power == 1 else left**self.power)


@dataclass(frozen=True)
class Cosine(Schedule):
    """final + (rate - final) (1 + cos(pi p)) / 2 with p = (step - 1) / steps, `final` from then on.

    >>> round(Cosine(1.0, steps=4)(3).item(), 12)
    0.5

    Source: Loshchilov and Hutter, ICLR (2017), equation 5 without restarts.
    """

    rate: float
    final: float = 0.0
    steps: int | None = None

    def __post_init__(self) -> None:
        require(self, POSITIVE, "rate")
        require(self, NOT_NEGATIVE, "final")
        self._require_steps(self.steps)

    def __call__(self, step: Any, total_steps: int | None = None) -> Any:
        """The rate on the half wave."""
        return _half_wave(self.rate, self.final, _progress(step, self._steps(self.steps, total_steps)))


@dataclass(frozen=True)
class CosineRestarts(Schedule):
    """Cosine waves (SGDR): the i-th lasts steps multiplier^i steps, and each begins at `rate` again.

    With T steps in the present wave, of which t are past: final + (rate - final) (1 + cos(pi t / T)) / 2.

    >>> [round(CosineRestarts(1.0, steps=2, multiplier=2)(step, 8).item(), 3) for step in (1, 2, 3, 4, 5)]
    [1.0, 0.5, 1.0, 0.854, 0.5]

    Source: Loshchilov and Hutter, ICLR (2017), equation 5 and section 3 (T_0 and T_mult).
    """

    rate: float
    steps: int
    multiplier: int = 1
    final: float = 0.0

    def __post_init__(self) -> None:
        require(self, POSITIVE, "rate")
        require(self, WHOLE, "steps", "multiplier")
        require(self, NOT_NEGATIVE, "final")

    def __call__(self, step: Any, total_steps: int | None = None) -> Any:
        """The rate on the present wave."""
        past = step - 1.0
        if self.multiplier == 1:
            waves = past / self.steps
            return _half_wave(self.rate, self.final, waves - gnp.floor(waves))
        # The beginnings are known before the run: comparing with them is exact where a logarithm is not.
        begin, length = 0, self.steps
        present, duration = 0.0, float(length)
        while begin + length < self._steps(None, total_steps):
            begin, length = begin + length, length * self.multiplier
            present = gnp.where(past >= begin, float(begin), present)
            duration = gnp.where(past >= begin, float(length), duration)
        return _half_wave(self.rate, self.final, gnp.minimum((past - present) / duration, 1.0))


@dataclass(frozen=True)
class OneCycle(Schedule):
    """One rise from rate / start_divisor to `rate` and one fall to rate / final_divisor, both half cosines.

    The rise takes the fraction `rising` of the steps. The momentum is left as it is.

    >>> schedule = OneCycle(1.0, rising=0.5, start_divisor=10.0, final_divisor=100.0, steps=4)
    >>> [round(schedule(step).item(), 3) for step in (1, 2, 3, 4, 5)]
    [0.1, 0.55, 1.0, 0.505, 0.01]

    Source: Smith and Topin, "Super-convergence", arXiv:1708.07120 (2018), section 3, whose two legs are
    straight lines and whose last part falls further.
    """

    rate: float
    rising: float = 0.3
    start_divisor: float = 25.0
    final_divisor: float = 1e4
    steps: int | None = None

    def __post_init__(self) -> None:
        require(self, POSITIVE, "rate")
        require(self, BETWEEN, "rising")
        require(self, AT_LEAST_ONE, "start_divisor", "final_divisor")
        self._require_steps(self.steps)

    def __call__(self, step: Any, total_steps: int | None = None) -> Any:
        """The rate on the rise or on the fall."""
        done = _progress(step, self._steps(self.steps, total_steps))
        rise = gnp.minimum(done / self.rising, 1.0)
        fall = gnp.maximum((done - self.rising) / (1.0 - self.rising), 0.0)
        low, last = self.rate / self.start_divisor, self.rate / self.final_divisor
        return gnp.where(
            done < self.rising, _half_wave(low, self.rate, rise), _half_wave(self.rate, last, fall)
        )


@dataclass(frozen=True)
class Warmup(Schedule):
    """The first `steps` steps rise in a straight line to the first rate of `schedule`, which then begins.

    Step t <= steps has t / steps of that rate; step t > steps is the schedule's step t - steps of
    total_steps - steps. A number or a function is a schedule too.

    >>> [round(float(Warmup(0.1, steps=4)(step)), 3) for step in (1, 2, 3, 4, 5)]
    [0.025, 0.05, 0.075, 0.1, 0.1]

    Source: Goyal et al., "Accurate, large minibatch SGD", arXiv:1706.02677 (2017), section 2.2.
    """

    schedule: Rate
    steps: int

    def __post_init__(self) -> None:
        resolve_schedule(self.schedule, "Warmup", "schedule")
        require(self, WHOLE, "steps")

    def __call__(self, step: Any, total_steps: int | None = None) -> Any:
        """The rate of the rise, or of the schedule behind it."""
        schedule = resolve_schedule(self.schedule, "Warmup", "schedule")
        rest = None if total_steps is None else max(total_steps - self.steps, 1)
        later = schedule(gnp.maximum(step - self.steps, 1.0), rest)
        return gnp.minimum(step / self.steps, 1.0) * later


@dataclass(frozen=True)
class Piecewise(Schedule):
    """The first rate up to and with step boundaries[0], the second up to and with boundaries[1], and so on.

    >>> [float(Piecewise((0.1, 0.01), boundaries=(2,))(step)) for step in (1, 2, 3)]
    [0.1, 0.1, 0.01]
    """

    rates: tuple[float, ...]
    boundaries: tuple[int, ...]

    def __post_init__(self) -> None:
        rates, boundaries = tuple(self.rates), tuple(self.boundaries)
        if len(rates) != len(boundaries) + 1 or not all(belongs(rate, POSITIVE) for rate in rates):
            raise ConfigurationError(
                f"Piecewise got rates={rates!r} for {len(boundaries)} boundaries; "
                f"it takes {len(boundaries) + 1} positive numbers."
            )
        whole = all(belongs(boundary, WHOLE) for boundary in boundaries)
        if not whole or list(boundaries) != sorted(set(boundaries)):
            raise ConfigurationError(
                f"Piecewise got boundaries={boundaries!r}; it takes whole numbers that rise, from 1 on."
            )

    def __call__(self, step: Any, total_steps: int | None = None) -> Any:
        """The rate of the piece that `step` lies in."""
        rate: Any = self.rates[0]
        for boundary, later in zip(self.boundaries, self.rates[1:], strict=True):
            rate = gnp.where(step > boundary, later, rate)
        return rate


def resolve_schedule(rate: Any, owner: str = "A schedule", name: str = "learning_rate") -> Schedule:
    """The schedule itself; a positive number as a constant one; a function of the step as one.

    Raises ConfigurationError, which says that `owner` got it as `name`, for anything else.

    >>> resolve_schedule(0.1)
    Constant(rate=0.1)
    """
    if isinstance(rate, Schedule):
        return rate
    if belongs(rate, POSITIVE):
        return Constant(rate)
    if callable(rate) and not isinstance(rate, type):
        return Custom(rate)
    raise ConfigurationError(
        f"{owner} got {name}={rate!r}; it takes a positive number, a schedule such as Cosine(0.1), "
        "or a function of the step."
    )


def _progress(step: Any, steps: int) -> Any:
    return gnp.minimum((step - 1.0) / steps, 1.0)


def _half_wave(start: float, end: float, progress: Any) -> Any:
    """From `start` at progress 0 to `end` at 1."""
    return end + (start - end) * 0.5 * (1.0 + gnp.cos(math.pi * progress))
