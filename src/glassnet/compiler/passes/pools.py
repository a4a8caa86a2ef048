"""Pools: what a derivative does to the largest of each window, recognised as one op and its way back.

The derivative of a maximum over windows lays the windows out, takes their argmax, writes what came back to
that tap and folds the taps together. Where windows lie side by side, that is `unpool(y, window_place(x))`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from glassnet.compiler.passes.image_ops import UNPOOL, WINDOW_PLACE
from glassnet.compiler.passes.rewrite import apply_rules, known, make
from glassnet.core.graph import Graph, Node
from glassnet.core.shape import Shape


def name_pools(graph: Graph) -> Graph:
    """The graph with `unpool` for what goes back through a maximum over windows side by side."""
    return apply_rules(graph, {"fold": (_fold,), "put_add": (_put_back,)})


def side_by_side(space: Shape, attributes: Mapping[str, Any], window: Shape | None = None) -> bool:
    """Whether windows lie side by side from the first element of the space on, all inside."""
    taps: Shape = tuple(attributes["window"] if window is None else window)
    return (
        tuple(attributes["stride"]) == taps
        and all(d == 1 for d in attributes["dilation"])
        and all(low == 0 for low in attributes["low"])
        and all(p * w <= n for p, w, n in zip(attributes["extents"], taps, space, strict=True))
    )


def _fold(node: Node) -> Node | None:
    # fold(put_add(y, ..., argmax(windows(x)))) -> unpool(y, window_place(x))
    put = _within(node.inputs[0])
    attributes = dict(node.attributes)
    space = attributes.pop("space")
    if put.op.name != "put_add" or not side_by_side(space, attributes):
        return None
    largest = _argmax(put)
    if largest is None:
        return None
    seen = _within(largest.inputs[0])
    same = seen.op.name == "windows" and dict(seen.attributes) == attributes
    if not same or seen.inputs[0].shape != node.shape:
        return None
    x, lead = seen.inputs[0], node.shape[: len(node.shape) - len(space)]
    y = _reshaped(put.inputs[0], (*lead, *attributes["extents"]))
    return _unpool(x, y, attributes["window"], space)


def _put_back(node: Node) -> Node | None:
    # put_add(y, ..., argmax(x)) along the last axis -> unpool(y, window_place(x)) with one window
    largest = _argmax(node)
    if largest is None:
        return None
    joined = largest.inputs[0]
    x = _within(joined)
    if (
        joined.shape != node.shape
        or len(node.shape) != 3
        or x.shape[:2] != node.shape[:2]
        or len(x.shape) < 3
    ):
        return None
    space = x.shape[2:]
    y = _reshaped(node.inputs[0], (*node.shape[:2], *(1,) * len(space)))
    return _reshaped(_unpool(x, y, space, space), node.shape)


def _unpool(x: Node, y: Node, window: Shape, space: Shape) -> Node:
    extents = y.shape[len(y.shape) - len(space) :]
    place = make(WINDOW_PLACE, x, window=tuple(window), extents=extents, like=y)
    return make(UNPOOL, y, place, window=tuple(window), space=tuple(space), like=y)


def _argmax(put: Node) -> Node | None:
    """The argmax over the last axis that a `put_add` writes to, if it writes to all places before it."""
    _, *leading, last = put.inputs
    for axis, index in enumerate(leading):
        value, extent = known(index), put.attributes["shape"][axis]
        upright = extent == 1 or index.shape == (extent, *(1,) * (len(last.shape) - axis - 1))
        if value is None or not upright or not np.array_equal(value.ravel(), np.arange(extent)):
            return None
    largest = _within(last)
    if len(leading) != len(put.attributes["shape"]) - 1 or largest.op.name != "argmax":
        return None
    return largest if largest.attributes["axis"] == len(largest.inputs[0].shape) - 1 else None


def _within(node: Node) -> Node:
    return node.inputs[0] if node.op.name == "reshape" else node


def _reshaped(node: Node, shape: Shape) -> Node:
    node = _within(node) if _within(node).shape == shape else node
    return node if node.shape == shape else make("reshape", node, shape=shape, like=node)
