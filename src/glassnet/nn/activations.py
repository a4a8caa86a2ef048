"""The activations by name. Any function over `glassnet.numpy` can stand in their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from glassnet.errors import ConfigurationError
from glassnet.numpy import leaky_relu as _leaky_relu
from glassnet.numpy import relu, sigmoid, softmax, tanh

Activation = Callable[[Any], Any]

LEAKY_SLOPE = 0.01


def identity(z: Any) -> Any:
    """y = z.

    >>> identity(2.0)
    2.0
    """
    return z


def leaky_relu(z: Any) -> Any:
    """z where z > 0, else 0.01 z; the slope at 0 is 0.01.

    >>> float(leaky_relu(np.float64(-2.0)))
    -0.02

    Source: Maas, Hannun and Ng, ICML workshop (2013).
    """
    return _leaky_relu(z, slope=LEAKY_SLOPE)


ACTIVATIONS: dict[str, Activation] = {
    "identity": identity,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "softmax": softmax,
}


def resolve(activation: str | Activation, owner: str) -> Activation:
    """The function of that name, or the function itself; `owner` is the layer that the error names."""
    if callable(activation):
        return activation
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise ConfigurationError(
            f"{owner} got activation={activation!r}; it takes one of {', '.join(ACTIVATIONS)}, or a function."
        )
    return ACTIVATIONS[activation]
