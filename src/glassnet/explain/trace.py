"""The trace of one example: every layer's z, y and delta on the way forward and back, as a table.

Nothing here knows a derivative: the functions of the composition are followed forward, and their transposes
back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from html import escape

import numpy as np

from glassnet import explain
from glassnet.core.dtype import NDArray
from glassnet.errors import ConfigurationError
from glassnet.explain.chain import Account, Stage, follow
from glassnet.nn import Parameters
from glassnet.train.composition import Composition
from glassnet.train.naming import named
from glassnet.transforms.derivatives import grad, vjp

_SHOWN = 4  # values at either end of a long row


@dataclass(frozen=True)
class LayerTrace:
    """One layer on one example: y its output, `y_bar` = dDiv/dy; z = W y_before + b and delta = dDiv/dz.

    A layer without a z of its own (pooling, a recurrent layer, a container) has z None, and delta is dDiv/dy.
    Where the loss contains the output activation, the last layer's y_bar is None: the divergence is one of z.
    `jacobian`, where asked for, is dy/dx of the layer (there dz/dx), of shape y.shape + x.shape.
    """

    name: str
    z: NDArray | None
    y: NDArray
    y_bar: NDArray | None
    delta: NDArray
    jacobian: NDArray | None = None


@dataclass(frozen=True)
class Trace:
    """One example on its way forward and back; `trace["dense_1"]` is one layer, `str(trace)` all of it.

    `gradients` are those of the divergence, by the names of the parameters.
    """

    x: NDArray
    target: NDArray
    layers: tuple[LayerTrace, ...]
    loss: float
    input_gradient: NDArray
    gradients: dict[str, NDArray]
    account: Account = field(repr=False)

    def __getitem__(self, name: str) -> LayerTrace:
        """The layer of that name; where it stands twice, the last time."""
        for layer in reversed(self.layers):
            if layer.name == name:
                return layer
        known = ", ".join(dict.fromkeys(layer.name for layer in self.layers))
        raise ConfigurationError(f"The trace has no layer {name!r}; it has {known}.")

    def worked(self, learning_rate: float | None = None, digits: int = 6) -> str:
        """The worked solution, line by line with the numbers put in; with a learning rate also the update.

        Layers of Dense are written out unit by unit, with "..." where there are many; of other layers the
        values stand there. Units, inputs and outputs count from 1: w2_13 leads from unit 3 of layer 1 to unit
        1 of layer 2.
        """
        return explain.worked_solution(self.account, learning_rate, digits)

    def __str__(self) -> str:
        return "\n".join(f"{label}{text}" for _, label, text in self._lines())

    def _repr_html_(self) -> str:
        body = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(label.strip())}</td><td><code>{escape(text)}</code></td></tr>"
            for name, label, text in self._lines()
        )
        return f"<table>{body}</table>"

    def _lines(self) -> list[tuple[str, str, str]]:
        """Each line as (layer, what stands before the values, values)."""
        lines = [("", "x = ", _rows(self.x)[0])]
        for layer in self.layers:
            labels, arrays = _labelled(layer)
            width = max(map(len, labels))
            for number, (label, text) in enumerate(zip(labels, _rows(*arrays), strict=True)):
                head = f"{layer.name}: " if number == 0 else " " * (len(layer.name) + 2)
                lines.append((layer.name if number == 0 else "", f"{head}{label:{width}} = ", text))
        lines.append(("", "loss = ", f"{self.loss:.6g}"))
        return [*lines, ("", "dloss/dx = ", _rows(self.input_gradient)[0])]


def _labelled(layer: LayerTrace) -> tuple[list[str], list[NDArray]]:
    if layer.z is None:
        return ["y", "dloss/dy"], [layer.y, layer.delta]
    if layer.y_bar is None or layer.y_bar is layer.delta:  # no activation of its own between
        return ["z", "y", "delta"], [layer.z, layer.y, layer.delta]
    return ["z", "y", "dloss/dy", "delta"], [layer.z, layer.y, layer.y_bar, layer.delta]


def _rows(*rows: NDArray) -> list[str]:
    """Arrays as text, those of one shape column under column, the middle of long ones left out."""
    if len({row.shape for row in rows}) > 1:  # z has several pieces for each y
        return [_rows(row)[0] for row in rows]
    table = np.stack([row.reshape(-1) for row in rows]) + 0.0  # a negative zero says nothing here
    text = np.array2string(table, precision=6, threshold=3 * _SHOWN, edgeitems=_SHOWN, max_line_width=1000)
    lines = [f"[{line[2:].rstrip(']')}]" for line in text.splitlines()]  # each begins "[[" or " ["
    if rows[0].ndim > 1:
        lines = [f"{line} ({' x '.join(map(str, rows[0].shape))})" for line in lines]
    return lines


def trace_example(
    composition: Composition,
    parameters: Parameters,
    statistics: Parameters,
    x: NDArray,
    target: NDArray,
    *,
    jacobians: bool = False,
) -> Trace:
    """The forward and backward pass of one example, layer by layer, with the network as it is used.

    Where the loss contains the output activation, the divergence is taken from the last z, and the last y
    shows the activation all the same. Shapes: x as one row of X, target as one row of encoded targets.
    """
    chain = follow(
        composition, parameters, statistics, x, lambda last, run: composition.divergence_of(last, target, run)
    )
    gradients = named(grad(composition.divergence_in_use)(parameters, statistics, x, target))
    bars = iter(chain.after_bars)
    layers = [_layer_trace(stages, [next(bars) for _ in stages], jacobians) for stages in chain.layers]
    if composition.loss.link:
        last = layers[-1]
        layers[-1] = replace(last, y=np.asarray(composition.link(last.y)), y_bar=None)
    account = Account(composition, chain, target, gradients)
    return Trace(x, target, tuple(layers), chain.value, chain.x_bar, gradients, account)


def _layer_trace(stages: tuple[Stage, ...], bars: list[NDArray], jacobians: bool) -> LayerTrace:
    first, last = stages[0], stages[-1]
    z, delta = None, bars[0]
    if first.what == "z":
        z = first.after
    elif first.activation is not None:  # its z is what it is given
        z, delta = first.before, np.asarray(vjp(first.of_input, first.before)[1](bars[0])[0])
    dy_dx: NDArray | None = None
    if jacobians:
        product = last.jacobian if last is first else last.jacobian @ first.jacobian
        dy_dx = product.reshape(last.after.shape + first.before.shape)
    return LayerTrace(first.name, z, last.after, bars[-1], delta, dy_dx)
