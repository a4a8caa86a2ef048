"""Slices, and reading and writing at whole numbers that are known when the program runs.

NOTE native code raises nothing. Where an index lies outside its axis, a floating result is NaN there, which
stops a run of training; nothing outside the array is touched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from glassnet.compiler.loop_ir import I64, Builder, Constant, Index, Operand, Position, Type
from glassnet.compiler.lowering.nest import Block, along, copy, fill, over
from glassnet.compiler.lowering.view import View
from glassnet.compiler.passes.elements import value_type
from glassnet.compiler.passes.slices import parts_of
from glassnet.core.dtype import DType
from glassnet.core.graph import Node


def _getitem(block: Block, node: Node) -> None:
    source = block.view(node.inputs[0]).part(parts_of(node))
    copy(block.b, source, block.view(node), block.lanes(node))


def _scatter(block: Block, node: Node) -> None:
    target, lanes = block.view(node), block.lanes(node)
    clear(block.b, target, lanes)
    copy(block.b, block.view(node.inputs[0]), target.part(parts_of(node)), lanes)


def clear(b: Builder, target: View, lanes: int) -> None:
    """target[...] = 0."""
    fill(b, target, b.zero(value_type(target.dtype, lanes)), lanes)


def _number(b: Builder, view: View, indices: Sequence[Position]) -> Operand:
    """A whole number of an array, as i64."""
    value = view.load(b, indices)
    return value if value.type == I64 else b.sext(value, "i64")


def _positions(
    b: Builder, indices: Sequence[View], at: Sequence[Position], extents: Sequence[int]
) -> tuple[list[Index], Operand]:
    """Where the index arrays point at that place of their common shape, and whether that is inside."""
    places: list[Index] = []
    inside: Operand = Constant(Type("i1"), 1)
    for view, extent in zip(indices, extents, strict=False):
        number = _number(b, view, at)
        number = b.select(b.compare("lt", number, 0), b.iadd(number, extent), number)
        fits = b.compare("ult", number, extent)
        inside = fits if isinstance(inside, Constant) else b.iand(inside, fits)
        number = b.select(fits, number, 0)
        places.append(Index.of(number))  # type: ignore[arg-type]  # a select is never a constant
    return places, inside


def _poisoned(b: Builder, value: Operand, inside: Operand, dtype: DType) -> Operand:
    """The value, NaN where the place that it belongs to does not exist."""
    if dtype.kind != "f":
        return value
    return b.select(b.splat(inside, value.type.lanes), value, b.constant(math.nan, value.type))


def _aligned(block: Block, arrays: Sequence[Node], lead: tuple[int, ...]) -> list[View]:
    return [block.view(index).broadcast(lead) for index in arrays]


def _gather(block: Block, node: Node) -> None:
    b, (x, *arrays) = block.b, node.inputs
    count = len(arrays)
    rest = x.shape[count:]
    lead = node.shape[: len(node.shape) - len(rest)]
    source, target, indices = block.view(x), block.view(node), _aligned(block, arrays, lead)
    lanes = block.lanes(node) if rest else 1

    def row(*at: Position) -> None:
        places, inside = _positions(b, indices, at, x.shape)

        def line(*inner: Position) -> None:
            def piece(j: Position, valid: int) -> None:
                last = [j] if rest else []
                value = source.load(b, [*places, *inner, *last], lanes, valid)
                target.store(b, [*at, *inner, *last], _poisoned(b, value, inside, node.dtype), valid)

            along(b, rest[-1] if rest else 1, lanes, piece)

        over(b, rest[:-1], line)

    over(b, lead, row)


def _put_add(block: Block, node: Node) -> None:
    b, (x, *arrays) = block.b, node.inputs
    count = len(arrays)
    rest = node.shape[count:]
    lead = x.shape[: len(x.shape) - len(rest)]
    source, target, indices = block.view(x), block.view(node), _aligned(block, arrays, lead)
    lanes = block.lanes(node) if rest else 1
    clear(b, target, block.lanes(node))

    def row(*at: Position) -> None:
        places, inside = _positions(b, indices, at, node.shape)

        def line(*inner: Position) -> None:
            def piece(j: Position, valid: int) -> None:
                last = [j] if rest else []
                value = _poisoned(b, source.load(b, [*at, *inner, *last], lanes, valid), inside, node.dtype)
                there = [*places, *inner, *last]
                total = target.load(b, there, lanes, valid)
                target.store(
                    b, there, b.add(total, value) if total.type.is_float else b.iadd(total, value), valid
                )

            along(b, rest[-1] if rest else 1, lanes, piece)

        over(b, rest[:-1], line)

    over(b, lead, row)


def _last_writer(block: Block, node: Node) -> None:
    b, size = block.b, node.attributes["size"]
    positions, target = block.view(node.inputs[0]), block.view(node)
    fill(b, target, b.constant(-1, value_type(node.dtype, block.lanes(node))), block.lanes(node))
    strides = [math.prod(positions.shape[axis + 1 :]) for axis in range(len(positions.shape))]

    def write(*at: Position) -> None:
        (place,), inside = _positions(b, [positions], at, [size])
        writer = Index()
        for i, stride in zip(at, strides, strict=True):
            writer = writer + Index.of(i) * stride
        # an index outside writes what is there already
        target.store(b, [place], b.select(inside, b.value_of(writer), target.load(b, [place])))

    over(b, positions.shape, write)


BLOCKS: dict[str, Callable[[Block, Node], None]] = {
    "getitem": _getitem,
    "scatter": _scatter,
    "gather": _gather,
    "put_add": _put_add,
    "last_writer": _last_writer,
}
