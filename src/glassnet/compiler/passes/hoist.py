"""Hoist: what every step of a loop would compute alike is computed before the first."""

from __future__ import annotations

from glassnet.compiler.passes.loops import Loop, replaced
from glassnet.compiler.passes.vocabulary import LOOP, TAKEN
from glassnet.core.graph import Graph, Node, ancestors
from glassnet.core.trace import placeholder

_VIEWS = frozenset(
    {"reshape", "transpose", "getitem", "broadcast_to"}
)  # no work, or done where they are read


def hoist(graph: Graph) -> Graph:
    """The graph whose loops compute only what changes from step to step."""

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op is LOOP:
            loop = Loop.of(node, inputs)
            if _hoist(loop):
                return loop.made()
        if inputs == node.inputs:
            return node
        return Node(node.op, inputs, node.attributes, node.shape, node.dtype, node.value, node.source)

    return graph.map_nodes(rewrite)


def _viewed(x: Node) -> Node:
    """What is seen through views."""
    while x.op.name in _VIEWS:
        x = x.inputs[0]
    return x


def _hoist(loop: Loop) -> bool:
    """Takes what depends on no row and no carry out of the body; whether there was anything."""
    results = [*(out for _, _, out in loop.carries), *loop.outputs]
    outside = {inner: x for x, inner in loop.fixed}
    made: dict[Node, Node] = {}
    wanted: dict[Node, Node] = {}
    for node in ancestors(results):
        if node.op.name == "constant":
            outside[node] = node
        elif node.inputs and all(x in outside for x in node.inputs) and node.op not in (LOOP, TAKEN):
            made[node] = replaced([node], outside)[0]
            outside[node] = made[node]
        else:
            wanted.update((x, made[x]) for x in map(_viewed, node.inputs) if x in made)
    wanted = {node: x for node, x in wanted.items() if node not in results}
    fresh = {node: placeholder(node.shape, node.dtype).node for node in wanted}
    loop.fixed += [(x, fresh[node]) for node, x in wanted.items()]
    results = replaced(results, fresh)
    used = set(ancestors(results))
    loop.fixed = [(x, inner) for x, inner in loop.fixed if inner in used]
    states = [(first, inner) for first, inner, _ in loop.carries]
    loop.carries = [(*pair, out) for pair, out in zip(states, results, strict=False)]
    loop.outputs = results[len(states) :]
    return bool(wanted)
