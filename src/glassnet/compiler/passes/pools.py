"""Pools: what a derivative does to the largest of each window, recognised as one op and its way back.

The derivative of a maximum over windows lays the windows out, takes their argmax, writes what came back to
that tap and folds the taps together. Where windows lie side by side, that is `unpool(y, window_place(x))`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from glassnet.compiler.passes.image_ops import UNPOOL, WINDOW_MAX, WINDOW_PLACE
from glassnet.compiler.passes.rewrite import apply_rules, known, make, uniform
from glassnet.core.graph import Graph, Node
from glassnet.core.shape import Shape


def name_pools(graph: Graph) -> Graph:
    """The graph with `unpool` for what goes back through a maximum over windows side by side."""
    return apply_rules(graph, {"fold": (_fold,), "put_add": (_put_back,)})


def side_by_side(space: Shape, attributes: Mapping[str, Any], window: Shape) -> bool:
    """Whether windows lie side by side from the first element of the space on, all inside."""
    return (
        tuple(attributes["stride"]) == tuple(window)
        and all(d == 1 for d in attributes["dilation"])
        and all(low == 0 for low in attributes["low"])
        and all(p * w <= n for p, w, n in zip(attributes["extents"], window, space, strict=True))
    )


def _fold(node: Node) -> Node | None:
    # fold(put_add(y, ..., argmax(windows(x)))) -> unpool(y, window_place(x))
    put = _within(node.inputs[0])
    attributes = dict(node.attributes)
    space = attributes.pop("space")
    if put.op.name != "put_add" or not side_by_side(space, attributes, attributes["window"]):
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
    """The argmax over the last axis that a `put_add` writes to, if it fills every place in front of it."""
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


def behind_pool(image: Node, made: Callable[..., Node]) -> Node:
    """f(unpool(y), x) -> unpool(f(y, window_max(x))) where x is what was pooled and f(0, x) is 0.

    The slope of an activation is wanted at the largest of a window alone: so the map in front of the pool
    need not be kept. `made(op, *inputs, like=..., **attributes)` gives a node that is shared with its equals.
    """
    if image.op.name == "where" and uniform(image.inputs[2]) == 0:
        slope, moved, rest = image.inputs[0], image.inputs[1], image.inputs[2:]
    elif image.op.name == "multiply":
        left, right = image.inputs
        moved, slope = (left, right) if left.op is UNPOOL else (right, left)
        rest = ()
    else:
        return image
    if moved.op is not UNPOOL or moved.shape != image.shape:
        return image
    y, place = moved.inputs
    x = place.inputs[0]
    if not _is_function_of(slope, x):
        return image
    pooled = made(WINDOW_MAX, x, like=image, **place.attributes)
    behind = _substituted(slope, x, pooled, made)
    operands = (behind, y, *rest) if image.op.name == "where" else (y, behind)
    return make(UNPOOL, make(image.op, *operands, like=image), place, like=image, **moved.attributes)


def _substituted(node: Node, x: Node, pooled: Node, made: Callable[..., Node]) -> Node:
    if node is x:
        return pooled
    if node.op.name == "constant":
        return node
    operands = [_substituted(source, x, pooled, made) for source in node.inputs]
    return made(node.op, *operands, like=node, **node.attributes)


def _is_function_of(node: Node, x: Node) -> bool:
    """Whether the node is made of x and numbers alone, element by element."""
    if node is x or node.op.name == "constant":
        return node is x or uniform(node) is not None
    elementwise = node.op.broadcasts or node.op.name in ("cast", "convert")
    return elementwise and all(_is_function_of(source, x) for source in node.inputs)
