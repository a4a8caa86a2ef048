"""Gaussian noise in training: added, or multiplied with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from glassnet import random
from glassnet.core.shape import Shape
from glassnet.nn.dropout import require_rate
from glassnet.nn.layer import Layer, Parameters
from glassnet.nn.run import Run


@dataclass(frozen=True, repr=False)
class GaussianNoise(Layer):
    """In training y = x + std n, with n standard normal for every element; in use y = x.

    `std` is in units of x. The noise is a constant to derivatives. Shapes: x (...) -> (...). Raises
    ConfigurationError for a std that is not positive, and in training without a key.

    >>> gn.nn.GaussianNoise(0.1)({}, np.zeros(2), gn.nn.Run(training=True, key=gn.random.key(0))).round(3)
    array([ 0.099, -0.092])

    Source: Bishop, "Training with noise is equivalent to Tikhonov regularization" (1995), section 2.
    """

    std: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("std")

    def output_shape(self, in_shape: Shape) -> Shape:
        """That of the example."""
        return in_shape

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """x with the noise of this example."""
        if not run.training:
            return x
        return x + random.normal(run.chance(self.kind), x.shape, std=self.std, dtype=x.dtype)


@dataclass(frozen=True, repr=False)
class GaussianDropout(Layer):
    """In training y = x n, with n normal of mean 1 and variance rate / (1 - rate); in use y = x.

    Mean and variance are those of what Dropout of this rate multiplies by. Shapes: x (...) -> (...). Raises
    ConfigurationError for a rate outside 0 <= rate < 1, and in training without a key.

    >>> layer = gn.nn.GaussianDropout(0.5)
    >>> layer({}, np.ones(2), gn.nn.Run(training=True, key=gn.random.key(0))).round(3)
    array([1.991, 0.075])

    Source: Srivastava et al., JMLR 15 (2014), section 10.
    """

    rate: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_rate(self, self.rate)

    def output_shape(self, in_shape: Shape) -> Shape:
        """That of the example."""
        return in_shape

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """x times the noise of this example."""
        if not run.training or self.rate == 0:
            return x
        std = math.sqrt(self.rate / (1 - self.rate))
        return x * random.normal(run.chance(self.kind), x.shape, mean=1.0, std=std, dtype=x.dtype)
