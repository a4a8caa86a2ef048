"""Forward mode: every op's linear map, applied to tangents (x_dot) in the order of evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import is_floating
from glassnet.core.graph import Graph, Node, ancestors
from glassnet.core.op import Bilinear, Constant, Differential, Elementwise, Enclosing, Linear
from glassnet.core.trace import Array, as_array, placeholder, tracing
from glassnet.ops.conversion import astype
from glassnet.ops.shaping import broadcast_to


def scale(x: Any, partial: Any) -> Any:
    """x times a partial derivative; the plain numbers 1, -1 and 0 (None) cost nothing."""
    if type(partial) is int or type(partial) is float:  # NOTE not np.float64, which a value may be
        if partial == 0:
            return None
        if partial == 1:
            return x
        if partial == -1:
            return -x
    return x * partial


def _zeros_like(x: Any) -> Any:
    # NOTE not x * 0, which is NaN where x is infinite: where(mask, scores, -inf) is what attention asks for.
    return broadcast_to(np.zeros((), x.dtype), x.shape)


def push(node: Node, tangents: Sequence[Any], read: Callable[[Node], Any] = Array) -> Any:
    """The tangent of one node from those of its inputs (None: zero), by its op's derivative fact.

    `read` is how the rule sees the node and its inputs; see `glassnet.core.trace.reader`.
    """
    op, attributes = node.op, node.attributes
    out, inputs = read(node), [read(x) for x in node.inputs]
    match op.derivative:
        case Elementwise(partials):
            terms = [
                scale(x_dot, partial(out, *inputs, **attributes))
                for partial, x_dot in zip(partials, tangents, strict=True)
                if x_dot is not None
            ]
        case Linear(_, arguments, rest):
            linear = range(len(inputs)) if arguments is None else arguments
            terms: list[Any] = []
            if any(tangents[i] is not None for i in linear):
                filled = [
                    x if i not in linear else (_zeros_like(x) if x_dot is None else x_dot)
                    for i, (x, x_dot) in enumerate(zip(inputs, tangents, strict=True))
                ]
                terms.append(op(*filled, **attributes))
            if rest is not None:
                others = [None if i in linear else x_dot for i, x_dot in enumerate(tangents)]
                if any(x_dot is not None for x_dot in others):
                    terms.append(rest(out, inputs, others, **attributes))
        case Bilinear():
            x, y = inputs
            terms = [] if tangents[0] is None else [op(tangents[0], y, **attributes)]
            terms += [] if tangents[1] is None else [op(x, tangents[1], **attributes)]
        case Differential(formula):
            terms = [formula(out, inputs, tangents, **attributes)]
        case Enclosing(forward):
            terms = [forward(jvp_graph, out, inputs, tangents, **attributes)]
        case Constant():
            terms = []
    total: Any = None
    for term in terms:
        if term is not None:
            total = term if total is None else total + term
    return total if total is None else broadcast_to(total, node.shape)


def pushforward(
    outputs: Sequence[Node], tangents: Mapping[Node, Any], read: Callable[[Node], Any] = Array
) -> list[Any]:
    """The tangents of `outputs` given those of some nodes; None where an output does not depend on them."""
    known: dict[Node, Any] = dict(tangents)
    oldest = min((node.serial for node in tangents), default=0)
    for node in ancestors(outputs, oldest, stop=tangents):
        if node in known:
            continue
        incoming = [known.get(x) for x in node.inputs]
        if any(x_dot is not None for x_dot in incoming):
            known[node] = push(node, incoming, read)
    return [known.get(node) for node in outputs]


def jvp_graph(graph: Graph, moving: Sequence[bool]) -> Graph:
    """A graph that carries tangents along: inputs | tangents of those flagged -> outputs | their tangents.

    Floating outputs alone have tangents.
    """
    with tracing():
        pairs = zip(graph.inputs, moving, strict=True)
        tangents = {x: placeholder(x.shape, x.dtype) for x, flag in pairs if flag}
        outputs = [node for node in graph.outputs if is_floating(node.dtype)]
        slopes = [
            as_array(np.zeros(node.shape, node.dtype) if x is None else astype(x, node.dtype)).node
            for node, x in zip(outputs, pushforward(outputs, tangents), strict=True)
        ]
    return Graph.of((*graph.inputs, *(x.node for x in tangents.values())), (*graph.outputs, *slopes))
