"""Rearrange: a transpose between reshapes that only split and join axes is one copy, not three."""

from __future__ import annotations

from glassnet.compiler.passes.rewrite import apply_rules, make
from glassnet.compiler.passes.vocabulary import REARRANGED
from glassnet.core.graph import Graph, Node
from glassnet.core.shape import Shape


def rearrange(graph: Graph) -> Graph:
    """The graph with one node for each chain of reshape, transpose and reshape."""
    return apply_rules(graph, {"transpose": (_transpose,), "reshape": (_reshape,)})


def refines(fine: Shape, coarse: Shape) -> bool:
    """True where taking neighbours of the one shape together gives the other.

    >>> refines((2, 3, 4), (6, 4)), refines((2, 3, 4), (3, 8))
    (True, False)
    """
    remaining = list(fine)
    for extent in coarse:
        product = 1
        while remaining and product < extent:
            product *= remaining.pop(0)
        if product != extent:
            return False
    return all(extent == 1 for extent in remaining)


def _transpose(node: Node) -> Node | None:
    # transpose(reshape(x)), where the reshape splits axes
    x, axes = node.inputs[0], node.attributes["axes"]
    if x.op.name != "reshape" or not refines(x.shape, x.inputs[0].shape):
        return None
    return make(REARRANGED, x.inputs[0], inner=x.shape, axes=axes, shape=node.shape, like=node)


def _reshape(node: Node) -> Node | None:
    # reshape(transpose(x)), where the reshape takes axes together that have no line in common
    x = node.inputs[0]
    if x.op.name not in ("transpose", "rearranged") or not refines(x.shape, node.shape):
        return None
    if node.shape[-1] == x.shape[-1]:
        return None  # another name of the same memory
    own = x.attributes
    if x.op is REARRANGED:
        split = tuple(own["inner"][axis] for axis in own["axes"])
        if split != x.shape:
            return None
    inner = own["inner"] if x.op is REARRANGED else x.inputs[0].shape
    return make(REARRANGED, x.inputs[0], inner=inner, axes=own["axes"], shape=node.shape, like=node)
