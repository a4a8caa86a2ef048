"""Transposed copies, block by block in registers."""

from __future__ import annotations

from glassnet.compiler.cpu import CPU
from glassnet.compiler.loop_ir import Builder, Operand, Position, Type
from glassnet.compiler.passes.fuse import Kernel
from glassnet.compiler.passes.layout import Layout, Storage

_SMALL = 4  # rows and columns of a matrix that is turned element by element


def lower_copy(b: Builder, layout: Layout, kernel: Kernel, cpu: CPU) -> None:
    """A stored matrix the other way round. Both buffers have whole blocks of lines: no edge is special."""
    assert kernel.anchor is not None  # a copy has the value that it copies
    source, target = layout.storages[kernel.anchor], layout.copies[kernel.anchor]
    lanes = cpu.lanes(source.buffer.element)
    if max(source.shape) <= min(_SMALL, lanes):  # a line is one vector
        _copy_small(b, source, target, lanes)
        return
    lines = -(-(source.shape[1] if source.transposed else source.shape[0]) // lanes)
    along = -(-(source.shape[0] if source.transposed else source.shape[1]) // lanes)

    def block(line: Position, start: Position) -> None:
        rows = [
            b.load(source.buffer, (line * lanes + r) * source.line + start * lanes, lanes)
            for r in range(lanes)
        ]
        for r, column in enumerate(b.transpose_block(rows)):
            b.store(target.buffer, (start * lanes + r) * target.line + line * lanes, column)

    b.loop(0, lines, 1, lambda line: b.loop(0, along, 1, lambda start: block(line, start)) and None)


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
        b.store(target.buffer, line * target.line, vector)
