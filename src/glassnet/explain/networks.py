"""A network as the subject of a derivation: L(W1, b1, ..., x, d), the divergence of one example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT64, NDArray
from glassnet.core.graph import Node
from glassnet.core.shape import Shape
from glassnet.core.trace import Array, as_array, placeholder, variable
from glassnet.core.tree import flatten, unflatten
from glassnet.errors import DifferentiationError, ShapeError
from glassnet.explain.subject import Names, Subject, element_names, require_names
from glassnet.nn import Run
from glassnet.train.naming import named
from glassnet.train.state import NetworkState
from glassnet.train.targets import as_numbers, as_targets

_SYMBOLS = {"weight": "W", "kernel": "W", "recurrent": "U", "bias": "b"}


def of_network(net: NetworkState, names: Names, given: dict[str, Any], *, whole: bool) -> Subject:
    """The divergence L of one example x with target d, in the network's parameters.

    W1 is dense_1.weight, b1 its bias, z1 and y1 are what the layer makes; y of the last layer is its output,
    and delta1 = dL/dz1. Where `given` has x and d, the network is traced with all its numbers. A label as d
    becomes the target that the loss is given. Where matrices are `whole`, or no names are
    given, every z and y has its name; else those that are given one, the output, and what grows long.
    """
    if names is not None and not isinstance(names, Mapping):
        raise DifferentiationError(
            'The names of a network are a mapping, such as names={"dense_1.weight": [["w1", "w2"]]}.'
        )
    composition, (parameters, statistics) = net._composition, net._model
    input_shape = net._require_built()
    numbers = _numbers(net, given, input_shape)
    leaves, structure = flatten(parameters)
    symbols = [_symbol(name, composition.names) for name in named(parameters)]
    aliases = dict(zip(named(parameters), symbols, strict=True))

    def leaf(value: Any, shape: Shape) -> Array:
        return placeholder(shape, FLOAT64) if numbers is None else variable(np.asarray(value, FLOAT64))

    traced = [leaf(value, value.shape) for value in leaves]
    x = leaf(numbers and numbers["x"], input_shape)
    d = leaf(numbers and numbers["d"], net.output_shape)
    run = Run(statistics=statistics)
    divergence = composition.divergence(unflatten(structure, traced), x, d, run)
    inputs = dict(zip((array.node for array in traced), symbols, strict=True)) | {x.node: "x", d.node: "d"}
    values, deltas = _values(run, composition.names, set(inputs), linked=composition.loss.link is not None)
    for number, name in enumerate(composition.names, 1):
        aliases |= {f"{name}.z": f"z{number}", f"{name}.y": f"y{number}"}
    renamed, elements = _better_names(names or {}, aliases, [*inputs.values(), *values.values()])
    last = values.get(run.record.seen[composition.names[-1],].node)
    spelled_out = whole or not names
    always = {
        node: name
        for node, name in values.items()
        if spelled_out or name == last or name in renamed | elements
    }

    def called(nodes: Mapping[Node, str]) -> dict[Node, str]:
        return {node: renamed.get(name, name) for node, name in nodes.items()}

    return Subject(
        "L",
        {"L": as_array(divergence).node},
        called(inputs),
        called(always),
        called({node: name for node, name in values.items() if node not in always}),
        elements,
        {alias: renamed.get(name, name) for alias, name in aliases.items()},
        {renamed.get(name, name): delta for name, delta in deltas.items()},
        [renamed.get(name, name) for name in symbols],
        list(renamed.values()),
        written=False,
    )


def _numbers(net: NetworkState, given: dict[str, Any], input_shape: Shape) -> dict[str, NDArray] | None:
    """x and d as arrays, if they are given."""
    if not given:
        return None
    if set(given) != {"x", "d"}:
        raise DifferentiationError(
            f"at= has {', '.join(given)}; for a network it takes both x, one example, and d, its target."
        )
    x = as_numbers(given["x"], FLOAT64, "x")
    if x.shape != input_shape:
        raise ShapeError(f"x has shape {x.shape}; this network takes one example of shape {input_shape}.")
    if np.shape(given["d"]) == net.output_shape and np.asarray(given["d"]).dtype.kind == "f":
        d = as_numbers(given["d"], FLOAT64, "d")
    else:
        d = net._encoding.encode(as_targets([given["d"]], 1, "d"), "d")[0]
        if d.shape != net.output_shape:  # the index of a class
            d = np.eye(net.output_shape[-1])[d]
    given |= {"x": x, "d": np.asarray(d, FLOAT64)}
    return given


def _symbol(name: str, layers: list[str]) -> str:
    layer, _, kind = name.partition(".")
    return f"{_SYMBOLS[kind]}{layers.index(layer) + 1}" if kind in _SYMBOLS else name


def _values(
    run: Run, layers: list[str], inputs: set[Node], *, linked: bool
) -> tuple[dict[Node, str], dict[str, str]]:
    """The names of every layer's z and y, and of the derivatives with respect to z.

    Where the loss is `linked` to an output activation, what the last layer gives is z.
    """
    values: dict[Node, str] = {}
    deltas: dict[str, str] = {}
    for number, layer in enumerate(layers, 1):
        z, y = run.record.seen.get((layer, "z")), run.record.seen[layer,]
        # Without an activation they are one: z in the middle, y at the end.
        both = z is not None and z.node is y.node
        if z is not None:
            name = f"y{number}" if both and number == len(layers) and not linked else f"z{number}"
            values[z.node] = name
            deltas[name] = f"delta{number}"
        if y.node not in values and y.node not in inputs:
            values[y.node] = f"y{number}"
    return values, deltas


def _better_names(
    names: Mapping[str, Any], aliases: Mapping[str, str], known: list[str]
) -> tuple[dict[str, str], dict[str, NDArray]]:
    """The user's names: new ones for whole variables, and those of elements."""
    renamed: dict[str, str] = {}
    elements: dict[str, NDArray] = {}
    for given, new in names.items():
        name = aliases.get(given, given)
        if name not in known:
            raise DifferentiationError(f"names= has {given!r}; this network has {', '.join(known)}.")
        if isinstance(new, str):
            require_names([new])
            renamed[name] = new
        else:
            elements[name] = element_names(given, new)
    return renamed, elements
