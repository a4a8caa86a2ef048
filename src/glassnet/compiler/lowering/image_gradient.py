"""The gradient of a kernel: products of images, summed over all places, a vector of sums for each weight.

A tile has some output channels by some input channels by a row of taps. Its sums stay in registers over a
band of rows, or over everything where there are more sums than there is to sum up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from glassnet.compiler.loop_ir import Index, Operand, Position
from glassnet.compiler.lowering.image_kernel import Piece, low_of, multiply_add, pieces, taps_of, vector_at
from glassnet.compiler.lowering.image_tiles import choose_band, choose_kernel_tile
from glassnet.compiler.lowering.images import Group, lane_sums
from glassnet.compiler.passes.image_layout import Lanes, planes
from glassnet.compiler.passes.image_nests import Nest

_UNROLLED_LINES = 160  # of neighbouring places that are written out


def lower_to_kernel(group: Group, nest: Nest) -> Callable[[], None]:
    """What a block adds to the gradient of a kernel: sums over all places, each lane for itself.

    Late, it is the gradient itself, from all blocks at once.
    """
    return _Gradient(group, nest).lower if nest.late else _ToKernel(group, nest).lower


class _ToKernel:
    def __init__(self, group: Group, nest: Nest) -> None:
        node = nest.anchor
        assert node is not None  # a nest of this kind has one
        self.group, self.b, self.node = group, group.b, node
        self.x, self.y = (group.places[source] for source in node.inputs)
        self.channels = node.shape[:2]
        self.kernel, self.low = taps_of(node.shape), low_of(node)
        _, self.rows, self.columns = planes(node.inputs[1].shape)
        outputs, inputs = self.channels
        self.tile = choose_kernel_tile(outputs, inputs, self.kernel[1], group.cpu.registers)
        width = self.tile.outputs * self.columns + self.tile.inputs * (self.columns + self.kernel[1])
        self.band = choose_band(self.rows, width * group.vector_bytes)
        lines = self.tile.outputs * self.tile.inputs * self.tile.taps + self.tile.outputs + self.tile.inputs
        most = max(1, min(self.columns, _UNROLLED_LINES // lines))
        self.unrolled = max(n for n in range(1, most + 1) if self.columns % n == 0)

    def lower(self) -> None:
        """Bands of rows, then tiles of channels of both sides, then the rows of the kernel."""
        b, (outputs, inputs), tile = self.b, self.channels, self.tile

        def band(first: Position, rows: int) -> None:
            pieces(b, outputs, tile.outputs, lambda o, deep: across(first, rows, o, deep))

        def across(first: Position, rows: int, o: Position, deep: int) -> None:
            pieces(b, inputs, tile.inputs, lambda c, wide: kernel(first, rows, (o, deep), (c, wide)))

        def kernel(first: Position, rows: int, o: Piece, c: Piece) -> None:
            def line(i: Position) -> None:
                pieces(
                    b, self.kernel[1], tile.taps, lambda j, taps: self._sums(first, rows, o, c, i, (j, taps))
                )

            b.loop(0, self.kernel[0], 1, line)

        pieces(b, self.rows, self.band, band)

    def _sums(self, first: Position, rows: int, o: Piece, c: Piece, i: Position, j: Piece) -> None:
        """Adds the products of a band of rows to one tile of sums."""
        b, group = self.b, self.group
        triples = [(k, m, t) for k in range(o[1]) for m in range(c[1]) for t in range(j[1])]
        total = group.totals[self.node]

        def place(k: int, m: int, t: int) -> Index:
            (down, across), (_, inputs) = self.kernel, self.channels
            row = ((Index.of(o[0]) + k) * inputs + c[0] + m) * down + i
            return (row * across + j[0] + t) * group.lanes

        old = [b.load(total, place(*triple), group.lanes) for triple in triples]
        for triple, new in zip(triples, self._added(old, first, rows, o, c, i, j), strict=True):
            b.store(total, place(*triple), new)

    def _added(
        self, old: Sequence[Operand], first: Position, rows: int, o: Piece, c: Piece, i: Position, j: Piece
    ) -> Sequence[Operand]:
        """The tile's sums with a band of rows of the present block."""
        b, group = self.b, self.group

        def row(r: Position, *sums: Operand) -> Sequence[Operand]:
            return b.loop(
                0,
                self.columns,
                self.unrolled,
                lambda q, *inner: self._places(Index.of(first) + r, Index.of(q), o, c, i, j, inner),
                sums,
            )

        start = old if group.valid is None else [b.zero(group.vector)] * len(old)
        sums = b.loop(0, rows, 1, row, start)
        if group.valid is None:
            return sums
        return [b.add(before, group.examples(made)) for before, made in zip(old, sums, strict=True)]

    def _places(
        self,
        row: Index,
        column: Index,
        o: Piece,
        c: Piece,
        i: Position,
        j: Piece,
        sums: Sequence[Operand],
    ) -> list[Operand]:
        """The products of some places of a row; what neighbouring taps share is loaded once."""
        sums, seen = list(sums), dict[tuple[int, int], Operand]()
        for n in range(self.unrolled):
            for m in range(c[1]):
                for t in range(j[1]):
                    if (m, n + t) not in seen:
                        there = row + i - self.low[0], column + j[0] + n + t - self.low[1]
                        seen[m, n + t] = self._load(self.x, Index.of(c[0]) + m, *there)
            for k in range(o[1]):
                vector = self._load(self.y, Index.of(o[0]) + k, row, column + n)
                for number in range(c[1] * j[1]):
                    m, t = divmod(number, j[1])
                    place = k * c[1] * j[1] + number
                    sums[place] = multiply_add(self.b, vector, seen[m, n + t], sums[place])
        return sums

    def _load(self, place: Lanes, channel: Index, row: Index, column: Index) -> Operand:
        index = vector_at(place, self.group.number, channel, row, column)
        return self.b.load(place.buffer, index, self.group.lanes)


class _Gradient(_ToKernel):
    """The gradient with each tile summed over all blocks at once, and its lanes added right away."""

    def lower(self) -> None:
        """Tiles of channels of both sides, then the rows of the kernel."""
        b, (outputs, inputs), tile = self.b, self.channels, self.tile
        if self.node not in self.group.results:
            return  # nobody asks for it

        def line(o: Piece, c: Piece, i: Position) -> None:
            pieces(b, self.kernel[1], tile.taps, lambda j, taps: self._tile(o, c, i, (j, taps)))

        def kernel(o: Piece, c: Piece) -> None:
            b.loop(0, self.kernel[0], 1, lambda i: line(o, c, i))

        def across(o: Position, deep: int) -> None:
            pieces(b, inputs, tile.inputs, lambda c, wide: kernel((o, deep), (c, wide)))

        pieces(b, outputs, tile.outputs, across)

    def _tile(self, o: Piece, c: Piece, i: Position, j: Piece) -> None:
        b, group = self.b, self.group
        target = group.block.view(group.results[self.node])

        def block(number: Position, *sums: Operand) -> Sequence[Operand]:
            group.begin_block(number)
            return self._added(sums, 0, self.rows, o, c, i, j)

        zeros = [b.zero(group.vector)] * (o[1] * c[1] * j[1])
        sums = b.loop(0, group.blocks, 1, block, zeros)
        for k in range(o[1]):
            for m in range(c[1]):
                first = (k * c[1] + m) * j[1]
                place = [
                    Index.of(o[0]) + k,
                    Index.of(c[0]) + m,
                    *([i] if len(target.shape) == 4 else []),
                    j[0],
                ]
                for start in range(0, j[1], group.lanes):
                    vectors = sums[first + start : first + min(start + group.lanes, j[1])]
                    here = [*place[:-1], Index.of(place[-1]) + start]
                    target.store(b, here, *lane_sums(b, vectors))
