"""Dropout of single elements and of whole channels."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

from glassnet import random
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError
from glassnet.nn.layer import Layer, Parameters
from glassnet.nn.run import Run


@dataclass(frozen=True, repr=False)
class Dropout(Layer):
    """In training each element is 0 with probability `rate`, else divided by 1 - rate; in use y = x.

    The division keeps the mean of every element ("inverted" dropout), so nothing is scaled in use. Each
    example draws for itself, from the key of the run. The mask is a constant to derivatives.

    Shapes: x (...) -> (...). Raises ConfigurationError for a rate outside 0 <= rate < 1, and in training
    without a key.

    >>> layer = gn.nn.Dropout(0.5)
    >>> layer({}, np.ones(4), gn.nn.Run(training=True, key=gn.random.key(0))), layer({}, np.ones(4))
    (array([0., 2., 2., 2.]), array([1., 1., 1., 1.]))

    Source: Srivastava et al., JMLR 15 (2014), sections 4 and 10.
    """

    rate: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_rate(self, self.rate)

    def output_shape(self, in_shape: Shape) -> Shape:
        """That of the example."""
        return in_shape

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """x times the mask."""
        if not run.training or self.rate == 0:
            return x
        return x * random.dropout_mask(run.chance(self.kind), self.mask_shape(x.shape), self.rate, x.dtype)

    def mask_shape(self, in_shape: Shape) -> Shape:
        """What is drawn: a number for each element."""
        return in_shape


@dataclass(frozen=True, repr=False)
class SpatialDropout(Dropout):
    """Dropout of whole channels, the last axis: neighbouring positions or pixels say nearly the same.

    In training each channel of an example is 0 everywhere with probability `rate`, else divided by 1 - rate;
    in use y = x. Shapes: x (..., channels) -> (..., channels).

    >>> layer = gn.nn.SpatialDropout(0.5)
    >>> layer({}, np.ones((2, 4)), gn.nn.Run(training=True, key=gn.random.key(0)))
    array([[0., 2., 2., 2.],
           [0., 2., 2., 2.]])

    Source: Tompson et al., CVPR (2015), section 3.2.
    """

    def output_shape(self, in_shape: Shape) -> Shape:
        """That of the example."""
        if not in_shape:
            raise self.refuse(in_shape, "examples (..., channels)", "reshape X to (rows, channels)")
        return in_shape

    def mask_shape(self, in_shape: Shape) -> Shape:
        """What is drawn: a number for each channel."""
        return (*(1,) * (len(in_shape) - 1), in_shape[-1])


def require_rate(layer: Layer, rate: Any) -> None:
    """ConfigurationError unless 0 <= rate < 1."""
    if not isinstance(rate, Real) or isinstance(rate, bool) or not 0 <= float(rate) < 1:
        raise ConfigurationError(f"{layer.kind} got rate={rate!r}; it takes a number with 0 <= rate < 1.")
