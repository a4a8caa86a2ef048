"""Convolutions of images: vectors of examples times broadcast weights, sums in registers.

    convolution   tiles of some places by some output channels, run over input channels and taps
    to_input      what goes back to the input: a row of places by some input channels, run over the rows and
                  channels of the output that touch it; each vector of the output is loaded once and goes to
                  all places in reach, so that no product with the zeros around an image is made

All sums stay in registers as long as they grow. Nothing is laid out anew: a tap is a load beside another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from glassnet.compiler.loop_ir import Index, Operand, Position, Value
from glassnet.compiler.lowering.evaluate import Memory
from glassnet.compiler.lowering.image_kernel import Weights, low_of, multiply_add, pieces, taps_of, vector_at
from glassnet.compiler.lowering.image_tiles import FIRST_CACHE, choose_backward_tile, choose_forward_tile
from glassnet.compiler.lowering.images import Group, Spot
from glassnet.compiler.lowering.matrix import split
from glassnet.compiler.passes.image_layout import Lanes
from glassnet.compiler.passes.image_nests import Nest
from glassnet.core.graph import Node

_STATIC_TILES = 3  # tiles of a row that are written out
_LONG_TILE = 64  # products of each sum of a tile whose results are worked on in a loop


class _Results:
    """What a nest does with the results of its convolution, tile by tile.

    Where a tile is long in the making, it is handed over in memory and worked on in a loop, place by place:
    that is less code, and little time beside the rest.
    """

    def __init__(self, group: Group, nest: Nest, node: Node, steps: int, vectors: int) -> None:
        self.group, self.nest, self.node = group, nest, node
        followers = sum(not other.op.name.endswith("convolution") for other in nest.nodes)
        self.looped = followers > 0 and steps >= _LONG_TILE and vectors > 1
        self.scratch = group.block.scratch(group.element, vectors * group.lanes) if self.looped else None

    def finish(
        self, at: tuple[Position, Position, Position], values: Sequence[Sequence[Sequence[Operand]]]
    ) -> None:
        """All that follows on results from (channel, row, column) on: for each channel, place and tap one."""
        group, b, (c, y, x) = self.group, self.group.b, at
        if self.scratch is None:
            for k, places in enumerate(values):
                shared = group.shared(self.nest, c + k)
                self._add(c + k, self._places(c + k, y, x, places, shared))
            return
        flat = [value for places in values for taps in places for value in taps]
        for number, value in enumerate(flat):
            b.store(self.scratch, number * group.lanes, value)
        wide, taps = len(values[0]), len(values[0][0])

        def channel(k: Position) -> None:
            own = Index.of(c) + k
            shared = group.shared(self.nest, own)

            def place(q: Position, *totals: Operand) -> list[Operand]:
                first = (Index.of(k) * wide + q) * (taps * group.lanes)
                loaded = [b.load(scratch, first + r * group.lanes, group.lanes) for r in range(taps)]
                new = self._places(own, y, Index.of(x) + q, [loaded], shared)
                return [b.add(total, more) for total, more in zip(totals, new, strict=True)]

            zeros = [b.zero(group.vector)] * len(self.nest.sums)
            self._add(own, b.loop(0, wide, 1, place, zeros))

        scratch = self.scratch
        b.loop(0, len(values), 1, channel)

    def _places(
        self, c: Position, y: Position, x: Position, values: Sequence[Sequence[Operand]], shared: Memory
    ) -> list[Operand]:
        spots = [self.group.spot(self.nest, c, y, x + q, shared) for q in range(len(values))]
        for spot, taps in zip(spots, values, strict=True):
            for place, value in zip(spot.taps if len(taps) > 1 else [spot], taps, strict=True):
                place.known[self.node] = value
        return self.group.finish(self.nest, spots)

    def _add(self, channel: Position, totals: Sequence[Operand]) -> None:
        for node, total in zip(self.nest.sums, totals, strict=True):
            self.group.add(node, channel, total, whole=False)


# -- forward


def lower_convolution(group: Group, nest: Nest) -> Callable[[], None]:
    """A forward convolution, its bias, and what follows on its results."""
    return _Forward(group, nest).lower


class _Forward:
    def __init__(self, group: Group, nest: Nest) -> None:
        assert nest.anchor is not None  # a nest of this kind has one
        self.group, self.nest, self.b, self.anchor = group, nest, group.b, nest.anchor
        x, w = self.anchor.inputs
        self.x: Lanes = group.places[x]
        self.inputs = w.shape[1]
        self.kernel = taps_of(w.shape)
        self.low = low_of(self.anchor)
        self.window = nest.window or (1, 1)
        self.biased = biased(group, nest)
        self.tile = choose_forward_tile(
            nest.grid[2], nest.grid[0], self.window, self.kernel[1], group.cpu.registers
        )
        self.weights = Weights.pack(group, w, split_inputs=False, size=self.tile.outputs)
        vectors = self.tile.places * self.tile.outputs * self.window[0] * self.window[1]
        node = self.biased or self.anchor
        self.results = _Results(group, nest, node, self.inputs * self.kernel[0] * self.kernel[1], vectors)

    def lower(self) -> None:
        """Rows of the grid, then tiles of channels, then tiles of places."""
        b, (channels, rows, columns) = self.b, self.nest.grid
        self.group.clear_sums(self.nest)

        def row(y: Position) -> None:
            pieces(b, channels, self.tile.outputs, lambda o, deep: across(y, o, deep))

        def across(y: Position, o: Position, deep: int) -> None:
            pieces(b, columns, self.tile.places, lambda x, wide: self._tile(y, o, deep, x, wide))

        b.loop(0, rows, 1, row)

    def _tile(self, y: Position, o: Position, deep: int, x: Position, wide: int) -> None:
        b, (down, across) = self.b, self.window
        shared = [self.group.shared(self.nest, o + k) for k in range(deep)]
        start = [self._bias(own) for own in shared for _ in range(wide * down * across)]

        def channel(c: Position, *sums: Operand) -> Sequence[Operand]:
            return b.loop(0, self.kernel[0], 1, lambda i, *inner: taps(c, i, inner), sums)

        def taps(c: Position, i: Position, sums: Sequence[Operand]) -> list[Operand]:
            sums = list(sums)
            seen: dict[tuple[int, int], Operand] = {}
            for j in range(self.kernel[1]):
                places = [(r, q + j) for r in range(down) for q in range(wide * across)]
                for place in places:
                    if place not in seen:
                        seen[place] = self._load(c, y * down + i + place[0], x * across + place[1])
                for k in range(deep):
                    weight = self.weights.at(o, deep, c, i, j, k)
                    for number, place in enumerate(places, k * len(places)):
                        sums[number] = multiply_add(b, weight, seen[place], sums[number])
            return sums

        sums = list(b.loop(0, self.inputs, 1, channel, start))

        def taps_of(k: int, q: int) -> list[Operand]:
            first = k * wide * down * across + q * across
            return [sums[first + i * wide * across + j] for i in range(down) for j in range(across)]

        values = [[taps_of(k, q) for q in range(wide)] for k in range(deep)]
        self.results.finish((o, y, x), values)

    def _load(self, c: Position, row: Position, column: Position) -> Operand:
        above, left = self.low
        place = self.x
        index = Index.of(place.start) + Index.of(self.group.number) * place.strides[0]
        index = index + Index.of(c) * place.strides[1] + (Index.of(row) - above) * place.strides[2]
        index = index + (Index.of(column) - left) * place.strides[3]
        return self.b.load(place.buffer, index, self.group.lanes)

    def _bias(self, shared: dict[Node, Operand]) -> Operand:
        if self.biased is None:
            return self.b.zero(self.group.vector)
        x, y = self.biased.inputs
        return self.group.value(self.nest, y if x is self.anchor else x, Spot(0, 0, 0, shared))


def biased(group: Group, nest: Nest) -> Node | None:
    """The sum of convolution and bias, if nothing else wants the convolution: sums start at the bias then."""
    assert nest.anchor is not None  # asked for convolutions
    readers = [node for node in group.body.nodes if nest.anchor in node.inputs]
    if len(readers) != 1 or readers[0].op.name != "add" or readers[0] not in nest.nodes:
        return None
    x, y = readers[0].inputs
    other = y if x is nest.anchor else x
    alone = nest.anchor in nest.stores or x is y
    return None if alone or other not in group.shared_nodes(nest) else readers[0]


# -- back to the input


def lower_to_input(group: Group, nest: Nest) -> Callable[[], None]:
    """What goes back through a convolution to its input, and what follows on it."""
    return _ToInput(group, nest).lower


class _ToInput:
    def __init__(self, group: Group, nest: Nest) -> None:
        assert nest.anchor is not None  # a nest of this kind has one
        self.group, self.nest, self.b, self.anchor = group, nest, group.b, nest.anchor
        y, w = self.anchor.inputs
        self.y: Lanes = group.places[y]
        self.outputs = w.shape[0]
        self.kernel = taps_of(w.shape)
        self.low = low_of(self.anchor)
        channels, _, columns = nest.grid
        row = self.kernel[0] * self.y.extents[2] * self.outputs * group.vector_bytes
        self.wide, self.deep = choose_backward_tile(
            columns, channels, self.kernel[1], group.cpu.registers, far=row > FIRST_CACHE
        )
        self.weights = Weights.pack(group, w, split_inputs=True, size=self.deep)
        steps = self.outputs * self.kernel[0] * self.kernel[1]
        self.results = _Results(group, nest, self.anchor, steps, self.wide * self.deep)

    def lower(self) -> None:
        """Rows of the input, then tiles of channels, then tiles of its columns."""
        b, (channels, rows, columns) = self.b, self.nest.grid
        self.group.clear_sums(self.nest)

        def row(y: Position) -> None:
            # taps i for which row y + low - i of the output exists
            above, high = Index.of(y) + self.low[0], self.y.extents[1] - 1
            first = self._clamped(above - high, self.kernel[0])
            last = self._clamped(above + 1, self.kernel[0])
            pieces(b, channels, self.deep, lambda c, deep: self._columns(y, c, deep, columns, (first, last)))

        b.loop(0, rows, 1, row)

    def _clamped(self, index: Index, high: int) -> int | Value:
        """The index, at least 0 and at most `high`."""
        if not index.terms:
            return min(max(index.constant, 0), high)
        b, value = self.b, self.b.value_of(index)
        value = b.select(b.compare("lt", value, 0), b.zero(value.type), value)
        return b.select(b.compare("gt", value, high), b.constant(high, value.type), value)

    def _columns(
        self, y: Position, c: Position, deep: int, columns: int, rows: tuple[int | Value, int | Value]
    ) -> None:
        """Tiles along a row: those within reach of an edge are written out, the others are one loop."""
        starts = [0]
        for piece, times in split(columns, self.wide):
            for _ in range(times):
                starts.append(starts[-1] + piece)
        tiles = list(pairwise(starts))
        number = 0
        while number < len(tiles):
            start, end = tiles[number]
            alike = number
            if len(tiles) > _STATIC_TILES:
                while alike < len(tiles) and self._is_inner(tiles[alike], end - start):
                    alike += 1
            if alike > number + 1:
                stop = tiles[alike - 1][1]
                self.b.loop(
                    start,
                    stop,
                    end - start,
                    lambda x, wide=end - start, first=start: self._tile(y, c, deep, x, wide, first, rows),
                )
                number = alike
            else:
                self._tile(y, c, deep, start, end - start, start, rows)
                number += 1

    def _is_inner(self, tile: tuple[int, int], wide: int) -> bool:
        """Whether all taps of all places of the tile meet the output."""
        start, end = tile
        first, last = start + self.low[1] - self.kernel[1] + 1, end - 1 + self.low[1]
        return end - start == wide and first >= 0 and last < self.y.extents[2]

    def _tile(
        self,
        y: Position,
        c: Position,
        deep: int,
        x: Position,
        wide: int,
        like: int,
        rows: tuple[int | Value, int | Value],
    ) -> None:
        """`wide` columns from x on, with the edges that the tile at `like` has."""
        b, (_, taps), left = self.b, self.kernel, self.low[1]
        reached = range(
            max(0, like + left - taps + 1) - like, min(self.y.extents[2], like + wide + left) - like
        )

        def tap(i: Position, *sums: Operand) -> Sequence[Operand]:
            row = Index.of(y) + self.low[0] - i
            return b.loop(0, self.outputs, 1, lambda o, *inner: output(o, i, row, inner), sums)

        def output(o: Position, i: Position, row: Index, sums: Sequence[Operand]) -> list[Operand]:
            sums = list(sums)
            known: dict[tuple[int, int], Operand] = {}

            def weight(k: int, j: int) -> Operand:
                if (k, j) not in known:
                    known[k, j] = self.weights.at(c, deep, o, i, j, k)
                return known[k, j]

            vectors: dict[int, Operand] = {}

            def meet(q: int, k: int, j: int) -> None:
                place = q + j - left
                if 0 <= place < wide:
                    if q not in vectors:
                        vectors[q] = self._load(o, row, Index.of(x) + q)
                    number = k * wide + place
                    sums[number] = multiply_add(b, weight(k, j), vectors[q], sums[number])

            if deep == 1:
                for q in reached:
                    for j in range(taps):
                        meet(q, 0, j)
            else:
                for k in range(deep):
                    for j in range(taps):
                        for q in reached:
                            meet(q, k, j)
            return sums

        zero = b.zero(self.group.vector)
        sums = b.loop(rows[0], rows[1], 1, tap, [zero] * (wide * deep))
        self.results.finish((c, y, x), [[[sums[k * wide + q]] for q in range(wide)] for k in range(deep)])

    def _load(self, o: Position, row: Index, column: Index) -> Operand:
        return self.b.load(
            self.y.buffer, vector_at(self.y, self.group.number, o, row, column), self.group.lanes
        )
