"""Convolutions of images: vectors of examples times broadcast weights, sums in registers.

    convolution   tiles of some places by some output channels, run over input channels and taps
    to_input      what goes back to the input: a row of places by some input channels, run over the rows and
                  channels of the output that touch it; each vector of the output is loaded once and goes to
                  all places in reach, so that no product with the zeros around an image is made
    to_kernel     the kernel's gradient: some output channels by some input channels by a row of taps, summed
                  over all places, a vector each

All sums stay in registers as long as they grow. Nothing is laid out anew: a tap is a load beside another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from glassnet.compiler.loop_ir import Buffer, Builder, Constant, Index, Operand, Position, Value
from glassnet.compiler.lowering.images import Group, Spot
from glassnet.compiler.lowering.matrix import split
from glassnet.compiler.lowering.view import View
from glassnet.compiler.passes.image_layout import Lanes, planes
from glassnet.compiler.passes.image_nests import Nest
from glassnet.core.graph import Node
from glassnet.core.shape import size_of

_LATENCY = 4  # cycles of a multiply-add, of which two begin in each
_TILE_OVERHEAD = 12  # cycles to start and end a tile
_FIRST_CACHE = 24 * 1024  # bytes of it that a band of rows may take
_STATIC_TILES = 3  # tiles of a row that are written out
_UNROLLED_LINES = 160  # of neighbouring places that are written out


@dataclass(frozen=True)
class _Weights:
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
    def pack(group: Group, node: Node, *, split_inputs: bool, size: int) -> _Weights:
        """Packs the weights `node` for tiles of at most `size` channels."""
        b, view = group.b, group.plain[node]
        weights = _Weights(
            b, view, group.block.scratch(group.element, size_of(node.shape)), group.lanes, split_inputs
        )
        outputs, inputs = node.shape[:2]
        down, across = _taps(node.shape)
        count, others = (inputs, outputs) if split_inputs else (outputs, inputs)

        def piece(start: Position, deep: int) -> None:
            def row(other: Position, i: Position) -> None:
                for k in range(deep):
                    for j in range(across):
                        o, c = (other, start + k) if split_inputs else (start + k, other)
                        places = (o, c, i, j) if len(view.shape) == 4 else (o, c, j)
                        value = b.load(view.buffer, view.place(places))
                        b.store(weights.packed, weights.place(start, deep, other, i, j, k), value)

            b.loop(0, others, 1, lambda other: b.loop(0, down, 1, lambda i: row(other, i)) and None)

        pieces(b, count, size, piece)
        return weights

    def place(self, start: Position, deep: int, other: Position, i: Position, j: int, k: int) -> Index:
        """Where the weight of channel k of the tile at `start` lies, for another channel and a tap."""
        outputs, inputs = self.view.shape[:2]
        down, across = _taps(self.view.shape)
        others = outputs if self.split_inputs else inputs
        row = (Index.of(i) * others + other) if self.split_inputs else (Index.of(other) * down + i)
        tap = row * (across * deep) + (k * across + j if self.split_inputs else j * deep + k)
        return Index.of(start) * (others * down * across) + tap

    def at(self, start: Position, deep: int, other: Position, i: Position, j: int, k: int) -> Operand:
        """That weight in every lane."""
        return self.b.load_splat(self.packed, self.place(start, deep, other, i, j, k), self.lanes)


def _taps(shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of a kernel (outputs, inputs, *taps)."""
    return (1, shape[2]) if len(shape) == 3 else (shape[2], shape[3])


def _low(node: Node) -> tuple[int, int]:
    """The zeros in front of rows and columns."""
    low = node.attributes["low"]
    return (0, low[0]) if len(low) == 1 else (low[0], low[1])


def pieces(b: Builder, count: int, size: int, body: Callable[[Position, int], None]) -> None:
    """Runs `body(start, length)` for pieces of at most `size`, as equal as can be."""
    start = 0
    for piece, times in split(count, size):
        b.loop(start, start + piece * times, piece, lambda i, piece=piece: body(i, piece))
        start += piece * times


# -- forward


@dataclass(frozen=True)
class ForwardTile:
    """`places` of a grid side by side, each `taps` sums, by `outputs` channels."""

    places: int
    outputs: int


def choose_forward_tile(
    columns: int, outputs: int, window: tuple[int, int], taps: int, registers: int
) -> ForwardTile:
    """The tile with the fewest cycles a multiply-add, of those that fit into the registers."""
    best: tuple[float, ForwardTile] | None = None
    down, across = window
    for places in range(1, columns + 1):
        sums = places * down * across
        for channels in range(1, outputs + 1):
            if sums * channels + sums + 1 > registers and (places, channels) != (1, 1):
                break
            cycles = 0.0
            for wide, times in split(columns, places):
                for deep, depth in split(outputs, channels):
                    own = wide * down * across
                    reached = down * (wide * across + taps - 1)
                    loads = (reached / taps + deep) / 2  # a cycle takes two
                    step = max(own * deep / 2, loads, _LATENCY)
                    cycles += times * depth * (step * taps + _TILE_OVERHEAD)
            shapes = len(split(columns, places)) * len(split(outputs, channels))
            cost = cycles * (1 + 0.01 * shapes)  # every shape is code to compile
            if best is None or cost < best[0]:
                best = cost, ForwardTile(places, channels)
    assert best is not None  # one place of one channel is always taken
    return best[1]


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
        self.kernel = _taps(w.shape)
        self.low = _low(self.anchor)
        self.window = nest.window or (1, 1)
        self.biased = biased(group, nest)
        self.tile = choose_forward_tile(
            nest.grid[2], nest.grid[0], self.window, self.kernel[1], group.cpu.registers
        )
        self.weights = _Weights.pack(group, w, split_inputs=False, size=self.tile.outputs)

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
        for k in range(deep):
            spots = [self.group.spot(self.nest, o + k, y, x + q, shared[k]) for q in range(wide)]
            own = sums[k * wide * down * across :]
            for q, spot in enumerate(spots):
                for r, place in enumerate(spot.taps or [spot]):
                    value = own[(r // across) * wide * across + q * across + r % across]
                    place.known[self.biased or self.anchor] = value
            for node, total in zip(self.nest.sums, self.group.finish(self.nest, spots), strict=True):
                self.group.add(node, o + k, total, whole=False)

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


def multiply_add(b: Builder, x: Operand, y: Operand, total: Operand) -> Operand:
    """x y + total; the first product of all needs no zero."""
    zero = isinstance(total, Constant) and total.value == 0
    return b.mul(x, y) if zero else b.fma(x, y, total)


# -- back to the input


def choose_backward_tile(
    columns: int, channels: int, taps: int, registers: int, *, far: bool
) -> tuple[int, int]:
    """(columns, channels) of the tile with the fewest cycles a multiply-add.

    A tile of one channel holds a row of weights in registers, one of several a row of the output. Vectors
    that come from afar, the second cache, take two cycles each.
    """
    best: tuple[float, tuple[int, int]] | None = None
    for wide in range(1, columns + 1):
        for deep in range(1, channels + 1):
            held = min(taps, registers // 3) + 1 if deep == 1 else wide + taps
            if wide * deep + held > registers and (wide, deep) != (1, 1):
                break
            cycles = 0.0
            for length, times in split(columns, wide):
                for depth, count in split(channels, deep):
                    loads = length + taps - 1
                    traffic = (loads + depth * taps) / 2
                    step = max(length * depth * taps / 2, traffic, loads * 2 if far else 0, _LATENCY)
                    cycles += times * count * (step + 1)
            shapes = -(-columns // wide) * len(split(channels, deep))
            cost = cycles * (1 + 0.02 * shapes)
            if best is None or cost < best[0]:
                best = cost, (wide, deep)
    assert best is not None  # one column of one channel is always taken
    return split(columns, best[1][0])[0][0], best[1][1]


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
        self.kernel = _taps(w.shape)
        self.low = _low(self.anchor)
        channels, _, columns = nest.grid
        row = self.kernel[0] * self.y.extents[2] * self.outputs * group.vector_bytes
        self.wide, self.deep = choose_backward_tile(
            columns, channels, self.kernel[1], group.cpu.registers, far=row > _FIRST_CACHE
        )
        self.weights = _Weights.pack(group, w, split_inputs=True, size=self.deep)

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
        for k in range(deep):
            shared = self.group.shared(self.nest, c + k)
            spots = [self.group.spot(self.nest, c + k, y, Index.of(x) + q, shared) for q in range(wide)]
            for q, spot in enumerate(spots):
                spot.known[self.anchor] = sums[k * wide + q]
            for node, total in zip(self.nest.sums, self.group.finish(self.nest, spots), strict=True):
                self.group.add(node, c + k, total, whole=False)

    def _load(self, o: Position, row: Index, column: Index) -> Operand:
        return self.b.load(self.y.buffer, _at(self.y, self.group.number, o, row, column), self.group.lanes)


def _at(place: Lanes, block: Position, channel: Position, row: Index, column: Index) -> Index:
    """Where a vector lies, also beyond the edges."""
    index = Index.of(place.start) + Index.of(block) * place.strides[0] + Index.of(channel) * place.strides[1]
    return index + row * place.strides[2] + column * place.strides[3]


# -- to the kernel


@dataclass(frozen=True)
class KernelTile:
    """Sums of `outputs` by `inputs` channels by `taps` of a kernel's row."""

    outputs: int
    inputs: int
    taps: int


def choose_kernel_tile(outputs: int, inputs: int, taps: int, registers: int) -> KernelTile:
    """The tile with the fewest cycles a multiply-add: it loads one vector a channel of either side."""
    best: tuple[float, KernelTile] | None = None
    taps = split(taps, max(1, min(taps, (registers - 2) // 2)))[0][0]
    for o in range(1, outputs + 1):
        for c in range(1, inputs + 1):
            if o * c * taps + c * taps + 1 > registers and (o, c) != (1, 1):
                break
            cycles = 0.0
            for deep, times in split(outputs, o):
                for wide, depth in split(inputs, c):
                    sums = deep * wide * taps
                    cycles += times * depth * max(sums / 2, (deep + wide * taps) / 2, _LATENCY)
            shapes = len(split(outputs, o)) * len(split(inputs, c))
            cost = cycles * (1 + 0.02 * shapes)
            if best is None or cost < best[0]:
                best = cost, KernelTile(o, c, taps)
    assert best is not None  # one channel of either side is always taken
    return best[1]


def lower_to_kernel(group: Group, nest: Nest) -> Callable[[], None]:
    """What a block adds to the gradient of a kernel: sums over all places, each lane for itself."""
    return _ToKernel(group, nest).lower


class _ToKernel:
    def __init__(self, group: Group, nest: Nest) -> None:
        node = nest.anchor
        assert node is not None  # a nest of this kind has one
        self.group, self.b, self.total = group, group.b, group.totals[node]
        self.x, self.y = (group.places[source] for source in node.inputs)
        self.channels = node.shape[0], node.shape[1]
        self.kernel, self.low = _taps(node.shape), _low(node)
        _, self.rows, self.columns = planes(node.inputs[1].shape)
        self.tile = choose_kernel_tile(*self.channels, self.kernel[1], group.cpu.registers)
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

        def kernel(first: Position, rows: int, o: tuple[Position, int], c: tuple[Position, int]) -> None:
            def line(i: Position) -> None:
                pieces(
                    b, self.kernel[1], tile.taps, lambda j, taps: self._sums(first, rows, o, c, i, (j, taps))
                )

            b.loop(0, self.kernel[0], 1, line)

        pieces(b, self.rows, self.band, band)

    def _sums(
        self,
        first: Position,
        rows: int,
        o: tuple[Position, int],
        c: tuple[Position, int],
        i: Position,
        j: tuple[Position, int],
    ) -> None:
        """Adds the products of a band of rows to one tile of sums."""
        b, group = self.b, self.group
        triples = [(k, m, t) for k in range(o[1]) for m in range(c[1]) for t in range(j[1])]

        def place(k: int, m: int, t: int) -> Index:
            (down, across), (_, inputs) = self.kernel, self.channels
            row = ((Index.of(o[0]) + k) * inputs + c[0] + m) * down + i
            return (row * across + j[0] + t) * group.lanes

        def row(r: Position, *sums: Operand) -> Sequence[Operand]:
            return b.loop(
                0,
                self.columns,
                self.unrolled,
                lambda q, *inner: self._places(first + Index.of(r), Index.of(q), o, c, i, j, inner),
                sums,
            )

        old = [b.load(self.total, place(*triple), group.lanes) for triple in triples]
        start = old if group.valid is None else [b.zero(group.vector)] * len(triples)
        sums = b.loop(0, rows, 1, row, start)
        for triple, before, made in zip(triples, old, sums, strict=True):
            new = made if group.valid is None else b.add(before, group.examples(made))
            b.store(self.total, place(*triple), new)

    def _places(
        self,
        row: Index,
        column: Index,
        o: tuple[Position, int],
        c: tuple[Position, int],
        i: Position,
        j: tuple[Position, int],
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
        index = _at(place, self.group.number, channel, row, column)
        return self.b.load(place.buffer, index, self.group.lanes)


def choose_band(rows: int, row: int) -> int:
    """How many rows of that many bytes are worked on together, so that they stay in the first cache."""
    most = max(1, _FIRST_CACHE // row)
    if rows <= most + most // 2:
        return rows
    even = max(n for n in range(1, most + 1) if rows % n == 0)
    return even if 2 * even >= most else most
