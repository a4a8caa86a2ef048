"""The benchmark layers in plain JAX functions of a batch: images as (batch, height, width, channels)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import layers

Parameters = Any


@dataclass(frozen=True)
class Ways:
    """How an operation is written where there is more than one way to write it."""

    convolution_as_product: bool = False  # windows gathered into a matrix, instead of XLA's convolution
    pool_by_reshape: bool = True  # a maximum over two axes, instead of XLA's reduction of windows
    time_unroll: int = 1  # steps of a recurrence in one turn of its loop


def initial(layer: layers.Layer, shape: layers.Shape, key: Any) -> Parameters:
    """Normal kernels of variance 1 / inputs, zero biases."""
    import jax
    import jax.numpy as jnp

    def kernel(*sizes: int) -> Any:
        nonlocal key
        key, used = jax.random.split(key)
        return jax.random.normal(used, sizes) / math.sqrt(math.prod(sizes[:-1]))

    match layer:
        case layers.Dense(units):
            return kernel(shape[-1], units), jnp.zeros(units)
        case layers.Convolution(channels, size):
            return kernel(size, size, shape[-1], channels), jnp.zeros(channels)
        case layers.LSTM(units):
            return kernel(shape[-1], 4 * units), kernel(units, 4 * units), jnp.zeros(4 * units)
        case layers.LayerNorm():
            return jnp.ones(shape[-1]), jnp.zeros(shape[-1])
        case layers.Attention():
            width = shape[-1]
            return (
                *(kernel(width, 3 * width), jnp.zeros(3 * width)),
                *(kernel(width, width), jnp.zeros(width)),
            )
        case layers.Residual(inner):
            keys = jax.random.split(key, len(inner))
            pairs = zip(layers.walk(inner, shape), keys, strict=True)
            return [initial(each, before, key) for (each, before), key in pairs]
    return ()


def apply(layer: layers.Layer, parameters: Parameters, x: Any, ways: Ways, key: Any) -> Any:
    """The layer's value for a batch; `key` is a function that gives a fresh random key."""
    import jax
    import jax.numpy as jnp

    match layer:
        case layers.Dense(activation=activation):
            weight, bias = parameters
            return activations()[activation](x @ weight + bias)
        case layers.Dropout(rate):
            return jnp.where(jax.random.bernoulli(key(), 1 - rate, x.shape), x / (1 - rate), 0)
        case layers.Convolution():
            return jax.nn.relu(convolution(layer, parameters, x, ways))
        case layers.MaxPool(size):
            return max_pool(x, size, ways)
        case layers.Flatten():
            return x.reshape(len(x), -1)
        case layers.LSTM(units):
            return lstm(parameters, x, units, ways)
        case layers.LayerNorm():
            gain, bias = parameters
            return jax.nn.standardize(x, epsilon=1e-5) * gain + bias
        case layers.Attention(heads):
            return attention(parameters, x, heads)
        case layers.Residual(inner):
            y = x
            for each, own in zip(inner, parameters, strict=True):
                y = apply(each, own, y, ways, key)
            return x + y
        case layers.MeanPool():
            return x.mean(axis=1)
    raise TypeError(f"JAX has no translation of {layer}")


def activations() -> dict[str | None, Callable[[Any], Any]]:
    import jax

    return {
        None: lambda z: z,
        "relu": jax.nn.relu,
        "tanh": jax.numpy.tanh,
        "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    }


def convolution(layer: layers.Convolution, parameters: Parameters, x: Any, ways: Ways) -> Any:
    import jax.numpy as jnp
    from jax import lax

    weight, bias = parameters
    size = layer.size
    if not ways.convolution_as_product:
        order = ("NHWC", "HWIO", "NHWC")  # the one order that XLA has fast kernels for on a CPU
        return (
            lax.conv_general_dilated(x, weight, (1, 1), layer.padding.upper(), dimension_numbers=order) + bias
        )
    if layer.padding == "same":
        x = jnp.pad(x, ((0, 0), (size // 2, size // 2), (size // 2, size // 2), (0, 0)))
    height, width = x.shape[1] - size + 1, x.shape[2] - size + 1
    windows = [x[:, i : i + height, j : j + width] for i in range(size) for j in range(size)]
    return jnp.concatenate(windows, axis=-1) @ weight.reshape(-1, layer.channels) + bias


def max_pool(x: Any, size: int, ways: Ways) -> Any:
    from jax import lax

    batch, height, width, channels = x.shape
    if ways.pool_by_reshape:
        return x.reshape(batch, height // size, size, width // size, size, channels).max((2, 4))
    window = (1, size, size, 1)
    return lax.reduce_window(x, -math.inf, lax.max, window, window, "VALID")


def lstm(parameters: Parameters, x: Any, units: int, ways: Ways) -> Any:
    """The last state; the products with the inputs of all steps are one product outside of the loop."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    kernel, recurrent, bias = parameters
    projected = jnp.swapaxes(x, 0, 1) @ kernel + bias  # (steps, batch, 4 units)

    def step(carry: Any, z: Any) -> Any:
        state, cell = carry
        i, f, g, o = jnp.split(z + state @ recurrent, 4, axis=-1)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(cell), cell), None

    start = jnp.zeros((len(x), units))
    return lax.scan(step, (start, start), projected, unroll=ways.time_unroll)[0][0]


def attention(parameters: Parameters, x: Any, heads: int) -> Any:
    import jax
    import jax.numpy as jnp

    weight, bias, weight_out, bias_out = parameters
    batch, positions, width = x.shape
    projected = (x @ weight + bias).reshape(batch, positions, 3, heads, width // heads)
    query, key, value = jnp.moveaxis(
        projected, (2, 3), (0, 2)
    )  # each (batch, heads, positions, width / heads)
    scores = query @ jnp.swapaxes(key, -1, -2) / math.sqrt(width / heads)
    mixed = jax.nn.softmax(scores) @ value
    return jnp.swapaxes(mixed, 1, 2).reshape(batch, positions, width) @ weight_out + bias_out
