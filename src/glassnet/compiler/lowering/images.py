"""Groups of images: where the values of a group lie, and what they are at a place of the present block.

Sums over the batch gather in vectors, one lane an example of each block, until the last block is done; then
their lanes are added. Where the batch does not fill its last block, that block's empty lanes are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from glassnet.compiler.loop_ir import Buffer, Builder, Constant, Index, Operand, Position, Type
from glassnet.compiler.loop_language import BITS
from glassnet.compiler.lowering.evaluate import LOWERINGS, Memory
from glassnet.compiler.lowering.nest import Block, over
from glassnet.compiler.lowering.view import View
from glassnet.compiler.passes.elements import element_of, value_type
from glassnet.compiler.passes.fuse import Kernel
from glassnet.compiler.passes.image_layout import (
    ImageStorage,
    Lanes,
    image_storage,
    lanes_for,
    margins_within,
    matrix_image,
    planes,
)
from glassnet.compiler.passes.image_nests import Nest, plan_nests
from glassnet.compiler.passes.image_ops import FROM_IMAGES, REPEAT, TO_IMAGES, UNPOOL, images_of
from glassnet.compiler.passes.rewrite import uniform
from glassnet.core.graph import Node
from glassnet.core.shape import size_of
from glassnet.errors import UncompilableError


@dataclass
class Spot:
    """A place of a grid in the present block. `shared` is what is the same for all of its channel.

    A place that stands for a window has its fine places as `taps`; a fine place has its window as `whole`,
    and its number in it as `tap`.
    """

    channel: Position
    row: Position
    column: Position
    shared: Memory
    known: Memory = field(default_factory=dict[Node, Operand])
    whole: Spot | None = None
    tap: Position = 0
    taps: list[Spot] = field(default_factory=list["Spot"])


class Group:
    """One group in the making: where its values lie, and what they are at a place of the present block."""

    def __init__(self, block: Block, kernel: Kernel) -> None:
        assert kernel.anchor is not None  # a group is the anchor of its kernel
        self.block, self.b, self.cpu = block, block.b, block.cpu
        self.body = kernel.anchor.attributes["body"]
        self.images = images_of(self.body)
        first = next(node for node in self.body.nodes if node in self.images and node.dtype.kind == "f")
        self.batch, self.element = first.shape[0], element_of(first.dtype)
        self.lanes = lanes_for(self.batch, block.lanes(first))
        self.blocks = -(-self.batch // self.lanes)
        self.vector = Type(self.element, self.lanes)
        self.vector_bytes = self.lanes * BITS[self.element] // 8
        self.number: Position = 0  # of the present block
        self.valid: Operand | None = None  # the lanes of the present block that are examples
        self.nests = plan_nests(self.body, self.cpu.registers, self.blocks)
        self.places: dict[Node, Lanes] = {}
        self.plain: dict[Node, View] = {}
        self.results: dict[Node, Node] = {}  # a node of the body: the result that it is
        self.totals: dict[Node, Buffer] = {}  # sums over the batch, a vector each
        self._place_given(kernel.anchor)
        self._place_results(kernel)
        self._place_inner()
        self._uses = self.body.consumers()

    # -- where values lie

    def _place_given(self, group: Node) -> None:
        for outer, given in zip(group.inputs, self.body.inputs, strict=True):
            storage = self.block.layout.storages[self.block.values.base(outer)]
            if isinstance(storage, ImageStorage):
                self.places[given] = storage.image
            elif not storage.transposed:
                self.plain[given] = self.block.view(outer)
            for node in self.body.nodes:
                if node.op is TO_IMAGES and node.inputs[0] is given:
                    attributes = node.attributes
                    self.places[node] = matrix_image(
                        storage, attributes["shape"], attributes["axes"], self.lanes
                    )

    def _place_results(self, kernel: Kernel) -> None:
        for result in kernel.nodes[1:]:
            made = self.body.outputs[result.attributes["number"]]
            storage = self.block.layout.storages.get(result)
            if storage is None:
                continue  # nobody asks for it
            self.results[made] = result
            if isinstance(storage, ImageStorage):
                self.places[made] = storage.image
            elif made.op is FROM_IMAGES:
                axes = made.attributes["axes"]
                shape = tuple(made.inputs[0].shape[axis] for axis in axes)
                back = tuple(axes.index(axis) for axis in range(len(axes)))
                self.places[made] = matrix_image(storage, shape, back, self.lanes)

    def _place_inner(self) -> None:
        """Memory for one block of what only this group sees, and for its sums."""
        margins = margins_within(self.body)
        late = {x for nest in self.nests if nest.late and nest.anchor for x in nest.anchor.inputs}
        for nest in self.nests:
            for node in (*nest.stores, *(total for total in nest.sums if total in self.images)):
                if node not in self.places and node.op is not FROM_IMAGES:
                    name = f"{node.op.name}_{self.b.unique()}"
                    margin = margins.get(node, (0, 0, 0, 0))
                    blocks = None if node in late else 1
                    storage = image_storage(node, margin, self.b, name, self.lanes, blocks)
                    self.places[node] = storage.image
                    if storage.persistent:
                        self.block.persistent.add(storage.buffer)
            for node in nest.sums:
                if node not in self.images:
                    self.totals[node] = self.block.scratch(self.element, node.shape[0] * self.lanes)
            if nest.kind == "to_kernel" and nest.anchor and not nest.late:
                self.totals[nest.anchor] = self.block.scratch(
                    self.element, size_of(nest.anchor.shape) * self.lanes
                )

    # -- values at a place

    def shared(self, nest: Nest, channel: Position) -> Memory:
        """What the nest reads that is the same for all places of a channel."""
        return {node: self.load(node, channel, 0, 0) for node in self.shared_nodes(nest)}

    def shared_nodes(self, nest: Nest) -> list[Node]:
        """The values that `shared` loads."""
        found: list[Node] = []
        seen: set[Node] = set()
        pending = [x for node in nest.nodes if node is not nest.anchor for x in node.inputs]
        while pending:
            node = pending.pop()
            if node in seen or node in nest.nodes or node.op.name == "constant":
                continue
            seen.add(node)
            one_place = node in self.plain and size_of(self.plain[node].shape[2:]) == 1
            if node in self.places:
                one_place = planes(node.shape)[1:] == (1, 1)
            if one_place and node.dtype.kind != "b":
                found.append(node)
            elif node not in self.places and node not in self.plain:
                pending += node.inputs
        return found

    def load(self, node: Node, channel: Position, row: Position, column: Position) -> Operand:
        """The node's vector at a place, from memory."""
        if node in self.places:
            place = self.places[node]
            value: Operand = self.b.load(
                place.buffer, place.at(self.number, channel, row, column), self.lanes
            )
        else:
            view = self.plain[node]
            at = (0, channel, row, column) if len(view.shape) == 4 else (0, channel, column)
            index = view.start
            for extent, stride, step in zip(view.shape, view.strides, at, strict=False):
                if extent > 1:
                    index = index + Index.of(step) * stride
            value = self.b.load_splat(view.buffer, index, self.lanes)
        return self.b.compare("ne", value, 0) if node.dtype.kind == "b" else value

    def value(self, nest: Nest, node: Node, spot: Spot) -> Operand:
        """The node's vector at a place of the nest: known, computed or loaded."""
        fill = uniform(node) if node.op.name == "constant" else None
        if fill is not None:
            return self.b.constant(fill, value_type(node.dtype, self.lanes))
        for memory in (spot.known, spot.shared):
            if node in memory:
                return memory[node]
        if node not in nest.nodes and (node in self.places or node in self.plain):
            result = self.load(node, spot.channel, spot.row, spot.column)
        else:
            result = self._compute(nest, node, spot)
        spot.known[node] = result
        return result

    def _compute(self, nest: Nest, node: Node, spot: Spot) -> Operand:
        name = node.op.name
        if name in ("window_max", "window_place"):
            self._largest(nest, node, spot)
            return spot.known[node]
        if name == "window_sum":
            values = [self.value(nest, node.inputs[0], tap) for tap in spot.taps]
            return self.tree(values)
        if node.op is UNPOOL or node.op is REPEAT:
            return self._spread(nest, node, spot)
        if name == "broadcast_to":
            return self.value(nest, node.inputs[0], spot)
        if name not in LOWERINGS:
            raise UncompilableError(f"the op {name} is not compiled on images yet.")
        fused = self._multiply_add(nest, node, spot)
        if fused is not None:
            return fused
        return LOWERINGS[name](self.b, node, *(self.value(nest, x, spot) for x in node.inputs))

    def _multiply_add(self, nest: Nest, node: Node, spot: Spot) -> Operand | None:
        # a b + c and c - a b in one rounding, where the product is wanted nowhere else
        if node.op.name not in ("add", "subtract") or node.dtype.kind != "f":
            return None
        x, y = node.inputs
        for product, other in ((y, x), (x, y)):
            if node.op.name == "subtract" and product is x:
                break
            stored = product in spot.known or product in self.places or product in spot.shared
            if product.op.name != "multiply" or len(self._uses[product]) > 1 or stored or x is y:
                continue
            a, c = (self.value(nest, factor, spot) for factor in product.inputs)
            if node.op.name == "subtract":
                a = Constant(a.type, -a.value) if isinstance(a, Constant) else self.b.neg(a)
            return self.b.fma(a, c, self.value(nest, other, spot))
        return None

    def _largest(self, nest: Nest, node: Node, spot: Spot) -> None:
        """The largest of a window, and the first tap that has it; a NaN is larger than all."""
        x = node.inputs[0]
        twins = [other for other in nest.nodes if other.op.name in _LARGEST and other.inputs[0] is x]
        placed = any(other.op.name == "window_place" for other in twins)
        place_type = self.vector.of("i64" if self.element == "f64" else "i32")
        best: Operand = self.value(nest, x, spot.taps[0])
        where: Operand = self.b.zero(place_type)
        for number, tap in enumerate(spot.taps[1:], 1):
            best, where = self.better(
                self.value(nest, x, tap), best, self.b.constant(number, place_type), where, placed=placed
            )
        for other in twins:
            spot.known[other] = best if other.op.name == "window_max" else where

    def better(
        self, value: Operand, best: Operand, here: Operand, where: Operand, *, placed: bool
    ) -> tuple[Operand, Operand]:
        """The larger of two, and where it is; of equal ones the second stays, and a NaN stays."""
        b = self.b
        stays = b.ior(b.compare("le", value, best), b.compare("ne", best, best))
        return b.select(stays, best, value), b.select(stays, where, here) if placed else where

    def _spread(self, nest: Nest, node: Node, spot: Spot) -> Operand:
        assert spot.whole is not None  # the nest has windows
        value = self.value(nest, node.inputs[0], spot.whole)
        if node.op is REPEAT:
            return value
        place = self.value(nest, node.inputs[1], spot.whole)
        here: Operand
        if isinstance(spot.tap, int):
            here = self.b.constant(spot.tap, place.type)
        else:
            number = self.b.value_of(spot.tap)
            if place.type.element == "i32":
                number = self.b.trunc(number, "i32")
            here = self.b.splat(number, self.lanes)
        return self.b.select(self.b.compare("eq", place, here), value, self.b.zero(value.type))

    # -- places

    def spot(self, nest: Nest, channel: Position, row: Position, column: Position, shared: Memory) -> Spot:
        """A place of the nest's grid, with its taps."""
        spot = Spot(channel, row, column, shared)
        down, across = nest.window or (1, 1)
        if nest.window and not nest.looped:
            for i in range(down):
                for j in range(across):
                    tap = Spot(channel, row * down + i, column * across + j, shared)
                    tap.whole, tap.tap = spot, i * across + j
                    spot.taps.append(tap)
        return spot

    def finish(self, nest: Nest, spots: Sequence[Spot]) -> list[Operand]:
        """Stores what the nest has to store at these places; the sum of each of its sums over them."""
        for node in nest.stores:
            source = node.inputs[0] if node.op is FROM_IMAGES else node
            for place in self._places(nest, source, spots):
                self.store(node, place, self.value(nest, source, place))
        return [
            self.tree(
                [self.value(nest, node.inputs[0], at) for at in self._places(nest, node.inputs[0], spots)]
            )
            for node in nest.sums
        ]

    def _places(self, nest: Nest, node: Node, spots: Sequence[Spot]) -> list[Spot]:
        spread = node.op is UNPOOL or node.op is REPEAT
        if nest.window and not nest.looped and (spread or nest.is_fine(node)):
            return [tap for spot in spots for tap in spot.taps]
        return list(spots)

    def store(self, node: Node, spot: Spot, value: Operand) -> None:
        """Writes a vector to the node's memory."""
        place = self.places[node]
        self.b.store(place.buffer, place.at(self.number, spot.channel, spot.row, spot.column), value)

    def tree(self, values: Sequence[Operand]) -> Operand:
        """The sum of some vectors, as a tree."""
        values = list(values)
        while len(values) > 1:
            pairs = zip(values[::2], values[1::2], strict=False)
            values = [*(self.b.add(x, y) for x, y in pairs), *values[len(values) // 2 * 2 :]]
        return values[0]

    # -- sums

    def add(self, node: Node, channel: Position, total: Operand, *, whole: bool) -> None:
        """Adds to a sum of this channel; `whole` if that is all of this block."""
        if node in self.images:  # over space: a vector for each block
            place = self.places[node]
            buffer, index = place.buffer, place.at(self.number, channel, 0, 0)
            if not whole:
                total = self.b.add(self.b.load(buffer, index, self.lanes), total)
        else:
            buffer, index = self.totals[node], Index.of(channel) * self.lanes
            total = self.b.add(self.b.load(buffer, index, self.lanes), self.examples(total))
        self.b.store(buffer, index, total)

    def examples(self, vector: Operand) -> Operand:
        """The vector with zeros in the lanes that are no examples."""
        if self.valid is None:
            return vector
        return self.b.select(self.valid, vector, self.b.zero(vector.type))

    def clear_sums(self, nest: Nest) -> None:
        """Zeros for sums over space that a nest gathers piece by piece."""
        for node in nest.sums:
            if node in self.images:
                place, zero = self.places[node], self.b.zero(self.vector)
                self.b.loop(
                    0,
                    node.shape[1],
                    1,
                    lambda c, place=place, zero=zero: self.b.store(
                        place.buffer, place.at(self.number, c, 0, 0), zero
                    ),
                )

    # -- all of it

    def begin_block(self, number: Position) -> None:
        """From here on it is this block's turn."""
        self.number = number
        if self.batch % self.lanes:
            b, integers = self.b, Type("i32", self.lanes)
            left = b.isub(b.constant(self.batch, Type("i64")), b.value_of(Index.of(number) * self.lanes))
            counts = b.splat(b.trunc(left, "i32"), self.lanes)
            lanes = b.iota(self.lanes, "i32") if self.lanes > 1 else b.zero(integers)
            self.valid = b.compare("lt", lanes, counts)

    def clear(self) -> None:
        """Zeros for the sums over the batch."""
        zero = self.b.zero(self.vector)
        for buffer in self.totals.values():
            assert buffer.size is not None  # buffers of the arena have a size
            whole = buffer.size // self.lanes * self.lanes
            self.b.loop(0, whole, self.lanes, lambda i, buffer=buffer: self.b.store(buffer, i, zero))

    def add_lanes(self) -> None:
        """Adds the lanes of the sums over the batch, and writes the sums."""
        for node, buffer in self.totals.items():
            result = self.results.get(node)
            if result is not None:
                target = self.block.view(result)
                *lead, extent = target.shape
                lines = View(buffer, node.dtype, Index(), target.shape, _row_by_row(target.shape))

                def line(
                    *at: Position, extent: int = extent, target: View = target, lines: View = lines
                ) -> None:
                    def piece(j: Position, count: int) -> None:
                        vectors = [
                            self.b.load(lines.buffer, lines.place([*at, j + k]) * self.lanes, self.lanes)
                            for k in range(count)
                        ]
                        target.store(self.b, [*at, j], *lane_sums(self.b, vectors))

                    whole = extent // self.lanes * self.lanes
                    self.b.loop(0, whole, self.lanes, lambda j: piece(j, self.lanes))
                    if whole < extent:
                        piece(whole, extent - whole)

                over(self.b, tuple(lead), line)


_LARGEST = ("window_max", "window_place")


def _row_by_row(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(size_of(tuple(shape[axis + 1 :])) for axis in range(len(shape)))


def lane_sums(b: Builder, vectors: Sequence[Operand]) -> tuple[Operand, int | None]:
    """The sums of the lanes of some vectors, side by side in one, and how many of its lanes they are."""
    lanes, count = vectors[0].type.lanes, len(vectors)
    size = 1 << (count - 1).bit_length()  # a power of two of them, no more than lanes
    parts: list[Operand] = [*vectors, *[b.zero(vectors[0].type)] * (size - count)]
    distance = lanes // 2
    while len(parts) > 1:
        half = len(parts) // 2
        low = [lane + lanes - distance if lane & distance else lane for lane in range(lanes)]
        high = [lane + lanes if lane & distance else lane + distance for lane in range(lanes)]
        parts = [
            b.add(b.shuffle(x, y, low), b.shuffle(x, y, high))
            for x, y in zip(parts[:half], parts[half:], strict=True)
        ]
        distance //= 2
    total = parts[0]
    while distance:
        total = b.add(total, b.shuffle(total, total, [lane ^ distance for lane in range(lanes)]))
        distance //= 2
    if size < lanes:
        total = b.shuffle(total, total, range(0, lanes, lanes // size)) if size > 1 else b.extract(total, 0)
    return total, count
