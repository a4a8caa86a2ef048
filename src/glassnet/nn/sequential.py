"""Sequential: layers in a row, each taking what the one before it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from glassnet.core.dtype import DType
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.errors import ShapeError
from glassnet.nn.activations import Activation
from glassnet.nn.container import Container
from glassnet.nn.layer import Layer, Parameters
from glassnet.nn.run import Run


@dataclass(frozen=True, repr=False)
class Sequential(Container):
    """Layers in a row: y = f_N(... f_2(f_1(x))).

    Parameters: those of each layer under its name, which is its own `name` or its kind and its position,
    counted from 1: "dense_1", "flatten_2". A name that stands twice is one shared layer: it must be the same
    layer both times, and its parameters serve both places.

    Raises ConfigurationError for an empty row and for two different layers of one name; ShapeError where a
    layer does not take what the one before it gives.

    >>> layer = gn.Sequential([gn.Dense(2, activation="relu"), gn.Dense(1)])
    >>> {name: list(own) for name, own in layer.init(gn.random.key(0), (3,), np.dtype("float64")).items()}
    {'dense_1': ['weight', 'bias'], 'dense_2': ['weight', 'bias']}
    """

    layers: Sequence[Layer]

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """The parameters of each layer; each has random numbers of its own."""
        made: Parameters = {}
        for number, (name, layer, shape) in enumerate(self._steps(in_shape)):
            if name not in made:
                made[name] = layer.init(key.fold(number), shape, dtype)
        return made

    def init_statistics(self, in_shape: Shape, dtype: DType) -> Parameters:
        """The statistics of the layers that keep any."""
        kept = {name: layer.init_statistics(shape, dtype) for name, layer, shape in self._steps(in_shape)}
        return {name: own for name, own in kept.items() if own}

    def output_shape(self, in_shape: Shape) -> Shape:
        """The shape that the last layer gives."""
        name, last, shape = self._steps(in_shape)[-1]
        return self._shape_after(name, last, shape, len(self.layers))

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """One layer after the other."""
        for name, layer in zip(self.names, self.layers, strict=True):
            x = run.see(name, layer(parameters[name], x, run.inside(name)))
        return x

    def check(self, x: Any) -> None:
        """Asks the first layer."""
        self.layers[0].check(x)

    @property
    def output_activation(self) -> str | Activation:
        """That of the last layer."""
        return self.layers[-1].output_activation

    def with_output_activation(self, activation: str) -> Self:
        """The same row with another activation at its end."""
        *inner, last = self.layers
        return replace(self, layers=(*inner, last.with_output_activation(activation)))

    def shapes(self, in_shape: Shape) -> list[Shape]:
        """The shape that each layer gives."""
        steps = self._steps(in_shape)
        return [*(shape for _, _, shape in steps[1:]), self.output_shape(in_shape)]

    def _steps(self, in_shape: Shape) -> list[tuple[str, Layer, Shape]]:
        """Each layer with its name and the shape that it is given."""
        steps: list[tuple[str, Layer, Shape]] = []
        shape = in_shape
        for number, (name, layer) in enumerate(zip(self.names, self.layers, strict=True), 1):
            steps.append((name, layer, shape))
            if number < len(self.layers):
                shape = self._shape_after(name, layer, shape, number)
        return steps

    def _shape_after(self, name: str, layer: Layer, shape: Shape, number: int) -> Shape:
        try:
            return layer.output_shape(shape)
        except ShapeError as error:
            if number == 1:
                raise
            before = f"{self.names[number - 2]}, {self.layers[number - 2].describe()}, gives them"
            raise ShapeError(f"Layer {number}, {name}: {str(error).rstrip('.')} ({before}).") from None
