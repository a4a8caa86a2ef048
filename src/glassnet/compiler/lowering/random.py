"""Random words and shuffles in native code: Philox and Fisher-Yates, word for word as in `core.random`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from glassnet.compiler.loop_ir import Buffer, Builder, Index, Operand, Position, Type, Value
from glassnet.compiler.lowering.nest import Block, over
from glassnet.core.graph import Node
from glassnet.core.random import MULTIPLIERS, ROUNDS, WEYL

_LOW = 0xFFFFFFFF


def round_keys(b: Builder, key: tuple[Operand, Operand]) -> list[tuple[Operand, Operand]]:
    """The two words of the key in each round."""
    keys = [key]
    for _ in range(ROUNDS - 1):
        key = _bumped(b, key[0], WEYL[0]), _bumped(b, key[1], WEYL[1])
        keys.append(key)
    return keys


def philox_block(
    b: Builder,
    counter: tuple[Operand, Operand, Operand, Operand],
    keys: list[tuple[Operand, Operand]],
) -> tuple[Operand, Operand, Operand, Operand]:
    """Four random 32-bit words (as i64) of one block, or of one in each lane; all are i64 below 2^32."""
    c0, c1, c2, c3 = counter
    for k0, k1 in keys:
        p0, p1 = b.imul(c0, MULTIPLIERS[0]), b.imul(c2, MULTIPLIERS[1])
        c0, c1, c2, c3 = (
            b.ixor(b.ixor(b.lshr(p1, 32), c1), k0),
            b.iand(p1, _LOW),
            b.ixor(b.ixor(b.lshr(p0, 32), c3), k1),
            b.iand(p0, _LOW),
        )
    return c0, c1, c2, c3


def _bumped(b: Builder, key: Operand, by: int) -> Operand:
    return b.iand(b.iadd(key, by), _LOW)


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
    keys = round_keys(b, key)

    def draw(block: Position) -> None:
        number = b.value_of(block)
        counter = (b.iand(number, _LOW), b.lshr(number, 32), low_epoch, stream)
        for lane, word in enumerate(philox_block(b, counter, keys)):
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


def _words(block: Block, node: Node) -> None:
    """Random words, line by line: a line begins with a block of four."""
    b, lanes = block.b, block.cpu.lanes("i64")
    steps, seeds, target = (block.view(x) for x in (*node.inputs, node))
    stream = node.attributes["stream"] & _LOW
    one_key = _lane_keys(b, seeds.load(b, ()), lanes) if not seeds.shape else None
    rank = len(steps.shape)
    lines, count = node.shape[rank:-1], node.shape[-1]

    def line(*at: Position) -> None:
        step = _whole(b, steps.load(b, at[:rank]))
        keys = one_key or _lane_keys(b, seeds.load(b, at[:rank]), lanes)
        number = Index()  # of the line
        for i, extent in zip(at[rank:], lines, strict=True):
            number = number * extent + i
        first = number * (count // 4)

        def vectors(start: Position) -> list[Operand]:
            block_number = b.value_of(Index.of(start) + first)
            numbers = b.iadd(b.splat(block_number, lanes), b.iota(lanes, "i64"))
            four = philox_block(
                b,
                (
                    b.iand(numbers, _LOW),
                    b.lshr(numbers, 32),
                    b.splat(b.iand(step, _LOW), lanes),
                    b.constant(stream, Type("i64", lanes)),
                ),
                keys,
            )
            return _interleaved(b, [b.trunc(word, "i32") for word in four])

        def pair(start: Position) -> None:
            for k, vector in enumerate(vectors(start)):
                target.store(b, [*at, Index.of(start) * 4 + 2 * k * lanes], vector)

        whole = count // (4 * lanes) * lanes  # blocks in whole pairs of vectors
        b.loop(0, whole, lanes, pair)
        rest = count - 4 * whole
        if rest > 2 * lanes:
            pair(whole)
        elif rest:
            target.store(b, [*at, 4 * whole], vectors(whole)[0])

    over(b, (*steps.shape, *lines), line)


def _lane_keys(b: Builder, seed: Operand, lanes: int) -> list[tuple[Operand, Operand]]:
    """The words of the seed in each round, the same in all lanes."""
    seed = _whole(b, seed)
    words = round_keys(b, (b.iand(seed, _LOW), b.lshr(seed, 32)))
    return [(b.splat(low, lanes), b.splat(high, lanes)) for low, high in words]


def _whole(b: Builder, step: Operand) -> Operand:
    """A step of a key, a whole number of whatever type, as i64."""
    if step.type.is_float:
        return b.fptosi(step, "i64")
    return step if step.type.element == "i64" else b.sext(step, "i64")


def _interleaved(b: Builder, four: Sequence[Operand]) -> list[Operand]:
    """Lane 0 of all four, then lane 1 of all, ..., in two vectors."""
    lanes = four[0].type.lanes
    pairs = [k // 2 + k % 2 * lanes for k in range(2 * lanes)]
    even, odd = (b.shuffle(four[k], four[k + 1], pairs) for k in (0, 2))
    found: list[Operand] = []
    for half in (0, lanes):
        order = [half + k // 4 * 2 + k % 2 + (2 * lanes if k % 4 > 1 else 0) for k in range(2 * lanes)]
        found.append(b.shuffle(even, odd, order))
    return found


def _shuffled(block: Block, node: Node) -> None:
    b, words, target = block.b, block.view(node.inputs[0]), block.view(node)
    count = node.shape[-1]

    def order(*at: Position) -> None:
        b.loop(0, count, 1, lambda i: target.store(b, [*at, i], b.value_of(i)))

        def swap(t: Position) -> None:
            i = count - 1 - Index.of(t)
            word = b.zext(words.load(b, [*at, i]), "i64")
            j = Index.of(b.lshr(b.imul(word, b.iadd(b.value_of(i), 1)), 32))
            here, there = target.load(b, [*at, i]), target.load(b, [*at, j])
            target.store(b, [*at, i], there)
            target.store(b, [*at, j], here)

        b.loop(0, count - 1, 1, swap)

    over(b, node.shape[:-1], order)


BLOCKS: dict[str, Callable[[Block, Node], None]] = {"random_bits": _words, "shuffled": _shuffled}
