"""Bilinear: products of the features of two inputs, or of one with itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.dtype import DType
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.nn import initializers
from glassnet.nn.activations import Activation
from glassnet.nn.initializers import Initializer
from glassnet.nn.layer import ActivatedLayer, Parameters


@dataclass(frozen=True, repr=False)
class Bilinear(ActivatedLayer):
    """A weighted sum of all products of two features: y_k = f(u^T W_k v + b_k).

    x is a pair (u, v), or one array that stands for both. For v held fixed it is affine in u, and the other
    way around: dz_k/du = W_k v, dz_k/dv = W_k^T u.

    Parameters: weight W (units, inputs of u, inputs of v), bias b (units,). Weights start as those of a Dense
    layer on all products would; biases start at zero. Shapes: u (..., inputs), v (..., inputs) ->
    (..., units); the leading axes are the same. A pair has a pair of shapes, ((3,), (4,)).

    Raises ConfigurationError for units that are not a positive whole number, an unknown activation or
    initialiser; ShapeError for single numbers and for pairs whose leading axes differ.

    >>> layer = gn.nn.Bilinear(1, use_bias=False)
    >>> layer({"weight": np.array([[[0.0, 1.0], [0.0, 0.0]]])}, (np.array([3.0, 0.0]), np.array([0.0, 5.0])))
    array([15.])

    Source: Tenenbaum and Freeman, Neural Computation 12 (2000), equation 1.
    """

    units: int
    activation: str | Activation = "identity"
    use_bias: bool = True
    kernel_initializer: str | Initializer | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_whole("units")
        initializers.for_kernel(self.kernel_initializer, self.activation, "Bilinear")

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """Fresh weight (units, inputs of u, inputs of v) and bias (units,)."""
        self.output_shape(in_shape)
        left, right = _pair(in_shape)
        kernel = initializers.for_kernel(self.kernel_initializer, self.activation, "Bilinear")
        weight = kernel(key.fold(0), (self.units, left[-1] * right[-1]), dtype)
        parameters = {"weight": weight.reshape(self.units, left[-1], right[-1])}
        if self.use_bias:
            parameters["bias"] = initializers.zeros(key.fold(1), (self.units,), dtype)
        return parameters

    def output_shape(self, in_shape: Shape) -> Shape:
        """(..., units) for (..., inputs), or for a pair of such shapes."""
        left, right = _pair(in_shape)
        if not left or not right or left[:-1] != right[:-1]:
            raise self.refuse(
                in_shape, "vectors, or pairs with equal leading axes", "reshape them to (rows, ..., features)"
            )
        return (*left[:-1], self.units)

    def pre_activation(self, parameters: Parameters, x: Any) -> Any:
        """z_k = u^T W_k v + b_k."""
        u, v = x if isinstance(x, (tuple, list)) else (x, x)
        z = gnp.einsum("kij,...i,...j->...k", parameters["weight"], u, v)
        return z + parameters["bias"] if self.use_bias else z


def _pair(in_shape: Any) -> tuple[Shape, Shape]:
    """The shapes of u and v."""
    if len(in_shape) == 2 and all(isinstance(shape, (tuple, list)) for shape in in_shape):
        return tuple(in_shape[0]), tuple(in_shape[1])
    return in_shape, in_shape
