"""Rows of the data on their way into the arena."""

from __future__ import annotations

from collections.abc import Callable

from glassnet.compiler.cpu import CPU
from glassnet.compiler.loop_ir import Buffer, Builder, Index, IndexLike, Operand, Position
from glassnet.compiler.lowering.image_entrance import packed, turn_blocks
from glassnet.compiler.lowering.nest import along
from glassnet.compiler.passes.image_layout import ImageStorage
from glassnet.compiler.passes.layout import Storage
from glassnet.core.shape import size_of


def copy_row(
    b: Builder, cpu: CPU, source: Buffer, target: Storage, batch_size: int, row: Index, r: Position
) -> None:
    """Copies a row of the data, of any rank, to row r of the batch: its lines lie one behind the other."""
    if target.shape[0] == 1 and batch_size > 1:
        b.store(target.buffer, r, b.load(source, row))  # one label a row
        return
    lanes, (lines, columns) = cpu.lanes(source.element), target.shape
    lines //= batch_size

    def line(i: Position) -> None:
        def piece(j: Position, valid: int) -> None:
            place = row * (lines * columns) + Index.of(i) * columns + j
            loaded = b.load(source, place, lanes, mask=None if valid == lanes else valid)
            b.store(target.buffer, target.index(Index.of(r) * lines + i, j), loaded)

        along(b, columns, lanes, piece)

    b.loop(0, lines, 1, line)


def copy_images(
    b: Builder, source: Buffer, target: ImageStorage, source_of: Callable[[Operand | Index], Index]
) -> None:
    """Copies the rows of a batch of images; `source_of(r)` is the row of the data that is row r of it."""
    size, strides = size_of(target.whole[1:]), packed(target.whole[1:])

    def first_of(r: Operand | Index) -> IndexLike:
        return source_of(r) * size

    turn_blocks(b, target, source, strides, first_of)
