"""A network as what it is: a composition of functions, layers in a row and the loss at their end.

Everything here is pure in the parameters, which are a tuple with one dict of arrays for each layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.dtype import DType, NDArray
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError
from glassnet.losses import Loss
from glassnet.nn import Layer
from glassnet.nn.activations import ACTIVATIONS, resolve
from glassnet.transforms.batch import vmap

NestedParameters = tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Composition:
    """Layers and a loss that fit each other.

    Where the loss contains the output activation (its link), `layers` end in z and `shown` ends in that
    activation; elsewhere both are the layers as they were given.

    >>> Composition.of([gn.Dense(2, activation="softmax")], gn.losses.resolve("cross_entropy")).layers
    (Dense(units=2, activation='identity', kernel_initializer=None, bias_initializer='zeros'),)
    """

    layers: tuple[Layer, ...]
    shown: tuple[Layer, ...]
    loss: Loss

    @staticmethod
    def of(layers: Sequence[Layer], loss: Loss) -> Composition:
        """The composition of `layers` and `loss`; ConfigurationError where the last activation is another."""
        *inner, last = layers
        if loss.link is None:
            return Composition(tuple(layers), tuple(layers), loss)
        activation = resolve(last.activation, type(last).__name__)
        if activation not in (ACTIVATIONS["identity"], ACTIVATIONS[loss.link]):
            raise ConfigurationError(
                f"The loss {loss.name} contains the output activation {loss.link}, but the last layer is "
                f'{last.describe()}; give it activation="{loss.link}" or none.'
            )
        return Composition(
            (*inner, last.with_activation("identity")), (*inner, last.with_activation(loss.link)), loss
        )

    @property
    def names(self) -> list[str]:
        """The layers' names: "dense_1", "dense_2", ..."""
        return [f"{type(layer).__name__.lower()}_{number}" for number, layer in enumerate(self.layers, 1)]

    def parameter_names(self, parameters: NestedParameters) -> list[str]:
        """The names "dense_1.weight", "dense_1.bias", ... in the order of the leaves."""
        return [f"{name}.{key}" for name, own in zip(self.names, parameters, strict=True) for key in own]

    def output_shape(self, input_shape: Shape) -> Shape:
        """The shape of one example's output.

        Raises ShapeError where a layer does not take its input, ConfigurationError for a softmax of one.
        """
        shape = input_shape
        for layer in self.layers:
            shape = layer.output_shape(shape)
        if self.loss.link == "softmax" and shape == (1,):
            raise ConfigurationError(
                f"The network ends in one output, and the softmax of {self.loss.name} makes it always 1; "
                'end it with one output a class, or use loss="binary_cross_entropy".'
            )
        return shape

    def table(self, input_shape: Shape, parameters: NestedParameters) -> list[tuple[str, str, Shape, int]]:
        """A row for each layer: name, description, output shape, number of parameters."""
        shape = input_shape
        rows: list[tuple[str, str, Shape, int]] = []
        for name, layer, own in zip(self.names, self.shown, parameters, strict=True):
            shape = layer.output_shape(shape)
            rows.append((name, layer.describe(), shape, sum(array.size for array in own.values())))
        return rows

    def init(self, key: Key, input_shape: Shape, dtype: DType) -> NestedParameters:
        """Fresh parameters; each layer has random numbers of its own."""
        shape = input_shape
        made: list[dict[str, NDArray]] = []
        for number, layer in enumerate(self.layers):
            made.append(layer.init(key.fold(number), shape, dtype))
            shape = layer.output_shape(shape)
        return tuple(made)

    def into_loss(self, parameters: NestedParameters, x: Any) -> Any:
        """What the loss takes of one example: the last z where it has a link, else the last y."""
        for layer, own in zip(self.layers, parameters, strict=True):
            x = layer(own, x)
        return x

    def output(self, parameters: NestedParameters, x: Any) -> Any:
        """The network's output for one example: probabilities for a classifier."""
        last = self.into_loss(parameters, x)
        return ACTIVATIONS[self.loss.link](last) if self.loss.link else last

    def divergence(self, parameters: NestedParameters, x: Any, target: Any) -> Any:
        """Div(output, target) of one example; a target that is a whole number is the index of a class."""
        last = self.into_loss(parameters, x)
        if target.dtype.kind == "i":
            target = gnp.one_hot(target, last.shape[0], last.dtype)
        return self.loss.divergence(last, target)

    def loss_sum(
        self, parameters: NestedParameters, X: Any, target: Any, weight: Any = None
    ) -> tuple[Any, Any]:
        """The sum of a batch's divergences, weighted if weights are given, and the sum of the weights.

        Shapes: X (rows, ...), target (rows, ...), weight (rows,).
        """
        each = vmap(self.divergence, in_axes=(None, 0, 0))(parameters, X, target)  # (rows,)
        if weight is None:
            return gnp.sum(each), float(X.shape[0])
        return gnp.sum(each * weight), gnp.sum(weight)

    def mean_loss(self, parameters: NestedParameters, X: Any, target: Any) -> Any:
        """The mean divergence of a batch."""
        total, rows = self.loss_sum(parameters, X, target)
        return total / rows
