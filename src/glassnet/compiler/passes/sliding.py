"""Sliding windows: the padding becomes zeros around an array, and windows read plain strided memory.

Afterwards no window begins in front of its array or ends behind it (`low` is 0), and a transposed convolution
is a convolution of what it spreads out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glassnet.compiler.passes.rewrite import Rule, apply_rules, make, number
from glassnet.compiler.passes.slices import Part, slices, taken
from glassnet.core.dtype import DType
from glassnet.core.graph import Graph, Node
from glassnet.core.shape import Shape
from glassnet.core.trace import constant
from glassnet.ops.windows import Sliding, sliding_of


def slide(graph: Graph) -> Graph:
    """The graph with windows that lie within their arrays."""
    return apply_rules(graph, SLIDING_RULES)


def _whole(shape: Shape) -> list[Part]:
    return [(0, extent, 1) for extent in shape]


def _placed(x: Node, sliding: Sliding) -> Node:
    """x among zeros, so that its windows start at its first element and end within it."""
    rank = len(sliding.low)
    lead, space = x.shape[: len(x.shape) - rank], x.shape[len(x.shape) - rank :]
    wider = tuple(
        max(low + extent, length)
        for low, extent, length in zip(sliding.low, space, sliding.lengths(), strict=True)
    )
    if wider == space:
        return x
    parts = [(low, extent, 1) for low, extent in zip(sliding.low, space, strict=True)]
    return make("scatter", x, index=slices([*_whole(lead), *parts]), shape=(*lead, *wider), like=x)


def _zeros(sliding: Sliding) -> Shape:
    return (0,) * len(sliding.low)


def _windows(node: Node) -> Node | None:
    x, sliding = node.inputs[0], Sliding(**node.attributes)
    placed = _placed(x, sliding)
    if placed is x and sliding.low == _zeros(sliding):
        return None
    return make("windows", placed, **{**node.attributes, "low": _zeros(sliding)}, like=node)


def _fold(node: Node) -> Node | None:
    y, space = node.inputs[0], node.attributes["space"]
    sliding = Sliding(**{name: value for name, value in node.attributes.items() if name != "space"})
    wider = tuple(
        max(low + extent, length)
        for low, extent, length in zip(sliding.low, space, sliding.lengths(), strict=True)
    )
    if wider == space:
        return None
    whole = make("fold", y, **{**node.attributes, "space": wider, "low": _zeros(sliding)}, like=node)
    lead = whole.shape[: len(whole.shape) - len(space)]
    parts = [(low, extent, 1) for low, extent in zip(sliding.low, space, strict=True)]
    return taken(whole, [*_whole(lead), *parts], node)


def _convolution(node: Node) -> Node | None:
    x, w = node.inputs
    rank = len(node.attributes["extents"])
    sliding = sliding_of(node.attributes, w.shape[len(w.shape) - rank :])
    placed = _placed(x, sliding)
    if placed is x and sliding.low == _zeros(sliding):
        return None
    return make("convolution", placed, w, **{**node.attributes, "low": _zeros(sliding)}, like=node)


def _transposed_convolution(node: Node) -> Node:
    # x[i] = sum of y[p] w[k], stride p + dilation k - low = i: the convolution of y, its elements `stride`
    # apart among zeros, with the taps in reverse
    y, w = node.inputs
    space, stride, dilation = (node.attributes[name] for name in ("space", "stride", "dilation"))
    rank = len(space)
    taps = w.shape[len(w.shape) - rank :]
    lead, extents = y.shape[: len(y.shape) - rank], y.shape[len(y.shape) - rank :]
    parts, wider, cut = list[Part](), list[int](), list[Part]()
    for axis, low in enumerate(node.attributes["low"]):
        reach = dilation[axis] * (taps[axis] - 1)
        first = max(reach - low, 0)
        start = first - (reach - low)  # what is cut off in front
        needed = space[axis] + reach
        parts.append((first, extents[axis], stride[axis]))
        wider.append(max(start + needed, first + stride[axis] * (extents[axis] - 1) + 1))
        cut.append((start, needed, 1))
    spread = make("scatter", y, index=slices([*_whole(lead), *parts]), shape=(*lead, *wider), like=node)
    spread = taken(spread, [*_whole(lead), *cut], node)
    backwards = [(tap - 1, tap, -1) for tap in taps]
    turned = taken(w, [*_whole(w.shape[: len(w.shape) - rank]), *backwards], node)
    ones, zeros = (1,) * rank, (0,) * rank
    return make(
        "convolution",
        spread,
        turned,
        spec=node.attributes["spec"],
        extents=space,
        stride=ones,
        dilation=dilation,
        low=zeros,
        like=node,
    )


def _max_pool(node: Node) -> Node | None:
    x, sliding = node.inputs[0], Sliding(**node.attributes)
    placed = _placed(x, sliding)
    if placed is x and sliding.low == _zeros(sliding):
        return None
    if placed is not x:
        # the padding is never the largest
        inside = np.zeros(placed.shape[len(placed.shape) - len(sliding.low) :], bool)
        space = x.shape[len(x.shape) - len(sliding.low) :]
        inside[tuple(slice(low, low + n) for low, n in zip(sliding.low, space, strict=True))] = True
        lowest = number(_lowest(x.dtype), x.dtype)
        placed = make("where", constant(inside), placed, lowest, like=node)
    return make("max_pool", placed, **{**node.attributes, "low": _zeros(sliding)}, like=node)


def _lowest(dtype: DType) -> float:
    if dtype.kind == "f":
        return -np.inf
    return int(np.iinfo(dtype).min) if dtype.kind in "iu" else 0


# -- one element of each line, at the place of the largest


def _place_along(arrays: Sequence[Node], shape: Shape) -> Node | None:
    """The last index array, if it is where a line is largest or smallest and the others count the lines."""
    *grids, place = arrays
    lead = shape[:-1]
    source = place
    while source.op.name == "reshape":
        source = source.inputs[0]
    if source.op.name not in ("argmax", "argmin") or len(arrays) != len(shape) or place.shape != (*lead, 1):
        return None
    for axis, grid in enumerate(grids):
        if grid.op.name != "constant" or len(grid.shape) > len(shape):
            return None
        own = np.arange(lead[axis]).reshape(-1, *(1,) * (len(lead) - axis))
        if not np.array_equal(np.broadcast_to(grid.value, (*lead, 1)), np.broadcast_to(own, (*lead, 1))):
            return None
    return place


def _at(place: Node, extent: int, like: Node) -> Node:
    """True at that place of each line."""
    return make("equal", constant(np.arange(extent)), place, like=like)


def _gather(node: Node) -> Node | None:
    # x[place of the largest] -> sum over (x where it is that place, else 0)
    x, *arrays = node.inputs
    place = _place_along(arrays, x.shape)
    if place is None or x.dtype.kind != "f":
        return None
    chosen = make("where", _at(place, x.shape[-1], node), x, number(0, x.dtype), like=node)
    return make("sum", chosen, axes=(len(x.shape) - 1,), keepdims=True, like=node)


def _put_add(node: Node) -> Node | None:
    # x put at the place of the largest -> x where it is that place, else 0
    x, *arrays = node.inputs
    place = _place_along(arrays, node.shape)
    if place is None:
        return None
    return make("where", _at(place, node.shape[-1], node), x, number(0, x.dtype), like=node)


SLIDING_RULES: dict[str, tuple[Rule, ...]] = {
    "windows": (_windows,),
    "fold": (_fold,),
    "convolution": (_convolution,),
    "transposed_convolution": (_transposed_convolution,),
    "max_pool": (_max_pool,),
    "gather": (_gather,),
    "put_add": (_put_add,),
}
