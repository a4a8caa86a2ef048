"""Entrances of images: arrays that lie example by example are turned so that the batch lies innermost.

Blocks of as many examples as a vector has lanes, by some elements, are turned in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from glassnet.compiler.loop_ir import Buffer, Builder, Index, IndexLike, Operand, Position
from glassnet.compiler.lowering.nest import Block, over
from glassnet.compiler.lowering.shaping import piece_of
from glassnet.compiler.passes.image_layout import ImageStorage
from glassnet.core.graph import Node
from glassnet.core.shape import Shape


def turn_blocks(
    b: Builder,
    target: ImageStorage,
    source: Buffer,
    strides: Sequence[int],
    first_of: Callable[[Operand | Index], IndexLike],
) -> None:
    """Fills an image from arrays in `source`, one for each example.

    `first_of(number)` is where the array of the example with that number in the batch begins, `strides` are
    those of its axes, in elements.
    """
    lead, run, steps, places = _runs(target, strides)
    lanes, image, piece = target.lanes, target.image, piece_of(source, target.lanes)

    def one_block(number: Position) -> None:
        begin = Index.of(number) * image.strides[0] + image.start
        firsts = [Index.of(first_of(_example(b, target, number, lane))) for lane in range(lanes)]

        def line(*at: Position) -> None:
            def block(start: Position, count: int) -> None:
                here = [*at, start]
                offset = _place(here, steps)
                mask = count if count < piece else None
                rows = [b.load(source, first + offset, piece, mask) for first in firsts]
                for k, vector in enumerate(b.transpose_block(rows)[:count]):
                    b.store(image.buffer, begin + _place([*at, Index.of(start) + k], places), vector)

            whole = run // piece * piece
            b.loop(0, whole, piece, lambda j: block(j, piece))
            if whole < run:
                block(whole, run - whole)

        over(b, lead, line)

    b.loop(0, -(-target.batch // lanes), 1, one_block)


def _example(b: Builder, target: ImageStorage, block: Position, lane: int) -> Operand | Index:
    """The number of the example in a lane of a block; behind the last one, some example."""
    number = Index.of(block) * target.lanes + lane
    if target.batch % target.lanes == 0 or lane == 0:
        return number
    value = b.value_of(number)
    return b.select(b.compare("lt", value, target.batch), value, b.zero(value.type))


def _place(at: Sequence[Position], strides: Sequence[int]) -> Index:
    total = Index()
    for index, stride in zip(at, strides, strict=True):
        total = total + Index.of(index) * stride
    return total


def _runs(target: ImageStorage, strides: Sequence[int]) -> tuple[Shape, int, list[int], list[int]]:
    """The axes of an example's array as some leading extents and a run; the steps along them in the array and
    in the image. Axes are one where they follow one another in both.
    """
    names = (1, 2, 3) if len(target.axes) == 4 else (1, 3)
    in_image = {axis: target.image.strides[name] for axis, name in zip(target.axes[1:], names, strict=True)}
    axes = [
        (target.whole[axis], strides[axis - 1], in_image[axis])
        for axis in range(1, len(target.whole))
        if target.whole[axis] > 1
    ]
    axes = axes or [(1, 1, 1)]
    merged = axes[:1]
    for extent, step, place in axes[1:]:
        outer, outer_step, outer_place = merged[-1]
        if (outer_step, outer_place) == (extent * step, extent * place):
            merged[-1] = (outer * extent, step, place)
        else:
            merged.append((extent, step, place))
    if merged[-1][1] != 1:
        merged.append((1, 1, 1))  # nothing is consecutive: squares of one element
    return (
        tuple(axis[0] for axis in merged[:-1]),
        merged[-1][0],
        [axis[1] for axis in merged],
        [axis[2] for axis in merged],
    )


def packed(shape: Shape) -> list[int]:
    """The strides of an array without padding."""
    strides = [1]
    for extent in reversed(shape[1:]):
        strides.append(strides[-1] * extent)
    return strides[::-1]


def _to_images(block: Block, node: Node) -> None:
    """An entrance of its own: from an array of the graph, as it is turned or with one row an example."""
    source, target = block.view(node.inputs[0]), block.layout.storages[node]
    assert isinstance(target, ImageStorage)  # the layout gives it one
    strides = source.strides[1:] if source.shape == target.whole else packed(target.whole[1:])

    def first_of(number: Operand | Index) -> Index:
        if isinstance(number, Index):
            return source.start + number * source.strides[0]
        return source.start + Index.of(number) * source.strides[0]  # type: ignore[arg-type]

    turn_blocks(block.b, target, source.buffer, strides, first_of)


BLOCKS: dict[str, Callable[[Block, Node], None]] = {"to_images": _to_images}
