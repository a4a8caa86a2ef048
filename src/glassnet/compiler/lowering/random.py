"""The shuffle of an epoch in native code: Philox and Fisher-Yates, word for word as in `core.random`."""

from __future__ import annotations

from glassnet.compiler.loop_ir import Buffer, Builder, Index, Operand, Position, Value
from glassnet.core.random import MULTIPLIERS, ROUNDS, WEYL

_LOW = 0xFFFFFFFF


def philox_block(
    b: Builder, counter: tuple[Operand, Operand, Operand, Operand], key: tuple[Operand, Operand]
) -> tuple[Operand, Operand, Operand, Operand]:
    """Four random 32-bit words (as i64) of one block; all operands are i64 below 2^32."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for turn in range(ROUNDS):
        if turn:
            k0, k1 = b.iand(b.iadd(k0, WEYL[0]), _LOW), b.iand(b.iadd(k1, WEYL[1]), _LOW)
        p0, p1 = b.imul(c0, MULTIPLIERS[0]), b.imul(c2, MULTIPLIERS[1])
        c0, c1, c2, c3 = (
            b.ixor(b.ixor(b.lshr(p1, 32), c1), k0),
            b.iand(p1, _LOW),
            b.ixor(b.ixor(b.lshr(p0, 32), c3), k1),
            b.iand(p0, _LOW),
        )
    return c0, c1, c2, c3


def lower_shuffle(
    b: Builder,
    order: Buffer,
    words: Buffer,
    count: Value,
    stream: Value,
    epoch: Value,
    key: tuple[Value, Value],
) -> None:
    """Writes a random order of 0 .. count-1 to `order`; `words` has room for count rounded up to four."""
    low_epoch = b.iand(epoch, _LOW)
    blocks = b.lshr(b.iadd(count, 3), 2)

    def draw(block: Position) -> None:
        number = b.value_of(block)
        counter = (b.iand(number, _LOW), b.lshr(number, 32), low_epoch, stream)
        for lane, word in enumerate(philox_block(b, counter, key)):
            b.store(words, Index.of(block) * 4 + lane, b.trunc(word, "i32"))

    def begin(i: Position) -> None:
        b.store(order, i, b.trunc(b.value_of(i), "i32"))

    def swap(t: Position) -> None:
        # i runs from count - 1 down to 1 and trades places with floor(word_i (i + 1) / 2^32)
        i = b.isub(b.isub(count, 1), b.value_of(t))
        word = b.zext(b.load(words, Index.of(i)), "i64")
        j = b.lshr(b.imul(word, b.iadd(i, 1)), 32)
        here, there = b.load(order, Index.of(i)), b.load(order, Index.of(j))  # type: ignore[arg-type]
        b.store(order, Index.of(i), there)
        b.store(order, Index.of(j), here)  # type: ignore[arg-type]

    b.loop(0, blocks, 1, draw)  # type: ignore[arg-type]
    b.loop(0, count, 1, begin)
    b.loop(0, b.isub(count, 1), 1, swap)
