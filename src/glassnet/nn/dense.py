"""Dense: every output sees every input."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

from glassnet.core.dtype import DType
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn import activations, initializers
from glassnet.nn.activations import Activation
from glassnet.nn.layer import Layer, Parameters

_RECTIFIERS = ("relu", "leaky_relu")


@dataclass(frozen=True)
class Dense(Layer):
    """A fully connected layer: y = f(W x + b).

    Parameters: weight W (units, inputs), bias b (units,). `kernel_initializer` is "he_uniform" for ReLU
    and leaky ReLU and "glorot_uniform" for the rest unless given; biases start at zero.

    Raises ConfigurationError for units that are not a positive whole number, an unknown activation or
    initialiser; ShapeError for an example that is not a vector.

    >>> layer = Dense(2, activation="relu")
    >>> layer({"weight": np.array([[1.0, -1.0], [0.0, 1.0]]), "bias": np.zeros(2)}, np.array([1.0, 2.0]))
    array([0., 2.])

    Source: Rumelhart, Hinton and Williams, Nature 323 (1986).
    """

    units: int
    activation: str | Activation = "identity"
    kernel_initializer: str | None = None
    bias_initializer: str = "zeros"

    def __post_init__(self) -> None:
        if not isinstance(self.units, Integral) or isinstance(self.units, bool) or self.units < 1:
            raise ConfigurationError(f"Dense got units={self.units!r}; it takes a whole number of 1 or more.")
        object.__setattr__(self, "units", int(self.units))  # NumPy's integers do not go into a model file
        activations.resolve(self.activation, "Dense")
        for name in (self.kernel_initializer, self.bias_initializer):
            if name is not None:
                initializers.resolve(name, "Dense")

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """Fresh weight (units, inputs) and bias (units,)."""
        self.output_shape(in_shape)
        default = "he_uniform" if self.activation_name in _RECTIFIERS else "glorot_uniform"
        kernel = initializers.resolve(self.kernel_initializer or default, "Dense")
        bias = initializers.resolve(self.bias_initializer, "Dense")
        return {
            "weight": kernel(key.fold(0), (self.units, in_shape[0]), dtype),
            "bias": bias(key.fold(1), (self.units, 1), dtype).reshape(self.units),
        }

    def output_shape(self, in_shape: Shape) -> Shape:
        """(units,) for an example (inputs,)."""
        if len(in_shape) != 1:
            raise ShapeError(
                f"{self.describe()} takes examples that are vectors; it got examples of shape {in_shape}: "
                "reshape X to (rows, features)."
            )
        return (self.units,)

    def pre_activation(self, parameters: Parameters, x: Any) -> Any:
        """z = W x + b."""
        return parameters["weight"] @ x + parameters["bias"]

    def describe(self) -> str:
        """For example: Dense(32, relu)."""
        return f"Dense({self.units}, {self.activation_name})"
