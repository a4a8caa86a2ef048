"""What every layer is: a frozen description with `init` and a pure call on one example."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import Field, fields, replace
from typing import Any, ClassVar, Self

from glassnet.core.dtype import DType, NDArray
from glassnet.core.op import Op
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError, ModelFileError
from glassnet.nn.activations import Activation, resolve

Parameters = dict[str, NDArray]

LAYERS: dict[str, type[Layer]] = {}


class Layer(ABC):
    """Base of all layers, each a frozen dataclass.

    A layer holds no arrays: its parameters are made by `init` and passed to the call.

    >>> layer = gn.Dense(1)
    >>> layer({"weight": np.array([[2.0, 3.0]]), "bias": np.array([1.0])}, np.array([1.0, 1.0]))
    array([6.])
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    activation: str | Activation

    def __init_subclass__(cls) -> None:
        LAYERS[cls.__name__] = cls

    @abstractmethod
    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """Fresh parameters for examples of `in_shape`."""

    @abstractmethod
    def output_shape(self, in_shape: Shape) -> Shape:
        """The shape that the layer makes of one example of `in_shape`."""

    @abstractmethod
    def pre_activation(self, parameters: Parameters, x: Any) -> Any:
        """z for one example x, before the activation."""

    def __call__(self, parameters: Parameters, x: Any) -> Any:
        """y = f(z) for one example."""
        return self.activate(self.pre_activation(parameters, x))

    def activate(self, z: Any) -> Any:
        """f(z), this layer's activation."""
        return resolve(self.activation, type(self).__name__)(z)

    @property
    def activation_name(self) -> str:
        """The activation's name; a function of the user's own goes by its own."""
        if isinstance(self.activation, str):
            return self.activation
        if isinstance(self.activation, Op):
            return self.activation.name
        return getattr(self.activation, "__name__", type(self.activation).__name__)

    def with_activation(self, activation: str) -> Self:
        """The same layer with another activation."""
        return replace(self, activation=activation)

    def describe(self) -> str:
        """The layer as people write it, with its options."""
        return f"{type(self).__name__}({self.activation_name})"

    def to_document(self) -> dict[str, Any]:
        """The layer as plain data for the model file; a user's own activation function cannot be data."""
        if not isinstance(self.activation, str):
            raise ConfigurationError(
                f"{self.describe()} has an activation function of your own, and a model file holds data, "
                "not code; save net.parameters, or use an activation by name."
            )
        return {"type": type(self).__name__, **{f.name: getattr(self, f.name) for f in fields(self)}}

    @staticmethod
    def from_document(document: dict[str, Any]) -> Layer:
        """The layer that `to_document` wrote; a ModelFileError for anything else.

        >>> Layer.from_document(gn.Dense(3, activation="tanh").to_document())
        Dense(units=3, activation='tanh', kernel_initializer=None, bias_initializer='zeros')
        """
        options = dict(document)
        kind = options.pop("type", None)
        if kind not in LAYERS:
            raise ModelFileError(
                f"The model file has a layer of type {kind!r}, which this glassnet does not know; "
                f"it knows {', '.join(LAYERS)}."
            )
        try:
            return LAYERS[kind](**options)
        except (TypeError, ConfigurationError) as error:
            raise ModelFileError(f"The model file describes its {kind} layer wrongly: {error}") from None
