"""Evaluates a graph node by node over any array-API namespace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from glassnet.core.graph import Graph, Node


def interpret(graph: Graph, inputs: Sequence[Any], xp: Any = np) -> list[Any]:
    """The outputs of `graph` for these inputs, each op computed by its own value rule.

    With NumPy this is the oracle that every other engine is compared with. A value is dropped after its
    last use, so memory is bounded by what is alive.
    """
    values: dict[Node, Any] = dict(zip(graph.inputs, inputs, strict=True))
    last_use = {x: node for node in graph.nodes for x in node.inputs}
    kept = {*graph.outputs, *graph.inputs}
    for node in graph.nodes:
        if node in values:
            continue
        if node.op.name == "constant":
            values[node] = xp.asarray(node.value)
            continue
        values[node] = node.op.value(xp, *(values[x] for x in node.inputs), **node.attributes)
        for x in set(node.inputs):
            if last_use[x] is node and x not in kept:
                del values[x]
    return [values[node] for node in graph.outputs]
