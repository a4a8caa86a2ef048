"""Looking inside: every layer's z, y and delta for one example, and the certificate of the compiled gradient.

Nothing here knows a derivative: a delta is the gradient with respect to a zero that is added to z.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT64, NDArray
from glassnet.core.random import Key, bits
from glassnet.core.tree import flatten, tree_map, unflatten
from glassnet.execute import run
from glassnet.losses.loss import Loss
from glassnet.nn.layer import Layer
from glassnet.train.program import NestedParameters
from glassnet.transforms.derivatives import value_and_grad
from glassnet.transforms.tracing import trace

CERTIFIED_ELEMENTS = 24  # of each parameter array
CERTIFICATE_STEP = 1e-5


@dataclass(frozen=True)
class LayerTrace:
    """One layer on one example: z = W y_before + b, y = f(z), delta = dDiv/dz."""

    name: str
    z: NDArray
    y: NDArray
    delta: NDArray


@dataclass(frozen=True)
class Trace:
    """One example on its way forward and back."""

    x: NDArray
    layers: tuple[LayerTrace, ...]
    loss: float
    input_gradient: NDArray
    gradients: dict[str, NDArray]

    def __getitem__(self, name: str) -> LayerTrace:
        """The layer of that name, "dense_1"."""
        return next(layer for layer in self.layers if layer.name == name)

    def __str__(self) -> str:
        lines = [f"x = {_short(self.x)}"]
        for layer in self.layers:
            lines.append(f"{layer.name}: z     = {_short(layer.z)}")
            lines.append(f"{'':{len(layer.name)}}  y     = {_short(layer.y)}")
            lines.append(f"{'':{len(layer.name)}}  delta = {_short(layer.delta)}")
        lines.append(f"loss = {self.loss:.6g}")
        lines.append(f"dloss/dx = {_short(self.input_gradient)}")
        return "\n".join(lines)


def _short(values: NDArray) -> str:
    return np.array2string(values, precision=6, threshold=12, edgeitems=4, max_line_width=100)


def trace_example(
    layers: Sequence[Layer],
    names: Sequence[str],
    parameters: NestedParameters,
    loss: Loss,
    x: NDArray,
    target: NDArray,
) -> Trace:
    """The forward and backward pass of one example, layer by layer.

    `layers` are the network's own; where the loss contains the output activation, the divergence is taken
    from the last z, and y shows the activation all the same.
    """
    forward: list[tuple[NDArray, NDArray]] = []
    y = x
    for layer, own in zip(layers, parameters, strict=True):
        z = layer.pre_activation(own, y)
        y = layer.activate(z)
        forward.append((np.asarray(z), np.asarray(y)))

    def divergence(probes: list[Any], x: Any, parameters: NestedParameters) -> Any:
        y, z = x, x
        for layer, own, probe in zip(layers, parameters, probes, strict=True):
            z = layer.pre_activation(own, y) + probe
            y = layer.activate(z)
        return loss.divergence(z if loss.link else y, target)

    probes = [np.zeros_like(z) for z, _ in forward]
    value, (deltas, x_bar, gradients) = value_and_grad(divergence, (0, 1, 2))(probes, x, parameters)
    return Trace(
        x,
        tuple(
            LayerTrace(name, z, y, np.asarray(delta))
            for name, (z, y), delta in zip(names, forward, deltas, strict=True)
        ),
        float(value),
        np.asarray(x_bar),
        {
            f"{name}.{key}": np.asarray(gradient)
            for name, own in zip(names, gradients, strict=True)
            for key, gradient in own.items()
        },
    )


@dataclass(frozen=True)
class Certificate:
    """How far the compiled gradient is from an independent calculation in float64."""

    largest_relative_error: float
    parameter: str
    examples: int
    elements: int
    engine: str
    method: str = "fourth-order differences of the loss in float64"


def certify(
    mean_loss: Callable[[Any], Callable[..., Any]],
    parameters: NestedParameters,
    names: Sequence[str],
    x: NDArray,
    target: NDArray,
    engine: str,
) -> Certificate:
    """Compares the compiled gradient of the mean loss with differences of interpreted losses in float64.

    `mean_loss(dtype)` is the loss as a function (parameters, x, target). Up to `CERTIFIED_ELEMENTS` elements
    of each parameter array are moved one at a time; an array's error is relative to its largest slope.
    """
    leaves, structure = flatten(parameters)
    dtype = leaves[0].dtype
    gradient_graph, _ = trace(
        lambda p, x, t: value_and_grad(mean_loss(dtype))(p, x, t)[1], parameters, x, target
    )
    compiled = run(gradient_graph, [*leaves, x, target], engine)
    precise = [leaf.astype(FLOAT64) for leaf in leaves]
    wide_target = target if target.dtype.kind == "i" else target.astype(FLOAT64)
    wide_x = x.astype(FLOAT64)
    loss_graph, _ = trace(mean_loss(FLOAT64), unflatten(structure, precise), wide_x, wide_target)

    def loss_at(index: int, element: int, offset: float) -> float:
        moved = precise[index].copy()
        moved.flat[element] += offset
        inputs = [*precise[:index], moved, *precise[index + 1 :], wide_x, wide_target]
        return float(run(loss_graph, inputs)[0])

    worst, worst_name, checked = 0.0, names[0], 0
    for index, (name, got) in enumerate(zip(names, compiled, strict=True)):
        chosen = _choose(precise[index].size, Key(0, stream=index))
        slopes = np.array([_slope(lambda h, e=e, i=index: loss_at(i, e, h)) for e in chosen])
        scale = max(float(np.max(np.abs(slopes))), 1e-30)
        error = float(np.max(np.abs(got.reshape(-1)[chosen] - slopes))) / scale
        checked += len(chosen)
        if not error <= worst:
            worst, worst_name = error, name
    return Certificate(worst, worst_name, len(x), checked, engine)


def _choose(size: int, key: Key) -> list[int]:
    if size <= CERTIFIED_ELEMENTS:
        return list(range(size))
    return sorted({int(word) % size for word in bits(key, CERTIFIED_ELEMENTS)})


def _slope(loss: Callable[[float], float]) -> float:
    h = CERTIFICATE_STEP
    near = (loss(h) - loss(-h)) / (2 * h)
    far = (loss(2 * h) - loss(-2 * h)) / (4 * h)
    return (4 * near - far) / 3


def nested_names(names: Sequence[str], parameters: NestedParameters) -> list[str]:
    """ "dense_1.weight", "dense_1.bias", ... in the order of the leaves."""
    return [f"{name}.{key}" for name, own in zip(names, parameters, strict=True) for key in own]


def as_dtype(parameters: NestedParameters, dtype: Any) -> NestedParameters:
    """The same parameters at another precision."""
    return tree_map(lambda leaf: np.array(leaf, dtype), parameters)
