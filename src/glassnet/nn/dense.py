"""Dense: every output sees every input."""

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
class Dense(ActivatedLayer):
    """A fully connected layer: y = f(W x + b).

    Parameters: weight W (units, inputs), bias b (units,). Shapes: x (..., inputs) -> (..., units); leading
    axes are positions, each treated alike. `kernel_initializer` is "he_uniform" for the rectifiers,
    "lecun_normal" for SELU and "glorot_uniform" for the rest unless given; biases start at zero.

    Raises ConfigurationError for units that are not a positive whole number, an unknown activation or
    initialiser; ShapeError for an example that is a single number.

    >>> layer = Dense(2, activation="relu")
    >>> layer({"weight": np.array([[1.0, -1.0], [0.0, 1.0]]), "bias": np.zeros(2)}, np.array([1.0, 2.0]))
    array([0., 2.])

    Source: Rumelhart, Hinton and Williams, Nature 323 (1986).
    """

    units: int
    activation: str | Activation = "identity"
    use_bias: bool = True
    kernel_initializer: str | Initializer | None = None
    bias_initializer: str | Initializer = "zeros"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_whole("units")
        for chosen in (self.kernel_initializer, self.bias_initializer):
            if chosen is not None:
                initializers.resolve(chosen, "Dense")

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """Fresh weight (units, inputs) and bias (units,)."""
        self.output_shape(in_shape)
        default = initializers.default_for(self.activation)
        kernel = initializers.resolve(self.kernel_initializer or default, "Dense")
        parameters = {"weight": kernel(key.fold(0), (self.units, in_shape[-1]), dtype)}
        if self.use_bias:
            bias = initializers.resolve(self.bias_initializer, "Dense")
            parameters["bias"] = bias(key.fold(1), (self.units, 1), dtype).reshape(self.units)
        return parameters

    def output_shape(self, in_shape: Shape) -> Shape:
        """(..., units) for an example (..., inputs)."""
        if not in_shape:
            raise self.refuse(in_shape, "vectors", "reshape X to (rows, features)")
        return (*in_shape[:-1], self.units)

    def pre_activation(self, parameters: Parameters, x: Any) -> Any:
        """z = W x + b."""
        weight = parameters["weight"]
        z = weight @ x if x.ndim == 1 else x @ gnp.transpose(weight)
        return z + parameters["bias"] if self.use_bias else z
