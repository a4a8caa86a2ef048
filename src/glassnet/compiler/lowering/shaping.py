"""Transposed copies, block by block in registers, and what rearranges arrays of any rank."""

from __future__ import annotations

from collections.abc import Callable

from glassnet.compiler.cpu import CPU
from glassnet.compiler.loop_ir import Buffer, Builder, Index, Operand, Position, Type
from glassnet.compiler.loop_language import BITS
from glassnet.compiler.lowering.nest import Block, copy, finer, over, reshaped
from glassnet.compiler.lowering.view import View
from glassnet.compiler.passes.fuse import Kernel
from glassnet.compiler.passes.layout import Layout, Storage
from glassnet.core.dtype import DType
from glassnet.core.graph import Node
from glassnet.core.shape import size_of

_SMALL = 4  # rows and columns of a matrix that is turned element by element


def lower_copy(b: Builder, layout: Layout, kernel: Kernel, cpu: CPU) -> None:
    """A stored matrix the other way round. In memory made for it, of whole blocks, no edge is special."""
    assert kernel.anchor is not None  # a copy has the value that it copies
    source, target = layout.storages[kernel.anchor], layout.copies[kernel.anchor]
    lanes = cpu.lanes(source.buffer.element)
    assert source.buffer.size is not None  # buffers of the arena have a size
    if source.start != Index() or source.buffer.size % (lanes * source.line):
        _copy_exactly(b, source, target, kernel.anchor.dtype, lanes)
        return
    if max(source.shape) <= min(_SMALL, lanes):  # a line is one vector
        _copy_small(b, source, target, lanes)
        return
    rows, columns = source.shape[::-1] if source.transposed else source.shape
    lines, piece = -(-rows // lanes), piece_of(source.buffer, lanes)

    def block(line: Position, start: Position) -> None:
        block_rows = [
            b.load(source.buffer, source.at((line * lanes + r) * source.line + start), piece)
            for r in range(lanes)
        ]
        for r, column in enumerate(b.transpose_block(block_rows)):
            b.store(target.buffer, target.at((start + r) * target.line + line * lanes), column)

    # columns beyond the last piece are not even made
    b.loop(0, lines, 1, lambda line: b.loop(0, columns, piece, lambda start: block(line, start)) and None)


def piece_of(buffer: Buffer, lanes: int) -> int:
    """How many elements of a line are turned at a time: 16 bytes.

    The pieces are joined as they are loaded and turn in two steps of a short loop. Squares of whole vectors
    run as fast, but take LLVM a fifth of the time of a whole program.
    """
    return min(lanes, 128 // BITS[buffer.element])


def _copy_exactly(b: Builder, source: Storage, target: Storage, dtype: DType, lanes: int) -> None:
    """The same for a source in memory that was not made for it: nothing beyond its edges is read."""
    lines = source.shape[::-1] if source.transposed else source.shape
    down = View(source.buffer, dtype, source.start, lines[::-1], (1, source.line))
    turned = View(target.buffer, dtype, target.start, lines[::-1], (target.line, 1))
    if min(lines) < lanes:
        copy(b, down, turned, lanes)
    else:
        _turn(b, down, turned, 0, lanes)


def _copy_small(b: Builder, source: Storage, target: Storage, lanes: int) -> None:
    # NOTE whole vectors are stored: a vector load right behind stores of single elements would have to wait.
    rows, columns = source.shape
    number = Type(source.buffer.element, lanes)
    positions = b.iota(lanes, "i32")
    for line in range(columns if target.transposed else rows):
        vector: Operand = b.zero(number)
        for place in reversed(range(rows if target.transposed else columns)):
            i, j = (place, line) if target.transposed else (line, place)
            element = b.load_splat(source.buffer, source.index(i, j), lanes)
            vector = b.select(
                b.compare("le", positions, b.constant(place, Type("i32", lanes))), element, vector
            )
        b.store(target.buffer, target.at(line * target.line), vector)


# -- rearrangements of arrays of any rank


def _reshape(block: Block, node: Node) -> None:
    source, target, lanes = block.view(node.inputs[0]), block.view(node), block.lanes(node)
    extents = finer(source.shape, target.shape)
    if extents is not None:
        copy(block.b, reshaped(source, extents), reshaped(target, extents), lanes)
        return
    # By way of all elements side by side.
    buffer = block.scratch(source.buffer.element, size_of(node.shape))
    for view, forth in ((source, True), (target, False)):
        strides = tuple(size_of(view.shape[axis + 1 :]) for axis in range(len(view.shape)))
        packed = View(buffer, view.dtype, Index(), view.shape, strides)
        copy(block.b, *((view, packed) if forth else (packed, view)), lanes)


def _transpose(block: Block, node: Node) -> None:
    source = block.view(node.inputs[0]).transpose(node.attributes["axes"])
    _rearrange(block, source, block.view(node), block.lanes(node))


def _rearranged(block: Block, node: Node) -> None:
    inner, axes = node.attributes["inner"], node.attributes["axes"]
    source = reshaped(block.view(node.inputs[0]), inner).transpose(axes)
    _rearrange(block, source, reshaped(block.view(node), source.shape), block.lanes(node))


def _rearrange(block: Block, source: View, target: View, lanes: int) -> None:
    across = [axis for axis, stride in enumerate(source.strides) if stride == 1]
    last = len(target.shape) - 1
    in_lines = bool(across) and across[-1] != last and target.strides[last] == 1
    if not in_lines or min(target.shape[across[-1]], target.shape[last]) < lanes:
        copy(block.b, source, target, lanes)
        return
    _turn(block.b, source, target, across[-1], lanes)


def _turn(b: Builder, source: View, target: View, axis: int, lanes: int) -> None:
    """A copy of what is consecutive along `axis` to what is along the last: blocks in registers."""
    last, piece = len(target.shape) - 1, piece_of(source.buffer, lanes)
    whole = [target.shape[k] // lanes * lanes for k in (axis, last)]
    others = tuple(1 if k in (axis, last) else extent for k, extent in enumerate(target.shape))

    def blocks(*indices: Position) -> None:
        def block(i: Position, j: Position) -> None:
            def at(k: Position, m: Position) -> list[Position]:
                place = [*indices]
                place[axis], place[last] = k, m
                return place

            rows = [source.load(b, at(i, j + r), piece, axis=axis) for r in range(lanes)]
            for r, column in enumerate(b.transpose_block(rows)):
                target.store(b, at(i + r, j), column)

        b.loop(0, whole[1], lanes, lambda j: b.loop(0, whole[0], piece, lambda i: block(i, j)) and None)

    over(b, others, blocks)
    for k, end, rest in ((axis, whole[0], last), (last, whole[1], None)):
        # what is left of the first axis beside all of the last, then of the last beside the blocks
        parts = [(0, extent, 1) for extent in target.shape]
        parts[k] = (end, target.shape[k] - end, 1)
        if rest is None:
            parts[axis] = (0, whole[0], 1)
        if parts[k][1]:
            copy(b, source.part(parts), target.part(parts), lanes)


def _broadcast(block: Block, node: Node) -> None:
    source = block.view(node.inputs[0]).broadcast(node.shape)
    copy(block.b, source, block.view(node), block.lanes(node))


def _relay(block: Block, node: Node) -> None:
    _rearrange(block, block.view(node.inputs[0]), block.view(node), block.lanes(node))


def _concatenate(block: Block, node: Node) -> None:
    axis, start, target = node.attributes["axis"], 0, block.view(node)
    in_place = block.layout.written.get(node, set())
    for number, x in enumerate(node.inputs):
        parts = [(0, extent, 1) for extent in node.shape]
        parts[axis] = (start, x.shape[axis], 1)
        if number not in in_place:
            copy(block.b, block.view(x), target.part(parts), block.lanes(node))
        start += x.shape[axis]


BLOCKS: dict[str, Callable[[Block, Node], None]] = {
    "reshape": _reshape,
    "transpose": _transpose,
    "rearranged": _rearranged,
    "broadcast_to": _broadcast,
    "relay": _relay,
    "concatenate": _concatenate,
}
