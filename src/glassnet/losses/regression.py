"""Losses for quantities: what a prediction y is worth against the value d.

Where a unit of one output is worth more than a unit of another, scale the targets first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.losses.checks import in_range, is_flag, same_shape
from glassnet.losses.loss import Loss
from glassnet.losses.positions import mean_over_positions

_LOG_2 = math.log(2.0)


def half_squared_error(prediction: Any, target: Any, mask: Any = None) -> Any:
    """1/2 sum_i (y_i - d_i)^2 over the outputs; delta = y - d.

    Shapes: prediction and target (..., outputs), mask (...) -> scalar, the mean over the positions. Raises
    ShapeError when the shapes differ.

    >>> float(half_squared_error(np.array([1.0, 2.0]), np.array([0.0, 0.0])))
    2.5

    Source: Rumelhart, Hinton and Williams, Nature 323 (1986), equation 3.
    """
    same_shape("half_squared_error", prediction, target, mask)
    return mean_over_positions(0.5 * gnp.sum(gnp.square(prediction - target), axis=-1), mask)


def mean_squared_error(prediction: Any, target: Any, mask: Any = None) -> Any:
    """1/n sum_i (y_i - d_i)^2 over the n outputs; delta = 2 (y - d) / n.

    Shapes: prediction and target (..., outputs), mask (...) -> scalar, the mean over the positions. Raises
    ShapeError when the shapes differ.

    >>> float(mean_squared_error(np.array([1.0, 2.0]), np.array([0.0, 0.0])))
    2.5

    Source: Legendre (1805), the method of least squares.
    """
    same_shape("mean_squared_error", prediction, target, mask)
    return mean_over_positions(gnp.mean(gnp.square(prediction - target), axis=-1), mask)


def mean_absolute_error(prediction: Any, target: Any, mask: Any = None) -> Any:
    """1/n sum_i |y_i - d_i| over the n outputs; delta = sign(y - d) / n, least at the median of d.

    Shapes: prediction and target (..., outputs), mask (...) -> scalar, the mean over the positions. Kink: the
    derivative at y = d is 0. Raises ShapeError when the shapes differ.

    >>> float(mean_absolute_error(np.array([1.0, -2.0]), np.array([0.0, 0.0])))
    1.5

    Source: Laplace (1774); Bloomfield and Steiger (1983), chapter 1.
    """
    same_shape("mean_absolute_error", prediction, target, mask)
    return mean_over_positions(gnp.mean(gnp.abs(prediction - target), axis=-1), mask)


def _check_delta(delta: Any) -> None:
    in_range("huber", "delta", delta, 0)


def huber(prediction: Any, target: Any, mask: Any = None, *, delta: float = 1.0) -> Any:
    """Squares for small errors, straight lines for large ones: outliers pull with a bounded force.

    sum_i h(y_i - d_i), h(e) = e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2); dDiv/dy_i is
    y_i - d_i cut off at -delta and delta.

    Shapes: prediction and target (..., outputs), mask (...) -> scalar, the mean over the positions; delta is
    in the units of d. The value and its derivative have no jump. Raises ShapeError when the shapes differ,
    ConfigurationError unless delta > 0.

    >>> float(huber(np.array([0.5, 3.0]), np.array([0.0, 0.0])))  # 0.125 + 2.5
    2.625

    Source: Huber, Annals of Mathematical Statistics 35 (1964).
    """
    _check_delta(delta)
    same_shape("huber", prediction, target, mask)
    error = prediction - target
    slope = gnp.minimum(delta, gnp.maximum(-delta, error))
    return mean_over_positions(gnp.sum(slope * (error - 0.5 * slope), axis=-1), mask)


def log_cosh(prediction: Any, target: Any, mask: Any = None) -> Any:
    """sum_i log cosh(y_i - d_i): about e^2 / 2 for a small error e, |e| - log 2 for a large one.

    delta = tanh(y - d). Shapes: prediction and target (..., outputs), mask (...) -> scalar, the mean over the
    positions. There are no kinks, nothing overflows, and small errors keep their digits. Raises ShapeError
    when the shapes differ.

    >>> round(float(log_cosh(np.array([1.0]), np.array([0.0]))), 6)
    0.433781

    Source: Saleh and Saleh (2022), arXiv 2208.04564.
    """
    same_shape("log_cosh", prediction, target, mask)
    error = prediction - target
    size = gnp.abs(error)
    is_small = gnp.less(size, 1.0)
    # Near 0 the second form cancels; far from 0 the first is log 0.
    small = -0.5 * gnp.log1p(-gnp.square(gnp.tanh(gnp.where(is_small, error, 0.0))))
    large = size + gnp.log1p(gnp.exp(-2.0 * size)) - _LOG_2
    return mean_over_positions(gnp.sum(gnp.where(is_small, small, large), axis=-1), mask)


def _check_quantile(quantile: Any) -> None:
    in_range("quantile", "quantile", quantile, 0, 1)


def quantile(prediction: Any, target: Any, mask: Any = None, *, quantile: float = 0.5) -> Any:
    """The pinball loss, least at the given quantile q of d: too low costs q, too high 1 - q a unit.

    sum_i q max(0, d_i - y_i) + (1 - q) max(0, y_i - d_i); dDiv/dy_i is -q below d_i and 1 - q above.

    Shapes: prediction and target (..., outputs), mask (...) -> scalar, the mean over the positions. Kink: the
    derivative at y = d is 0. Raises ShapeError when the shapes differ, ConfigurationError unless 0 < q < 1.

    >>> float(quantile(np.array([1.0, 5.0]), np.array([3.0, 4.0]), quantile=0.75))  # 0.75 * 2 + 0.25 * 1
    1.75

    Source: Koenker and Bassett, Econometrica 46 (1978).
    """
    _check_quantile(quantile)
    same_shape("quantile", prediction, target, mask)
    error = target - prediction
    each = quantile * gnp.relu(error) + (1.0 - quantile) * gnp.relu(-error)
    return mean_over_positions(gnp.sum(each, axis=-1), mask)


def poisson(prediction: Any, target: Any, mask: Any = None, *, log_rate: bool = True) -> Any:
    """Minus the log-likelihood of counts d, without the term log d! that no prediction changes.

    With `log_rate` the prediction is z, the logarithm of the rate: sum_i exp(z_i) - d_i z_i, delta =
    exp(z) - d. Without it the prediction is the rate y itself (end the network in exp or softplus):
    sum_i y_i - d_i log y_i, dDiv/dy = 1 - d / y.

    Shapes: prediction and target (..., outputs), mask (...) -> scalar, in nats, the mean over the positions;
    d >= 0, y > 0. A rate of 0 costs nothing where the count is 0 and infinity elsewhere; exp(z) overflows for
    z above 709 (float32: 88), as the rate itself does. Raises ShapeError when the shapes differ,
    ConfigurationError for a `log_rate` that is neither True nor False.

    >>> round(float(poisson(np.array([0.0, 1.0]), np.array([2.0, 3.0]))), 6)  # 1 + (e - 3)
    0.718282

    Source: McCullagh and Nelder (1989), chapter 6.
    """
    is_flag("poisson", "log_rate", log_rate)
    same_shape("poisson", prediction, target, mask)
    if log_rate:
        each = gnp.exp(prediction) - target * prediction
    else:
        each = prediction - gnp.xlogy(target, prediction)
    return mean_over_positions(gnp.sum(each, axis=-1), mask)


@dataclass(frozen=True)
class HalfSquaredError(Loss):
    """`half_squared_error` as a loss.

    >>> float(HalfSquaredError().divergence(np.array([1.0, 2.0]), np.array([0.0, 0.0])))
    2.5
    """

    name = "half_squared_error"
    formula = "1/2 sum (y - d)^2"

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `half_squared_error`."""
        return half_squared_error(prediction, target, mask)


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """`mean_squared_error` as a loss.

    >>> float(MeanSquaredError().divergence(np.array([1.0, 2.0]), np.array([0.0, 0.0])))
    2.5
    """

    name = "mean_squared_error"
    formula = "mean (y - d)^2"

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `mean_squared_error`."""
        return mean_squared_error(prediction, target, mask)


@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """`mean_absolute_error` as a loss.

    >>> float(MeanAbsoluteError().divergence(np.array([1.0, -2.0]), np.array([0.0, 0.0])))
    1.5
    """

    name = "mean_absolute_error"
    formula = "mean |y - d|"

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `mean_absolute_error`."""
        return mean_absolute_error(prediction, target, mask)


@dataclass(frozen=True)
class Huber(Loss):
    """`huber` as a loss; `delta` > 0 is the error from which on the price grows in a straight line.

    >>> float(Huber(delta=2.0).divergence(np.array([3.0]), np.array([0.0])))
    4.0
    """

    name = "huber"
    formula = "sum (y - d)^2 / 2 where |y - d| <= delta, else delta (|y - d| - delta / 2)"
    delta: float = 1.0

    def __post_init__(self) -> None:
        _check_delta(self.delta)

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `huber`."""
        return huber(prediction, target, mask, delta=self.delta)


@dataclass(frozen=True)
class LogCosh(Loss):
    """`log_cosh` as a loss.

    >>> float(LogCosh().divergence(np.array([2.0]), np.array([2.0])))
    0.0
    """

    name = "log_cosh"
    formula = "sum log cosh(y - d)"

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `log_cosh`."""
        return log_cosh(prediction, target, mask)


@dataclass(frozen=True)
class Quantile(Loss):
    """`quantile` as a loss; 0 < `quantile` < 1, and 0.5 is the median.

    >>> float(Quantile(0.75).divergence(np.array([1.0]), np.array([3.0])))
    1.5
    """

    name = "quantile"
    formula = "sum q max(0, d - y) + (1 - q) max(0, y - d)"
    quantile: float = 0.5

    def __post_init__(self) -> None:
        _check_quantile(self.quantile)

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `quantile`."""
        return quantile(prediction, target, mask, quantile=self.quantile)


@dataclass(frozen=True)
class Poisson(Loss):
    """`poisson` as a loss; `log_rate` says whether the network predicts log rates or rates.

    >>> float(Poisson().divergence(np.array([0.0]), np.array([2.0])))
    1.0
    """

    name = "poisson"
    targets = "counts"
    formula = "sum exp(z) - d z"
    log_rate: bool = True

    def __post_init__(self) -> None:
        is_flag("poisson", "log_rate", self.log_rate)

    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """See `poisson`."""
        return poisson(prediction, target, mask, log_rate=self.log_rate)
