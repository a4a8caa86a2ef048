"""PReLU: a rectifier whose slope on the left is learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.dtype import DType
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.nn.checks import require_finite
from glassnet.nn.layer import Layer, Parameters
from glassnet.nn.run import Run


@dataclass(frozen=True, repr=False)
class PReLU(Layer):
    """y = x where x > 0, else a x, with a learned slope a for each channel, the last axis.

    Parameters: slope a (channels,), or (1,) where all channels share one: `shared=True`. It starts at
    `initial_slope`. The derivative at 0 is that of the left side, a. Shapes: x (..., channels) ->
    (..., channels). The source advises against weight decay on a, which draws it to relu.

    Raises ConfigurationError for an initial slope that is not a finite number; ShapeError for an example
    that is a single number.

    >>> gn.nn.PReLU()({"slope": np.array([0.5, 0.1])}, np.array([-2.0, 3.0]))
    array([-1.,  3.])

    Source: He, Zhang, Ren and Sun, ICCV (2015), equation 1 and section 2.1.
    """

    initial_slope: float = 0.25
    shared: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_finite(self, initial_slope=self.initial_slope)

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """Fresh slopes; the key does not matter."""
        channels = self.output_shape(in_shape)[-1]
        return {"slope": np.full(1 if self.shared else channels, self.initial_slope, dtype)}

    def output_shape(self, in_shape: Shape) -> Shape:
        """That of the example."""
        if not in_shape:
            raise self.refuse(in_shape, "examples (..., channels)", "reshape X to (rows, channels)")
        return in_shape

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """x, or the slope times it."""
        return gnp.where(x > 0, x, parameters["slope"] * x)
