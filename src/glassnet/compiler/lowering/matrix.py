"""Products of matrices: tiles of registers, elements of A times vectors of B, and what follows on each tile.

out[u, v] = sum_k a[u, k] b[k, v]. A tile of `height` lines by `width` vectors is summed in registers over the
whole of k. Then the kernel's elementwise nodes run on it: in registers where they are few, else by lines
from a small scratch tile that stays in the first cache, so that costly epilogues are one loop and not
thousands of instructions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glassnet.compiler.cpu import CPU
from glassnet.compiler.loop_ir import Builder, Index, Operand, Position, Type
from glassnet.compiler.loop_language import BITS
from glassnet.compiler.lowering.evaluate import LOWERINGS, Evaluator, Memory, Place
from glassnet.compiler.passes.elements import element_of
from glassnet.compiler.passes.fuse import COSTLY, Kernel
from glassnet.compiler.passes.layout import Layout, Storage
from glassnet.compiler.passes.orientation import Product
from glassnet.compiler.passes.values import Values
from glassnet.core.graph import Node

_FMA_LATENCY = 4  # cycles; times two a cycle, so eight sums have to be in flight
_CHAIN_STEP = 5  # cycles that a step of k takes where latency bounds it: no scheduler is perfect
_TILE_OVERHEAD = 6  # cycles to start and end a tile
_SMALL_TILE = 8  # sums of a tile that counts as small
_FMA_A_CYCLE = 2
_LOADS_A_CYCLE = 2
_LONG = 1e6  # cycles of a product that takes long
_LINE = 64  # bytes that a cache reads at a time
# Bytes of an operand, and the cycles that a line costs more which is not in the first cache: of a panel of B,
# which is read in order, and of A, all of which is read in between.
_PANEL_COSTS = ((2**15, 0.0), (2**18, 0.25), (math.inf, 1.5))
_LEFT_COSTS = ((2**15, 0.0), (2**20, 0.5), (math.inf, 4.0))
_EPILOGUE_IN_REGISTERS = 96  # nodes times vectors that are written out instead of looped over


@dataclass(frozen=True)
class Tile:
    """`height` lines by `width` vectors of sums held in registers."""

    height: int
    width: int


def choose_tile(u: int, vectors: int, k: int, cpu: CPU, *, size: int = 4, by_rows: bool = True) -> Tile:
    """The tile that needs the fewest cycles for a product of `u` lines by `vectors` vectors over `k`.

    A step of k costs a tile its multiply-adds, its loads, or the latency of one sum, whichever is longest,
    and what its operands cost that do not come from the first cache. Elements of A have `size` bytes; they
    lie along k (`by_rows`) or along u.
    """
    best: tuple[float, Tile] | None = None
    lane_bytes = cpu.vector_bits // 8
    for width in range(1, min(vectors, 4) + 1):
        for height in range(1, min(u, (cpu.registers - width - 1) // width) + 1):
            cycles, shapes = 0.0, 0
            for tall, rows in split(u, height):
                for wide, columns in split(vectors, width):
                    sums = tall * wide
                    step = max(sums / _FMA_A_CYCLE, (tall + wide) / _LOADS_A_CYCLE, _CHAIN_STEP)
                    step += wide * lane_bytes / _LINE * _cost_of_line(k * wide * lane_bytes, _PANEL_COSTS)
                    lines = tall * size / _LINE if by_rows else 1 + (tall - 1) * size / _LINE
                    step += lines * _cost_of_line(u * k * size, _LEFT_COSTS)
                    cycles += rows * columns * (k * step + _TILE_OVERHEAD)
                    shapes += 1
            # Every shape is code to compile, which matters less in a long product.
            cost = cycles + (0.02 * shapes + 0.002 * height * width) * min(cycles, _LONG)
            if best is None or cost < best[0]:
                best = cost, Tile(height, width)
    assert best is not None  # one line and one vector always fit
    return best[1]


def _cost_of_line(operand: int, costs: Sequence[tuple[float, float]]) -> float:
    return next(cost for most, cost in costs if operand <= most)


def split(count: int, size: int) -> list[tuple[int, int]]:
    """`count` in pieces of at most `size` that differ by one at most: [(piece, how many), ...]."""
    pieces = -(-count // size)
    base, larger = divmod(count, pieces)
    return [(base + 1, larger)] * (larger > 0) + [(base, pieces - larger)]


def _tiles(b: Builder, count: int, size: int, body: Callable[[Position, int], None]) -> None:
    start = 0
    for piece, times in split(count, size):
        b.loop(start, start + piece * times, piece, lambda i, piece=piece: body(i, piece))
        start += piece * times


def lower_contraction(b: Builder, values: Values, layout: Layout, kernel: Kernel, cpu: CPU) -> None:
    """The loops of a contraction kernel."""
    _Contraction(b, values, layout, kernel, cpu).lower()


@dataclass(frozen=True)
class _Summand:
    """A product and where its operands lie, b in the order in which its vectors are read."""

    product: Product
    a: Storage
    b: Storage

    @staticmethod
    def of(product: Product, layout: Layout) -> _Summand:
        stored = layout.storages[product.b]
        straight = stored.transposed is not product.b_by_rows
        return _Summand(product, layout.storages[product.a], stored if straight else layout.copies[product.b])

    @property
    def depth(self) -> int:
        """The extent of k."""
        return self.product.extents[2]

    def left(self, member: Position, u: Position, k: Position) -> Index:
        """The place of a[u, k] in a member of a stack."""
        if self.product.a_by_rows:
            return self.a.index(member * self.product.extents[0] + u, k)
        return self.a.index(member * self.depth + k, u)

    def right(self, member: Position, k: Position, v: Position) -> Index:
        """The place of b[k, v]."""
        if self.product.b_by_rows:
            return self.b.index(member * self.depth + k, v)
        return self.b.index(v, k)


class _Contraction:
    def __init__(self, b: Builder, values: Values, layout: Layout, kernel: Kernel, cpu: CPU) -> None:
        assert kernel.anchor is not None  # a contraction kernel has one
        self.b, self.kernel, self.anchor = b, kernel, kernel.anchor
        self.product: Product = layout.products[kernel]
        self.summands = [_Summand.of(product, layout) for product in self.product.summands]
        self.transposed = self.product.transposed
        self.member: Position = 0
        self.evaluator = Evaluator(b, values, layout, kernel)
        element = element_of(kernel.anchor.dtype)
        u, v, _ = self.product.extents
        self.reader = self._find_reader(values)
        self.biased, self.scaled = self._is_biased(), self._is_scaled()
        self.summed = self.reader if self.reader and (self.biased or self.scaled) else self.anchor
        self.lanes = cpu.lanes_along(element, v)
        self.vector = Type(element, self.lanes)
        self.packed = cpu.lanes_along(element, 1) >> (v - 1).bit_length()  # lines side by side in a register
        self.vectors = -(-v // self.lanes)
        depth, size = sum(x.depth for x in self.summands), BITS[element] // 8
        by_rows = self.product.a_by_rows
        self.tile = choose_tile(u, self.vectors, depth, cpu, size=size, by_rows=by_rows)
        work = sum(node is not kernel.anchor for node in kernel.nodes) + 1
        self.looped = (
            work * self.tile.height * self.tile.width > _EPILOGUE_IN_REGISTERS and self.tile.height > 1
        )
        scratch = self.tile.height * self.tile.width * self.lanes
        self.scratch = b.buffer(f"tile_{b.unique()}", element, scratch) if self.looped else None

    def _find_reader(self, values: Values) -> Node | None:
        """The one node that takes the product and something else, if this kernel computes it."""
        readers = [node for node in values.graph.nodes if self.anchor in node.inputs]
        if len(readers) != 1 or readers[0] not in self.kernel.nodes or self.anchor in self.kernel.writes:
            return None
        return readers[0] if len({*readers[0].inputs}) == len(readers[0].inputs) == 2 else None

    def _is_biased(self) -> bool:
        """True where a bias is added to the product: sums then start at the bias."""
        if self.reader is None or self.reader.op.name != "add":
            return False
        # NOTE sums that start at a matrix have its rounding errors: a sum over many steps would gather them
        return not all(self.evaluator.varies(self._other(self.reader)))

    def _is_scaled(self) -> bool:
        """True where an outer product is multiplied by a matrix: the element of A then comes in last.

        This is the delta of a layer behind which there is a single unit, and the slope is known long before.
        """
        if self.reader is None or self.reader.op.name != "multiply":
            return False
        outer = [summand.depth for summand in self.summands] == [1]
        return outer and self._other(self.reader).shape == self.anchor.shape

    def _other(self, reader: Node) -> Node:
        x, y = reader.inputs
        return y if x is self.anchor else x

    def _operands(self, lines: Sequence[Position], v: Position, width: int) -> list[Operand]:
        """What the reader combines a tile of the product with."""
        assert self.reader is not None  # asked by the caller
        across: list[Memory] = [{} for _ in range(width)]
        operands: list[Operand] = []
        for u in lines:
            line: Memory = {}
            for c in range(width):
                place = self._place(u, v + c * self.lanes, line, across[c])
                operands.append(self.evaluator.value(self._other(self.reader), place))
        return operands

    def _place(self, u: Position, v: Position, line: Memory, across: Memory) -> Place:
        if self.transposed:
            return Place(v, u, self.lanes, "i", line, across)
        return Place(self._line(u), v, self.lanes, "j", line, across)

    def _line(self, u: Position) -> Position:
        """Line u of the present member of a stack, counted from the first line of all."""
        return self.member * self.product.extents[0] + u

    def lower(self) -> None:
        """Tiles along v, then along u: the vectors of B stay in the cache while u runs."""
        u, _, _ = self.product.extents

        def across(v: Position, width: int) -> None:
            _tiles(self.b, u, self.tile.height, lambda i, height: self._tile(i, height, v, width))

        def vectors(first: Position, width: int) -> None:
            across(Index.of(first) * self.lanes if not isinstance(first, int) else first * self.lanes, width)

        def member(n: Position) -> None:
            self.member = n
            _tiles(self.b, self.vectors, self.tile.width, vectors)

        self.b.loop(0, self.product.batch, 1, member)

    def _tile(self, u: Position, height: int, v: Position, width: int) -> None:
        sums = self._sums(u, height, v, width)
        if self.scratch is None:
            across: list[Memory] = [{} for _ in range(width)]
            results = self._side_by_side(sums)
            for r in range(height):
                line: Memory = {}
                for c in range(width):
                    known = {node: values[r * width + c] for node, values in results.items()}
                    self._finish(u + r, v + c * self.lanes, known, line, across[c])
            return
        for number, total in enumerate(sums):
            self.b.store(self.scratch, number * self.lanes, total)

        def one_line(r: Position) -> None:
            line: Memory = {}
            for c in range(width):
                total = self.b.load(self.scratch, r * (width * self.lanes) + c * self.lanes, self.lanes)  # type: ignore[arg-type]
                self._finish(u + r, v + c * self.lanes, {self.summed: total}, line, {})

        self.b.loop(0, height, 1, one_line)

    def _side_by_side(self, sums: Sequence[Operand]) -> dict[Node, Sequence[Operand]]:
        """The sums, and costly functions of them; those of short lines several lines at a time."""
        found: dict[Node, Sequence[Operand]] = {self.summed: sums}
        functions = [x for x in self.kernel.nodes if x.op.name in COSTLY and x.inputs == (self.summed,)]
        if self.packed < 2 or len(sums) < 2:
            return found
        b, count = self.b, self.packed
        for node in functions:
            values: list[Operand] = []
            for first in range(0, len(sums), count):
                several = LOWERINGS[node.op.name](b, node, pack(b, sums[first : first + count], count))
                values += unpack(b, several, count, self.lanes)
            found[node] = values[: len(sums)]
        return found

    def _finish(self, u: Position, v: Position, known: Memory, line: Memory, across: Memory) -> None:
        """The epilogue: the kernel's other nodes on one vector of the product."""
        place = self._place(u, v, line, across)
        place.known.update(known)
        self.evaluator.store_all(self.kernel.writes, place)

    def _sums(self, u: Position, height: int, v: Position, width: int) -> Sequence[Operand]:
        """The tile's sums, over the k of one product after the other."""
        lines = [u + r for r in range(height)]
        zeros = [self.b.zero(self.vector)] * (height * width)
        sums: Sequence[Operand] = self._operands(lines, v, width) if self.biased else zeros
        factors = self._operands(lines, v, width) if self.scaled else None
        for summand in self.summands:
            sums = self._go_on(summand, lines, v, width, sums, factors)
        return sums

    def _go_on(
        self,
        summand: _Summand,
        lines: Sequence[Position],
        v: Position,
        width: int,
        start: Sequence[Operand],
        factors: Sequence[Operand] | None,
    ) -> Sequence[Operand]:
        """The sums after one more product. Thin tiles sum even and odd k apart, for more sums in flight."""
        k_extent, in_flight = summand.depth, len(start)
        chains = 1
        while in_flight * chains < _FMA_LATENCY * _FMA_A_CYCLE and chains < 8 and k_extent >= 4 * chains:
            chains *= 2
        zero = self.b.zero(self.vector)
        zeros = [zero] * (in_flight * (chains - 1))

        def step(k: Position, sums: Sequence[Operand]) -> list[Operand]:
            b = self.b
            right = [
                b.load(summand.b.buffer, summand.right(self.member, k, v + c * self.lanes), self.lanes)
                for c in range(width)
            ]
            result: list[Operand] = []
            for r, u in enumerate(lines):
                left = b.load_splat(summand.a.buffer, summand.left(self.member, u, k), self.lanes)
                own = slice(r * width, (r + 1) * width)
                scaled = map(b.mul, right, factors[own]) if factors else right
                for vector, total in zip(scaled, sums[own], strict=True):
                    result.append(b.mul(left, vector) if total == zero else b.fma(left, vector, total))
            return result

        def steps(k: Position, *sums: Operand) -> list[Operand]:
            new: list[Operand] = []
            for chain in range(chains):
                new += step(k + chain, sums[chain * in_flight : (chain + 1) * in_flight])
            return new

        whole = k_extent // chains * chains
        # A k of a few steps is written out: what a loop would cost exceeds what it does.
        loop = self.b.short_loop if in_flight <= _SMALL_TILE else self.b.loop
        sums = list(loop(0, whole, chains, steps, [*start, *zeros]))
        while len(sums) > in_flight:
            half = len(sums) // 2
            sums = [self.b.add(x, y) for x, y in zip(sums[:half], sums[half:], strict=True)]
        return loop(whole, k_extent, 1, lambda k, *sums: step(k, sums), sums)


def pack(b: Builder, vectors: Sequence[Operand], count: int) -> Operand:
    """The first lanes of each of `count` vectors side by side, as many as fill the narrowest register.

    `count` is a power of two; the last vector stands for those that are missing.
    """
    group = [*vectors, *[vectors[-1]] * (count - len(vectors))]
    lanes = group[0].type.lanes // count
    while len(group) > 1:
        group = [
            b.shuffle(x, y, [*range(lanes), *range(x.type.lanes, x.type.lanes + lanes)])
            for x, y in zip(group[::2], group[1::2], strict=True)
        ]
        lanes *= 2
    return group[0]


def unpack(b: Builder, packed: Operand, count: int, lanes: int) -> list[Operand]:
    """What `pack` put side by side as vectors of so many lanes; beyond what was packed they repeat it."""
    own = packed.type.lanes // count
    return [
        b.shuffle(packed, packed, [first * own + i % own for i in range(lanes)]) for first in range(count)
    ]
