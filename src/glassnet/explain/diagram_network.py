"""The influence diagram of a network: one example on its way from x through the layers to the loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT64, NDArray
from glassnet.core.graph import Node, ancestors
from glassnet.core.shape import size_of
from glassnet.core.trace import Array, as_array, tracing, variable
from glassnet.core.tree import flatten, tree_map, unflatten
from glassnet.errors import ShapeError
from glassnet.explain.diagram_cells import Value, locate
from glassnet.explain.drawing import Diagram, draw
from glassnet.nn import Parameters, Run
from glassnet.train.composition import Composition
from glassnet.train.naming import named
from glassnet.train.state import NetworkState
from glassnet.train.targets import as_targets

UNITS = 4  # of a layer, drawn one by one unless told otherwise


def diagram_of_network(
    net: NetworkState, x: Any, y: Any, *, highlight: str | None = None, units: int = UNITS
) -> Diagram:
    """`diagram_of` for one example x (features,) or row (1, features), with its target y as `fit` takes it.

    Raises NotFittedError for a network without parameters, ShapeError for several rows, and what `fit` raises
    for data that do not suit it.
    """
    shape = net._require_built()
    rows = net._rows([x] if np.shape(x) == shape else x)
    if len(rows) != 1:
        raise ShapeError(f"diagram draws one example, of shape {shape}, and x holds {len(rows)} rows.")
    given = np.asarray(y)
    shape_of_values, shape_of_labels = net.output_shape, net.output_shape[:-1]
    one_row = given.shape == shape_of_labels or (
        given.shape == shape_of_values and given.dtype.kind not in "OU"
    )
    target = net._encoding_for(as_targets([y] if one_row else y, 1), shape)[1]
    return diagram_of(net._composition, *net._model, rows[0], target[0], highlight, units)


def diagram_of(
    composition: Composition,
    parameters: Parameters,
    statistics: Parameters,
    x: NDArray,
    target: NDArray,
    highlight: str | None = None,
    units: int = UNITS,
) -> Diagram:
    """The influence diagram of the divergence of one example, in float64, with the network as it is used.

    The variables are x, the output y of every layer and the loss; a layer's parts (those of a residual block,
    say) have boxes of their own. Where the loss contains the output activation, the last layer is shown by
    its z. Of each layer the `units` elements with the largest |dloss/dy * y| are drawn, and the rest is
    folded. `highlight` names a parameter, a unit or an input: "dense_1.weight[0, 1]", "dense_1[3]", "x[7]";
    its paths to the loss are marked, and the sum over them is written out.

    Shapes: x as one row of X, target as one row of encoded targets. Raises ConfigurationError for a
    `highlight` that is not there.
    """
    with tracing():
        leaves, structure = flatten(tree_map(lambda leaf: np.asarray(leaf, FLOAT64), parameters))
        given = variable(np.asarray(x, FLOAT64)) if np.asarray(x).dtype.kind == "f" else as_array(x)
        run = Run(statistics=tree_map(lambda leaf: np.asarray(leaf, FLOAT64), statistics))
        by_name = dict(zip(named(parameters), leaves, strict=True))
        chosen: list[Value] = []
        parameter = None if highlight is None else _parameter(highlight, by_name)
        if parameter is not None:
            name, element = parameter
            by_name[name], chosen = _singled_out(name, by_name[name], element)
        traced = unflatten(structure, list(by_name.values()))
        loss = composition.divergence(traced, given, _as_target(target), run)
        values = [*chosen, *_values(composition, run, given, as_array(loss), units)]
        reached = set(ancestors([values[-1].node]))
        present = sorted((v for v in values if v.node in reached), key=lambda value: value.node.serial)
        if highlight is not None and not chosen:
            shapes = {value.name: value.node.shape for value in present}
            locate(highlight, shapes | {name: np.shape(leaf) for name, leaf in by_name.items()})
        return draw(present, chosen[0].name if chosen else highlight)


def _as_target(target: NDArray) -> NDArray:
    return target if np.asarray(target).dtype.kind == "i" else np.asarray(target, FLOAT64)


def _parameter(highlight: str, parameters: dict[str, NDArray]) -> tuple[str, int | None] | None:
    """The parameter and the element that are chosen; None where the name is that of no parameter."""
    if highlight.partition("[")[0].strip() not in parameters:
        return None
    return locate(highlight, {name: leaf.shape for name, leaf in parameters.items()})


def _singled_out(name: str, leaf: NDArray, element: int | None) -> tuple[Any, list[Value]]:
    """A parameter of which one element (None: all of it) is a variable, and that variable."""
    if element is None:
        whole = variable(leaf)
        return whole, [Value(name, whole.node)]
    place = np.zeros(leaf.shape)
    place.reshape(-1)[element] = 1.0
    number = variable(leaf.reshape(-1)[element])
    others = np.where(place == 1.0, 0.0, leaf)
    label = Value(name, as_array(leaf).node).label(element)
    return others + place * number, [Value(label, number.node, within_array=True)]


def _values(composition: Composition, run: Run, x: Array, loss: Array, units: int) -> list[Value]:
    """x, what the layers make, and the loss; of two names for a value that of the outer or earlier layer."""
    paths: dict[Node, tuple[str, ...]] = {x.node: ("x",)}
    for path, value in run.record.seen.items():
        if path[-1] != "z" and isinstance(value, Array) and size_of(value.shape):
            known = paths.get(value.node)
            if known is None or len(path) < len(known):
                paths[value.node] = path if path not in (("x",), ("loss",)) else (*path, "y")
    last = run.record.seen[composition.names[-1],]
    if composition.loss.link is not None and isinstance(last, Array):
        paths[last.node] = (composition.names[-1], "z")
    values = [Value(".".join(path), node, units) for node, path in paths.items() if node is not loss.node]
    return [*values, Value("loss", loss.node)]
