"""Relay: what does not lie where or how it is needed is copied by a node of its own."""

from __future__ import annotations

from collections.abc import Collection

from glassnet.compiler.passes.rewrite import make
from glassnet.compiler.passes.values import reads_matrices
from glassnet.compiler.passes.vocabulary import RELAY
from glassnet.core.graph import Graph, Node


def relay(graph: Graph, operands: Collection[Node], outputs: Collection[int]) -> Graph:
    """The graph with copies of `operands` in front of products and loops, and of `outputs` (by number)."""
    copies: dict[Node, Node] = {}

    def copied(x: Node) -> Node:
        if x not in copies:
            copies[x] = make(RELAY, x, like=x)
        return copies[x]

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if reads_matrices(node):
            pairs = zip(node.inputs, inputs, strict=True)
            inputs = tuple(copied(new) if old in operands else new for old, new in pairs)
        if inputs == node.inputs:
            return node
        return Node(node.op, inputs, node.attributes, node.shape, node.dtype, node.value, node.source)

    changed = graph.map_nodes(rewrite)
    results = [
        make(RELAY, node, like=node) if number in outputs else node
        for number, node in enumerate(changed.outputs)
    ]
    return Graph.of(changed.inputs, results, changed.input_names)
