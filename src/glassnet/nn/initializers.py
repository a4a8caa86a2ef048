"""Initial weights as functions of a key and a shape (outputs, inputs)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from glassnet.core.dtype import DType, NDArray
from glassnet.core.random import Key, uniform
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError

Initializer = Callable[[Key, Shape, DType], NDArray]


def zeros(_key: Key, shape: Shape, dtype: DType) -> NDArray:
    """All zeros: right for biases; for weights it shows why chance is needed.

    >>> zeros(Key(0), (1, 2), np.dtype("float64"))
    array([[0., 0.]])
    """
    return np.zeros(shape, dtype)


def glorot_uniform(key: Key, shape: Shape, dtype: DType) -> NDArray:
    """Uniform in +-sqrt(6 / (inputs + outputs)).

    >>> bool((abs(glorot_uniform(Key(0), (5, 1), np.dtype("float64"))) <= 1.0).all())
    True

    Source: Glorot and Bengio, AISTATS (2010), equation 16.
    """
    limit = math.sqrt(6.0 / (shape[0] + shape[1]))
    return uniform(key, shape, -limit, limit, dtype)


def he_uniform(key: Key, shape: Shape, dtype: DType) -> NDArray:
    """Uniform in +-sqrt(6 / inputs), for layers with ReLU.

    >>> bool((abs(he_uniform(Key(0), (5, 6), np.dtype("float64"))) <= 1.0).all())
    True

    Source: He, Zhang, Ren and Sun, ICCV (2015), equation 10.
    """
    limit = math.sqrt(6.0 / shape[1])
    return uniform(key, shape, -limit, limit, dtype)


INITIALIZERS: dict[str, Initializer] = {
    "glorot_uniform": glorot_uniform,
    "he_uniform": he_uniform,
    "zeros": zeros,
}


def resolve(name: str, owner: str) -> Initializer:
    """The initialiser of that name; `owner` is the layer that the error names."""
    if not isinstance(name, str) or name not in INITIALIZERS:
        raise ConfigurationError(
            f"{owner} got the initializer {name!r}; it takes one of {', '.join(INITIALIZERS)}."
        )
    return INITIALIZERS[name]
