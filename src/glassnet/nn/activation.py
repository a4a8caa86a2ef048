"""Activation: a function of what the layer before gives, as a layer of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from glassnet.core.shape import Shape
from glassnet.nn import activations
from glassnet.nn.layer import ActivatedLayer, Parameters


@dataclass(frozen=True, repr=False)
class Activation(ActivatedLayer):
    """An activation alone: y = f(x), so that z is x itself.

    No parameters. Shapes: those of x, which f keeps. `activation` is a name, or a function over
    `glassnet.numpy`; one with chance in it draws in training. Raises ConfigurationError for an unknown name.

    >>> gn.nn.Activation("relu")({}, np.array([-1.0, 2.0]))
    array([0., 2.])

    Source: definition.
    """

    activation: str | activations.Activation

    def output_shape(self, in_shape: Shape) -> Shape:
        """The shape of x."""
        return in_shape

    def pre_activation(self, parameters: Parameters, x: Any) -> Any:
        """z = x."""
        return x
