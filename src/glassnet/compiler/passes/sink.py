"""Sink: what a loop reads of a large product, row by row, each step makes from what the product is made of.

The projection of a sequence before a recurrence is one product of all steps, whose table is written once and
read once. Where it is larger than the cache and a step has rows enough to fill tiles, the step's own product
costs no more arithmetic and no memory, and the sums of another product go on from it (see `join`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from glassnet.compiler.passes.loops import Loop, replaced
from glassnet.compiler.passes.rewrite import make
from glassnet.compiler.passes.vocabulary import LOOP
from glassnet.core.graph import Graph, Node
from glassnet.core.shape import size_of
from glassnet.core.trace import placeholder
from glassnet.ops.matrix import split_spec

_LARGE = 2**17  # elements of a table: half a megabyte of float32
_ROWS = 16  # of a step: fewer do not pay for reading the other operand again


def sink(graph: Graph) -> Graph:
    """The graph whose loops make large rows of products themselves."""
    consumers, outputs = graph.consumers(), set(graph.outputs)

    def alone(node: Node) -> bool:
        return len(consumers[node]) == 1 and node not in outputs

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op is LOOP:
            loop, old = Loop.of(node, inputs), Loop.of(node, node.inputs)
            found = {
                inner: _projection(x)
                for (x, inner), (same, _) in zip(loop.rows, old.rows, strict=True)
                if _is_projection(same, alone)
            }
            if found:
                return _sunk(loop, found)
        if inputs == node.inputs:
            return node
        return Node(node.op, inputs, node.attributes, node.shape, node.dtype, node.value, node.source)

    return graph.map_nodes(rewrite)


@dataclass
class _Projection:
    """A product whose rows a loop reads: the operand with the steps, the other one, and a bias perhaps."""

    product: Node
    bias: Node | None

    @property
    def moving(self) -> int:
        """Which operand has the axis of the steps."""
        x, _, out = split_spec(self.product.attributes["spec"])
        return 0 if out[0] in x else 1


def _projection(x: Node) -> _Projection:
    if x.op.name != "add":
        return _Projection(x, None)
    product, bias = sorted(x.inputs, key=lambda y: -len(y.shape))
    return _Projection(product, bias)


def _is_projection(x: Node, alone: Callable[[Node], bool]) -> bool:
    """Whether the rows of x are those of a product, or of one and a bias, that are worth making in steps."""
    found = _projection(x)
    product = found.product
    if product.op.name != "contract" or product.shape != x.shape or not alone(x) or not alone(product):
        return False
    if found.bias is not None and len(found.bias.shape) > 1:
        return False
    *operands, out = split_spec(product.attributes["spec"])
    if len(out) < 3 or all(out[0] in labels for labels in operands):
        return False
    source = product.inputs[found.moving]
    large = size_of(x.shape) >= _LARGE and size_of(x.shape) > size_of(source.shape)
    return large and size_of(x.shape[1:-1]) >= _ROWS


def _sunk(loop: Loop, found: dict[Node, _Projection]) -> Node:
    """The loop that makes these of its rows itself."""
    made: dict[Node, Node] = {}
    rows = [(x, inner) for x, inner in loop.rows if inner not in found]
    for inner, projection in found.items():
        product, moving = projection.product, projection.moving
        labels = list(split_spec(product.attributes["spec"]))
        own, step = labels[moving], labels[2][0]
        order = step + own.replace(step, "")
        source = product.inputs[moving]
        if order != own:
            source = make("transpose", source, axes=tuple(map(own.index, order)), like=product)
        row = placeholder(source.shape[1:], source.dtype).node
        rows.append((source, row))
        operands = [_fixed(loop, x) if place != moving else row for place, x in enumerate(product.inputs)]
        labels[moving], labels[2] = order[1:], labels[2][1:]
        value = make("contract", *operands, spec=f"{labels[0]},{labels[1]}->{labels[2]}", like=product)
        if projection.bias is not None:
            value = make("add", value, _fixed(loop, projection.bias), like=product)
        made[inner] = value
    loop.rows = rows
    results = replaced([*(out for _, _, out in loop.carries), *loop.outputs], made)
    count = len(loop.carries)
    loop.carries = [(x, inner, out) for (x, inner, _), out in zip(loop.carries, results[:count], strict=True)]
    loop.outputs = results[count:]
    return loop.made()


def _fixed(loop: Loop, x: Node) -> Node:
    """A new input of the body that is x in every step."""
    inner = placeholder(x.shape, x.dtype).node
    loop.fixed.append((x, inner))
    return inner
