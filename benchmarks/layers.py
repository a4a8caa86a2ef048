"""The layers of the benchmark networks as declarations; each peer translates them into its own.

`after` is the shape of the output for one row, `products` the multiply-adds of its forward pass and
`parameters` the numbers that training moves. It imports no numerical library.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal

Shape = tuple[int, ...]
Activation = Literal["relu", "tanh", "gelu"]


@dataclass(frozen=True)
class Layer:
    """A layer that keeps the shape, has no parameters and multiplies nothing worth counting."""

    def after(self, shape: Shape) -> Shape:
        return shape

    def products(self, shape: Shape) -> int:
        return 0

    def parameters(self, shape: Shape) -> int:
        return 0


@dataclass(frozen=True)
class Dense(Layer):
    """x W + b on the last axis, then the activation."""

    units: int
    activation: Activation | None = None

    def after(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.units)

    def products(self, shape: Shape) -> int:
        return prod(shape) * self.units

    def parameters(self, shape: Shape) -> int:
        return (shape[-1] + 1) * self.units


@dataclass(frozen=True)
class Dropout(Layer):
    """Each value is dropped with probability `rate`, the others are divided by 1 - rate."""

    rate: float


@dataclass(frozen=True)
class Convolution(Layer):
    """Square windows of stride 1 over (height, width, channels), then ReLU."""

    channels: int
    size: int
    padding: Literal["same", "valid"]

    def after(self, shape: Shape) -> Shape:
        lost = 0 if self.padding == "same" else self.size - 1
        return (shape[0] - lost, shape[1] - lost, self.channels)

    def products(self, shape: Shape) -> int:
        return prod(self.after(shape)) * self.size**2 * shape[-1]  # the border counts as the middle does

    def parameters(self, shape: Shape) -> int:
        return (self.size**2 * shape[-1] + 1) * self.channels


@dataclass(frozen=True)
class MaxPool(Layer):
    """The largest value of each square window; windows do not overlap."""

    size: int

    def after(self, shape: Shape) -> Shape:
        return (shape[0] // self.size, shape[1] // self.size, shape[2])


@dataclass(frozen=True)
class Flatten(Layer):
    def after(self, shape: Shape) -> Shape:
        return (prod(shape),)


@dataclass(frozen=True)
class LSTM(Layer):
    """(steps, inputs) to the last state (units,)."""

    units: int

    def after(self, shape: Shape) -> Shape:
        return (self.units,)

    def products(self, shape: Shape) -> int:
        return shape[0] * 4 * self.units * (shape[1] + self.units)

    def parameters(self, shape: Shape) -> int:
        return 4 * self.units * (shape[1] + self.units + 1)


@dataclass(frozen=True)
class LayerNorm(Layer):
    def parameters(self, shape: Shape) -> int:
        return 2 * shape[-1]


@dataclass(frozen=True)
class Attention(Layer):
    """Self-attention of (positions, width): three projections, scaled dot products by head, a projection."""

    heads: int

    def products(self, shape: Shape) -> int:
        positions, width = shape
        return 4 * positions * width**2 + 2 * positions**2 * width

    def parameters(self, shape: Shape) -> int:
        return 4 * (shape[1] + 1) * shape[1]


@dataclass(frozen=True)
class Residual(Layer):
    """x plus what the layers make of it."""

    layers: tuple[Layer, ...]

    def products(self, shape: Shape) -> int:
        return sum(layer.products(before) for layer, before in walk(self.layers, shape))

    def parameters(self, shape: Shape) -> int:
        return sum(layer.parameters(before) for layer, before in walk(self.layers, shape))


@dataclass(frozen=True)
class MeanPool(Layer):
    """(positions, width) to the mean over the positions (width,)."""

    def after(self, shape: Shape) -> Shape:
        return shape[1:]


def walk(layers: tuple[Layer, ...], shape: Shape) -> Iterator[tuple[Layer, Shape]]:
    """Each layer with the shape of what goes into it."""
    for layer in layers:
        yield layer, shape
        shape = layer.after(shape)


def dense(*units: int, activation: Activation, dropout: float = 0.0) -> tuple[Layer, ...]:
    """Dense layers of these units; `dropout` follows each but the last, which has no activation."""
    *hidden, outputs = units
    layers: list[Layer] = []
    for width in hidden:
        layers += [Dense(width, activation), *([Dropout(dropout)] if dropout else [])]
    return (*layers, Dense(outputs))


def lenet() -> tuple[Layer, ...]:
    """LeNet-5 with ReLU and largest values."""
    features = (Convolution(6, 5, "same"), MaxPool(2), Convolution(16, 5, "valid"), MaxPool(2))
    return (*features, Flatten(), *dense(120, 84, 10, activation="relu"))


def transformer_block(width: int, heads: int, inner: int) -> tuple[Layer, ...]:
    """A block with the normalisation in front: attention, then a feed-forward network with GELU."""
    attention = Residual((LayerNorm(), Attention(heads)))
    return attention, Residual((LayerNorm(), Dense(inner, "gelu"), Dense(width)))
