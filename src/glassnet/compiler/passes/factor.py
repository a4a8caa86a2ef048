"""Factor: no product is made of rows that are all alike, or only to be added up.

    contract(spread(x), y)  -> spread(contract(x, y))        along an axis of x that the result has
    contract(spread(x), y)  -> contract(x, sum(y))           along one that is summed over
    sum(contract(x, y) + z) -> contract(sum(x), y) + sum(z)  along an axis of x alone
    sum(spread(x))          -> n sum(x)

Such products stand around every mean over positions. Sums and products change places here, so results differ
from those of the graph as written by what rounding does to them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from glassnet.compiler.passes.rewrite import STACKS, make, number
from glassnet.core.graph import Graph, Node
from glassnet.core.shape import Shape, size_of
from glassnet.ops.matrix import split_spec

_WIDTH = 8  # of the other operand: a product with fewer columns is no dearer than a sum


def factor(graph: Graph) -> Graph:
    """The graph with sums in front of products, and products in front of what spreads them."""
    consumers, outputs = graph.consumers(), set(graph.outputs)
    new: dict[Node, Node] = {}

    def alone(node: Node) -> bool:
        return len(consumers[node]) == 1 and node not in outputs

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        new.update(zip(node.inputs, inputs, strict=True))
        better = None
        if node.op.name == "contract" and node.attributes["spec"] not in STACKS:
            better = _of_spread(node, inputs, 0) or _of_spread(node, inputs, 1)
        elif node.op.name == "sum" and node.dtype.kind == "f" and not node.attributes["keepdims"]:
            better = _sum(node, [(new.get(x, x), alone(x)) for x in _terms(node.inputs[0], alone)])
        if better is not None:
            return better
        if inputs == node.inputs:
            return node
        return Node(node.op, inputs, node.attributes, node.shape, node.dtype, node.value, node.source)

    return graph.map_nodes(rewrite)


# -- products of what is spread


def _of_spread(node: Node, inputs: Sequence[Node], this: int) -> Node | None:
    """A product of which operand number `this` is spread along axes, made of what is spread."""
    *labels, out = split_spec(node.attributes["spec"])
    mine, theirs = labels[this], labels[1 - this]
    sizes = dict(zip(mine, inputs[this].shape, strict=True))
    dear = size_of(tuple(n for label, n in sizes.items() if label not in theirs)) >= _WIDTH
    spread = {mine[axis] for axis in _spread_axes(inputs[this])}
    dropped = {label for label in spread if (dear if label not in out else label not in theirs)}
    if not dropped or dropped.issuperset(label for label in mine if label not in out):
        return None  # NOTE a product that sums over nothing is not one of matrices
    operands = [
        _unspread(x, own, dropped)
        if place == this
        else _summed(x, [own.index(d) for d in dropped if d in own])
        for place, (x, own) in enumerate(zip(inputs, labels, strict=True))
    ]
    short = ["".join(label for label in own if label not in dropped) for own in (*labels, out)]
    product = make("contract", *operands, spec=f"{short[0]},{short[1]}->{short[2]}", like=node)
    upright = tuple(1 if label in dropped else n for label, n in zip(out, node.shape, strict=True))
    product = _shaped(product, upright)
    return product if upright == node.shape else make("broadcast_to", product, shape=node.shape, like=node)


def _spread_axes(x: Node) -> list[int]:
    """The axes along which a value is the same everywhere because it was spread over them."""
    if x.op.name != "broadcast_to":
        return []
    own = _aligned(x.inputs[0].shape, len(x.shape))
    return [axis for axis, (n, whole) in enumerate(zip(own, x.shape, strict=True)) if n < whole]


def _unspread(x: Node, labels: str, dropped: Collection[str]) -> Node:
    """What was spread over the dropped axes, without them, and over the others still."""
    kept = [axis for axis, label in enumerate(labels) if label not in dropped]
    own = _aligned(x.inputs[0].shape, len(x.shape))
    source = _shaped(x.inputs[0], tuple(own[axis] for axis in kept))
    shape = tuple(x.shape[axis] for axis in kept)
    return source if source.shape == shape else make("broadcast_to", source, shape=shape, like=x)


# -- sums of products, and of what is spread


def _terms(x: Node, alone: Callable[[Node], bool]) -> Iterator[Node]:
    """What is added up in x, through the sums that nobody else reads."""
    if x.op.name == "add" and alone(x):
        for y in x.inputs:
            yield from _terms(y, alone)
    else:
        yield x


def _sum(node: Node, terms: Sequence[tuple[Node, bool]]) -> Node | None:
    """The sum of these terms, each summed for itself; whether nobody else reads a term stands beside it."""
    whole, axes = node.inputs[0].shape, node.attributes["axes"]
    dear = [lone and _is_dear(x, axes) for x, lone in terms]
    if not any(dear) and not any(set(axes).intersection(_spread_axes(x)) for x, _ in terms):
        return None
    parts = [
        _product_of_sums(x, axes) if product else _sum_of(x, axes, whole)
        for (x, _), product in zip(terms, dear, strict=True)
    ]
    total = parts[0]
    for part in parts[1:]:
        total = make("add", total, part, like=node)
    return total if total.shape == node.shape else make("broadcast_to", total, shape=node.shape, like=node)


def _is_dear(x: Node, axes: Sequence[int]) -> bool:
    """True for a product that costs more than the sums of its operands over these axes of it."""
    if x.op.name != "contract" or x.attributes["spec"] in STACKS:
        return False
    *labels, out = split_spec(x.attributes["spec"])
    if any(out[axis] in labels[0] and out[axis] in labels[1] for axis in axes):
        return False
    sizes = dict(zip(out, x.shape, strict=True))
    widths = [size_of(tuple(n for label, n in sizes.items() if label not in own)) for own in labels]
    summed = [any(out[axis] in own for axis in axes) for own in labels]
    return all(width >= _WIDTH for width, own in zip(widths, summed, strict=True) if own)


def _product_of_sums(x: Node, axes: Sequence[int]) -> Node:
    *labels, out = split_spec(x.attributes["spec"])
    dropped = {out[axis] for axis in axes}
    operands = [
        _summed(y, [own.index(label) for label in own if label in dropped])
        for y, own in zip(x.inputs, labels, strict=True)
    ]
    short = ["".join(label for label in own if label not in dropped) for own in (*labels, out)]
    return make("contract", *operands, spec=f"{short[0]},{short[1]}->{short[2]}", like=x)


def _sum_of(x: Node, axes: Sequence[int], whole: Shape) -> Node:
    """The sum over axes of `whole`, the shape to which x is spread; extents of 1 may stand for the others."""
    source = x.inputs[0] if x.op.name == "broadcast_to" else x
    own, lead = _aligned(source.shape, len(whole)), len(whole) - len(source.shape)
    part = _summed(source, [axis - lead for axis in axes if own[axis] > 1])
    part = _shaped(part, tuple(n for axis, n in enumerate(own) if axis not in axes))
    count = size_of(tuple(whole[axis] for axis in axes)) // size_of(tuple(own[axis] for axis in axes))
    return part if count == 1 else make("multiply", number(count, x.dtype), part, like=x)


# -- shapes


def _aligned(shape: Shape, rank: int) -> Shape:
    """The shape with axes of extent 1 in front, as it is broadcast to a rank."""
    return (1,) * (rank - len(shape)) + shape


def _shaped(x: Node, shape: Shape) -> Node:
    return x if x.shape == shape else make("reshape", x, shape=shape, like=x)


def _summed(x: Node, axes: Sequence[int]) -> Node:
    return make("sum", x, axes=tuple(sorted(axes)), keepdims=False, like=x) if axes else x
