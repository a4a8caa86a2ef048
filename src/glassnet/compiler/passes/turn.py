"""Turn: the transpose of a product is the product with its axes in another order, and nothing is copied.

    (contract(x, y) + b)^T -> contract(x, y)^T + b        where b runs along an axis that stays the last
    contract(x, y)^T       -> contract(x, y) with the labels of the result in the order of the transpose

What nobody else reads is turned: so a sequence is laid position by position before it is projected to many
units, not after, and the update of a weight follows on the product that is its gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

from glassnet.compiler.passes.rewrite import make
from glassnet.core.graph import Graph, Node
from glassnet.core.shape import size_of
from glassnet.ops.matrix import split_spec


def turn(graph: Graph) -> Graph:
    """The graph without transposes of products that can be made in the other order."""
    consumers, outputs = graph.consumers(), set(graph.outputs)

    def alone(node: Node) -> bool:
        return len(consumers[node]) == 1 and node not in outputs

    def turned(node: Node, axes: Sequence[int], inputs: tuple[Node, ...]) -> Node | None:
        """The transpose of `node`, whose inputs are these now, or None where it stays a copy."""
        if not alone(node):
            return None
        if node.op.name == "contract":
            return _product(node, axes, inputs)
        if node.op.name != "add" or axes[-1] != len(axes) - 1:
            return None
        for position, x in enumerate(node.inputs):
            other = inputs[1 - position]
            if x.shape == node.shape and size_of(other.shape[:-1]) == 1 and len(other.shape) < 2:
                product = turned(x, axes, made[x])
                if product is not None:
                    pair = (product, other) if position == 0 else (other, product)
                    return make("add", *pair, like=node)
        return None

    made: dict[Node, tuple[Node, ...]] = {}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        made[node] = inputs
        if node.op.name == "transpose":
            x = node.inputs[0]
            better = turned(x, node.attributes["axes"], made.get(x, x.inputs))
            if better is not None:
                return better
        if inputs == node.inputs:
            return node
        return Node(node.op, inputs, node.attributes, node.shape, node.dtype, node.value, node.source)

    return graph.map_nodes(rewrite)


def _product(node: Node, axes: Sequence[int], inputs: tuple[Node, ...]) -> Node | None:
    """The product with its axes in this order, unless an operand larger than it would have to be turned."""
    *operands, out = split_spec(node.attributes["spec"])
    if any(label in operands[0] and label in operands[1] for label in out):
        return None  # a stack: the order of its members is that of both operands
    order = "".join(out[axis] for axis in axes)
    for x, labels in zip(inputs, operands, strict=True):
        before, after = ([label for label in result if label in labels] for result in (out, order))
        if before != after and size_of(x.shape) > size_of(node.shape):
            return None
    return make("contract", *inputs, spec=f"{operands[0]},{operands[1]}->{order}", like=node)
