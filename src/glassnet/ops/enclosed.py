"""What the ops that run a graph share: how a body is cut out of a trace, and how many results become one.

A node has one value, so such an op lays all results of its body side by side (`pack`), and they are taken
apart again (`unpack`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import DType, is_floating
from glassnet.core.graph import Graph, Node, ancestors
from glassnet.core.shape import Shape, size_of
from glassnet.core.trace import Array, placeholder
from glassnet.errors import ShapeError
from glassnet.ops.conversion import astype
from glassnet.ops.shaping import broadcast_to, concatenate, reshape

Leaves = list[Any]


def enclose(inputs: Sequence[Node], outputs: Sequence[Node], oldest: int) -> tuple[Graph, list[Array]]:
    """What was traced from `inputs` to `outputs` as a graph of shapes alone, and what it reads from outside.

    A node older than `oldest` is outside; it becomes one more input of the graph.
    """
    inner = {x: placeholder(x.shape, x.dtype).node for x in inputs}
    leaves = list(inner.values())
    outside: list[Array] = []

    def inside(node: Node) -> Node:
        if node not in inner:
            if node.op.name == "constant":
                return node
            outside.append(Array(node))
            inner[node] = placeholder(node.shape, node.dtype).node
            leaves.append(inner[node])
        return inner[node]

    for node in ancestors(outputs, oldest, stop=inputs):
        if node not in inner and node.op.name != "constant":
            arguments = tuple(inside(x) for x in node.inputs)
            inner[node] = Node(node.op, arguments, node.attributes, node.shape, node.dtype, None, node.source)
    results = [inside(node) for node in outputs]
    return Graph.of(leaves, results), outside


def packed_type(name: str, inputs: Sequence[Node], body: Graph, scanned: range) -> tuple[int, DType]:
    """The width and dtype of what an op lays flat, where its inputs fit its body."""
    # A body is traced for the shapes and dtypes of its inputs, and holds for no others.
    for number, (x, inner) in enumerate(zip(inputs, body.inputs, strict=True)):
        shape = x.shape[1:] if number in scanned else x.shape
        if (shape, x.dtype) != (inner.shape, inner.dtype):
            raise ShapeError(
                f"{name} got {x.dtype}{list(shape)} as input {number} of a body that was traced for "
                f"{inner.dtype}{list(inner.shape)}."
            )
    width = 0
    for node in body.outputs:
        width += size_of(node.shape)
    return width, np.result_type(*(node.dtype for node in body.outputs))


def lay_flat(xp: Any, parts: Sequence[Any]) -> Any:
    """All results of a body side by side, over an array namespace."""
    return xp.concat([xp.reshape(part, (-1,)) for part in parts])


def pack(parts: Sequence[Any], lead: Shape) -> Any:
    """Arrays side by side, beneath the leading axes `lead` that they share."""
    rows = [reshape(x, (*lead, size_of(np.shape(x)[len(lead) :]))) for x in parts]
    return concatenate(rows, axis=len(lead))


def unpack(packed: Any, nodes: Sequence[Node], lead: Shape) -> Leaves:
    """What `pack` laid side by side, taken apart into the shapes and dtypes of `nodes`."""
    parts: Leaves = []
    start = 0
    for node in nodes:
        stop = start + size_of(node.shape)
        part = reshape(packed[..., start:stop], (*lead, *node.shape))
        parts.append(part if part.dtype == node.dtype else astype(part, node.dtype))
        start = stop
    return parts


def with_zeros(slopes: Sequence[Any], nodes: Sequence[Node], lead: Shape) -> Leaves:
    """The tangents of the floating nodes, with zeros beside them for the others."""
    remaining = iter(slopes)
    return [next(remaining) if is_floating(node.dtype) else np.zeros((*lead, *node.shape)) for node in nodes]


def zeros_beside(x: Any) -> Any:
    """Zeros of the shape and dtype of `x`."""
    return np.zeros(np.shape(x), x.dtype)


def tangent_of(tangent: Any, x: Any) -> Any:
    """The tangent of `x`, where None stands for zeros."""
    return zeros_beside(x) if tangent is None else tangent


def are_floating(nodes: Sequence[Node]) -> list[bool]:
    """Which nodes can carry a derivative."""
    return [is_floating(node.dtype) for node in nodes]


def flagged(items: Sequence[Any], flags: Sequence[bool]) -> Leaves:
    """The items whose flag is set."""
    return [x for x, flag in zip(items, flags, strict=True) if flag]


def extent_of(inputs: Sequence[Any], batched: Sequence[bool]) -> int:
    """The number of examples in a batch."""
    return next(x.shape[0] for x, flag in zip(inputs, batched, strict=True) if flag)


def spread_batch(inputs: Sequence[Any], batched: Sequence[bool], extent: int) -> Leaves:
    """Every input with a batch axis: what has none is repeated."""
    pairs = zip(inputs, batched, strict=True)
    return [x if flag else broadcast_to(x, (extent, *np.shape(x))) for x, flag in pairs]


def plain_or_traced(x: Any) -> Any:
    """A leaf of a tree as an array, traced or plain."""
    return x if type(x) is Array else np.asarray(x)


def check_carry(name: str, before: Sequence[Any], after: Sequence[Any]) -> None:
    """ShapeError where a body changes the form of its carry."""
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise ShapeError(
                f"{name} starts with {old.dtype}{list(old.shape)} as array {number} of its carry "
                f"and its body returns {new.dtype}{list(new.shape)}; both must have one shape and dtype."
            )
