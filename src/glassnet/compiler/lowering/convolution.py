"""Convolution: sums of products over strided views, with vectors along one axis and a tile in registers.

Every axis has a stride in the array, in the kernel and in the result (0 where it does not occur). The vector
axis is one of the result or, where that would fill its lanes badly, one that is summed over: its lanes are
added at the end. A tile takes several places of an axis that the kernel alone has (a vector of the array
meets several numbers of the kernel) and several of one that the array alone has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glassnet.compiler.cpu import CPU
from glassnet.compiler.loop_ir import Builder, Operand, Position, Type
from glassnet.compiler.lowering.matrix import split
from glassnet.compiler.lowering.nest import Block, over
from glassnet.compiler.lowering.view import View
from glassnet.compiler.passes.elements import element_of
from glassnet.core.graph import Node
from glassnet.ops.matrix import split_spec

_OUTPUTS, _TAPS = "PQRSTU", "KLMNOA"  # labels of the spatial axes; those of a spec are small letters
_APART = 0.3  # what a vector of elements that lie apart is worth, measured at one of neighbours
_ACROSS = 0.9  # what a vector is worth whose lanes have to be added

Places = dict[str, Position]


@dataclass(frozen=True)
class _Labelled:
    """A view with a label for each axis."""

    view: View
    labels: str

    def stride(self, label: str) -> int:
        return self.view.strides[self.labels.index(label)] if label in self.labels else 0

    def indices(self, at: Places) -> list[Position]:
        return [at[label] for label in self.labels]

    def load(self, b: Builder, at: Places, vector: str, lanes: int, valid: int) -> Operand:
        if vector not in self.labels:
            return b.splat(self.view.load(b, self.indices(at)), lanes)
        return self.view.load(b, self.indices(at), lanes, valid, axis=self.labels.index(vector))


@dataclass(frozen=True)
class _Tile:
    """Places of the kernel's axis and of the array's, and (start, valid lanes) of vectors, all together."""

    of_w: tuple[Position, int]
    of_x: tuple[Position, int]
    vectors: Sequence[tuple[Position, int]]


class _Correlation:
    def __init__(
        self, b: Builder, x: _Labelled, w: _Labelled, out: _Labelled, extents: dict[str, int], cpu: CPU
    ) -> None:
        self.b, self.x, self.w, self.out, self.extents = b, x, w, out, extents
        element = element_of(out.view.dtype)
        self.lanes = cpu.lanes(element)
        self.sums = [label for label in extents if label not in out.labels]
        self.vector = max(extents, key=self._fitness)
        if not self._fitness(self.vector):
            self.lanes = 1
        self.zero = b.zero(Type(element, self.lanes))
        self.across = self.vector in self.sums
        rest = [label for label in out.labels if label != self.vector]
        self.of_w = self._longest([label for label in rest if not x.stride(label)])
        self.of_x = self._longest([label for label in rest if not w.stride(label)])
        # sums in half of the registers leave room for what they are made of
        self.width = 1 if self.across else min(-(-extents[self.vector] // self.lanes), 2)
        self.many_w = min(extents.get(self.of_w, 1), 4)
        self.many_x = max(1, min(extents.get(self.of_x, 1), cpu.registers // 2 // (self.many_w * self.width)))

    def _fitness(self, label: str) -> float:
        """What vectors along an axis are worth: the share of lanes that count, less what they cost."""
        strides = [operand.stride(label) for operand in (self.x, self.w, self.out)]
        if strides[2] != (label not in self.sums):  # results lie side by side, or are one
            return 0.0
        share = self.extents[label] / (-(-self.extents[label] // self.lanes) * self.lanes)
        apart = _APART if any(stride not in (0, 1) for stride in strides) else 1.0
        return share * apart * (_ACROSS if label in self.sums else 1.0)

    def _longest(self, labels: Sequence[str]) -> str:
        return max(labels, key=lambda label: self.extents[label], default="")

    def lower(self) -> None:
        """Loops over the result, a tile at a time."""
        others = [label for label in self.out.labels if label not in (self.vector, self.of_w, self.of_x)]

        def rest(*indices: Position) -> None:
            at = dict(zip(others, indices, strict=True))
            self._pieces(
                self.of_w,
                self.many_w,
                lambda i, n: self._pieces(
                    self.of_x, self.many_x, lambda j, m: self._line(at, (i, n), (j, m))
                ),
            )

        over(self.b, tuple(self.extents[label] for label in others), rest)

    def _pieces(self, label: str, size: int, body: Callable[[Position, int], None]) -> None:
        start = 0
        for piece, times in split(self.extents.get(label, 1), size):
            self.b.loop(start, start + piece * times, piece, lambda i, piece=piece: body(i, piece))
            start += piece * times

    def _line(self, at: Places, of_w: tuple[Position, int], of_x: tuple[Position, int]) -> None:
        """All vectors of a line of results, or one of sums across their lanes."""
        if self.across:
            self._tile(at, _Tile(of_w, of_x, [(0, self.lanes)]))
            return
        extent, step = self.extents[self.vector], self.lanes * self.width
        whole = extent // step * step

        def several(start: Position) -> None:
            starts = [(start + k * self.lanes, self.lanes) for k in range(self.width)]
            self._tile(at, _Tile(of_w, of_x, starts))

        self.b.loop(0, whole, step, several)
        rest = [(start, min(self.lanes, extent - start)) for start in range(whole, extent, self.lanes)]
        if rest:
            self._tile(at, _Tile(of_w, of_x, rest))

    def _tile(self, at: Places, tile: _Tile) -> None:
        (i, n), (j, m) = tile.of_w, tile.of_x
        count = n * m * len(tile.vectors)
        sums = self._sum([x for x in self.sums if x != self.vector], at, tile, [self.zero] * count)
        number = 0
        for k in range(n):
            for start, valid in tile.vectors:
                for row in range(m):
                    place = self.out.indices(self._at(at, i + k, j + row, start))
                    if self.across:
                        self.out.view.store(self.b, place, self.b.reduce_add(sums[number]))
                    else:
                        self.out.view.store(self.b, place, sums[number], valid)
                    number += 1

    def _sum(
        self, labels: Sequence[str], at: Places, tile: _Tile, sums: Sequence[Operand]
    ) -> Sequence[Operand]:
        """The sums with all products over these labels, and over the vector axis if it is summed over."""
        b = self.b
        if labels:
            label, rest = labels[0], labels[1:]
            return b.loop(
                0,
                self.extents[label],
                1,
                lambda k, *sums: self._sum(rest, {**at, label: k}, tile, sums),
                sums,
            )
        if not self.across:
            return self._step(at, tile, sums)
        extent = self.extents[self.vector]
        whole = extent // self.lanes * self.lanes

        def piece(start: Position, valid: int, sums: Sequence[Operand]) -> Sequence[Operand]:
            return self._step(at, _Tile(tile.of_w, tile.of_x, [(start, valid)]), sums)

        sums = b.loop(0, whole, self.lanes, lambda start, *sums: piece(start, self.lanes, sums), sums)
        return piece(whole, extent - whole, sums) if whole < extent else sums

    def _step(self, at: Places, tile: _Tile, sums: Sequence[Operand]) -> list[Operand]:
        """One product for each sum of the tile."""
        (i, n), (j, m) = tile.of_w, tile.of_x
        found: list[Operand] = []
        vectors = [
            [
                self.x.load(self.b, self._at(at, i, j + row, start), self.vector, self.lanes, valid)
                for row in range(m)
            ]
            for start, valid in tile.vectors
        ]
        for k in range(n):
            for (start, valid), column in zip(tile.vectors, vectors, strict=True):
                w = self.w.load(self.b, self._at(at, i + k, j, start), self.vector, self.lanes, valid)
                found += [
                    self.b.fma(x, w, total)
                    for x, total in zip(column, sums[len(found) : len(found) + m], strict=True)
                ]
        return found

    def _at(self, at: Places, of_w: Position, of_x: Position, start: Position) -> Places:
        return {**at, self.of_w: of_w, self.of_x: of_x, self.vector: start}


def _convolution(block: Block, node: Node) -> None:
    x, w = node.inputs
    x_labels, w_labels, out = split_spec(node.attributes["spec"])
    extents, stride, dilation = (node.attributes[name] for name in ("extents", "stride", "dilation"))
    rank = len(extents)
    outputs, taps = _OUTPUTS[:rank], _TAPS[:rank]
    kernel = block.view(w)
    seen = block.view(x).windows(extents, w.shape[len(w.shape) - rank :], stride, dilation)
    array = _Labelled(seen, x_labels + outputs + taps)
    weights = _Labelled(kernel, w_labels + taps)
    result = _Labelled(block.view(node), out + outputs)
    sizes = dict(zip(array.labels + weights.labels, seen.shape + kernel.shape, strict=True))
    _Correlation(block.b, array, weights, result, sizes, block.cpu).lower()


BLOCKS: dict[str, Callable[[Block, Node], None]] = {"convolution": _convolution}
