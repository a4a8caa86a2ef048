"""The learning-rate finder: rates that grow from step to step, and the one where the loss fell fastest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glassnet.errors import DataError, ShapeError
from glassnet.optim._matplotlib import load_pyplot
from glassnet.optim.hyperparameters import POSITIVE, Kind, require

ODD = Kind("an odd number of at least 3", lambda size: size >= 3 and size % 2 == 1, Integral)


@dataclass(frozen=True, eq=False)
class LearningRateCurve:
    """What the finder has seen: the suggestion, and all rates and losses of the run, shape (steps run,)."""

    suggestion: float
    rates: NDArray[np.float64]
    losses: NDArray[np.float64]

    def plot(self, axes: Any = None) -> Any:
        """The losses over the rates with the suggestion marked, on matplotlib's `axes` (by default new ones).

        Returns the axes. Raises MissingExtraError, with the command that installs it, without matplotlib.
        """
        if axes is None:
            axes = load_pyplot("A plot of the learning rates").subplots()[1]
        axes.semilogx(self.rates, self.losses)
        axes.axvline(self.suggestion, linestyle="--", label=f"suggestion {self.suggestion:.2g}")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss")
        axes.legend()
        return axes


@dataclass(frozen=True)
class LearningRateFinder:
    """A range test: `steps` training steps with rates that grow geometrically from `low` to `high`.

    rate_i = low (high / low)^(i / (steps - 1)),   i = 0 .. steps - 1

    The suggestion is the rate at which the loss falls fastest over the logarithm of the rate: the slope at a
    step is that of the line fitted by least squares to the losses of the `window` steps around it, which is
    a smoothing without a lag. The steps that count end before the loss explodes (it is not finite, or exceeds
    `explosion` times the first one in magnitude), and where the mean over the window is lowest: behind that
    the loss rises, and what it falls from there is no progress.

    Raises ConfigurationError for a range that is not positive and growing, or fewer steps than the window.

    >>> LearningRateFinder(0.001, 10.0, steps=5, window=3).rates
    array([1.e-03, 1.e-02, 1.e-01, 1.e+00, 1.e+01])

    Source: Smith, Cyclical learning rates for training neural networks, WACV (2017), section 3.3; the line
    fitted over a window is that of Savitzky and Golay, Analytical Chemistry 36 (1964).
    """

    low: float = 1e-6
    high: float = 10.0
    steps: int = 100
    window: int = 9
    explosion: float = 4.0

    def __post_init__(self) -> None:
        require(self, POSITIVE, "low")
        above = Kind(f"a number above low={self.low!r}", lambda rate: self.low < rate < math.inf)
        require(self, above, "high")
        require(self, ODD, "window")
        enough = f"a whole number of at least window={self.window}"
        require(self, Kind(enough, lambda count: count >= self.window, Integral), "steps")
        require(self, Kind("a number above 1", lambda factor: 1 < factor < math.inf), "explosion")

    @property
    def rates(self) -> NDArray[np.float64]:
        """The rates of all steps, shape (steps,)."""
        return np.geomspace(self.low, self.high, self.steps)

    def calm_steps(self, losses: ArrayLike) -> int:
        """How many steps there are before the loss explodes; a run may end as soon as it has more.

        >>> LearningRateFinder().calm_steps([2.0, 1.0, 3.0, 9.0, 1.0])
        3
        """
        values = np.asarray(losses, np.float64)
        if not values.size:
            return 0
        limit = values[0] + (self.explosion - 1) * abs(values[0])
        exploded = ~(np.isfinite(values) & (values <= limit))
        return int(np.argmax(exploded)) if exploded.any() else values.size

    def suggest(self, rates: ArrayLike, losses: ArrayLike) -> LearningRateCurve:
        """The rate at which the loss fell fastest, with the curve it was read from.

        `losses[i]` is the loss of the training step with `rates[i]`; both have shape (steps run,), and the
        run may have ended early. Raises ShapeError when the two do not fit together, and DataError when the
        loss explodes within the first window or falls nowhere.

        >>> finder = LearningRateFinder(1e-4, 1.0, steps=5, window=3)
        >>> finder.suggest(finder.rates, [1.0, 1.0, 0.9, 0.2, 0.15]).suggestion
        0.01
        """
        rates, losses = np.array(rates, np.float64), np.array(losses, np.float64)
        if rates.shape != losses.shape or rates.ndim != 1:
            raise ShapeError(
                f"The finder got rates of shape {rates.shape} and losses of shape {losses.shape}; "
                "it takes one loss for each rate, shape (steps run,)."
            )
        calm = self.calm_steps(losses)
        if calm < self.window:
            raise DataError(
                f"The loss stayed calm for {calm} steps, and a slope is fitted to a window of {self.window}; "
                f"start from a lower rate than low={self.low!r}, or run more steps."
            )
        lowest = int(np.argmin(_means(losses[:calm], self.window)))
        slopes = _slopes(np.log(rates[:calm]), losses[:calm], self.window)[: lowest + 1]
        steepest = int(np.argmin(slopes))
        if slopes[steepest] >= 0:
            raise DataError(
                f"The loss fell at no rate between {rates[0]:.3g} and {rates[calm - 1]:.3g}; "
                "try a wider range, more steps, or another initialisation."
            )
        return LearningRateCurve(float(rates[steepest + self.window // 2]), rates, losses)


def _means(y: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    # (points - window + 1,)
    return np.lib.stride_tricks.sliding_window_view(y, window).mean(axis=1)


def _slopes(x: NDArray[np.float64], y: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    # (points - window + 1,): slopes of the lines fitted to the windows, sum (x - mean) y / sum (x - mean)^2.
    x_windows = np.lib.stride_tricks.sliding_window_view(x, window)
    y_windows = np.lib.stride_tricks.sliding_window_view(y, window)
    centred = x_windows - x_windows.mean(axis=1, keepdims=True)
    # From the middle, so that the slope of a constant is 0 to the last bit.
    rise = y_windows - y_windows[:, window // 2, None]
    return (centred * rise).sum(axis=1) / np.square(centred).sum(axis=1)
