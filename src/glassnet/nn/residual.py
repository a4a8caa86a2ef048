"""Residual: layers in a row, and their input added to what they make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glassnet.core.dtype import DType
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn.container import Container
from glassnet.nn.layer import Layer, Parameters
from glassnet.nn.run import Run
from glassnet.nn.sequential import Sequential


@dataclass(frozen=True, repr=False)
class Residual(Container):
    """Layers in a row with a way around them: y = x + f_N(... f_1(x)).

    `projection` is a layer on the way around, y = p(x) + f(x), for where f changes the shape; None is the
    identity, which hands the derivative on unchanged: dy/dx = I + df/dx. Nothing follows the sum; for
    f(x + ...) put an Activation behind.

    Parameters: those of each layer under its name as in Sequential, and "projection". Shapes: x (...) ->
    that of f, which is the shape of p(x). The mask is as the layers in the row leave it.

    Raises ConfigurationError as Sequential does, and for a layer in the row that is called "projection"
    beside one; ShapeError where the two ways give different shapes: nothing broadcasts.

    >>> layer = gn.nn.Residual([gn.Dense(2)])
    >>> layer({"dense_1": {"weight": np.eye(2), "bias": np.ones(2)}}, np.array([1.0, 2.0]))
    array([3., 5.])

    Source: He, Zhang, Ren and Sun, CVPR (2016), equations 1 and 2.
    """

    layers: Sequence[Layer]
    projection: Layer | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.projection is None:
            return
        if not isinstance(self.projection, Layer):
            raise ConfigurationError(
                f"Residual got projection={self.projection!r}; it takes a layer, such as Dense(32), or None."
            )
        if "projection" in self.names:
            raise ConfigurationError(
                "Residual got a layer called 'projection' beside its projection; give it another name."
            )

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """The parameters of each layer and of the projection."""
        self.output_shape(in_shape)
        made = self._row.init(key, in_shape, dtype)
        if self.projection is not None:
            made["projection"] = self.projection.init(key.fold(len(self.layers)), in_shape, dtype)
        return made

    def init_statistics(self, in_shape: Shape, dtype: DType) -> Parameters:
        """The statistics of the layers that keep any."""
        kept = self._row.init_statistics(in_shape, dtype)
        own = self.projection.init_statistics(in_shape, dtype) if self.projection is not None else {}
        return {**kept, "projection": own} if own else kept

    def output_shape(self, in_shape: Shape) -> Shape:
        """The shape that the last layer gives."""
        shape = self._row.output_shape(in_shape)
        around = in_shape if self.projection is None else self.projection.output_shape(in_shape)
        if shape != around:
            way = "x itself" if self.projection is None else "its projection"
            raise ShapeError(
                f"{self.describe()} adds what its layers make of x, of shape {shape}, to {way}, of shape "
                f"{around}: give the two one shape, by the last layer's size or by projection=."
            )
        return shape

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """What the row makes of x, and x or its projection."""
        before = run.mask
        y = self._row(parameters, x, run)
        if self.projection is None:
            return x + y
        after = run.mask
        run.set_mask(before)
        around = run.see("projection", self.projection(parameters["projection"], x, run.inside("projection")))
        run.set_mask(after)
        return around + y

    def check(self, x: Any) -> None:
        """Asks the first layer and the projection."""
        self._row.check(x)
        if self.projection is not None:
            self.projection.check(x)

    @property
    def parts(self) -> Mapping[str, Layer]:
        """The layers by name, and the projection."""
        own = {} if self.projection is None else {"projection": self.projection}
        return {**super().parts, **own}

    @property
    def _row(self) -> Sequential:
        return Sequential(self.layers)
