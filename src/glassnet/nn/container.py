"""What layers that hold a list of layers share: the names of their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from glassnet.errors import ConfigurationError
from glassnet.nn.layer import Layer, snake


class Container(Layer):
    """Base of the layers that hold a list of layers.

    The parameters of each part stand under its name, which is its own `name` or its kind and its position,
    counted from 1: "dense_1", "dropout_2". A name that stands twice is one shared layer.

    A subclass has the option `layers`, first of all.
    """

    layers: Sequence[Layer]  # NOTE not a dataclass: a field here would stand before the subclass's own

    def __post_init__(self) -> None:
        super().__post_init__()
        listed = isinstance(self.layers, (list, tuple)) and len(self.layers) > 0
        if not listed or not all(isinstance(layer, Layer) for layer in self.layers):
            raise ConfigurationError(
                f"{self.kind} got layers={self.layers!r}; it takes a list of one or more layers, such as "
                "[Dense(32, activation='relu'), Dense(32)]."
            )
        object.__setattr__(self, "layers", tuple(self.layers))
        first: dict[str, Layer] = {}
        for name, layer in zip(self.names, self.layers, strict=True):
            if first.setdefault(name, layer) != layer:
                raise ConfigurationError(
                    f"{self.kind} got two different layers called {name!r}, {first[name]!r} and {layer!r}; "
                    "give them different names."
                )

    @property
    def names(self) -> list[str]:
        """The layers' names in order."""
        return [layer.name or f"{snake(layer.kind)}_{place}" for place, layer in enumerate(self.layers, 1)]

    @property
    def parts(self) -> Mapping[str, Layer]:
        """The layers by name."""
        return dict(zip(self.names, self.layers, strict=True))

    def describe(self) -> str:
        """The layers in short."""
        return f"{self.kind}({', '.join(layer.describe() for layer in self.layers)})"
