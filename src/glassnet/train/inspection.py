"""Looking inside: the first layer that is not finite, and the certificate of the compiled gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.dtype import FLOAT64, NDArray
from glassnet.core.random import Key, bits
from glassnet.core.tree import flatten, tree_map
from glassnet.execute import function, run
from glassnet.nn import Parameters, Run
from glassnet.train.composition import Composition
from glassnet.train.naming import named
from glassnet.train.prediction import RowProgram
from glassnet.transforms.derivatives import value_and_grad
from glassnet.transforms.tracing import trace

CERTIFIED_ELEMENTS = 24  # of each parameter array
CERTIFICATE_STEP = 1e-6  # short, for a kink within reach spoils the difference; rounding costs 1e-10
KINK = 1e-3  # a bend between the slopes on both sides, relative to the array's largest slope


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
