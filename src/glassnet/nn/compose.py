"""Compose: layers by name and a plain function that says how they hang together."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT64, DType
from glassnet.core.random import Key
from glassnet.core.trace import Array, placeholder, tracing
from glassnet.core.tree import flatten
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn.layer import Layer, Parameters, activation_name
from glassnet.nn.run import Run

InShape = Any  # a shape, or a tuple of such where an example has several parts


@dataclass(frozen=True, repr=False, init=False)
class Compose(Layer):
    """Any composition of layers as a layer: y = function(layers, x), where layers.name(x) calls a layer.

        Compose(lambda layers, x: layers.head(layers.encoder(x)), encoder=Dense(8), head=Dense(1))

    The function is written with `glassnet.numpy` and pure, and gives one array. A layer may be called several
    times: its parameters are shared, and its derivative is the sum over the calls, while chance is drawn anew
    each time. `run.mask` is as the layer called last has left it; a function with an argument `run`, (layers,
    x, run), is handed the run and may read and set it. Of statistics of the batch those of a layer's last
    call are kept.

    Parameters: those of each layer under its name. Shapes: whatever the function takes and gives; which
    shapes the layers are given is found by tracing it with floating numbers. An example of several parts has
    a tuple of shapes, and x is a tuple. A function is code, so a network with one has no model file.

    Raises ConfigurationError for a function that is none, for layers that are none or are never called, and
    for a result that is not one array; ShapeError where a layer does not take what it is given, and where
    a layer would need other parameters at its second call.

    >>> def difference(layers, x):
    ...     return layers.encoder(x[0]) - layers.encoder(x[1])
    >>> twin = gn.nn.Compose(difference, encoder=gn.Dense(2))
    >>> twin
    Compose(difference, encoder=Dense(2))
    >>> twin.output_shape((2, 5))
    (2,)
    >>> twin({"encoder": {"weight": np.eye(2), "bias": np.ones(2)}}, np.array([[3.0, 4.0], [1.0, 1.0]]))
    array([2., 3.])

    Source: definition.
    """

    function: Callable[..., Any]
    layers: Mapping[str, Layer] = field(hash=False)

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        regularizer: Any = None,
        max_norm: float | None = None,
        **layers: Layer,
    ) -> None:
        given = {"function": function, "layers": layers}
        given |= {"name": name, "regularizer": regularizer, "max_norm": max_norm}
        for option, value in given.items():
            object.__setattr__(self, option, value)
        self.__post_init__()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.function):
            raise ConfigurationError(
                f"Compose got function={self.function!r}; it takes a function of layers and one example, "
                "such as lambda layers, x: layers.head(layers.encoder(x))."
            )
        for name, layer in self.layers.items():
            if not isinstance(layer, Layer):
                raise ConfigurationError(
                    f"Compose got {name}={layer!r}; it takes layers by name, such as {name}=Dense(8)."
                )

    def init(self, key: Key, in_shape: InShape, dtype: DType) -> Parameters:
        """The parameters of each layer; each has random numbers of its own."""
        made: Parameters = {}
        given = self._trace(in_shape).given
        for number, (name, layer) in enumerate(self.layers.items()):
            first, *others = dict.fromkeys(given[name])
            made[name] = layer.init(key.fold(number), first, dtype)
            for other in others:
                if _form(layer.init(key.fold(number), other, dtype)) != _form(made[name]):
                    raise ShapeError(
                        f"{self.describe()} calls {name} with examples of shapes {first} and {other}, for "
                        "which it needs different parameters; call it with one shape, or take two layers."
                    )
        return made

    def init_statistics(self, in_shape: InShape, dtype: DType) -> Parameters:
        """The statistics of the layers that keep any."""
        given = self._trace(in_shape).given
        kept = {name: layer.init_statistics(given[name][0], dtype) for name, layer in self.layers.items()}
        return {name: own for name, own in kept.items() if own}

    def output_shape(self, in_shape: InShape) -> tuple[int, ...]:
        """The shape of the function's result."""
        return self._trace(in_shape).result

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """The function of x, with the layers bound to their parameters."""
        calls: dict[str, int] = {}

        def call(name: str, x: Any) -> Any:
            inside = run.inside(name)
            calls[name] = calls.get(name, -1) + 1
            if inside.key and calls[name]:
                inside = replace(inside, key=inside.key.fold(calls[name]))
            return run.see(name, self.layers[name](parameters[name], x, inside))

        return self._result(Bound(call, self.layers), x, run)

    @property
    def parts(self) -> Mapping[str, Layer]:
        """The layers by name."""
        return self.layers

    def describe(self) -> str:
        """The function's name, and the layers in short."""
        return self._text(Layer.describe)

    def __repr__(self) -> str:
        return self._text(repr)

    def _text(self, of: Callable[[Layer], str]) -> str:
        parts = [f"{name}={of(layer)}" for name, layer in self.layers.items()]
        return f"Compose({', '.join([activation_name(self.function), *parts])})"

    def _trace(self, in_shape: InShape) -> Found:
        """Follows the shape of an example through the function, without parameters and values."""
        given: dict[str, list[InShape]] = {name: [] for name in self.layers}

        def call(name: str, x: Any) -> Any:
            given[name].append(_shape_of(x))
            try:
                shape = self.layers[name].output_shape(given[name][-1])
            except ShapeError as error:
                raise ShapeError(f"Compose, {name}: {error}") from None
            return placeholder(shape, FLOAT64)

        with tracing():
            y = self._result(Bound(call, self.layers), _placeholders(in_shape), Run())
        idle = [name for name, shapes in given.items() if not shapes]
        if idle:
            raise ConfigurationError(
                f"{self.describe()} never calls {', '.join(idle)}; call every layer, or leave it out."
            )
        return Found(given, y.shape)

    def _result(self, layers: Bound, x: Any, run: Run) -> Any:
        y = self.function(layers, x, run) if _takes_run(self.function) else self.function(layers, x)
        if not isinstance(y, (Array, np.ndarray, np.generic)):
            raise ConfigurationError(
                f"The function of {self.describe()} gives {type(y).__name__} for an example; a layer gives "
                "one array."
            )
        return y


class Bound:
    """The layers as the function of a Compose sees them: bound to their parameters, to be called with x."""

    def __init__(self, call: Callable[[str, Any], Any], layers: Mapping[str, Layer]) -> None:
        self._call = call
        self._layers = layers

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        if name not in self._layers:
            raise AttributeError(
                f"Compose has no layer {name!r}; it has {', '.join(self._layers) or 'none'}."
            )
        return lambda x: self._call(name, x)


@dataclass(frozen=True)
class Found:
    """What a trace finds: the shapes that each layer is given, call by call, and that of the result."""

    given: dict[str, list[InShape]]
    result: tuple[int, ...]


def _takes_run(function: Callable[..., Any]) -> bool:
    try:
        return "run" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False  # a function without a signature


def _placeholders(in_shape: InShape) -> Any:
    if any(isinstance(part, (tuple, list)) for part in in_shape):
        return tuple(_placeholders(part) for part in in_shape)
    return placeholder(tuple(in_shape), FLOAT64)


def _shape_of(x: Any) -> InShape:
    return tuple(_shape_of(part) for part in x) if isinstance(x, (tuple, list)) else tuple(np.shape(x))


def _form(parameters: Parameters) -> list[tuple[int, ...]]:
    return [leaf.shape for leaf in flatten(parameters)[0]]
