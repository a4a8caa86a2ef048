"""One example's way through a network, function by function, and the cotangents on its way back.

A layer y = f(W x + b) is two functions, z and y; a layer without a z of its own is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.errors import GlassnetError
from glassnet.nn import Activation, Layer, Parameters, Run
from glassnet.nn.activations import ACTIVATIONS, resolve
from glassnet.nn.layer import ActivatedLayer
from glassnet.nn.run import Record
from glassnet.train.composition import Composition
from glassnet.transforms.derivatives import jacobian, jvp, vjp

_PROBE = np.array([0.25, 0.5])


@dataclass(frozen=True)
class Stage:
    """One function of the composition: `function(own, before)` with the layer's parameters is `after`.

    `what` is "z", or "y" for the layer's output. `mask` says which positions counted before it. `activation`
    is f where the stage is f(z) and nothing else.
    """

    name: str
    layer: Layer
    what: str
    function: Callable[[Parameters, Any], Any]
    own: Parameters
    before: NDArray
    after: NDArray
    mask: NDArray | None
    activation: Callable[[Any], Any] | None = None

    @property
    def title(self) -> str:
        """What the stage makes: "dense_1.z"."""
        return f"{self.name}.{self.what}"

    def of_input(self, before: Any) -> Any:
        """The stage as a function of what stands before it."""
        return self.function(self.own, before)

    @property
    def diagonal(self) -> NDArray | None:
        """d after / d before where it is a diagonal matrix, that of f(z) element by element."""
        if self.activation is None or not elementwise(self.activation):
            return None
        ones = np.ones(self.before.shape)
        return np.asarray(jvp(self.of_input, (self.before,), (ones,))[1]).reshape(-1)

    @property
    def jacobian(self) -> NDArray:
        """d after / d before as a matrix, outputs as rows, inputs as columns."""
        return np.asarray(jacobian(self.of_input)(self.before)).reshape(self.after.size, self.before.size)


@dataclass(frozen=True)
class Chain:
    """The stages of one example, the value at the end, and dvalue/dafter of every stage.

    `layers` are the same stages, those of one layer together.
    """

    x: NDArray
    layers: tuple[tuple[Stage, ...], ...]
    value: float
    after_bars: tuple[NDArray, ...]
    x_bar: NDArray

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All stages in order."""
        return tuple(stage for layer in self.layers for stage in layer)


def follow(
    composition: Composition,
    parameters: Parameters,
    statistics: Parameters,
    x: NDArray,
    end: Callable[[Any, Run], Any],
) -> Chain:
    """Follows x through the network as it is used, to the scalar `end(last, run)`, and back."""
    run = Run(statistics=statistics)
    layers: list[tuple[Stage, ...]] = []
    value: Any = x
    for name, layer in zip(composition.names, composition.network.layers, strict=True):
        layers.append(tuple(_stages(name, layer, parameters[name], value, run)))
        value = layers[-1][-1].after
    result, pull = vjp(lambda last: end(last, run), value)
    (bar,) = pull(np.ones_like(result))
    bars: list[NDArray] = []
    for stage in reversed([stage for layer in layers for stage in layer]):
        bars.append(np.asarray(bar))
        (bar,) = vjp(stage.of_input, stage.before)[1](bar)
    return Chain(x, tuple(layers), float(result), tuple(reversed(bars)), np.asarray(bar))


def _stages(name: str, layer: Layer, own: Parameters, x: NDArray, run: Run) -> Iterator[Stage]:
    inside, mask, place = run.inside(name), run.mask, (name, "z")
    y = np.asarray(layer(own, x, inside))

    def whole(own: Parameters, before: Any) -> Any:
        return layer(own, before, replace(inside, record=Record(mask=mask)))

    activation = resolve(layer.activation, layer.kind) if isinstance(layer, ActivatedLayer) else None
    if place not in run.record.seen or isinstance(layer, Activation):
        yield Stage(name, layer, "y", whole, own, x, y, mask, activation)
        return
    z = np.asarray(run.record.seen[place])

    def affine(own: Parameters, before: Any) -> Any:
        record = Record(mask=mask)
        layer(own, before, replace(inside, record=record))
        return record.seen[place]

    def activated(_: Parameters, now: Any) -> Any:
        # What the layer does with its z, whatever that is: its own z moved to the one that is given.
        return layer(own, x, replace(inside, record=Record(mask=mask, probes={place: now - z})))

    yield Stage(name, layer, "z", affine, own, x, z, mask)
    if activation is not ACTIVATIONS["identity"]:
        yield Stage(name, layer, "y", activated, {}, z, y, mask, activation)


def elementwise(function: Callable[[Any], Any]) -> bool:
    """Whether an activation is a function of one number: softmax and its like see all of z together."""
    try:
        slopes = np.asarray(jacobian(function)(_PROBE))
    except GlassnetError:  # it takes no vector of two
        return False
    return slopes.shape == (2, 2) and not slopes[0, 1] and not slopes[1, 0]


@dataclass(frozen=True)
class Account:
    """One example followed to its divergence, with all that a worked solution is written from."""

    composition: Composition
    chain: Chain
    target: NDArray
    gradients: dict[str, NDArray]

    @property
    def output(self) -> NDArray:
        """The network's output: what the loss's own activation makes of the last value."""
        return np.asarray(self.composition.link(self.chain.stages[-1].after))

    @property
    def desired(self) -> NDArray:
        """The target, one-hot where it is the index of a class."""
        if self.target.dtype.kind == "i" and self.target.ndim == 0:
            return np.eye(self.chain.stages[-1].after.shape[-1])[self.target]
        return self.target
