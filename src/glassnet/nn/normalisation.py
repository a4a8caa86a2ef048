"""Normalisation: mean 0 and variance 1 over the batch, over the features, or over groups of channels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from numbers import Real
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.dtype import DType
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError
from glassnet.nn.layer import Layer, Parameters
from glassnet.nn.run import Run


class Normalization(Layer):
    """Base of the normalisations: y = scale (x - mean) / sqrt(variance + epsilon) + shift.

    The variance is the biased one, the mean of (x - mean)^2; epsilon stands inside the root. Parameters:
    scale, which starts at 1, and shift, which starts at 0, of the shape of the last `axes` axes.
    """

    # NOTE not a dataclass: fields here would stand before the subclass's own.
    axes: int = 1
    epsilon: float
    use_scale: bool
    use_shift: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("epsilon")
        self.require_whole("axes")

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """Scale 1 and shift 0; the key does not matter."""
        shape = self.output_shape(in_shape)[-self.axes :]
        scale = {"scale": np.ones(shape, dtype)} if self.use_scale else {}
        return {**scale, "shift": np.zeros(shape, dtype)} if self.use_shift else scale

    def output_shape(self, in_shape: Shape) -> Shape:
        """That of the example."""
        if len(in_shape) < self.axes:
            raise self.refuse(
                in_shape, f"examples of {self.axes} or more axes", "reshape X to (rows, ..., channels)"
            )
        return in_shape

    @abstractmethod
    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """The normalised example."""

    def scaled(self, parameters: Parameters, y: Any) -> Any:
        """scale y + shift."""
        if self.use_scale:
            y = y * parameters["scale"]
        return y + parameters["shift"] if self.use_shift else y


@dataclass(frozen=True, repr=False)
class BatchNorm(Normalization):
    """y = scale (x - mean) / sqrt(variance + epsilon) + shift, each channel over the batch and its positions.

    In training mean and variance are those of the batch: over its examples, each with its weight in the run,
    and over all axes but the last, without the positions that the mask leaves out. They depend on x, and the
    derivative passes through them. In use they are the running ones,

        running <- momentum running + (1 - momentum) of the batch,

    which start at 0 and 1. Momentum is 0.9 as in PyTorch (which writes 0.1): with Keras's 0.99 a run of a few
    hundred steps is used with statistics that still remember their start. The running variance averages the
    same biased variance that normalises, as in Keras; with `unbiased` it is that times n / (n - 1), of n
    values in the batch, as in the source and in PyTorch. One example alone in training is normalised over its
    own positions; a single vector becomes `shift`.

    Parameters: scale (channels,), shift (channels,). Statistics: mean (channels,), variance (channels,).
    Shapes: x (..., channels) -> (..., channels). Epsilon is 1e-5 as in PyTorch; Keras takes 1e-3.

    Raises ConfigurationError for an epsilon that is not positive, a momentum outside 0 <= momentum < 1, and
    in use without statistics; ShapeError for an example that is a single number.

    >>> layer = gn.nn.BatchNorm(epsilon=1e-12)
    >>> parameters = layer.init(gn.random.key(0), (1,), np.dtype("float64"))
    >>> rows = gn.vmap(lambda x: layer(parameters, x, gn.nn.Run(training=True)))(np.array([[1.0], [5.0]]))
    >>> rows.round(6)
    array([[-1.],
           [ 1.]])

    Source: Ioffe and Szegedy, ICML (2015), algorithms 1 and 2.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    use_scale: bool = True
    use_shift: bool = True
    unbiased: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        value = self.momentum
        if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= value < 1:
            raise ConfigurationError(
                f"BatchNorm got momentum={value!r}; it takes a number with 0 <= momentum < 1."
            )

    def init_statistics(self, in_shape: Shape, dtype: DType) -> Parameters:
        """The running mean 0 and the running variance 1."""
        shape = self.output_shape(in_shape)[-1:]
        return {"mean": np.zeros(shape, dtype), "variance": np.ones(shape, dtype)}

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """The normalised example, with the statistics of the batch or the running ones."""
        if run.training:
            centred, variance = self._over_batch(x, run)
        elif "mean" in run.statistics:
            centred, variance = x - run.statistics["mean"], run.statistics["variance"]
        else:
            raise ConfigurationError(
                "BatchNorm normalises with its running statistics in use and was given none; call it with "
                "Run(statistics=layer.init_statistics(in_shape, dtype))."
            )
        return self.scaled(parameters, centred * (1.0 / gnp.sqrt(variance + self.epsilon)))

    def _over_batch(self, x: Any, run: Run) -> tuple[Any, Any]:
        """x - mean and the variance of the batch; the running ones move towards it."""
        axes = tuple(range(x.ndim - 1))
        mean = _mean(x, axes, run.mask, run.batch_mean)
        variance = _mean(gnp.square(x - mean), axes, run.mask, run.batch_mean)
        spread = variance * self._correction(x, run) if self.unbiased else variance
        for name, initial, seen in (("mean", 0.0, mean), ("variance", 1.0, spread)):
            old = run.statistics.get(name, initial)
            run.keep(name, self.momentum * old + (1 - self.momentum) * gnp.reshape(seen, x.shape[-1:]))
        return x - mean, variance

    def _correction(self, x: Any, run: Run) -> Any:
        """n / (n - 1) for n values of a channel; 1 where there is only one."""
        rows = _number(x, tuple(range(x.ndim - 1)), run.mask, run.batch_mean)
        n = gnp.batch_size(x) * (rows if run.weight is None else rows * gnp.batch_mean(run.weight))
        return n / gnp.where(n > 1, n - 1, 1.0)


@dataclass(frozen=True, repr=False)
class LayerNorm(Normalization):
    """y = scale (x - mean) / sqrt(variance + epsilon) + shift, over the features of each position.

    Mean and variance are those of the last `axes` axes, 1 unless given: the number of dimensions of what
    PyTorch calls normalized_shape; Keras's axis=[-2, -1] is axes=2. Training and use are the same.

    Parameters: scale and shift, of the shape of those axes. Shapes: x (..., features) -> (..., features).
    Epsilon, inside the root, is 1e-5 as in PyTorch; Keras takes 1e-3.

    Raises ConfigurationError for an epsilon that is not positive or axes below 1; ShapeError for an example
    of fewer axes.

    >>> layer = gn.nn.LayerNorm(epsilon=1e-12, use_scale=False, use_shift=False)
    >>> layer({}, np.array([[1.0, 3.0], [20.0, 10.0]])).round(6)
    array([[-1.,  1.],
           [ 1., -1.]])

    Source: Ba, Kiros and Hinton, "Layer normalization" (2016), equation 3.
    """

    axes: int = 1
    epsilon: float = 1e-5
    use_scale: bool = True
    use_shift: bool = True

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """The normalised example."""
        axes = tuple(range(-self.axes, 0))
        centred = x - gnp.mean(x, axes, keepdims=True)
        variance = gnp.mean(gnp.square(centred), axes, keepdims=True)
        return self.scaled(parameters, centred * (1.0 / gnp.sqrt(variance + self.epsilon)))


@dataclass(frozen=True, repr=False)
class RMSNorm(Normalization):
    """y = scale x / sqrt(mean(x^2) + epsilon) over the features of each position: no mean, and no shift.

    The mean is over the last `axes` axes. Training and use are the same. Parameters: scale, of the shape of
    those axes. Shapes: x (..., features) -> (..., features). Epsilon stands inside the root.

    Raises ConfigurationError for an epsilon that is not positive or axes below 1; ShapeError for an example
    of fewer axes.

    >>> gn.nn.RMSNorm(epsilon=1e-12)({"scale": np.ones(2)}, np.array([3.0, 4.0])) * np.sqrt(12.5)
    array([3., 4.])

    Source: Zhang and Sennrich, NeurIPS (2019), equation 4.
    """

    axes: int = 1
    epsilon: float = 1e-5
    use_scale: bool = True
    use_shift = False

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """The normalised example."""
        square = gnp.mean(gnp.square(x), tuple(range(-self.axes, 0)), keepdims=True)
        return self.scaled(parameters, x * (1.0 / gnp.sqrt(square + self.epsilon)))


@dataclass(frozen=True, repr=False)
class GroupNorm(Normalization):
    """y = scale (x - mean) / sqrt(variance + epsilon) + shift, over groups of channels and all positions.

    The channels, the last axis, fall into `groups` of successive ones; mean and variance are those of one
    group in one example, over all other axes, without the positions that the mask leaves out.
    groups="channels" makes each channel a group of its own, which is instance normalisation; 1 makes all
    channels one. Training and use are the same.

    Parameters: scale (channels,), shift (channels,). Shapes: x (..., channels) -> (..., channels). Epsilon,
    inside the root, is 1e-5 as in the source and PyTorch; Keras takes 1e-3.

    Raises ConfigurationError for an epsilon that is not positive or groups that are neither a positive whole
    number nor "channels"; ShapeError where the groups do not divide the channels.

    >>> layer = gn.nn.GroupNorm(2, epsilon=1e-12, use_scale=False, use_shift=False)
    >>> layer({}, np.array([1.0, 3.0, 20.0, 10.0])).round(6)
    array([-1.,  1.,  1., -1.])

    Source: Wu and He, ECCV (2018), equation 7; Ulyanov, Vedaldi and Lempitsky (2016), for single channels.
    """

    groups: int | str
    epsilon: float = 1e-5
    use_scale: bool = True
    use_shift: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.groups, str) and self.groups != "channels":
            raise ConfigurationError(
                f"GroupNorm got groups={self.groups!r}; it takes a whole number of 1 or more, or 'channels'."
            )
        if self.groups != "channels":
            self.require_whole("groups")

    def output_shape(self, in_shape: Shape) -> Shape:
        """That of the example."""
        shape = super().output_shape(in_shape)
        if self.groups != "channels" and shape[-1] % int(self.groups):
            raise self.refuse(
                in_shape, f"channels in {self.groups} equal groups", "let groups divide the last axis"
            )
        return shape

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """The normalised example."""
        groups = x.shape[-1] if self.groups == "channels" else int(self.groups)
        grouped = gnp.reshape(x, (*x.shape[:-1], groups, x.shape[-1] // groups))
        axes = (*range(x.ndim - 1), x.ndim)
        centred = grouped - _mean(grouped, axes, run.mask)
        variance = _mean(gnp.square(centred), axes, run.mask)
        y = centred * (1.0 / gnp.sqrt(variance + self.epsilon))
        return self.scaled(parameters, gnp.reshape(y, x.shape))


def _mean(x: Any, axes: tuple[int, ...], mask: Any, across: Callable[[Any], Any] = lambda x: x) -> Any:
    """The mean over `axes`, which stay as 1, and over what `across` averages: x itself, or the batch.

    Positions, the first axis, where the mask does not hold are left out; where none holds the mean is 0.
    """
    if not _fits(mask, x, axes):
        return across(gnp.mean(x, axes, keepdims=True))
    counts = gnp.reshape(mask, (-1, *(1,) * (x.ndim - 1)))
    number = _number(x, axes, mask, across)
    return across(gnp.sum(x, axes, keepdims=True, where=counts)) / gnp.where(number > 0, number, 1.0)


def _number(x: Any, axes: tuple[int, ...], mask: Any, across: Callable[[Any], Any]) -> Any:
    """How many elements such a mean has in one example, or in the mean over the batch."""
    if not _fits(mask, x, axes):
        return float(prod(x.shape[i] for i in axes))
    return across(gnp.sum(gnp.astype(mask, x.dtype))) * float(prod(x.shape[i] for i in axes if i))


def _fits(mask: Any, x: Any, axes: tuple[int, ...]) -> bool:
    return mask is not None and 0 in axes and mask.shape == x.shape[:1]
