"""Reductions over any axes: sums, products, the largest and the smallest, where these are, and truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from glassnet.compiler.loop_ir import Builder, Constant, Index, Operand, Position, Type
from glassnet.compiler.lowering import arithmetic
from glassnet.compiler.lowering.nest import Block, along, over
from glassnet.compiler.lowering.view import View
from glassnet.compiler.passes.elements import value_type
from glassnet.core.graph import Node

_WHOLE_RANGE = {"i1": (0, 1), "i32": (-(2**31), 2**31 - 1), "i64": (-(2**63), 2**63 - 1)}
_COMBINE = {
    "sum": "add",
    "prod": "multiply",
    "max": "maximum",
    "min": "minimum",
    "any": "maximum",
    "all": "minimum",
}


def combine(b: Builder, node: Node) -> Callable[[Operand, Operand], Operand]:
    """How the reduction takes two numbers to one; NaN of either is kept."""
    lowering = arithmetic.LOWERINGS[_COMBINE[node.op.name]]
    return lambda x, y: lowering(b, node, x, y)


def neutral(b: Builder, node: Node, lanes: int) -> Constant:
    """What changes nothing in the reduction."""
    type = value_type(node.dtype, lanes)
    low, high = (-math.inf, math.inf) if type.is_float else _WHOLE_RANGE[type.element]
    number = {"sum": 0, "prod": 1, "max": low, "min": high, "any": 0, "all": 1}[node.op.name]
    return b.constant(number, type)


def _reduce(block: Block, node: Node) -> None:
    x, axes = node.inputs[0], node.attributes["axes"]
    source, target = block.view(x), block.view(node)
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    if node.attributes["keepdims"]:
        target = target.transpose(kept)
    inner = source.transpose([*kept, *axes])
    if len(x.shape) - 1 in axes:
        _across(block, node, inner, target, len(kept))
    else:
        _beside(block, node, inner, target, len(kept))


def _beside(block: Block, node: Node, source: View, target: View, kept: int) -> None:
    """The last axis stays: a vector of results at a time."""
    b, lanes, together = block.b, block.lanes(node), combine(block.b, node)
    start = neutral(b, node, lanes)
    *lead, extent = target.shape

    def line(*at: Position) -> None:
        def piece(j: Position, valid: int) -> None:
            def add(*inner: Position, total: Operand) -> Operand:
                value = source.load(b, [*at, j, *inner], lanes, valid, axis=kept - 1)
                return value if total == start else together(total, value)

            target.store(b, [*at, j], summed(b, source.shape[kept:], add, start), valid)

        along(b, extent, lanes, piece)

    over(b, tuple(lead), line)


def _across(block: Block, node: Node, source: View, target: View, kept: int) -> None:
    """The last axis goes: vectors along it, whose lanes are taken together at the end."""
    b, lanes, together = block.b, block.lanes(node), combine(block.b, node)
    start = neutral(b, node, lanes)
    *middle, extent = source.shape[kept:]
    whole = extent // lanes * lanes

    def result(*at: Position) -> None:
        def rest(*inner: Position, total: Operand) -> Operand:
            (total,) = b.loop(
                0,
                whole,
                lanes,
                lambda j, total: [together(total, source.load(b, [*at, *inner, j], lanes))],
                [total],
            )
            if whole == extent:
                return total
            value = source.load(b, [*at, *inner, whole], lanes, extent - whole)
            valid = b.compare("lt", b.iota(lanes, "i32"), b.constant(extent - whole, Type("i32", lanes)))
            return together(total, b.select(valid, value, start))

        total = summed(b, tuple(middle), rest, start)
        target.store(b, at, b.fold_lanes(total, together))

    over(b, target.shape, result)


def summed(
    b: Builder,
    extents: Sequence[int],
    body: Callable[..., Operand],
    start: Operand,
    taken: Sequence[Position] = (),
) -> Operand:
    """`total = body(*indices, total=total)` for every index of these extents, from `start` on."""
    if len(taken) == len(extents):
        return body(*taken, total=start)
    (total,) = b.loop(
        0, extents[len(taken)], 1, lambda i, total: [summed(b, extents, body, total, [*taken, i])], [start]
    )
    return total


def _place(block: Block, node: Node) -> None:
    """argmax and argmin: the first of equal elements, or the first NaN."""
    b, x, axis = block.b, node.inputs[0], node.attributes["axis"]
    order = [*(k for k in range(len(x.shape)) if k != axis), axis]
    source, target = block.view(x).transpose(order), block.view(node)
    wide = bool(node.shape) and axis < len(x.shape) - 1
    lanes = min(block.lanes(node), block.lanes(x)) if wide else 1
    better = "gt" if node.op.name == "argmax" else "lt"
    *lead, extent = node.shape or (1,)

    def line(*at: Position) -> None:
        def piece(j: Position, valid: int) -> None:
            place = [*at, j] if node.shape else []

            def value(k: Position) -> Operand:
                found = source.load(b, [*place, k], lanes, valid, axis=len(place) - 1 if wide else -1)
                if found.type.element == "i1":
                    whole = found.type.of("i32")
                    return b.select(found, b.constant(1, whole), b.zero(whole))
                return found

            def turn(k: Position, number: Operand, where: Operand) -> list[Operand]:
                other = value(k)
                wins = b.compare(better, other, number)
                if other.type.is_float:  # the first NaN wins, and stays
                    news = b.iand(b.compare("ne", other, other), b.compare("eq", number, number))
                    wins = b.ior(wins, news)
                here = b.splat(b.value_of(Index.of(k)), lanes)
                return [b.select(wins, other, number), b.select(wins, here, where)]

            first = [value(0), b.constant(0, Type("i64", lanes))]
            _, where = b.loop(1, x.shape[axis], 1, turn, first)
            target.store(b, place, where, valid)

        along(b, extent, lanes, piece)

    over(b, tuple(lead), line)


BLOCKS: dict[str, Callable[[Block, Node], None]] = {
    **dict.fromkeys(_COMBINE, _reduce),
    "argmax": _place,
    "argmin": _place,
}
