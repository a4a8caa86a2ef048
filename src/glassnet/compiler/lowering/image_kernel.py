"""The kernels of convolutions of images: their geometry, and their weights in the order of use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glassnet.compiler.loop_ir import Buffer, Builder, Constant, Index, Operand, Position
from glassnet.compiler.lowering.images import Group
from glassnet.compiler.lowering.matrix import split
from glassnet.compiler.lowering.nest import over
from glassnet.compiler.lowering.view import View
from glassnet.compiler.passes.image_layout import Lanes
from glassnet.core.graph import Node
from glassnet.core.shape import size_of

Piece = tuple[Position, int]  # where it begins, and how many


@dataclass(frozen=True)
class Weights:
    """The weights of a convolution in the order in which its tiles read them, packed once a step.

    Tiles are pieces of the axis of outputs or of inputs (`split_inputs`); within a piece come rows of taps,
    the other channels, taps and the piece's channels, in the order that `place` says.
    """

    b: Builder
    view: View
    packed: Buffer
    lanes: int
    split_inputs: bool

    @staticmethod
    def pack(group: Group, node: Node, *, split_inputs: bool, size: int) -> Weights:
        """Packs the weights `node` for tiles of at most `size` channels."""
        b, view = group.b, group.plain[node]
        weights = Weights(
            b, view, group.block.scratch(group.element, size_of(node.shape)), group.lanes, split_inputs
        )
        outputs, inputs = node.shape[:2]
        down, across = taps_of(node.shape)
        count, others = (inputs, outputs) if split_inputs else (outputs, inputs)

        def piece(start: Position, deep: int) -> None:
            def row(other: Position, i: Position, k: Position) -> None:
                own = Index.of(start) + k
                o, c = (other, own) if split_inputs else (own, other)
                for j in range(across):
                    places = (o, c, i, j) if len(view.shape) == 4 else (o, c, j)
                    value = b.load(view.buffer, view.place(places))
                    b.store(weights.packed, weights.place(start, deep, other, i, j, k), value)

            over(b, (others, down, deep), row)

        pieces(b, count, size, piece)
        return weights

    def place(self, start: Position, deep: int, other: Position, i: Position, j: int, k: Position) -> Index:
        """Where the weight of channel k of the tile at `start` lies, for another channel and a tap."""
        outputs, inputs = self.view.shape[:2]
        down, across = taps_of(self.view.shape)
        others = outputs if self.split_inputs else inputs
        row = (Index.of(i) * others + other) if self.split_inputs else (Index.of(other) * down + i)
        tap = row * (across * deep) + (
            Index.of(k) * across + j if self.split_inputs else Index.of(k) + j * deep
        )
        return Index.of(start) * (others * down * across) + tap

    def at(self, start: Position, deep: int, other: Position, i: Position, j: int, k: int) -> Operand:
        """That weight in every lane."""
        return self.b.load_splat(self.packed, self.place(start, deep, other, i, j, k), self.lanes)


def taps_of(shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of a kernel (outputs, inputs, *taps)."""
    return (1, shape[2]) if len(shape) == 3 else (shape[2], shape[3])


def low_of(node: Node) -> tuple[int, int]:
    """The zeros in front of rows and columns."""
    low = node.attributes["low"]
    return (0, low[0]) if len(low) == 1 else (low[0], low[1])


def pieces(b: Builder, count: int, size: int, body: Callable[[Position, int], None]) -> None:
    """Runs `body(start, length)` for pieces of at most `size`, as equal as can be."""
    start = 0
    for piece, times in split(count, size):
        b.loop(start, start + piece * times, piece, lambda i, piece=piece: body(i, piece))
        start += piece * times


def multiply_add(b: Builder, x: Operand, y: Operand, total: Operand) -> Operand:
    """x y + total; the first product of all needs no zero."""
    zero = isinstance(total, Constant) and total.value == 0
    return b.mul(x, y) if zero else b.fma(x, y, total)


def vector_at(place: Lanes, block: Position, channel: Position, row: Index, column: Index) -> Index:
    """Where a vector lies, also beyond the edges."""
    index = Index.of(place.start) + Index.of(block) * place.strides[0] + Index.of(channel) * place.strides[1]
    return index + row * place.strides[2] + column * place.strides[3]
