"""Maxout: the largest of several affine pieces, an activation that is learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.dtype import DType
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.nn import activations, initializers
from glassnet.nn.initializers import Initializer
from glassnet.nn.layer import Layer, Parameters
from glassnet.nn.run import Run


@dataclass(frozen=True, repr=False)
class Maxout(Layer):
    """The largest of `pieces` affine functions for each unit: y_i = max_j (w_ij x + b_ij).

    Any convex function of x is the limit of such maxima. Parameters: weight (units pieces, inputs), the
    pieces of a unit in successive rows, and bias (units pieces,). Weights are "lecun_uniform" unless given,
    which keeps the mean square for two pieces; biases start at zero. Shapes: x (..., inputs) -> (..., units).
    Of equal pieces the first takes the derivative. A max_norm holds for each piece.

    Raises ConfigurationError for units or pieces that are not positive whole numbers, an unknown
    initialiser; ShapeError for an example that is a single number.

    >>> absolute = {"weight": np.array([[1.0], [-1.0]]), "bias": np.zeros(2)}
    >>> gn.nn.Maxout(1, pieces=2)(absolute, np.array([-3.0]))
    array([3.])

    Source: Goodfellow, Warde-Farley, Mirza, Courville and Bengio, ICML (2013), equation 2.
    """

    units: int
    pieces: int = 2
    use_bias: bool = True
    kernel_initializer: str | Initializer = "lecun_uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_whole("units", "pieces")
        initializers.resolve(self.kernel_initializer, "Maxout")

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """Fresh weight (units pieces, inputs) and bias (units pieces,)."""
        self.output_shape(in_shape)
        kernel = initializers.resolve(self.kernel_initializer, "Maxout")
        rows = self.units * self.pieces
        parameters = {"weight": kernel(key.fold(0), (rows, in_shape[-1]), dtype)}
        if self.use_bias:
            parameters["bias"] = initializers.zeros(key.fold(1), (rows,), dtype)
        return parameters

    def output_shape(self, in_shape: Shape) -> Shape:
        """(..., units) for an example (..., inputs)."""
        if not in_shape:
            raise self.refuse(in_shape, "vectors", "reshape X to (rows, features)")
        return (*in_shape[:-1], self.units)

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """The largest piece of each unit."""
        weight = parameters["weight"]
        z = weight @ x if x.ndim == 1 else x @ gnp.transpose(weight)
        z = run.see("z", z + parameters["bias"] if self.use_bias else z)  # (..., units pieces)
        return activations.maxout(gnp.reshape(z, (*x.shape[:-1], self.units, self.pieces)))
