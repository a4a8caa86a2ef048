"""Flatten: arrays of any rank become matrices, whose rows are all axes but the last taken together.

Such a reshape moves nothing in memory, and kernels for matrices do the work: elementwise ops, sums along the
last axis or over all others, products, stacks of products. What is left keeps its rank and is lowered as a
block with loops of its own: other reductions, and whatever rearranges.
"""

from __future__ import annotations

from collections.abc import Sequence

from glassnet.compiler.passes.rewrite import STACKS, apply_rules, make
from glassnet.core.graph import Graph, Node
from glassnet.core.shape import Shape, size_of
from glassnet.ops.matrix import split_spec


def flatten(graph: Graph) -> Graph:
    """The graph with matrices wherever a kernel works on matrices."""

    def settled(node: Node) -> Node | None:
        if node.op.broadcasts and len(node.shape) > 2:
            return _elementwise(node)
        return None

    names = {node.op.name for node in graph.nodes if node.op.broadcasts}
    return apply_rules(graph, {**dict.fromkeys(names, (settled,)), **_RULES})


def reshaped(x: Node, shape: Shape, like: Node | None = None) -> Node:
    """`x` in another shape; itself where that is its shape."""
    return x if x.shape == shape else make("reshape", x, shape=shape, like=like or x)


def transposed(x: Node, axes: Sequence[int], like: Node | None = None) -> Node:
    """`x` with its axes in this order; itself where that is theirs."""
    axes = tuple(axes)
    return x if axes == tuple(range(len(x.shape))) else make("transpose", x, axes=axes, like=like or x)


def _matrix(shape: Shape) -> Shape:
    return size_of(shape[:-1]), shape[-1]


def _elementwise(node: Node) -> Node:
    operands = [_operand(x, node.shape) for x in node.inputs]
    flat = make(node.op, *operands, like=node, **node.attributes)
    if flat.shape != _matrix(
        node.shape
    ):  # the operands spread over one another: one of them has to be spread
        operands[0] = make("broadcast_to", operands[0], shape=_matrix(node.shape), like=node)
        flat = make(node.op, *operands, like=node, **node.attributes)
    return reshaped(flat, node.shape)


def _operand(x: Node, shape: Shape) -> Node:
    """An operand of an op of this shape as a matrix, a row, a column or a number."""
    own = (1,) * (len(shape) - len(x.shape)) + x.shape
    if size_of(own) == 1:
        return reshaped(x, ())
    if size_of(own[:-1]) == 1:
        return reshaped(x, (own[-1],))
    whole = (*shape[:-1], own[-1])
    if own != whole:
        x = make("broadcast_to", x, shape=whole, like=x)
    return reshaped(x, _matrix(whole))


def _cast(node: Node) -> Node | None:
    if len(node.shape) < 3:
        return None
    flat = reshaped(node.inputs[0], _matrix(node.shape), node)
    return reshaped(make(node.op, flat, like=node, **node.attributes), node.shape)


def _broadcast(node: Node) -> Node | None:
    x, shape = node.inputs[0], node.shape
    if len(shape) < 3:
        return None
    own = (1,) * (len(shape) - len(x.shape)) + x.shape
    if size_of(own[:-1]) > 1 and own[:-1] != shape[:-1]:
        return None
    flat = make("broadcast_to", _operand(x, (*shape[:-1], own[-1])), shape=_matrix(shape), like=node)
    return reshaped(flat, shape)


def _one_hot(node: Node) -> Node | None:
    labels = node.inputs[0]
    if len(labels.shape) == 1:
        return None
    flat = make(node.op, reshaped(labels, (size_of(labels.shape),), node), like=node, **node.attributes)
    return reshaped(flat, node.shape)


def _row_max(node: Node) -> Node | None:
    x = node.inputs[0]
    if len(x.shape) < 3:
        return None
    return reshaped(make(node.op, reshaped(x, _matrix(x.shape), node), like=node), node.shape)


def _sum(node: Node) -> Node | None:
    x, axes = node.inputs[0], node.attributes["axes"]
    rank = len(x.shape)
    if x.dtype.kind != "f" or rank < 2 or (rank == 2 and len(axes) == 1):
        return None
    if len(axes) == rank:  # the sum over a matrix is the sum over its row sums
        rows = make("sum", reshaped(x, _matrix(x.shape), node), axes=(1,), keepdims=False, like=node)
        return reshaped(make("sum", rows, axes=(0,), keepdims=False, like=node), node.shape)
    if axes in ((rank - 1,), tuple(range(rank - 1))):
        along = (1,) if axes == (rank - 1,) else (0,)
        flat = make("sum", reshaped(x, _matrix(x.shape), node), axes=along, keepdims=True, like=node)
        return reshaped(flat, node.shape)
    return None


def _contract(node: Node) -> Node | None:
    """A product of matrices, or of stacks of them: n u k (or n k u) with n k v."""
    x, y = node.inputs
    x_labels, y_labels, out = split_spec(node.attributes["spec"])
    batch = [label for label in out if label in x_labels and label in y_labels]
    inner = [label for label in x_labels if label in y_labels and label not in out]
    own = [label for label in out if label not in y_labels], [label for label in out if label not in x_labels]
    if not batch and len(inner) == len(own[0]) == len(own[1]) == 1:
        return None
    if node.attributes["spec"] in STACKS:
        return None
    if _position(out, own[1]) < _position(
        out, own[0]
    ):  # the operand whose axes come first in the result is x
        x, y, x_labels, y_labels, own = y, x, y_labels, x_labels, (own[1], own[0])
    rows, columns = own
    extents = dict(zip(x_labels + y_labels, (*x.shape, *y.shape), strict=True))
    sizes = [size_of(tuple(extents[label] for label in group)) for group in (batch, rows, columns, inner)]
    n, u, v, k = sizes
    # an axis of extent 1 that is left out lies in front: a line of one element would be all padding
    # where both ways have to be laid anew, the one that keeps the lines is a copy of whole lines
    across = _runs(x_labels, batch, inner, rows) or x_labels[-1] in rows
    upright = bool(inner) and (_runs(x_labels, batch, rows, inner) or not across)
    left = _arranged(x, x_labels, [*batch, *(rows + inner if upright else inner + rows)], node)
    flipped = not batch and _runs(y_labels, columns, inner)
    right = _arranged(y, y_labels, [*batch, *(columns + inner if flipped else inner + columns)], node)
    lead = (n,) if batch else ()
    stack = "n" if batch else ""
    left = reshaped(left, (*lead, *((u, k) if upright else (k, u))), node)
    right = reshaped(right, (*lead, *((v, k) if flipped else (k, v))), node)
    spec = f"{stack}{'uk' if upright else 'ku'},{stack}{'vk' if flipped else 'kv'}->{stack}uv"
    product = make("contract", left, right, spec=spec, like=node)
    order = [*batch, *rows, *columns]
    product = reshaped(product, tuple(extents[label] for label in order), node)
    return transposed(product, [order.index(label) for label in out], node)


def _position(out: str, labels: Sequence[str]) -> int:
    return min((out.index(label) for label in labels), default=len(out))


def _runs(labels: str, *groups: Sequence[str]) -> bool:
    """True where the labels are these groups, one behind the other."""
    return labels == "".join(label for group in groups for label in group)


def _arranged(x: Node, labels: str, order: Sequence[str], like: Node) -> Node:
    return transposed(x, [labels.index(label) for label in order], like)


_RULES = {
    "cast": (_cast,),
    "convert": (_cast,),
    "broadcast_to": (_broadcast,),
    "one_hot": (_one_hot,),
    "row_max": (_row_max,),
    "sum": (_sum,),
    "contract": (_contract,),
}
