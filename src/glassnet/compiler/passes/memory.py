"""Memory: every buffer gets its place in one arena. Buffers that never live at the same time may share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from glassnet.compiler.loop_ir import Buffer
from glassnet.compiler.loop_language import BITS

ALIGNMENT = 64


def plan_memory(persistent: Iterable[Buffer], lifetimes: Mapping[Buffer, tuple[int, int]]) -> int:
    """Sets the offset of every buffer and returns the size of the arena in bytes.

    `persistent` buffers keep their place for themselves; the others live from their first kernel to their
    last and take the lowest place that is free all that time.
    """
    top = 0
    for buffer in persistent:
        buffer.offset = top
        top += size_in_bytes(buffer)
    placed: list[tuple[int, int, int, int]] = []  # first kernel, last kernel, start, end
    end = top
    for buffer, (first, last) in sorted(lifetimes.items(), key=lambda item: item[1]):
        size, start = size_in_bytes(buffer), top
        alive = sorted((begin, stop) for born, died, begin, stop in placed if born <= last and first <= died)
        for begin, stop in alive:
            if start + size <= begin:
                break
            start = max(start, stop)
        buffer.offset = start
        placed.append((first, last, start, start + size))
        end = max(end, start + size)
    return end


def size_in_bytes(buffer: Buffer) -> int:
    """The room that a buffer takes, rounded up to the alignment."""
    assert buffer.size is not None  # buffers of the arena have a size
    return -(-buffer.size * BITS[buffer.element] // 8 // ALIGNMENT) * ALIGNMENT
