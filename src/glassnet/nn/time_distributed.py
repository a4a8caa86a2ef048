"""TimeDistributed: one layer at every position of a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from glassnet.core.dtype import FLOAT32, DType
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError
from glassnet.nn.activations import Activation
from glassnet.nn.layer import Layer, Parameters, snake
from glassnet.nn.run import Record, Run
from glassnet.transforms.batch import vmap


@dataclass(frozen=True, repr=False)
class TimeDistributed(Layer):
    """One layer with one set of parameters at every position: y_t = f(x_t).

    Dense, Embedding and the normalisations treat positions alike on their own; this is for the layers that
    take a whole example, such as a Conv2D on every image of a film. Chance is drawn anew at every position.
    The mask is kept.

    Parameters: those of the layer under its name, which is its own or its kind and 1: "conv2d_1". Shapes:
    x (positions, ...) -> (positions, *f(...)).

    Raises ConfigurationError for what is no layer, and where the layer keeps statistics of the batch (they
    would be those of the positions); ShapeError for an example without positions.

    >>> layer = gn.nn.TimeDistributed(gn.nn.Bilinear(1, use_bias=False))
    >>> layer({"bilinear_1": {"weight": np.eye(2)[None]}}, np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[ 5.],
           [25.]])
    """

    layer: Layer

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.layer, Layer):
            raise ConfigurationError(
                f"TimeDistributed got layer={self.layer!r}; it takes one layer, such as Dense(32)."
            )

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """The parameters of the layer, which all positions share."""
        self.output_shape(in_shape)
        return {self.part_name: self.layer.init(key.fold(0), in_shape[1:], dtype)}

    def output_shape(self, in_shape: Shape) -> Shape:
        """(positions, ...) with what the layer makes of each position."""
        if not in_shape:
            raise self.refuse(in_shape, "sequences (positions, ...)", "reshape X to (rows, positions, ...)")
        made = self.layer.output_shape(in_shape[1:])
        if self.layer.init_statistics(in_shape[1:], FLOAT32):
            raise ConfigurationError(
                f"{self.describe()} would take statistics of the positions for those of the batch; leave the "
                "BatchNorm out of it, which treats positions alike on its own, or take LayerNorm."
            )
        return (in_shape[0], *made)

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """The layer at every position."""
        inner, positions = run.inside(self.part_name), x.shape[0]
        depth = len(inner.path)
        probes = {place: probe for place, probe in run.record.probes.items() if place[:depth] == inner.path}

        def at_position(x_t: Any, position: Any, probes: dict[Any, Any]) -> tuple[Any, dict[Any, Any]]:
            # NOTE values of this vmap must not get into the record of the pass but by its results.
            record = Record(probes=probes)
            key = inner.key.at(inner.key.step * positions + position) if inner.key else None
            y_t = self.layer(parameters[self.part_name], x_t, replace(inner, key=key, record=record))
            return y_t, record.seen

        y, seen = vmap(at_position)(x, np.arange(positions), probes)
        run.record.seen.update(seen)
        return run.see(self.part_name, y)

    def check(self, x: Any) -> None:
        """Asks the layer."""
        self.layer.check(x)

    @property
    def part_name(self) -> str:
        """The name of the layer's parameters."""
        return self.layer.name or f"{snake(self.layer.kind)}_1"

    @property
    def parts(self) -> Mapping[str, Layer]:
        """The layer by name."""
        return {self.part_name: self.layer}

    @property
    def output_activation(self) -> str | Activation:
        """That of the layer."""
        return self.layer.output_activation

    def with_output_activation(self, activation: str) -> Self:
        """The same with another activation at the layer's end."""
        return replace(self, layer=self.layer.with_output_activation(activation))

    def describe(self) -> str:
        """The layer in short."""
        return f"{self.kind}({self.layer.describe()})"
