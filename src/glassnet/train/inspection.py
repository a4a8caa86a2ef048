"""Looking inside: every layer's z, y and delta for one example, and the certificate of the compiled gradient.

Nothing here knows a derivative: a delta is the gradient with respect to a zero that is added to z.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.dtype import FLOAT64, NDArray
from glassnet.core.random import Key, bits
from glassnet.core.tree import flatten, tree_map
from glassnet.errors import ConfigurationError
from glassnet.execute import function, run
from glassnet.nn import Parameters, Run
from glassnet.nn.run import Record
from glassnet.train.composition import Composition
from glassnet.train.naming import named
from glassnet.train.prediction import RowProgram
from glassnet.transforms.derivatives import value_and_grad
from glassnet.transforms.tracing import trace

CERTIFIED_ELEMENTS = 24  # of each parameter array
CERTIFICATE_STEP = 1e-6  # short, for a kink within reach spoils the difference; rounding costs 1e-10
KINK = 1e-3  # a bend between the slopes on both sides, relative to the array's largest slope
_SHOWN = 4  # values at either end of a long row


@dataclass(frozen=True)
class LayerTrace:
    """One layer on one example: y its output; z = W y_before + b and delta = dDiv/dz where y = f(z).

    A layer without a z of its own (pooling, a recurrent layer, a container) has z None and dDiv/dy as delta.
    """

    name: str
    z: NDArray | None
    y: NDArray
    delta: NDArray


@dataclass(frozen=True)
class Trace:
    """One example on its way forward and back; `trace["dense_1"]` is one layer, `str(trace)` all of it."""

    x: NDArray
    layers: tuple[LayerTrace, ...]
    loss: float
    input_gradient: NDArray
    gradients: dict[str, NDArray]

    def __getitem__(self, name: str) -> LayerTrace:
        """The layer of that name."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        known = ", ".join(layer.name for layer in self.layers)
        raise ConfigurationError(f"The trace has no layer {name!r}; it has {known}.")

    def __str__(self) -> str:
        lines = [f"x = {_rows(self.x)[0]}"]
        for layer in self.layers:
            margin = " " * len(layer.name)
            if layer.z is None:
                y, delta = _rows(layer.y, layer.delta)
                lines += [f"{layer.name}: y       = {y}", f"{margin}  dloss/dy = {delta}"]
            else:
                z, y, delta = _rows(layer.z, layer.y, layer.delta)
                lines += [
                    f"{layer.name}: z     = {z}",
                    f"{margin}  y     = {y}",
                    f"{margin}  delta = {delta}",
                ]
        lines += [f"loss = {self.loss:.6g}", f"dloss/dx = {_rows(self.input_gradient)[0]}"]
        return "\n".join(lines)


def _rows(*rows: NDArray) -> list[str]:
    """Arrays of one shape as text, column under column, the middle of long ones left out."""
    table = np.stack([row.reshape(-1) for row in rows]) + 0.0  # a negative zero says nothing here
    text = np.array2string(table, precision=6, threshold=3 * _SHOWN, edgeitems=_SHOWN, max_line_width=1000)
    lines = [f"[{line[2:].rstrip(']')}]" for line in text.splitlines()]  # each begins "[[" or " ["
    if rows[0].ndim > 1:
        lines = [f"{line} ({' x '.join(map(str, rows[0].shape))})" for line in lines]
    return lines


def trace_example(
    composition: Composition, parameters: Parameters, statistics: Parameters, x: NDArray, target: NDArray
) -> Trace:
    """The forward and backward pass of one example, layer by layer.

    Where the loss contains the output activation, the divergence is taken from the last z, and the last y
    shows the activation all the same. Shapes: x as one row of X, target as one row of encoded targets.
    """
    run = Run(statistics=statistics)
    composition.into_loss(parameters, x, run)
    seen = {path: np.asarray(value) for path, value in run.record.seen.items()}
    names = list(dict.fromkeys(composition.names))  # a shared layer is seen where it is used last
    places = [(name, "z") if (name, "z") in seen else (name,) for name in names]

    def divergence(probes: list[Any], x: Any, parameters: Parameters) -> Any:
        added = dict(zip(places, probes, strict=True))
        return composition.divergence(
            parameters, x, target, Run(statistics=statistics, record=Record(probes=added))
        )

    probes = [np.zeros_like(seen[place]) for place in places]
    value, (deltas, x_bar, gradients) = value_and_grad(divergence, (0, 1, 2))(probes, x, parameters)
    outputs = {name: seen[name,] for name in names}
    outputs[names[-1]] = np.asarray(composition.link(outputs[names[-1]]))
    layers = (
        LayerTrace(name, seen.get((name, "z")), outputs[name], delta)
        for name, delta in zip(names, deltas, strict=True)
    )
    return Trace(x, tuple(layers), float(value), x_bar, named(gradients))


def first_fault(
    composition: Composition, parameters: Parameters, statistics: Parameters, X: NDArray
) -> str | None:
    """The first layer whose output is not finite for one of the rows X, and that row; None if all are finite.

    The network is taken as it is used. Raises what a layer says to values that it does not take.
    """
    names = list(dict.fromkeys(composition.names))

    def finite(parameters: Parameters, statistics: Parameters, x: Any) -> list[Any]:
        run = Run(statistics=statistics)
        last = composition.link(composition.into_loss(parameters, x, run))
        return [gnp.all(gnp.isfinite(y)) for y in (*(run.record.seen[name,] for name in names), last)]

    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        flags = RowProgram(finite, "interpreter")((parameters, statistics), X)
    for name, each in zip([*names, names[-1]], flags, strict=True):
        if not each.all():
            layer = composition.network.parts[name].describe()
            return f"{name}, {layer}, is not finite for row {int(np.argmin(each))}"
    return None


@dataclass(frozen=True)
class Certificate:
    """How far the gradient that training uses is from an independent calculation in float64.

    `largest_relative_error` is the worst over `elements` parameters, in the array `parameter`; `engine` is
    the one that computed the gradient. `at_kinks` parameters were left out: there the loss has two slopes.
    """

    largest_relative_error: float
    parameter: str
    examples: int
    elements: int
    engine: str
    method: str = "fourth-order differences of the loss in float64"
    at_kinks: int = 0


def certify(
    composition: Composition,
    parameters: Parameters,
    statistics: Parameters,
    x: NDArray,
    target: NDArray,
    engine: str,
) -> Certificate:
    """Compares the gradient of the loss with differences of interpreted losses in float64.

    Up to `CERTIFIED_ELEMENTS` elements of each parameter array are moved one at a time; an array's error is
    relative to its largest slope. Shapes: x (rows, ...), target (rows, ...).
    """
    leaves, _ = flatten(parameters)
    kept, _ = flatten(statistics)
    graph, _ = trace(value_and_grad(composition.loss_in_use), parameters, statistics, x, target)
    gradient, reason = function(graph, engine)
    _, *got = gradient([*leaves, *kept, x, target])
    wide, wide_kept = (tree_map(lambda leaf: leaf.astype(FLOAT64), tree) for tree in (parameters, statistics))
    wide_x, wide_target = (
        array if array.dtype.kind == "i" else array.astype(FLOAT64) for array in (x, target)
    )
    loss_graph, _ = trace(composition.loss_in_use, wide, wide_kept, wide_x, wide_target)
    precise, _ = flatten(wide)

    def loss_at(index: int, element: int, offset: float) -> float:
        moved = precise[index].copy()
        moved.flat[element] += offset
        inputs = [*precise[:index], moved, *precise[index + 1 :], *flatten(wide_kept)[0], wide_x, wide_target]
        return float(run(loss_graph, inputs)[0])

    errors: list[float] = []
    elements = at_kinks = 0
    for index, values in enumerate(got):
        chosen = _choose(precise[index].size, Key(0, stream=index))
        pairs = [_slope_and_bend(lambda h, i=index, e=element: loss_at(i, e, h)) for element in chosen]
        slopes, bends = np.array(pairs).T
        scale = max(float(np.max(np.abs(slopes))), 1e-30)
        smooth = ~(bends > KINK * scale)
        error = np.abs(values.reshape(-1)[chosen] - slopes)[smooth] / scale
        errors.append(float(np.max(error, initial=0.0)))
        elements, at_kinks = elements + int(smooth.sum()), at_kinks + int((~smooth).sum())
    worst = int(np.argmax(errors))  # NOTE argmax takes a NaN for the largest, max() may pass over it
    return Certificate(
        errors[worst] if elements else np.nan,
        list(named(parameters))[worst],
        len(x),
        elements,
        "interpreter" if reason else "compiled",
        at_kinks=at_kinks,
    )


def _choose(size: int, key: Key) -> list[int]:
    if size <= CERTIFIED_ELEMENTS:
        return list(range(size))
    return sorted({int(word) % size for word in bits(key, CERTIFIED_ELEMENTS)})


def _slope_and_bend(loss: Callable[[float], float]) -> tuple[float, float]:
    """The slope at 0, and how far the slopes on both sides of 0 are apart."""
    h = CERTIFICATE_STEP
    ahead, behind, twice_ahead, twice_behind = (loss(step) for step in (h, -h, 2 * h, -2 * h))
    near, far = (ahead - behind) / (2 * h), (twice_ahead - twice_behind) / (4 * h)
    return (4 * near - far) / 3, abs(twice_ahead - 2 * loss(0.0) + twice_behind) / (2 * h)
