"""Lambda: any traced function of one example as a layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT64
from glassnet.core.shape import Shape
from glassnet.core.trace import Array
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn.checks import whole_numbers
from glassnet.nn.layer import Layer, Parameters, activation_name
from glassnet.nn.run import Run
from glassnet.transforms.tracing import trace


@dataclass(frozen=True, repr=False)
class Lambda(Layer):
    """A function without parameters: y = function(x) for one example x.

    Shapes: whatever the function takes and gives; found by tracing it with floating numbers, unless `shape`
    says what it gives (for a function of indices). It is written with `glassnet.numpy` and pure. A mask goes
    on where the first axis keeps its length. A function is code, so a network with one has no model file.

    Raises ConfigurationError for what is no function or no shape, and for a result that is not one array;
    ShapeError where the function does not take the example.

    >>> layer = gn.nn.Lambda(lambda x: gnp.concatenate([x, gnp.square(x)]))
    >>> layer.output_shape((3,)), layer({}, np.array([2.0, 3.0]))
    ((6,), array([2., 3., 4., 9.]))

    Source: definition.
    """

    function: Callable[[Any], Any]
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.function):
            raise ConfigurationError(
                f"Lambda got function={self.function!r}; it takes a function of one example, such as gnp.sin."
            )
        if self.shape is not None:
            listed = whole_numbers(self.shape)
            if listed is None or any(n < 0 for n in listed):
                raise ConfigurationError(
                    f"Lambda got shape={self.shape!r}; it takes a tuple of whole numbers, such as (4, 2)."
                )
            object.__setattr__(self, "shape", listed)

    def output_shape(self, in_shape: Shape) -> Shape:
        """The shape of the function's result."""
        if self.shape is not None:
            return self.shape
        try:
            graph, _ = trace(self._one_array, np.empty(in_shape, FLOAT64))
        except ShapeError as error:
            raise self.refuse(in_shape, "what its function takes", str(error).rstrip(".")) from None
        return graph.outputs[0].shape

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """y = function(x)."""
        y = self._one_array(x)
        if run.mask is not None and y.shape[:1] != run.mask.shape:
            run.set_mask(None)
        return y

    def describe(self) -> str:
        """The layer with its function's name."""
        return f"Lambda({activation_name(self.function)})"

    def _one_array(self, x: Any) -> Any:
        y = self.function(x)
        if not isinstance(y, (Array, np.ndarray, np.generic)):
            raise ConfigurationError(
                f"Lambda's function gives {type(y).__name__} for an example; a layer gives one array."
            )
        return y
