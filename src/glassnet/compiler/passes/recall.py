"""Recall: what a backward loop would compute again, the forward loop hands over.

The derivative of a scan runs the derivative of its body on the states that were kept, and so computes each
step anew. Where a forward loop has computed the same of the same, its costly results become tables of their
own, and rows of the backward loop.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from glassnet.compiler.passes.fuse import COSTLY
from glassnet.compiler.passes.loops import Loop, replaced
from glassnet.compiler.passes.rewrite import make
from glassnet.compiler.passes.simplify import key_of
from glassnet.compiler.passes.slices import parts_of
from glassnet.compiler.passes.vocabulary import LOOP, TAKEN
from glassnet.core.graph import Graph, Node, ancestors
from glassnet.core.trace import placeholder


@dataclass
class _Recalled:
    """Which nodes of a backward loop's body are which nodes of a forward loop's."""

    forward: Node
    pairs: dict[Node, Node] = field(default_factory=dict[Node, Node])


def recall(graph: Graph) -> Graph:
    """The graph whose backward loops read what the forward loops know."""
    found = {node: _recalled(node, graph) for node in graph.nodes if node.op is LOOP}
    found = {node: recalled for node, recalled in found.items() if recalled}
    if not found:
        return graph
    extra: dict[Node, dict[Node, int]] = {}  # forward loop: its body's nodes, and the number of their table
    for recalled in found.values():
        numbers = extra.setdefault(recalled.forward, {})
        for source in recalled.pairs.values():
            numbers.setdefault(source, len(recalled.forward.attributes["body"].outputs) + len(numbers))
    made: dict[Node, Node] = {}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op is LOOP:
            loop = Loop.of(node, inputs)
            if node in found:
                _read(loop, found[node], made[found[node].forward], extra)
            loop.outputs += extra.get(node, {})
            made[node] = loop.made()
            return made[node]
        if inputs == node.inputs:
            return node
        return Node(node.op, inputs, node.attributes, node.shape, node.dtype, node.value, node.source)

    return graph.map_nodes(rewrite)


def _read(loop: Loop, recalled: _Recalled, forward: Node, extra: dict[Node, dict[Node, int]]) -> None:
    """The backward loop with rows of the forward loop's tables in place of its own nodes."""
    fresh: dict[Node, Node] = {}
    for node, source in recalled.pairs.items():
        table = make(TAKEN, forward, part=extra[recalled.forward][source], last=False, like=loop.node)
        fresh[node] = placeholder(node.shape, node.dtype).node
        loop.rows.append((table, fresh[node]))
    results = replaced([*(out for _, _, out in loop.carries), *loop.outputs], fresh)
    count = len(loop.carries)
    loop.carries = [(x, inner, out) for (x, inner, _), out in zip(loop.carries, results[:count], strict=True)]
    loop.outputs = results[count:]
    used = set(ancestors(results))
    loop.rows = [(x, inner) for x, inner in loop.rows if inner in used]
    loop.fixed = [(x, inner) for x, inner in loop.fixed if inner in used]


def _recalled(backward: Node, graph: Graph) -> _Recalled | None:
    """What this loop can have from a forward loop, if it runs backwards over the states of one."""
    if not backward.attributes["reverse"]:
        return None
    loop = Loop.of(backward, backward.inputs)
    for x, _ in loop.rows:
        forward = _states_of(x)
        if forward is not None and not forward.attributes["reverse"]:
            pairs = _same(Loop.of(forward, forward.inputs), loop)
            return _Recalled(forward, pairs) if pairs else None
    return None


def _states_of(x: Node) -> Node | None:
    """The loop whose states before each step the array holds."""
    if x.op.name != "getitem" or x.inputs[0].op is not TAKEN:
        return None
    table, first = x.inputs[0], parts_of(x)[0]
    forward, part = table.inputs[0], table.attributes["part"]
    length, carries = forward.attributes["length"], forward.attributes["carries"]
    return forward if part < carries and first == (0, length, 1) else None


def _same(forward: Loop, backward: Loop) -> dict[Node, Node]:
    """The costly nodes of the backward body that are nodes of the forward body, as far as they are needed."""
    if forward.length != backward.length:
        return {}
    inputs: dict[Hashable, Node] = {("row", x): inner for x, inner in forward.rows}
    inputs |= {("fixed", x): inner for x, inner in forward.fixed}
    states = {part: inner for part, (_, inner, _) in enumerate(forward.carries)}
    twin: dict[Node, Node] = {}
    for kind, pairs in (("row", backward.rows), ("fixed", backward.fixed)):
        for x, inner in pairs:
            source = inputs.get((kind, x))
            if kind == "row" and _states_of(x) is forward.node:
                source = states[x.inputs[0].attributes["part"]]
            if source is not None:
                twin[inner] = source
    nodes = ancestors([*(out for _, _, out in forward.carries), *forward.outputs])
    known = {key_of(node, node.inputs): node for node in nodes}
    results = [*(out for _, _, out in backward.carries), *backward.outputs]
    for node in ancestors(results):
        if node.op.name != "input" and all(x in twin for x in node.inputs):
            source = known.get(key_of(node, tuple(twin[x] for x in node.inputs)))
            if source is not None:
                twin[node] = source
    wanted = {node: twin[node] for node in twin if node.op.name in COSTLY or node.op.name == "contract"}
    needed = set(ancestors(results, stop=wanted))
    return {node: source for node, source in wanted.items() if node in needed}
