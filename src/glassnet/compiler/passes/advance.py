"""Advance: a row that only the first step reads, and adds to a carry, is added before the loop.

The gradient of a last state comes so: a table of zeros but for one row, which the backward loop adds to what
it carries. Then there is no table, and no step reads it.
"""

from __future__ import annotations

from glassnet.compiler.passes.loops import Loop, replaced
from glassnet.compiler.passes.rewrite import make
from glassnet.compiler.passes.slices import parts_of
from glassnet.compiler.passes.vocabulary import LOOP, TAKEN
from glassnet.core.graph import Graph, Node, ancestors


def advance(graph: Graph) -> Graph:
    """The graph whose loops begin with what their first steps would add."""
    tables: dict[Node, set[int]] = {}  # loop: the parts of which all rows are asked for
    for node in graph.nodes:
        if node.op is TAKEN and not node.attributes["last"]:
            tables.setdefault(node.inputs[0], set()).add(node.attributes["part"])

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op is LOOP:
            loop = Loop.of(node, inputs)
            if _advance(loop, tables.get(node, set())):
                return loop.made()
        if inputs == node.inputs:
            return node
        return Node(node.op, inputs, node.attributes, node.shape, node.dtype, node.value, node.source)

    return graph.map_nodes(rewrite)


def _advance(loop: Loop, tables: set[int]) -> bool:
    """Adds such rows to the first values of carries; whether there were any."""
    before = len(loop.rows)
    for x, inner in list(loop.rows):
        for part, (first, state, _) in enumerate(loop.carries):
            results = [*(out for _, _, out in loop.carries), *loop.outputs]
            total = _only_sum(state, inner, results)
            if total is None or part in tables or not _is_first_row(x, loop):
                continue
            row = make("reshape", x.inputs[0], shape=state.shape, like=x)
            starts = [start for start, _, _ in loop.carries]
            starts[part] = make("add", first, row, like=total)
            results = replaced(results, {total: state})
            states = [inside for _, inside, _ in loop.carries]
            loop.carries = list(zip(starts, states, results[: len(states)], strict=True))
            loop.outputs = results[len(states) :]
            loop.rows.remove((x, inner))
            break
    return len(loop.rows) < before


def _only_sum(state: Node, row: Node, results: list[Node]) -> Node | None:
    """The sum of a state and a row, if nobody reads the one without the other."""
    if state in results or row in results or state.dtype != row.dtype:
        return None
    readers = [node for node in ancestors(results) if state in node.inputs or row in node.inputs]
    if len(readers) != 1 or readers[0].op.name != "add" or readers[0].shape != state.shape:
        return None
    return readers[0] if set(readers[0].inputs) == {state, row} and row.shape == state.shape else None


def _is_first_row(x: Node, loop: Loop) -> bool:
    """Whether the table is zero but for the row of the first step."""
    if x.op.name != "scatter":
        return False
    place, *rest = parts_of(x)
    whole = all(part == (0, n, 1) for part, n in zip(rest, x.shape[1:], strict=True))
    return whole and place[:2] == (loop.length - 1 if loop.reverse else 0, 1)
