"""Transposed copies, block by block in registers."""

from __future__ import annotations

from glassnet.compiler.cpu import CPU
from glassnet.compiler.loop_ir import Builder, IndexLike
from glassnet.compiler.passes.fuse import Kernel
from glassnet.compiler.passes.layout import Layout


def lower_copy(b: Builder, layout: Layout, kernel: Kernel, cpu: CPU) -> None:
    """The other way round of a stored matrix. Both buffers have whole blocks of lines, so no edge is special."""
    assert kernel.anchor is not None  # a copy has the value that it copies
    source, target = layout.storages[kernel.anchor], layout.copies[kernel.anchor]
    lanes = cpu.lanes(source.buffer.element)
    lines = -(-(source.shape[1] if source.transposed else source.shape[0]) // lanes)
    along = -(-(source.shape[0] if source.transposed else source.shape[1]) // lanes)

    def block(line: IndexLike, start: IndexLike) -> None:
        rows = [
            b.load(source.buffer, (line * lanes + r) * source.line + start * lanes, lanes) for r in range(lanes)
        ]
        for r, column in enumerate(b.transpose_block(rows)):
            b.store(target.buffer, (start * lanes + r) * target.line + line * lanes, column)

    b.loop(0, lines, 1, lambda line: b.loop(0, along, 1, lambda start: block(line, start)) and None)
