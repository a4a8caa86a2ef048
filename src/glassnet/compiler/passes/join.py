"""Join: a sum of products is one node, whose sums go on over the operands of the next product.

contract(a, b) + (contract(c, d) + x) -> products(a, b, c, d) + x
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from glassnet.compiler.passes.rewrite import make
from glassnet.compiler.passes.vocabulary import PRODUCTS
from glassnet.core.graph import Graph, Node


def join(graph: Graph) -> Graph:
    """The graph with one node for each sum of products of matrices that are wanted nowhere else."""
    consumers, outputs = graph.consumers(), set(graph.outputs)
    new: dict[Node, Node] = {}

    def alone(node: Node) -> bool:
        return len(consumers[node]) == 1 and node not in outputs

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        new.update(zip(node.inputs, inputs, strict=True))
        if node.op.name == "add" and len(node.shape) == 2:
            terms = list(_terms(node, alone))
            products = [x for x in terms if _is_product(x) and x.shape == node.shape and alone(x)]
            if len(products) > 1:
                operands = [new[x] for product in products for x in product.inputs]
                specs = tuple(product.attributes["spec"] for product in products)
                total = make(PRODUCTS, *operands, specs=specs, like=products[0])
                for x in terms:
                    if x not in products:
                        total = make("add", total, new[x], like=node)
                return total
        if inputs == node.inputs:
            return node
        return Node(node.op, inputs, node.attributes, node.shape, node.dtype, node.value, node.source)

    return graph.map_nodes(rewrite)


def _is_product(node: Node) -> bool:
    return node.op.name == "contract" and len(node.shape) == 2


def _terms(node: Node, alone: Callable[[Node], bool]) -> Iterator[Node]:
    """What a sum adds up, through the sums that nobody else reads."""
    for x in node.inputs:
        if x.op.name == "add" and x.shape == node.shape and alone(x):
            yield from _terms(x, alone)
        else:
            yield x
